"""The rows of jobs: open, closed, full, expired, and their versions."""

import pytest

from tests.support.jobs import TimedStore
from tests.support.rows import (
    CAP,
    FACTS,
    MAX_SLOW,
    NO_LIMITS,
    NOW,
    ROW,
    add_image,
    add_job,
    claim,
    finish,
)
from tests.support.turns import count_steps
from webapp.jobs.models import Progress
from webapp.jobs.store import jobs
from webapp.recipes.outputs import OVERVIEW


def test_job_has_thumbnails_once_one_is_made_that_was_asked_for(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    assert not store.jobs.has_thumbnails("job")
    store.queue.finish(claim(store), FACTS, "f", [{**ROW, "file_name": OVERVIEW.file_name}])
    assert not store.jobs.has_thumbnails("job")
    add_image(store, "b")
    finish(store, claim(store))
    assert store.jobs.has_thumbnails("job")


def test_thumbnails_of_a_large_job_are_found_without_counting_them(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    store.queue.finish(
        claim(store), FACTS, "f", [{**ROW, "number": number} for number in range(1000)]
    )
    assert count_steps(store, lambda: store.jobs.has_thumbnails("job")) < 300


def test_open_job_that_never_got_an_image_expires_early(store: TimedStore) -> None:
    add_job(store, "empty")
    add_job(store)
    add_image(store, "a")
    assert store.at(NOW + 150).jobs.ended_ids(skip=0) == ["empty"]
    store.jobs.delete("empty")
    assert not store.jobs.has_expired("empty")  # It was never promised to be kept.


def test_job_without_new_images_closes_by_itself(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    finish(store, claim(store))
    before, after = (store.at(NOW + later).jobs.progress("job") for later in (1, 200))
    assert before
    assert after
    assert (before.is_finished, after.is_finished) == (False, True)
    assert before.version == after.version


def progress(store: TimedStore) -> Progress:
    found = store.at(NOW).jobs.progress("job")
    assert found
    return found


def test_every_change_that_a_page_shows_raises_the_version(store: TimedStore) -> None:
    add_job(store)
    seen = [progress(store)]
    add_image(store, "a")
    seen.append(progress(store))
    claimed = claim(store)
    seen.append(progress(store))
    finish(store, claimed)
    seen.append(progress(store))
    store.jobs.close("job")
    seen.append(progress(store))
    assert [now.version for now in seen] == [0, 1, 2, 3, 4]
    assert [now.is_finished for now in seen] == [False, False, False, False, True]


def test_image_has_the_version_of_its_own_last_change(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    add_image(store, "b")
    finish(store, claim(store))
    job = store.at(NOW).jobs.read("job")
    assert job
    assert {image.id: image.version for image in job.images} == {"a": 4, "b": 2}


def test_job_begins_again_with_the_last_image_of_the_queue(store: TimedStore) -> None:
    add_job(store)
    assert progress(store).begun.timestamp() == NOW
    add_image(store, "a")
    finish(store, claim(store))
    store.at(NOW + 50).queue.set_recipe("job", "[]", "127.0.0.1")
    assert progress(store).begun.timestamp() == NOW + 50


def test_renewing_a_lease_changes_nothing_on_the_page(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    claimed = claim(store)
    before = store.jobs.progress("job")
    store.queue.renew(claimed, 13)
    assert store.jobs.progress("job") == before


@pytest.mark.parametrize(
    ("now", "expires", "max_images"),
    [(NOW + 200, NOW + 1000, 9), (NOW + 20, NOW + 10, 9), (NOW, NOW + 1000, 0)],
    ids=["closed", "expired", "full"],
)
def test_closed_expired_or_full_job_takes_no_image(
    store: TimedStore, now: float, expires: float, max_images: int
) -> None:
    add_job(store, expires=expires)
    assert not add_image(store, "a", now, max_images)


def test_closed_job_takes_no_image_that_arrives_late(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    store.jobs.close("job")
    assert not add_image(store, "b", NOW - 0.1)  # The clock was set back.


def test_closed_job_stays_closed_when_the_clock_is_set_back(store: TimedStore) -> None:
    add_job(store)
    store.jobs.close("job")
    job = store.at(NOW - 1).jobs.read("job")
    assert job
    assert not job.is_open


def test_closed_job_is_open_again_until_a_time(store: TimedStore) -> None:
    add_job(store)
    store.jobs.close("job")
    assert store.jobs.reopen("job", 100, 9)
    assert add_image(store, "a")
    assert not add_image(store, "b", NOW + 300)


def test_expired_job_cannot_be_reopened(store: TimedStore) -> None:
    add_job(store, expires=NOW + 10)
    assert not store.at(NOW + 10).jobs.reopen("job", 100, 9)


def test_expired_job_is_not_found(store: TimedStore) -> None:
    add_job(store, expires=NOW + 10)
    assert store.at(NOW + 10).jobs.read("job") is None
    assert store.jobs.progress("job") is None
    assert store.jobs.ended_ids(skip=0) == ["job"]


@pytest.mark.parametrize("owner", [None, "owner"])
def test_ids_are_read_page_by_page_newest_first(
    store: TimedStore, monkeypatch: pytest.MonkeyPatch, owner: str | None
) -> None:
    monkeypatch.setattr(jobs, "PAGE", 2)
    for number in range(7):
        store.at(NOW + number // 3).jobs.add(f"{number}", "owner", "[]", 1000, 100)
    assert list(store.jobs.ids(owner)) == ["6", "5", "4", "3", "2", "1", "0"]
    assert list(store.jobs.ids("another")) == []


def test_job_deleted_while_ids_are_read_costs_no_other(
    store: TimedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PAGE", 2)
    for number in range(5):
        add_job(store, f"{number}")
    ids = store.jobs.ids()
    first = next(ids), next(ids)
    store.jobs.delete(first[1])
    assert (*first, *ids) == ("4", "3", "2", "1", "0")


def test_deleted_job_takes_its_images_and_thumbnails_with_it(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    claimed = claim(store)
    store.jobs.delete("job")
    assert not finish(store, claimed)
    assert store.queue.claim("w", 8, CAP, NO_LIMITS, MAX_SLOW) is None
