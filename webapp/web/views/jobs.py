"""Follow jobs: the list, the page of a job, and its fragments."""

import json
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from math import inf
from uuid import UUID

from flask import (
    Blueprint,
    Response,
    abort,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from msgspec import Struct

from webapp.config import MB
from webapp.exports.cards import expected_crops, make_card
from webapp.exports.file_names import example_names
from webapp.exports.integrations import write_curl
from webapp.jobs.errors import JobNotFound
from webapp.jobs.health import QueueEstimate
from webapp.jobs.models import Job, ListedJob, Progress
from webapp.recipes.outputs import Recipe
from webapp.web.access import require_access
from webapp.web.api.operations import Answer, described
from webapp.web.app_context import current_config, current_jobs
from webapp.web.clients import become_owner, current_owner, is_owner, require_owner
from webapp.web.errors import asks_for_html
from webapp.web.formatters import pause_fingerprint, round_time
from webapp.web.forms.retention import can_be_kept, later_hours
from webapp.web.upload_rules import upload_rules
from webapp.web.views.responses import FASTEST, no_store, poll_interval_ms, without_body
from webapp.web.waiting import can_wait, read_until

VIEWS = ("sheet", "rows")  # The first is the default.
WAIT_SECONDS = 0.45  # Of a poll for news; the pause after it makes the fastest interval.
# Between two polls for webhooks: of a try that is due within some seconds, and of a later one.
WEBHOOK_SOON_SECONDS = 10
WEBHOOK_SOON_MS = 1000
WEBHOOK_LATER_MS = 10_000
LISTED_JOBS = 50  # Of a page of the list; with their pictures, some 700 kB.

blueprint = Blueprint("jobs", __name__, url_prefix="/jobs")


class JobIds(Struct, forbid_unknown_fields=True):
    """The ids of jobs."""

    job_ids: list[str]


class PageFailure(Struct):
    """An error of a route that has pages too."""

    code: str
    detail: str
    field: str | None


@blueprint.get("")
@described(
    "GET",
    "/jobs",
    name="list_job_ids",
    tag="thumbnail-api",
    answers=(Answer(200, "The ids.", JobIds),),
    error_kind=PageFailure,
)
def index() -> ResponseReturnValue:
    """List jobs: the client's own as a page, or ids as JSON for programs.

    The page lists those created `before` a time, in seconds since 1970.
    """
    owner = current_owner()
    if asks_for_html():
        if owner:
            become_owner()  # For longer: only its owner can delete a job that does not expire.
        before = request.args.get("before", inf, type=float)
        listed = current_jobs().store.jobs.owned(owner, (before, 0), LISTED_JOBS)
        page = render_template(
            "jobs/index.html",
            listed=listed,
            is_first=before == inf,
            poll_ms=list_interval_ms(listed.jobs),
            pause=current_jobs().store.operations.read_pause(),
        )
        return no_store(page)
    if current_config().list_all_jobs:
        require_access()  # The id of a job is the key to it.
        return _stream_ids(current_jobs().store.jobs.ids())
    return _stream_ids(current_jobs().store.jobs.ids(owner) if owner else iter(()))


def _stream_ids(ids: Iterator[str]) -> Response:
    """Write ids as JSON in little memory, as there may be a million."""

    def write() -> Iterator[str]:
        yield '{"job_ids":['
        separator = ""
        while page := list(islice(ids, 1000)):
            yield separator + json.dumps(page).strip("[]")
            separator = ", "
        yield "]}\n"

    return Response(write(), mimetype="application/json")


@blueprint.get("/rows")
def rows() -> Response:
    """Send the rows of the list that changed; 204 if none did.

    Each of `known` is the id and the version of a row that the page shows. `poll` is its interval,
    which becomes longer, and empty when nothing is running any more. Without it, this is about rows
    of deleted jobs. `pause` is the fingerprint of what the page shows of a pause.
    """
    shown = request.args.getlist("known")[:LISTED_JOBS]
    known = dict(row.split(":", 1) for row in shown if ":" in row)
    listed = current_jobs().store.jobs.listed(current_owner(), list(known))
    changed = [job for job in listed if job.has_news_for(known[job.id])]
    gone = known.keys() - {job.id for job in listed}
    poll_ms = list_interval_ms(listed)
    is_poll = "poll" in request.args
    pause = current_jobs().store.operations.read_pause()
    known_pause = request.args.get("pause", "")
    has_new_poll = is_poll and (
        request.args.get("poll", type=int) != poll_ms or known_pause != pause_fingerprint(pause)
    )
    if not changed and not gone and not has_new_poll:
        return no_store("", 204)
    changes = render_template(
        "jobs/_changes.html",
        changed=changed,
        gone=gone,
        shown="job" if is_poll else "deleted",
        has_new_poll=has_new_poll,
        poll_ms=poll_ms,
        pause=pause,
    )
    return no_store(changes)


def list_interval_ms(jobs: Iterable[ListedJob]) -> int | None:
    """Return the poll interval in milliseconds of the newest running job.

    None if nothing is running.
    """
    begun = [job.begun for job in jobs if job.is_running]
    return max(1000, poll_interval_ms(max(begun))) if begun else None


@blueprint.get("/<uuid:job_id>")
def show(job_id: UUID) -> Response:
    """Show a job: its card for each image to the owner, a gallery to guests."""
    if request.method == "HEAD":
        current_jobs().progress(str(job_id))
        return without_body()
    return no_store(_render(str(job_id), is_page=True))


@blueprint.get("/<uuid:job_id>/panel")
def panel(job_id: UUID) -> Response:
    """Send the changing part of the job page; 204 if nothing changed.

    That is if its version is still `v`, and its estimate still has the fingerprint `estimate`. It
    contains the images that changed since `v`; without `v`, all of the job. The panel of a finished
    or deleted job does not poll. A poll of a new job waits for its first finished image or its end.
    """
    since = request.args.get("v", type=int)
    try:
        if since is not None:
            _wait_for_news(str(job_id), since)
        if since is not None and (same := current_jobs().follow_unchanged(str(job_id), since)):
            job, estimate = same
            if request.args.get("estimate") == _fingerprint(estimate, job):
                return no_store("", 204)
        if request.method == "HEAD":
            return without_body()
        return no_store(render_panel(str(job_id), since))
    except JobNotFound:
        return no_store(gone_page(str(job_id)))


@blueprint.get("/<uuid:job_id>/webhook")
def webhook(job_id: UUID) -> Response:
    """Send what is known of the webhooks of a finished job.

    204 if it still has version `v`.

    It is empty once the job is gone.
    """
    try:
        require_owner(str(job_id), "see this")
        job = current_jobs().job(str(job_id))
    except JobNotFound:
        return no_store("")
    if not job.callback:
        abort(404)
    if request.args.get("v", type=int) == job.version:
        return no_store("", 204)
    section = render_template("jobs/_webhook.html", job=job, webhook_ms=_webhook_interval_ms(job))
    return no_store(section)


def _webhook_interval_ms(job: Job) -> int | None:
    """Return the poll interval of the webhooks of a job; None if nothing is to come.

    Before the job is finished, its panel brings them.
    """
    if not (job.callback and job.is_finished):
        return None
    if job.callback.status == "awaiting":
        return WEBHOOK_SOON_MS
    pending = [one for one in job.callback.deliveries if one.is_pending]
    if not pending:
        return None
    soon = current_jobs().store.now() + WEBHOOK_SOON_SECONDS
    is_soon = any(not one.next_try or one.next_try.timestamp() < soon for one in pending)
    return WEBHOOK_SOON_MS if is_soon else WEBHOOK_LATER_MS


def _wait_for_news(job_id: str, since: int) -> None:
    """Wait for the first finished image of a new job, or for the end of the job.

    A person looks at its page, of version `since`, for these. Raises JobNotFound.
    """
    jobs = current_jobs()

    def is_news(job: Progress) -> bool:
        if job.is_finished or poll_interval_ms(job.begun) > FASTEST:
            return True
        return bool(job.counts.finished) and not jobs.store.jobs.had_finished_image(job_id, since)

    read_until(job_id, partial(jobs.progress, job_id), is_news, WAIT_SECONDS)


def _panel_interval_ms(job: Job) -> int:
    """Return the poll interval of a panel: short where its polls can wait."""
    interval = poll_interval_ms(job.begun)
    may_wait = interval == FASTEST and can_wait()
    return interval - round(WAIT_SECONDS * 1000) if may_wait else interval


def gone_page(job_id: str, *, is_job_page: bool = True, has_focus: bool = False) -> str:
    """Render what replaces the page of a job that is gone, with Undo for its owner.

    On the job's own page, undoing it restores the page, too. Where the owner just deleted it, the
    button for that `has_focus`.
    """
    listed = current_jobs().store.jobs.listed(current_owner(), [job_id])
    deleted = next((job for job in listed if job.is_deleted), None)  # Or only an image is gone.
    return render_template(
        "jobs/_gone.html", job=deleted, is_job_page=is_job_page, has_focus=has_focus
    )


def render_panel(job_id: str, since: int | None) -> str:
    """Render what changed of a job since a version, or all of it. Raises JobNotFound."""
    return _render(job_id, since=since)


def _fingerprint(estimate: QueueEstimate, job: Job | Progress) -> str:
    """Return a fingerprint of what a panel shows that changes without its job."""
    seconds = "" if estimate.seconds is None else round_time(estimate.seconds)
    interval, pause = poll_interval_ms(job.begun), pause_fingerprint(estimate.pause)
    return f"{estimate.ahead}-{seconds}-{estimate.has_workers:d}-{interval}-{pause}"


def _render(job_id: str, *, is_page: bool = False, since: int | None = None) -> str:
    """Render the page of a job, or a part of it: its owner's, or that of guests."""
    job, estimate = current_jobs().follow(job_id)
    recipe = Recipe.from_json(job.recipe)
    return render_template(
        _template(is_page, is_owner(job), since),
        job=job,
        since=since,
        estimate=estimate,
        fingerprint=estimate and _fingerprint(estimate, job),
        poll_ms=_panel_interval_ms(job),
        form=FlaskForm(),
        card=partial(make_card, job, recipe),
        crops=expected_crops(recipe),
        rules=upload_rules,
        names=example_names(job.images[0].name if job.images else "photo", recipe.outputs[0]),
        webhook_ms=_webhook_interval_ms(job),
        find=request.args.get("find", "").strip().casefold(),
        show=request.args.get("show"),
        view=_view(),
        command=partial(_write_command, job),
        hours=later_hours(job),
        can_be_kept=can_be_kept(job),
    )


def _write_command(job: Job) -> str:
    """Write the command that makes a job like this one on this server."""
    config = current_config()
    return write_curl(
        job,
        current_jobs().store.fetches.of_job(job.id),
        url_for("api.create_job", _external=True),
        retention_hours=config.retention_hours,
        max_request_bytes=config.max_request_mb * MB,
        needs_token=bool(config.access_token),
    )


def _template(is_page: bool, is_owner: bool, since: int | None) -> str:
    if not is_owner:
        return "jobs/gallery.html" if is_page else "jobs/_gallery.html"
    if is_page:
        return "jobs/show.html"
    return "jobs/_job.html" if since is None else "jobs/_panel.html"


def _view() -> str:
    """Return how to lay out the cards: as asked for, or as last time."""
    asked = request.args.get("view") or request.cookies.get("view")
    return asked if asked in VIEWS else VIEWS[0]
