"""What a sweep removes, and what it leaves alone."""

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.support.clock import Clock
from tests.support.images import make_jpeg
from tests.support.jobs import age, files_left, nothing_left, submit, sweep, work
from webapp.jobs.errors import FILE_LOST
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.storage import ABANDONED_SECONDS, REMOVING_SECONDS


def test_sweep_removes_files_that_a_crash_left_of_deleted_jobs(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    monkeypatch.setattr(jobs.storage, "empty_trash", lambda path: None)
    jobs.delete(job_id)
    age(jobs, 2 * REMOVING_SECONDS)
    sweep(jobs)
    assert nothing_left(jobs)


def test_sweep_spares_the_folder_of_a_delete_in_progress(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(jobs, make_jpeg())
    rename = os.rename

    def sweep_and_rename(source: Path, target: Path) -> None:
        sweep(jobs)
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
    assert (jobs.store.jobs.ids(), jobs.store.jobs.exists(expired)) == ([kept], False)
    assert not (jobs.storage.originals / expired).exists()
    assert not (jobs.storage.thumbnails / expired).exists()


def test_sweep_continues_after_a_file_that_cannot_be_removed(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    stuck, expired = submit(jobs, make_jpeg()), submit(jobs, make_jpeg())
    clock.advance(hours=25)
    delete = jobs.storage.delete_job

    def delete_job(job_id: str) -> None:
        if job_id == stuck:
            raise PermissionError(job_id)
        delete(job_id)

    monkeypatch.setattr(jobs.storage, "delete_job", delete_job)
    sweep(jobs)
    assert not (jobs.storage.originals / expired).exists()
    assert f"cannot remove {stuck}" in caplog.text


def test_sweep_removes_old_files_without_a_row(jobs: Jobs) -> None:
    kept = submit(jobs, make_jpeg())
    orphans = [jobs.storage.originals / "gone", jobs.storage.thumbnails / "gone"]
    long_ago = time.time() - ABANDONED_SECONDS - 1
    for orphan in orphans:
        orphan.mkdir()
        (orphan / "file").write_bytes(b"x")
    for folder in (*orphans, jobs.storage.originals / kept):
        os.utime(folder, (long_ago, long_ago))
    sweep(jobs)
    assert not any(orphan.exists() for orphan in orphans)
    assert (jobs.storage.originals / kept).exists()


def test_sweep_removes_old_files_without_a_row_from_live_jobs(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    kept = set(files_left(jobs))
    jobs.storage.original(job_id, "of-a-killed-upload").write_bytes(b"x")
    attempt = jobs.storage.thumbnails / job_id / "of-a-killed-worker-1"
    attempt.mkdir()
    (attempt / "square.jpg").write_bytes(b"x")
    sweep(jobs)
    assert len(files_left(jobs)) == len(kept) + 3
    long_ago = time.time() - ABANDONED_SECONDS - 1
    for path in files_left(jobs):
        os.utime(path, (long_ago, long_ago))
    sweep(jobs)
    assert set(files_left(jobs)) == kept


def test_sweep_spares_new_files_without_a_row(jobs: Jobs) -> None:
    (jobs.storage.originals / "coming").mkdir()
    sweep(jobs)
    assert (jobs.storage.originals / "coming").exists()


def test_waiting_image_without_its_original_fails_with_a_reason(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    shutil.rmtree(jobs.storage.originals / job_id)
    work(jobs)
    (image,) = jobs.job(job_id).images
    assert (image.status, image.error_code, image.error_message) == ("failed", *FILE_LOST)


@pytest.mark.parametrize("folder", ["originals", "thumbnails"])
def test_sweep_fails_only_images_whose_files_are_missing(jobs: Jobs, folder: str) -> None:
    kept, robbed = submit(jobs, make_jpeg()), submit(jobs, make_jpeg())
    if folder == "thumbnails":
        work(jobs)
    shutil.rmtree(getattr(jobs.storage, folder) / robbed)
    sweep(jobs)
    (image,) = jobs.job(robbed).images
    assert (image.status, image.error_code, image.thumbnails) == ("failed", "file_lost", ())
    assert jobs.job(kept).counts.failed == 0
