"""The crops page of a job, where a click on a photo moves its crop point."""

from functools import partial
from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from webapp.exports.crops import PageOfImages, find_crops, open_page, whole_size, write_undo
from webapp.jobs.errors import JobNotFound
from webapp.jobs.models import Image, Job
from webapp.recipes.outputs import Recipe
from webapp.web.app_context import current_jobs
from webapp.web.clients import require_owner
from webapp.web.errors import is_htmx
from webapp.web.views.jobs import gone_page
from webapp.web.views.responses import no_store, poll_interval_ms

blueprint = Blueprint("crops", __name__, url_prefix="/jobs/<uuid:job_id>/crops")


@blueprint.get("")
def show(job_id: UUID) -> Response:
    """Show the crops of a job: a `page` of it, or the one that has the image `of`."""
    require_owner(str(job_id), "change its crops")
    job = current_jobs().job(str(job_id))
    page = open_page(job, request.args.get("page", 1, type=int), request.args.get("of"))
    return no_store(_render("crops/show.html", job, page, request.args.get("undo", "")))


@blueprint.get("/changes")
def changes(job_id: UUID) -> Response:
    """Send the photos of a `page` that changed since version `v`; 204 if none did.

    That is if the job's version is still `v`, and the poll interval still `poll`.
    """
    try:
        require_owner(str(job_id), "change its crops")
        progress = current_jobs().progress(str(job_id))
        known = request.args.get("v", type=int), request.args.get("poll", type=int)
        if known == (progress.version, poll_interval_ms(progress.begun)):
            return no_store("", 204)
        job = current_jobs().job(str(job_id))
        page = open_page(job, request.args.get("page", 1, type=int))
        return no_store(_render("crops/_changes.html", job, page, request.args.get("undo", "")))
    except JobNotFound:
        return no_store(
            render_template("crops/_gone.html", page=gone_page(str(job_id), is_job_page=False))
        )


def moved(before: Image) -> ResponseReturnValue:
    """Show the crops of an image whose point was moved; the last move can be undone.

    `undone` marks a move as an undo itself.
    """
    undo = "" if "undone" in request.form else write_undo(before)
    if is_htmx():
        job = current_jobs().job(before.job_id)
        page = open_page(job, 1, before.id)
        return no_store(_render("crops/_changes.html", job, page, undo))
    job_id, anchor = before.job_id, f"photo-{before.id}"
    url = url_for("crops.show", job_id=job_id, of=before.id, undo=undo or None, _anchor=anchor)
    return redirect(url, 303)


def _render(template: str, job: Job, page: PageOfImages, undo: str) -> str:
    """Render a page of a job's photos, or what changed of it since version `v`.

    A form also has the last `undo`, whose button disappears.
    """
    undone_id, _, undone = undo.partition(":")
    return render_template(
        template,
        job=job,
        page=page,
        since=request.values.get("v", -1, type=int),
        crops_of=partial(find_crops, recipe=Recipe.from_json(job.recipe)),
        whole_size=whole_size,
        undo=undo,
        undone_id=undone_id,
        undone=undone,
        old_undo=request.form.get("undo", ""),
        is_finished=all(image.is_finished for image in page.images),
        poll_ms=poll_interval_ms(job.begun),
        form=FlaskForm(),
    )
