"""What the proxies in front say of a request, as far as settings trust them.

That is the scheme, the address of the client, and the path that the site is under.
"""

import logging
import re
from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp.config import Config
from webapp.logs import RARELY

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

# Of letters that mean nothing in HTML, CSS, headers and URLs. No segment is empty, `.` or `..`:
# browsers read //host as another site.
_PREFIX = re.compile(r"(?=.{1,200}$)(/(?!\.{1,2}(/|$))[A-Za-z0-9._-]+)+")


def init_app(app: Flask, config: Config) -> None:
    """Let requests be as the proxies in front say that they came."""
    wsgi_app: WSGIApplication = app.wsgi_app
    if config.client_header:  # Within ProxyFix: it replaces the address that that finds.
        key = f"HTTP_{config.client_header.upper().replace('-', '_')}"
        wsgi_app = _believing(partial(_believe_client, key), "client header ignored", wsgi_app)
    if config.trusted_proxies:
        # Each proxy adds the address that it saw; the last one sets the scheme and the prefix. Not
        # the host: some proxies, such as Fly's, pass on the X-Forwarded-Host of a client.
        wsgi_app = ProxyFix(
            wsgi_app, x_for=config.trusted_proxies, x_prefix=int(config.trusted_prefix)
        )
    if config.trusted_prefix:
        wsgi_app = _believing(_believe_prefix, "prefix ignored", wsgi_app)
    app.wsgi_app = wsgi_app  # type: ignore[assignment,method-assign]


def _believing(
    believe: Callable[["WSGIEnvironment"], str | None], message: str, app: "WSGIApplication"
) -> "WSGIApplication":
    """Let `believe` read a header of each request; log why it ignored one."""

    def with_header(environ: "WSGIEnvironment", respond: "StartResponse") -> Iterable[bytes]:
        reason = believe(environ)
        if reason:
            client = environ.get("REMOTE_ADDR")
            logger.warning(message, extra={"reason": reason, "client": client, **RARELY})
        return app(environ, respond)

    return with_header


def _believe_client(key: str, environ: "WSGIEnvironment") -> str | None:
    """Let the address in a header be the client's; return why it is ignored, if it is.

    Without the header, as in health checks, the client is who it was. So it is if the header is no
    address: a comma joins two of one name, and one may be the client's own. An underscore in the
    name never counts: gunicorn drops such headers.
    """
    sent = environ.get(key, "").strip()
    if not sent:
        return None
    try:
        environ["REMOTE_ADDR"] = str(ip_address(sent))
    except ValueError:
        return "sent twice" if "," in sent else "not an address"
    return None


def _believe_prefix(environ: "WSGIEnvironment") -> str | None:
    """Let no prefix pass that is not a plain path: it becomes part of every page and link.

    Return why it is ignored, if it is.
    """
    # The last one is that of the nearest proxy.
    prefix = environ.get("HTTP_X_FORWARDED_PREFIX", "").rpartition(",")[2].strip().rstrip("/")
    is_path = not prefix or _PREFIX.fullmatch(prefix)
    environ["HTTP_X_FORWARDED_PREFIX"] = prefix if is_path else ""
    return None if is_path else "not a path"
