"""Answer a request with the same Idempotency-Key as the first time.

The header is that of draft-ietf-httpapi-idempotency-key-header-07. A view that makes a job:

    with idempotent() as attempt:
        ...  # Read the body.
        if first := attempt.replay(fields, files):
            return first
        job_id = attempt.job_id or current_jobs().submit(recipe, owner, hold=attempt.hold)
        ...  # Add images, close the job.
        return attempt.answer(response)

The key is taken before the body is read, for as long as the block lasts. An answer without a job,
or an error, frees it. A process that dies leaves it for less than a minute; the job that it made
to its end is then answered for, and one that it did not is made from the start.
"""

import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import Any

from flask import Response, make_response, request
from flask.typing import ResponseReturnValue
from msgspec import msgpack

from webapp.jobs.errors import KeyInUse
from webapp.jobs.idempotency import Answer, FirstRequest, Hold
from webapp.jobs.store import Store
from webapp.jobs.store.idempotency import ADDRESS, IdempotencyKeys
from webapp.jobs.upload import Upload
from webapp.web.app_context import current_jobs
from webapp.web.clients import client_name, current_owner
from webapp.web.waiting import has_left

logger = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
# A string as in RFC 9651, or the same without quotes.
_QUOTED = re.compile(r'"((?:[!#-\[\]-~]|\\["\\])*)"', re.ASCII)
_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)
# Two renewals may fail, by a busy disk, before another request gets the key.
LEASE_SECONDS = 45.0
RENEW_SECONDS = 15.0
# Those that a program reads; others are added to every answer.
_KEPT_HEADERS = (
    "Cache-Control",
    "Content-Disposition",
    "Content-Location",
    "Content-Type",
    "ETag",
    "Link",
    "Location",
    "Preference-Applied",
    "Retry-After",
    "Vary",
)
MAX_BODY_BYTES = 1_000_000  # A larger one is made again from the job, like one that is streamed.


class KeyInvalid(ValueError):
    """An Idempotency-Key is empty, too long or not in visible ASCII."""

    code = "idempotency_key_invalid"

    def __init__(self) -> None:
        super().__init__(
            "An Idempotency-Key has 1 to 255 visible ASCII characters, in quotes or not."
            " Send a new UUID for each job."
        )


class KeyReused(Exception):
    """A request has the Idempotency-Key of another one."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was sent with another request. Send a new key for a new job."
        )


class Attempt:
    """A request that makes a job, with or without an Idempotency-Key."""

    def __init__(self, hold: Hold | None, first: FirstRequest | None) -> None:
        self.job_id: str | None = None  # That an earlier request made, without an answer to send.
        self._is_read = hold is None and first is None
        self._hold = hold
        self._first = first
        self._is_answered = False

    @property
    def hold(self) -> Hold | None:
        """What writes the job together with its key. Call `replay` first."""
        if not self._is_read:
            raise RuntimeError("The request was not compared with the first one.")
        return self._hold

    def replay(
        self, fields: Any, files: Sequence[tuple[Upload, str]] = (), fetched: int = 0
    ) -> Response | None:
        """Return the answer to the first request with this key; None to make a job.

        `fields` are what the request asks for, as values that msgspec encodes; `files` are its
        files with their names. `fetched` more images come from URLs. Where the job is there, but
        its answer must be made again, it is None too, and `job_id` is set. Raises KeyReused if the
        first request was another one, or KeyInUse.

        A caller without an owner may be another one of its address, who guessed the key. It sent
        all that the job has, and learns the link alone. A job that is open or went on has more to
        give, so such a caller makes one of its own.
        """
        if self._is_read:
            return None
        fingerprint = _fingerprint(fields, files)
        self._is_read = True
        if self._hold:
            self._hold = replace(self._hold, fingerprint=fingerprint)
        first = self._first
        if first is None:
            return None
        if first.fingerprint != fingerprint:
            raise KeyReused
        if self._hold and not first.is_whole:
            current_jobs().discard_part(self._hold, first.job_id)
            self._first = None
            return None
        if not current_owner() and not _is_all_of(first.job_id, len(files) + fetched):
            self._first = None
            return None
        if first.answer and first.answer.body is not None:
            return _mark(Response(first.answer.body, first.answer.status, first.answer.headers))
        self.job_id = first.job_id
        return None

    def answer(self, answer: ResponseReturnValue) -> Response:
        """Keep an answer for requests with the same key, and return it.

        Not where the client left: its wait has ended before the job, and it sends the key again.
        """
        response = make_response(answer)
        if self.hold and not has_left():
            self._is_answered = _keys().answer(self.hold, _kept(response))
        return _mark(response) if self._first else response

    def end(self) -> None:
        """Free the key, unless it has its answer."""
        if self._hold and not self._is_answered:
            _keys().release(self._hold)


@contextmanager
def idempotent() -> Iterator[Attempt]:
    """Take the Idempotency-Key of the request, if it has one, while the block runs.

    A key is one of the owner: of a token, user or session, or of a client's address if there is
    none. Raises KeyInvalid, or KeyInUse while another request has it.
    """
    key = read_key(request.headers.get(HEADER))
    if key is None:
        yield Attempt(None, None)
        return
    owner = current_owner() or f"{ADDRESS}{client_name()}"
    hold, first = _keys().begin(owner, key, LEASE_SECONDS)
    if hold is None and first is None:
        raise KeyInUse
    attempt = Attempt(hold, first)
    try:
        with _renewed(hold):
            yield attempt
    finally:
        attempt.end()


def read_key(header: str | None) -> str | None:
    """Read an Idempotency-Key, with or without quotes. Raises KeyInvalid."""
    if header is None:
        return None
    key = header.strip()
    if key.startswith('"'):
        quoted = _QUOTED.fullmatch(key)
        key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else ""
    if not _KEY.fullmatch(key):
        raise KeyInvalid
    return key


def _keys() -> IdempotencyKeys:
    return current_jobs().store.idempotency


@contextmanager
def _renewed(hold: Hold | None) -> Iterator[None]:
    """Keep a key while the block runs: an upload may take many minutes."""
    if hold is None:
        yield
        return
    ended = threading.Event()
    arguments = (current_jobs().store, hold, ended)
    thread = threading.Thread(target=_renew, args=arguments, name="renew", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()  # Else it might renew a key that is free by then.


def _renew(store: Store, hold: Hold, ended: threading.Event) -> None:
    with closing(store.db):  # The connection of this thread.
        while not ended.wait(RENEW_SECONDS):
            try:
                if not store.idempotency.renew(hold, LEASE_SECONDS):
                    return
            except Exception:
                logger.exception("cannot renew an idempotency key")


def _fingerprint(fields: Any, files: Sequence[tuple[Upload, str]]) -> str:
    """Return a hash of all that decides what a request makes, and how its answer links to it."""
    where = [request.method, request.url_root, request.path, request.query_string]
    hashes = [(name, upload.sha256) for upload, name in files]
    return sha256(msgpack.encode([where, fields, hashes], order="deterministic")).hexdigest()


def _is_all_of(job_id: str, images: int) -> bool:
    """Return whether a job takes no more images, and has none but those of its first request."""
    job = current_jobs().job(job_id)
    has_new = any(image.first_id != image.id for image in job.images)
    return not (job.is_receiving or has_new) and len(job.images) <= images


def _kept(response: Response) -> Answer:
    """Return what is kept of an answer."""
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    is_whole = not (response.direct_passthrough or response.is_streamed)
    body = response.get_data() if is_whole else None
    if body is not None and len(body) > MAX_BODY_BYTES:
        body = None
    return Answer(response.status_code, headers, body)


def _mark(response: Response) -> Response:
    """Mark an answer that was given before, or is of a job that was there."""
    response.headers["Idempotent-Replayed"] = "true"
    return response
