"""Download a job: its thumbnails in a zip, a manifest, and markup."""

from typing import Literal
from uuid import UUID

from flask import Response, request

from webapp.exports.archive import read_job, write_manifest
from webapp.exports.file_names import DEFAULT_PATTERN, check_pattern
from webapp.web.api.answers import answer_bytes, answer_unmade
from webapp.web.api.operations import (
    IF_NONE_MATCH,
    JSON,
    TEXT,
    UNCHANGED,
    ZIP,
    Answer,
    Parameter,
    operation,
)
from webapp.web.app_context import current_jobs
from webapp.web.clients import client_name
from webapp.web.views import downloads

NAMES = Parameter(
    "names",
    "query",
    str,
    "A pattern for the names of the files, such as `{number}-{name}/{output}`.",
)

operation(
    "GET",
    "/jobs/<uuid:job_id>/thumbnails.zip",
    name="download_zip",
    tag="Downloads",
    parameters=(NAMES, Parameter("of", "query", str, "The id of one image.")),
    answers=(Answer(200, "The zip of all thumbnails so far.", media_types=(ZIP,)),),
    errors=(404, 410, 422, 429),
)(downloads.archive)


@operation(
    "GET",
    "/jobs/<uuid:job_id>/markup",
    tag="Downloads",
    parameters=(
        Parameter(
            "as",
            "query",
            Literal["relative", "html", "markdown", "url"],
            "What to write; `html` without it.",
        ),
        NAMES,
        Parameter(
            "of",
            "query",
            str,
            "The id of an image, `id/output` for the files of one output, or `id/file-name` for"
            " one thumbnail.",
        ),
        IF_NONE_MATCH,
    ),
    answers=(Answer(200, "The markup.", media_types=(TEXT,), headers=("ETag",)), UNCHANGED),
    errors=(404, 410, 422, 429),
)
def write_markup(job_id: UUID) -> Response:
    """Write the markup of a job, or of a part of it."""
    response = downloads.markup(job_id)
    if request.method == "HEAD":
        return answer_unmade(TEXT)
    return answer_bytes(response.get_data(), TEXT)


@operation(
    "GET",
    "/jobs/<uuid:job_id>/manifest.json",
    tag="Downloads",
    parameters=(NAMES, IF_NONE_MATCH),
    answers=(Answer(200, "The manifest.", dict, headers=("ETag",)), UNCHANGED),
    errors=(404, 410, 422, 429),
)
def get_manifest(job_id: UUID) -> Response:
    """Read the manifest of a job.

    It is what its zip has as `manifest.json`.
    """
    jobs, pattern = current_jobs(), request.args.get("names") or DEFAULT_PATTERN
    check_pattern(pattern)
    if request.method == "HEAD":
        jobs.progress(str(job_id))
        return answer_unmade(JSON)
    jobs.limits.admit_packing(client_name(), str(job_id))
    return answer_bytes(write_manifest(read_job(jobs, str(job_id)), pattern).encode(), JSON)
