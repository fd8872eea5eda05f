"""Add images to a job, read and change them."""

from uuid import UUID

from flask import Response
from flask.typing import ResponseReturnValue
from msgspec import UNSET

from webapp.jobs.tasks import notify_workers
from webapp.web.api import schemas
from webapp.web.api.answers import answer, answer_changed_job
from webapp.web.api.forms import read_image
from webapp.web.api.operations import (
    BINARY,
    FILENAME,
    IF_NONE_MATCH,
    IMAGE,
    JSON,
    UNCHANGED,
    Answer,
    Parameter,
    operation,
)
from webapp.web.api.problems import Problems
from webapp.web.api.reading import read_json, read_position
from webapp.web.api.recipes import to_point
from webapp.web.api.representations import describe_fetch, describe_image
from webapp.web.app_context import current_huey, current_jobs
from webapp.web.clients import client_name, require_owner

POSITION = Parameter(
    "position",
    "query",
    schemas.Position,
    "The place among the images of the job. An image that you send a second time, because the"
    " answer was lost, is not added again at the same place.",
)
CHANGED = (
    Answer(200, "The changed image, which is finished.", schemas.Image),
    Answer(202, "The changed image, which is worked on.", schemas.Image, headers=("Retry-After",)),
)


@operation(
    "PUT",
    "/jobs/<uuid:job_id>/images",
    tag="Images",
    parameters=(FILENAME, POSITION),
    bodies={IMAGE: None, BINARY: None},
    answers=(Answer(201, "The new image.", schemas.Image, headers=("Location",)),),
    errors=(403, 404, 409, 410, 411, 413, 415, 422, 429, 503, 507),
)
def add_image(job_id: UUID) -> ResponseReturnValue:
    """Add an image to an open job.

    The image is the body of the request. Work on it begins at once. Send several side by side, with
    their positions. One that is refused is not in the job, nor among its missing files.
    """
    require_owner(str(job_id))
    upload, name = read_image()
    image_id = current_jobs().add_image(
        str(job_id), upload, name, read_position(), client_name(), reuses=True
    )
    notify_workers(current_huey())
    image = describe_image(current_jobs().one_image(str(job_id), image_id))
    return answer(image, 201), {"Location": image.url}


@operation(
    "POST",
    "/jobs/<uuid:job_id>/images",
    tag="Images",
    bodies={JSON: schemas.NewFetch},
    answers=(
        Answer(
            202, "The fetch. Read the job to follow it.", schemas.Fetch, headers=("Retry-After",)
        ),
    ),
    errors=(403, 404, 409, 410, 415, 422, 429, 503, 507),
)
def add_fetch(job_id: UUID) -> Response:
    """Let the server fetch an image.

    It becomes an image of the job, or a missing file with the reason. The settings of the server
    must allow it.
    """
    require_owner(str(job_id))
    jobs, problems = current_jobs(), Problems()
    asked = read_json(schemas.NewFetch, problems)
    problems.raise_if_any()
    assert asked
    jobs.limits.admit_images(client_name())
    fetch_id = jobs.add_url(str(job_id), asked.url, asked.name, asked.position, client_name())
    fetches = jobs.store.fetches.of_job(str(job_id))
    fetch = next((one for one in fetches if one.id == fetch_id), None)
    if fetch is None:  # The job was deleted meanwhile.
        raise jobs.not_found(str(job_id))
    return answer(describe_fetch(fetch), 202)


@operation(
    "GET",
    "/jobs/<uuid:job_id>/images/<uuid:image_id>",
    tag="Images",
    parameters=(IF_NONE_MATCH,),
    answers=(
        Answer(200, "The image.", schemas.Image, headers=("ETag",)),
        UNCHANGED,
    ),
    errors=(404, 410),
)
def get_image(job_id: UUID, image_id: UUID) -> Response:
    """Read one image of a job."""
    return _answer_image(str(job_id), str(image_id))


@operation(
    "PUT",
    "/jobs/<uuid:job_id>/images/<uuid:image_id>",
    tag="Images",
    parameters=(FILENAME,),
    bodies={IMAGE: None, BINARY: None},
    answers=(
        Answer(200, "The job, open for more images.", schemas.Job),
        Answer(
            202, "The job, whose new image is worked on.", schemas.Job, headers=("Retry-After",)
        ),
    ),
    errors=(403, 404, 409, 410, 411, 413, 415, 422, 429, 503, 507),
)
def replace_image(job_id: UUID, image_id: UUID) -> Response:
    """Replace an image that failed.

    The new image has an id of its own.
    """
    require_owner(str(job_id))
    upload, name = read_image()
    current_jobs().replace_image(str(job_id), str(image_id), upload, name, client_name())
    notify_workers(current_huey())
    return answer_changed_job(str(job_id))


@operation(
    "PATCH",
    "/jobs/<uuid:job_id>/images/<uuid:image_id>",
    tag="Images",
    bodies={JSON: schemas.ImageChanges},
    answers=CHANGED,
    errors=(403, 404, 410, 415, 422, 429, 503, 507),
)
def change_image(job_id: UUID, image_id: UUID) -> Response:
    """Change an image.

    Change its focal point or its alternative text. Another focal point makes the crops of the image
    again.
    """
    require_owner(str(job_id))
    jobs, problems = current_jobs(), Problems()
    changes = read_json(schemas.ImageChanges, problems) or schemas.ImageChanges()
    problems.raise_if_any()
    if changes.focal_point is not UNSET:
        jobs.limits.admit_images(client_name())
    with jobs.store.db.transaction():  # Both changes or none.
        if changes.alt is not UNSET:
            jobs.set_alt(str(job_id), str(image_id), changes.alt)
        if changes.focal_point is not UNSET:
            point = to_point(changes.focal_point)
            jobs.set_focal_point(str(job_id), str(image_id), point, client_name())
    if changes.focal_point is not UNSET:
        notify_workers(current_huey())
    return _answer_image(str(job_id), str(image_id), is_changed=True)


@operation(
    "POST",
    "/jobs/<uuid:job_id>/images/<uuid:image_id>/retry",
    tag="Images",
    answers=CHANGED,
    errors=(403, 404, 410, 429, 503, 507),
)
def retry_image(job_id: UUID, image_id: UUID) -> Response:
    """Retry an image.

    It must be cancelled, or have failed for a reason that may pass.
    """
    require_owner(str(job_id))
    current_jobs().retry(str(job_id), str(image_id), client_name())
    notify_workers(current_huey())
    return _answer_image(str(job_id), str(image_id), is_changed=True)


@operation(
    "POST",
    "/jobs/<uuid:job_id>/images/<uuid:image_id>/cancel",
    tag="Images",
    answers=CHANGED,
    errors=(403, 404, 410),
)
def cancel_image(job_id: UUID, image_id: UUID) -> Response:
    """Cancel an image, if it waits."""
    require_owner(str(job_id))
    current_jobs().store.queue.cancel(str(job_id), str(image_id))
    return _answer_image(str(job_id), str(image_id), is_changed=True)


def _answer_image(job_id: str, image_id: str, *, is_changed: bool = False) -> Response:
    """Answer with an image. Raises JobNotFound or ImageNotFound."""
    image = current_jobs().one_image(job_id, image_id)
    return answer(describe_image(image), 202 if is_changed and not image.is_finished else 200)
