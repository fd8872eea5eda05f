"""Whether the service works, for load balancers and for people on call."""

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue

from webapp.views.request import current_jobs

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthcheck")
def healthcheck() -> ResponseReturnValue:
    """Answer 200 where the database answers and a worker is alive; else 503 with the reason."""
    try:
        alive = current_jobs().has_live_worker()
    except Exception:
        current_app.logger.exception("the database does not answer")
        return jsonify(status="unhealthy", reason="The database does not answer."), 503
    if not alive:
        return jsonify(status="unhealthy", reason="No consumer is alive."), 503
    return jsonify(status="healthy")
