"""The routes of thumbnail-api, for its clients, which work unchanged."""

from functools import lru_cache, partial
from operator import attrgetter
from uuid import UUID

from flask import Blueprint, abort, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.jobs.errors import JobNotFound
from webapp.jobs.models import FirstImage
from webapp.jobs.tasks import notify_workers
from webapp.recipes.outputs import Recipe
from webapp.recipes.presets import PRESETS, offered_presets
from webapp.web.app_context import current_config, current_huey, current_jobs
from webapp.web.clients import become_owner, client_name
from webapp.web.security import csrf
from webapp.web.upload_request import received_upload
from webapp.web.views import thumbnails

blueprint = Blueprint("thumbnail_api", __name__)
csrf.exempt(blueprint)  # Programs have no page with a token.

RECIPE = PRESETS["square"].recipe
OUTPUT = RECIPE.outputs[0]
WAIT_SECONDS = 1.0  # For a job to finish; clients may give up after some seconds.


@blueprint.post("/upload_image")
def upload_image() -> ResponseReturnValue:
    """Submit the one image of a new job."""
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
def check_job_status(job_id: str) -> ResponseReturnValue:
    """Return the status of a job.

    A job that is processing may finish within a second: the answer waits for that, so that clients
    poll less often.
    """
    job_id = _read_id(job_id)
    read, is_finished = partial(_first_image, job_id), attrgetter("is_finished")
    image = current_jobs().watch.read_until(job_id, read, is_finished, WAIT_SECONDS)
    if not image.is_finished:
        return jsonify(status="Processing")
    if image.status == "failed":
        return jsonify(status="Error", error=image.error_message)
    if not image.path:  # An image that was made before still has its thumbnail.
        return jsonify(status="Error", error="This image was cancelled.")
    thumbnail_url = url_for("thumbnail_api.download_thumbnail", job_id=job_id)
    return jsonify(status="Succeeded"), 303, {"Location": thumbnail_url}


@blueprint.get("/download_thumbnail/<job_id>")
def download_thumbnail(job_id: str) -> ResponseReturnValue:
    """Send the thumbnail of a job."""
    path = _first_image(_read_id(job_id)).path
    if not path:
        abort(404, "This job has no such thumbnail, or not yet.")
    return thumbnails.send(path)


@blueprint.get("/docs")
def docs() -> str:
    """Document these routes."""
    return render_template(
        "thumbnail_api/docs.html",
        needs_token=bool(current_config().access_token),
        presets=offered_presets(current_jobs().recipe_limits),
    )


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
