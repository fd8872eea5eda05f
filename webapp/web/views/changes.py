"""Change a job: retry, cancel, extend, remake and delete. For its owner."""

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
from webapp.web.views.responses import no_store

blueprint = Blueprint("changes", __name__, url_prefix="/jobs")


def _changed(job_id: UUID) -> ResponseReturnValue:
    """Redirect to a changed job."""
    return redirect(url_for("jobs.show", job_id=job_id), 303)


def _tell(words: str) -> None:
    """Flash a confirmation on the next page; scripts announce it themselves."""
    if asks_for_html():
        flash(words, "done")


@blueprint.post("/<uuid:job_id>/retry")
@blueprint.post("/<uuid:job_id>/images/<uuid:image_id>/retry")
def retry(job_id: UUID, image_id: UUID | None = None) -> ResponseReturnValue:
    """Retry one image, or all failed images, or else all cancelled ones."""
    require_owner(str(job_id))
    current_jobs().retry(str(job_id), str(image_id) if image_id else None, client_name())
    notify_workers(current_huey())
    return _changed(job_id)


@blueprint.post("/<uuid:job_id>/cancel")
@blueprint.post("/<uuid:job_id>/images/<uuid:image_id>/cancel")
def cancel(job_id: UUID, image_id: UUID | None = None) -> ResponseReturnValue:
    """Cancel one waiting image, or all of them."""
    require_owner(str(job_id))
    current_jobs().store.queue.cancel(str(job_id), str(image_id) if image_id else None)
    return _changed(job_id)


@blueprint.post("/<uuid:job_id>/extend")
def extend(job_id: UUID) -> ResponseReturnValue:
    """Extend a job to `hours` from now; a longer retention stays."""
    require_owner(str(job_id))
    hours = request.form.get("hours", type=float)
    if hours is None or not 0 < hours < inf:
        abort(422, "Send the number of hours to keep the job.")
    _tell(f"Kept until {date_and_time(current_jobs().extend(str(job_id), hours))}.")
    return _changed(job_id)


@blueprint.get("/<uuid:job_id>/remake")
def ask_for_recipe(job_id: UUID) -> str:
    """Show the form for another recipe."""
    require_owner(str(job_id))
    job = current_jobs().job(str(job_id))
    form = UploadForm.from_recipe(Recipe.from_json(job.recipe))
    return render_template("changes/remake.html", job=job, form=form)


@blueprint.post("/<uuid:job_id>/remake")
def remake(job_id: UUID) -> ResponseReturnValue:
    """Make the thumbnails of a job again, with another recipe.

    Existing thumbnails stay until they are replaced. Images that were cancelled before they had
    thumbnails are left out.
    """
    require_owner(str(job_id))
    form = read_upload_form()
    try:
        recipe = form.recipe(current_jobs().recipe_limits)
    except InvalidRecipe as error:
        job = current_jobs().job(str(job_id))
        page = render_template("changes/remake.html", job=job, form=form)
        return no_store(page, problem(error).status)
    current_jobs().remake(str(job_id), recipe, client_name())
    notify_workers(current_huey())
    return _changed(job_id)


@blueprint.get("/<uuid:job_id>/delete")
def confirm_delete(job_id: UUID) -> str:
    """Show the form that confirms a deletion."""
    require_owner(str(job_id))
    job = current_jobs().progress(str(job_id))
    return render_template("changes/delete.html", job=job, form=FlaskForm())


@blueprint.post("/<uuid:job_id>/delete")
def delete(job_id: UUID) -> ResponseReturnValue:
    """Delete a job; its files are removed in the background."""
    require_owner(str(job_id))
    current_jobs().delete_soon(str(job_id))
    _tell("The job is deleted, with its images and thumbnails.")
    return redirect(url_for("uploads.new"), 303)
