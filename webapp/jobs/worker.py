"""Claim an image, make its thumbnails, and publish them or explain."""

import logging
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from webapp.disk import is_disk_full
from webapp.engine.errors import ImageError
from webapp.jobs.errors import FILE_LOST, ClaimLost
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Claim
from webapp.recipes.outputs import Recipe

logger = logging.getLogger(__name__)


def worker_name() -> str:
    """Name this process among those of all machines."""
    return f"{socket.gethostname()}:{os.getpid()}"


def work_on_next_image(jobs: Jobs) -> None:
    """Claim one image and make all its thumbnails, or find out why that cannot be."""
    claim = jobs.claim(worker_name())
    if claim is None:
        return
    try:
        _work_on(claim, jobs)
    except ClaimLost:
        _log("image lost to another worker, or deleted", claim, logging.WARNING)
    except KeyboardInterrupt:
        _put_back(claim, jobs.release)
        raise
    except Exception as error:
        # A full disk passes, so the image may wait as long as it takes. Anything else is tried
        # again a few times.
        if _put_back(claim, jobs.release if is_disk_full(error) else jobs.expire_lease):
            raise


def _put_back(claim: Claim, way: Callable[[Claim], None]) -> bool:
    """Let go of an image; say whether it was still ours: of a deleted job, its files are gone.

    It takes a disk with room, and waits for that: an attempt that is not given back is lost.
    """
    try:
        while not _do_with_room(way, claim):
            time.sleep(BEAT_SECONDS)
    except ClaimLost:
        _log("image lost to another worker, or deleted", claim, logging.WARNING)
        return False
    _log("image put back", claim, logging.WARNING)
    return True


def _do_with_room(way: Callable[[Claim], None], claim: Claim) -> bool:
    """Say whether the disk had room for it."""
    try:
        way(claim)
    except OSError as error:
        if not is_disk_full(error):
            raise
        return False
    return True


def _log(event: str, claim: Claim, level: int = logging.INFO, **facts: Any) -> None:
    """Log what became of an image, with what joins it to the lines of its upload."""
    ids = {"job_id": claim.job_id, "image_id": claim.image_id, "attempt": claim.attempt}
    logger.log(level, event, extra={**ids, **facts})


def _ms_since(began: float) -> int:
    return round((time.perf_counter() - began) * 1000)


def _work_on(claim: Claim, jobs: Jobs) -> None:
    _log("image claimed", claim, wait_ms=round(claim.waited * 1000))
    source = jobs.storage.original(claim.job_id, claim.image_id)
    if not source.exists():
        code, message = FILE_LOST
        jobs.fail(claim, code, message)
        _log("image failed", claim, logging.ERROR, code=code)
        return
    recipe = Recipe.from_json(claim.recipe)
    if claim.focus:
        recipe = recipe.focused(claim.focus)
    recipe = recipe.with_whole()
    began = time.perf_counter()
    with jobs.storage.open_folder() as folder:
        try:
            made = jobs.decoder.make_thumbnails(source, recipe, folder, partial(jobs.renew, claim))
        except ImageError as error:
            jobs.fail(claim, error.code, str(error))
            _log("image failed", claim, logging.WARNING, code=error.code, work_ms=_ms_since(began))
        else:
            jobs.finish(claim, folder, made)
            outputs = len(made.thumbnails)
            _log("image done", claim, outputs=outputs, work_ms=_ms_since(began))


BEAT_SECONDS = 1.0  # How often a worker says that it is alive; an idle one also looks for work.
