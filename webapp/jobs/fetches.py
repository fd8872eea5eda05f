"""Fetch the images whose addresses owners gave, one at a time in each thread.

What was fetched is received and becomes an image as an upload does. What cannot be fetched becomes
a missing file of its job, with the reason.
"""

import logging
import re
from collections.abc import Callable
from contextlib import suppress
from email.message import Message
from functools import cached_property, partial
from typing import TYPE_CHECKING

from webapp.config import MB, Config
from webapp.disk import is_disk_full
from webapp.engine.errors import ImageError
from webapp.jobs.errors import (
    FETCH_LOST,
    TOKEN_REVOKED,
    Busy,
    ClaimLost,
    FetchingIsOff,
    FileTooLarge,
    NoSpace,
    TooMuchKept,
)
from webapp.jobs.limits import OPEN_SECONDS, ClientLimits
from webapp.jobs.models import FetchClaim
from webapp.jobs.names import name_in_url
from webapp.jobs.outbound_errors import Answered, RequestFailed, RequestRefused
from webapp.jobs.outbound_process import THREADS
from webapp.jobs.storage import Storage
from webapp.jobs.store import Store
from webapp.jobs.upload import Upload
from webapp.jobs.wake_up import WakeUps
from webapp.jobs.watch import WATCHERS

if TYPE_CHECKING:
    from webapp.jobs.lifecycle import Jobs
    from webapp.jobs.outbound import Answer

logger = logging.getLogger(__name__)

MAX_REDIRECTS = 3
# Seconds before each next try of a fetch whose failure may pass. A server may ask for more.
PAUSES = (2.0, 15.0, 60.0)
MAX_PAUSE = 600.0
MAX_OF_CLIENT = THREADS // 2  # Fetches at a time, so that there are threads for others.
ROOM_SECONDS = 10.0  # Between two looks at a full disk.
LEASE_SECONDS = 15.0  # Longer than a fetch may take: the resolver, and the row of the image.
CHARGED_AT_ONCE = MB  # Bytes that are counted towards the limit of a client.
MAX_DISPOSITION = 2000  # Characters of a header that is read; longer ones take long.
HEADERS = {"Accept": "image/*,*/*;q=0.5"}
FINAL = (Busy, FileTooLarge, ImageError, RequestRefused, TooMuchKept)


class FetchWork:
    """Hand out fetches to threads, and do them."""

    def __init__(
        self,
        store: Store,
        storage: Storage,
        config: Config,
        notify: Callable[[], None],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._store = store
        self._storage = storage
        self._config = config
        self._rows = store.fetches
        self._notify = notify  # The workers, of an image.
        self._is_stopping = is_stopping
        self._watchers = WakeUps(config.instance / WATCHERS)

    def take(self) -> Callable[[], None] | None:
        """Claim the next fetch; return what does it, or None."""
        config = self._config
        if not self._rows.has_pending():
            return None
        if not config.fetch_urls:  # It was on when they were added.
            ended = self._rows.fail_all(FetchingIsOff.code, str(FetchingIsOff()), OPEN_SECONDS)
        else:
            ended = self._rows.fail_exhausted(len(PAUSES) + 1, *FETCH_LOST, OPEN_SECONDS)
        if ended:
            self._watchers.send()
        if not config.fetch_urls or not self._storage.has_space():
            return None
        claim = self._rows.claim(config.fetch_seconds + LEASE_SECONDS, MAX_OF_CLIENT)
        return partial(self._work_on, claim) if claim else None

    def _work_on(self, claim: FetchClaim) -> None:
        """Fetch an image, or record why that is impossible."""
        if self._store.tokens.is_revoked(claim.client):
            self._fail(claim, *TOKEN_REVOKED)
            return
        try:
            self._fetch(claim)
        except ClaimLost:  # Of a deleted job, it goes on if that is restored.
            self._rows.release(claim)
        except NoSpace:
            self._rows.release(claim, ROOM_SECONDS)
        except FINAL as error:
            self._fail(claim, error.code, str(error))
        except RequestFailed as error:
            if self._is_stopping():  # That ended it.
                self._rows.release(claim)
            elif error.may_pass and claim.tries <= len(PAUSES):
                pause = max(PAUSES[claim.tries - 1], error.retry_after or 0)
                self._rows.try_again(claim, min(pause, MAX_PAUSE))
                _log("fetch to be tried again", claim, code=error.code)
            else:
                self._fail(claim, error.code, str(error))
        except Exception as error:
            if is_disk_full(error):
                self._rows.release(claim, ROOM_SECONDS)
            else:  # Its lease ends then, and this counts as a try.
                logger.exception("a fetch failed", extra=_ids(claim))

    @cached_property
    def _jobs(self) -> "Jobs":
        """The jobs of these rows and files, as the web server has them.

        What reads headers and makes requests is imported with the first fetch: where there are
        none, this process has 15 MB less.
        """
        from webapp.jobs.lifecycle import Jobs

        limits = ClientLimits(self._store, self._config)
        return Jobs(self._store, self._storage, limits, self._config)

    def _fetch(self, claim: FetchClaim) -> None:
        from webapp.jobs.outbound import send

        config, jobs = self._config, self._jobs
        with (
            send(
                config,
                "GET",
                claim.url,
                seconds=config.fetch_seconds,
                max_redirects=MAX_REDIRECTS,
                headers=HEADERS,
                is_stopping=self._is_stopping,
            ) as answer,
            jobs.open_upload() as upload,
        ):
            if answer.status != 200:
                raise Answered(answer.status, answer.retry_after)
            self._receive(answer, upload, claim.client)
            image_id = jobs.add_fetched(claim, upload, claim.name or name_of(answer, claim.url))
        _log("image fetched", claim, image_id=image_id, bytes=upload.bytes)
        self._notify()
        self._watchers.send()

    def _receive(self, answer: "Answer", upload: Upload, client: str) -> None:
        """Write a body into an upload, and count it towards the limit of its client.

        Raises FileTooLarge before it is read, if its length says so.
        """
        limit = self._config.max_file_mb
        if answer.length is not None and answer.length > upload.limit:
            raise FileTooLarge(answer.length, limit)
        uncharged = 0
        try:
            for piece in answer.read():
                uncharged += upload.write(piece)
                if upload.is_too_large or upload.is_without_space:
                    return
                if uncharged >= CHARGED_AT_ONCE:
                    charged, uncharged = uncharged, 0
                    self._jobs.limits.admit_bytes(client, charged, "bytes")
        finally:
            if uncharged:  # All that came counts, also if it was for nothing.
                with self._store.db.relaxed_durability():
                    self._store.usage.add(client, "bytes", uncharged)

    def _fail(self, claim: FetchClaim, code: str, message: str) -> None:
        if self._rows.fail(claim, code, message, OPEN_SECONDS):
            _log("fetch failed", claim, code=code)
            self._watchers.send()


def name_of(answer: "Answer", url: str) -> str:
    """Return the name of a file, as its server tells it, or else its URL."""
    text = answer.headers.get("Content-Disposition", "")
    if 0 < len(text) < MAX_DISPOSITION:
        message = Message()
        with suppress(LookupError, ValueError):  # Headers are read as Latin-1.
            text = text.encode("latin-1").decode()
        with suppress(LookupError, ValueError):
            message["Content-Disposition"] = re.sub(r"[\r\n]", " ", text)
            if name := message.get_filename():
                return name
    return name_in_url(url)


def _ids(claim: FetchClaim) -> dict[str, object]:
    return {"job_id": claim.job_id, "fetch_id": claim.id, "attempt": claim.attempt}


def _log(event: str, claim: FetchClaim, **facts: object) -> None:
    """Log an event of a fetch. Not its URL: some are keys to what they lead to."""
    logger.info(event, extra={**_ids(claim), **facts})
