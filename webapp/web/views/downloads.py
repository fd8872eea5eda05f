"""Download a job: its thumbnails in a zip, and the markup that shows them."""

from contextlib import suppress
from uuid import UUID

from flask import Blueprint, Response, abort, request
from zipstream import ZipStream

from webapp.exports.archive import NoThumbnails, address_in_zip, archive_name, pack, read_job
from webapp.exports.file_names import DEFAULT_PATTERN, check_pattern
from webapp.exports.markup import (
    RELATIVE,
    WRITERS,
    Address,
    UnknownMarkup,
    Writer,
    alt_text,
    write_image,
    write_job,
)
from webapp.jobs.errors import ImageNotFound, JobNotFound
from webapp.jobs.models import Job
from webapp.recipes.outputs import Recipe
from webapp.web.addresses import absolute_thumbnail_url
from webapp.web.app_context import current_jobs
from webapp.web.clients import client_name
from webapp.web.views.responses import content_disposition, without_body

READS = 3  # Of a job whose files vanish meanwhile.

blueprint = Blueprint("downloads", __name__, url_prefix="/jobs")


@blueprint.get("/<uuid:job_id>/zip")
def archive(job_id: UUID) -> Response:
    """Download the thumbnails of a job as a zip.

    It has all thumbnails so far, named by the pattern `names`. It is `of` one image (its id), or of
    all.
    """
    pattern = request.args.get("names") or DEFAULT_PATTERN
    if request.method == "HEAD":
        return _archive_unmade(str(job_id), pattern)
    current_jobs().limits.admit_packing(client_name(), str(job_id))
    job, packed = _pack(str(job_id), request.args.get("of"), pattern)
    response = Response(iter(packed), mimetype="application/zip")
    response.content_length = len(packed)
    # A later zip may have more files: ranges of the two do not fit.
    response.accept_ranges = "none"
    response.cache_control.no_store = True
    response.headers["Content-Disposition"] = content_disposition("attachment", archive_name(job))
    return response


def _pack(job_id: str, image_id: str | None, pattern: str) -> tuple[Job, ZipStream]:
    """Prepare the zip of a job, or of one image of it.

    Between the reads of rows and files, the job may be deleted, or an image made again: then it is
    read once more.
    """
    for _ in range(READS):
        job = _only(read_job(current_jobs(), job_id), image_id)
        with suppress(FileNotFoundError):
            return job, pack(job, current_jobs().storage, pattern)
    raise JobNotFound


def _only(job: Job, image_id: str | None) -> Job:
    """Return a job with one of its images, or with all. Raises ImageNotFound."""
    if not image_id:
        return job
    chosen = tuple(image for image in job.images if image.id == image_id)
    if not chosen:
        raise ImageNotFound
    return job.with_images(chosen)


def _archive_unmade(job_id: str, pattern: str) -> Response:
    """Answer HEAD of a zip, which takes up to 2 s to make.

    Raises JobNotFound, InvalidPattern or NoThumbnails, as making it does.
    """
    job = current_jobs().progress(job_id)
    check_pattern(pattern)
    if not current_jobs().store.jobs.has_thumbnails(job_id):
        raise NoThumbnails(job.is_finished)
    return without_body("application/zip")


@blueprint.get("/<uuid:job_id>/markup")
def markup(job_id: UUID) -> Response:
    """Write the markup of a job.

    It is `as` html, markdown or url, with URLs of this server. With `as` relative, it is HTML with
    the paths of the zip whose pattern is `names`. It is `of` all images of a job, of one (its id),
    of the files of one output (`id/output`), or of one thumbnail (`id/file-name`).
    """
    kind = request.args.get("as", "html")
    if kind not in WRITERS:
        raise UnknownMarkup
    pattern = (request.args.get("names") or DEFAULT_PATTERN) if kind == RELATIVE else None
    of = request.args.get("of", "")
    if request.method == "HEAD" and not of:
        current_jobs().progress(str(job_id))
        check_pattern(pattern or DEFAULT_PATTERN)
        return without_body("text/plain")
    text = _write(str(job_id), of, WRITERS[kind], pattern)
    response = Response(f"{text}\n", mimetype="text/plain")
    response.cache_control.no_store = True
    return response


def _write(job_id: str, of: str, write: Writer, pattern: str | None) -> str:
    """Write markup with paths of the zip of a pattern, or with URLs of this server."""
    if not of:
        current_jobs().limits.admit_packing(client_name(), job_id)
        job = current_jobs().job(job_id)
        return write_job(job, _address(job, pattern), write)
    image_id, _, file_name = of.partition("/")
    job, image = current_jobs().image(job_id, image_id)
    address = _address(job, pattern)
    if not file_name:
        return write_image(image, Recipe.from_json(job.recipe), address, write)
    chosen = [made for made in image.thumbnails if file_name in (made.file_name, made.output)]
    if not chosen:
        abort(404)
    return write(chosen, address, alt_text(image))


def _address(job: Job, pattern: str | None) -> Address:
    return absolute_thumbnail_url if pattern is None else address_in_zip(job, pattern)
