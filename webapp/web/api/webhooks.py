"""The webhooks of a job: what was sent when it was finished, and what came of it."""

from uuid import UUID

from flask import Response

from webapp.web.api import schemas
from webapp.web.api.answers import answer
from webapp.web.api.operations import IF_NONE_MATCH, UNCHANGED, Answer, operation
from webapp.web.api.representations import describe_deliveries
from webapp.web.app_context import current_jobs
from webapp.web.clients import client_name, require_owner


@operation(
    "GET",
    "/jobs/<uuid:job_id>/deliveries",
    tag="Webhooks",
    parameters=(IF_NONE_MATCH,),
    answers=(
        Answer(200, "The webhooks.", schemas.Deliveries, headers=("ETag",)),
        UNCHANGED,
    ),
    errors=(403, 404, 410),
)
def list_deliveries(job_id: UUID) -> Response:
    """List the webhooks of a job.

    Each has the tries to send it.
    """
    require_owner(str(job_id), "see its webhooks")
    return answer(describe_deliveries(current_jobs().job(str(job_id)).callback))


@operation(
    "POST",
    "/jobs/<uuid:job_id>/deliveries/<delivery_id>/send",
    tag="Webhooks",
    answers=(
        Answer(
            202,
            "The webhooks, of which this one is sent.",
            schemas.Deliveries,
            headers=("Retry-After",),
        ),
    ),
    errors=(403, 404, 410, 429),
)
def send_again(job_id: UUID, delivery_id: str) -> Response:
    """Send a webhook again.

    One that waits for its next try is sent now.
    """
    require_owner(str(job_id))
    current_jobs().send_again(str(job_id), delivery_id, client_name())
    return answer(describe_deliveries(current_jobs().job(str(job_id)).callback), 202)
