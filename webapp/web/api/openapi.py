"""The OpenAPI document of this server, made from the table of operations.

Its schemas are those of the types that decode requests and encode answers.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec
from flask import Response, request
from msgspec import Struct

from webapp.config import VERSION
from webapp.web import errors
from webapp.web.addresses import current_origin
from webapp.web.api import schemas
from webapp.web.api.operations import (
    IF_NONE_MATCH,
    JSON,
    OPERATIONS,
    PROBLEM,
    UNCHANGED,
    Answer,
    Operation,
    Parameter,
    operation,
)
from webapp.web.app_context import current_config
from webapp.web.security import session_cookie_name

REFERENCE = "#/components/schemas/{name}"
BYTES = {"type": "string", "format": "binary"}

TAGS = {
    "Jobs": "Create, follow, change and delete jobs.",
    "Images": "Add images to a job, read and change them.",
    "Downloads": "Fetch what a job made.",
    "Webhooks": "See what was sent to the callback of a job, and send it again.",
    "Server": "What this server offers, and this document.",
    "thumbnail-api": "The routes of thumbnail-api, whose clients need only another host name.",
}

UUIDS = {"job_id", "image_id"}

# Headers of answers, with their types.
HEADERS: dict[str, tuple[Any, str]] = {
    "Location": (str, "The address of what was made, or of where the answer is."),
    "ETag": (str, "Send it as `If-None-Match` to get 304 for as long as nothing changes."),
    "Retry-After": (int, "Ask again after so many seconds."),
    "Link": (str, 'The address of the next page, with `rel="next"`; only if there is one.'),
    "Preference-Applied": (str, "The wait of the header `Prefer`, if the answer could wait."),
    "Idempotent-Replayed": (str, "`true` if the answer is that of an earlier request."),
    "WWW-Authenticate": (str, "How to send a token."),
}
ALWAYS_SENT = {"Location", "ETag"}
# Of answers to requests that have such a parameter.
BY_PARAMETER = {"Prefer": "Preference-Applied", "Idempotency-Key": "Idempotent-Replayed"}
OF_ERRORS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}

ABOUT = """
Turn images into thumbnails. Create a job from one or more images and a recipe, follow it, and fetch
what it made. Every answer has the id of its request in the header `X-Request-ID`.
"""


@operation(
    "GET",
    "/openapi.json",
    tag="Server",
    parameters=(IF_NONE_MATCH,),
    answers=(
        Answer(200, "The OpenAPI 3.1 document.", dict, headers=("ETag",)),
        UNCHANGED,
    ),
)
def get_openapi() -> Response:
    """Read this document."""
    body, etag = _encoded(*_facts())
    response = Response(body, mimetype=JSON)
    response.set_etag(etag)
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


def current_document() -> dict[str, Any]:
    """Return the document for the host that the request names."""
    return describe(*_facts())


def _facts() -> tuple[str, bool, str]:
    """Return what documents differ by."""
    return (
        current_origin(),
        bool(current_config().access_token),
        session_cookie_name(),
    )


# A client can name any host, so only a few documents are kept.
@lru_cache(maxsize=8)
def _encoded(origin: str, is_closed: bool, cookie: str) -> tuple[bytes, str]:
    body = msgspec.json.encode(describe(origin, is_closed, cookie))
    return body, sha256(body).hexdigest()[:16]


@lru_cache(maxsize=8)
def describe(origin: str, is_closed: bool, cookie: str) -> dict[str, Any]:
    """Describe the API at an origin; `is_closed` if changes need a token."""
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for one in sorted(OPERATIONS, key=lambda one: list(TAGS).index(one.tag)):
        paths[one.path][one.method.lower()] = _describe_operation(one, is_closed)
    statuses = sorted({status for one in OPERATIONS for status in one.errors})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Thumbnails",
            "version": VERSION,
            "description": " ".join(ABOUT.split()),
        },
        "servers": [{"url": origin}],
        "tags": [{"name": name, "description": words} for name, words in TAGS.items()],
        "paths": paths,
        "webhooks": {"job.finished": {"post": _describe_webhook()}},
        "components": {
            "schemas": _describe_types(),
            "responses": {
                "Error": _describe_error(None, schemas.ProblemDetails),
                **{f"Error{one}": _describe_error(one, schemas.ProblemDetails) for one in statuses},
            },
            "headers": {name: _describe_header(name) for name in HEADERS},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token that the operator of this server created.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": cookie,
                    "description": "The cookie that the first answer sets.",
                },
            },
        },
    }


# Operations


def _describe_operation(one: Operation, is_closed: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": one.summary,
        "parameters": [*_path_parameters(one), *map(_describe_parameter, one.parameters)],
        "responses": _describe_answers(one),
        "security": [{"token": []}, {"session": []}],
    }
    if one.description:
        described["description"] = one.description
    if not is_closed or one.method == "GET":
        described["security"].insert(0, {})
    if one.bodies:
        content = {kind: _describe_body(kind, type) for kind, type in one.bodies.items()}
        # JSON that is not sent is an empty object.
        described["requestBody"] = {"required": JSON not in content, "content": content}
    return described


def _path_parameters(one: Operation) -> Iterator[dict[str, Any]]:
    for name in path_names(one.path):
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": f"The id of the {name.removesuffix('_id')}.",
            "schema": {"type": "string", **({"format": "uuid"} if name in UUIDS else {})},
        }


def path_names(path: str) -> list[str]:
    """Return the names of the parameters in a path."""
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _describe_parameter(one: Parameter) -> dict[str, Any]:
    schema = _schema_of(one.kind)
    described = {
        "name": one.name,
        "in": one.place,
        "description": one.description or schema.pop("description", ""),
        "schema": schema,
    }
    return described if one.example is None else {**described, "example": one.example}


def _describe_body(media_type: str, kind: Any) -> dict[str, Any]:
    if kind is None:
        return {"schema": {**BYTES, "minLength": 1}}
    example = schemas.EXAMPLES.get(kind)
    return {"schema": _schema_of(kind), **({"example": example} if example else {})}


# Answers


def _describe_answers(one: Operation) -> dict[str, Any]:
    sent = {parameter.name for parameter in one.parameters}
    common = [BY_PARAMETER[name] for name in BY_PARAMETER if name in sent]
    described: dict[str, Any] = {}
    for answer in one.answers:
        found = described.setdefault(str(answer.status), {"description": answer.description})
        if found["description"] != answer.description:  # Two kinds of answers have this status.
            found["description"] += f" Or: {answer.description}"
        if names := [*answer.headers, *common]:
            found["headers"] = {
                name: {"$ref": f"#/components/headers/{name}"} for name in dict.fromkeys(names)
            }
        content = {kind: {"schema": BYTES} for kind in answer.media_types}
        if answer.kind:
            content[JSON] = {"schema": _schema_of(answer.kind)}
        if content:
            found.setdefault("content", {}).update(content)
        if "Location" in answer.headers and (links := _describe_links(one, answer.kind)):
            found["links"] = links
    for status in one.errors:
        described[str(status)] = (
            {"$ref": f"#/components/responses/Error{status}"}
            if one.error_kind is schemas.ProblemDetails
            else _describe_error(status, one.error_kind)
        )
    described["default"] = (
        {"$ref": "#/components/responses/Error"}
        if one.error_kind is schemas.ProblemDetails
        else _describe_error(None, one.error_kind)
    )
    return described


def _describe_links(one: Operation, kind: Any) -> dict[str, Any]:
    """Link what was made to the operations on it, whose paths have its id."""
    known = {name: f"$request.path.{name}" for name in path_names(one.path)}
    if kind is schemas.Job:
        known["job_id"] = "$response.body#/id"
    elif kind is schemas.Image:
        known["image_id"] = "$response.body#/id"
    elif _is_struct(kind) and "job_id" in kind.__struct_fields__:
        known["job_id"] = "$response.body#/job_id"
    return {
        other.name: {
            "operationId": other.name,
            "parameters": {name: known[name] for name in path_names(other.path)},
        }
        for other in OPERATIONS
        if other.tag != "thumbnail-api" or one.tag == "thumbnail-api"
        if path_names(other.path) and set(path_names(other.path)) == known.keys()
    }


def _describe_error(status: int | None, kind: type[Struct]) -> dict[str, Any]:
    """Describe errors of a status, or all others."""
    media_type = PROBLEM if kind is schemas.ProblemDetails else JSON
    described: dict[str, Any] = {
        "description": "Any other error.",
        "content": {media_type: {"schema": _schema_of(kind)}},
    }
    if status is None:
        return described
    described["description"] = f"{errors.TITLES[status]}."
    codes = [code for code, (known, _) in errors.list_codes().items() if known == status]
    if codes and kind is schemas.ProblemDetails:
        described["description"] += f" `code` is {_join([f'`{code}`' for code in codes])}."
    if status in OF_ERRORS:
        described["headers"] = {
            name: {"$ref": f"#/components/headers/{name}"} for name in OF_ERRORS[status]
        }
    return described


def _join(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def _describe_header(name: str) -> dict[str, Any]:
    kind, description = HEADERS[name]
    return {
        "description": description,
        "required": name in ALWAYS_SENT,
        "schema": _schema_of(kind),
    }


def _describe_webhook() -> dict[str, Any]:
    return {
        "operationId": "job_finished",
        "summary": "A job is finished",
        "description": "Sent to the callback of the job, signed as Standard Webhooks 1.0.0 says.",
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": _schema_of(schemas.JobFinished)}},
        },
        "responses": {
            "2XX": {"description": "You have it."},
            "410": {"description": "You want no more of it."},
        },
    }


# Types


def _schema_of(kind: Any) -> dict[str, Any]:
    if _is_struct(kind):
        return {"$ref": REFERENCE.format(name=kind.__name__)}
    return dict(msgspec.json.schema(kind))


def _describe_types() -> dict[str, Any]:
    """Describe every type of a body or an answer, and those that they contain."""
    kinds: list[Any] = [schemas.JobFinished]
    for one in OPERATIONS:
        kinds += [one.error_kind, *one.bodies.values(), *(answer.kind for answer in one.answers)]
    structs = dict.fromkeys(kind for kind in kinds if _is_struct(kind))
    _, types = msgspec.json.schema_components(structs, ref_template=REFERENCE)
    for kind, example in schemas.EXAMPLES.items():
        for name, value in example.items():
            types[kind.__name__]["properties"][name]["examples"] = [value]
    return {name: _with_binary(schema) for name, schema in sorted(types.items())}


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _with_binary(schema: Any) -> Any:
    """Describe files of a form as they are sent; msgspec has base64 for bytes."""
    if isinstance(schema, dict):
        if "contentEncoding" in schema:
            return BYTES
        return {name: _with_binary(value) for name, value in schema.items()}
    return [_with_binary(one) for one in schema] if isinstance(schema, list) else schema
