"""The worker's side of a job: claim, renew, finish, fail and release images."""

from base64 import b64encode
from dataclasses import asdict
from pathlib import Path

from webapp.config import MB, Config
from webapp.engine.result import Result
from webapp.jobs.errors import ClaimLost
from webapp.jobs.events import log_failed
from webapp.jobs.models import Claim, HourLimits
from webapp.jobs.storage import Storage
from webapp.jobs.store import Store

MAX_ATTEMPTS = 5  # Workers that one image may cost before it fails.
# Do not claim if less is free: a claim that fails for lack of disk uses up an attempt.
ROOM_FOR_WORK = 20 * MB


class Claims:
    """Hand out images to workers, and store their results."""

    def __init__(self, store: Store, storage: Storage, config: Config) -> None:
        self.store = store
        self.storage = storage
        self._lease_seconds = config.lease_seconds
        # Thumbnails count on top of uploads, so a client gets the bytes of its uploads twice.
        self._hour_limits = HourLimits(
            work_ms=config.max_work_seconds_per_hour * 1000,
            bytes=2 * config.max_mb_per_hour * MB,
        )

    def claim(self, worker: str) -> Claim | None:
        """Claim the next image; None if none waits, or the disk has no room for it."""
        if not self._has_room():
            return None
        return self.store.queue.claim(worker, self._lease_seconds, MAX_ATTEMPTS, self._hour_limits)

    def has_work(self) -> bool:
        """Return whether an image can be claimed, and there is room to work on it."""
        return self._has_room() and self.store.queue.has_claimable(MAX_ATTEMPTS, self._hour_limits)

    def renew(self, claim: Claim) -> None:
        """Extend the lease of a claim while its work goes on. Raises ClaimLost."""
        self.store.operations.beat(claim.worker)
        if not self.store.queue.renew(claim, self._lease_seconds):
            raise ClaimLost

    def finish(self, claim: Claim, folder: Path, result: Result, placeholder: bytes) -> None:
        """Publish the files of `folder` as the image's thumbnails.

        `placeholder` is a small PNG for pages to show before a thumbnail is loaded.

        The thumbnails that they replace stay until a sweep removes them. Raises ClaimLost, with
        nothing published.
        """
        path = self.storage.thumbnails_folder(claim)
        self.storage.publish(folder, path)
        header = result.header
        facts = {
            "width": header.width,
            "height": header.height,
            "had_gps": header.had_gps,
            "thumbhash": result.thumbhash,
            "placeholder": b64encode(placeholder).decode(),
            "color": result.color,
        }
        thumbnails = [asdict(thumbnail) for thumbnail in result.thumbnails]
        before = self.store.queue.published_folder(claim.image_id)
        if before is not None:  # First: a sweep that finds it without rows must know since when.
            self.storage.touch(before)
        if not self.store.queue.finish(claim, facts, path, thumbnails):
            self.storage.unpublish(path)
            raise ClaimLost

    def fail(self, claim: Claim, code: str, message: str) -> None:
        """Mark an image as failed, for a reason that its owner reads. Raises ClaimLost."""
        if not self.store.queue.fail(claim, code, message):
            raise ClaimLost

    def release(self, claim: Claim) -> None:
        """Return an image to the queue as if it had not been claimed.

        Raises ClaimLost; the image may be finished by then.
        """
        if not self.store.queue.release(claim):
            raise ClaimLost
        self.storage.unpublish(self.storage.thumbnails_folder(claim))

    def end_lease(self, claim: Claim) -> None:
        """End a lease now, as if its worker had died: another worker may try.

        It counts as an attempt. Raises ClaimLost.
        """
        if not self.store.queue.end_lease(claim):
            raise ClaimLost

    def fail_exhausted(self) -> None:
        """Mark as failed the images that used up their attempts."""
        message = "This image failed after several attempts. Try again later."
        failed = self.store.queue.fail_exhausted("worker_lost", message, MAX_ATTEMPTS)
        for job_id, image_id in failed:
            log_failed(job_id, image_id, "worker_lost")

    def _has_room(self) -> bool:
        return self.storage.has_space(at_least=ROOM_FOR_WORK)
