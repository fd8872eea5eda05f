"""A job's life as seen from outside: created, given images, closed, followed, deleted."""

import json
from collections.abc import Sequence
from math import inf
from uuid import UUID
from zlib import crc32

from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    get_template_attribute,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from werkzeug.datastructures import FileStorage

from webapp.engine.errors import ImageError
from webapp.engine.geometry import foresee
from webapp.jobs.errors import FileTooLarge, JobNotFound, NoImages, TimeNotOffered, TooManyImages
from webapp.jobs.health import Outlook
from webapp.jobs.models import Job, MissingFile, Progress
from webapp.jobs.names import clean_name, is_kept
from webapp.recipes.outputs import InvalidRecipe, Recipe
from webapp.web.access import require_access
from webapp.web.app_context import current_config, current_jobs
from webapp.web.clients import become_owner, client_name, current_owner, is_owner, require_owner
from webapp.web.errors import asks_for_html, problem
from webapp.web.formatters import date_and_time
from webapp.web.forms.upload import UploadForm, later_hours, latest_expiry, read_upload_form
from webapp.web.views import uploads
from webapp.web.views.responses import add_image, fresh, pace, ring_for_work, without_body

blueprint = Blueprint("jobs", __name__, url_prefix="/jobs")

MAX_MISSING = 1000  # Files that a job remembers as missing,
MAX_REASON = 300  # and letters of each one's reason,
READ_REASON = 1000  # of which so many are read: those that nobody sees are left out.
REFUSALS = (ImageError, FileTooLarge, TooManyImages)  # Of one file: they say nothing of others.


@blueprint.post("/open")
def open_job() -> ResponseReturnValue:
    """Create an open job, for a script that then sends the images one by one."""
    form = read_upload_form()
    recipe, hours = form.recipe(current_jobs().recipe_limits), form.kept_hours()
    job_id = current_jobs().submit(recipe, become_owner(), hours)
    return jsonify(_addresses(job_id)), 201


@blueprint.post("")
def create() -> ResponseReturnValue:
    """Create a whole job from a form."""
    form = read_upload_form()
    try:
        recipe, files = form.recipe(current_jobs().recipe_limits), form.files()
        hours = form.kept_hours()
    except (InvalidRecipe, NoImages, TimeNotOffered) as error:
        return uploads.page(form), problem(error).status
    job_id = current_jobs().submit(recipe, become_owner(), hours)
    try:
        refused = _add_all(job_id, files)
    except BaseException:
        # Half a job would be made a second time when it is sent again.
        current_jobs().delete(job_id)
        raise
    current_jobs().close(job_id, [MissingFile(file.name, file.detail) for file in refused])
    if len(refused) == len(files):
        return uploads.page(form, refused), refused[0].problem.status
    return redirect(url_for("jobs.show", job_id=job_id), 303)


def _add_all(job_id: str, files: Sequence[FileStorage]) -> list[uploads.Refused]:
    """Add what can be added; never refuse all for the sake of one."""
    refused = []
    for file in files:
        try:
            add_image(job_id, file)
        except REFUSALS as error:
            refused.append(uploads.Refused(clean_name(file.filename or ""), problem(error)))
    return refused


def _addresses(job_id: str) -> dict[str, str]:
    return {
        "id": job_id,
        "url": url_for("jobs.show", job_id=job_id),
        "images_url": url_for("jobs.add_images", job_id=job_id),
        "panel_url": url_for("jobs.panel", job_id=job_id),
        "close_url": url_for("jobs.close", job_id=job_id),
        "reopen_url": url_for("jobs.reopen", job_id=job_id),
    }


@blueprint.post("/<uuid:job_id>/images")
def add_images(job_id: UUID) -> ResponseReturnValue:
    """Take one more image of an open job."""
    require_owner(str(job_id))
    file = request.files.get("images")
    if file is None:
        raise NoImages
    image_id = add_image(str(job_id), file, request.form.get("position", type=_position))
    return jsonify(id=image_id, name=clean_name(file.filename or "")), 201


def _position(text: str) -> int:
    """Read an image's place in the order of its uploader; ValueError makes it the last."""
    position = int(text)
    if not 0 <= position < 1_000_000:
        raise ValueError(text)
    return position


@blueprint.post("/<uuid:job_id>/close")
def close(job_id: UUID) -> ResponseReturnValue:
    """Hear that no more images come, and of `missing_files`: JSON, [[position, name, reason]]."""
    require_owner(str(job_id))
    current_jobs().close(str(job_id), _missing_files(request.form.get("missing_files", "[]")))
    return "", 204


def _clean_reason(reason: str) -> str:
    """Make a sentence fit to show: one line, no marks that reverse it, no endless length."""
    return "".join(filter(is_kept, reason[:READ_REASON]))[:MAX_REASON]


def _missing_files(text: str) -> list[MissingFile]:
    """Read what a script says is missing; what is not of that form says nothing."""
    try:
        return [
            MissingFile(clean_name(str(name)), _clean_reason(str(reason)), int(position))
            for position, name, reason in json.loads(text)[:MAX_MISSING]
        ]
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        return []


@blueprint.post("/<uuid:job_id>/reopen")
def reopen(job_id: UUID) -> ResponseReturnValue:
    """Hear that images come after all."""
    require_owner(str(job_id))
    current_jobs().reopen(str(job_id))
    return "", 204


@blueprint.get("")
def index() -> ResponseReturnValue:
    """List jobs: a page of one's own for a person, ids as thumbnail-api gave them for a program.

    The page begins with those made `before` a time, in seconds since 1970.
    """
    owner = current_owner()
    if asks_for_html():
        before = request.args.get("before", inf, type=float)
        listed = current_jobs().owned(owner, before)
        return render_template("jobs/index.html", listed=listed, is_first=before == inf)
    if current_config().list_all_jobs:
        require_access()  # An id is the key to its job.
        return jsonify(job_ids=current_jobs().ids())
    return jsonify(job_ids=current_jobs().ids(owner) if owner else [])


@blueprint.get("/<uuid:job_id>/row")
def row(job_id: UUID) -> Response:
    """Give a job as the list shows it; 204 where its version is still `v`, or no row if it is gone.

    The row of a finished job asks for no other.
    """
    try:
        require_owner(str(job_id))
        now = current_jobs().progress(str(job_id))
        if request.args.get("v", type=int) == now.version and not now.is_finished:
            return fresh("", 204)
        return fresh(render_template("jobs/_row.html", job=current_jobs().listed(str(job_id))))
    except JobNotFound:
        return fresh("")


@blueprint.get("/<uuid:job_id>")
def show(job_id: UUID) -> Response:
    """Show a job, its images and what was made of them so far."""
    if request.method == "HEAD":
        current_jobs().progress(str(job_id))
        return without_body()
    return fresh(_render("jobs/show.html", str(job_id)))


@blueprint.get("/<uuid:job_id>/panel")
def panel(job_id: UUID) -> Response:
    """Give the part of the job page that changes; 204 where nothing did.

    That is where its version is still `v`, and what it tells beside is still summed up as `said`.
    It brings the images that changed since `v`; without `v`, it comes with all of the job. The
    panel of a finished job asks for no other, and neither does that of a job that is gone.
    """
    since = request.args.get("v", type=int)
    try:
        if since is not None and (same := current_jobs().follow_unchanged(str(job_id), since)):
            job, outlook = same
            if request.args.get("said") == _said(outlook, job):
                return fresh("", 204)
        template = "jobs/_job.html" if since is None else "jobs/_panel.html"
        if request.method == "HEAD":
            return without_body()
        return fresh(_render(template, str(job_id), since))
    except JobNotFound:
        return fresh(render_template("jobs/_gone.html"))


def _said(outlook: Outlook, job: Job | Progress) -> str:
    """Sum up what a panel tells that changes without its job, and how often it asks."""
    words = get_template_attribute("_words.html", "outlook_facts")(outlook)
    return f"{crc32(words.encode()):x}-{pace(job.begun)}"


# What its owner does to a job


def _changed(job_id: UUID) -> ResponseReturnValue:
    """Show a job that was just changed."""
    return redirect(url_for("jobs.show", job_id=job_id), 303)


def _tell(words: str) -> None:
    """Say on the next page what was done; a script asks for none, and says it itself."""
    if asks_for_html():
        flash(words, "done")


@blueprint.post("/<uuid:job_id>/retry")
@blueprint.post("/<uuid:job_id>/images/<uuid:image_id>/retry")
def retry(job_id: UUID, image_id: UUID | None = None) -> ResponseReturnValue:
    """Try again one image, or all that failed, or else all that were cancelled."""
    require_owner(str(job_id))
    current_jobs().retry(str(job_id), str(image_id) if image_id else None, client_name())
    ring_for_work()
    return _changed(job_id)


@blueprint.post("/<uuid:job_id>/cancel")
@blueprint.post("/<uuid:job_id>/images/<uuid:image_id>/cancel")
def cancel(job_id: UUID, image_id: UUID | None = None) -> ResponseReturnValue:
    """Let one image that waits wait no longer, or all of them."""
    require_owner(str(job_id))
    current_jobs().cancel(str(job_id), str(image_id) if image_id else None)
    return _changed(job_id)


@blueprint.post("/<uuid:job_id>/keep")
def keep(job_id: UUID) -> ResponseReturnValue:
    """Keep a job for so many `hours` from now, if that is longer than it is kept already."""
    require_owner(str(job_id))
    hours = request.form.get("hours", type=float)
    if hours is None or not 0 < hours < inf:
        abort(422, "Say for how many hours the job is to be kept.")
    current_jobs().keep(str(job_id), hours)
    _tell(f"Kept until {date_and_time(current_jobs().job(str(job_id)).expires)}.")
    return _changed(job_id)


@blueprint.get("/<uuid:job_id>/remake")
def ask_for_recipe(job_id: UUID) -> str:
    """Ask what to make of the images of a job anew."""
    require_owner(str(job_id))
    job = current_jobs().job(str(job_id))
    form = UploadForm.from_recipe(Recipe.from_json(job.recipe))
    return render_template("jobs/remake.html", job=job, form=form)


@blueprint.post("/<uuid:job_id>/remake")
def remake(job_id: UUID) -> ResponseReturnValue:
    """Make all images of a job anew, of the same uploads; what is there stays until then.

    What was cancelled before it was ever made is left out.
    """
    require_owner(str(job_id))
    form = read_upload_form()
    try:
        recipe = form.recipe(current_jobs().recipe_limits)
    except InvalidRecipe as error:
        job = current_jobs().job(str(job_id))
        page = render_template("jobs/remake.html", job=job, form=form)
        return fresh(page, problem(error).status)
    current_jobs().remake(str(job_id), recipe, client_name())
    ring_for_work()
    return _changed(job_id)


@blueprint.get("/<uuid:job_id>/delete")
def confirm_delete(job_id: UUID) -> str:
    """Ask whether to delete a job."""
    require_owner(str(job_id))
    job = current_jobs().job(str(job_id))
    return render_template("jobs/delete.html", job=job, form=FlaskForm())


@blueprint.post("/<uuid:job_id>/delete")
def delete(job_id: UUID) -> ResponseReturnValue:
    """Delete a job with all its files; nobody waits until the disk has removed them."""
    require_owner(str(job_id))
    current_jobs().delete_soon(str(job_id))
    _tell("The job is deleted, with its images and thumbnails.")
    return redirect(url_for("uploads.new"), 303)


def _render(template: str, job_id: str, since: int | None = None) -> str:
    """Render the page of a job or a part of it; its forms have no field, but need a token."""
    job, outlook = current_jobs().follow(job_id)
    return render_template(
        template,
        job=job,
        since=since,
        is_owner=is_owner(job),
        outlook=outlook,
        said=outlook and _said(outlook, job),
        poll_ms=pace(job.begun),
        form=FlaskForm(),
        outputs=Recipe.from_json(job.recipe).outputs,
        foresee=foresee,
        latest=latest_expiry(current_config(), job.created),
        hours=later_hours(current_config(), job.created, job.expires),
    )
