"""Who may send what: decided before a byte of it is read."""

import hmac
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from math import ceil

from flask import Flask, abort, current_app, request, session
from werkzeug.exceptions import (
    RequestHeaderFieldsTooLarge,
    RequestURITooLarge,
    SecurityError,
)

from webapp.current import current_config, current_jobs
from webapp.jobs.errors import MB, Busy

SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}  # They change nothing.
MAKE_JOBS = {"jobs.open_job", "jobs.create", "compat.upload_image"}
NEED_NO_ACCESS = {"access.sign_in", "access.sign_out", None}  # None is at no address of ours.
OTHER_MB = 1  # Of a form without images.
TAKE_IMAGES = {*MAKE_JOBS, "jobs.add_images"}
# What is there already waits for a worker once more.
QUEUE_AGAIN = {"jobs.remake", "jobs.retry", "images.set_focus", "images.clear_focus"}
# By every method. Flask itself raises these after all hooks, of which one reads the form.
REFUSED_UNREAD = (SecurityError, RequestHeaderFieldsTooLarge, RequestURITooLarge)


class AccessRequired(Exception):
    """Only those who know the access token may do this."""

    code = "access_token_required"

    def __init__(self) -> None:
        super().__init__("This needs the access token. Sign in, or send it as a Bearer token.")


class RequestTooLarge(Exception):
    """A request has more bytes than a request may have."""

    code = "request_too_large"

    def __init__(self, size: int, limit_mb: int) -> None:
        super().__init__(
            f"That is {ceil(size / MB)} MB at once; the limit is {limit_mb} MB. Send fewer files."
        )


def init_app(app: Flask) -> None:
    """Ask before anything reads a form, as the protection from CSRF does."""
    app.before_request(admit)


def admit() -> None:
    """Refuse requests that are not allowed or are over a limit.

    The length that a request announces counts towards the client's limit, even if the request then
    fails, because receiving the body costs the same.
    Raises AccessRequired, Busy, RequestTooLarge, LengthRequired where nothing is announced,
    Forbidden, SecurityError where the host is not one that we answer to,
    RequestHeaderFieldsTooLarge or RequestURITooLarge.
    """
    if isinstance(request.routing_exception, REFUSED_UNREAD):
        raise request.routing_exception
    if request.method in SAFE_METHODS:
        return
    _refuse_other_sites()
    takes_images = request.endpoint in TAKE_IMAGES
    size = request.content_length
    if size is None and (takes_images or "Transfer-Encoding" in request.headers):
        abort(411, "Send the length of the request as Content-Length.")
    try:
        _admit_bytes_and_jobs(size or 0, takes_images)
    except (AccessRequired, Busy, RequestTooLarge) as error:
        if takes_images:
            current_jobs().count_refused(error.code)
        raise


def _refuse_other_sites() -> None:
    """Refuse requests that pages of other sites make browsers send.

    They would use up the visitor's limits, and the cookie of the answer would replace the
    visitor's. Browsers send Origin always and Sec-Fetch-Site over HTTPS; programs send neither.
    Behind a proxy that ends TLS, the scheme in Origin is not the scheme that we see.
    """
    host, origin = request.host.lower(), request.headers.get("Origin")
    is_ours = origin is None or origin.lower() in (f"http://{host}", f"https://{host}")
    if not is_ours or request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        abort(403, "This address is for programs and for this site's own pages.")


def _admit_bytes_and_jobs(size: int, takes_images: bool) -> None:
    if request.endpoint not in NEED_NO_ACCESS:
        require_access()
    brings_work = takes_images or request.endpoint in QUEUE_AGAIN
    if brings_work:
        current_jobs().admit_images(client_name())
    limit_mb = current_config().max_request_mb if takes_images else OTHER_MB
    if size > limit_mb * MB:  # First: it would use up the client's hour for nothing.
        raise RequestTooLarge(size, limit_mb)
    # Counted apart: a client over its hour can still cancel, delete and sign out.
    current_jobs().admit_bytes(client_name(), size, "bytes" if brings_work else "form bytes")
    if request.endpoint in MAKE_JOBS:
        current_jobs().admit_job(client_name())


def client_name() -> str:
    """Name who asks by the address, which nobody can throw away as a cookie.

    Of IPv6 by the first half: the rest is everybody's to choose.
    """
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:  # A socket that is a file has none.
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)


# The access token


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
    current_jobs().admit_attempt(client_name(), is_right)
    return is_right


def _fingerprint() -> str:
    """Give what only a server with this token and this key can write into a session."""
    key = str(current_app.secret_key)
    return hmac.new(key.encode(), current_config().access_token.encode(), sha256).hexdigest()
