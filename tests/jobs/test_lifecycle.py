"""The life of a job, with real files and rows."""

import errno
from dataclasses import replace
from datetime import timedelta
from functools import partial
from math import nan
from pathlib import Path

import pytest
from flask import Flask

from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import (
    add_image,
    age,
    claims_of,
    files_left,
    nothing_left,
    received,
    submit,
    sweep,
    work,
)
from tests.support.people import multipart, part
from tests.support.turns import HEAVY, VISITOR
from webapp.config import Config
from webapp.engine.errors import ImageError
from webapp.engine.header import Header
from webapp.engine.result import MadeThumbnail, Result
from webapp.jobs.errors import (
    ClaimLost,
    FileTooLarge,
    JobClosed,
    JobNotFound,
    NoSpace,
    TooManyImages,
    TooManyWaiting,
)
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.limits import ClientLimits
from webapp.jobs.names import clean_name
from webapp.jobs.store import Store
from webapp.jobs.upload import Upload
from webapp.recipes.outputs import InvalidRecipe
from webapp.recipes.presets import PRESETS

SQUARE = PRESETS["square"].recipe


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(instance=tmp_path / "instance", max_images=2, max_file_mb=1, min_free_mb=30)


def test_job_is_finished_when_its_last_image_is(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg(), make_jpeg())
    assert not jobs.job(job_id).is_finished
    work(jobs)
    job = jobs.job(job_id)
    assert (job.is_finished, job.counts.done, job.counts.total) == (True, 2, 2)


def test_status_of_a_job_follows_from_its_images(jobs: Jobs) -> None:
    job_id = jobs.submit(SQUARE, "owner")
    seen = [jobs.job(job_id).status]
    add_image(jobs, job_id, make_jpeg())
    work(jobs)
    seen.append(jobs.job(job_id).status)
    add_image(jobs, job_id, make_truncated())
    work(jobs)
    jobs.close(job_id)
    seen.append(jobs.job(job_id).status)
    assert seen == ["waiting", "working", "failed"]


def test_job_is_kept_for_exactly_its_retention(jobs: Jobs) -> None:
    job = jobs.job(jobs.submit(PRESETS["square"].recipe, "owner", keep_hours=24))
    assert job.expires
    assert job.expires - job.created == timedelta(hours=24)


def test_open_job_is_not_finished(jobs: Jobs) -> None:
    job_id = jobs.submit(SQUARE, "owner")
    add_image(jobs, job_id, make_jpeg())
    work(jobs)
    assert (jobs.job(job_id).counts.done, jobs.job(job_id).is_finished) == (1, False)


def test_closed_job_takes_no_more_images(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    with pytest.raises(JobClosed):
        add_image(jobs, job_id, make_jpeg())
    assert len(list(jobs.storage.originals.rglob("*-*-*-*-*"))) == 2  # One job, one image.


def test_full_job_takes_no_more_images(jobs: Jobs) -> None:
    job_id = jobs.submit(SQUARE, "owner")
    for _ in range(2):
        add_image(jobs, job_id, make_jpeg())
    with pytest.raises(TooManyImages, match="at most 2 photos"):
        add_image(jobs, job_id, make_jpeg())


def test_unknown_job_takes_no_images(jobs: Jobs) -> None:
    with pytest.raises(JobNotFound):
        add_image(jobs, "no such job", make_jpeg())
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
        add_image(jobs, jobs.submit(SQUARE, None), bytes(size))


def test_job_without_images_is_not_kept(jobs: Jobs) -> None:
    jobs.close(jobs.submit(SQUARE, "owner"))
    assert nothing_left(jobs)


def test_refusal_is_raised_even_if_it_cannot_be_counted(
    jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    jobs.store.db.execute("DROP TABLE counters")
    with pytest.raises(ImageError) as caught:
        add_image(jobs, jobs.submit(SQUARE, "owner"), b"no image")
    assert caught.value.code == "unsupported_format"
    assert "cannot count a refusal" in caplog.text


def test_no_image_is_refused_and_leaves_nothing(jobs: Jobs) -> None:
    job_id = jobs.submit(SQUARE, "owner")
    with pytest.raises(ImageError):
        add_image(jobs, job_id, b"hello")
    assert files_left(jobs) == []


def test_upload_that_the_disk_does_not_take_leaves_nothing(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = jobs.submit(SQUARE, "owner")

    def fail(upload: Upload) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Upload, "sync", fail)
    with pytest.raises(OSError, match="No space left"):
        add_image(jobs, job_id, make_jpeg())
    assert files_left(jobs) == []


def test_truncated_image_fails_alone_with_a_reason(jobs: Jobs) -> None:
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


def test_deleted_job_is_hidden_before_its_files_are_removed(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    monkeypatch.setattr(jobs.storage, "empty_trash", lambda path: iter(()))
    jobs.delete(job_id)
    roots = (jobs.storage.originals, jobs.storage.thumbnails)
    assert not any(list(root.iterdir()) for root in roots)


def test_job_deleted_while_a_worker_has_it_leaves_nothing(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    claim = claims_of(jobs).claim("w1")
    assert claim
    jobs.delete(job_id)
    with pytest.raises(ClaimLost):
        claims_of(jobs).renew(claim)
    plan = claims_of(jobs).plan(claim)
    made = MadeThumbnail(0, "square.jpg", 100, 100, 3, "jpeg", 80)
    result = Result(Header("jpeg", 1, 1, 1, False), "", "#000000", [made])
    with jobs.storage.open_folder() as folder, pytest.raises(ClaimLost):
        (folder / made.file_name).write_bytes(b"abc")
        claims_of(jobs).finish(claim, plan, folder, result, b"")
    assert nothing_left(jobs)


def test_interrupted_work_is_released(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg())
    claim = claims_of(jobs).claim("w1")
    assert claim
    claims_of(jobs).release(claim)
    assert jobs.job(job_id).counts.waiting == 1


def test_upload_is_refused_before_the_disk_is_full(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.storage, "free_bytes", lambda: 29_999_999)
    with received(jobs, make_jpeg()) as upload, pytest.raises(NoSpace):
        jobs.submit_image(SQUARE, "owner", upload, "a.jpg", "127.0.0.1")
    with pytest.raises(NoSpace):
        jobs.submit(SQUARE, "owner")


def test_accepted_images_wait_while_the_disk_has_no_room(
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


def test_nothing_is_remade_while_the_disk_is_almost_full(
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


@pytest.mark.parametrize("point", [(0.5, -781.0), (1.01, 0.5), (nan, 0.5)])
def test_focal_point_is_within_its_image(jobs: Jobs, point: tuple[float, float]) -> None:
    job_id = submit(jobs, make_jpeg())
    image = jobs.job(job_id).images[0]
    with pytest.raises(InvalidRecipe):
        jobs.set_focal_point(job_id, image.id, point, "127.0.0.1")
    assert jobs.job(job_id).images[0].focal_point is None


def test_upload_is_accepted_while_the_required_space_is_free(
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
def test_name_is_cleaned(name: str, shown: str) -> None:
    assert clean_name(name) == shown


def test_client_is_the_address_that_sent_the_image(app: Flask, jobs: Jobs) -> None:
    for address in (HEAVY, HEAVY, VISITOR):
        form = multipart(file=part(make_jpeg(), f"{address}.jpg"))
        environ = {"REMOTE_ADDR": address}
        answer = app.test_client().post("/upload_image", environ_overrides=environ, **form)
        assert answer.status_code == 202
    claims = [claims_of(jobs).claim("w"), claims_of(jobs).claim("w")]
    assert [jobs.job(one.job_id).images[0].name for one in claims if one] == [
        f"{HEAVY}.jpg",
        f"{VISITOR}.jpg",
    ]


def test_replacement_beyond_the_share_of_the_queue_changes_nothing(app: Flask, jobs: Jobs) -> None:
    failing = submit(jobs, make_truncated())
    work(jobs)
    (image,) = jobs.job(failing).images
    original = jobs.storage.original(failing, image.id)
    before = original.read_bytes()
    submit(jobs, make_jpeg())
    config = replace(jobs.config, max_waiting=1, max_waiting_share=1.0)
    full = Jobs(jobs.store, jobs.storage, ClientLimits(jobs.store, config), config)
    with received(full, make_jpeg()) as upload, pytest.raises(TooManyWaiting):
        full.replace_image(failing, image.id, upload, "b.jpg", "127.0.0.1")
    assert jobs.job(failing).images == (image,)
    assert original.read_bytes() == before


def test_others_can_write_while_a_replacement_is_synced(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(jobs, make_truncated())
    work(jobs)
    other = Store(jobs.config.instance / "jobs.db")

    def sync_while_another_writes(upload: Upload) -> None:
        other.db.execute("PRAGMA busy_timeout = 0")
        other.jobs.rename(job_id, "Written meanwhile")

    monkeypatch.setattr(Upload, "sync", sync_while_another_writes)
    with received(jobs, make_jpeg()) as upload:
        jobs.replace_image(job_id, jobs.job(job_id).images[0].id, upload, "b.jpg", "127.0.0.1")
    other.db.close()
    job = jobs.job(job_id)
    assert (job.name, job.images[0].name) == ("Written meanwhile", "b.jpg")


def test_crash_before_a_replacement_has_a_row_leaves_the_failed_image(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(jobs, make_truncated())
    work(jobs)
    (image,) = jobs.job(job_id).images
    for cleanup in ("delete_original", "settle"):  # The process is dead.
        monkeypatch.setattr(jobs.storage, cleanup, lambda *_: None)

    def crash(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs.store.queue, "replace", crash)
    with received(jobs, make_jpeg()) as upload, pytest.raises(KeyboardInterrupt):
        jobs.replace_image(job_id, image.id, upload, "b.jpg", "127.0.0.1")
    assert jobs.job(job_id).images == (image,)
    assert jobs.storage.original(job_id, image.id).read_bytes() == make_truncated()
    monkeypatch.undo()
    age(jobs, 86_400)
    sweep(jobs)
    assert [file.name for file in (jobs.storage.originals / job_id).iterdir()] == [image.id]


def test_replacement_has_neither_point_nor_text_of_the_failed_image(jobs: Jobs) -> None:
    job_id = jobs.submit(PRESETS["avatar"].recipe, "owner")
    add_image(jobs, job_id, make_jpeg())
    jobs.close(job_id)
    work(jobs)
    (image,) = jobs.job(job_id).images
    jobs.set_alt(job_id, image.id, "A boat")
    jobs.storage.original(job_id, image.id).write_bytes(make_truncated())
    jobs.set_focal_point(job_id, image.id, (0.1, 0.2), "127.0.0.1")
    work(jobs)
    (image,) = jobs.job(job_id).images
    assert image.is_failed
    assert image.found_point
    with received(jobs, make_jpeg()) as upload:
        jobs.replace_image(job_id, image.id, upload, "b.jpg", "127.0.0.1")
    (now,) = jobs.job(job_id).images
    assert (now.found_point, now.focal_point, now.alt, now.thumbnails) == (None, None, None, ())


def test_image_that_is_read_alone_is_the_same(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg(), make_jpeg())
    work(jobs)
    images = jobs.job(job_id).images
    assert tuple(jobs.one_image(job_id, image.id) for image in images) == images
