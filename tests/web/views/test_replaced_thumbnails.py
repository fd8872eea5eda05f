"""Old thumbnails are kept for a while after a job is made again."""

from functools import partial
from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.images import make_jpeg
from tests.support.jobs import file_names, id_of, job_at, nothing_left, sweep, url_of, work
from tests.support.people import Person
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Thumbnail
from webapp.jobs.storage import ABANDONED_SECONDS, REPLACED_SECONDS
from webapp.recipes.presets import PRESETS


def replace_thumbnail(person: Person, jobs: Jobs, clock: Clock, wait: float = 0) -> Thumbnail:
    """Make a job, make it again later, and return the replaced thumbnail."""
    path = person.submit(make_jpeg(size=(400, 300)))
    work(jobs)
    clock.advance(wait)
    (old,) = job_at(jobs, path).images[0].thumbnails
    jobs.remake(id_of(path), PRESETS["card"].recipe, "127.0.0.1")
    work(jobs)
    return old


def test_old_thumbnails_stay_until_the_new_ones_are_done(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(size=(400, 300)))
    work(jobs)
    (old,) = job_at(jobs, path).images[0].thumbnails
    person.post(f"{path}/remake", presets="card")
    assert job_at(jobs, path).counts.waiting == 1
    assert person.get(url_of(old)).status_code == 200


@pytest.mark.parametrize("wait", [0, 1.5 * ABANDONED_SECONDS])
def test_old_addresses_work_for_a_while_after_the_new_ones_do(
    person: Person, jobs: Jobs, clock: Clock, wait: float
) -> None:
    old = replace_thumbnail(person, jobs, clock, wait)
    clock.advance(REPLACED_SECONDS - 60)
    sweep(jobs)
    assert person.get(url_of(old)).status_code == 200


def run_after(monkeypatch: pytest.MonkeyPatch, part: Any, name: str, action: Any) -> None:
    """Run an action after the first call of a method."""
    method, actions = getattr(part, name), [action]

    def call(*args: Any, **kwargs: Any) -> Any:
        answer = method(*args, **kwargs)
        while actions:
            actions.pop()()
        return answer

    monkeypatch.setattr(part, name, call)


def test_sweep_while_new_addresses_are_written_keeps_the_old(
    person: Person, jobs: Jobs, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    clock.advance(2 * REPLACED_SECONDS)
    (old,) = job_at(jobs, path).thumbnails
    jobs.remake(id_of(path), PRESETS["card"].recipe, "127.0.0.1")
    run_after(monkeypatch, jobs.store.queue, "finish", partial(sweep, jobs))
    work(jobs)
    assert person.get(url_of(old)).status_code == 200


def test_new_addresses_written_during_a_sweep_keep_the_old(
    person: Person, jobs: Jobs, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    clock.advance(2 * REPLACED_SECONDS)
    (old,) = job_at(jobs, path).thumbnails
    jobs.remake(id_of(path), PRESETS["card"].recipe, "127.0.0.1")
    run_after(monkeypatch, jobs.store.queue, "images_with_replaced", partial(work, jobs))
    sweep(jobs)
    assert person.get(url_of(old)).status_code == 200


def test_old_addresses_end_after_their_time(person: Person, jobs: Jobs, clock: Clock) -> None:
    old = replace_thumbnail(person, jobs, clock)
    clock.advance(REPLACED_SECONDS + 60)
    sweep(jobs)
    assert person.get(url_of(old)).status_code == 404


def test_only_new_thumbnails_are_left_after_that_time(
    person: Person, jobs: Jobs, clock: Clock
) -> None:
    replace_thumbnail(person, jobs, clock)
    clock.advance(REPLACED_SECONDS + 60)
    sweep(jobs)
    (job,) = map(jobs.job, jobs.store.jobs.ids())
    files = [path.name for path in jobs.storage.thumbnails.rglob("*.*")]
    assert sorted(files) == ["card.webp", "whole-image.webp"]
    assert person.get(url_of(job.thumbnails[0])).status_code == 200


def test_repeated_remakes_keep_old_thumbnails_no_longer(
    person: Person, jobs: Jobs, clock: Clock
) -> None:
    old = replace_thumbnail(person, jobs, clock)
    for name in ("avatar", "social"):
        clock.advance(REPLACED_SECONDS / 2 + 60)
        jobs.remake(next(jobs.store.jobs.ids()), PRESETS[name].recipe, "127.0.0.1")
        work(jobs)
    sweep(jobs)
    assert person.get(url_of(old)).status_code == 404


def test_old_thumbnails_are_removed_on_a_nearly_full_disk(
    person: Person, jobs: Jobs, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = replace_thumbnail(person, jobs, clock)
    clock.advance(REPLACED_SECONDS / 5)
    monkeypatch.setattr(jobs.storage, "free_bytes", lambda: 1000)
    sweep(jobs)
    assert person.get(url_of(old)).status_code == 404


def test_old_thumbnails_are_deleted_with_their_job(
    person: Person, jobs: Jobs, clock: Clock
) -> None:
    replace_thumbnail(person, jobs, clock)
    jobs.delete(next(jobs.store.jobs.ids()))
    assert nothing_left(jobs)


def test_old_thumbnails_stay_where_a_remake_fails(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(size=(400, 300)))
    work(jobs)
    own: dict[str, object] = {
        "outputs-0-width": "300",
        "outputs-0-max_kb": "1",
        "outputs-0-format": "png",
    }
    person.post(f"{path}/remake", **own)
    work(jobs)
    (image,) = job_at(jobs, path).images
    assert (image.error_code, file_names(job_at(jobs, path))) == ("byte_budget", ["square.jpg"])
