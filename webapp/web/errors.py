"""Turn exceptions into answers: a page or JSON, in the same words.

Each error of the application carries a stable `code` and a sentence that a person can act on. The
log gets the cause.
"""

import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from flask import Flask, Response, g, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from msgspec import UNSET
from werkzeug.exceptions import (
    ClientDisconnected,
    HTTPException,
    RequestEntityTooLarge,
    SecurityError,
    default_exceptions,
)

from webapp.disk import is_disk_full
from webapp.engine.errors import ImageError, TooManyPixels
from webapp.exports.archive import NoThumbnails
from webapp.exports.file_names import InvalidPattern
from webapp.exports.markup import UnknownMarkup
from webapp.jobs.errors import (
    AltTextTooLong,
    Busy,
    DeliveryNotFound,
    FetchingIsOff,
    FileTooLarge,
    ImageNotFailed,
    ImageNotFound,
    JobClosed,
    JobGone,
    JobNotFound,
    KeyInUse,
    NoImages,
    NoSpace,
    NoWorkerFree,
    QueueFull,
    RetentionNotOffered,
    TokenRequired,
    TooManyImages,
    TooMuchKept,
    TrialFailed,
)
from webapp.jobs.outbound_errors import RequestRefused
from webapp.recipes.outputs import InvalidRecipe
from webapp.web.access import AccessRequired, InvalidToken
from webapp.web.addresses import current_origin
from webapp.web.api.errors import (
    OF_PROGRAMS,
    ImageFailed,
    InvalidRequest,
    UnreadableBody,
    UnsupportedBody,
)
from webapp.web.api.schemas import FieldError, ProblemDetails
from webapp.web.cors import is_for_api
from webapp.web.idempotency import KeyInvalid, KeyReused
from webapp.web.limits import UNREADABLE, RequestTooLarge

logger = logging.getLogger(__name__)

# Subclasses first: the first match counts.
STATUS: dict[type[Exception], int] = {
    AccessRequired: 401,
    AltTextTooLong: 422,
    DeliveryNotFound: 404,
    FetchingIsOff: 403,
    ImageNotFailed: 409,
    ImageNotFound: 404,
    InvalidToken: 401,
    JobGone: 410,
    JobNotFound: 404,
    NoThumbnails: 404,
    JobClosed: 409,
    FileTooLarge: 413,
    RequestTooLarge: 413,
    KeyInvalid: 400,
    KeyInUse: 409,
    KeyReused: 422,
    NoImages: 422,
    NoSpace: 507,
    TooManyImages: 422,
    TooMuchKept: 507,
    RequestRefused: 422,
    RetentionNotOffered: 422,
    TokenRequired: 403,
    InvalidPattern: 422,
    UnknownMarkup: 422,
    InvalidRecipe: 422,
    TooManyPixels: 413,
    QueueFull: 503,
    NoWorkerFree: 503,
    TrialFailed: 503,
    Busy: 429,
    ImageError: 415,
    ImageFailed: 422,
    InvalidRequest: 422,
    UnreadableBody: 400,
    UnsupportedBody: 415,
}

TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "You don't have permission",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    409: "Conflict",
    410: "This job is gone",
    411: "Content-Length required",
    413: "Content too large",
    414: "URI too long",
    415: "Unsupported media type",
    417: "Expectation failed",
    422: "Unprocessable content",
    429: "Too many requests",
    431: "Request header fields too large",
    500: "Internal server error",
    501: "Not implemented",
    503: "Service unavailable",
    507: "Insufficient storage",
}

# For errors of the framework, where a view gave no sentence.
SENTENCES = {
    400: "The server could not read this request. Reload the page and try again.",
    403: "Viewing or changing this is not allowed.",
    404: "There is nothing at this link. It may have expired or been deleted.",
    405: "This page does not accept this kind of request. Go back to the page you came from.",
    408: "The request stopped arriving. Send it again.",
    411: "Send the length of the request as Content-Length.",
    413: "The request is too large. Send fewer files.",
    414: "This link is too long. Go back to the page you came from.",
    417: "This server meets no expectation but 100-continue. Send the request without Expect.",
    431: "Your browser sent too many cookies or headers. Delete the cookies of this site.",
    501: "This server cannot read this Transfer-Encoding. Send the request with Content-Length.",
}
TO_PROGRAMS = SENTENCES | OF_PROGRAMS

# What the framework raises and we have a code for, with status, code and sentence.
NAMED: dict[type[Exception], tuple[int, str, str]] = {
    CSRFError: (
        400,
        "csrf",
        "This page was open too long or belongs to another session. Reload it.",
    ),
    SecurityError: (
        400,
        "unknown_host",
        "This server does not answer to this host name. See THUMBNAIL_ALLOWED_HOSTS.",
    ),
    # Of too many parts: bytes were counted before.
    RequestEntityTooLarge: (413, RequestTooLarge.code, SENTENCES[413]),
    # To Werkzeug 400, as few clients read the answer.
    ClientDisconnected: (408, "request_timeout", SENTENCES[408]),
}
INTERNAL = (500, "internal_error", "Something went wrong on our side. Try again.")


@dataclass(frozen=True)
class Problem:
    """An error, for a person and for a program."""

    status: int
    code: str
    detail: str
    field: str | None = None
    errors: Sequence[FieldError] = ()  # Every wrong field of a request of the API.

    @property
    def title(self) -> str:
        """A few words over the sentence."""
        return TITLES.get(self.status, "Error")


def problem(error: Exception, sentences: Mapping[int, str] = SENTENCES) -> Problem:
    """Describe an error: ours, or the framework's with these sentences."""
    for known, status in STATUS.items():
        if isinstance(error, known):
            field, errors = getattr(error, "field", None), getattr(error, "errors", ())
            return Problem(status, error.code, str(error), field, errors)  # type: ignore[attr-defined]
    for known, words in NAMED.items():
        if isinstance(error, known):
            return Problem(*words)
    if isinstance(error, HTTPException):
        return _http_problem(error, sentences)
    if is_disk_full(error):
        return Problem(507, NoSpace.code, str(NoSpace()))
    return Problem(*INTERNAL)


def _http_problem(error: HTTPException, sentences: Mapping[int, str]) -> Problem:
    status = error.code or 500
    sentence = error.description or error.name
    if sentence == type(error).description:  # The framework's own, for developers.
        sentence = sentences.get(status, sentence)
    return Problem(status, _http_code(error.name), sentence)


def _http_code(name: str) -> str:
    return name.lower().replace(" ", "_")


def list_codes() -> dict[str, tuple[int, str]]:
    """Return every code of an error, with its status and what it tells programs."""
    found: dict[str, tuple[int, str]] = {}
    kinds = list(STATUS)
    for kind in kinds:
        kinds += [one for one in kind.__subclasses__() if one.__module__.startswith("webapp.")]
        if code := vars(kind).get("code"):
            status = next(STATUS[known] for known in STATUS if issubclass(kind, known))
            found.setdefault(code, (status, inspect.cleandoc(kind.__doc__ or "").split("\n")[0]))
    for status, code, sentence in (*NAMED.values(), INTERNAL):
        found.setdefault(code, (status, sentence))
    for status in SENTENCES.keys() - {413}:  # 413 is named above.
        code = _http_code(default_exceptions[status]().name)
        found.setdefault(code, (status, TO_PROGRAMS[status]))
    return dict(sorted(found.items(), key=lambda item: (item[1][0], item[0])))


def answer(error: Exception) -> Response:
    """Answer a request that failed."""
    found = problem(error, TO_PROGRAMS if is_for_api() else SENTENCES)
    # A limit of ours or of HTTP, not a fault.
    is_expected = found.status in (501, 507) or isinstance(error, Busy)
    if found.status >= 500 and not is_expected:
        logger.error("%s %s failed", request.method, request.path, exc_info=error)
    if is_for_api():
        # After a SecurityError, and where gunicorn read no headers, there is no host to name.
        has_host = not isinstance(error, SecurityError) and UNREADABLE not in request.environ
        origin = current_origin() if has_host else ""
        response = _answer_program(found, origin)
    elif request.blueprint == "thumbnail_api":
        response = jsonify(detail=found.detail)
    elif is_htmx() or not asks_for_html() or isinstance(error, SecurityError):
        # Scripts show the sentence. After a SecurityError, a page would have no host to link to.
        response = jsonify(code=found.code, detail=found.detail, field=found.field)
    else:
        words = {**vars(found), "title": found.title}
        ways = {"can_retry": _can_retry(found.status), "back": _page_before()}
        response = make_response(render_template("errors/error.html", **words, **ways))
    response.status_code = found.status
    if isinstance(error, AccessRequired | InvalidToken):
        response.headers["WWW-Authenticate"] = error.challenge
    if isinstance(error, Busy):
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, HTTPException):  # Such as Allow, of a 405.
        response.headers.extend((n, v) for n, v in error.get_headers() if n != "Content-Type")
    return response


def _answer_program(found: Problem, origin: str) -> Response:
    """Answer a request of the API with problem details (RFC 9457)."""
    errors = list(found.errors)
    if found.field and not errors:
        errors = [FieldError(detail=found.detail, pointer=f"#/{found.field}")]
    details = ProblemDetails(
        type=f"{origin}/docs#{found.code}",
        title=found.title,
        status=found.status,
        detail=found.detail,
        instance=g.request_id,
        code=found.code,
        errors=errors or UNSET,
    )
    return Response(msgspec.json.encode(details), mimetype="application/problem+json")


def _can_retry(status: int) -> bool:
    """Return whether loading the page again may help; a form is not sent again."""
    return request.method == "GET" and (status == 429 or status >= 500) and status != 501


def _page_before() -> str | None:
    """Return the page of this site that linked here, or None."""
    page = request.referrer or ""
    here = f"{request.host}{request.script_root}/"
    is_ours = page.startswith((f"http://{here}", f"https://{here}"))
    return page if is_ours and page != request.url else None


def asks_for_html() -> bool:
    """Return whether the client accepts HTML by name, as browsers and htmx do."""
    return any(mimetype == "text/html" for mimetype, _ in request.accept_mimetypes)


def is_htmx() -> bool:
    """Return whether htmx sent the request, for a part of a page."""
    return "HX-Request" in request.headers


def init_app(app: Flask) -> None:
    """Register the handler of all exceptions."""
    app.register_error_handler(Exception, answer)
