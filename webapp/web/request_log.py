"""An id for each request, and a line for each answer.

The id is in the header X-Request-ID of the answer, in every line that is logged on the way, and on
the page of an internal error. What a request carries besides its path (query, cookies,
authorization, body) is never logged.
"""

import logging
import re
import secrets
import time

from flask import Flask, Response, g, request

from webapp import logs
from webapp.config import Config

logger = logging.getLogger(__name__)

SANE_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


def init_app(app: Flask, config: Config) -> None:
    """Log each request. Register this first, to measure all other hooks too."""

    @app.before_request
    def begin() -> None:
        given = request.headers.get("X-Request-ID", "") if config.trusted_proxies else ""
        g.request_id = given if SANE_ID.fullmatch(given) else secrets.token_hex(8)
        g.began = time.perf_counter()
        logs.request_id.set(g.request_id)

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.request_id
        logger.info(
            "request",
            extra={
                "method": request.method,
                "path": request.path,
                "status": response.status_code,
                "ms": round((time.perf_counter() - g.began) * 1000, 1),
                "bytes": response.content_length,
                "client": request.remote_addr,
                **({"token": g.api_token.id} if g.get("api_token") else {}),
            },
        )
        return response

    @app.teardown_request
    def forget(_: BaseException | None) -> None:
        logs.request_id.set(None)
