"""Create a job: the upload page, its form, and images one by one."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from flask import Blueprint, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.wrappers import Response

from webapp.engine.errors import ImageError
from webapp.exports.prints import SAMPLE, Photo, count_files, draw, read_photos
from webapp.jobs.errors import (
    FileTooLarge,
    NoImages,
    RetentionNotOffered,
    TooManyImages,
    TooMuchKept,
)
from webapp.jobs.models import MAX_MISSING, MissingFile
from webapp.jobs.names import clean_name, is_kept
from webapp.jobs.tasks import notify_workers
from webapp.recipes.outputs import InvalidRecipe, Output, RecipeLimits, TooManyOutputs, combine
from webapp.web.access import has_access
from webapp.web.app_context import current_config, current_huey, current_jobs
from webapp.web.clients import become_owner, client_name, require_owner
from webapp.web.errors import Problem, problem
from webapp.web.forms.address import names_recipe
from webapp.web.forms.upload import UploadForm, read_upload_form
from webapp.web.upload_request import MAX_FIELDS, chosen_files, received_upload
from webapp.web.upload_rules import upload_rules
from webapp.web.views.jobs import render_panel

blueprint = Blueprint("uploads", __name__)


@dataclass(frozen=True)
class Sample:
    """A sample image in static/samples, with a small picture in its `small`.

    bench/samples.py paints both.
    """

    file: str
    title: str
    width: int  # Of the small picture.
    height: int

    @property
    def picture(self) -> str:
        """The file of the small picture."""
        return self.file.rpartition(".")[0] + ".webp"


SAMPLES = (
    Sample("balloons.jpg", "Landscape", 480, 320),
    Sample("moon.jpg", "Portrait, taken sideways", 135, 180),
    Sample("cutout.png", "Cut-out on transparency", 135, 180),
)

MAX_COOKIE = 4000  # Letters of a recipe; browsers keep no longer cookies.
MAX_REASON = 300  # Letters of the reason why a file is missing,
READ_REASON = 1000  # of which this many are read, before invisible ones are removed.
# Of one file: others may be accepted.
FILE_ERRORS = (ImageError, FileTooLarge, TooManyImages)


@dataclass(frozen=True)
class Refused:
    """A refused file, and why."""

    name: str
    problem: Problem

    @property
    def detail(self) -> str:
        """The reason as a sentence."""
        return self.problem.detail


@blueprint.get("/")
def new() -> ResponseReturnValue:
    """Show the upload page, or the form for the access token.

    The recipe is that of the address, or the last one of this browser.
    """
    if not has_access():
        asked = f"{request.script_root}{request.full_path}".rstrip("?")
        return redirect(url_for("access.ask", next=asked), 303)
    become_owner()  # Else two tabs that submit at the same time would be two owners.
    if names_recipe(request.args):
        return page(UploadForm.from_address(request.args))
    form = UploadForm.from_address(_last_recipe())
    form.not_understood, form.left_out = [], []  # No person wrote this address.
    return page(form)


def _last_recipe() -> MultiDict[str, str]:
    """Read the last recipe of this browser."""
    try:
        query = parse_qsl(request.cookies.get("recipe", ""), max_num_fields=MAX_FIELDS)
    except ValueError:
        return MultiDict()
    return MultiDict(query)


def _remember(form: UploadForm, response: Response) -> Response:
    """Write the recipe in a cookie, from which `new` fills in the next form."""
    if len(form.query) <= MAX_COOKIE:
        is_secure = current_config().cookie_secure
        response.set_cookie(
            "recipe",
            form.query,
            365 * 86400,
            path=f"{request.script_root}/",
            secure=is_secure,
            httponly=True,
            samesite="Lax",
        )
    return response


def page(form: UploadForm, refused: Sequence[Refused] = ()) -> str:
    """Render the upload page, with the errors of a form."""
    return render_template(
        "uploads/new.html",
        form=form,
        samples=SAMPLES,
        limits=current_config(),
        rules=upload_rules,
        refused=refused,
        pause=current_jobs().store.operations.read_pause(),
        **_becomes(form, [], None),
    )


def _becomes(form: UploadForm, photos: Sequence[Photo], selected: Photo | None) -> dict[str, Any]:
    """Return what each photo becomes, for the templates.

    The selected photo is drawn, or else the first sample.
    """
    limits = current_jobs().recipe_limits
    asked = form.outputs_so_far(limits)
    outputs = list(asked)[: limits.max_outputs]
    return {
        "asked": asked,
        "excess": _excess(asked, limits),
        "files": count_files(outputs, photos),
        "groups": draw(outputs, selected or SAMPLE),
        "picture": None if selected else SAMPLES[0].picture,
        "selected": selected,
    }


def _excess(asked: Iterable[Output], limits: RecipeLimits) -> str:
    """Say that outputs are too many or too large in all, or nothing."""
    try:
        combine(asked, limits)
    except TooManyOutputs as error:
        return str(error)
    except InvalidRecipe:
        pass  # It is told on submission: the form may not be complete yet.
    return ""


@blueprint.post("/sizes")
def draw_sizes() -> ResponseReturnValue:
    """Draw what each photo becomes, by what a script tells of the photos.

    The answer has the parts of the upload page that show it.
    """
    form = read_upload_form()
    photos = read_photos(request.form.get("photos", ""), current_config().max_images)
    selected = next(iter(read_photos(request.form.get("selected", ""), 1)), None)
    parts = render_template("uploads/sizes.html", form=form, **_becomes(form, photos, selected))
    return jsonify(parts=parts)


@blueprint.post("/jobs/open")
def open_job() -> ResponseReturnValue:
    """Create an open job, for a script that then sends the images one by one.

    The answer has the content of the job's page.
    """
    form = read_upload_form()
    recipe, hours = form.recipe(current_jobs().recipe_limits), form.retention_hours()
    job_id = current_jobs().submit(recipe, become_owner(), hours)
    page = render_panel(job_id, None)
    answer = jsonify(url=url_for("jobs.show", job_id=job_id), page=page)
    answer.status_code = 201
    return _remember(form, answer)


@blueprint.post("/jobs")  # Pages that are open over an upgrade have this address.
@blueprint.post("/")  # The one of the form: errors are shown there.
def create() -> ResponseReturnValue:
    """Create a whole job from a form."""
    form = read_upload_form()
    try:
        recipe, files = form.recipe(current_jobs().recipe_limits), form.files()
        job_id = current_jobs().submit(recipe, become_owner(), form.retention_hours())
    except (InvalidRecipe, NoImages, RetentionNotOffered) as error:
        return page(form), problem(error).status
    except TooMuchKept as error:
        form.keep_hours.errors = [str(error)]
        return page(form), problem(error).status
    refused: list[Refused] = []
    try:
        _add_all(job_id, files, refused)
    except BaseException:
        # Sending the form again would create half of the job twice.
        current_jobs().delete(job_id)
        raise
    _close(job_id, refused)
    if len(refused) == len(files):
        return page(form, refused), refused[0].problem.status
    return _remember(form, redirect(url_for("jobs.show", job_id=job_id), 303))


def _add_all(job_id: str, files: Sequence[FileStorage], refused: list[Refused]) -> None:
    """Add all acceptable files; append the others to `refused`, also before an error."""
    for file in files:
        try:
            _add_image(job_id, file)
        except FILE_ERRORS as error:
            refused.append(Refused(clean_name(file.filename or ""), problem(error)))


def _close(job_id: str, refused: Sequence[Refused]) -> None:
    current_jobs().close(job_id, [MissingFile(file.name, file.detail) for file in refused])


def _add_image(job_id: str, file: FileStorage, position: int | None = None) -> str:
    """Add a received file to a job, notify the workers, and return the image's id."""
    name = file.filename or ""
    upload = received_upload(file)
    image_id = current_jobs().add_image(job_id, upload, name, position, client_name())
    notify_workers(current_huey())
    return image_id


@blueprint.post("/jobs/<uuid:job_id>/add")
def add_photos(job_id: UUID) -> ResponseReturnValue:
    """Add files to a job from a form."""
    require_owner(str(job_id))
    files = chosen_files()
    current_jobs().reopen(str(job_id))
    refused: list[Refused] = []
    try:
        _add_all(str(job_id), files, refused)
    finally:
        _close(str(job_id), refused)
    return redirect(url_for("jobs.show", job_id=job_id), 303)


@blueprint.post("/jobs/<uuid:job_id>/images")
def add_images(job_id: UUID) -> ResponseReturnValue:
    """Add one image to an open job."""
    require_owner(str(job_id))
    file = request.files.get("images")
    if file is None:
        raise NoImages
    image_id = _add_image(str(job_id), file, request.form.get("position", type=_position))
    return jsonify(id=image_id, name=clean_name(file.filename or "")), 201


def _position(text: str) -> int:
    """Read the position of an image; ValueError makes it the last."""
    position = int(text)
    if not 0 <= position < 1_000_000:
        raise ValueError(text)
    return position


@blueprint.post("/jobs/<uuid:job_id>/close")
def close(job_id: UUID) -> ResponseReturnValue:
    """Close a job. `missing_files` is JSON: [[position, name, reason, bytes], …].

    The bytes of a file that was refused are null.
    """
    require_owner(str(job_id))
    current_jobs().close(str(job_id), _missing_files(request.form.get("missing_files", "[]")))
    return "", 204


def _clean_reason(reason: str) -> str:
    """Clean a sentence: one line, no invisible marks, bounded length."""
    return "".join(filter(is_kept, reason[:READ_REASON]))[:MAX_REASON]


def _missing_files(text: str) -> list[MissingFile]:
    """Read the missing files from JSON; any other text names none."""
    try:
        return [
            MissingFile(
                clean_name(str(name)),
                _clean_reason(str(reason)),
                int(position),
                None if size is None else int(size),
            )
            for position, name, reason, size, *_ in (
                [*file, None]
                for file in json.loads(text)[:MAX_MISSING]  # Old pages send no bytes.
            )
        ]
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return []


@blueprint.post("/jobs/<uuid:job_id>/reopen")
def reopen(job_id: UUID) -> ResponseReturnValue:
    """Open a job again, for more images; tell the position of the next one."""
    require_owner(str(job_id))
    return jsonify(position=current_jobs().reopen(str(job_id)))
