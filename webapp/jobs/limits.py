"""What one client may use: jobs, bytes, work, downloads and queue.

A client is an address, or an API token, which may have limits of its own.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

from webapp.config import MB, Config
from webapp.jobs.errors import (
    QueueFull,
    TooManyAttempts,
    TooManyBytes,
    TooManyJobs,
    TooManyPacked,
    TooManySent,
    TooManyWaiting,
    TooMuchKept,
    TooMuchWork,
    write_duration,
)
from webapp.jobs.owners import is_token
from webapp.jobs.store import Store

logger = logging.getLogger(__name__)

# A full queue has room for hundreds again after this, and asking sooner would only add to the load.
QUEUE_SECONDS = 20
OPEN_SECONDS = 3600.0  # How long an open job waits for its next image; some uploads are slow.
NEW_SECONDS = 3600.0  # How old a job may be that expires after all; some uploads are slow.
MAX_SENT_AGAIN = 100  # Deliveries of one client within an hour; a person tries their server.
MAX_WRONG_TOKENS = 20  # Of one client within an hour; a person mistypes a few times.


@contextmanager
def within_kept_limit(
    store: Store, job_id: str, config: Config, *, coming: int = 0, lets_new_expire: bool = False
) -> Iterator[None]:
    """Check what the owner of a job keeps after the block, if this job is kept then.

    It may be as much as before the block, also where the settings allow less now. `coming` bytes
    are added to it. With `lets_new_expire`, a new job that is too large expires like others. Else,
    and if the job is older, whose links are in use, raises TooMuchKept, with nothing changed.
    """
    with store.db.transaction():
        before = store.jobs.bytes_kept_with(job_id) or 0
        yield
        after = store.jobs.bytes_kept_with(job_id)
        if after is None or after + coming <= max(before, config.max_kept_mb * MB):
            return
        seconds = config.max_retention_hours * 3600
        if not (lets_new_expire and store.jobs.let_expire(job_id, seconds, NEW_SECONDS)):
            raise TooMuchKept(config.max_kept_mb)


class ClientLimits:
    """Count what clients use, and refuse what is over a limit."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._max_waiting = config.max_waiting
        self._max_waiting_of_client = ceil(config.max_waiting * config.max_waiting_share)
        self._max_work_seconds = config.max_work_seconds_per_hour
        self._max_jobs_per_hour = config.max_jobs_per_hour
        self._max_mb_per_hour = config.max_mb_per_hour
        self._max_packed_per_hour = config.max_packed_per_hour

    def admit_images(self, client: str) -> None:
        """Check that images of a client may join the queue now.

        Raises QueueFull, TooManyWaiting or TooMuchWork.
        """
        if self._store.queue.has_unfinished(self._max_waiting):
            raise QueueFull("Too many images are waiting.", QUEUE_SECONDS)
        if self._store.queue.has_unfinished_of(client, self._max_waiting_of_client):
            raise self._too_many_waiting(client)
        self.admit_work(client)

    def admit_work(self, client: str) -> None:
        """Check that a client has time of workers left in this hour. Raises TooMuchWork."""
        limit = self._max_work_seconds
        if wait := self._store.usage.spend(client, "work", 0, limit * 1000 - 1):
            used = f"{name_of(client)} has used {write_duration(limit)} of work within an hour."
            raise TooMuchWork(used, wait)

    @contextmanager
    def within_share(self, client: str) -> Iterator[None]:
        """Check a client's share of the queue after the block, which adds images to it.

        If none of its images waited before, those of one job are let in together: the job may have
        been uploaded when the settings allowed more. Raises TooManyWaiting, with nothing changed.
        """
        with self._store.db.transaction():
            had_some = self._store.queue.has_unfinished_of(client, 1)
            yield
            excess = self._max_waiting_of_client + 1
            if had_some and self._store.queue.has_unfinished_of(client, excess):
                raise self._too_many_waiting(client)

    def mb_per_hour(self, client: str) -> int:
        """Return the megabytes that a client may send within an hour."""
        token = self._store.tokens.of_client(client)
        return (token and token.mb_per_hour) or self._max_mb_per_hour

    def jobs_per_hour(self, client: str) -> int:
        """Return how many jobs a client may make within an hour."""
        token = self._store.tokens.of_client(client)
        return (token and token.jobs_per_hour) or self._max_jobs_per_hour

    def admit_bytes(self, client: str, count: int, what: str) -> None:
        """Count bytes that a client sends.

        They are counted as `what`: "bytes" of images, or "form bytes" of all else. Raises
        TooManyBytes.
        """
        limit = self.mb_per_hour(client)
        if wait := self._store.usage.spend(client, what, count, limit * MB):
            raise TooManyBytes(
                f"{name_of(client)} has used its {limit} MB of this hour, uploads and thumbnails"
                " together.",
                wait,
            )

    def admit_job(self, client: str) -> None:
        """Count one more job of a client. Raises TooManyJobs."""
        limit = self.jobs_per_hour(client)
        if wait := self._store.usage.spend(client, "jobs", 1, limit):
            raise TooManyJobs(f"{name_of(client)} has made {limit} jobs within an hour.", wait)

    def admit_packing(self, client: str, job_id: str) -> None:
        """Count the thumbnails that a client downloads as one file.

        The file is a zip, or the markup of a whole job. Raises TooManyPacked.
        """
        count, limit = self._store.jobs.count_thumbnails(job_id), self._max_packed_per_hour
        if count and (wait := self._store.usage.spend(client, "packed", count, limit)):
            raise TooManyPacked(
                f"{name_of(client)} has downloaded {limit} thumbnails in zips and markup this"
                " hour.",
                wait,
            )

    def admit_sending(self, client: str) -> None:
        """Count a delivery that a client sends again. Raises TooManySent."""
        if wait := self._store.usage.spend(client, "sent again", 1, MAX_SENT_AGAIN):
            raise TooManySent(
                f"{name_of(client)} has sent {MAX_SENT_AGAIN} webhooks again within an hour.",
                wait,
            )

    def admit_attempt(self, client: str, is_right: bool) -> None:
        """Count a wrong token of a client.

        Raises TooManyAttempts, also for the right one then: guessing must reveal nothing.
        """
        cost, limit = (0, MAX_WRONG_TOKENS - 1) if is_right else (1, MAX_WRONG_TOKENS)
        if wait := self._store.usage.spend(client, "wrong tokens", cost, limit):
            raise TooManyAttempts("Too many wrong tokens came from your network.", wait)

    def count_refused(self, code: str) -> None:
        """Count a refused upload for operators; log an error of that."""
        try:
            self._store.operations.count_refused(code)
        except Exception:
            logger.exception("cannot count a refusal")

    def _too_many_waiting(self, client: str) -> TooManyWaiting:
        limit = self._max_waiting_of_client
        images = f"{limit:,} images" if limit != 1 else "1 image"
        return TooManyWaiting(
            f"At most {images} of {name_of(client).lower()} may wait at the same time.",
            QUEUE_SECONDS,
        )


def name_of(client: str) -> str:
    """Return what a sentence calls a client."""
    return "This token" if is_token(client) else "Your network"
