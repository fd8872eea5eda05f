"""The access token."""

import hmac
from hashlib import sha256

from flask import current_app, request, session

from webapp.web.app_context import current_config, current_jobs
from webapp.web.clients import client_name


class AccessRequired(Exception):
    """Only those who know the access token may do this."""

    code = "access_token_required"

    def __init__(self) -> None:
        super().__init__("This needs the access token. Sign in, or send it as a Bearer token.")


def require_access() -> None:
    """Check that the client has access, if an access token is set.

    Raises AccessRequired, or TooManyAttempts.
    """
    if not has_access():
        raise AccessRequired


def has_access() -> bool:
    """Return whether the client signed in, sends the token, or needs none.

    Raises TooManyAttempts.
    """
    if not current_config().access_token:
        return True
    if sent := bearer_token():
        return is_token(sent, current_config().access_token)
    return hmac.compare_digest(session.get("access", ""), _fingerprint())


def sign_in() -> None:
    """Record in the session that the client knows the current access token."""
    session.permanent = True
    session["access"] = _fingerprint()


def bearer_token() -> bytes:
    """Return the bearer token of the request, as bytes; empty if there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip().encode("latin-1") if scheme.lower() == "bearer" else b""


def is_token(sent: bytes, token: str) -> bool:
    """Compare a sent token in constant time.

    Raises TooManyAttempts: a client has few guesses, of all tokens together.
    """
    is_right = hmac.compare_digest(sent, token.encode())
    current_jobs().limits.admit_attempt(client_name(), is_right)
    return is_right


def _fingerprint() -> str:
    """Return a value that only a server with this token and this key can write."""
    key = str(current_app.secret_key)
    return hmac.new(key.encode(), current_config().access_token.encode(), sha256).hexdigest()
