"""Who has access: the access token, and what is sent in its place."""

import hmac
from hashlib import sha256

from flask import current_app, request, session

from webapp.jobs.tokens import find_token, is_api_token
from webapp.web.app_context import current_config, current_jobs
from webapp.web.clients import act_as, bearer_token, client_address, current_token, sends_token
from webapp.web.users import current_user

# Clients of thumbnail-api may send a Bearer token that means nothing to us, as they always could.
TAKE_ANY_BEARER = {"jobs.index", "operations.healthcheck", "static", None}  # None: no route.
HAVE_OWN_TOKEN = {"operations.metrics"}


class AccessRequired(Exception):
    """Only those who know the access token may do this."""

    code = "access_token_required"
    challenge = "Bearer"  # The header WWW-Authenticate.

    def __init__(self) -> None:
        super().__init__("This needs the access token. Sign in, or send it as a Bearer token.")


class InvalidToken(Exception):
    """The bearer token of a request is neither an API token nor the access token."""

    code = "token_invalid"
    challenge = 'Bearer error="invalid_token"'

    def __init__(self) -> None:
        super().__init__("This token is unknown or was revoked. Ask the operator for a new one.")


def admit_bearer() -> None:
    """Refuse a bearer token that is none of ours.

    What looks like an API token is refused everywhere. Raises InvalidToken, or TooManyAttempts.
    """
    sent = bearer_token()
    if not sent or request.endpoint in HAVE_OWN_TOKEN:
        return
    is_for_others = request.endpoint in TAKE_ANY_BEARER or request.blueprint == "thumbnail_api"
    # A proxy that signs people in may send a Bearer token of its own with their requests.
    if (is_for_others or current_user()) and not is_api_token(sent):
        return
    is_right = bool(sends_token() and current_token()) or _is_access_token(sent)
    current_jobs().limits.admit_attempt(client_address(), is_right)
    if not is_right:
        raise InvalidToken


def require_access() -> None:
    """Check that the client has access, if an access token is set.

    Raises AccessRequired, or TooManyAttempts.
    """
    if not has_access():
        raise AccessRequired


def has_access() -> bool:
    """Return whether the client signed in, sends a token, or needs none.

    Raises TooManyAttempts.
    """
    if not current_config().access_token or current_token() or current_user():
        return True
    if sent := bearer_token():
        return is_token(sent, current_config().access_token)
    return hmac.compare_digest(session.get("access", ""), _fingerprint())


def sign_in(sent: bytes) -> bool:
    """Sign the browser in with a token; return False for an unknown one.

    The session then acts as the API token, or records that the client knows the access token.
    Raises TooManyAttempts.
    """
    token = find_token(current_jobs().store, sent) if is_api_token(sent) else None
    is_right = token is not None or _is_access_token(sent)
    current_jobs().limits.admit_attempt(client_address(), is_right)
    if token:
        act_as(token)
    elif is_right:
        session.permanent = True
        session["access"] = _fingerprint()
    return is_right


def sign_out() -> None:
    """End what signing in with either token gave to the session."""
    session.pop("access", None)
    act_as(None)


def _is_access_token(sent: bytes) -> bool:
    access_token = current_config().access_token.encode()
    return bool(access_token) and hmac.compare_digest(sent, access_token)


def is_token(sent: bytes, token: str) -> bool:
    """Compare a sent token in constant time.

    Raises TooManyAttempts: a client has few guesses, of all tokens together.
    """
    is_right = hmac.compare_digest(sent, token.encode())
    current_jobs().limits.admit_attempt(client_address(), is_right)
    return is_right


def _fingerprint() -> str:
    """Return a value that only a server with this token and this key can write."""
    key = str(current_app.secret_key)
    return hmac.new(key.encode(), current_config().access_token.encode(), sha256).hexdigest()
