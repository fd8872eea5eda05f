"""What its owner does to a job."""

from math import inf
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from webapp.jobs.tasks import notify_workers
from webapp.recipes.outputs import InvalidRecipe, Recipe
from webapp.web.app_context import current_huey, current_jobs
from webapp.web.clients import client_name, require_owner
from webapp.web.errors import asks_for_html, problem
from webapp.web.formatters import date_and_time
from webapp.web.forms.upload import UploadForm, read_upload_form
from webapp.web.views.responses import fresh

blueprint = Blueprint("changes", __name__, url_prefix="/jobs")


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
    notify_workers(current_huey())
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
    current_jobs().extend(str(job_id), hours)
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
    notify_workers(current_huey())
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
