"""Follow, change and delete the jobs of the server."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from itertools import islice
from math import isfinite
from typing import Any, get_args

import click
import msgspec
from flask.cli import AppGroup

from webapp.cli.output import (
    as_json,
    count,
    date_and_time,
    errors,
    moment,
    write_json,
    write_json_list,
    write_row,
    write_table,
)
from webapp.jobs import instance
from webapp.jobs.deliveries import Callback, Delivery
from webapp.jobs.errors import Busy, JobNotFound, NoSpace
from webapp.jobs.housekeeping import sweep
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Fetch, Image, Job, Status, StoredJob, Thumbnail
from webapp.jobs.tasks import notify_workers
from webapp.recipes.outputs import Output, Recipe
from webapp.web.api.recipes import describe_recipe
from webapp.web.api.representations import describe_deliveries, describe_fetch
from webapp.web.app_context import current_config, current_huey, current_jobs
from webapp.web.formatters import filesize, format_name

commands = AppGroup("jobs", help="Manage the jobs of the server.")

SHORT_ID = 8  # Letters of an id in tables; few of a million jobs share them.
LEAST_ID = 4  # Fewer letters are rather a mistake than a job.
IDS = "An id may be cut to its first letters, at least 4, if no other id begins with them."

LISTED = ("Id", "Title", "Status", "Done", "Created (UTC)", "Expires (UTC)")
WIDTHS = (SHORT_ID, 40, 9, 9, 16, 16)
NUMBERS = (3,)  # The columns of numbers.


def jobs_to_read() -> Jobs:
    """Return the jobs for a command that changes nothing, also where nothing can be written."""
    jobs = current_jobs()
    if not instance.is_writable(current_config().instance):
        with errors("command"):
            jobs.store.db.look_only_at_known()
    return jobs


def _find_job(prefix: str) -> str:
    """Return the id of the only job whose id begins like this."""
    if len(prefix) < LEAST_ID:
        raise click.UsageError(f"Give at least {LEAST_ID} letters of the id of a job.")
    found = current_jobs().store.jobs.find(prefix.lower())
    if len(found) > 1:
        raise click.ClickException(f"Several jobs have ids that begin with {prefix}.")
    if not found:
        raise click.ClickException(f"There is no job {prefix}.")
    return found[0]


def _read_job(prefix: str) -> Job:
    """Read a job that has not ended."""
    try:
        return current_jobs().job(_find_job(prefix))
    except JobNotFound as error:
        raise click.ClickException(str(error)) from None


def _find_image(job: Job, prefix: str) -> str:
    """Return the id of the only image of a job whose id begins like this."""
    if len(prefix) < LEAST_ID:
        raise click.UsageError(f"Give at least {LEAST_ID} letters of the id of an image.")
    found = [image.id for image in job.images if image.id.startswith(prefix.lower())]
    if len(found) > 1:
        raise click.ClickException(f"Several images have ids that begin with {prefix}.")
    if not found:
        raise click.ClickException(f"This job has no image {prefix}.")
    return found[0]


# Follow


@commands.command("list")
@click.option("--owner", help="Only jobs of this owner.")
@click.option("--status", type=click.Choice(get_args(Status)), help="Only jobs with this status.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="At most so many; 0 lists all.",
)
@as_json
def list_jobs(owner: str | None, status: Status | None, limit: int, as_json: bool) -> None:
    """List the jobs, newest first.

    In the end, a job is failed if an image is, and cancelled if none is done. A job to which images
    are still being uploaded is working or waiting.
    """
    found = jobs_to_read().store.jobs.newest(owner, status)
    listed = islice(found, limit or None)
    if as_json:
        write_json_list(_summary(job) for job in listed)
        return
    write_row(LISTED, WIDTHS, NUMBERS)
    for job in listed:
        write_row(_row(job), WIDTHS, NUMBERS)
    if next(found, None):
        click.echo("There are more: see --limit.", err=True)


def _row(job: StoredJob) -> tuple[str, ...]:
    return (
        job.id[:SHORT_ID],
        job.title,
        job.status,
        f"{job.counts.done}/{job.counts.total}",
        date_and_time(job.created),
        date_and_time(job.expires) if job.expires else "when deleted",
    )


def _summary(job: StoredJob) -> dict[str, Any]:
    """Return a job for programs."""
    return {
        "id": job.id,
        "title": job.title,
        "status": job.status,
        "counts": {**asdict(job.counts), "total": job.counts.total},
        "created": moment(job.created),
        "expires": moment(job.expires),
        "owner": job.owner,
        "bytes": job.bytes,
    }


@commands.command(epilog=IDS)
@click.argument("job")
@as_json
def show(job: str, as_json: bool) -> None:
    """Show a job with its recipe, its images, and what went wrong."""
    with jobs_to_read().store.db.snapshot():
        found = _read_job(job)
        stored = current_jobs().store.jobs.stored(found.id)
        fetches = current_jobs().store.fetches.of_job(found.id)
    assert stored
    if as_json:
        write_json(_details(found, stored, fetches))
        return
    write_table(list(_facts(found, stored)))
    if found.images:
        click.echo()
        write_table([IMAGE_HEADING, *map(_image_row, found.images)], right=(0, 5, 6, 7))
    if fetches:
        click.echo()
        write_table([FETCH_HEADING, *map(_fetch_row, fetches)])
    if found.callback and found.callback.deliveries:
        click.echo()
        write_table([WEBHOOK_HEADING, *map(_webhook_row, found.callback.deliveries)], right=(2,))
    if troubles := [*_troubles(found)]:
        click.echo()
        write_table(troubles)


def _details(job: Job, stored: StoredJob, fetches: Iterable[Fetch]) -> dict[str, Any]:
    return {
        **_summary(stored),
        "recipe": msgspec.to_builtins(describe_recipe(Recipe.from_json(job.recipe))),
        "missing_files": [{"name": file.name, "reason": file.reason} for file in job.missing_files],
        "images": [
            {
                "id": image.id,
                "name": image.name,
                "status": image.status,
                "error": {"code": image.error_code, "detail": image.error_message}
                if image.is_failed
                else None,
                "attempts": image.attempts,
                "format": image.format,
                "width": image.width,
                "height": image.height,
                "bytes": image.bytes,
                "thumbnails": [_thumbnail(made) for made in image.thumbnails],
            }
            for image in job.images
        ],
        "fetches": msgspec.to_builtins([describe_fetch(fetch) for fetch in fetches]),
        "webhooks": msgspec.to_builtins(describe_deliveries(job.callback)),
    }


def _thumbnail(made: Thumbnail) -> dict[str, Any]:
    names = ("output", "path", "width", "height", "bytes", "format", "quality")
    return {name: getattr(made, name) for name in names}


def _facts(job: Job, stored: StoredJob) -> Iterator[tuple[str, str]]:
    counts = asdict(job.counts)
    yield "Job", job.id
    yield "Title", job.title
    yield "Status", stored.status
    if job.fetching:
        counts["to be fetched"] = job.fetching
    yield "Images", ", ".join(f"{n} {status}" for status, n in counts.items() if n) or "none"
    yield "Created", f"{date_and_time(job.created)} UTC"
    yield "Expires", f"{date_and_time(job.expires)} UTC" if job.expires else "when deleted"
    yield "Owner", job.owner or "none"
    yield "Size", filesize(stored.bytes)
    if job.callback:
        yield "Webhooks", f"{job.callback.shown_url}{_why_silent(job, job.callback)}"
    for output in Recipe.from_json(job.recipe).outputs:
        yield "Output", _describe(output)


def _why_silent(job: Job, callback: Callback) -> str:
    """Write why the callback of a job is told nothing more, if so."""
    if current_jobs().store.tokens.is_revoked(job.owner or ""):
        return " (its token was revoked: it is told nothing more)"
    return " (it answered 410 and is told nothing more)" if callback.is_stopped else ""


def _describe(output: Output) -> str:
    """Write an output: its size, fit and format, and what is not as usual."""
    width, height = output.width or "any", output.height or "any"
    usual = {field.name: field.default for field in fields(Output)}
    others = {
        name: value
        for name, value in asdict(output).items()
        if name not in ("name", "width", "height", "fit", "format") and value != usual[name]
    }
    words = [f"{name.replace('_', ' ')} {value}" for name, value in others.items()]
    return ", ".join(
        [f"{output.name}: {width} × {height}", output.fit, format_name(output.format), *words]
    )


IMAGE_HEADING = ("", "Id", "Name", "Status", "Image", "Bytes", "Attempts", "Thumbnails")


def _image_row(image: Image) -> tuple[str, ...]:
    return (
        str(image.number),
        image.id[:SHORT_ID],
        image.name,
        image.status,
        f"{image.width} × {image.height} {format_name(image.format)}",
        filesize(image.bytes),
        str(image.attempts),
        f"{len(image.thumbnails)}, {filesize(image.bytes_made)}" if image.thumbnails else "0",
    )


FETCH_HEADING = ("Fetch", "Name", "Status", "Error")


def _fetch_row(fetch: Fetch) -> tuple[str, ...]:
    return fetch.id[:SHORT_ID], fetch.shown_name, fetch.status, fetch.error_code or ""


WEBHOOK_HEADING = ("Webhook", "Status", "Tries", "Last try (UTC)", "Next try (UTC)", "Answer")


def _webhook_row(delivery: Delivery) -> tuple[str, ...]:
    last = delivery.tries[-1] if delivery.tries else None
    return (
        delivery.id[: len("msg_") + SHORT_ID],
        delivery.status,
        str(len(delivery.tries)),
        date_and_time(last.began) if last else "",
        date_and_time(delivery.next_try) if delivery.next_try else "",
        (last.error_message or str(last.answer)) if last else "",
    )


def _troubles(job: Job) -> Iterator[tuple[str, str, str]]:
    for image in job.failed_images:
        yield image.name, image.error_code or "", image.error_message or ""
    for file in job.missing_files:
        yield file.name, "skipped", file.reason


# Change


@commands.command(epilog=IDS)
@click.argument("job")
@click.argument("image", required=False)
@as_json
def retry(job: str, image: str | None, as_json: bool) -> None:
    """Retry one image of a job, or all whose failure may pass.

    Without an IMAGE, and if no failure may pass, all cancelled ones are retried.
    """
    found = _read_job(job)
    image_id = _find_image(found, image) if image else None
    try:
        # The work is no one's: it counts for the limits of this job alone, not of its client.
        waiting = current_jobs().retry(found.id, image_id, f"operator:{found.id}")
    except (Busy, NoSpace) as error:
        raise click.ClickException(str(error)) from None
    if not waiting:
        raise click.ClickException(
            "Nothing to retry: only images that were cancelled, or whose failure may pass."
        )
    notify_workers(current_huey())
    if as_json:
        write_json({"id": found.id, "waiting": waiting})
        return
    click.echo(f"{count(waiting, 'image')} wait{'s' if waiting == 1 else ''} again.")
    if current_jobs().store.operations.read_pause():
        click.echo("Work is paused; `flask jobs resume` ends that.")


@commands.command(epilog=IDS)
@click.argument("job")
@click.argument("image", required=False)
@as_json
def cancel(job: str, image: str | None, as_json: bool) -> None:
    """Cancel one image of a job that waits, or all of them.

    An image that a worker has is finished.
    """
    found = _read_job(job)
    image_id = _find_image(found, image) if image else None
    jobs = current_jobs()
    cancelled = jobs.store.queue.cancel(found.id, image_id) if image_id else jobs.cancel(found.id)
    if not cancelled:
        raise click.ClickException("Nothing to cancel: no such image waits.")
    if as_json:
        write_json({"id": found.id, "cancelled": cancelled})
        return
    click.echo(f"{count(cancelled, 'image')} {'is' if cancelled == 1 else 'are'} cancelled.")


# Delete


def _refuse_no_number(_: click.Context, __: click.Parameter, hours: float | None) -> float | None:
    """Return hours; Click reads `nan` and `inf` as numbers. Raises BadParameter."""
    if hours is not None and not isfinite(hours):
        raise click.BadParameter("This is not a number of hours.")
    return hours


@commands.command(epilog=IDS)
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
def delete(jobs: tuple[str, ...]) -> None:
    """Delete jobs and all their files at once; no one can undo it."""
    job_ids = dict.fromkeys(map(_find_job, jobs))  # All, before one is deleted.
    for job_id in job_ids:
        if stored := current_jobs().store.jobs.stored(job_id):
            current_jobs().delete(job_id)
            images = count(stored.counts.total, "image")
            click.echo(f"{job_id} is deleted: {images}, {filesize(stored.bytes)}.")


@commands.command()
@click.option(
    "--older-than",
    "hours",
    type=click.FloatRange(min=0),
    callback=_refuse_no_number,
    help="Delete jobs that were made so many hours ago, or earlier.",
)
@click.option("--finished-only", is_flag=True, help="Only jobs in which nothing is left to do.")
@click.option(
    "--kept", is_flag=True, help="Also jobs that their owners keep until they delete them."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def prune(hours: float | None, finished_only: bool, kept: bool, dry_run: bool, yes: bool) -> None:
    """Delete jobs by their age now, or do at once what a sweep does each minute.

    Without --older-than, it deletes what has ended: jobs that expired or that their owners deleted,
    and what killed processes left. It asks first.
    """
    if hours is None and (finished_only or kept):
        raise click.UsageError("Give --older-than, too: what has ended is deleted in any case.")
    store = current_jobs().store.jobs
    before = current_jobs().store.now() - (hours or 0) * 3600  # Not later, once it was asked.

    def of_age() -> Iterator[tuple[str, int]]:
        return store.made_before(before, finished_only=finished_only, with_kept=kept)

    jobs, size = store.ended_totals() if hours is None else _sum(of_age())
    click.echo(f"{count(jobs, 'job')} to delete, {filesize(size)}.")
    if dry_run or not (jobs or hours is None):
        return
    if jobs and not yes:
        click.confirm("Delete them?", abort=True)
    deleted, left = _sweep(jobs) if hours is None else _delete_all(of_age(), jobs)
    click.echo(f"{count(deleted, 'job')} deleted.")
    if left:
        raise click.ClickException(f"{count(left, 'job')} could not be deleted.")


def _sum(chosen: Iterable[tuple[str, int]]) -> tuple[int, int]:
    """Count jobs and their bytes."""
    jobs = total = 0
    for _, size in chosen:
        jobs, total = jobs + 1, total + size
    return jobs, total


def _sweep(jobs: int) -> tuple[int, int]:
    """Delete what has ended; return how many of the jobs went and are left."""
    for _ in sweep(current_jobs().store, current_jobs().storage):
        pass
    left, _ = current_jobs().store.jobs.ended_totals()
    return max(jobs - left, 0), left


def _delete_all(chosen: Iterable[tuple[str, int]], jobs: int) -> tuple[int, int]:
    """Delete jobs, about so many; return how many went, and how many are left."""
    deleted = left = 0
    with click.progressbar(chosen, jobs, label="Deleting jobs", file=sys.stderr) as bar:
        for job_id, _ in bar:
            try:
                current_jobs().delete(job_id)
                deleted += 1
            except OSError as error:
                left += 1
                click.echo(f"{job_id}: {error}", err=True)
    return deleted, left
