"""The table of the API's operations.

Routes and the OpenAPI document are made from it.

Each view is entered where it is defined, so that the two cannot differ.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from flask import Blueprint
from flask.typing import ResponseReturnValue
from msgspec import Meta, Struct

from webapp.web.api.schemas import ProblemDetails
from webapp.web.security import csrf

View = Callable[..., ResponseReturnValue]

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")
csrf.exempt(blueprint)  # Programs have no page with a token.

JSON = "application/json"
FORM = "multipart/form-data"
IMAGE = "image/*"
PROBLEM = "application/problem+json"
BINARY = "application/octet-stream"
ZIP = "application/zip"
TEXT = "text/plain"


@dataclass(frozen=True)
class Parameter:
    """A parameter of a query or a header."""

    name: str
    place: Literal["query", "header"]
    kind: Any
    description: str = ""  # Without one, that of its type.
    example: Any = None


@dataclass(frozen=True)
class Answer:
    """An answer that is no error.

    `kind` is the type of its JSON; None if it has none.
    """

    status: int
    description: str
    kind: Any = None
    media_types: Sequence[str] = ()  # Of a body that is not JSON.
    headers: Sequence[str] = ()


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    path: str  # Like `/api/v1/jobs/{job_id}`.
    name: str
    tag: str
    summary: str
    description: str
    parameters: Sequence[Parameter]
    bodies: Mapping[str, Any]  # Types by media type; None for bytes.
    answers: Sequence[Answer]
    errors: Sequence[int]  # The statuses of errors that need words of their own.
    error_kind: type[Struct]  # The type of the JSON of errors.


UNCHANGED = Answer(304, "Nothing changed since the answer with this ETag.")
OPERATIONS: list[Operation] = []
OF_ALL = (400, 401, 422)  # Statuses that every operation of the API may answer.

Seconds = Annotated[int, Meta(ge=0)]
WAIT = (
    Parameter(
        "wait",
        "query",
        Seconds,
        "Wait for the end of the job, for at most so many seconds, and 30 in any case.",
    ),
    Parameter("Prefer", "header", str, "`wait=10` waits as the parameter `wait` does."),
)
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "header",
    Annotated[
        str,
        Meta(
            # As idempotency.read_key reads it: in quotes or not.
            pattern=r'^("([!#-\[\]-~]|\\["\\]){1,255}"|[!#-~][!-~]{0,254})$',
            description="1 to 255 visible ASCII characters",
        ),
    ],
    "A new UUID for each job. The same request with the same key gets the first answer again.",
)
FILENAME = Parameter(
    "filename",
    "query",
    str,
    "The name of the image in the body.",
    "photo.jpg",
)
IF_NONE_MATCH = Parameter(
    "If-None-Match",
    "header",
    str,
    "The `ETag` of an answer. If nothing changed since, the answer is 304 without a body.",
)
WAIT_FOR_CHANGE = (
    *WAIT,
    replace(
        IF_NONE_MATCH,
        description=f"{IF_NONE_MATCH.description} With a wait, the answer comes as soon as"
        " something changes.",
    ),
)


def operation(
    method: str,
    rule: str,
    *,
    tag: str,
    answers: Sequence[Answer],
    name: str = "",
    parameters: Sequence[Parameter] = (),
    bodies: Mapping[str, Any] | None = None,
    errors: Sequence[int] = (),
) -> Callable[[View], View]:
    """Enter a view in the table, and register its route.

    Its docstring becomes the summary and the description. Without a `name`, that of the view is
    the name of the operation.
    """

    def enter(view: View) -> View:
        described(
            method,
            f"{blueprint.url_prefix}{rule}",
            tag=tag,
            answers=answers,
            name=name,
            parameters=parameters,
            bodies=bodies,
            errors=sorted({*OF_ALL, *errors}),
            error_kind=ProblemDetails,
        )(view)
        blueprint.add_url_rule(rule, name or view.__name__, view, methods=[method])
        return view

    return enter


def described(
    method: str,
    rule: str,
    *,
    tag: str,
    answers: Sequence[Answer],
    error_kind: type[Struct],
    name: str = "",
    parameters: Sequence[Parameter] = (),
    bodies: Mapping[str, Any] | None = None,
    errors: Sequence[int] = (),
) -> Callable[[View], View]:
    """Enter a view in the table, whose route another blueprint has."""

    def enter(view: View) -> View:
        summary, _, description = inspect.cleandoc(view.__doc__ or "").partition("\n\n")
        OPERATIONS.append(
            Operation(
                method=method,
                path=re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule),
                name=name or view.__name__,
                tag=tag,
                summary=summary.rstrip("."),
                description=re.sub(r"(?<!\n)\n(?!\n)", " ", description),
                parameters=parameters,
                bodies=bodies or {},
                answers=answers,
                errors=errors,
                error_kind=error_kind,
            )
        )
        return view

    return enter
