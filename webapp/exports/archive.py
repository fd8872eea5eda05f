"""A job as one zip, written while it is sent: no temporary file, little memory.

    index.html       all thumbnails and what there is to say of them, to open from disk
    manifest.json    the same for programs; docs/http-api.md documents its keys
    errors.txt       what failed or is missing and why, if anything
    thumbnails/      the files

Thumbnails are compressed already, so they are stored as they are and the zip's length is known
before its first byte. What is replaced meanwhile, as the job is made again, stays for a while.
Where a file vanishes on the way, as the job is deleted, the iteration raises: the server then
breaks the connection off before that length is reached, which every client notices. A zip that came
to its end is whole.
"""

import json
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import quote

from flask import render_template
from zipstream import ZipStream

from webapp.config import ROOT
from webapp.exports.file_names import image_name, name_thumbnails, safe_name
from webapp.exports.markup import Address, alt_text, write_image, write_job
from webapp.jobs.check import fail_lost
from webapp.jobs.errors import FILE_LOST
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Image, Job, Thumbnail
from webapp.jobs.storage import Storage
from webapp.recipes.outputs import Recipe

Paths = dict[Thumbnail, str]

# The colours of the pages, for the zip's index page.
_TOKENS = ROOT / "static/css/tokens.css"

# Files are stored in the zip as they are: one that is opened as a page must find no markup in them.
_JSON_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
_BRACKETS = str.maketrans("<>", "‹›")

VERSION = 1  # Of the manifest; grows where a key changes its meaning, not where one is added.


class NoThumbnails(Exception):
    """The job has no thumbnails to pack."""

    code = "no_thumbnails"

    def __init__(self, is_finished: bool) -> None:
        super().__init__(
            "This job has no thumbnails: none of its images could be made into one."
            if is_finished
            else "No thumbnail of this job is ready yet. Try again in a moment."
        )


def read_job(jobs: Jobs, job_id: str) -> Job:
    """Read a job as it is on the disk: an image without its files counts as failed.

    It is marked so. Raises JobNotFound.
    """
    job = jobs.job(job_id)
    lost = {image for image in job.images if not _has_files(image, jobs.storage)}
    for image in lost:
        fail_lost(jobs.store, jobs.storage, image.id)
    if lost:
        jobs.job(job_id)  # Raises if the job was deleted between the reads of rows and disk.
    return job.with_images(tuple(_lost(one) if one in lost else one for one in job.images))


def _has_files(image: Image, storage: Storage) -> bool:
    return all(storage.thumbnail_file(made.path) for made in image.thumbnails)


def _lost(image: Image) -> Image:
    code, message = FILE_LOST
    return replace(image, status="failed", error_code=code, error_message=message, thumbnails=())


def pack(job: Job, storage: Storage, pattern: str) -> ZipStream:
    """Prepare the zip of a job so far: its `len` is exact, and iterating writes it.

    Raises NoThumbnails or InvalidPattern.
    """
    paths = _paths(job, pattern)
    if not paths:
        raise NoThumbnails(job.is_finished)
    archive = ZipStream(sized=True)
    archive.add(_index(job, paths), "index.html")
    archive.add(_write_manifest(job, paths), "manifest.json")
    if job.counts.failed or job.missing:
        archive.add(_errors(job), "errors.txt")
    for thumbnail, path in paths.items():
        file = storage.thumbnail_file(thumbnail.path)
        if file is None:  # It vanished since the job was read.
            raise FileNotFoundError(thumbnail.path)
        archive.add_path(file, path)
    return archive


def archive_name(job: Job) -> str:
    """Return the name of the zip, like `beach-and-5-more-thumbnails.zip`.

    If its owner named the job, it is like `Spring menu-thumbnails.zip`.
    """
    if job.name:
        return f"{safe_name(job.name)}-thumbnails.zip"
    more = f"-and-{job.counts.total - 1}-more" if job.counts.total > 1 else ""
    return f"{image_name(job.images[0].name)}{more}-thumbnails.zip"


def address_in_zip(job: Job, pattern: str) -> Address:
    """Address thumbnails from the folder of the unpacked zip.

    Raises InvalidPattern.
    """
    return _address(_paths(job, pattern))


def _paths(job: Job, pattern: str) -> Paths:
    names = name_thumbnails(job.images, pattern)
    return {thumbnail: f"thumbnails/{name}" for thumbnail, name in names.items()}


def _address(paths: Paths) -> Address:
    """Address thumbnails relative to the index."""
    return lambda thumbnail: quote(paths[thumbnail])


def _index(job: Job, paths: Paths) -> str:
    recipe, address = Recipe.from_json(job.recipe), _address(paths)
    return render_template(
        "archives/index.html",
        tokens=_TOKENS.read_text(),
        job=job,
        paths=paths,
        address=address,
        alt_text=alt_text,
        job_html=write_job(job, address),
        image_html={image: write_image(image, recipe, address) for image in job.images},
    )


def write_manifest(job: Job, pattern: str) -> str:
    """Write the manifest of a job so far, as JSON. Raises InvalidPattern."""
    return _write_manifest(job, _paths(job, pattern))


def _write_manifest(job: Job, paths: Paths) -> str:
    recipe = Recipe.from_json(job.recipe)
    manifest = {
        "version": VERSION,
        "job": {
            "id": job.id,
            "created": job.created.isoformat(),
            "expires": job.expires.isoformat() if job.expires else None,
            "is_finished": job.is_finished,
            "total": job.counts.total,
            "done": job.counts.done,
            "failed": job.counts.failed,
            "cancelled": job.counts.cancelled,
            "missing": job.missing,
        },
        "recipe": [asdict(output) for output in recipe.outputs],
        "images": [_describe(image, recipe, paths) for image in job.images],
        "missing_files": [{"name": file.name, "reason": file.reason} for file in job.missing_files],
    }
    return json.dumps(manifest, ensure_ascii=False, indent=2).translate(_JSON_ESCAPES) + "\n"


def _describe(image: Image, recipe: Recipe, paths: Paths) -> dict[str, Any]:
    error = {"code": image.error_code, "message": image.error_message}
    return {
        "number": image.number,
        "name": image.name,
        "state": image.status,
        "error": error if image.is_failed else None,
        "bytes": image.bytes,
        "format": image.format,
        "width": image.width,
        "height": image.height,
        "had_gps": bool(image.had_gps),
        "thumbhash": image.thumbhash,
        "color": image.color,
        "alt": alt_text(image),
        "html": write_image(image, recipe, _address(paths)),
        "thumbnails": [
            {
                "path": paths[made],
                "width": made.width,
                "height": made.height,
                "bytes": made.bytes,
                "format": made.format,
                "quality": made.quality,
            }
            for made in image.thumbnails
        ],
    }


def _errors(job: Job) -> str:
    failed = [(image.name, image.error_message) for image in job.images if image.is_failed]
    missing = [(file.name, file.reason) for file in job.missing_files]
    text = "".join(f"{name}: {reason}\n" for name, reason in failed + missing)
    return text.translate(_BRACKETS)
