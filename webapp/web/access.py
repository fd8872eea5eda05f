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
    """Refuse whoever does not know the access token, where there is one.

    Raises AccessRequired, or TooManyAttempts.
    """
    if not has_access():
        raise AccessRequired


def has_access() -> bool:
    """Say whether who asks has signed in or sends the access token, or none is needed.

    Raises TooManyAttempts.
    """
    if not current_config().access_token:
        return True
    if sent := bearer_token():
        return is_token(sent, current_config().access_token)
    return hmac.compare_digest(session.get("access", ""), _fingerprint())


def sign_in() -> None:
    """Have the session remember that the access token was right, until it is changed."""
    session.permanent = True
    session["access"] = _fingerprint()


def bearer_token() -> bytes:
    """Give the token that the request bears, byte for byte; nothing where it bears none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip().encode("latin-1") if scheme.lower() == "bearer" else b""


def is_token(sent: bytes, token: str) -> bool:
    """Say whether what was sent is the token, in a time that tells nothing.

    Raises TooManyAttempts: a client has few guesses, whichever token it guesses at.
    """
    is_right = hmac.compare_digest(sent, token.encode())
    current_jobs().limits.admit_attempt(client_name(), is_right)
    return is_right


def _fingerprint() -> str:
    """Give what only a server with this token and this key can write into a session."""
    key = str(current_app.secret_key)
    return hmac.new(key.encode(), current_config().access_token.encode(), sha256).hexdigest()
