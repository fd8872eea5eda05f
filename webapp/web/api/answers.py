"""Answers of the API: JSON with an ETag, and waiting for the end of a job."""

from collections import OrderedDict
from collections.abc import Hashable
from functools import partial
from hashlib import sha256
from threading import Lock
from typing import Any

import msgspec
from flask import Response, request

from webapp.exports.file_names import image_name
from webapp.jobs.models import Job, JobSummary, JobVersion
from webapp.web.addresses import thumbnail_url
from webapp.web.api import schemas
from webapp.web.api.errors import ImageFailed
from webapp.web.api.operations import JSON
from webapp.web.api.reading import read_wait
from webapp.web.api.representations import describe_job, job_url
from webapp.web.app_context import current_jobs
from webapp.web.views import thumbnails
from webapp.web.views.responses import content_disposition, without_body
from webapp.web.waiting import can_wait, has_left, read_until

CACHING = "private, no-cache"  # Kept by the client alone, which asks each time.
RETRY_SECONDS = 1  # Between two reads of a job that is not finished.

# Of what answers contain, so that an ETag does not outlive an upgrade.
_EDITION = sha256(msgspec.json.encode(msgspec.json.schema(schemas.Job))).hexdigest()[:8]
_encode = msgspec.json.Encoder().encode


class _Bodies:
    """Keep the bodies that were used last, up to some bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._bytes = 0
        self._bodies: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable) -> bytes | None:
        """Return a body, or None if it is not kept."""
        with self._lock:
            if key in self._bodies:
                self._bodies.move_to_end(key)
            return self._bodies.get(key)

    def add(self, key: Hashable, body: bytes) -> None:
        """Keep a body, unless it would take the place of many."""
        if len(body) > self._most // 8:
            return
        with self._lock:
            self._bytes += len(body) - len(self._bodies.pop(key, b""))
            self._bodies[key] = body
            while self._bytes > self._most:
                self._bytes -= len(self._bodies.popitem(last=False)[1])


# Of jobs: an unchanged one is read again with one query, and described and encoded only once.
_kept = _Bodies(8_000_000)


def answer(value: Any, status: int = 200) -> Response:
    """Answer with JSON, or 304 where the client has the same already.

    202 says when to read again.
    """
    response = answer_bytes(_encode(value), JSON, status)
    if response.status_code == 202:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def answer_bytes(body: bytes, mimetype: str, status: int = 200) -> Response:
    """Answer with a body, or 304 where the client has the same already."""
    etag = f'"{sha256(body).hexdigest()[:16]}"'
    if _is_known(etag):
        return _tagged(Response(status=304), etag)
    if request.method == "HEAD":
        return _tagged(without_body(mimetype), etag)
    return _tagged(Response(body, status, mimetype=mimetype), etag)


def answer_unmade(mimetype: str) -> Response:
    """Answer HEAD without a body that costs much to make, and so without its ETag."""
    response = without_body(mimetype)
    response.headers["Cache-Control"] = CACHING
    return response


def answer_job(job_id: str) -> Response:
    """Answer a read of a job, after it is finished if the client waits for that.

    If the client names an ETag, its wait ends with the first change. Raises JobNotFound.
    """
    may_wait = can_wait()
    found = _wait_for_end(job_id)
    if _is_known(_job_etag(found)):
        response = Response(status=304)
    elif request.method == "HEAD":
        response = without_body(JSON)
    elif body := _kept.get(_key(found)):
        response = Response(body, mimetype=JSON)
    else:
        found, body = _read(job_id)
        response = Response(body, mimetype=JSON)
    return _with_wait(_tagged(response, _job_etag(found)), found, may_wait)


def answer_new_job(job_id: str) -> Response:
    """Answer with a new job: 201, or 202 if it is not finished. Raises JobNotFound."""
    response = answer_changed_job(job_id)
    if response.status_code == 200:
        response.status_code = 201
    response.headers["Location"] = job_url(job_id)
    return response


def answer_changed_job(job_id: str) -> Response:
    """Answer with a changed job: 200, or 202 if it is not finished.

    It waits for that as `answer_job` does. Raises JobNotFound.
    """
    may_wait = can_wait()
    _wait_for_end(job_id)
    job, body = _read(job_id)
    status = 200 if job.is_finished or job.is_receiving else 202
    response = _tagged(Response(body, status, mimetype=JSON), _job_etag(job))
    return _with_wait(response, job, may_wait)


def asks_for_picture() -> bool:
    """Return whether the client waits for an image, and accepts nothing else."""
    kinds = {
        mimetype.partition("/")[0] for mimetype, quality in request.accept_mimetypes if quality
    }
    return kinds == {"image"} and read_wait() > 0


def answer_picture(job_id: str) -> Response | None:
    """Answer with the one thumbnail of a job; None if it cannot.

    Raises ImageFailed.
    """
    image = current_jobs().job(job_id).images[0]
    if image.is_failed:
        raise ImageFailed(image.error_code or "", image.error_message or "")
    thumbnail = next(iter(image.thumbnails), None)
    if thumbnail is None or not request.accept_mimetypes.quality(f"image/{thumbnail.format}"):
        return None
    response = thumbnails.send(thumbnail.path)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Content-Disposition"] = content_disposition(
        "inline", f"{image_name(image.name)}-{thumbnail.file_name}"
    )
    del response.headers["Expires"]
    response.headers["Content-Location"] = thumbnail_url(thumbnail)
    response.headers["Link"] = f'<{job_url(job_id)}>; rel="describedby"'
    _tell_wait(response, read_wait())
    return response


def _wait_for_end(job_id: str) -> JobVersion:
    """Return the version of a job, at its end if the client can wait for that."""
    seconds, jobs = read_wait(), current_jobs()
    if not seconds:
        return jobs.version(job_id)
    read = partial(jobs.progress, job_id)
    return read_until(job_id, read, _is_awaited, seconds)


def _read(job_id: str) -> tuple[Job, bytes]:
    """Read a job, and keep its JSON for those who read it next."""
    jobs = current_jobs()
    with jobs.store.db.snapshot():
        job, fetches = jobs.job(job_id), jobs.store.fetches.of_job(job_id)
    body = _encode(describe_job(job, fetches))
    _kept.add(_key(job), body)
    return job, body


def _with_wait(response: Response, found: JobVersion, may_wait: bool) -> Response:
    """Tell what became of the wait that the client asked for, and when to ask again."""
    seconds = read_wait()
    may_wait = may_wait and not has_left()
    if seconds and may_wait:
        _tell_wait(response, seconds)
    is_unfinished = isinstance(found, JobSummary) and not found.is_finished
    if response.status_code == 202 or (seconds and not may_wait and is_unfinished):
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def _tell_wait(response: Response, seconds: float) -> None:
    """Tell a client that its preference to wait was applied (RFC 7240)."""
    response.vary.add("Prefer")
    if "Prefer" in request.headers:
        response.headers["Preference-Applied"] = f"wait={seconds:g}"


def _is_awaited(progress: JobSummary) -> bool:
    """Return whether the client waits for no more of a job than this."""
    has_news = bool(request.if_none_match) and not _is_known(_job_etag(progress))
    return progress.is_finished or has_news


def _key(job: JobVersion) -> Hashable:
    """Return all that the JSON of a job follows from.

    It is the same for all who read it.
    """
    return job.id, job.version, job.is_open, request.scheme, request.host, request.root_path


def _job_etag(job: JobVersion) -> str:
    """Return the ETag of a job; whether it is open may change without its version."""
    return f'"{_EDITION}-{job.version}-{job.is_open:d}"'


def _is_known(etag: str) -> bool:
    """Return whether the client has an answer with this ETag, of a read."""
    return request.method in ("GET", "HEAD") and request.if_none_match.contains_weak(
        etag.strip('"')
    )


def _tagged(response: Response, etag: str) -> Response:
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = CACHING
    return response
