"""The routes of thumbnail-api, for its clients, which work unchanged."""

from uuid import UUID

from flask import Blueprint, abort, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp.jobs.errors import JobGone, JobNotFound
from webapp.jobs.models import Image
from webapp.jobs.tasks import notify_workers
from webapp.recipes.outputs import Recipe
from webapp.recipes.presets import PRESETS
from webapp.web.app_context import current_config, current_huey, current_jobs
from webapp.web.clients import become_owner, client_name
from webapp.web.security import csrf
from webapp.web.upload_request import received_upload
from webapp.web.views import thumbnails

blueprint = Blueprint("thumbnail_api", __name__)
csrf.exempt(blueprint)  # Programs have no page with a token.

RECIPE = PRESETS["square"].recipe


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
    """Return the status of a job."""
    image = _only_image(job_id)
    if not image.is_finished:
        return jsonify(status="Processing")
    if image.is_failed:
        return jsonify(status="Error", error=image.error_message)
    if not image.is_done and not _paths(image):  # Thumbnails that were made before still exist.
        return jsonify(status="Error", error="This image was cancelled.")
    thumbnail_url = url_for("thumbnail_api.download_thumbnail", job_id=job_id)
    return jsonify(status="Succeeded"), 303, {"Location": thumbnail_url}


@blueprint.get("/download_thumbnail/<job_id>")
def download_thumbnail(job_id: str) -> ResponseReturnValue:
    """Send the thumbnail of a job."""
    paths = _paths(_only_image(job_id))
    if not paths:
        abort(404, "This job has no such thumbnail, or not yet.")
    return thumbnails.thumbnail(paths[0])


@blueprint.get("/docs")
def docs() -> str:
    """Document these routes."""
    return render_template(
        "thumbnail_api/docs.html", needs_token=bool(current_config().access_token)
    )


def _paths(image: Image) -> list[str]:
    wanted = RECIPE.outputs[0].file_name
    return [made.path for made in image.thumbnails if made.file_name == wanted]


def _only_image(job_id: str) -> Image:
    """Read the image of a job created here, or the first one with this thumbnail.

    Raises JobNotFound, also if the id is no UUID.
    """
    try:
        job = current_jobs().job(str(UUID(job_id)))
    except (ValueError, JobGone):  # Its clients know no jobs that are gone: 404.
        raise JobNotFound from None
    if not job.images or RECIPE.outputs[0] not in Recipe.from_json(job.recipe).outputs:
        raise JobNotFound
    return job.images[0]
