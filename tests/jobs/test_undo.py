"""Jobs that their owners delete, and restore within a minute."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.images import make_jpeg
from tests.support.jobs import (
    add_image,
    claim,
    claims_of,
    files_left,
    nothing_left,
    submit,
    sweep,
    work,
    work_once,
)
from webapp.engine.decoder import Decoder
from webapp.jobs.errors import ClaimLost, JobClosed, JobDeleted, JobNotFound
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.storage import REPLACED_SECONDS
from webapp.jobs.worker import work_on_next_image
from webapp.recipes.presets import PRESETS

CLIENT = "127.0.0.1"


def restore(jobs: Jobs, job_id: str) -> bool:
    return jobs.restore(job_id, "owner", CLIENT)


def depth(jobs: Jobs) -> int:
    return jobs.store.operations.read_queue().depth


def thumbnails(jobs: Jobs, job_id: str) -> list[Path | None]:
    return [jobs.storage.thumbnail(made.path) for made in jobs.job(job_id).thumbnails]


def test_deleted_job_is_gone_and_can_be_restored(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg(), make_jpeg())
    work(jobs)
    before, files = jobs.job(job_id), thumbnails(jobs, job_id)
    jobs.delete_with_undo(job_id)
    with pytest.raises(JobDeleted):
        jobs.job(job_id)
    assert list(jobs.store.jobs.ids()) == []
    assert [file for file in files if file and file.exists()] == []
    assert restore(jobs, job_id)
    after = jobs.job(job_id)
    assert (after.images, after.expires) == (before.images, before.expires)
    assert thumbnails(jobs, job_id) == files
    assert None not in files


def test_only_its_owner_restores_a_job(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    jobs.delete_with_undo(job_id)
    assert not jobs.restore(job_id, "another", CLIENT)
    assert not jobs.restore(job_id, None, CLIENT)
    assert restore(jobs, job_id)


def test_job_cannot_be_deleted_twice(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    jobs.delete_with_undo(job_id)
    with pytest.raises(JobDeleted):
        jobs.delete_with_undo(job_id)


def test_restoring_a_job_again_changes_nothing(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    jobs.delete_with_undo(job_id)
    assert restore(jobs, job_id)
    before = jobs.job(job_id)
    assert not restore(jobs, job_id)
    assert jobs.job(job_id) == before


def test_sweep_removes_a_deleted_job_after_a_minute(jobs: Jobs, clock: Clock) -> None:
    job_id = submit(jobs, make_jpeg(), make_jpeg())
    work_once(jobs)
    jobs.delete_with_undo(job_id)
    clock.advance(seconds=59)
    sweep(jobs)
    assert jobs.store.jobs.exists(job_id)
    clock.advance(seconds=2)
    assert not restore(jobs, job_id)
    sweep(jobs)
    assert not jobs.store.jobs.exists(job_id)
    assert nothing_left(jobs)
    with pytest.raises(JobNotFound) as caught:
        jobs.job(job_id)
    assert caught.type is JobNotFound  # Of a job that was deleted on purpose, nothing is left.


def test_expired_job_cannot_be_restored(jobs: Jobs, clock: Clock) -> None:
    job_id = submit(jobs, make_jpeg())
    clock.advance(hours=24, seconds=-10)
    jobs.delete_with_undo(job_id)
    clock.advance(seconds=20)
    assert not restore(jobs, job_id)
    sweep(jobs)
    assert nothing_left(jobs)


def test_clock_that_is_set_back_keeps_no_deleted_job(jobs: Jobs, clock: Clock) -> None:
    job_id = submit(jobs, make_jpeg())
    jobs.delete_with_undo(job_id)
    clock.advance(hours=-2)
    assert not restore(jobs, job_id)
    sweep(jobs)
    assert nothing_left(jobs)


def test_sweep_spares_a_job_that_is_restored_while_it_looks(
    jobs: Jobs, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    jobs.delete_with_undo(job_id)
    ended = [[job_id], []]
    assert restore(jobs, job_id)
    monkeypatch.setattr(jobs.store.jobs, "ended_ids", lambda skip: ended.pop(0))  # Read before.
    sweep(jobs)
    assert None not in thumbnails(jobs, job_id)


def test_sweep_keeps_rows_of_replaced_thumbnails_that_are_hidden(jobs: Jobs, clock: Clock) -> None:
    job_id = submit(jobs, make_jpeg(size=(900, 600)))
    work(jobs)
    replaced = jobs.storage.thumbnails / jobs.job(job_id).thumbnails[0].path
    jobs.remake(job_id, PRESETS["card"].recipe, CLIENT)
    work(jobs)
    clock.advance(seconds=REPLACED_SECONDS + 1)
    jobs.delete_with_undo(job_id)
    sweep(jobs)
    assert restore(jobs, job_id)
    assert replaced.exists()
    sweep(jobs)
    assert not replaced.exists()
    assert None not in thumbnails(jobs, job_id)


# The queue


def test_images_of_a_deleted_job_are_not_worked_on_until_it_is_restored(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg(), make_jpeg())
    work_once(jobs)
    jobs.delete_with_undo(job_id)
    assert not claims_of(jobs).has_work()
    assert depth(jobs) == 0
    assert restore(jobs, job_id)
    assert depth(jobs) == 1
    work(jobs)
    assert jobs.job(job_id).counts.done == 2


def test_thumbnails_published_while_their_job_is_deleted_do_not_come_back(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(jobs, make_jpeg())
    claims = claims_of(jobs)
    publish = claims.storage.publish

    def publish_before_the_deletion(*arguments: Any) -> None:
        publish(*arguments)
        jobs.delete_with_undo(job_id)

    monkeypatch.setattr(claims.storage, "publish", publish_before_the_deletion)
    work_on_next_image(claims, Decoder.from_config(jobs.config))
    assert restore(jobs, job_id)
    assert not (jobs.storage.thumbnails / job_id).exists()


def test_worker_loses_its_claim_of_a_deleted_job_and_no_attempt(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    claimed = claim(jobs)
    jobs.delete_with_undo(job_id)
    with pytest.raises(ClaimLost):
        claims_of(jobs).renew(claimed)
    for _ in range(6):
        assert restore(jobs, job_id)
        claim(jobs)
        jobs.delete_with_undo(job_id)
    assert restore(jobs, job_id)
    work(jobs)
    assert jobs.job(job_id).counts.done == 1


def test_restored_images_wait_where_they_were(jobs: Jobs) -> None:
    first, second = submit(jobs, make_jpeg()), submit(jobs, make_jpeg())
    jobs.delete_with_undo(first)
    assert restore(jobs, first)
    assert [claim(jobs).job_id, claim(jobs).job_id] == [first, second]


def test_cancelled_and_failed_images_stay_so(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg(), make_jpeg())
    cancelled = jobs.job(job_id).images[0].id
    jobs.store.queue.cancel(job_id, cancelled)
    jobs.delete_with_undo(job_id)
    assert restore(jobs, job_id)
    assert [image.status for image in jobs.job(job_id).images] == ["cancelled", "waiting"]


def test_nothing_of_a_deleted_job_is_retried(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    jobs.delete_with_undo(job_id)
    jobs.retry(job_id, None, CLIENT)
    jobs.remake(job_id, PRESETS["card"].recipe, CLIENT)
    assert depth(jobs) == 0


def test_restored_job_over_the_share_of_its_client_can_be_retried(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.limits, "_max_waiting_of_client", 2)
    job_id = submit(jobs, make_jpeg(), make_jpeg())
    jobs.delete_with_undo(job_id)
    other = submit(jobs, make_jpeg())
    assert restore(jobs, job_id)
    assert jobs.job(job_id).counts.cancelled == 2
    assert depth(jobs) == 1
    jobs.store.queue.cancel(other)
    jobs.retry(job_id, None, CLIENT)
    assert jobs.job(job_id).counts.waiting == 2


def test_restored_job_does_not_overfill_the_queue(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.limits, "_max_waiting", 1)
    job_id = submit(jobs, make_jpeg())
    jobs.delete_with_undo(job_id)
    submit(jobs, make_jpeg())
    assert restore(jobs, job_id)
    assert jobs.job(job_id).counts.cancelled == 1


def test_deleted_images_leave_the_share_of_their_client(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg(), make_jpeg())
    assert jobs.store.queue.has_unfinished_of(CLIENT, 2)
    jobs.delete_with_undo(job_id)
    assert not jobs.store.queue.has_unfinished_of(CLIENT, 1)
    assert restore(jobs, job_id)
    assert jobs.store.queue.has_unfinished_of(CLIENT, 2)
    assert not jobs.store.queue.has_unfinished_of(CLIENT, 3)


def test_deleted_images_are_counted_once(jobs: Jobs, clock: Clock) -> None:
    job_id = submit(jobs, make_jpeg(), make_jpeg())
    work_once(jobs)
    jobs.delete_with_undo(job_id)
    assert counted(jobs) == {"accepted": 2, "done": 1, "deleted": 1}
    assert restore(jobs, job_id)
    assert counted(jobs) == {"accepted": 2, "done": 1, "deleted": 1, "again": 1}
    jobs.delete_with_undo(job_id)
    clock.advance(seconds=120)
    sweep(jobs)
    assert counted(jobs) == {"accepted": 2, "done": 1, "deleted": 2, "again": 1}


def counted(jobs: Jobs) -> dict[str, int]:
    return {one.what: one.count for one in jobs.store.operations.counters() if one.count}


def test_open_job_takes_images_again_after_it_is_restored(jobs: Jobs) -> None:
    job_id = jobs.submit(PRESETS["square"].recipe, "owner")
    add_image(jobs, job_id, make_jpeg())
    jobs.delete_with_undo(job_id)
    with pytest.raises((JobDeleted, JobClosed)):
        add_image(jobs, job_id, make_jpeg())
    assert restore(jobs, job_id)
    add_image(jobs, job_id, make_jpeg())
    assert jobs.job(job_id).counts.total == 2


# Crashes


class Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("renames", [0, 1])
def test_crash_while_deleting_is_completed_by_a_sweep(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, clock: Clock, renames: int
) -> None:
    job_id = submit(jobs, make_jpeg(), make_jpeg())
    work(jobs)
    files = thumbnails(jobs, job_id)
    with monkeypatch.context() as patch:
        crash_after(patch, renames)
        with pytest.raises(Crash):
            jobs.delete_with_undo(job_id)
    sweep(jobs)
    assert [file for file in files if file and file.exists()] == []
    assert restore(jobs, job_id)
    assert thumbnails(jobs, job_id) == files
    jobs.delete_with_undo(job_id)
    clock.advance(seconds=120)
    sweep(jobs)
    assert nothing_left(jobs)


@pytest.mark.parametrize("renames", [0, 1])
def test_crash_while_restoring_loses_nothing(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    job_id = submit(jobs, make_jpeg(), make_jpeg())
    work(jobs)
    files = thumbnails(jobs, job_id)
    jobs.delete_with_undo(job_id)
    with monkeypatch.context() as patch:
        crash_after(patch, renames)
        with pytest.raises(Crash):
            restore(jobs, job_id)
    with pytest.raises(JobDeleted):
        jobs.job(job_id)
    sweep(jobs)
    assert [file for file in files if file and file.exists()] == []
    assert restore(jobs, job_id)
    assert thumbnails(jobs, job_id) == files


def test_thumbnails_are_shown_where_the_rows_are_of_an_older_backup(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    jobs.storage.hide(job_id)
    sweep(jobs)
    assert None not in thumbnails(jobs, job_id)
    assert jobs.job(job_id).counts.done == 1


def test_sweep_removes_hidden_files_without_a_row(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    jobs.delete_with_undo(job_id)
    jobs.store.jobs.delete(job_id)
    sweep(jobs)
    assert not [path for path in files_left(jobs) if "deleted" in path]


def crash_after(patch: pytest.MonkeyPatch, count: int) -> None:
    """Let the process end in the rename that follows some others."""
    rename, left = os.rename, iter(range(count))

    def rename_or_crash(source: Path, target: Path) -> None:
        if next(left, None) is None:
            raise Crash
        rename(source, target)

    patch.setattr(os, "rename", rename_or_crash)
