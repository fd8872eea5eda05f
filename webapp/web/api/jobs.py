"""Create, follow, change and delete jobs."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from flask import Response, url_for
from flask.typing import ResponseReturnValue
from msgspec import UNSET

from webapp.engine.errors import ImageError
from webapp.jobs.errors import FileTooLarge, TooManyImages
from webapp.jobs.idempotency import Hold
from webapp.jobs.models import MissingFile
from webapp.jobs.names import clean_name
from webapp.jobs.tasks import notify_workers
from webapp.jobs.upload import Upload
from webapp.web.addresses import current_origin
from webapp.web.api import schemas
from webapp.web.api.answers import (
    answer,
    answer_changed_job,
    answer_job,
    answer_new_job,
    answer_picture,
    asks_for_picture,
)
from webapp.web.api.errors import JobWithoutImages
from webapp.web.api.forms import FORM_PARAMETERS, AskedJob, read_new_job
from webapp.web.api.operations import (
    BINARY,
    FORM,
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    IMAGE,
    JSON,
    UNCHANGED,
    WAIT,
    WAIT_FOR_CHANGE,
    Answer,
    Parameter,
    operation,
)
from webapp.web.api.problems import Problems
from webapp.web.api.reading import (
    read_cursor,
    read_hours,
    read_json,
    read_limit,
    write_cursor,
)
from webapp.web.api.recipes import read_recipe, to_point
from webapp.web.api.representations import summarize_job
from webapp.web.app_context import current_huey, current_jobs
from webapp.web.clients import become_owner, client_name, current_owner, require_owner
from webapp.web.idempotency import idempotent
from webapp.web.limits import admit_new_job

# Of one file: others of the same request may be accepted.
FILE_ERRORS = (ImageError, FileTooLarge, TooManyImages)

NEW = (
    Answer(
        201,
        "The job, finished or open for more images.",
        schemas.Job,
        headers=("Location", "ETag"),
    ),
    Answer(
        202,
        "The job, whose images are being worked on.",
        schemas.Job,
        headers=("Location", "ETag", "Retry-After"),
    ),
)
CHANGED = (
    Answer(200, "The changed job, finished or open for more images.", schemas.Job),
    Answer(
        202,
        "The changed job, whose images are being worked on.",
        schemas.Job,
        headers=("Retry-After",),
    ),
)
FOUND = (
    Answer(200, "The job.", schemas.Job, headers=("ETag",)),
    UNCHANGED,
)


@operation(
    "POST",
    "/jobs",
    tag="Jobs",
    parameters=(*FORM_PARAMETERS, *WAIT, IDEMPOTENCY_KEY),
    bodies={FORM: schemas.NewJobForm, JSON: schemas.NewJob, IMAGE: None, BINARY: None},
    answers=(
        *NEW,
        Answer(
            200,
            "The thumbnail itself: of one image and one output, for `Accept: image/*` and a wait.",
            media_types=(IMAGE,),
        ),
    ),
    errors=(400, 403, 409, 411, 413, 415, 422, 429, 503, 507),
)
def create_job() -> ResponseReturnValue:
    """Create a job.

    Send images as files of a form of any field names, with the recipe as `preset`, as `recipe` in
    JSON, or as the fields of one output. Or send one image as the body, with the same fields in the
    query. Or send JSON with the `url` of one image, which the server fetches. The job is then
    closed. Or send JSON without images: the job is open, and takes images one by one until you
    close it.

    With a wait, the answer comes when the job is finished. For a job of one image and one output,
    `Accept: image/*` then answers with the thumbnail.
    """
    with idempotent() as attempt:
        asked = read_new_job()
        if first := attempt.replay(replace(asked, files=()), asked.files, asked.fetched):
            return first
        job_id = attempt.job_id or _create(asked, attempt.hold)
        response = answer_new_job(job_id)
        if asks_for_picture() and len(asked.files) == len(asked.recipe.outputs) == 1:
            response = answer_picture(job_id) or response
        return attempt.answer(response)


def _create(asked: AskedJob, hold: Hold | None) -> str:
    """Create the job that is asked for, with its files, and return its id."""
    admit_new_job()
    jobs, owner, origin = current_jobs(), become_owner(), current_origin()
    if len(asked.files) == 1:
        ((upload, name),) = asked.files
        job_id = jobs.submit_image(
            asked.recipe,
            owner,
            upload,
            name,
            client_name(),
            asked.keep_hours,
            reuses=True,
            hold=hold,
            callback_url=asked.callback_url,
            origin=origin,
            job_name=asked.name,
        )
        notify_workers(current_huey())
        return job_id
    job_id = jobs.submit(
        asked.recipe,
        owner,
        asked.keep_hours,
        hold=hold,
        callback_url=asked.callback_url,
        origin=origin,
        job_name=asked.name,
    )
    if asked.files or asked.url is not None:
        try:
            if asked.url is not None:
                jobs.add_url(job_id, asked.url, None, None, client_name())
            jobs.close(job_id, _add_all(job_id, asked.files))
        except BaseException:
            jobs.delete(job_id)  # Sending the request again would create half of the job twice.
            raise
    return job_id


def _add_all(job_id: str, files: Sequence[tuple[Upload, str]]) -> list[MissingFile]:
    """Add all acceptable files, and return the others.

    Raises the error of the last if none is.
    """
    refused: list[MissingFile] = []
    for upload, name in files:
        try:
            current_jobs().add_image(job_id, upload, name, None, client_name(), reuses=True)
            notify_workers(current_huey())
        except FILE_ERRORS as error:
            refused.append(MissingFile(clean_name(name), str(error)))
            if len(refused) == len(files):
                raise
    return refused


@operation(
    "GET",
    "/jobs",
    tag="Jobs",
    parameters=(
        Parameter("limit", "query", schemas.PageSize, "Jobs of a page; 50 without it."),
        Parameter("cursor", "query", str, "The place of a page, as in the address of the next."),
        IF_NONE_MATCH,
    ),
    answers=(
        Answer(200, "Your jobs.", schemas.JobPage, headers=("Link", "ETag")),
        UNCHANGED,
    ),
    errors=(422,),
)
def list_jobs() -> Response:
    """List your jobs, newest first.

    They are those of your token, or of your session. The header `Link` has the next page.
    """
    limit, place = read_limit(), read_cursor()
    owner = current_owner()
    listed, next_place = current_jobs().store.jobs.page(owner, place, limit)
    next_page = None
    if next_place:
        cursor = write_cursor(next_place)
        next_page = url_for("api.list_jobs", limit=limit, cursor=cursor, _external=True)
    jobs = [summarize_job(job) for job in listed]
    response = answer(schemas.JobPage(jobs=jobs, next=next_page))
    if next_page:
        response.headers["Link"] = f'<{next_page}>; rel="next"'
    return response


@operation(
    "GET",
    "/jobs/<uuid:job_id>",
    tag="Jobs",
    parameters=WAIT_FOR_CHANGE,
    answers=FOUND,
    errors=(404, 410, 422),
)
def get_job(job_id: UUID) -> Response:
    """Read a job.

    Anyone who knows its id may read it. With a wait, the answer comes when the job is finished.
    """
    return answer_job(str(job_id))


@operation(
    "PATCH",
    "/jobs/<uuid:job_id>",
    tag="Jobs",
    parameters=WAIT,
    bodies={JSON: schemas.JobChanges},
    answers=CHANGED,
    errors=(403, 404, 410, 415, 422, 429, 503, 507),
)
def change_job(job_id: UUID) -> Response:
    """Change a job.

    Change its name, how long it is kept, its recipe, or the focal point of its images. Another
    recipe or focal point makes those thumbnails again that it changes. They stay until they are
    replaced.
    """
    require_owner(str(job_id))
    jobs, problems = current_jobs(), Problems()
    changes = read_json(schemas.JobChanges, problems) or schemas.JobChanges()
    hours = read_hours(changes.keep_hours, problems)
    recipe = None
    if changes.presets is not UNSET or changes.outputs is not UNSET:
        recipe = read_recipe(changes.presets or [], changes.outputs or [], problems)
    problems.raise_if_any()
    queues_again = recipe is not None or changes.focal_point is not UNSET
    if queues_again:
        jobs.limits.admit_images(client_name())
    with jobs.store.db.transaction():  # All changes or none.
        if changes.name is not UNSET:
            jobs.rename(str(job_id), changes.name)
        if hours is not None:
            jobs.extend(str(job_id), hours)
        if recipe is not None:
            jobs.remake(str(job_id), recipe, client_name())
        if changes.focal_point is not UNSET:
            jobs.set_focal_point(str(job_id), None, to_point(changes.focal_point), client_name())
    if queues_again:
        notify_workers(current_huey())
    return answer_changed_job(str(job_id))


@operation(
    "DELETE",
    "/jobs/<uuid:job_id>",
    tag="Jobs",
    answers=(Answer(204, "The job is deleted."),),
    errors=(403, 404, 410),
)
def delete_job(job_id: UUID) -> ResponseReturnValue:
    """Delete a job.

    All its files are deleted with it. You can restore it for a minute.
    """
    require_owner(str(job_id))
    current_jobs().delete_with_undo(str(job_id))
    return "", 204


@operation(
    "POST",
    "/jobs/<uuid:job_id>/restore",
    tag="Jobs",
    parameters=WAIT,
    answers=CHANGED,
    errors=(403, 404, 410),
)
def restore_job(job_id: UUID) -> Response:
    """Restore a deleted job.

    That is possible within a minute.
    """
    if current_jobs().restore(str(job_id), current_owner(), client_name()):
        notify_workers(current_huey())
    require_owner(str(job_id))  # It may be too late, or was restored already.
    return answer_changed_job(str(job_id))


@operation(
    "POST",
    "/jobs/<uuid:job_id>/close",
    tag="Jobs",
    parameters=WAIT,
    answers=CHANGED,
    errors=(403, 404, 410),
)
def close_job(job_id: UUID) -> Response:
    """Close a job.

    It takes no more images. A job without images is deleted, which answers 422 `no_images`.
    """
    require_owner(str(job_id))
    if not current_jobs().close(str(job_id)):
        raise JobWithoutImages
    return answer_changed_job(str(job_id))


@operation(
    "POST",
    "/jobs/<uuid:job_id>/reopen",
    tag="Jobs",
    answers=CHANGED[:1],
    errors=(403, 404, 410, 422),
)
def reopen_job(job_id: UUID) -> Response:
    """Reopen a job, for more images."""
    require_owner(str(job_id))
    current_jobs().reopen(str(job_id))
    return answer_changed_job(str(job_id))


@operation(
    "POST",
    "/jobs/<uuid:job_id>/retry",
    tag="Jobs",
    parameters=WAIT,
    answers=CHANGED,
    errors=(403, 404, 410, 429, 503, 507),
)
def retry_job(job_id: UUID) -> Response:
    """Retry a job.

    The images whose failure may pass are retried, or if there are none, the cancelled ones.
    """
    require_owner(str(job_id))
    current_jobs().retry(str(job_id), None, client_name())
    notify_workers(current_huey())
    return answer_changed_job(str(job_id))


@operation(
    "POST",
    "/jobs/<uuid:job_id>/cancel",
    tag="Jobs",
    parameters=WAIT,
    answers=CHANGED,
    errors=(403, 404, 410),
)
def cancel_job(job_id: UUID) -> Response:
    """Cancel a job.

    Images that wait or are to be fetched are cancelled. Those that are worked on are finished.
    """
    require_owner(str(job_id))
    current_jobs().cancel(str(job_id))
    return answer_changed_job(str(job_id))


@operation(
    "POST",
    "/jobs/<uuid:job_id>/remake",
    tag="Jobs",
    parameters=WAIT,
    bodies={JSON: schemas.Recipe},
    answers=CHANGED,
    errors=(403, 404, 410, 415, 422, 429, 503, 507),
)
def remake_job(job_id: UUID) -> Response:
    """Remake a job with another recipe.

    Only those are made that the job does not have. Images that were cancelled before they had
    thumbnails are left out.
    """
    require_owner(str(job_id))
    problems = Problems()
    asked = read_json(schemas.Recipe, problems)
    recipe = read_recipe(asked.presets, asked.outputs, problems) if asked else None
    problems.raise_if_any()
    assert recipe is not None
    current_jobs().remake(str(job_id), recipe, client_name())
    notify_workers(current_huey())
    return answer_changed_job(str(job_id))
