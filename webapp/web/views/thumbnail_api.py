"""The routes of thumbnail-api, for its clients, which work unchanged."""

from functools import lru_cache, partial
from operator import attrgetter
from typing import Annotated, Literal
from uuid import UUID

from flask import Blueprint, abort, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from msgspec import UNSET, Struct, UnsetType

from webapp.jobs.errors import JobNotFound
from webapp.jobs.models import FirstImage
from webapp.jobs.tasks import notify_workers
from webapp.recipes.outputs import Recipe
from webapp.recipes.presets import PRESETS
from webapp.web.api.operations import FORM, Answer, described
from webapp.web.api.schemas import says
from webapp.web.app_context import current_huey, current_jobs
from webapp.web.clients import become_owner, client_name
from webapp.web.security import csrf
from webapp.web.upload_request import received_upload
from webapp.web.views import thumbnails
from webapp.web.waiting import read_until

blueprint = Blueprint("thumbnail_api", __name__)
csrf.exempt(blueprint)  # Programs have no page with a token.

RECIPE = PRESETS["square"].recipe
OUTPUT = RECIPE.outputs[0]
WAIT_SECONDS = 1.0  # For a job to finish; clients may give up after some seconds.
TAG = "thumbnail-api"


class Upload(Struct):
    """An image to make a thumbnail of."""

    file: bytes


class UploadedJob(Struct, forbid_unknown_fields=True):
    """A new job."""

    job_id: str


class JobCheck(Struct, forbid_unknown_fields=True):
    """The status of a job."""

    status: Literal["Processing", "Error", "Succeeded"]
    error: Annotated[str | UnsetType, says("Why there is no thumbnail.")] = UNSET


class Failure(Struct):
    """An error of these routes."""

    detail: Annotated[str, says("A sentence for people.")]


@blueprint.post("/upload_image")
@described(
    "POST",
    "/upload_image",
    tag=TAG,
    bodies={FORM: Upload},
    answers=(Answer(202, "The id of the job.", UploadedJob, headers=("Location",)),),
    errors=(401, 411, 413, 415, 422, 429, 503, 507),
    error_kind=Failure,
)
def upload_image() -> ResponseReturnValue:
    """Make a thumbnail of one image: a JPEG of 100 × 100 pixels, on white."""
    file = request.files.get("file")
    if file is None:
        abort(422, "Send the image as the form field “file”.")
    job_id = current_jobs().submit_image(
        RECIPE, become_owner(), received_upload(file), file.filename or "", client_name()
    )
    notify_workers(current_huey())
    status_url = url_for("thumbnail_api.check_job_status", job_id=job_id)
    return jsonify(job_id=job_id), 202, {"Location": status_url}


@blueprint.get("/check_job_status/<job_id>")
@described(
    "GET",
    "/check_job_status/<job_id>",
    tag=TAG,
    answers=(
        Answer(200, "The thumbnail is not made yet, or cannot be made.", JobCheck),
        Answer(303, "The thumbnail is made.", JobCheck, headers=("Location",)),
    ),
    errors=(404,),
    error_kind=Failure,
)
def check_job_status(job_id: str) -> ResponseReturnValue:
    """Return the status of a job.

    A job that is processing may finish within a second: the answer waits for that, so that clients
    poll less often.
    """
    job_id = _read_id(job_id)
    read, is_finished = partial(_first_image, job_id), attrgetter("is_finished")
    image = read_until(job_id, read, is_finished, WAIT_SECONDS)
    if not image.is_finished:
        return jsonify(status="Processing")
    if image.status == "failed":
        return jsonify(status="Error", error=image.error_message)
    if not image.path:  # An image that was made before still has its thumbnail.
        return jsonify(status="Error", error="This image was cancelled.")
    thumbnail_url = url_for("thumbnail_api.download_thumbnail", job_id=job_id)
    return jsonify(status="Succeeded"), 303, {"Location": thumbnail_url}


@blueprint.get("/download_thumbnail/<job_id>")
@described(
    "GET",
    "/download_thumbnail/<job_id>",
    tag=TAG,
    answers=(Answer(200, "The thumbnail.", media_types=("image/jpeg",)),),
    errors=(404,),
    error_kind=Failure,
)
def download_thumbnail(job_id: str) -> ResponseReturnValue:
    """Send the thumbnail of a job."""
    path = _first_image(_read_id(job_id)).path
    if not path:
        abort(404, "This job has no such thumbnail, or not yet.")
    return thumbnails.offer(path)


def _read_id(text: str) -> str:
    """Return the id of a job as we write it. Raises JobNotFound."""
    try:
        return str(UUID(text))
    except ValueError:
        raise JobNotFound from None


def _first_image(job_id: str) -> FirstImage:
    """Read the image of a job created here, or the first one with this thumbnail.

    Raises JobNotFound, also if the job is gone: its clients know no 410.
    """
    image = current_jobs().store.jobs.first_image(job_id, OUTPUT.file_name)
    if image is None or not _has_output(image.recipe):
        raise JobNotFound
    return image


@lru_cache
def _has_output(recipe: str) -> bool:
    """Return whether a recipe has the output of thumbnail-api."""
    return OUTPUT in Recipe.from_json(recipe).outputs
