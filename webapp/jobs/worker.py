"""Claim an image, make its thumbnails, and publish them or record an error."""

import logging
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from webapp.disk import is_disk_full
from webapp.engine.decoder import Decoder
from webapp.engine.errors import Crashed, ImageError
from webapp.jobs.errors import FILE_LOST, ClaimLost, TooMuchKept
from webapp.jobs.models import Claim
from webapp.jobs.work import Claims

logger = logging.getLogger(__name__)

ROOM_SECONDS = 1.0  # Between two looks at a full disk.


def worker_name() -> str:
    """Return a name of this process that no process of any machine shares."""
    return f"{socket.gethostname()}:{os.getpid()}"


def work_on_next_image(claims: Claims, decoder: Decoder) -> None:
    """Claim one image and make all its thumbnails, or record why that is impossible."""
    claim = claims.claim(worker_name())
    if claim is None:
        return
    try:
        _work_on(claim, claims, decoder)
    except ClaimLost:
        _log_lost(claim)
    except KeyboardInterrupt:
        _let_go(claim, claims, claims.release)
        raise
    except Exception as error:
        # A full disk passes, so the image may wait as long as it takes. Any other error is retried
        # a few times.
        if _let_go(claim, claims, claims.release if is_disk_full(error) else claims.end_lease):
            raise


def _work_on(claim: Claim, claims: Claims, decoder: Decoder) -> None:
    _log("image claimed", claim, wait_ms=round(claim.waited * 1000))
    source = claims.storage.original(claim.job_id, claim.image_id)
    if not source.exists():
        code, message = FILE_LOST
        claims.fail(claim, code, message)
        _log("image failed", claim, logging.ERROR, code=code)
        return
    plan = claims.plan(claim)
    if plan.is_made:
        claims.finish_unchanged(claim, plan)
        _log("image done", claim, outputs=0, kept=len(plan.kept), work_ms=0)
        return
    began = time.perf_counter()
    renew = partial(claims.renew, claim)
    with claims.storage.open_folder() as folder:
        try:
            made = decoder.make_thumbnails(
                source, plan.recipe, folder, renew, plan.kept, claim.job_id
            )
            claims.finish(claim, plan, folder, made, _draw(made.thumbhash))
        except (ImageError, TooMuchKept) as error:
            claims.fail(claim, error.code, str(error))
            _log("image failed", claim, logging.WARNING, code=error.code, work_ms=ms_since(began))
        else:
            counts = {"outputs": len(made.thumbnails), "kept": len(plan.kept)}
            _log("image done", claim, **counts, work_ms=ms_since(began))


def prepare() -> None:
    """Import what draws placeholders, before the first image waits for it.

    Not at the top: the web server imports this module too, to notify, and draws nothing.
    """
    import webapp.engine.thumbhash  # noqa: F401


def _draw(thumbhash: str) -> bytes:
    """Draw a ThumbHash that a decode child answered. Raises Crashed."""
    from webapp.engine.thumbhash import thumbhash_to_png

    try:
        return thumbhash_to_png(thumbhash)
    except ValueError:  # It is not a whole one.
        raise Crashed from None


def _let_go(claim: Claim, claims: Claims, release: Callable[[Claim], None]) -> bool:
    """Release a claim; return whether it was still ours.

    It waits until the disk has room for that: an attempt that is not given back is lost.
    """
    try:
        while not _has_released(claim, claims, release):
            time.sleep(ROOM_SECONDS)
    except ClaimLost:  # The files of a deleted job are gone, so any error may have come of that.
        _log_lost(claim)
        return False
    _log("image released", claim, logging.WARNING)
    return True


def _has_released(claim: Claim, claims: Claims, release: Callable[[Claim], None]) -> bool:
    """Release a claim; return False if the disk has no room for that."""
    try:
        claims.store.operations.beat(claim.worker)  # It does not hang, it waits.
        release(claim)
    except OSError as error:
        if not is_disk_full(error):
            raise
        return False
    return True


def _log_lost(claim: Claim) -> None:
    _log("image lost to another worker, or deleted", claim, logging.WARNING)


def _log(event: str, claim: Claim, level: int = logging.INFO, **facts: Any) -> None:
    """Log an event of an image, with the ids that its upload was logged with."""
    ids = {"job_id": claim.job_id, "image_id": claim.image_id, "attempt": claim.attempt}
    logger.log(level, event, extra={**ids, **facts})


def ms_since(began: float) -> int:
    """Return the milliseconds since a reading of `time.perf_counter`."""
    return round((time.perf_counter() - began) * 1000)
