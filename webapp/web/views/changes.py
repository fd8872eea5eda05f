"""Change a job: retry, cancel, extend, remake, enlarge, name, delete and restore.

Or send its webhooks again.
"""

from math import inf
from uuid import UUID

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from webapp.jobs.tasks import notify_workers
from webapp.recipes.outputs import InvalidRecipe, Recipe
from webapp.web.app_context import current_config, current_huey, current_jobs
from webapp.web.clients import client_name, current_owner, require_owner
from webapp.web.errors import asks_for_html, is_htmx, problem
from webapp.web.formatters import time_left
from webapp.web.forms.upload import UploadForm, read_upload_form
from webapp.web.upload_request import chosen_files, received_upload
from webapp.web.views.jobs import gone_page, list_interval_ms, render_panel
from webapp.web.views.responses import confirmed, no_store

blueprint = Blueprint("changes", __name__, url_prefix="/jobs")


def _changed(job_id: UUID, done: str = "") -> ResponseReturnValue:
    """Send what changed of a job since version `v` to htmx; redirect others to it.

    `done` confirms the change, and is announced or flashed.
    """
    if is_htmx():
        return confirmed(render_panel(str(job_id), request.form.get("v", type=int)), done)
    _tell(done)
    return redirect(url_for("jobs.show", job_id=job_id), 303)


def _tell(words: str) -> None:
    """Flash a confirmation on the next page; scripts announce it themselves."""
    if words and asks_for_html():
        flash(words, "done")


@blueprint.post("/<uuid:job_id>/retry")
@blueprint.post("/<uuid:job_id>/images/<uuid:image_id>/retry")
def retry(job_id: UUID, image_id: UUID | None = None) -> ResponseReturnValue:
    """Retry one image, or all whose failure may pass, or else all cancelled ones."""
    require_owner(str(job_id))
    current_jobs().retry(str(job_id), str(image_id) if image_id else None, client_name())
    notify_workers(current_huey())
    return _changed(job_id)


@blueprint.post("/<uuid:job_id>/images/<uuid:image_id>/replace")
def replace(job_id: UUID, image_id: UUID) -> ResponseReturnValue:
    """Put another file in the place of an image that failed."""
    require_owner(str(job_id))
    file = chosen_files()[0]
    upload, name = received_upload(file), file.filename or ""
    current_jobs().replace_image(str(job_id), str(image_id), upload, name, client_name())
    notify_workers(current_huey())
    return _changed(job_id)


@blueprint.post("/<uuid:job_id>/cancel")
@blueprint.post("/<uuid:job_id>/images/<uuid:image_id>/cancel")
def cancel(job_id: UUID, image_id: UUID | None = None) -> ResponseReturnValue:
    """Cancel one waiting image, or all of them."""
    require_owner(str(job_id))
    if image_id:
        current_jobs().store.queue.cancel(str(job_id), str(image_id))
    else:
        current_jobs().cancel(str(job_id))
    return _changed(job_id)


@blueprint.post("/<uuid:job_id>/extend")
def extend(job_id: UUID) -> ResponseReturnValue:
    """Extend a job to `hours` from now; a longer retention stays.

    Where the settings allow it, infinite hours keep it until its owner deletes it.
    """
    require_owner(str(job_id))
    hours = request.form.get("hours", type=float)
    can_be_kept = current_config().max_kept_mb > 0
    if hours is None or not (0 < hours < inf or (hours == inf and can_be_kept)):
        abort(422, "Send the number of hours to keep the job.")
    expires = current_jobs().extend(str(job_id), hours)
    # No moment, which only a script can write in local time.
    kept = f"has {time_left(expires)}" if expires else "is kept until you delete it"
    return _changed(job_id, f"This job {kept}.")


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


@blueprint.post("/<uuid:job_id>/outputs/<output>/enlarge")
def enlarge(job_id: UUID, output: str) -> ResponseReturnValue:
    """Make one size of all images again, enlarged where they are smaller."""
    require_owner(str(job_id))
    current_jobs().change_recipe(
        str(job_id), lambda recipe: recipe.with_enlarged(output), client_name()
    )
    notify_workers(current_huey())
    return _changed(job_id, "Every photo that is smaller than this size is enlarged.")


@blueprint.post("/<uuid:job_id>/deliveries/<delivery_id>/send")
def send_again(job_id: UUID, delivery_id: str) -> ResponseReturnValue:
    """Send a webhook again at once."""
    require_owner(str(job_id))
    current_jobs().send_again(str(job_id), delivery_id, client_name())
    return _changed(job_id, "The webhook is sent again.")


@blueprint.get("/<uuid:job_id>/delete")
def confirm_delete(job_id: UUID) -> str:
    """Show the form that confirms a deletion."""
    require_owner(str(job_id))
    job = current_jobs().job(str(job_id))
    return render_template("changes/delete.html", job=job, form=FlaskForm())


@blueprint.post("/<uuid:job_id>/delete")
def delete(job_id: UUID) -> ResponseReturnValue:
    """Delete a job; its owner can restore it for a minute."""
    require_owner(str(job_id))
    title = current_jobs().job(str(job_id)).title
    current_jobs().delete_with_undo(str(job_id))
    if not is_htmx():
        return redirect(url_for("jobs.index"), 303)
    if "row" in request.args:
        return _changed_row(job_id, "job", f"{title} is deleted.")
    return no_store(gone_page(str(job_id), has_focus=True))


@blueprint.post("/<uuid:job_id>/restore")
def restore(job_id: UUID) -> ResponseReturnValue:
    """Restore a job that its owner deleted within the last minute."""
    if current_jobs().restore(str(job_id), current_owner(), client_name()):
        notify_workers(current_huey())
    require_owner(str(job_id))  # It may be too late, or was restored already.
    if is_htmx() and "row" in request.args:
        title = current_jobs().job(str(job_id)).title
        return _changed_row(job_id, "deleted", f"{title} is restored.")
    return _changed(job_id)


@blueprint.post("/<uuid:job_id>/name")
def rename(job_id: UUID) -> ResponseReturnValue:
    """Name a job; an empty `name` leaves that to its images."""
    require_owner(str(job_id))
    current_jobs().rename(str(job_id), request.form.get("name", ""))
    done = f"The name is now {current_jobs().job(str(job_id)).title}."
    if "row" not in request.args:
        return _changed(job_id, done)
    if not is_htmx():
        return redirect(url_for("jobs.index"), 303)
    return _changed_row(job_id, "job", done)


def _changed_row(job_id: UUID, shown: str, announcement: str) -> ResponseReturnValue:
    """Send the row of a job in the list, which shows it as "job" or "deleted".

    The focus moves into it.
    """
    changed = current_jobs().store.jobs.listed(current_owner(), [str(job_id)])
    poll_ms = list_interval_ms(changed)
    changes = render_template(
        "jobs/_changes.html",
        changed=changed,
        shown=shown,
        announcement=announcement,
        has_focus=True,
        has_new_poll=poll_ms is not None,
        poll_ms=poll_ms,
        pause=current_jobs().store.operations.read_pause(),
    )
    return no_store(changes)
