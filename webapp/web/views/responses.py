"""Responses that several views share."""

import json
import unicodedata
from datetime import datetime
from math import inf
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from flask import Response, abort, make_response, send_file

from webapp.exports.file_names import safe_name
from webapp.web.app_context import current_config, current_jobs

# Up to an age in seconds, a page polls at an interval in milliseconds.
FASTEST = 500
POLL_INTERVALS = ((30, FASTEST), (120, 1000), (600, 2000), (inf, 5000))

# An image runs no script, whatever it contains. A browser that opens one in a tab centres it by
# inline styles of its own. deploy/nginx sends the same for thumbnails.
PICTURE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline';"
    " frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


def poll_interval_ms(begun: datetime) -> int:
    """Return the poll interval in milliseconds: long jobs are polled less often."""
    age = current_jobs().store.now() - begun.timestamp()
    return next(milliseconds for limit, milliseconds in POLL_INTERVALS if age < limit)


def no_store(body: str, status: int = 200) -> Response:
    """Answer with what no cache may keep."""
    response = make_response(body, status)
    response.headers["Cache-Control"] = "no-store"
    return response


def confirmed(body: str, done: str) -> Response:
    """Answer htmx with what changed, and confirm that in words if there are any."""
    response = no_store(body)
    if done:
        response.headers["HX-Trigger"] = json.dumps({"confirm": done})
    return response


def without_body(mimetype: str = "text/html") -> Response:
    """Answer HEAD without making the body that GET would send.

    The answer has no Content-Length, and no cache may keep it.
    """
    response = Response(iter(()), mimetype=mimetype)
    response.cache_control.no_store = True
    return response


def send_picture(file: Path, mimetype: str, cache_control: str) -> Response:
    """Send an image file, or that it has not changed.

    It has no file name, which would overrule the name that a link on a page gives it: nginx knows
    no other than that of the address. Raises NotFound where it is gone.
    """
    try:
        response = send_file(file, mimetype=mimetype)
    except FileNotFoundError:
        abort(404)
    del response.headers["Content-Disposition"]
    return _as_picture(response, cache_control)


def leave_to_nginx(path: str, mimetype: str, cache_control: str) -> Response:
    """Let nginx send the image file at a path below the instance folder.

    nginx answers ranges and what has not changed, with validators of its own: there are none here.
    """
    response = Response(mimetype=mimetype)
    response.headers["X-Accel-Redirect"] = f"{current_config().accel_prefix}/{path}"
    return _as_picture(response, cache_control)


def _as_picture(response: Response, cache_control: str) -> Response:
    response.headers.update(PICTURE_HEADERS)
    response.headers["Cache-Control"] = cache_control
    return response


def content_disposition(kind: Literal["attachment", "inline"], name: str) -> str:
    """Return the Content-Disposition of a file with a name (RFC 6266).

    `filename` is in ASCII for old clients. It is made safe after NFKD, which turns full-width
    quotes, stars and slashes into the plain characters.
    """
    plain = safe_name(unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode())
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
