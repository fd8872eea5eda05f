"""The pages that document the API, made from the OpenAPI document."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, render_template
from markupsafe import Markup, escape

from webapp.recipes.presets import offered_presets
from webapp.web.api.conversion import describe_schema
from webapp.web.api.openapi import current_document
from webapp.web.api.operations import BINARY, FORM, IMAGE, JSON, PROBLEM, ZIP
from webapp.web.app_context import current_config, current_jobs
from webapp.web.errors import TITLES, list_codes
from webapp.web.security import session_cookie_name

blueprint = Blueprint("docs", __name__, url_prefix="/docs")

SAMPLE = "photo.jpg"
# Of ids that a reader has to fill in.
VARIABLES = {"job_id": "$JOB", "image_id": "$IMAGE", "delivery_id": "$DELIVERY"}


@dataclass(frozen=True)
class Row:
    """A parameter, or a field of a type."""

    name: str
    kind: Markup
    description: Markup
    place: str = ""
    is_required: bool = False


@dataclass(frozen=True)
class Body:
    """A body of a request or an answer in one media type."""

    media_type: str
    kind: Markup
    curl: str = ""
    rows: Sequence[Row] = ()

    @property
    def is_file(self) -> bool:
        """Return whether the body is no JSON."""
        return self.media_type not in (JSON, PROBLEM)


@dataclass(frozen=True)
class Answered:
    """An answer, or an error that is likely."""

    status: str
    description: Markup
    bodies: list[Body]
    headers: list[str]


@dataclass(frozen=True)
class Described:
    """An operation, as the page shows it."""

    id: str
    method: str
    path: str
    tag: str
    summary: Markup
    paragraphs: list[Markup]
    parameters: list[Row]
    bodies: list[Body]
    answers: list[Answered]
    curl: str


@dataclass(frozen=True)
class Type:
    """A type of JSON objects."""

    name: str
    description: Markup
    rows: list[Row]


@blueprint.get("")
def show() -> str:
    """Document the API."""
    document = current_document()
    is_closed = bool(current_config().access_token)
    operations = [
        _describe(document, path, method, one, is_closed)
        for path, methods in document["paths"].items()
        for method, one in methods.items()
    ]
    return render_template(
        "docs/show.html",
        origin=document["servers"][0]["url"],
        is_closed=is_closed,
        presets=offered_presets(current_jobs().recipe_limits),
        authorization=_authorization(is_closed),
        cookie=session_cookie_name(),
        groups=[
            (tag["name"], tag["description"], [one for one in operations if one.tag == tag["name"]])
            for tag in document["tags"]
        ],
        types=list(_types(document["components"]["schemas"])),
        errors=[
            (status, TITLES[status], [(code, in_words(words)) for code, (_, words) in codes])
            for status, codes in groupby(list_codes().items(), lambda item: item[1][0])
        ],
        headers=[
            (name, in_words(header["description"]))
            for name, header in document["components"]["headers"].items()
        ],
        webhooks=[
            (
                name,
                one["post"]["summary"],
                one["post"]["description"],
                _kind(one["post"]["requestBody"]["content"][JSON]["schema"]),
            )
            for name, one in document["webhooks"].items()
        ],
    )


@blueprint.get("/try")
def try_out() -> str:
    """Try the API in the browser, with Swagger UI."""
    return render_template("docs/try.html")


# Words


def in_words(text: str) -> Markup:
    """Write the text of a description as HTML: what is between backticks is code."""
    parts = re.split(r"`([^`]+)`", text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def _kind(schema: Mapping[str, Any]) -> Markup:
    """Describe a schema in words, with links to the types that it names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#type-{}">{}</a>').format(name, name)
    if "anyOf" in schema:
        return Markup(" or ").join(dict.fromkeys(_kind(one) for one in schema["anyOf"]))
    if schema.get("type") == "array" and "minItems" not in schema:
        return Markup("list of ") + _kind(schema["items"])
    if schema.get("format") == "binary":
        return Markup("file")
    if schema.get("format") == "uuid":
        return Markup("id")
    if schema.get("format") == "date-time":
        return Markup("time (RFC 3339)")
    if "enum" in schema or "const" in schema:
        values = schema.get("enum") or [schema["const"]]
        return Markup(", ").join(Markup("<code>{}</code>").format(value) for value in values)
    return escape(describe_schema(schema))


# Types


def _types(schemas: Mapping[str, Any]) -> Iterator[Type]:
    for name, schema in schemas.items():
        yield Type(name, in_words(schema.get("description", "")), _rows(schema))


def _rows(schema: Mapping[str, Any]) -> list[Row]:
    return [
        Row(
            name=name,
            kind=_kind(field),
            description=_with_default(field),
            is_required=name in schema.get("required", ()),
        )
        for name, field in schema["properties"].items()
    ]


def _with_default(schema: Mapping[str, Any]) -> Markup:
    description = in_words(schema.get("description", ""))
    default = schema.get("default")
    if default is None or default == []:
        return description
    shown = Markup("Default: <code>{}</code>.").format(json.dumps(default))
    return description + Markup(" ") + shown if description else shown


# Operations


def _describe(
    document: Mapping[str, Any], path: str, method: str, one: Mapping[str, Any], is_closed: bool
) -> Described:
    content = one.get("requestBody", {}).get("content", {})
    curl = _Curl(method.upper(), document["servers"][0]["url"] + path, one, document, is_closed)
    bodies = [
        Body(
            media_type,
            _kind(body["schema"]),
            curl.line(media_type, body),
            _rows(_type_of(document, body["schema"])) if "$ref" in body["schema"] else (),
        )
        for media_type, body in content.items()
        if media_type != BINARY or IMAGE not in content  # It says nothing new.
    ]
    # With an image as the body, the fields of the form are parameters of the query.
    in_form = {row.name for body in bodies if body.media_type == FORM for row in body.rows}
    return Described(
        id=one["operationId"],
        method=method.upper(),
        path=path,
        tag=one["tags"][0],
        summary=in_words(one["summary"]),
        paragraphs=[in_words(text) for text in one.get("description", "").split("\n\n") if text],
        parameters=[
            Row(
                name=parameter["name"],
                kind=_kind(parameter["schema"]),
                description=in_words(parameter["description"]),
                place=parameter["in"],
                is_required=parameter.get("required", False),
            )
            for parameter in one["parameters"]
            if parameter["name"] not in in_form
        ],
        bodies=bodies,
        answers=[
            _describe_answer(document, status, answer)
            for status, answer in one["responses"].items()
            if status != "default"
        ],
        curl="" if bodies else curl.line(),
    )


def _type_of(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the type that a schema names."""
    return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]  # type: ignore[no-any-return]


def _describe_answer(
    document: Mapping[str, Any], status: str, answer: Mapping[str, Any]
) -> Answered:
    if "$ref" in answer:
        answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    description = in_words(answer["description"])
    if int(status) >= 400:
        words = Markup('<a href="#errors-{}">{}</a>')
        description = words.format(status, TITLES[int(status)])
    bodies = [
        Body(media_type, _kind(body["schema"]))
        for media_type, body in answer.get("content", {}).items()
    ]
    return Answered(status, description, bodies, [*answer.get("headers", ())])


# Lines for curl


def _authorization(is_closed: bool) -> str:
    """Return the options of curl by which a server knows its client.

    Without a token, a cookie says whose a job is.
    """
    return '-H "Authorization: Bearer $TOKEN"' if is_closed else "-b cookies.txt -c cookies.txt"


@dataclass(frozen=True)
class _Curl:
    method: str
    url: str
    operation: Mapping[str, Any]
    document: Mapping[str, Any]
    is_closed: bool

    def line(self, media_type: str = "", body: Mapping[str, Any] | None = None) -> str:
        """Write a line that sends the operation with a body of this type, or without one."""
        words = ["curl"]
        if self.method != "GET" or "403" in self.operation["responses"] or self._is_own():
            words.append(_authorization(self.is_closed))
        is_raw = media_type in (IMAGE, BINARY)
        chosen = ("PUT" if is_raw and self.method == "PUT" else "POST") if body else "GET"
        if self.method != chosen:  # What curl would take.
            words.append(f"-X {self.method}")
        words += self._body(media_type, body) if body else []
        answers = self.operation["responses"].get("200", {}).get("content", {})
        if ZIP in answers:
            words.append("-o thumbnails.zip")
        elif not body and any(kind.startswith("image/") for kind in answers):
            words.append("-o thumbnail.jpg")
        return " ".join([*words, self._address(media_type)])

    def _is_own(self) -> bool:
        return self.operation["operationId"] in ("list_jobs", "list_job_ids")

    def _body(self, media_type: str, body: Mapping[str, Any]) -> Iterator[str]:
        example = body.get("example", {})
        if media_type == JSON:
            yield f"-H 'Content-Type: {JSON}' -d {shlex.quote(json.dumps(example))}"
        elif media_type == FORM:
            schema = _type_of(self.document, body["schema"])
            for name, field in schema["properties"].items():
                if field.get("items", field).get("format") == "binary":
                    yield f"-F {name}=@{SAMPLE}"
                values = example.get(name, [])
                for value in values if isinstance(values, list) else [values]:
                    yield f"-F {shlex.quote(f'{name}={value}')}"
        else:
            kind = "image/jpeg" if media_type == IMAGE else media_type
            sent = f"-T {SAMPLE}" if self.method == "PUT" else f"--data-binary @{SAMPLE}"
            yield f"-H 'Content-Type: {kind}' {sent}"

    def _address(self, media_type: str) -> str:
        """Write the address in double quotes, in which the shell fills in variables."""
        url = self.url
        for name, variable in VARIABLES.items():
            url = url.replace(f"{{{name}}}", variable)
        if media_type in (IMAGE, BINARY):
            url += f"?{urlencode(self._query(), doseq=True)}"
        return f'"{url}"' if "$" in url or "?" in url else url

    def _query(self) -> dict[str, Any]:
        """Return what the query says of an image that is the body: what a form would."""
        in_form = self.operation["requestBody"]["content"].get(FORM, {}).get("example", {})
        examples = {one["name"]: one.get("example") for one in self.operation["parameters"]}
        return {**in_form, **{name: value for name, value in examples.items() if value}}
