"""The addresses by which a client knows this server: its host, and the path that it is under.

A proxy in front may serve the application under a path, which it removes from requests and names in
X-Forwarded-Prefix. Routes and `request.path` are without it; `url_for` and these functions add it.
"""

import logging
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask, request

from webapp.jobs.models import Thumbnail

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

# Of letters that mean nothing in HTML, CSS, headers and URLs. No segment is empty, `.` or `..`:
# browsers read //host as another site.
_PREFIX = re.compile(r"(?=.{1,200}$)(/(?!\.{1,2}(/|$))[A-Za-z0-9._-]+)+")


def init_app(app: Flask) -> None:
    """Let pages name thumbnails."""
    app.jinja_env.filters.update(
        thumbnail_url=thumbnail_url, absolute_thumbnail_url=absolute_thumbnail_url
    )


def current_origin() -> str:
    """Return the scheme, the host and the prefix by which the client knows this server."""
    return request.root_url.rstrip("/")


def thumbnail_url(thumbnail: Thumbnail) -> str:
    """Return the URL of a thumbnail that nginx serves by alias, or Flask; without its host."""
    return f"{request.script_root}/thumbnails/{thumbnail.path}"


def absolute_thumbnail_url(thumbnail: Thumbnail) -> str:
    """Return the absolute URL of a thumbnail on this server."""
    return f"{current_origin()}/thumbnails/{thumbnail.path}"


def check_prefix(app: "WSGIApplication") -> "WSGIApplication":
    """Let no prefix pass that is not a plain path: it becomes part of every page and link."""

    def checked(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if sent := environ.get("HTTP_X_FORWARDED_PREFIX"):
            # The last one is that of the nearest proxy.
            prefix = sent.rpartition(",")[2].strip().rstrip("/")
            if prefix and not _PREFIX.fullmatch(prefix):
                peer = environ.get("REMOTE_ADDR")
                logger.warning("prefix ignored", extra={"reason": "not a path", "peer": peer})
                prefix = ""
            environ["HTTP_X_FORWARDED_PREFIX"] = prefix
        return app(environ, start_response)

    return checked
