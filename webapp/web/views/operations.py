"""The state of the service: for load balancers, people on call and Prometheus."""

import logging
from dataclasses import asdict
from typing import Annotated, Literal

from flask import Blueprint, Response, abort, jsonify, request
from flask.typing import ResponseReturnValue
from msgspec import UNSET, Struct, UnsetType
from prometheus_client.exposition import choose_encoder
from werkzeug.datastructures import WWWAuthenticate

from webapp.jobs.health import read_health, read_statistics
from webapp.web.access import is_token
from webapp.web.api.operations import Answer, described
from webapp.web.api.schemas import says
from webapp.web.app_context import current_config, current_jobs
from webapp.web.clients import bearer_token
from webapp.web.metrics import StatisticsCollector

logger = logging.getLogger(__name__)

blueprint = Blueprint("operations", __name__)


class HealthReport(Struct, forbid_unknown_fields=True):
    """The state of the service."""

    status: Literal["healthy", "unhealthy"]
    web: Literal["ok"]
    database: Literal["ok", "failed"]
    reason: Annotated[str | UnsetType, says("What does not work.")] = UNSET
    workers: Annotated[int | UnsetType, says("Those that are alive.")] = UNSET
    last_beat_seconds: Annotated[
        float | UnsetType | None, says("Since any worker was alive. `null`: none ever was.")
    ] = UNSET
    queue_depth: Annotated[int | UnsetType, says("Images that are waiting or being worked on.")] = (
        UNSET
    )
    working: Annotated[int | UnsetType, says("Images that are being worked on.")] = UNSET
    paused: Annotated[bool | UnsetType, says("Whether the operator paused the work.")] = UNSET
    oldest_wait_seconds: Annotated[
        float | UnsetType, says("Of the images that wait for a worker.")
    ] = UNSET
    free_disk_bytes: int | UnsetType = UNSET


@blueprint.get("/healthcheck")
@described(
    "GET",
    "/healthcheck",
    tag="thumbnail-api",
    answers=(Answer(200, "The service works.", HealthReport),),
    errors=(503,),
    error_kind=HealthReport,
)
def healthcheck() -> ResponseReturnValue:
    """Check whether the service can accept images and make thumbnails.

    The answer is 503 if the database does not answer, or no worker is alive.
    """
    try:
        jobs = current_jobs()
        health = read_health(jobs.store, jobs.storage)
    except Exception:
        logger.exception("the database does not answer")
        reason = "The database does not answer."
        return jsonify(status="unhealthy", reason=reason, web="ok", database="failed"), 503
    facts = {"web": "ok", "database": "ok", **asdict(health)}
    if not health.workers:
        return jsonify(status="unhealthy", reason="No consumer is alive.", **facts), 503
    return jsonify(status="healthy", **facts)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Send the metrics, in the requested format, to clients with their token."""
    _require_token(current_config().metrics_token)
    jobs = current_jobs()
    statistics = read_statistics(jobs.store, jobs.storage)
    encode, kind = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(StatisticsCollector(statistics)), content_type=kind)


def _require_token(token: str) -> None:
    """Check the token of the request; without one in the settings, answer 404.

    Raises TooManyAttempts.
    """
    if not token:
        abort(404)
    sent = bearer_token()
    if not sent or not is_token(sent, token):
        abort(401, "Send the token for metrics.", www_authenticate=WWWAuthenticate("bearer"))
