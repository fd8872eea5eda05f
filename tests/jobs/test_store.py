"""Rows: claims, leases and tokens under every kind of death."""

import threading
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pytest

from tests.jobs.test_turns import count_steps
from webapp.jobs.database import MIGRATIONS, Database, migrate
from webapp.jobs.models import Claim, HourLimits, NewImage, Progress
from webapp.jobs.store import Store
from webapp.recipes.outputs import OVERVIEW

NOW = 1_000_000.0
LEASE = NOW + 8
CAP = 5
NO_LIMITS = HourLimits(work_ms=10**12, bytes=10**15)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "jobs.db")
    yield store
    store.db.close()


def add_job(store: Store, job_id: str = "job", expires: float = NOW + 1000) -> str:
    store.jobs.add(job_id, "owner", "[]", NOW, expires, NOW + 100)
    return job_id


def add_image(store: Store, image_id: str, created: float = NOW, max_images: int = 9) -> bool:
    image = NewImage(image_id, None, f"{image_id}.jpg", 1000, "jpeg", 40, 30, False)
    return store.queue.add("job", image, created, created + 100, max_images, "127.0.0.1")


def claim(store: Store, worker: str = "w1", now: float = NOW) -> Claim:
    claimed = store.queue.claim(worker, now, now + 8, CAP, NO_LIMITS)
    assert claimed
    return claimed


def finish(store: Store, claimed: Claim) -> bool:
    return store.queue.finish(claimed, FACTS, "f", [ROW], NOW)


def state(store: Store, image: int = 0) -> str:
    job = store.jobs.read("job", NOW)
    assert job
    return job.images[image].status


FACTS = {
    "width": 40,
    "height": 30,
    "had_gps": False,
    "thumbhash": "",
    "placeholder": "",
    "color": "#000000",
}
ROW = {
    "file_name": "a.jpg", "format": "jpeg", "width": 4, "height": 3, "bytes": 100, "quality": 80,
}  # fmt: skip


def test_oldest_waiting_image_is_claimed_first(store: Store) -> None:
    add_job(store)
    add_image(store, "younger", NOW + 1)
    add_image(store, "older", NOW)
    assert claim(store).image_id == "older"


def test_claimed_image_is_not_claimed_again(store: Store) -> None:
    add_job(store)
    add_image(store, "a")
    claim(store)
    assert store.queue.claim("w2", NOW + 1, LEASE, CAP, NO_LIMITS) is None


def test_image_of_a_dead_worker_is_claimed_when_its_lease_ends(store: Store) -> None:
    add_job(store)
    add_image(store, "a")
    claim(store, "dead")
    assert claim(store, "w2", LEASE + 1).attempt == 2


def test_renewed_lease_keeps_the_image(store: Store) -> None:
    add_job(store)
    add_image(store, "a")
    assert store.queue.renew(claim(store), LEASE + 50)
    assert store.queue.claim("w2", LEASE + 1, LEASE + 9, CAP, NO_LIMITS) is None


def test_overtaken_worker_can_neither_finish_nor_fail_nor_renew(store: Store) -> None:
    add_job(store)
    add_image(store, "a")
    slow = claim(store, "slow")
    claim(store, "quick", LEASE + 1)
    assert not store.queue.finish(slow, FACTS, "f", [ROW], LEASE + 2)
    assert not store.queue.fail(slow, "corrupt", "…", LEASE + 2)
    assert not store.queue.renew(slow, LEASE + 99)
    assert state(store) == "working"


def test_finished_image_has_its_thumbnails_in_order(store: Store) -> None:
    add_job(store)
    add_image(store, "a")
    assert store.queue.finish(claim(store), FACTS, "f", [ROW, {**ROW, "file_name": "b.jpg"}], NOW)
    job = store.jobs.read("job", NOW)
    assert job
    assert [thumbnail.file_name for thumbnail in job.images[0].thumbnails] == ["a.jpg", "b.jpg"]


def test_job_has_thumbnails_once_one_is_made_that_was_asked_for(store: Store) -> None:
    add_job(store)
    add_image(store, "a")
    assert not store.jobs.has_thumbnails("job")
    store.queue.finish(claim(store), FACTS, "f", [{**ROW, "file_name": OVERVIEW.file_name}], NOW)
    assert not store.jobs.has_thumbnails("job")
    add_image(store, "b")
    finish(store, claim(store))
    assert store.jobs.has_thumbnails("job")


def test_thumbnails_of_a_large_job_are_found_without_counting_them(store: Store) -> None:
    add_job(store)
    add_image(store, "a")
    store.queue.finish(claim(store), FACTS, "f", [ROW] * 1000, NOW)
    assert count_steps(store, lambda: store.jobs.has_thumbnails("job")) < 300


def test_image_that_cost_two_workers_comes_last(store: Store) -> None:
    add_job(store)
    add_image(store, "poison", NOW)
    claim(store, "w1")
    claim(store, "w2", LEASE + 1)
    add_image(store, "clean", LEASE + 2)
    assert claim(store, "w3", LEASE + 20).image_id == "clean"


def test_image_that_cost_five_workers_is_given_up(store: Store) -> None:
    add_job(store)
    add_image(store, "poison")
    for attempt in range(CAP):
        claim(store, now=NOW + 20 * attempt)
    later = NOW + 20 * CAP
    assert store.queue.claim("w", later, later + 8, CAP, NO_LIMITS) is None
    assert len(store.queue.fail_exhausted("worker_lost", "…", later, CAP)) == 1
    assert state(store) == "failed"


def test_released_image_waits_again_however_often(store: Store) -> None:
    add_job(store)
    add_image(store, "a")
    attempts = []
    for _ in range(2 * CAP):
        claimed = claim(store)
        attempts.append(claimed.attempt)
        assert store.queue.release(claimed, NOW)
    assert state(store) == "waiting"
    assert attempts == list(range(1, 2 * CAP + 1))  # No token is ever used twice.


def test_finished_image_cannot_be_released(store: Store) -> None:
    add_job(store)
    add_image(store, "a")
    claimed = claim(store)
    finish(store, claimed)
    assert not store.queue.release(claimed, NOW)
    assert state(store) == "done"


def test_open_job_that_never_got_an_image_expires_early(store: Store) -> None:
    add_job(store, "empty")
    add_job(store)
    add_image(store, "a")
    assert store.jobs.expired_ids(NOW + 150) == ["empty"]
    store.jobs.delete_expired("empty", NOW + 150)
    assert not store.jobs.has_expired("empty", NOW + 150)  # It was never promised to be kept.


def test_job_closes_by_itself_when_its_uploader_is_gone(store: Store) -> None:
    add_job(store)
    add_image(store, "a")
    finish(store, claim(store))
    before, after = store.jobs.progress("job", NOW + 1), store.jobs.progress("job", NOW + 200)
    assert before
    assert after
    assert (before.is_finished, after.is_finished) == (False, True)
    assert before.version == after.version


def test_simultaneous_claims_get_different_images(store: Store) -> None:
    add_job(store)
    for number in range(40):
        add_image(store, f"i{number}", max_images=99)
    claimed: list[str] = []

    def work() -> None:
        while found := store.queue.claim(
            threading.current_thread().name, NOW, LEASE, CAP, NO_LIMITS
        ):
            claimed.append(found.image_id)
        store.db.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(f"i{number}" for number in range(40))


def progress(store: Store) -> Progress:
    found = store.jobs.progress("job", NOW)
    assert found
    return found


def test_every_change_that_a_page_shows_raises_the_version(store: Store) -> None:
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


def test_image_has_the_version_of_its_own_last_change(store: Store) -> None:
    add_job(store)
    add_image(store, "a")
    add_image(store, "b")
    finish(store, claim(store))
    job = store.jobs.read("job", NOW)
    assert job
    assert {image.id: image.version for image in job.images} == {"a": 4, "b": 2}


def test_job_begins_again_with_the_last_image_of_the_queue(store: Store) -> None:
    add_job(store)
    assert progress(store).begun.timestamp() == NOW
    add_image(store, "a")
    finish(store, claim(store))
    store.queue.set_recipe("job", "[]", NOW + 50, "127.0.0.1")
    assert progress(store).begun.timestamp() == NOW + 50


def test_renewing_a_lease_changes_nothing_on_the_page(store: Store) -> None:
    add_job(store)
    add_image(store, "a")
    claimed = claim(store)
    before = store.jobs.progress("job", NOW)
    store.queue.renew(claimed, LEASE + 5)
    assert store.jobs.progress("job", NOW) == before


@pytest.mark.parametrize(
    ("now", "max_images"),
    [(NOW + 200, 9), (NOW + 2000, 9), (NOW, 0)],
    ids=["closed", "expired", "full"],
)
def test_job_that_is_closed_or_full_takes_no_image(
    store: Store, now: float, max_images: int
) -> None:
    add_job(store)
    assert not add_image(store, "a", now, max_images)


def test_closed_job_takes_no_image_that_was_on_its_way(store: Store) -> None:
    add_job(store)
    add_image(store, "a")
    store.jobs.close("job")
    assert not add_image(store, "b", NOW - 0.1)  # Its time was taken before it had to wait.


def test_closed_job_stays_closed_when_the_clock_is_set_back(store: Store) -> None:
    add_job(store)
    store.jobs.close("job")
    job = store.jobs.read("job", NOW - 1)
    assert job
    assert not job.is_open


def test_closed_job_is_open_again_until_a_time(store: Store) -> None:
    add_job(store)
    store.jobs.close("job")
    assert store.jobs.reopen("job", NOW, NOW + 100, 9)
    assert add_image(store, "a")
    assert not add_image(store, "b", NOW + 300)


def test_expired_job_cannot_be_reopened(store: Store) -> None:
    add_job(store, expires=NOW + 10)
    assert not store.jobs.reopen("job", NOW + 10, NOW + 100, 9)


def test_expired_job_is_not_there(store: Store) -> None:
    add_job(store, expires=NOW + 10)
    assert store.jobs.read("job", NOW + 10) is None
    assert store.jobs.progress("job", NOW + 10) is None
    assert store.jobs.expired_ids(NOW + 10) == ["job"]


def test_deleted_job_takes_its_images_and_thumbnails_with_it(store: Store) -> None:
    add_job(store)
    add_image(store, "a")
    claimed = claim(store)
    store.jobs.delete("job", NOW)
    assert not finish(store, claimed)
    assert store.queue.claim("w", NOW, LEASE, CAP, NO_LIMITS) is None


def test_worker_that_beats_is_seen(store: Store) -> None:
    assert store.operations.read_queue(NOW).last_beat is None
    store.operations.beat("w1", NOW)
    store.operations.beat("w1", NOW + 1)
    store.operations.beat("gone", NOW - 1)
    queue = store.operations.read_queue(alive_since=NOW)
    assert (queue.workers, queue.last_beat) == (1, NOW + 1)


def test_queue_is_as_deep_as_images_are_unfinished(store: Store) -> None:
    add_job(store)
    for name in ("done", "in hand", "waiting"):
        add_image(store, name)
    finish(store, claim(store))
    claim(store)
    assert store.operations.read_queue(NOW).depth == 2


def test_oldest_wait_is_that_of_no_image_in_hand(store: Store) -> None:
    add_job(store)
    add_image(store, "in hand", NOW)
    add_image(store, "waiting", NOW + 1)
    claim(store)
    assert store.operations.read_queue(NOW).oldest == NOW + 1


def test_oldest_wait_is_found_among_images_that_cost_workers_too(store: Store) -> None:
    add_job(store)
    add_image(store, "poison", NOW)
    claim(store)
    store.queue.release(claim(store, now=LEASE + 1), LEASE + 1)
    add_image(store, "clean", LEASE)
    assert store.operations.read_queue(NOW).oldest == NOW


def test_empty_queue_has_no_images_ahead(store: Store) -> None:
    assert (store.operations.read_queue(NOW).depth, store.operations.read_queue(NOW).oldest) == (
        0,
        None,
    )


def counted(store: Store) -> dict[tuple[str, str], int]:
    return {(counter.what, counter.code): counter.count for counter in store.operations.counters()}


def test_what_became_of_images_is_counted(store: Store) -> None:
    add_job(store)
    for name in ("a", "b", "c"):
        add_image(store, name)
    finish(store, claim(store))
    store.queue.fail(claim(store), "crashed", "…", NOW)
    assert counted(store) == {("accepted", ""): 3, ("done", ""): 1, ("failed", "crashed"): 1}


def test_counters_outlive_the_rows(store: Store) -> None:
    add_job(store)
    for name in ("a", "b"):
        add_image(store, name)
    finish(store, claim(store))
    store.jobs.delete("job", NOW)
    assert counted(store) == {("accepted", ""): 2, ("done", ""): 1, ("deleted", ""): 1}


def test_late_finish_is_not_counted(store: Store) -> None:
    add_job(store)
    add_image(store, "a")
    late = claim(store)
    finish(store, claim(store, "w2", LEASE + 1))
    finish(store, late)
    assert counted(store)[("done", "")] == 1


def filled(store: Store, what: str) -> list[tuple[float, int, float]]:
    return [(b.up_to, b.count, b.seconds) for b in store.operations.durations(what) if b.count]


def test_wait_lasts_until_the_first_claim(store: Store) -> None:
    add_job(store)
    add_image(store, "a", NOW)
    claim(store, now=NOW + 3)
    claim(store, "w2", NOW + 50)
    assert filled(store, "wait") == [(5.0, 1, 3.0)]


def test_work_lasts_from_the_last_claim_to_the_end(store: Store) -> None:
    add_job(store)
    add_image(store, "a", NOW)
    claim(store)
    store.queue.fail(claim(store, "w2", NOW + 50), "timed_out", "…", NOW + 81)
    assert filled(store, "work") == [(inf, 1, 31.0)]


def test_image_that_cost_its_workers_took_no_work(store: Store) -> None:
    add_job(store)
    add_image(store, "poison")
    for attempt in range(CAP):
        claim(store, now=NOW + 20 * attempt)
    store.queue.fail_exhausted("worker_lost", "…", NOW + 20 * CAP, CAP)
    assert filled(store, "work") == []


def test_clock_that_is_set_back_makes_no_negative_wait(store: Store) -> None:
    add_job(store)
    add_image(store, "a", NOW)
    claim(store, now=NOW - 60)
    assert filled(store, "wait") == [(0.05, 1, 0.0)]


def test_images_of_before_the_counters_are_counted(tmp_path: Path) -> None:
    old = Old(tmp_path / "jobs.db")
    old.execute(
        "INSERT INTO jobs (id, recipe, created, expires, open_until) VALUES ('job', '', 0, 9e9, 0)"
    )
    for number, ending in enumerate(("'done', NULL", "'failed', 'crashed'", "'waiting', NULL")):
        old.execute(
            "INSERT INTO images (id, job_id, position, name, bytes, format, width, height, had_gps,"
            f" created, state, error_code) VALUES ({number}, 'job', 1, '', 1, '', 1, 1, 0, 0,"
            f" {ending})"
        )
    old.close()
    store = Store(tmp_path / "jobs.db")
    assert counted(store) == {("accepted", ""): 3, ("done", ""): 1, ("failed", "crashed"): 1}
    store.db.close()


class Old(Database):
    """Open the database as it was before there were counters."""

    def migrate(self) -> None:
        self._is_migrated = True
        migrate(self._db, MIGRATIONS[:2])


def test_image_is_claimed_again_though_the_clock_was_set_back(store: Store) -> None:
    add_job(store, expires=NOW + 1e6)
    add_image(store, "a")
    claim(store)
    before = NOW - 3600
    assert store.queue.has_claimable(before, CAP, NO_LIMITS)
    assert claim(store, "w2", before).attempt == 2


def test_worker_that_beat_before_the_clock_was_set_back_is_not_alive(store: Store) -> None:
    store.operations.beat("w1", NOW)
    assert store.operations.read_queue(alive_since=NOW - 3600).workers == 0
