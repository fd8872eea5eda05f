"""The comparison of all files with all rows."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from tests.support.clock import Clock
from tests.support.images import make_jpeg
from tests.support.jobs import (
    add_image,
    files_left,
    job_at,
    received,
    submit,
    sweep,
    url_of,
    work,
)
from tests.support.people import Person
from webapp.jobs import housekeeping
from webapp.jobs.lifecycle import Jobs
from webapp.recipes.presets import PRESETS


@pytest.fixture
def check(app: Flask) -> Callable[..., Result]:
    return lambda *options: app.test_cli_runner().invoke(args=["jobs", "check", *options])


def lose_original(jobs: Jobs) -> Path:
    job_id = submit(jobs, make_jpeg())
    return jobs.storage.original(job_id, jobs.job(job_id).images[0].id)


def lose_thumbnails(jobs: Jobs) -> Path:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    return jobs.storage.thumbnails / job_id


def lose_one_thumbnail(jobs: Jobs) -> Path:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    return jobs.storage.thumbnails / jobs.job(job_id).thumbnails[0].path


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def test_check_of_what_belongs_together_finds_nothing(
    jobs: Jobs, check: Callable[..., Result]
) -> None:
    job_id = submit(jobs, make_jpeg(), make_jpeg())
    work(jobs)
    jobs.remake(job_id, PRESETS["card"].recipe, "127.0.0.1")
    work(jobs)
    jobs.delete_with_undo(submit(jobs, make_jpeg()))
    submit(jobs, make_jpeg())
    before = files_left(jobs)
    result = check("--fix")
    assert result.exit_code == 0
    assert result.output == "0 files without a job, 0 images without a file.\n"
    assert files_left(jobs) == before


@pytest.mark.parametrize("path", ["originals/photos/a", "thumbnails/photos/a"])
def test_check_finds_files_that_others_put_there(
    jobs: Jobs, check: Callable[..., Result], path: str
) -> None:
    stray = jobs.config.instance / path
    stray.parent.mkdir()
    stray.touch()
    assert check().output.startswith("photos/a belongs to no job.\n")
    fixed = check("--fix")
    assert (fixed.exit_code, "The files are deleted" in fixed.output) == (0, True)
    assert not stray.exists()


@pytest.mark.parametrize("lose", [lose_original, lose_thumbnails, lose_one_thumbnail])
def test_check_fails_images_whose_files_are_missing(
    jobs: Jobs, check: Callable[..., Result], lose: Callable[[Jobs], Path]
) -> None:
    kept = submit(jobs, make_jpeg())
    work(jobs)
    remove(lose(jobs))
    robbed = next(jobs.store.jobs.ids())
    assert check().exit_code == 1
    assert jobs.job(robbed).counts.failed == 0
    assert check("--fix").exit_code == 0
    (image,) = jobs.job(robbed).images
    assert (image.status, image.error_code, image.thumbnails) == ("failed", "file_lost", ())
    assert jobs.job(kept).counts.failed == 0
    assert check().exit_code == 0


def test_check_deletes_files_that_belong_to_no_job(
    jobs: Jobs, check: Callable[..., Result]
) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    before = set(files_left(jobs))
    image = jobs.job(job_id).images[0]
    for folder in (
        jobs.storage.originals / "of-an-older-backup",
        jobs.storage.thumbnails / "of-an-older-backup",
        jobs.storage.thumbnails / job_id / f"{image.id}-9",
    ):
        folder.mkdir()
        (folder / "file").write_bytes(b"x")
    jobs.storage.original(job_id, "stray").write_bytes(b"x")
    result = check()
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 5
    assert len(files_left(jobs)) == len(before) + 7
    assert check("--fix").exit_code == 0
    assert set(files_left(jobs)) == before


def test_check_spares_files_whose_rows_are_being_written(
    jobs: Jobs, check: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = jobs.submit(PRESETS["square"].recipe, "owner")
    add = jobs.store.queue.add

    def check_and_add(*args: object) -> bool:
        assert check("--fix").exit_code == 0
        return add(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs.limits, "within_share", lambda client: received(jobs, b""))
    monkeypatch.setattr(jobs.store.queue, "add", check_and_add)
    add_image(jobs, job_id, make_jpeg())
    work(jobs)
    assert jobs.job(job_id).counts.done == 1


def test_check_spares_files_of_a_job_that_is_being_deleted(
    jobs: Jobs, check: Callable[..., Result], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "IMAGES_AT_ONCE", 1)
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    clock.advance(hours=25)
    deletion = housekeeping.delete_ended(jobs.store, jobs.storage, job_id)
    next(deletion)
    assert (jobs.storage.originals / job_id).exists()
    assert check().output == "0 files without a job, 0 images without a file.\n"
    for _ in deletion:
        pass
    assert check().exit_code == 0


def test_job_deleted_during_a_check_is_not_found_lost(
    jobs: Jobs, check: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    fail, known = jobs.store.queue.expected_files, [True]

    def delete_and_read(image_id: str) -> list[tuple[str, str | None]]:
        expected = fail(image_id)
        if known:
            known.pop()
            jobs.delete_with_undo(job_id)
        return expected

    monkeypatch.setattr(jobs.store.queue, "expected_files", delete_and_read)
    check("--fix")
    assert jobs.restore(job_id, "owner", "127.0.0.1")
    assert jobs.job(job_id).counts.done == 1


def test_lost_image_is_made_again_from_its_original(
    jobs: Jobs, check: Callable[..., Result]
) -> None:
    lose_one_thumbnail(jobs).unlink()
    check("--fix")
    job_id = next(jobs.store.jobs.ids())
    jobs.retry(job_id, jobs.job(job_id).images[0].id, "127.0.0.1")
    work(jobs)
    assert all(jobs.storage.thumbnail(made.path) for made in jobs.job(job_id).thumbnails)
    sweep(jobs)
    assert check().exit_code == 0


def test_thumbnail_that_is_asked_for_and_lost_fails_its_image(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    made = job_at(jobs, path).thumbnails[0]
    (jobs.storage.thumbnails / made.path).unlink()
    assert person.get(url_of(made)).status_code == 404
    assert job_at(jobs, path).images[0].error_code == "file_lost"


def test_zip_of_a_job_with_a_lost_file_fails_its_image(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    work(jobs)
    (jobs.storage.thumbnails / job_at(jobs, path).thumbnails[0].path).unlink()
    assert person.get(f"{path}/zip").status_code == 200
    assert job_at(jobs, path).counts.failed == 1
