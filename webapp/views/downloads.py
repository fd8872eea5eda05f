"""What people take home of a job: its thumbnails in a zip, and the markup that shows them."""

import unicodedata
from urllib.parse import quote
from uuid import UUID

from flask import Blueprint, Response, request

from webapp.archives import archive_name, pack
from webapp.current import current_jobs
from webapp.file_names import DEFAULT_PATTERN
from webapp.markup import job_html

blueprint = Blueprint("downloads", __name__, url_prefix="/jobs")


@blueprint.get("/<uuid:job_id>/zip")
def archive(job_id: UUID) -> Response:
    """Send all thumbnails of a job that are done so far, named after the pattern `names`."""
    job = current_jobs().job(str(job_id))
    packed = pack(job, current_jobs().storage, request.args.get("names") or DEFAULT_PATTERN)
    response = Response(iter(packed), mimetype="application/zip")
    response.content_length = len(packed)
    response.accept_ranges = "none"  # A later zip may have more in it: parts of the two do not fit.
    response.cache_control.no_store = True
    response.headers["Content-Disposition"] = _attachment(archive_name(job))
    return response


@blueprint.get("/<uuid:job_id>/markup")
def markup(job_id: UUID) -> Response:
    """Give the HTML for all thumbnails of a job, with addresses on this server."""
    host = request.host_url.rstrip("/")
    text = job_html(current_jobs().job(str(job_id)), lambda made: host + made.url)
    response = Response(f"{text}\n", mimetype="text/plain")
    response.cache_control.no_store = True
    return response


def _attachment(name: str) -> str:
    """Name a download as RFC 6266 says, with ASCII for clients that know no other."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
