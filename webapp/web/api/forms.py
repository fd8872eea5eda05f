"""Read what job a request asks for: as JSON, a form, or an image with a query."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf
from typing import Any, cast

import msgspec
from flask import request
from msgspec import UNSET
from werkzeug.datastructures import MultiDict

from webapp.config import read_switch
from webapp.jobs.outbound_errors import RequestRefused
from webapp.jobs.upload import Upload
from webapp.recipes.outputs import Recipe
from webapp.web.api import schemas
from webapp.web.api.conversion import convert
from webapp.web.api.errors import NothingSent, UnsupportedBody
from webapp.web.api.operations import FILENAME, FORM, JSON, Parameter
from webapp.web.api.problems import Problems, escape
from webapp.web.api.reading import read_hours, read_json
from webapp.web.api.recipes import read_recipe
from webapp.web.app_context import current_jobs
from webapp.web.upload_request import UploadRequest, received_upload

FORMS = (FORM, "application/x-www-form-urlencoded")
UNNAMED = "image"  # A raw body without a name.

# The fields of a form or a query that describe one output, in the words of pages and commands.
OUTPUT_FIELDS = tuple(name for name in schemas.Output.__struct_fields__ if name != "name")
FORM_FIELDS = tuple(name for name in schemas.NewJobForm.__struct_fields__ if name != "files")
OTHER_QUERY = {"wait", "filename"}
NUMBERS = {"width", "height", "quality", "max_kb"}
SEVERAL = {"preset", "format"}
SWITCHES = {"enlarge", "keep_copyright", "animated"}
FORM_PARAMETERS = (
    *(
        Parameter(one.name, "query", one.type)
        for one in msgspec.structs.fields(schemas.NewJobForm)
        if one.name != "files"
    ),
    FILENAME,
)


@dataclass(frozen=True)
class AskedJob:
    """A job that a request asks for, and the files that came with it."""

    recipe: Recipe
    name: str
    keep_hours: float | None  # None: as long as the settings say; infinite: until it is deleted.
    url: str | None = None
    callback_url: str | None = None
    files: Sequence[tuple[Upload, str]] = ()

    @property
    def fetched(self) -> int:
        """The number of its images that are to be fetched."""
        return int(self.url is not None)


def read_new_job() -> AskedJob:
    """Read what job the request asks for: as JSON, as a form, or as an image.

    Raises InvalidRequest, NothingSent, UnreadableBody or UnsupportedBody.
    """
    problems = Problems()
    files: list[tuple[Upload, str]] = []
    if request.mimetype == JSON:
        for name in sorted(request.args.keys() - {"wait"}):
            problems.add(f"/{escape(name)}", "With JSON, send this in the body.")
        job = _read_job(read_json(schemas.NewJob, problems), problems)
    elif request.mimetype in FORMS:
        sent = [*request.args.items(multi=True), *request.form.items(multi=True)]
        job = _read_fields(MultiDict(sent), problems)
        sent_files = [file for _, file in request.files.items(multi=True)]
        files = [(received_upload(file), file.filename or "") for file in sent_files]
    else:
        job = _read_fields(request.args, problems)
        if request.mimetype or request.content_length:
            files = [read_image()]
    if job and job.url is not None and files:
        problems.add("/url", "Send files or a link, not both.")
    problems.raise_if_any()
    assert job is not None
    asked = replace(job, files=files)
    if request.mimetype != JSON and not asked.files and not asked.fetched:
        raise NothingSent
    return asked


def read_image() -> tuple[Upload, str]:
    """Receive a raw body as an image; return it with the `filename` of the query.

    Raises UnsupportedBody if the body is of a type that is no image's.
    """
    kind = request.mimetype
    if kind and not kind.startswith("image/") and kind != "application/octet-stream":
        raise UnsupportedBody("Send an image, with its Content-Type or application/octet-stream.")
    received = cast(UploadRequest, request).receive_body()
    return received, request.args.get("filename", UNNAMED)


def _read_job(asked: schemas.NewJob | None, problems: Problems) -> AskedJob | None:
    if asked is None:
        return None
    recipe = read_recipe(asked.presets, asked.outputs, problems)
    hours = read_hours(asked.keep_hours, problems)
    url = None if asked.url is UNSET else asked.url
    callback_url = None if asked.callback_url is UNSET else asked.callback_url
    _check_links(url, callback_url, problems)
    if recipe is None:
        return None
    return AskedJob(recipe, asked.name, hours, url, callback_url)


def _read_fields(fields: MultiDict[str, str], problems: Problems) -> AskedJob | None:
    """Read a job from the fields of a form, or of a query.

    They are presets, a recipe as JSON, and the fields of one output.
    """
    for name in sorted(fields.keys() - set(FORM_FIELDS) - OTHER_QUERY):
        problems.add(f"/{escape(name)}", "There is no such field.")
    for name in sorted(set(FORM_FIELDS) - SEVERAL):
        if len(fields.getlist(name)) > 1:
            problems.add(f"/{name}", "Send this field once.")
    asked = _read_recipe_field(fields.get("recipe", ""), problems)
    outputs = [*asked.outputs, *_read_output_fields(fields, problems)]
    recipe = read_recipe([*fields.getlist("preset"), *asked.presets], outputs, problems)
    hours = _read_hours_field(fields.get("keep_hours", ""), problems)
    url, callback_url = fields.get("url") or None, fields.get("callback_url") or None
    _check_links(url, callback_url, problems)
    if recipe is None:
        return None
    return AskedJob(recipe, fields.get("name", ""), hours, url, callback_url)


def _check_links(url: str | None, callback_url: str | None, problems: Problems) -> None:
    """Check links where something else is wrong too.

    Alone, each has a code of its own.
    """
    if problems.found or (url and callback_url):
        for name, link in (("url", url), ("callback_url", callback_url)):
            try:
                if link is not None:
                    current_jobs().guard.check(link)
            except RequestRefused as error:
                problems.add(f"/{name}", str(error))


def _read_recipe_field(text: str, problems: Problems) -> schemas.Recipe:
    if not text:
        return schemas.Recipe()
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        problems.add("/recipe", 'This must be JSON, as {"presets": ["card"]}.')
        return schemas.Recipe()
    return convert(value, schemas.Recipe, problems, "/recipe") or schemas.Recipe()


def _read_output_fields(
    fields: MultiDict[str, str], problems: Problems
) -> Iterator[schemas.Output]:
    """Read one output in each format that is named."""
    texts = {name: fields[name].strip() for name in OUTPUT_FIELDS if fields.get(name, "").strip()}
    given = {name: _read_text(name, text) for name, text in texts.items()}
    formats = [text for one in fields.getlist("format") if (text := one.strip())]
    for format in formats or ([""] if given else []):
        before = len(problems.found)
        output = convert(given | ({"format": format} if format else {}), schemas.Output, problems)
        if output and len(problems.found) == before:
            yield output
        else:
            return  # The other formats have the same errors.


def _read_text(name: str, text: str) -> Any:
    """Read the text of an output's field as JSON has it, or return it unchanged."""
    if name in NUMBERS:
        return int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else text
    if name in SWITCHES:
        is_on = read_switch(text)
        return text if is_on is None else is_on
    if name == "focus" and re.fullmatch(r"[0-9.]{1,9},\s*[0-9.]{1,9}", text):
        with suppress(ValueError):
            return [float(number) for number in text.split(",")]
    return text.lower() if name == "background" else text


def _read_hours_field(text: str, problems: Problems) -> float | None:
    if not text:
        return None
    try:
        hours = float(text)
    except ValueError:
        problems.add("/keep_hours", "This must be a number above 0.")
        return None
    return read_hours(None if hours == inf else hours, problems)
