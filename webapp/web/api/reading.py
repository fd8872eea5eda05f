"""Read the queries, headers and JSON bodies of requests of the API."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from math import inf, isfinite
from typing import TypeVar

import msgspec
from flask import request
from msgspec import UNSET, Struct, UnsetType
from werkzeug.exceptions import RequestEntityTooLarge

from webapp.web.api import schemas
from webapp.web.api.conversion import convert
from webapp.web.api.errors import InvalidRequest, UnreadableBody, UnsupportedBody
from webapp.web.api.operations import JSON, OPERATIONS, blueprint
from webapp.web.api.problems import Problems, escape
from webapp.web.app_context import current_config

MAX_WAIT_SECONDS = 30
MAX_JSON_BYTES = 250_000  # A recipe has some kB.
PAGE_SIZE = 50  # Jobs of a page, where nothing else is asked for.

_PREFERRED_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?([0-9]{1,6})(?![0-9])', re.IGNORECASE)

S = TypeVar("S", bound=Struct)


@blueprint.before_request
def check_query() -> None:
    """Check the names and the `wait` of the query before anything changes.

    A wrong name would have no effect. Raises InvalidRequest.
    """
    if not request.args:
        return
    name = (request.endpoint or "").partition(".")[2]
    parameters = next((one.parameters for one in OPERATIONS if one.name == name), ())
    known = {one.name for one in parameters if one.place == "query"}
    problems = Problems()
    for unknown in sorted(request.args.keys() - known):
        problems.add(f"/{escape(unknown)}", "There is no such parameter.")
    problems.raise_if_any()
    read_wait()


def read_json(kind: type[S], problems: Problems) -> S | None:
    """Read the JSON body of the request; an empty body is an empty object.

    Raises InvalidRequest, UnreadableBody, UnsupportedBody or RequestEntityTooLarge.
    """
    if request.content_length and request.mimetype != JSON:
        raise UnsupportedBody(f"Send JSON, with Content-Type: {JSON}.")
    if (request.content_length or 0) > MAX_JSON_BYTES:
        raise RequestEntityTooLarge
    body = request.get_data() or b"{}"
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableBody(f"This is not JSON: {error}.") from None
    return convert(value, kind, problems)


def read_hours(hours: float | UnsetType | None, problems: Problems) -> float | None:
    """Read for how many hours a job is asked to be kept; `null` is infinite.

    Returns None if nothing is asked for.
    """
    config = current_config()
    if hours is UNSET:
        return None
    if hours is None and config.max_kept_mb:
        return inf
    if hours is None or not schemas.MIN_HOURS <= hours <= config.max_retention_hours:
        bounds = f"from {schemas.MIN_HOURS} to {config.max_retention_hours:g}"
        problems.add("/keep_hours", f"This must be a number {bounds}.")
        return None
    return hours


def read_position() -> int | None:
    """Read the `position` of the query. Raises InvalidRequest."""
    return _read_number("position", 999_999)


def read_limit() -> int:
    """Read the `limit` of the query. Raises InvalidRequest."""
    limit = _read_number("limit", schemas.MAX_PAGE, least=1)
    return PAGE_SIZE if limit is None else limit


def read_wait() -> int:
    """Read how many seconds the answer may wait for the end of a job.

    They are those of the query's `wait`, or of the header Prefer (RFC 7240). Raises InvalidRequest
    for a wrong query; a wrong header counts for nothing.
    """
    seconds = _read_number("wait", 999_999)
    if seconds is None and "Prefer" not in request.headers:
        return 0
    if seconds is None:
        found = _PREFERRED_WAIT.search(request.headers.get("Prefer", ""))
        seconds = int(found[1]) if found else 0
    return min(seconds, MAX_WAIT_SECONDS)


def read_cursor() -> tuple[float, int]:
    """Read the `cursor` of the query: the place of the last job of the page before.

    Raises InvalidRequest.
    """
    cursor = request.args.get("cursor")
    if cursor is None:
        return inf, 0
    try:
        created, number = urlsafe_b64decode(cursor).decode().split(" ")
        place = float.fromhex(created), int(number)
        if not (isfinite(place[0]) and 0 <= place[1] < 2**63):
            raise ValueError(cursor)
    except (ValueError, OverflowError):
        raise _invalid(
            "cursor", "This is not the place of a page. Begin without a cursor."
        ) from None
    return place


def write_cursor(place: tuple[float, int]) -> str:
    """Write a place as a cursor that read_cursor reads."""
    return urlsafe_b64encode(f"{place[0].hex()} {place[1]}".encode()).decode()


def _read_number(name: str, most: int, least: int = 0) -> int | None:
    text = request.args.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,6}", text) or not least <= int(text) <= most:
        raise _invalid(name, f"This must be a whole number from {least} to {most}.")
    return int(text)


def _invalid(name: str, sentence: str) -> InvalidRequest:
    return InvalidRequest([schemas.FieldError(detail=sentence, pointer=f"#/{name}")])
