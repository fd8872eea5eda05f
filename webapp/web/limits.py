"""Check requests against access and limits, before their body is read."""

from math import ceil

from flask import Flask, abort, request
from werkzeug.exceptions import (
    RequestHeaderFieldsTooLarge,
    RequestURITooLarge,
    SecurityError,
)

from webapp.config import MB
from webapp.jobs.errors import Busy, TooManyJobs
from webapp.web.access import AccessRequired, InvalidToken, admit_bearer, require_access
from webapp.web.app_context import current_config, current_jobs
from webapp.web.clients import client_name
from webapp.web.cors import comes_from_other_site, may_call_api

SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}  # They change nothing.
MAKE_JOBS = {
    "uploads.open_job",
    "uploads.create",
    "thumbnail_api.upload_image",
}
NEED_NO_ACCESS = {"access.sign_in", "access.sign_out", None}  # None: no route matches.
OTHER_MB = 1  # Of a form without images.
TAKE_IMAGES = {
    *MAKE_JOBS,
    "api.create_job",  # It counts its job itself: a request that is sent again makes none.
    "uploads.add_images",
    "uploads.add_photos",
    "changes.replace",
    "api.add_image",
    "api.replace_image",
}
# These queue existing images again.
QUEUE_AGAIN = {
    "changes.enlarge",
    "changes.remake",
    "changes.retry",
    "images.retry",
    "images.set_focal_point",
    "images.set_quality",
    "api.remake_job",
    "api.retry_image",
    "api.retry_job",
}
# Where the environment of a request that gunicorn could not read has the error.
UNREADABLE = "webapp.unreadable"
# For every method. Flask raises these itself after all hooks, of which one reads the form.
REFUSED_UNREAD = (SecurityError, RequestHeaderFieldsTooLarge, RequestURITooLarge)


class RequestTooLarge(Exception):
    """A request has more bytes than a request may have."""

    code = "request_too_large"

    def __init__(self, size: int, limit_mb: int) -> None:
        super().__init__(
            f"That is {ceil(size / MB)} MB at once; the limit is {limit_mb} MB. Send fewer files."
        )


def init_app(app: Flask) -> None:
    """Register the check first: CSRF protection reads the form."""
    app.before_request(admit)


def admit() -> None:
    """Refuse requests that are not allowed or are over a limit.

    The length that a request announces counts towards the client's limit, even if the request then
    fails, because receiving the body costs the same.
    Raises AccessRequired, InvalidToken, Busy, RequestTooLarge, LengthRequired where nothing is
    announced, Forbidden, SecurityError where the host is not one that we answer to,
    RequestHeaderFieldsTooLarge or RequestURITooLarge.
    """
    if UNREADABLE in request.environ:
        raise request.environ[UNREADABLE]
    if isinstance(request.routing_exception, REFUSED_UNREAD):
        raise request.routing_exception
    if request.method in SAFE_METHODS:
        admit_bearer()
        return
    _refuse_other_sites()
    takes_images = request.endpoint in TAKE_IMAGES
    size = request.content_length
    if size is None and (takes_images or "Transfer-Encoding" in request.headers):
        abort(411, "Send the length of the request as Content-Length.")
    try:
        admit_bearer()
        _admit_bytes_and_jobs(size or 0, takes_images)
    except (AccessRequired, InvalidToken, Busy, RequestTooLarge) as error:
        if takes_images:
            current_jobs().limits.count_refused(error.code)
        raise


def admit_new_job() -> None:
    """Count one more job of the client, after its request was read.

    Raises TooManyJobs.
    """
    limits = current_jobs().limits
    try:
        limits.admit_job(client_name())
    except TooManyJobs as error:
        limits.count_refused(error.code)
        raise


def _refuse_other_sites() -> None:
    """Refuse requests that pages of other sites make browsers send.

    They would use up the visitor's limits, and the cookie of the answer would replace the
    visitor's. An allowed site may use the API, where its requests have no cookie.
    """
    if comes_from_other_site() and not may_call_api():
        abort(403, "Only programs and this site's own pages may send this.")


def _admit_bytes_and_jobs(size: int, takes_images: bool) -> None:
    if request.endpoint not in NEED_NO_ACCESS:
        require_access()
    limits, client = current_jobs().limits, client_name()
    brings_work = takes_images or request.endpoint in QUEUE_AGAIN
    if brings_work:
        limits.admit_images(client)
    limit_mb = OTHER_MB
    if takes_images:
        limit_mb = min(current_config().max_request_mb, limits.mb_per_hour(client))
    if size > limit_mb * MB:  # First, or it would count towards the client's hour.
        raise RequestTooLarge(size, limit_mb)
    # Counted apart: a client over its hour can still cancel, delete and sign out.
    limits.admit_bytes(client, size, "bytes" if brings_work else "form bytes")
    if request.endpoint in MAKE_JOBS:
        limits.admit_job(client)
