"""The contact sheet of a job's crops, where a click on a photo moves its crop point."""

from collections.abc import Mapping
from functools import partial
from math import ceil
from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from webapp.exports.crops import clicked_point, find_crops, whole_size
from webapp.jobs.errors import JobNotFound
from webapp.jobs.models import Image, Job
from webapp.jobs.tasks import notify_workers
from webapp.recipes.outputs import Point, Recipe
from webapp.recipes.parsing import parse_focal_point
from webapp.web.app_context import current_huey, current_jobs
from webapp.web.clients import client_name, require_owner
from webapp.web.errors import is_htmx
from webapp.web.views.jobs import gone_page
from webapp.web.views.responses import no_store, poll_interval_ms

PAGE_LENGTH = 24  # Photos: a page of portraits, with their pictures about a megabyte.

blueprint = Blueprint("crops", __name__, url_prefix="/jobs/<uuid:job_id>/crops")


@blueprint.get("")
def show(job_id: UUID) -> Response:
    """Show the crops of a job: a `page` of it, or the one that has the image `of`."""
    require_owner(str(job_id), "change its crops")
    job = current_jobs().job(str(job_id))
    page = request.args.get("page", 1, type=int)
    return no_store(_render("crops/show.html", job, _page_of(job, request.args.get("of")) or page))


@blueprint.get("/changes")
def changes(job_id: UUID) -> Response:
    """Send the photos of a `page` that changed since version `v`; 204 if none did.

    That is if the job's version is still `v`, and the poll interval still `poll`.
    """
    try:
        require_owner(str(job_id), "change its crops")
        job = current_jobs().progress(str(job_id))
        known = request.args.get("v", type=int), request.args.get("poll", type=int)
        if known == (job.version, poll_interval_ms(job.begun)):
            return no_store("", 204)
        page = request.args.get("page", 1, type=int)
        return no_store(_render("crops/_changes.html", current_jobs().job(str(job_id)), page))
    except JobNotFound:
        return no_store(
            render_template("crops/_gone.html", page=gone_page(str(job_id), is_job_page=False))
        )


@blueprint.post("/<uuid:image_id>")
def set_point(job_id: UUID, image_id: UUID) -> ResponseReturnValue:
    """Move the crop point of an image to where its picture was clicked, or to `x`, `y`.

    `at` has both numbers. With `automatic`, the image has the point of the recipe.
    """
    require_owner(str(job_id))
    _, image = current_jobs().image(str(job_id), str(image_id))
    point = None if "automatic" in request.form else _read_point(image)
    current_jobs().set_focal_point(str(job_id), str(image_id), point, client_name())
    notify_workers(current_huey())
    undos = _read_undos()
    undos.pop(image.id, None)
    if "undone" not in request.form:
        before = image.focal_point
        undos[image.id] = "{:.6f},{:.6f}".format(*before) if before else ""
    if is_htmx():
        job = current_jobs().job(str(job_id))
        return no_store(_render("crops/_changes.html", job, _page_of(job, image.id) or 1, undos))
    undo = [f"{one}:{before}" for one, before in undos.items()]
    url = url_for("crops.show", job_id=job_id, of=image.id, undo=undo, _anchor=f"photo-{image.id}")
    return redirect(url, 303)


def _read_point(image: Image) -> Point:
    """Read a point. Raises InvalidRecipe.

    Browsers send 0, 0 where a picture is pressed by a key: then the fields count.
    """
    form = request.form
    x, y = form.get("point.x", 0, type=int), form.get("point.y", 0, type=int)
    if x > 0 or y > 0:
        return clicked_point(image, x, y)
    return parse_focal_point(form.get("at") or f"{form.get('x', '')},{form.get('y', '')}")


def _read_undos() -> dict[str, str]:
    """Read the points that images had before, by their ids; empty where there was none."""
    return dict(one.split(":", 1) for one in request.values.getlist("undo") if ":" in one)


def _page_of(job: Job, image_id: str | None) -> int | None:
    numbers = (number for number, image in enumerate(job.images) if image.id == image_id)
    number = next(numbers, None)
    return None if number is None else number // PAGE_LENGTH + 1


def _render(template: str, job: Job, page: int, undos: Mapping[str, str] | None = None) -> str:
    """Render a page of a job's photos, or what changed of it since version `v`."""
    pages = max(ceil(len(job.images) / PAGE_LENGTH), 1)
    page = min(max(page, 1), pages)
    images = job.images[(page - 1) * PAGE_LENGTH : page * PAGE_LENGTH]
    recipe = Recipe.from_json(job.recipe)
    return render_template(
        template,
        job=job,
        images=images,
        since=request.values.get("v", -1, type=int),
        page=page,
        pages=pages,
        crops_of=partial(find_crops, recipe=recipe),
        whole_size=whole_size,
        undos=_read_undos() if undos is None else undos,
        is_finished=all(image.is_finished for image in images),
        poll_ms=poll_interval_ms(job.begun),
        form=FlaskForm(),
    )
