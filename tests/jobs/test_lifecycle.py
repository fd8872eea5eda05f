"""The life of a job, with real files and rows."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import age, files_left, nothing_left
from tests.support.clock import Clock
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import claims_of, sweep, work
from webapp.config import Config
from webapp.engine.errors import ImageError
from webapp.engine.header import Header
from webapp.engine.result import Result
from webapp.jobs.errors import (
    FILE_LOST,
    ClaimLost,
    FileTooLarge,
    JobClosed,
    JobNotFound,
    NoSpace,
    TooManyImages,
)
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.names import clean_name
from webapp.jobs.storage import ABANDONED_SECONDS, REMOVING_SECONDS
from webapp.jobs.upload import Upload
from webapp.recipes.presets import PRESETS

SQUARE = PRESETS["square"].recipe


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(instance=tmp_path / "instance", max_images=2, max_file_mb=1, min_free_mb=30)


@contextmanager
def received(jobs: Jobs, data: bytes) -> Iterator[Upload]:
    """Hold an upload for as long as its request would."""
    upload = jobs.open_upload()
    upload.write(data)
    try:
        yield upload
    finally:
        upload.close()


def add(jobs: Jobs, job_id: str, data: bytes, name: str = "a.jpg") -> None:
    with received(jobs, data) as upload:
        jobs.add_image(job_id, upload, name, None, "127.0.0.1")


def submit(jobs: Jobs, *pictures: bytes) -> str:
    job_id = jobs.submit(SQUARE, "owner")
    for picture in pictures:
        add(jobs, job_id, picture)
    jobs.close(job_id)
    return job_id


def test_job_is_finished_when_its_last_image_is(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg(), make_jpeg())
    assert not jobs.job(job_id).is_finished
    work(jobs)
    job = jobs.job(job_id)
    assert (job.is_finished, job.counts.done, job.counts.total) == (True, 2, 2)


def test_open_job_is_not_finished(jobs: Jobs) -> None:
    job_id = jobs.submit(SQUARE, "owner")
    add(jobs, job_id, make_jpeg())
    work(jobs)
    assert (jobs.job(job_id).counts.done, jobs.job(job_id).is_finished) == (1, False)


def test_closed_job_takes_no_more_images(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    with pytest.raises(JobClosed):
        add(jobs, job_id, make_jpeg())
    assert len(list(jobs.storage.originals.rglob("*-*-*-*-*"))) == 2  # One job, one image.


def test_full_job_takes_no_more_images(jobs: Jobs) -> None:
    job_id = jobs.submit(SQUARE, "owner")
    for _ in range(2):
        add(jobs, job_id, make_jpeg())
    with pytest.raises(TooManyImages, match="at most 2 images"):
        add(jobs, job_id, make_jpeg())


def test_unknown_job_takes_no_images(jobs: Jobs) -> None:
    with pytest.raises(JobNotFound):
        add(jobs, "no such job", make_jpeg())
    assert nothing_left(jobs)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (3_312_345, "3.3 MB"),
        (2_000_000, "2.0 MB"),
        (1_010_000, "1.01 MB"),  # And not what the limit is.
        (1_000_001, "1.000001 MB"),
    ],
)
def test_file_over_the_limit_is_refused_in_megabytes(jobs: Jobs, size: int, words: str) -> None:
    with pytest.raises(FileTooLarge, match=f"This file is {words}; the limit is 1 MB"):
        add(jobs, jobs.submit(SQUARE, None), bytes(size))


def test_job_without_images_is_not_kept(jobs: Jobs) -> None:
    jobs.close(jobs.submit(SQUARE, "owner"))
    assert nothing_left(jobs)


def test_refusal_is_said_even_if_it_cannot_be_counted(
    jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    jobs.store.db.execute("DROP TABLE counters")
    with pytest.raises(ImageError) as caught:
        add(jobs, jobs.submit(SQUARE, "owner"), b"no image")
    assert caught.value.code == "unsupported_format"
    assert "cannot count a refusal" in caplog.text


def test_no_image_is_refused_and_leaves_nothing(jobs: Jobs) -> None:
    job_id = jobs.submit(SQUARE, "owner")
    with pytest.raises(ImageError):
        add(jobs, job_id, b"hello")
    assert files_left(jobs) == []


def test_truncated_image_fails_alone_and_says_so(jobs: Jobs) -> None:
    job_id = submit(jobs, make_truncated(), make_jpeg())
    work(jobs)
    bad, good = jobs.job(job_id).images
    assert (bad.status, bad.error_code, good.status) == ("failed", "truncated", "done")
    assert list(jobs.storage.tmp.iterdir()) == []
    assert not (jobs.storage.thumbnails / job_id / bad.id).exists()


def test_deleted_job_leaves_nothing(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    jobs.delete(job_id)
    assert nothing_left(jobs)


def test_deleted_job_is_out_of_sight_though_its_files_are_still_there(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    monkeypatch.setattr(jobs.storage, "empty_trash", lambda path: None)
    jobs.delete_soon(job_id)
    roots = (jobs.storage.originals, jobs.storage.thumbnails)
    assert not any(list(root.iterdir()) for root in roots)


def test_sweep_removes_the_files_of_a_deleted_job_where_a_crash_left_them(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    monkeypatch.setattr(jobs.storage, "empty_trash", lambda path: None)
    jobs.delete_soon(job_id)
    age(jobs, 2 * REMOVING_SECONDS)
    sweep(jobs)
    assert nothing_left(jobs)


def test_sweep_spares_the_folder_that_a_deleted_job_is_just_moved_to(
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


def test_job_deleted_while_a_worker_has_it_leaves_nothing(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    claim = claims_of(jobs).claim("w1")
    assert claim
    jobs.delete(job_id)
    with pytest.raises(ClaimLost):
        claims_of(jobs).renew(claim)
    nothing = Result(Header("jpeg", 1, 1, 1, False), "", "#000000", [])
    with jobs.storage.open_folder() as folder, pytest.raises(ClaimLost):
        claims_of(jobs).finish(claim, folder, nothing, b"")
    assert nothing_left(jobs)


def test_interrupted_work_is_released(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    claim = claims_of(jobs).claim("w1")
    assert claim
    claims_of(jobs).release(claim)
    assert jobs.job(job_id).counts.waiting == 1


def test_sweep_removes_expired_jobs_and_no_others(jobs: Jobs, clock: Clock) -> None:
    kept, expired = submit(jobs, make_jpeg()), submit(jobs, make_jpeg())
    work(jobs)
    jobs.extend(kept, 48)
    clock.advance(hours=25)
    sweep(jobs)
    assert (jobs.store.jobs.ids(), jobs.store.jobs.exists(expired)) == ([kept], False)
    assert not (jobs.storage.originals / expired).exists()
    assert not (jobs.storage.thumbnails / expired).exists()


def test_sweep_goes_on_after_what_cannot_be_removed(
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


def test_sweep_removes_old_files_that_no_row_knows(jobs: Jobs) -> None:
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


def test_sweep_removes_old_files_that_no_row_knows_from_jobs_that_go_on(jobs: Jobs) -> None:
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


def test_sweep_spares_files_whose_row_is_about_to_come(jobs: Jobs) -> None:
    (jobs.storage.originals / "coming").mkdir()
    sweep(jobs)
    assert (jobs.storage.originals / "coming").exists()


def test_waiting_image_whose_original_is_gone_fails_and_says_so(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    shutil.rmtree(jobs.storage.originals / job_id)
    work(jobs)
    (image,) = jobs.job(job_id).images
    assert (image.status, image.error_code, image.error_message) == ("failed", *FILE_LOST)


@pytest.mark.parametrize("folder", ["originals", "thumbnails"])
def test_sweep_fails_images_whose_files_are_gone_and_no_others(jobs: Jobs, folder: str) -> None:
    kept, robbed = submit(jobs, make_jpeg()), submit(jobs, make_jpeg())
    if folder == "thumbnails":
        work(jobs)
    shutil.rmtree(getattr(jobs.storage, folder) / robbed)
    sweep(jobs)
    (image,) = jobs.job(robbed).images
    assert (image.status, image.error_code, image.thumbnails) == ("failed", "file_lost", ())
    assert jobs.job(kept).counts.failed == 0


def test_upload_is_refused_before_the_disk_is_full(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.storage, "free_bytes", lambda: 29_999_999)
    with received(jobs, make_jpeg()) as upload, pytest.raises(NoSpace):
        jobs.submit_image(SQUARE, "owner", upload, "a.jpg", "127.0.0.1")
    with pytest.raises(NoSpace):
        jobs.submit(SQUARE, "owner")


def test_accepted_work_waits_before_the_disk_is_full_and_goes_on_with_room(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(jobs, make_jpeg())
    with monkeypatch.context() as full:
        full.setattr(jobs.storage, "free_bytes", lambda: 29_999_999)
        work(jobs)
        assert claims_of(jobs).claim("worker") is None
    assert jobs.job(job_id).counts.waiting == 1
    work(jobs)
    assert jobs.job(job_id).counts.done == 1


def test_nothing_is_made_again_before_the_disk_is_full(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    image_id = jobs.job(job_id).images[0].id
    monkeypatch.setattr(jobs.storage, "free_bytes", lambda: 29_999_999)
    for again in (
        partial(jobs.remake, job_id, SQUARE, "127.0.0.1"),
        partial(jobs.retry, job_id, None, "127.0.0.1"),
        partial(jobs.set_focal_point, job_id, image_id, (0.5, 0.5), "127.0.0.1"),
    ):
        with pytest.raises(NoSpace):
            again()
    assert jobs.job(job_id).counts.done == 1


def test_upload_is_taken_while_the_disk_has_what_must_stay_free(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.storage, "free_bytes", lambda: 30_000_000)
    assert submit(jobs, make_jpeg())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("photo.jpg", "photo.jpg"),
        ("日本電波塔.jpg", "日本電波塔.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Photos\\a.jpg", "a.jpg"),
        ("<script>alert(1)</script>.jpg", "script>.jpg"),
        ("a\"b'c.jpg", "a\"b'c.jpg"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("\U0001f468\u200d\U0001f469.jpg", "\U0001f468\u200d\U0001f469.jpg"),
        ("a\r\nb\x00.jpg", "ab.jpg"),
        ("", "unnamed"),
        ("///", "unnamed"),
        ("\u200d", "unnamed"),
        ("x" * 300 + ".jpeg", "x" * 249 + "….jpeg"),
    ],
)
def test_name_is_made_fit_to_show(name: str, shown: str) -> None:
    assert clean_name(name) == shown
