"""Rows: claims, leases and tokens under every kind of death."""

import threading
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pytest

from tests.jobs.test_turns import count_steps
from tests.support.jobs import TimedStore
from webapp.jobs.database import MIGRATIONS, Database, migrate
from webapp.jobs.models import Claim, HourLimits, NewImage, Progress
from webapp.jobs.store.operations import ALIVE_SECONDS
from webapp.recipes.outputs import OVERVIEW

NOW = 1_000_000.0
LEASE = NOW + 8
CAP = 5
NO_LIMITS = HourLimits(work_ms=10**12, bytes=10**15)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TimedStore]:
    store = TimedStore(tmp_path / "jobs.db", NOW)
    yield store
    store.db.close()


def add_job(store: TimedStore, job_id: str = "job", expires: float = NOW + 1000) -> str:
    store.at(NOW).jobs.add(job_id, "owner", "[]", expires, NOW + 100)
    return job_id


def add_image(store: TimedStore, image_id: str, created: float = NOW, max_images: int = 9) -> bool:
    image = NewImage(image_id, None, f"{image_id}.jpg", 1000, "jpeg", 40, 30, False)
    return store.at(created).queue.add("job", image, created + 100, max_images, "127.0.0.1")


def claim(store: TimedStore, worker: str = "w1", now: float = NOW) -> Claim:
    claimed = store.at(now).queue.claim(worker, 8, CAP, NO_LIMITS)
    assert claimed
    return claimed


def finish(store: TimedStore, claimed: Claim) -> bool:
    return store.at(NOW).queue.finish(claimed, FACTS, "f", [ROW])


def state(store: TimedStore, image: int = 0) -> str:
    job = store.at(NOW).jobs.read("job")
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


def test_oldest_waiting_image_is_claimed_first(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "younger", NOW + 1)
    add_image(store, "older", NOW)
    assert claim(store).image_id == "older"


def test_claimed_image_is_not_claimed_again(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    claim(store)
    assert store.at(NOW + 1).queue.claim("w2", 8, CAP, NO_LIMITS) is None


def test_image_of_a_dead_worker_is_claimed_when_its_lease_ends(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    claim(store, "dead")
    assert claim(store, "w2", LEASE + 1).attempt == 2


def test_renewed_lease_keeps_the_image(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    assert store.queue.renew(claim(store), 58)
    assert store.at(LEASE + 1).queue.claim("w2", 8, CAP, NO_LIMITS) is None


def test_overtaken_worker_can_neither_finish_nor_fail_nor_renew(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    slow = claim(store, "slow")
    claim(store, "quick", LEASE + 1)
    assert not store.at(LEASE + 2).queue.finish(slow, FACTS, "f", [ROW])
    assert not store.queue.fail(slow, "corrupt", "…")
    assert not store.queue.renew(slow, 97)
    assert state(store) == "working"


def test_finished_image_has_its_thumbnails_in_order(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    assert store.queue.finish(claim(store), FACTS, "f", [ROW, {**ROW, "file_name": "b.jpg"}])
    job = store.at(NOW).jobs.read("job")
    assert job
    assert [thumbnail.file_name for thumbnail in job.images[0].thumbnails] == ["a.jpg", "b.jpg"]


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
    store.queue.finish(claim(store), FACTS, "f", [ROW] * 1000)
    assert count_steps(store, lambda: store.jobs.has_thumbnails("job")) < 300


def test_image_that_cost_two_workers_comes_last(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "poison", NOW)
    claim(store, "w1")
    claim(store, "w2", LEASE + 1)
    add_image(store, "clean", LEASE + 2)
    assert claim(store, "w3", LEASE + 20).image_id == "clean"


def test_image_that_cost_five_workers_is_given_up(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "poison")
    for attempt in range(CAP):
        claim(store, now=NOW + 20 * attempt)
    later = NOW + 20 * CAP
    assert store.at(later).queue.claim("w", 8, CAP, NO_LIMITS) is None
    assert len(store.queue.fail_exhausted("worker_lost", "…", CAP)) == 1
    assert state(store) == "failed"


def test_released_image_waits_again_however_often(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    attempts = []
    for _ in range(2 * CAP):
        claimed = claim(store)
        attempts.append(claimed.attempt)
        assert store.queue.release(claimed)
    assert state(store) == "waiting"
    assert attempts == list(range(1, 2 * CAP + 1))  # No token is ever used twice.


def test_finished_image_cannot_be_released(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    claimed = claim(store)
    finish(store, claimed)
    assert not store.queue.release(claimed)
    assert state(store) == "done"


def test_open_job_that_never_got_an_image_expires_early(store: TimedStore) -> None:
    add_job(store, "empty")
    add_job(store)
    add_image(store, "a")
    assert store.at(NOW + 150).jobs.expired_ids() == ["empty"]
    store.jobs.delete_expired("empty")
    assert not store.jobs.has_expired("empty")  # It was never promised to be kept.


def test_job_closes_by_itself_when_its_uploader_is_gone(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    finish(store, claim(store))
    before, after = (store.at(NOW + later).jobs.progress("job") for later in (1, 200))
    assert before
    assert after
    assert (before.is_finished, after.is_finished) == (False, True)
    assert before.version == after.version


def test_simultaneous_claims_get_different_images(store: TimedStore) -> None:
    add_job(store)
    for number in range(40):
        add_image(store, f"i{number}", max_images=99)
    claimed: list[str] = []

    def work() -> None:
        while found := store.queue.claim(threading.current_thread().name, 8, CAP, NO_LIMITS):
            claimed.append(found.image_id)
        store.db.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(f"i{number}" for number in range(40))


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
    ("now", "max_images"),
    [(NOW + 200, 9), (NOW + 2000, 9), (NOW, 0)],
    ids=["closed", "expired", "full"],
)
def test_job_that_is_closed_or_full_takes_no_image(
    store: TimedStore, now: float, max_images: int
) -> None:
    add_job(store)
    assert not add_image(store, "a", now, max_images)


def test_closed_job_takes_no_image_that_was_on_its_way(store: TimedStore) -> None:
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
    assert store.jobs.reopen("job", NOW + 100, 9)
    assert add_image(store, "a")
    assert not add_image(store, "b", NOW + 300)


def test_expired_job_cannot_be_reopened(store: TimedStore) -> None:
    add_job(store, expires=NOW + 10)
    assert not store.at(NOW + 10).jobs.reopen("job", NOW + 100, 9)


def test_expired_job_is_not_there(store: TimedStore) -> None:
    add_job(store, expires=NOW + 10)
    assert store.at(NOW + 10).jobs.read("job") is None
    assert store.jobs.progress("job") is None
    assert store.jobs.expired_ids() == ["job"]


def test_deleted_job_takes_its_images_and_thumbnails_with_it(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    claimed = claim(store)
    store.jobs.delete("job")
    assert not finish(store, claimed)
    assert store.queue.claim("w", 8, CAP, NO_LIMITS) is None


def test_worker_that_beats_is_seen(store: TimedStore) -> None:
    assert store.operations.read_queue().last_beat is None
    store.at(NOW - 1).operations.beat("gone")
    store.at(NOW).operations.beat("w1")
    store.at(NOW + 1).operations.beat("w1")
    queue = store.at(NOW + ALIVE_SECONDS).operations.read_queue()
    assert (queue.workers, queue.last_beat) == (1, NOW + 1)


def test_queue_is_as_deep_as_images_are_unfinished(store: TimedStore) -> None:
    add_job(store)
    for name in ("done", "in hand", "waiting"):
        add_image(store, name)
    finish(store, claim(store))
    claim(store)
    assert store.operations.read_queue().depth == 2


def test_oldest_wait_is_that_of_no_image_in_hand(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "in hand", NOW)
    add_image(store, "waiting", NOW + 1)
    claim(store)
    assert store.operations.read_queue().oldest == NOW + 1


def test_oldest_wait_is_found_among_images_that_cost_workers_too(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "poison", NOW)
    claim(store)
    store.queue.release(claim(store, now=LEASE + 1))
    add_image(store, "clean", LEASE)
    assert store.operations.read_queue().oldest == NOW


def test_empty_queue_has_no_images_ahead(store: TimedStore) -> None:
    queue = store.operations.read_queue()
    assert (queue.depth, queue.oldest) == (0, None)


def counted(store: TimedStore) -> dict[tuple[str, str], int]:
    return {(counter.what, counter.code): counter.count for counter in store.operations.counters()}


def test_what_became_of_images_is_counted(store: TimedStore) -> None:
    add_job(store)
    for name in ("a", "b", "c"):
        add_image(store, name)
    finish(store, claim(store))
    store.queue.fail(claim(store), "crashed", "…")
    assert counted(store) == {("accepted", ""): 3, ("done", ""): 1, ("failed", "crashed"): 1}


def test_counters_outlive_the_rows(store: TimedStore) -> None:
    add_job(store)
    for name in ("a", "b"):
        add_image(store, name)
    finish(store, claim(store))
    store.jobs.delete("job")
    assert counted(store) == {("accepted", ""): 2, ("done", ""): 1, ("deleted", ""): 1}


def test_late_finish_is_not_counted(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    late = claim(store)
    finish(store, claim(store, "w2", LEASE + 1))
    finish(store, late)
    assert counted(store)[("done", "")] == 1


def filled(store: TimedStore, what: str) -> list[tuple[float, int, float]]:
    return [(b.up_to, b.count, b.seconds) for b in store.operations.durations(what) if b.count]


def test_wait_lasts_until_the_first_claim(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a", NOW)
    claim(store, now=NOW + 3)
    claim(store, "w2", NOW + 50)
    assert filled(store, "wait") == [(5.0, 1, 3.0)]


def test_work_lasts_from_the_last_claim_to_the_end(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a", NOW)
    claim(store)
    claimed = claim(store, "w2", NOW + 50)
    store.at(NOW + 81).queue.fail(claimed, "timed_out", "…")
    assert filled(store, "work") == [(inf, 1, 31.0)]


def test_image_that_cost_its_workers_took_no_work(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "poison")
    for attempt in range(CAP):
        claim(store, now=NOW + 20 * attempt)
    store.at(NOW + 20 * CAP).queue.fail_exhausted("worker_lost", "…", CAP)
    assert filled(store, "work") == []


def test_clock_that_is_set_back_makes_no_negative_wait(store: TimedStore) -> None:
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
    store = TimedStore(tmp_path / "jobs.db", NOW)
    assert counted(store) == {("accepted", ""): 3, ("done", ""): 1, ("failed", "crashed"): 1}
    store.db.close()


class Old(Database):
    """Open the database as it was before there were counters."""

    def migrate(self) -> None:
        self._is_migrated = True
        migrate(self._db, MIGRATIONS[:2])


def test_image_is_claimed_again_though_the_clock_was_set_back(store: TimedStore) -> None:
    add_job(store, expires=NOW + 1e6)
    add_image(store, "a")
    claim(store)
    before = NOW - 3600
    assert store.at(before).queue.has_claimable(CAP, NO_LIMITS)
    assert claim(store, "w2", before).attempt == 2


def test_worker_that_beat_before_the_clock_was_set_back_is_not_alive(store: TimedStore) -> None:
    store.operations.beat("w1")
    assert store.at(NOW - 3600).operations.read_queue().workers == 0
