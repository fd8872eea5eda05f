"""Responses that several views share."""

from datetime import UTC, datetime
from math import inf
from pathlib import Path

from flask import Response, abort, make_response, request, send_file
from werkzeug.datastructures import FileStorage

from webapp.jobs.errors import TooManyImages
from webapp.jobs.models import Thumbnail
from webapp.jobs.tasks import notify_workers
from webapp.jobs.upload import Upload
from webapp.recipes.outputs import Recipe
from webapp.web.app_context import current_config, current_huey, current_jobs
from webapp.web.clients import become_owner, client_name

# Up to an age in seconds, a page polls at an interval in milliseconds.
POLL_PACES = ((30, 500), (120, 1000), (600, 2000), (inf, 5000))

# An image runs no script, whatever it contains. deploy/nginx sends the same for thumbnails.
PICTURE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


def pace(begun: datetime) -> int:
    """Return the poll interval in milliseconds: long jobs are polled less often."""
    age = (datetime.now(UTC) - begun).total_seconds()
    return next(milliseconds for limit, milliseconds in POLL_PACES if age < limit)


def fresh(body: str, status: int = 200) -> Response:
    """Answer with what no cache may keep."""
    response = make_response(body, status)
    response.headers["Cache-Control"] = "no-store"
    return response


def without_body(mimetype: str = "text/html") -> Response:
    """Answer HEAD without making the body that GET would send.

    The answer has no Content-Length, and no cache may keep it.
    """
    response = Response(iter(()), mimetype=mimetype)
    response.cache_control.no_store = True
    return response


def send_picture(file: Path, mimetype: str, cache_control: str) -> Response:
    """Send an image file, or that it has not changed.

    Raises NotFound where it is gone.
    """
    try:
        response = send_file(file, mimetype=mimetype)
    except FileNotFoundError:
        abort(404)
    response.headers.update(PICTURE_HEADERS)
    response.headers["Cache-Control"] = cache_control
    return response


def address_here(thumbnail: Thumbnail) -> str:
    """Return the absolute URL of a thumbnail on this server."""
    return request.host_url.rstrip("/") + thumbnail.url


def submit_image(recipe: Recipe, file: FileStorage) -> str:
    """Create a job of an uploaded file, notify the workers, and return its id.

    Raises what Jobs.submit_image raises.
    """
    name = file.filename or ""
    job_id = current_jobs().submit_image(recipe, become_owner(), _upload(file), name, client_name())
    notify_workers(current_huey())
    return job_id


def add_image(job_id: str, file: FileStorage, position: int | None = None) -> str:
    """Add an uploaded file to a job, notify the workers, and return the image's id.

    Raises what Jobs.add_image raises.
    """
    name = file.filename or ""
    image_id = current_jobs().add_image(job_id, _upload(file), name, position, client_name())
    notify_workers(current_huey())
    return image_id


def _upload(file: FileStorage) -> Upload:
    """Return the upload that UploadRequest received a file into.

    Raises TooManyImages where the form has more files than a job has images.
    """
    if not isinstance(file.stream, Upload):
        raise TooManyImages(current_config().max_images)
    return file.stream
