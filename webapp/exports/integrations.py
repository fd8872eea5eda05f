"""Set up other programs to make jobs: a command for curl, a file for ShareX."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from math import inf
from pathlib import PurePosixPath
from shlex import quote
from typing import Any

from webapp.jobs.models import Fetch, Job
from webapp.recipes.outputs import Output, Recipe, default_name
from webapp.recipes.presets import PRESETS, Preset

LISTED = 3  # Images that a command names; more are all of a folder.
SHAREX_WAIT = 20  # Seconds. ShareX itself waits longer.

_PLAIN = re.compile(r"[\w.@%+=: -]+")  # What curl's -F reads as it is.
_FOUND = re.compile(r'[^."\\][^"\\]*\.[A-Za-z0-9]+')  # By a pattern for its ending, and sent.


# curl


def write_curl(
    job: Job,
    fetches: Sequence[Fetch],
    url: str,
    *,
    retention_hours: float,
    max_request_bytes: int,
    needs_token: bool,
) -> str:
    """Write the shell command that makes a job like this at the URL of the API.

    `retention_hours` is how long jobs are kept where nothing is asked for. The command is for the
    folder of the files. If they are many, it sends all files there with their endings; and one by
    one, if they are too large for one request. It is empty without images, and where one of several
    is from a link: a new job takes one link, and no files beside it.
    """
    fetched = {fetch.image_id: fetch.url for fetch in fetches}
    links = [fetched[image.id] for image in job.images if image.id in fetched]
    if not job.images or job.fetching or (links and len(job.images) > 1):
        return ""
    token = ['-H "Authorization: Bearer $TOKEN"'] if needs_token else []
    asked = _asked(job, retention_hours)
    names = [image.name for image in job.images]
    found = _found(names) if len(names) > LISTED else []
    fields = [*token, *_fields(asked)]
    if links:
        return _join(f"curl {quote(url)}", f"--form-string {quote(f'url={links[0]}')}", *fields)
    # Beside each file, there is its head.
    if sum(image.bytes + 1000 for image in job.images) > max_request_bytes:
        return _send_one_by_one(url, found or [quote(name) for name in names], token, asked)
    if found:
        return _send_found(url, found, fields)
    files = [f"-F {quote(_file_field(name))}" for name in names]
    return _join(f"curl {quote(url)}", *files, *fields)


def _found(names: Sequence[str]) -> list[str]:
    """Return patterns that find files by their endings; none if they do not find all."""
    if not all(map(_FOUND.fullmatch, names)):
        return []
    return list(dict.fromkeys(f"*{PurePosixPath(name).suffix}" for name in names))


# Loops are in a subshell, whose variables and arguments are its own.


def _send_found(url: str, found: Sequence[str], fields: Sequence[str]) -> str:
    create = _join(f'curl {quote(url)} "$@"', *fields)
    return (
        f"(set --; for photo in {' '.join(found)}; do\n"
        '  set -- "$@" -F "file=@\\"$photo\\""; done\n'
        f"{create})"
    )


def _send_one_by_one(
    url: str, photos: Sequence[str], token: Sequence[str], asked: dict[str, Any]
) -> str:
    create = f"curl -sS -c \"$jar\" -o /dev/null -w '%header{{location}}' {quote(url)}"
    curl = " ".join(["curl -sS", *token, '-b "$jar"'])
    return (
        f"(jar=$(mktemp); job=$({_join(create, *token, f'--json {quote(_json(asked))}')})\n"
        f"for photo in {' '.join(photos)}; do\n"
        f'  {curl} -g -T "./$photo" --url-query "filename=$photo" "$job/images"; done\n'
        f'{curl} -X POST "$job/close"; rm "$jar")'
    )


def _join(command: str, *options: str) -> str:
    """Write a command with an option a line."""
    return " \\\n  ".join([command, *options])


def _asked(job: Job, retention_hours: float) -> dict[str, Any]:
    """Return what a job was asked for, in the words of the API."""
    asked: dict[str, Any] = {}
    rest = Recipe.from_json(job.recipe).outputs
    while preset := _preset_at_start(rest):
        asked.setdefault("presets", []).append(preset.name)
        rest = rest[len(preset.recipe.outputs) :]
    if rest:
        asked["outputs"] = [_describe(output) for output in rest]
    hours = _hours(job)
    if hours == inf:
        asked["keep_hours"] = None
    elif abs(hours - retention_hours) > 0.01:
        asked["keep_hours"] = hours
    if job.name:
        asked["name"] = job.name
    return asked


def _fields(asked: dict[str, Any]) -> Iterator[str]:
    """Write what a job was asked for as options of curl, for a form."""
    yield from (f"-F preset={name}" for name in asked.get("presets", ()))
    if "outputs" in asked:
        recipe = _json({"outputs": asked["outputs"]})
        yield f"-F {quote(f'recipe={recipe}')}"
    if "keep_hours" in asked:
        hours = asked["keep_hours"]
        yield f"-F keep_hours={inf if hours is None else hours:g}"
    if "name" in asked:  # curl reads other fields that begin with @ or <.
        yield f"--form-string {quote('name=' + asked['name'])}"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _hours(job: Job) -> float:
    """Return for how long a job is kept; infinite until its owner deletes it."""
    if job.expires is None:
        return inf
    return round((job.expires - job.created).total_seconds() / 3600, 2)


def _preset_at_start(outputs: tuple[Output, ...]) -> Preset | None:
    asked = ((one, one.recipe.outputs) for one in PRESETS.values())
    return next((one for one, first in asked if outputs[: len(first)] == first), None)


def _describe(output: Output) -> dict[str, Any]:
    """Describe an output in the words of the API, without what is so by default."""
    given = {
        field.name: getattr(output, field.name)
        for field in fields(output)
        if getattr(output, field.name) not in (field.default, None)
    }
    if output.name == default_name(output.width, output.height, output.fit, output.format):
        del given["name"]
    if "max_bytes" in given:
        given["max_kb"] = given.pop("max_bytes") // 1000
    return given


def _file_field(name: str) -> str:
    """Write the field of a file for curl's -F, which reads `,`, `;` and quotes."""
    path = "./-" if name == "-" else name  # Alone, it is the standard input.
    if _PLAIN.fullmatch(path):
        return f"file=@{path}"
    escaped = re.sub(r'(["\\])', r"\\\1", path)
    return f'file=@"{escaped}"'


# ShareX


def describe_sharex_uploader(preset: Preset, url: str, *, needs_token: bool) -> dict[str, Any]:
    """Describe an uploader of ShareX that makes a preset at the URL of the API.

    It copies the address of the last thumbnail, which is the largest of a preset: those that a
    small photo does not need are not made. There is no DeletionURL: ShareX would open it in a
    browser, which does not own the job.
    """
    return {
        "Version": "14.0.0",  # Those up to 13.7.1 had another syntax.
        "Name": f"Thumbnails: {preset.title}",
        "DestinationType": "ImageUploader",
        "RequestMethod": "POST",
        "RequestURL": f"{url}?wait={SHAREX_WAIT}",
        **({"Headers": {"Authorization": "Bearer YOUR-TOKEN"}} if needs_token else {}),
        "Body": "MultipartFormData",
        "Arguments": {"preset": preset.name},
        "FileFormName": "file",
        "URL": "{json:images[0].thumbnails[-1:].url}",
        "ThumbnailURL": "{json:images[0].thumbnails[0].url}",
        "ErrorMessage": "{json:detail}",
    }
