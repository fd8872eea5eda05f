"""The client of a request, which limits count, and the owner of jobs.

Both are those of the API token that the request carries, or with which its browser signed in. Else
the client is the address, and the owner is the person whom the proxy in front names, or the browser
by its session.
"""

import secrets
from ipaddress import IPv6Address, ip_address

from flask import Flask, abort, g, request, session

from webapp.jobs.models import Job
from webapp.jobs.owners import ApiToken, owns
from webapp.jobs.tokens import find_token, find_token_by_id, is_api_token
from webapp.web.app_context import current_jobs
from webapp.web.cors import is_of_no_one
from webapp.web.users import current_user


def init_app(app: Flask) -> None:
    """Let pages name the API token that they are for."""
    app.jinja_env.globals["current_token"] = current_token


def client_name() -> str:
    """Return what limits count by: an API token, or the address."""
    token = current_token()
    return token.owner if token else client_address()


def client_address() -> str:
    """Return the address that limits count by; unlike a cookie, it cannot be dropped.

    Of IPv6, the first half: clients choose the rest.
    """
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:  # A UNIX socket has none.
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)


def bearer_token() -> bytes:
    """Return the bearer token of the request, as bytes; empty if there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip().encode("latin-1") if scheme.lower() == "bearer" else b""


def sends_token() -> bool:
    """Return whether the request carries what looks like an API token.

    It has no session then.
    """
    return is_api_token(bearer_token())


def current_token() -> ApiToken | None:
    """Return the valid API token that the request acts as, or None; looked up once.

    It carries the token, or is of a browser that signed in with it.
    """
    if "api_token" not in g:
        g.api_token = None  # If the look-up fails, the page of that error asks again.
        store = current_jobs().store
        g.api_token = find_token(store, bearer_token()) if sends_token() else _session_token()
    return g.api_token  # type: ignore[no-any-return]


def _session_token() -> ApiToken | None:
    """Return the token that the browser signed in with, unless it was revoked since.

    The session has the id alone. Another user of the proxy is not signed in with it.
    """
    if "token" not in session:
        return None
    token_id, user = session["token"]
    return find_token_by_id(current_jobs().store, token_id) if user == current_user() else None


def act_as(token: ApiToken | None) -> None:
    """Let the browser act as an API token from now on, or with None as itself again.

    It keeps its own owner for then.
    """
    session.pop("token", None)
    if token:
        session.permanent = True
        session["token"] = (token.id, current_user())
    g.api_token = token


def current_owner() -> str | None:
    """Return the owner of what the request submits, or None if there is none yet."""
    return _proven_owner() or session.get("owner")


def become_owner() -> str | None:
    """Return the owner of what the request submits; make the browser one.

    A page of another site has none, unless it sends an API token.
    """
    if owner := _proven_owner():
        return owner
    if is_of_no_one():
        return None
    session.permanent = True
    return session.setdefault("owner", secrets.token_urlsafe(16))  # type: ignore[no-any-return]


def _proven_owner() -> str | None:
    """Return the owner that an API token or a proxy in front proves.

    No session has such an id.
    """
    if token := current_token():
        return token.owner
    user = current_user()
    return f"user:{user}" if user else None


def require_owner(job_id: str, act: str = "change it") -> None:
    """Check that the client owns a job; its URL alone only shows it.

    Raises JobNotFound, or Forbidden.
    """
    if not current_jobs().is_owner(job_id, current_owner()):
        abort(403, f"Only the browser, token or user that made this job can {act}.")


def is_owner(job: Job) -> bool:
    """Return whether the client is the owner of a job."""
    return owns(current_owner(), job.owner)
