"""The state of the service: for load balancers, people on call and Prometheus."""

import logging
from dataclasses import asdict

from flask import Blueprint, Response, abort, jsonify, request
from flask.typing import ResponseReturnValue
from prometheus_client.exposition import choose_encoder
from werkzeug.datastructures import WWWAuthenticate

from webapp.jobs.health import read_health, read_statistics
from webapp.web.access import is_token
from webapp.web.app_context import current_config, current_jobs
from webapp.web.clients import bearer_token
from webapp.web.metrics import StatisticsCollector

logger = logging.getLogger(__name__)

blueprint = Blueprint("operations", __name__)


@blueprint.get("/healthcheck")
def healthcheck() -> ResponseReturnValue:
    """Answer 200 if the database answers and a worker is alive; else 503."""
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
