"""What a sweep removes, and what it leaves alone."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.images import make_jpeg
from tests.support.jobs import (
    TimedStore,
    add_image,
    age,
    claim,
    claims_of,
    nothing_left,
    received,
    submit,
    sweep,
    work,
    work_once,
)
from tests.support.turns import NOW, count_steps, fill
from webapp.jobs import housekeeping
from webapp.jobs.errors import FILE_LOST, ClaimLost
from webapp.jobs.housekeeping import Housekeeping
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.storage import (
    REMOVING_SECONDS,
    REPLACED_SECONDS,
    UNSETTLED_SECONDS,
    Storage,
)
from webapp.recipes.presets import PRESETS


class Killed(BaseException):
    """The process ends here, and runs no handler of errors."""


def kill(*args: Any) -> None:
    raise Killed


def test_sweep_removes_files_that_a_crash_left_of_deleted_jobs(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    monkeypatch.setattr(jobs.storage, "empty_trash", lambda path: iter(()))
    jobs.delete(job_id)
    age(jobs, 2 * REMOVING_SECONDS)
    sweep(jobs)
    assert nothing_left(jobs)


@pytest.mark.parametrize("step", ["move_to_trash", "delete"])
def test_sweep_completes_the_deletion_of_a_job(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    with monkeypatch.context() as patch:
        place = jobs.storage if step == "move_to_trash" else jobs.store.jobs
        patch.setattr(place, step, kill)
        with pytest.raises(Killed):
            jobs.delete(job_id)
    assert list(jobs.store.jobs.ids()) == []
    age(jobs, 2 * REMOVING_SECONDS)
    sweep(jobs)
    assert nothing_left(jobs)


def test_sweep_spares_the_folder_of_a_delete_in_progress(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(jobs, make_jpeg())
    rename = os.rename

    def sweep_and_rename(source: Path, target: Path) -> None:
        for _ in jobs.storage.delete_old():
            pass
        rename(source, target)

    monkeypatch.setattr(os, "rename", sweep_and_rename)
    jobs.delete(job_id)
    assert nothing_left(jobs)


def test_sweep_removes_expired_jobs_and_no_others(jobs: Jobs, clock: Clock) -> None:
    kept, expired = submit(jobs, make_jpeg()), submit(jobs, make_jpeg())
    work(jobs)
    jobs.extend(kept, 48)
    clock.advance(hours=25)
    sweep(jobs)
    assert (list(jobs.store.jobs.ids()), jobs.store.jobs.exists(expired)) == ([kept], False)
    assert not (jobs.storage.originals / expired).exists()
    assert not (jobs.storage.thumbnails / expired).exists()


def test_job_that_expires_while_a_worker_has_it_leaves_nothing(jobs: Jobs, clock: Clock) -> None:
    submit(jobs, make_jpeg())
    claimed = claim(jobs)
    clock.advance(hours=25)
    sweep(jobs)
    with pytest.raises(ClaimLost):
        claims_of(jobs).renew(claimed)
    assert nothing_left(jobs)


@pytest.mark.parametrize("error", [PermissionError, sqlite3.IntegrityError, KeyError])
def test_sweep_continues_after_a_job_that_cannot_be_removed(
    jobs: Jobs,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    clock: Clock,
    error: type[Exception],
) -> None:
    stuck, expired = submit(jobs, make_jpeg()), submit(jobs, make_jpeg())
    clock.advance(hours=25)
    move = jobs.storage.move_to_trash

    def move_to_trash(job_id: str) -> Path:
        if job_id == stuck:
            raise error(job_id)
        return move(job_id)

    with monkeypatch.context() as patch:
        patch.setattr(jobs.storage, "move_to_trash", move_to_trash)
        sweep(jobs)
    assert not (jobs.storage.originals / expired).exists()
    assert f"cannot remove {stuck}" in caplog.text
    sweep(jobs)
    assert nothing_left(jobs)


def test_sweep_continues_after_thumbnails_that_cannot_be_removed(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    job_id = submit(jobs, make_jpeg(), make_jpeg())
    work(jobs)
    before = [image.thumbnails[0].path for image in jobs.job(job_id).images]
    jobs.remake(job_id, PRESETS["card"].recipe, "127.0.0.1")
    work(jobs)
    clock.advance(seconds=REPLACED_SECONDS + 1)
    delete, stuck = jobs.storage.delete_thumbnail, [""]

    def delete_thumbnail(path: str) -> None:
        stuck[0] = stuck[0] or path
        if path == stuck[0]:
            raise sqlite3.IntegrityError(path)
        delete(path)

    with monkeypatch.context() as patch:
        patch.setattr(jobs.storage, "delete_thumbnail", delete_thumbnail)
        sweep(jobs)
    assert [path for path in before if jobs.storage.thumbnail(path)] == stuck
    sweep(jobs)
    assert not jobs.storage.thumbnail(stuck[0])


def test_images_pass_between_two_jobs_that_cannot_be_removed(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    for _ in range(2):
        submit(jobs, make_jpeg())
    clock.advance(hours=25)
    tries = []

    def delete_images(job_id: str, count: int) -> bool:
        tries.append(job_id)
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(jobs.store.jobs, "delete_images", delete_images)
    monkeypatch.setattr(housekeeping, "SLICE_SECONDS", 0)
    begun = Housekeeping(jobs.store, jobs.storage)
    begun.begin()
    begun.go_on()
    assert len(tries) == 1


# What a killed process leaves


def upload_and_die(jobs: Jobs, patch: pytest.MonkeyPatch) -> None:
    job_id = jobs.submit(PRESETS["square"].recipe, "owner")
    patch.setattr(jobs.store.queue, "add", kill)
    patch.setattr(jobs.storage, "delete_original", kill)
    add_image(jobs, job_id, make_jpeg())


def publish_and_die(jobs: Jobs, patch: pytest.MonkeyPatch) -> None:
    submit(jobs, make_jpeg())
    patch.setattr(jobs.store.queue, "finish", kill)
    work_once(jobs)


def lose_the_claim_and_die(jobs: Jobs, patch: pytest.MonkeyPatch) -> None:
    submit(jobs, make_jpeg())
    patch.setattr(jobs.store.queue, "finish", lambda *args: False)
    patch.setattr(jobs.storage, "unpublish", kill)
    work_once(jobs)


def replace_and_die(jobs: Jobs, patch: pytest.MonkeyPatch) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    jobs.remake(job_id, PRESETS["card"].recipe, "127.0.0.1")
    jobs.store.queue.fail(claim(jobs), "corrupt", "…")
    patch.setattr(jobs.storage, "delete_original", kill)
    with received(jobs, make_jpeg()) as upload:
        image_id = jobs.job(job_id).images[0].id
        jobs.replace_image(job_id, image_id, upload, "b.jpg", "127.0.0.1")


DEATHS = [upload_and_die, publish_and_die, lose_the_claim_and_die, replace_and_die]


@pytest.fixture(params=DEATHS)
def dead(request: pytest.FixtureRequest, jobs: Jobs) -> None:
    """Leave files as a process does that is killed."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        request.param(jobs, patch)


@pytest.mark.usefixtures("dead")
def test_sweep_removes_what_a_killed_process_left_without_a_row(jobs: Jobs) -> None:
    before = files_of_jobs(jobs) - files_with_rows(jobs)
    age(jobs, UNSETTLED_SECONDS + 1)
    sweep(jobs)
    assert before
    assert files_of_jobs(jobs) == files_with_rows(jobs)
    assert not list(jobs.storage.unsettled.iterdir())


@pytest.mark.usefixtures("dead")
def test_sweep_spares_new_files_whose_rows_may_come(jobs: Jobs) -> None:
    before = files_of_jobs(jobs)
    sweep(jobs)
    assert files_of_jobs(jobs) == before


@pytest.mark.usefixtures("dead")
def test_images_of_a_killed_process_are_made_after_all(jobs: Jobs, clock: Clock) -> None:
    clock.advance(seconds=60)  # The lease ends.
    work(jobs)
    age(jobs, UNSETTLED_SECONDS + 1)
    sweep(jobs)
    (job,) = map(jobs.job, jobs.store.jobs.ids())
    assert {image.status for image in job.images} <= {"done"}
    assert all(jobs.storage.thumbnail(made.path) for made in job.thumbnails)
    assert files_of_jobs(jobs) == files_with_rows(jobs)


def test_note_of_a_file_whose_row_was_written_harms_nothing(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(jobs.storage, "settle", lambda path: None)
        submit(jobs, make_jpeg())
        work(jobs)
    before = files_of_jobs(jobs)
    age(jobs, UNSETTLED_SECONDS + 1)
    sweep(jobs)
    assert files_of_jobs(jobs) == before == files_with_rows(jobs)
    assert not list(jobs.storage.unsettled.iterdir())


def files_of_jobs(jobs: Jobs) -> set[str]:
    """List originals and folders of thumbnails, as `job/name`."""
    roots = jobs.storage.originals, jobs.storage.thumbnails
    return {str(path.relative_to(root)) for root in roots for path in root.glob("*/*")}


def files_with_rows(jobs: Jobs) -> set[str]:
    rows = jobs.store.db.query(
        "SELECT job_id || '/' || id AS path FROM images UNION SELECT folder FROM thumbnails"
        " UNION SELECT folder FROM replaced_thumbnails"
    )
    return {row["path"] for row in rows}


# Slices


def test_sweep_lets_images_pass_between_its_slices(
    jobs: Jobs, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        submit(jobs, make_jpeg())
    clock.advance(hours=25)
    monkeypatch.setattr(housekeeping, "SLICE_SECONDS", 0)
    begun = Housekeeping(jobs.store, jobs.storage)
    begun.begin()
    left = []
    for _ in range(100):
        begun.go_on()
        left.append(len(list(jobs.storage.originals.iterdir())))
    assert {3, 2, 1, 0} & set(left) == {2, 1, 0}
    assert nothing_left(jobs)


def test_large_job_is_deleted_in_steps(
    jobs: Jobs, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "IMAGES_AT_ONCE", 2)
    job_id = submit(jobs, *[make_jpeg()] * 5)
    claim(jobs)
    clock.advance(hours=25)
    counts = []
    for _ in housekeeping.sweep(jobs.store, jobs.storage):
        (row,) = jobs.store.db.query("SELECT count(*) AS images FROM images")
        counts.append(row["images"])
        assert row["images"] == 0 or len(list((jobs.storage.originals / job_id).iterdir())) == 5
    assert counts[:3] == [3, 1, 0]
    assert nothing_left(jobs)


def test_next_sweep_does_what_a_killed_one_left(
    jobs: Jobs, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        submit(jobs, make_jpeg())
    clock.advance(hours=25)
    monkeypatch.setattr(housekeeping, "SLICE_SECONDS", 0)
    killed = Housekeeping(jobs.store, jobs.storage)
    killed.begin()
    killed.go_on()
    age(jobs, REMOVING_SECONDS + 1)
    sweep(jobs)
    assert nothing_left(jobs)


def test_claim_between_two_slices_is_as_durable_as_ever(
    jobs: Jobs, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(jobs, make_jpeg())
    clock.advance(hours=25)
    monkeypatch.setattr(housekeeping, "SLICE_SECONDS", 0)
    begun = Housekeeping(jobs.store, jobs.storage)
    begun.begin()
    levels = set()
    for _ in range(30):
        begun.go_on()
        levels |= {row["synchronous"] for row in jobs.store.db.query("PRAGMA synchronous")}
    assert levels == {2}


def test_sweep_reads_no_rows_of_jobs_that_stay(tmp_path: Path) -> None:
    store = TimedStore(tmp_path / "jobs.db", NOW)
    storage = Storage(tmp_path, now=store.now)
    with closing(store.db):
        before = count_steps(store, lambda: list(housekeeping.sweep(store, storage)))
        fill(store, images=5000, clients=1, owners=1000)
        store.db.execute("UPDATE images SET status = 'done'")
        store.db.execute("DELETE FROM owner_turns")
        after = count_steps(store, lambda: list(housekeeping.sweep(store, storage)))
    assert after <= before + 300


def test_waiting_image_without_its_original_fails_with_a_reason(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    shutil.rmtree(jobs.storage.originals / job_id)
    work(jobs)
    (image,) = jobs.job(job_id).images
    assert (image.status, image.error_code, image.error_message) == ("failed", *FILE_LOST)
