"""What pages of other sites may do: use the API, as no one, by a setting.

Browsers send cookies, and proxies name the user, with requests of any page. So a request to the API
that comes from another site has neither the session nor the user of the visitor: it is that of its
API token, or of no one.
"""

from flask import Flask, Response, request
from werkzeug.exceptions import SecurityError

from webapp.config import Config
from webapp.web.app_context import current_config

API = "/api/"
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
REQUEST_HEADERS = "Accept, Authorization, Content-Type, Idempotency-Key, If-None-Match, Prefer"
ANSWER_HEADERS = (
    "Content-Disposition, Content-Location, ETag, Idempotent-Replayed, Link, Location,"
    " Preference-Applied, Retry-After, WWW-Authenticate, X-Request-ID"
)
PREFLIGHT_SECONDS = 7200  # Chromium keeps no answer for longer.


def init_app(app: Flask, config: Config) -> None:
    """Answer the questions of browsers about the API, if a setting allows any site."""
    if not config.cors_origins:
        return

    @app.before_request
    def answer_preflight() -> Response | None:
        """Say what a page may send; else Flask answers OPTIONS."""
        if not (
            request.method == "OPTIONS"
            and "Access-Control-Request-Method" in request.headers
            and may_call_api()
        ):
            return None
        response = Response(status=204)
        response.headers["Access-Control-Allow-Methods"] = METHODS
        response.headers["Access-Control-Allow-Headers"] = REQUEST_HEADERS
        response.access_control_max_age = PREFLIGHT_SECONDS
        return response

    @app.after_request
    def allow(response: Response) -> Response:
        """Let the page read an answer of the API, also an error. Never with credentials."""
        if is_for_api():
            response.vary.add("Origin")
            if may_call_api():
                response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
                response.headers["Access-Control-Expose-Headers"] = ANSWER_HEADERS
        return response


def comes_from_other_site() -> bool:
    """Return whether a page of another site made a browser send the request.

    Browsers send Origin with all but simple reads, and Sec-Fetch-Site over HTTPS; programs send
    neither. Behind a proxy that ends TLS, the scheme in Origin is not the scheme that we see.
    """
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        return True
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    try:
        host = request.host.lower()
    except SecurityError:  # Not a name of ours. It is refused for that, but first come sessions.
        return True
    return origin.lower() not in (f"http://{host}", f"https://{host}")


def is_of_no_one() -> bool:
    """Return whether the request may use neither session nor user of the visitor."""
    return is_for_api() and comes_from_other_site()


def may_call_api() -> bool:
    """Return whether the request is for the API, from a page of an allowed site."""
    origin, allowed = request.headers.get("Origin"), current_config().cors_origins.split()
    return is_for_api() and origin is not None and (origin in allowed or "*" in allowed)


def is_for_api() -> bool:
    """Return whether the request is for the API."""
    return f"{request.path}/".startswith(API)  # Also /api itself.
