"""Headers, cookies, CSRF and the secret key."""

import os
import secrets
import tempfile
from datetime import timedelta
from pathlib import Path

from flask import Flask, Request, Response, current_app, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_wtf import CSRFProtect

from webapp.config import Config
from webapp.jobs import instance
from webapp.web.clients import current_token, sends_token
from webapp.web.cors import is_of_no_one

CSP = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    # data: placeholders, which are written into the page; blob: previews of chosen photos.
    "img-src": "'self' data: blob:",
    "connect-src": "'self'",  # htmx and uploads.
    "manifest-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}

HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in CSP.items()),
    "X-Content-Type-Options": "nosniff",
    # The URL of a job is the key to it: send it to no other site.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # We use none of these, and neither can injected content.
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=()"
    ", publickey-credentials-get=(), usb=()",
}


class FormProtection(CSRFProtect):  # type: ignore[misc]
    """Protect what browsers send by themselves, which is never an API token.

    A session that acts as an API token is protected like any other.
    """

    def protect(self, apply_exemptions: bool = False) -> None:
        """Check the token of the form, unless the request carries an API token."""
        is_exempt = sends_token() and current_token()
        if request.method in current_app.config["WTF_CSRF_METHODS"] and not is_exempt:
            super().protect(apply_exemptions)


csrf = FormProtection()


def session_cookie_name() -> str:
    """Return the name of the session cookie: `session`, or `session~app` under `/app`.

    The path of the cookie cannot tell them apart: `__Host-` needs the path `/`.
    """
    name: str = current_app.config["SESSION_COOKIE_NAME"]
    return f"{name}{request.script_root.replace('/', '~')}" if request.script_root else name


class NoSession(SecureCookieSession):
    """Hold what a request writes that may not use the session of the browser."""


class Sessions(SecureCookieSessionInterface):
    """Keep the session of a browser from pages of other sites, and from API tokens."""

    def get_cookie_name(self, app: Flask) -> str:
        """Return a name of its own for each path: applications on one host share cookies."""
        return session_cookie_name()

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the session; it is empty if this request may not use it."""
        if is_of_no_one() or sends_token():
            return NoSession()
        if "Cookie" not in request.headers:  # A tenth of a 304 was to prepare for its signature.
            return self.session_class()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Write the session, unless this request may not use it."""
        if not isinstance(session, NoSession):
            super().save_session(app, session, response)


def init_app(app: Flask, config: Config) -> None:
    """Protect every form, and add the headers that a response does not have."""
    app.config.update(
        SECRET_KEY=config.secret_key or _kept_key(config.instance / "secret_key"),
        TRUSTED_HOSTS=_trusted_hosts(config),
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=config.cookie_secure,
        # Browsers accept a cookie of this name from this host alone, never from a sibling domain.
        SESSION_COOKIE_NAME="__Host-session" if config.cookie_secure else "session",
        SESSION_COOKIE_PATH="/",
        # Only its owner can delete a job that does not expire. No browser keeps a cookie longer.
        PERMANENT_SESSION_LIFETIME=timedelta(days=400 if config.max_kept_mb else 31),
        SESSION_REFRESH_EACH_REQUEST=False,  # Signing it took a quarter of each poll.
        WTF_CSRF_SSL_STRICT=False,  # It compares hosts, and a proxy may change ours.
        WTF_CSRF_TIME_LIMIT=None,  # As long as the session: a page left open still works.
    )
    app.session_interface = Sessions()
    csrf.init_app(app)
    headers = {**HEADERS}
    if config.hsts_days:
        # Browsers ignore it unless it comes over TLS.
        headers["Strict-Transport-Security"] = f"max-age={config.hsts_days * 86400}"

    @app.after_request
    def add_headers(response: Response) -> Response:
        present = {name.lower() for name, _ in response.headers}
        # In one step: to look for each among the others took a tenth of the time of a 304.
        response.headers.extend(
            (name, value) for name, value in headers.items() if name.lower() not in present
        )
        return response


def _trusted_hosts(config: Config) -> list[str] | None:
    """Return the host names that requests may come for, or None for any.

    The list is against DNS rebinding: a page whose own name resolves to this server reads nothing.
    The names of this machine are always in it, for health checks. No page of another site can send
    them.
    """
    names = config.allowed_hosts.split()
    return [*names, "localhost", "127.0.0.1"] if names else None


def _kept_key(path: Path) -> str:
    """Read the key that the first process of the first start created.

    A command that can only look at the instance signs nothing, and gets another key.
    """
    if not instance.is_writable(path.parent):
        return secrets.token_hex(32)
    if not path.exists():
        descriptor, draft = tempfile.mkstemp(dir=path.parent)  # Its mode is 0600.
        with open(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(draft)
    return path.read_text()
