"""Images whose bytes were made into the same thumbnails before."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.images import make_jpeg, make_png, make_truncated
from tests.support.jobs import age, files_left, nothing_left, received, sweep, url_of, work
from webapp.config import Config
from webapp.jobs.check import lost_images, orphans
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Image, Job
from webapp.jobs.storage import REPLACED_SECONDS, UNSETTLED_SECONDS
from webapp.recipes.outputs import Output, Recipe
from webapp.recipes.presets import PRESETS

SQUARE = PRESETS["square"].recipe
CROPS = Recipe((Output("crop", 40, 40, "cover", focus="smart"), Output("small", 30, None)))
CLIENT = "127.0.0.1"


class Killed(BaseException):
    """The process ends here, and runs no handler of errors."""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(instance=tmp_path / "instance", max_kept_mb=10)


@pytest.fixture
def photo() -> bytes:
    return make_jpeg((120, 80))


def send(
    jobs: Jobs,
    data: bytes,
    owner: str | None = "owner",
    recipe: Recipe = SQUARE,
    reuses: bool = True,
    keep_hours: float | None = None,
) -> str:
    """Create a job of one image as a program does that lets thumbnails be reused."""
    job_id = jobs.submit(recipe, owner, keep_hours)
    with received(jobs, data) as upload:
        jobs.add_image(job_id, upload, "a.jpg", None, CLIENT, reuses=reuses)
    jobs.close(job_id)
    return job_id


def make(jobs: Jobs, data: bytes, **how: Any) -> Job:
    """Create a job and work on it, as an earlier one."""
    job_id = send(jobs, data, **how)
    work(jobs)
    job = jobs.job(job_id)
    assert not job.is_reused
    return job


def again(jobs: Jobs, data: bytes, **how: Any) -> Job:
    return jobs.job(send(jobs, data, **how))


def contents(jobs: Jobs, job: Job) -> dict[str, bytes]:
    files = {made.file_name: jobs.thumbnail(made.path) for made in job.thumbnails}
    return {name: file.read_bytes() for name, file in files.items() if file}


def facts(image: Image) -> tuple[object, ...]:
    return (
        (image.width, image.height, image.had_gps, image.thumbhash, image.placeholder),
        (image.color, image.found_point, image.overview and image.overview.file_name),
        [(made.file_name, made.size, made.bytes, made.quality) for made in image.thumbnails],
    )


def metric(jobs: Jobs, what: str) -> int:
    return sum(one.count for one in jobs.store.operations.counters() if one.what == what)


def link_count(jobs: Jobs, job: Job) -> list[int]:
    return [(jobs.storage.thumbnails / made.path).stat().st_nlink for made in job.thumbnails]


def test_same_bytes_with_the_same_recipe_are_done_at_once(jobs: Jobs, photo: bytes) -> None:
    before = make(jobs, photo, recipe=CROPS)
    after = again(jobs, photo, recipe=CROPS)
    assert after.is_finished
    assert after.is_reused
    assert facts(after.images[0]) == facts(before.images[0])
    assert contents(jobs, after) == contents(jobs, before)
    assert {url_of(made) for made in after.thumbnails}.isdisjoint(
        url_of(made) for made in before.thumbnails
    )


def test_whole_job_in_one_step_is_done_at_once(jobs: Jobs, photo: bytes) -> None:
    make(jobs, photo)
    with received(jobs, photo) as upload:
        job_id = jobs.submit_image(SQUARE, "owner", upload, "b.jpg", CLIENT, reuses=True)
    job = jobs.job(job_id)
    assert (job.is_finished, job.is_reused, job.title) == (True, True, "b.jpg")


def test_thumbnails_are_reused_any_number_of_times(jobs: Jobs, photo: bytes) -> None:
    make(jobs, photo)
    assert [again(jobs, photo).is_reused for _ in range(3)] == [True] * 3


def send_all(jobs: Jobs, *photos: bytes) -> str:
    job_id = jobs.submit(SQUARE, "owner")
    for number, data in enumerate(photos):
        with received(jobs, data) as upload:
            jobs.add_image(job_id, upload, f"{number}.jpg", None, CLIENT, reuses=True)
    jobs.close(job_id)
    return job_id


def reused(jobs: Jobs, *photos: bytes) -> list[bool]:
    return [image.is_reused for image in jobs.job(send_all(jobs, *photos)).images]


def test_job_of_several_images_is_done_at_once(jobs: Jobs) -> None:
    photos = [make_jpeg((120, side)) for side in (50, 60, 70)]
    send_all(jobs, *photos)
    work(jobs)
    assert reused(jobs, *photos) == [True, True, True]


def test_image_after_another_is_not_reused_without_it(jobs: Jobs) -> None:
    first, second = make_jpeg((120, 50)), make_jpeg((120, 60))
    send_all(jobs, first, second)
    work(jobs)
    assert reused(jobs, second) == [False]
    assert reused(jobs, first) == [True]


def test_image_after_one_that_was_made_again_is_not_reused_without_it(jobs: Jobs) -> None:
    first, second = make_jpeg((120, 50)), make_jpeg((120, 60))
    job_id = send_all(jobs, first, second)
    work(jobs)
    jobs.set_focal_point(job_id, jobs.job(job_id).images[0].id, (0.1, 0.1), CLIENT)
    work(jobs)
    assert reused(jobs, second) == [False]


def test_image_beside_one_that_was_replaced_is_not_reused(jobs: Jobs) -> None:
    first, second = make_truncated(make_jpeg((120, 50))), make_jpeg((120, 60))
    job_id = send_all(jobs, first, second)
    work(jobs)
    failed = jobs.job(job_id).failed_images[0]
    with received(jobs, make_jpeg()) as upload:
        jobs.replace_image(job_id, failed.id, upload, "a.jpg", CLIENT)
    assert reused(jobs, second) == [False]


def test_reused_image_is_not_reused_after_the_first_is_deleted(jobs: Jobs, photo: bytes) -> None:
    first = make(jobs, photo)
    again(jobs, photo)
    jobs.delete(first.id)
    assert not again(jobs, photo).is_reused


def test_thumbnail_from_another_job_is_not_reused_as_one_of_its_own(
    jobs: Jobs, photo: bytes
) -> None:
    first = make(jobs, photo, recipe=CROPS)
    second = again(jobs, photo, recipe=CROPS)
    more = Recipe((*CROPS.outputs, Output("more", 20, None)))
    jobs.remake(second.id, more, CLIENT)
    work(jobs)
    jobs.delete(first.id)
    assert not again(jobs, photo, recipe=more).is_reused


def test_larger_recipe_has_the_thumbnails_of_a_smaller_one(jobs: Jobs, photo: bytes) -> None:
    make(jobs, photo, recipe=CROPS)
    after = again(jobs, photo, recipe=Recipe(CROPS.outputs[1:]))
    assert after.is_reused
    assert [made.output for made in after.thumbnails] == ["small"]


def test_overview_is_reused_with_its_crop(jobs: Jobs, photo: bytes) -> None:
    recipe = Recipe(CROPS.outputs[:1])
    before = make(jobs, photo, recipe=recipe)
    after = again(jobs, photo, recipe=recipe)
    assert after.is_reused
    assert before.images[0].overview
    assert after.images[0].overview
    assert jobs.thumbnail(after.images[0].overview.path)


DIFFERENT: dict[str, Callable[[Jobs, bytes], str]] = {
    "other bytes": lambda jobs, photo: send(jobs, photo + b"\0"),
    "another recipe": lambda jobs, photo: send(jobs, photo, recipe=CROPS),
    "another quality": lambda jobs, photo: send(
        jobs, photo, recipe=Recipe((replace(SQUARE.outputs[0], quality=7),))
    ),
    "a recipe with one more output": lambda jobs, photo: send(
        jobs, photo, recipe=Recipe((*SQUARE.outputs, Output("more", 20, None)))
    ),
    "another owner": lambda jobs, photo: send(jobs, photo, owner="another"),
    "no owner": lambda jobs, photo: send(jobs, photo, owner=None),
    "an empty owner": lambda jobs, photo: send(jobs, photo, owner=""),
    "a page, which does not ask": lambda jobs, photo: send(jobs, photo, reuses=False),
}


@pytest.mark.parametrize("different", DIFFERENT.values(), ids=DIFFERENT)
def test_nothing_is_reused_for(
    jobs: Jobs, photo: bytes, different: Callable[[Jobs, bytes], str]
) -> None:
    make(jobs, photo)
    job = jobs.job(different(jobs, photo))
    assert (job.counts.waiting, job.is_reused) == (1, False)


@pytest.mark.parametrize("owner", [None, ""])
def test_nothing_is_reused_between_jobs_without_owner(
    jobs: Jobs, photo: bytes, owner: str | None
) -> None:
    make(jobs, photo, owner=owner)
    assert not again(jobs, photo, owner=owner).is_reused


def test_nothing_is_reused_of_an_image_from_a_page(jobs: Jobs, photo: bytes) -> None:
    make(jobs, photo, reuses=False)
    assert not again(jobs, photo).is_reused


def test_nothing_is_reused_of_an_image_that_waits(jobs: Jobs, photo: bytes) -> None:
    send(jobs, photo)
    assert not again(jobs, photo).is_reused


def test_nothing_is_reused_of_an_image_that_is_made_again(jobs: Jobs, photo: bytes) -> None:
    before = make(jobs, photo)
    jobs.remake(before.id, CROPS, CLIENT)
    assert not again(jobs, photo).is_reused


def test_nothing_is_reused_of_a_deleted_job(jobs: Jobs, photo: bytes) -> None:
    jobs.delete_with_undo(make(jobs, photo).id)
    assert not again(jobs, photo).is_reused


def test_nothing_is_reused_of_an_expired_job(jobs: Jobs, photo: bytes, clock: Clock) -> None:
    make(jobs, photo)
    clock.advance(hours=25)
    assert not again(jobs, photo).is_reused


def test_crop_at_a_point_that_its_owner_chose_is_not_reused(jobs: Jobs, photo: bytes) -> None:
    before = make(jobs, photo, recipe=CROPS)
    jobs.set_focal_point(before.id, before.images[0].id, (0.9, 0.1), CLIENT)
    work(jobs)
    assert not again(jobs, photo, recipe=CROPS).is_reused


def test_crop_is_reused_once_its_owner_leaves_the_point_to_the_recipe(
    jobs: Jobs, photo: bytes
) -> None:
    before = make(jobs, photo, recipe=CROPS)
    for point in ((0.9, 0.1), None):
        jobs.set_focal_point(before.id, before.images[0].id, point, CLIENT)
        work(jobs)
    assert again(jobs, photo, recipe=CROPS).is_reused


def lose(jobs: Jobs, job: Job) -> None:
    (jobs.storage.thumbnails / job.thumbnails[-1].path).unlink()


def empty(jobs: Jobs, job: Job) -> None:
    (jobs.storage.thumbnails / job.thumbnails[-1].path).write_bytes(b"")


@pytest.mark.parametrize("damage", [lose, empty])
def test_image_is_made_by_a_worker_where_a_file_is_lost(
    jobs: Jobs, photo: bytes, damage: Callable[[Jobs, Job], None]
) -> None:
    damage(jobs, make(jobs, photo, recipe=CROPS))
    job_id = send(jobs, photo, recipe=CROPS)
    assert jobs.job(job_id).counts.waiting == 1
    assert not (jobs.storage.thumbnails / job_id).exists()
    work(jobs)
    assert len(contents(jobs, jobs.job(job_id))) == 2


def test_image_is_made_by_a_worker_where_a_file_vanishes_meanwhile(
    jobs: Jobs, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make(jobs, photo)
    link = os.link

    def delete_and_link(source: Path, target: Path) -> None:
        jobs.delete(before.id)
        link(source, target)

    monkeypatch.setattr(os, "link", delete_and_link)
    assert again(jobs, photo).counts.waiting == 1


def test_image_is_made_by_a_worker_where_the_recipe_changes_meanwhile(
    jobs: Jobs, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(jobs, photo)
    publish = jobs.storage.publish_copies

    def publish_and_change(sizes: dict[str, int], folder: str) -> bool:
        jobs.remake(folder.partition("/")[0], CROPS, CLIENT)
        return publish(sizes, folder)

    monkeypatch.setattr(jobs.storage, "publish_copies", publish_and_change)
    job_id = send(jobs, photo)
    assert jobs.job(job_id).counts.waiting == 1
    assert not (jobs.storage.thumbnails / job_id).exists()
    work(jobs)
    assert [made.output for made in jobs.job(job_id).thumbnails] == ["crop", "small"]


def test_files_cost_no_space_twice(jobs: Jobs, photo: bytes) -> None:
    make(jobs, photo, recipe=CROPS)
    assert link_count(jobs, again(jobs, photo, recipe=CROPS)) == [2, 2]


def test_files_are_copied_where_there_are_no_links(
    jobs: Jobs, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make(jobs, photo, recipe=CROPS)

    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    after = again(jobs, photo, recipe=CROPS)
    assert after.is_reused
    assert link_count(jobs, after) == [1, 1]
    assert contents(jobs, after) == contents(jobs, before)


def test_image_is_made_by_a_worker_where_files_can_be_neither_linked_nor_copied(
    jobs: Jobs, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(jobs, photo)

    def refuse(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(shutil, "copyfile", refuse)
    assert again(jobs, photo).counts.waiting == 1


@pytest.mark.parametrize("deleted", [0, 1], ids=["first", "second"])
def test_other_job_stays_whole_when_one_is_deleted(jobs: Jobs, photo: bytes, deleted: int) -> None:
    both = [make(jobs, photo, recipe=CROPS), again(jobs, photo, recipe=CROPS)]
    files = contents(jobs, both[0])
    jobs.delete(both.pop(deleted).id)
    sweep(jobs)
    assert contents(jobs, jobs.job(both[0].id)) == files
    assert list(lost_images(jobs.store, jobs.storage)) == []


def test_deleted_job_with_reused_thumbnails_is_restored_whole(jobs: Jobs, photo: bytes) -> None:
    before = make(jobs, photo)
    after = again(jobs, photo)
    jobs.delete_with_undo(after.id)
    assert contents(jobs, after) == {}
    assert contents(jobs, before)
    assert jobs.restore(after.id, "owner", CLIENT)
    assert contents(jobs, after) == contents(jobs, before)


def test_thumbnails_that_are_made_again_leave_those_of_the_other_job(
    jobs: Jobs, photo: bytes, clock: Clock
) -> None:
    before = make(jobs, photo)
    after = again(jobs, photo)
    files = contents(jobs, before)
    jobs.remake(after.id, CROPS, CLIENT)
    assert not jobs.job(after.id).is_reused
    work(jobs)
    clock.advance(2 * REPLACED_SECONDS)
    sweep(jobs)
    assert contents(jobs, before) == files
    assert contents(jobs, jobs.job(after.id)).keys() == {"crop.jpg", "small.jpg"}
    assert not jobs.job(after.id).is_reused
    assert list(orphans(jobs.store, jobs.storage)) == []


def test_reused_thumbnails_stay_where_a_change_does_not_concern_them(
    jobs: Jobs, photo: bytes
) -> None:
    make(jobs, photo, recipe=CROPS)
    after = again(jobs, photo, recipe=CROPS)
    more = Recipe((*CROPS.outputs, Output("more", 20, None)))
    jobs.remake(after.id, more, CLIENT)
    work(jobs)
    changed = jobs.job(after.id)
    assert [url_of(made) for made in changed.thumbnails[:2]] == [
        url_of(made) for made in after.thumbnails
    ]


def test_check_finds_nothing_amiss(jobs: Jobs, photo: bytes) -> None:
    make(jobs, photo, recipe=CROPS)
    again(jobs, photo, recipe=CROPS)
    assert list(lost_images(jobs.store, jobs.storage)) == []
    assert list(orphans(jobs.store, jobs.storage)) == []
    assert not list(jobs.storage.unsettled.iterdir())
    assert not list(jobs.storage.tmp.iterdir())


def test_bytes_of_a_kept_job_count_in_full(jobs: Jobs, photo: bytes) -> None:
    before = make(jobs, photo, keep_hours=inf)
    after = again(jobs, photo, keep_hours=inf)
    assert before.bytes_made == after.bytes_made
    kept = jobs.store.jobs.kept()
    assert (kept.jobs, kept.bytes) == (2, 2 * (len(photo) + before.bytes_made))


def test_reused_image_counts_as_accepted_and_done(jobs: Jobs, photo: bytes) -> None:
    make(jobs, photo)
    again(jobs, photo)
    assert (metric(jobs, "accepted"), metric(jobs, "done")) == (2, 2)
    assert jobs.store.operations.read_queue().depth == 0
    assert not jobs.store.queue.has_unfinished_of(CLIENT, 1)


def test_reused_image_changes_no_measured_time(jobs: Jobs, photo: bytes) -> None:
    make(jobs, photo)
    before = [jobs.store.operations.durations(what) for what in ("wait", "work")]
    mean = jobs.store.queue.mean_work_seconds()
    for _ in range(3):
        assert again(jobs, photo).is_reused
    assert [jobs.store.operations.durations(what) for what in ("wait", "work")] == before
    assert jobs.store.queue.mean_work_seconds() == mean


def test_reused_bytes_count_towards_the_hour_of_the_client(jobs: Jobs, photo: bytes) -> None:
    def used() -> int:
        rows = jobs.store.db.query("SELECT total(amount) AS used FROM usage WHERE what = 'bytes'")
        return int(rows[0]["used"])

    made = make(jobs, photo).bytes_made
    before = used()
    again(jobs, photo)
    assert used() - before == made


def test_those_who_wait_for_the_job_see_a_reused_image(jobs: Jobs, photo: bytes) -> None:
    make(jobs, photo)
    job_id = jobs.submit(SQUARE, "owner")
    version = jobs.progress(job_id).version
    with received(jobs, photo) as upload:
        jobs.add_image(job_id, upload, "a.jpg", None, CLIENT, reuses=True)
    assert jobs.progress(job_id).version > version
    assert jobs.store.jobs.had_finished_image(job_id, jobs.progress(job_id).version)


@pytest.mark.parametrize("step", ["keep_original", "publish", "finish"])
def test_failure_at_any_step_leaves_nothing(
    jobs: Jobs, photo: bytes, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    make(jobs, photo)
    job_id = jobs.submit(SQUARE, "owner")
    before = set(files_left(jobs))
    place = jobs.store.reuse if step == "finish" else jobs.storage
    original = getattr(place, step)

    def act_and_fail(*args: Any) -> None:
        original(*args)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed), received(jobs, photo) as upload:
        patch.setattr(place, step, act_and_fail)
        jobs.add_image(job_id, upload, "a.jpg", None, CLIENT, reuses=True)
    assert jobs.job(job_id).images == ()
    assert set(files_left(jobs)) == before


@pytest.mark.parametrize("step", ["publish", "keep_original"])
def test_sweep_removes_what_a_killed_process_left(
    jobs: Jobs, photo: bytes, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    make(jobs, photo)
    job_id = jobs.submit(SQUARE, "owner")
    original = getattr(jobs.storage, step)

    def act_and_die(*args: Any) -> None:
        original(*args)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed), received(jobs, photo) as upload:
        patch.setattr(jobs.storage, step, act_and_die)
        patch.setattr(jobs.storage, "unpublish", lambda folder: None)
        patch.setattr(jobs.storage, "delete_original", lambda *image: None)
        patch.setattr(jobs.storage, "settle", lambda path: None)
        jobs.add_image(job_id, upload, "a.jpg", None, CLIENT, reuses=True)
    assert (jobs.storage.originals / job_id).exists()
    age(jobs, 2 * UNSETTLED_SECONDS)
    sweep(jobs)
    assert not (jobs.storage.originals / job_id).exists()
    assert not (jobs.storage.thumbnails / job_id).exists()
    assert not list(jobs.storage.unsettled.iterdir())


def test_sweep_leaves_a_reused_image_of_a_process_that_died_after_its_row(
    jobs: Jobs, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(jobs, photo)
    with monkeypatch.context() as patch:
        patch.setattr(jobs.storage, "settle", lambda path: None)
        job_id = send(jobs, photo)
    age(jobs, 2 * UNSETTLED_SECONDS)
    sweep(jobs)
    assert len(contents(jobs, jobs.job(job_id))) == 1
    assert not list(jobs.storage.unsettled.iterdir())


def test_nothing_is_left_of_two_deleted_jobs(jobs: Jobs, photo: bytes) -> None:
    for job in (make(jobs, photo), again(jobs, photo)):
        jobs.delete(job.id)
    assert nothing_left(jobs)


def test_other_format_of_the_same_name_is_not_reused(jobs: Jobs, photo: bytes) -> None:
    make(jobs, photo)
    assert not again(jobs, make_png()).is_reused
