"""What people take home of a job: the markup that shows its thumbnails."""

from uuid import UUID

from flask import Blueprint, Response, request

from webapp.markup import job_html
from webapp.views.request import current_jobs

blueprint = Blueprint("downloads", __name__, url_prefix="/jobs")


@blueprint.get("/<uuid:job_id>/markup")
def markup(job_id: UUID) -> Response:
    """Give the HTML for all thumbnails of a job, with addresses on this server."""
    host = request.host_url.rstrip("/")
    text = job_html(current_jobs().job(str(job_id)), lambda made: host + made.url)
    response = Response(f"{text}\n", mimetype="text/plain")
    response.cache_control.no_store = True
    return response
