"""One image of a job: its thumbnails, comparisons and focal point."""

from dataclasses import replace
from functools import partial
from uuid import UUID

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm

from webapp.engine.header import SHOWN_BY_BROWSERS
from webapp.exports.comparisons import Comparison, choose, compare
from webapp.exports.crops import clicked_point, find_crops
from webapp.exports.markup import find_output, name_in_words
from webapp.jobs.errors import ImageNotFound, JobNotFound
from webapp.jobs.models import Image, Job
from webapp.jobs.names import ALT_LENGTH
from webapp.jobs.storage import TYPES_OF_TRIALS
from webapp.jobs.tasks import ask_for_trial, notify_workers
from webapp.jobs.trials import plan_trial
from webapp.recipes.outputs import Output, Point, Recipe
from webapp.recipes.parsing import parse_focal_point, parse_quality
from webapp.web.addresses import thumbnail_url
from webapp.web.app_context import current_config, current_huey, current_jobs
from webapp.web.clients import client_name, is_owner, require_owner
from webapp.web.errors import is_htmx
from webapp.web.formatters import format_name, pause_fingerprint
from webapp.web.views.crops import moved
from webapp.web.views.jobs import gone_page
from webapp.web.views.responses import (
    confirmed,
    leave_to_nginx,
    no_store,
    poll_interval_ms,
    send_picture,
)

blueprint = Blueprint("images", __name__, url_prefix="/jobs/<uuid:job_id>/images/<uuid:image_id>")


@blueprint.get("")
def show(job_id: UUID, image_id: UUID) -> Response:
    """Show an image, large, compared with one of its files: `after`, or the largest."""
    job, image = current_jobs().image(str(job_id), str(image_id))
    return no_store(_render("images/show.html", job, image))


@blueprint.get("/panel")
def panel(job_id: UUID, image_id: UUID) -> Response:
    """Send the changing part of an image's page; 204 if nothing changed.

    That is if the image's version is still `v`, the poll interval still `poll`, and what is shown
    of a pause still has the fingerprint `pause`.
    """
    try:
        if _is_unchanged(str(job_id), str(image_id)):
            return no_store("", 204)
        job, image = current_jobs().image(str(job_id), str(image_id))
        return no_store(_render("images/_panel.html", job, image))
    except (JobNotFound, ImageNotFound):
        return no_store(gone_page(str(job_id), is_job_page=False))


@blueprint.get("/original")
def original(job_id: UUID, image_id: UUID) -> Response:
    """Send an original unchanged, with metadata: to its owner alone.

    Raises Forbidden, or NotFound if it is deleted or in a format that browsers do not show.
    """
    require_owner(str(job_id), "see what was uploaded")
    _, image = current_jobs().image(str(job_id), str(image_id))
    if image.format not in SHOWN_BY_BROWSERS:
        abort(404, f"Browsers do not show {format_name(image.format)}.")
    response = _send_original(image)
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


def _send_original(image: Image) -> Response:
    """Send an original, or let nginx send it, by a setting. Raises NotFound."""
    mimetype, ids = f"image/{image.format}", (image.job_id, image.id)
    storage = current_jobs().storage
    if not current_config().accel_prefix:
        return send_picture(storage.original(*ids), mimetype, "private")
    try:
        storage.share_original(*ids)
    except FileNotFoundError:
        abort(404)
    return leave_to_nginx("originals/{}/{}".format(*ids), mimetype, "private")


@blueprint.post("/focus")  # Pages that are open over an upgrade have this address.
def set_focal_point(job_id: UUID, image_id: UUID) -> ResponseReturnValue:
    """Set the focal point of an image, or leave it to the recipe: `automatic`.

    With `crops` in the query, the answer is for the crops page.
    """
    require_owner(str(job_id))
    _, image = current_jobs().image(str(job_id), str(image_id))
    point = None if "automatic" in request.form else _read_point(image)
    current_jobs().set_focal_point(str(job_id), str(image_id), point, client_name())
    if "crops" not in request.args:
        return _queued(job_id, image_id)
    notify_workers(current_huey())
    return moved(image)


def _read_point(image: Image) -> Point | None:
    """Read a point: `undone`, where the picture was clicked, or `x` and `y`.

    Raises InvalidRecipe. An empty `undone` is none.
    """
    form = request.form
    if "undone" in form:
        return parse_focal_point(form["undone"]) if form["undone"] else None
    x, y = form.get("point.x", 0, type=int), form.get("point.y", 0, type=int)
    if x or y:  # Both are 0 where the picture is pressed by a key: then the fields count.
        return clicked_point(image, x, y)
    if "point.x" in form and not (form.get("x") or form.get("y")):
        return image.focal_point
    return parse_focal_point(f"{form.get('x', '')},{form.get('y', '')}")


@blueprint.post("/again")
def retry(job_id: UUID, image_id: UUID) -> ResponseReturnValue:
    """Retry an image that failed or was cancelled."""
    require_owner(str(job_id))
    current_jobs().retry(str(job_id), str(image_id), client_name())
    return _queued(job_id, image_id)


def _queued(job_id: UUID, image_id: UUID) -> ResponseReturnValue:
    """Notify the workers, and show an image that is queued again."""
    notify_workers(current_huey())
    return _changed(job_id, image_id)


def _changed(job_id: UUID, image_id: UUID, done: str = "") -> ResponseReturnValue:
    """Send the panel of a changed image to htmx; redirect others to its page.

    `done` confirms the change in words.
    """
    if not is_htmx():
        return redirect(url_for("images.show", job_id=job_id, image_id=image_id), 303)
    job, image = current_jobs().image(str(job_id), str(image_id))
    return confirmed(_render("images/_panel.html", job, image), done)


@blueprint.post("/alt")
def set_alt(job_id: UUID, image_id: UUID) -> ResponseReturnValue:
    """Set the alternative text `alt`; an empty one leaves it to the image's name."""
    require_owner(str(job_id))
    current_jobs().set_alt(str(job_id), str(image_id), request.form.get("alt", ""))
    return _changed(job_id, image_id, "Alt text saved.")


@blueprint.post("/trials")
def try_quality(job_id: UUID, image_id: UUID) -> Response:
    """Send what the file `after` would be in the quality `tried`."""
    require_owner(str(job_id))
    job, image = current_jobs().image(str(job_id), str(image_id))
    shown, output = _chosen(job, image)
    quality = parse_quality(request.form.get("tried", ""))
    made, url = shown.after, thumbnail_url(shown.after)
    if quality != made.quality:
        trial = plan_trial(job, image, output, made, quality, client_name())
        file = current_jobs().trials.make(trial, partial(ask_for_trial, current_huey()))
        made = replace(made, bytes=file.stat().st_size, quality=quality)
        url = url_for("images.trial", job_id=job_id, image_id=image_id, name=trial.file_name)
    page = render_template("images/_trial.html", image=image, shown=shown, made=made, made_url=url)
    return no_store(page)


@blueprint.get("/trials/<name>")
def trial(job_id: UUID, image_id: UUID, name: str) -> Response:
    """Send the file of a trial, to the owner alone. Raises Forbidden or NotFound."""
    require_owner(str(job_id), "try qualities")
    file = current_jobs().storage.trial(str(job_id), str(image_id), name)
    if file is None or file.suffix not in TYPES_OF_TRIALS:
        abort(404)
    return send_picture(file, TYPES_OF_TRIALS[file.suffix], "private, max-age=600, immutable")


@blueprint.post("/quality")
def set_quality(job_id: UUID, image_id: UUID) -> ResponseReturnValue:
    """Set the quality of the output of the file `after`, for all images.

    The slider `tried` has it, or the field `quality` without script.
    """
    require_owner(str(job_id))
    job, image = current_jobs().image(str(job_id), str(image_id))
    _, output = _chosen(job, image)
    quality = parse_quality(request.form.get("tried" if is_htmx() else "quality", ""))
    current_jobs().change_recipe(
        job.id,
        lambda recipe: recipe.with_quality(output.name, output.format, quality),
        client_name(),
    )
    return _queued(job_id, image_id)


def _chosen(job: Job, image: Image) -> tuple[Comparison, Output]:
    """Return the file `after` and its output; raise NotFound without a quality."""
    recipe = Recipe.from_json(job.recipe)
    comparisons = compare(image, recipe, has_original=False)
    name = request.form.get("after")
    shown = next((one for one in comparisons if one.after.file_name == name), None)
    output = find_output(shown.after, recipe) if shown else None
    if shown is None or output is None or shown.quality is None:
        abort(404, "This file is not there any more, or has no quality to choose.")
    return shown, output


def _is_unchanged(job_id: str, image_id: str) -> bool:
    pending = current_jobs().store.jobs.pending_image(job_id, image_id)
    if pending is None:
        return False
    version, begun = pending
    known = request.args.get("v", type=int), request.args.get("poll", type=int)
    pause = current_jobs().store.operations.read_pause()
    is_same_pause = request.args.get("pause", "") == pause_fingerprint(pause)
    return known == (version, poll_interval_ms(begun)) and is_same_pause


def _render(template: str, job: Job, image: Image) -> str:
    recipe = Recipe.from_json(job.recipe)
    original_url = _address_of_original(job, image)
    comparisons = compare(image, recipe, has_original=original_url is not None)
    return render_template(
        template,
        job=job,
        image=image,
        comparisons=comparisons,
        shown=choose(comparisons, request.values.get("after")),
        crops=find_crops(image, recipe),
        original_url=original_url,
        whole_url=original_url or (image.overview and thumbnail_url(image.overview)),
        is_owner=is_owner(job),
        alt_by_name=name_in_words(image.name),
        alt_length=ALT_LENGTH,
        poll_ms=poll_interval_ms(job.begun),
        pause=None if image.is_finished else current_jobs().store.operations.read_pause(),
        form=FlaskForm(),
    )


def _address_of_original(job: Job, image: Image) -> str | None:
    """Return the URL of the original, or None if the client cannot see it."""
    if not is_owner(job) or not current_jobs().shows_original(image):
        return None
    return url_for("images.original", job_id=job.id, image_id=image.id)
