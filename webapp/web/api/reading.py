"""Read what requests of the API say, and find every wrong field."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf, isfinite
from typing import Any, TypeVar, get_args, get_origin

import msgspec
from flask import request
from msgspec import UNSET, Struct, UnsetType
from werkzeug.exceptions import RequestEntityTooLarge

from webapp.recipes.outputs import InvalidRecipe, Output, Point, Recipe, combine, default_name
from webapp.recipes.presets import preset
from webapp.web.api import schemas
from webapp.web.api.errors import InvalidRequest, UnreadableBody, UnsupportedBody
from webapp.web.api.operations import JSON, OPERATIONS, blueprint
from webapp.web.app_context import current_config, current_jobs

MAX_WAIT_SECONDS = 30
MAX_JSON_BYTES = 250_000  # A recipe has some kB.
MAX_ERRORS = 50
PAGE_SIZE = 50  # Jobs of a page, where nothing else is asked for.

_PREFERRED_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?([0-9]{1,6})(?![0-9])', re.IGNORECASE)

S = TypeVar("S", bound=Struct)


class Problems:
    """Collect what is wrong with a request."""

    def __init__(self) -> None:
        self.found: list[schemas.FieldError] = []

    def add(self, pointer: str, sentence: str) -> None:
        """Add an error of the field at a JSON pointer.

        Raises InvalidRequest if there are so many that no one reads them.
        """
        self.found.append(schemas.FieldError(detail=sentence, pointer=f"#{pointer}"))
        if len(self.found) == MAX_ERRORS:
            raise InvalidRequest(self.found)

    def add_invalid(self, pointer: str, error: InvalidRecipe) -> None:
        """Add all errors of an output or a recipe at a JSON pointer."""
        for one in (error, *error.others):
            self.add(f"{pointer}/{one.field}", str(one))

    def raise_if_any(self) -> None:
        """Raise InvalidRequest if something is wrong."""
        if self.found:
            raise InvalidRequest(self.found)


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


# Values


def convert(value: Any, kind: type[S], problems: Problems, pointer: str = "") -> S | None:
    """Convert decoded JSON to a type; add every wrong field to the problems.

    A wrong field has its default in the result, which is None if there is none.
    """
    if not isinstance(value, dict):
        problems.add(pointer, f"This must be {_describe(kind)}.")
        return None
    values: dict[str, Any] = {}
    fields = {one.encode_name: one for one in msgspec.structs.fields(kind)}
    for name in sorted(value.keys() - fields.keys()):
        problems.add(f"{pointer}/{escape(name)}", "There is no such field.")
    for name, one in fields.items():
        if name in value:
            converted = _convert(value[name], one.type, problems, f"{pointer}/{name}")
            if converted is not UNSET:
                values[name] = converted
        elif one.required:
            problems.add(f"{pointer}/{name}", "This field is missing.")
    required = {name for name, one in fields.items() if one.required}
    return kind(**values) if required <= values.keys() else None


def _convert(value: Any, kind: Any, problems: Problems, pointer: str) -> Any:
    """Convert a field; return UNSET if it is wrong, and None for a wrong item."""
    item = _item_of(kind)
    if item is not None and isinstance(value, list):
        return [
            _convert_item(one, item, problems, f"{pointer}/{place}")
            for place, one in enumerate(value)
        ]
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        problems.add(pointer, f"This must be {_describe(kind)}.")
        return UNSET


def _convert_item(value: Any, kind: type[S], problems: Problems, pointer: str) -> S | None:
    before = len(problems.found)
    item = convert(value, kind, problems, pointer)
    return item if len(problems.found) == before else None


def _item_of(kind: Any) -> type[Struct] | None:
    """Return the type of the items of a list of objects; None for other types."""
    for one in (kind, *get_args(kind)):
        if get_origin(one) is list and issubclass(get_args(one)[0], Struct):
            return get_args(one)[0]  # type: ignore[no-any-return]
    return None


def escape(name: str) -> str:
    """Write a name as a part of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _describe(kind: Any) -> str:
    """Describe a type in words, by its JSON schema."""
    return describe_schema(msgspec.json.schema(kind))


def describe_schema(schema: Mapping[str, Any]) -> str:
    """Describe what a JSON schema allows in words: `a whole number from 1 to 100`."""
    if "anyOf" in schema:
        kinds = [one for one in schema["anyOf"] if "enum" not in one]
        words = [str(word) for one in schema["anyOf"] for word in one.get("enum", ())]
        listed = [describe_schema({"enum": words})] if words else []
        return " or ".join(dict.fromkeys([*listed, *map(describe_schema, kinds)]))
    if "enum" in schema:
        return "one of " + ", ".join(str(one) for one in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    match schema.get("type"):
        case "integer" | "number" as kind:
            return ("a whole number" if kind == "integer" else "a number") + _bounds(schema)
        case "string":
            return _describe_text(schema)
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case "array" if "minItems" in schema:
            return f"a list of {schema['minItems']} numbers{_bounds(schema['items'])}"
        case "array":
            return "a list"
    return "an object"


def _bounds(schema: Mapping[str, Any]) -> str:
    if "maximum" in schema:
        return f" from {schema['minimum']} to {schema['maximum']}"
    if "minimum" in schema:
        return f" of at least {schema['minimum']}"
    return ""


def _describe_text(schema: Mapping[str, Any]) -> str:
    if "pattern" in schema:
        return str(schema["description"])
    return f"text of at most {schema['maxLength']} characters" if "maxLength" in schema else "text"


# Recipes


def read_recipe(
    presets: Sequence[str], outputs: Sequence[schemas.Output | None], problems: Problems
) -> Recipe | None:
    """Read a recipe of presets and outputs, within the limits of the settings.

    None stands for an output that is wrong already. Adds what else is wrong to the problems, and
    returns None if anything is.
    """
    limits = current_jobs().recipe_limits
    chosen: list[Output] = []
    for place, name in enumerate(presets):
        try:
            chosen += preset(name).recipe.outputs
        except InvalidRecipe as error:
            problems.add(f"/presets/{place}", str(error))
    for place, one in enumerate(outputs):
        with noting(problems, f"/outputs/{place}"):
            if one is not None:
                output = _to_output(one)
                output.check_sides(limits.max_side)
                chosen.append(output)
    if problems.found:
        return None
    if not chosen:
        problems.add("/outputs", "Name a preset, or describe at least one output.")
        return None
    with noting(problems, ""):
        return combine(chosen, limits)
    return None


@contextmanager
def noting(problems: Problems, pointer: str) -> Iterator[None]:
    """Add an InvalidRecipe of the block to the problems."""
    try:
        yield
    except InvalidRecipe as error:
        problems.add_invalid(pointer, error)


def to_point(numbers: Sequence[float] | None) -> Point | None:
    """Convert the two numbers of a point; None stays None."""
    return (numbers[0], numbers[1]) if numbers else None


def _to_output(asked: schemas.Output) -> Output:
    """Create an output. Raises InvalidRecipe."""
    fields = msgspec.structs.asdict(asked)
    max_kb = fields.pop("max_kb")
    if asked.name is None:
        by_size = default_name(asked.width, asked.height, asked.fit, asked.format)
        fields["name"] = by_size if asked.width or asked.height else "without-size"
    if asked.focus != "smart":
        fields["focus"] = to_point(asked.focus)
    return Output(**fields, max_bytes=None if max_kb is None else max_kb * 1000)


# Requests


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
