"""Look after the service: its work, its figures and its files."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from webapp.cli.jobs import commands, jobs_to_read
from webapp.cli.output import (
    as_json,
    count,
    date_and_time,
    errors,
    moment,
    write_json,
    write_table,
)
from webapp.jobs.check import fail_lost, lost_images, orphans
from webapp.jobs.health import Statistics, quantile, read_statistics
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Bucket, Pause
from webapp.jobs.names import clean_alt
from webapp.jobs.tasks import notify_workers
from webapp.web.app_context import current_config, current_huey, current_jobs
from webapp.web.formatters import filesize

REASON_LENGTH = 300  # Characters of the reason for a pause.


@commands.command()
@click.option("--reason", default="", help="A sentence for the pages; people read it.")
def pause(reason: str) -> None:
    """Let workers finish their images and take nothing new.

    Uploads are still accepted, and wait; pages say so. It lasts until `flask jobs resume`, also
    when the server is restarted. During a pause, another one changes the reason.
    """
    reason = clean_alt(reason)
    if len(reason) > REASON_LENGTH:
        raise click.UsageError(f"The reason has at most {REASON_LENGTH} characters.")
    operations = current_jobs().store.operations
    operations.pause(reason)
    queue = operations.read_queue()
    click.echo(
        f"Work is paused. {count(queue.working, 'image')} still being made,"
        f" {count(queue.depth - queue.working, 'image')} waiting."
    )


@commands.command()
def resume() -> None:
    """End a pause: the workers go on at once."""
    operations = current_jobs().store.operations
    if not operations.resume():
        raise click.ClickException("Work is not paused.")
    for _ in range(current_config().workers):  # Each message wakes one.
        notify_workers(current_huey())
    queue = operations.read_queue()
    click.echo(f"Work goes on. {count(queue.depth - queue.working, 'image')} waiting.")


@commands.command()
@as_json
def stats(as_json: bool) -> None:
    """Show the queue, the workers, and what became of all images.

    Images and refusals are counted since the database was created.
    """
    jobs = jobs_to_read()
    with jobs.store.db.snapshot():
        found = read_statistics(jobs.store, jobs.storage)
        paused, totals = jobs.store.operations.read_pause(), jobs.store.jobs.totals()
    if as_json:
        write_json(_values(found, paused, totals))
    else:
        write_table(list(_facts(found, paused, totals)))


def _values(found: Statistics, paused: Pause | None, totals: tuple[int, int]) -> dict[str, Any]:
    health = found.health
    return {
        "paused": paused and {"since": moment(paused.since), "reason": paused.reason},
        "workers": health.workers,
        "queue": {
            "waiting": health.queue_depth - health.working,
            "working": health.working,
            "oldest_wait_seconds": health.oldest_wait_seconds,
        },
        "images": _sums(found),
        "failed": _codes(found, "failed"),
        "refused": _codes(found, "refused"),
        "wait_seconds": _durations(found.wait),
        "work_seconds": _durations(found.work),
        "jobs": totals[0],
        "bytes": totals[1],
        "kept": vars(found.kept),
        "free_disk_bytes": health.free_disk_bytes,
    }


def _facts(
    found: Statistics, paused: Pause | None, totals: tuple[int, int]
) -> list[tuple[str, str]]:
    health, sums = found.health, _sums(found)
    work = "goes on"
    if paused:
        work = f"paused since {date_and_time(paused.since)} UTC"
        work += f": {paused.reason}" if paused.reason else ""
    return [
        ("Work", work),
        ("Workers", f"{health.workers} alive"),
        (
            "Queue",
            f"{health.queue_depth - health.working:,} waiting, {health.working:,} working,"
            f" the oldest waits for {health.oldest_wait_seconds:.1f} s",
        ),
        ("Images", ", ".join(f"{number:,} {what}" for what, number in sums.items())),
        ("Failed", _list(_codes(found, "failed"))),
        ("Refused", _list(_codes(found, "refused"))),
        ("Wait", _spread(found.wait)),
        ("Work on an image", _spread(found.work)),
        ("Jobs", f"{totals[0]:,}, {filesize(totals[1])}"),
        ("Kept until deleted", f"{found.kept.jobs:,}, {filesize(found.kept.bytes)}"),
        ("Free disk", filesize(health.free_disk_bytes)),
    ]


def _sums(found: Statistics) -> dict[str, int]:
    """Return how many images were accepted, and what became of them."""
    sums = Counter(
        dict.fromkeys(("accepted", "done", "failed", "cancelled", "deleted", "again"), 0)
    )
    for counter in found.counters:
        if counter.what in sums:
            sums[counter.what] += counter.count
    return dict(sums)


def _codes(found: Statistics, what: str) -> dict[str, int]:
    counted = [one for one in found.counters if one.what == what and one.count]
    return {one.code: one.count for one in sorted(counted, key=lambda one: -one.count)}


def _list(codes: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {code}" for code, number in codes.items()) or "none"


def _durations(buckets: Sequence[Bucket]) -> dict[str, float | int | None]:
    number = sum(bucket.count for bucket in buckets)
    return {
        "count": number,
        "mean": sum(bucket.seconds for bucket in buckets) / number if number else None,
        "p50": quantile(buckets, 0.5),
        "p95": quantile(buckets, 0.95),
    }


def _spread(buckets: Sequence[Bucket]) -> str:
    half, most = quantile(buckets, 0.5), quantile(buckets, 0.95)
    if half is None or most is None:
        return "no image yet"
    return f"half within {half:.3g} s, 95 % within {most:.3g} s"


@commands.command()
@click.option("--fix", is_flag=True, help="Delete such files, and mark such images as failed.")
def check(fix: bool) -> None:
    """Find files that belong to no job, and images whose files are missing.

    It compares all files with the database; the server may run. Ends with code 1 if it found any
    and did not fix them.
    """
    with errors("check"):
        found = _compare(current_jobs() if fix else jobs_to_read(), fix)
    files, images = count(found["files"], "file"), count(found["images"], "image")
    click.echo(f"{files} without a job, {images} without a file.")
    if found and fix and not found["left"]:
        click.echo("The files are deleted, and the images are marked as failed.")
    if found["left"] or (found and not fix):
        raise SystemExit(1)


def _compare(jobs: Jobs, fix: bool) -> Counter[str]:
    """Name what does not match, and count it."""
    store, storage = jobs.store, jobs.storage
    found: Counter[str] = Counter()
    for path in orphans(store, storage):
        found["files"] += 1
        click.echo(f"{path} belongs to no job.")
        try:
            if fix:
                storage.delete_path(path)
        except OSError as error:
            found["left"] += 1
            click.echo(f"{path} cannot be deleted: {error}", err=True)
    for image_id in lost_images(store, storage):
        found["images"] += 1
        click.echo(f"Image {image_id} misses a file.")
        if fix:
            fail_lost(store, storage, image_id)
    return found
