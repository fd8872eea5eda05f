"""Answers of the API: JSON with an ETag, and waiting for the end of a job."""

from functools import partial
from hashlib import sha256
from operator import attrgetter
from typing import Any

import msgspec
from flask import Response, request

from webapp.exports.file_names import image_name
from webapp.jobs.models import JobSummary
from webapp.web.api import schemas
from webapp.web.api.errors import ImageFailed
from webapp.web.api.operations import JSON
from webapp.web.api.reading import read_wait
from webapp.web.api.representations import describe_job, job_url
from webapp.web.app_context import current_jobs
from webapp.web.views import thumbnails
from webapp.web.views.responses import content_disposition, without_body

RETRY_SECONDS = 1  # Between two reads of a job that is not finished.

# Of what answers contain, so that an ETag does not outlive an upgrade.
_EDITION = sha256(msgspec.json.encode(msgspec.json.schema(schemas.Job))).hexdigest()[:8]
_encode = msgspec.json.Encoder().encode


def answer(value: Any, status: int = 200) -> Response:
    """Answer with JSON; 304 where the client has the same already."""
    return _with_etag(_encode(value), None, status)


def answer_job(job_id: str, *, is_new: bool = False, is_changed: bool = False) -> Response:
    """Answer with a job, after it is finished if the client waits for that.

    If the client names an ETag, its wait ends with the first change. A new job answers 201 and a
    changed one 200, or 202 if it is not finished. Raises JobNotFound.
    """
    seconds, jobs = read_wait(), current_jobs()
    progress: JobSummary
    read = partial(jobs.progress, job_id)
    can_wait = jobs.watch.has_place
    if seconds and can_wait:
        progress = jobs.watch.read_until(job_id, read, _is_awaited, seconds)
    else:
        progress = read()
    if _is_known(_job_etag(progress)) or request.method == "HEAD":
        response = _with_etag(b"", _job_etag(progress), 200)
    else:
        with jobs.store.db.snapshot():
            job, fetches = jobs.job(job_id), jobs.store.fetches.of_job(job_id)
        status = 200
        if (is_new or is_changed) and not (job.is_finished or job.is_receiving):
            status = 202
        elif is_new:
            status = 201
        response = _with_etag(_encode(describe_job(job, fetches)), _job_etag(job), status)
        progress = job
    if is_new:
        response.headers["Location"] = job_url(job_id)
    if seconds:
        response.vary.add("Prefer")
    if seconds and can_wait and "Prefer" in request.headers:
        response.headers["Preference-Applied"] = f"wait={seconds:g}"
    if response.status_code == 202 or (seconds and not can_wait and not progress.is_finished):
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def asks_for_picture() -> bool:
    """Return whether the client waits for an image, and accepts neither JSON nor HTML."""
    accepted = [mimetype.partition("/") for mimetype, _ in request.accept_mimetypes]
    return bool(accepted) and all(kind == "image" for kind, *_ in accepted) and read_wait() > 0


def answer_picture(job_id: str) -> Response:
    """Answer with the thumbnail of a new job that makes one, after waiting for it.

    If it is not made by then, the answer is the job. Raises ImageFailed.
    """
    jobs = current_jobs()
    read = partial(jobs.progress, job_id)
    jobs.watch.read_until(job_id, read, attrgetter("is_finished"), read_wait())
    job = jobs.job(job_id)
    image = job.images[0]
    if image.is_failed:
        raise ImageFailed(image.error_code or "", image.error_message or "")
    if not image.thumbnails:
        return answer_job(job_id, is_new=True)
    thumbnail = image.thumbnails[0]
    response = thumbnails.send(thumbnail.path)
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Content-Disposition"] = content_disposition(
        "inline", f"{image_name(image.name)}-{thumbnail.file_name}"
    )
    del response.headers["Expires"]
    response.headers["Content-Location"] = thumbnail.url
    response.headers["Link"] = f'<{job_url(job_id)}>; rel="describedby"'
    return response


def _is_awaited(progress: JobSummary) -> bool:
    """Return whether the client waits for no more of a job than this."""
    has_news = bool(request.if_none_match) and not _is_known(_job_etag(progress))
    return progress.is_finished or has_news


def _job_etag(job: JobSummary) -> str:
    """Return the ETag of a job; whether it is open may change without its version."""
    return f'"{_EDITION}-{job.version}-{job.is_open:d}"'


def _is_known(etag: str) -> bool:
    """Return whether the client has an answer with this ETag. Only reads may be left out."""
    return request.method in ("GET", "HEAD") and request.if_none_match.contains_weak(
        etag.strip('"')
    )


def _with_etag(body: bytes, etag: str | None, status: int) -> Response:
    etag = etag or f'"{sha256(body).hexdigest()[:16]}"'
    if _is_known(etag):
        response = Response(status=304)
    elif request.method == "HEAD":
        response = without_body(JSON)
    else:
        response = Response(body, status, mimetype=JSON)
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "private, no-cache"
    return response
