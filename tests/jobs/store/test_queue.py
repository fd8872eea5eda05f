"""Claims, leases and fencing tokens under every kind of death."""

import threading

from tests.support.jobs import TimedStore
from tests.support.rows import (
    CAP,
    FACTS,
    LEASE,
    MAX_SLOW,
    NO_LIMITS,
    NOW,
    ROW,
    add_image,
    add_job,
    claim,
    finish,
    state,
)


def test_oldest_waiting_image_is_claimed_first(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "younger", NOW + 1)
    add_image(store, "older", NOW)
    assert claim(store).image_id == "older"


def test_claimed_image_is_not_claimed_again(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    claim(store)
    assert store.at(NOW + 1).queue.claim("w2", 8, CAP, NO_LIMITS, MAX_SLOW) is None


def test_image_of_a_dead_worker_is_claimed_when_its_lease_ends(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    claim(store, "dead")
    assert claim(store, "w2", LEASE + 1).attempt == 2


def test_renewed_lease_keeps_the_image(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "a")
    assert store.queue.renew(claim(store), 58)
    assert store.at(LEASE + 1).queue.claim("w2", 8, CAP, NO_LIMITS, MAX_SLOW) is None


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
    rows = [{**ROW, "number": 1, "file_name": "b.jpg"}, ROW]
    assert store.queue.finish(claim(store), FACTS, "f", rows)
    job = store.at(NOW).jobs.read("job")
    assert job
    assert [thumbnail.file_name for thumbnail in job.images[0].thumbnails] == ["a.jpg", "b.jpg"]


def test_image_that_cost_two_workers_is_claimed_last(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "poison", NOW)
    claim(store, "w1")
    claim(store, "w2", LEASE + 1)
    add_image(store, "clean", LEASE + 2)
    assert claim(store, "w3", LEASE + 20).image_id == "clean"


def test_image_that_cost_five_workers_fails(store: TimedStore) -> None:
    add_job(store)
    add_image(store, "poison")
    for attempt in range(CAP):
        claim(store, now=NOW + 20 * attempt)
    later = NOW + 20 * CAP
    assert store.at(later).queue.claim("w", 8, CAP, NO_LIMITS, MAX_SLOW) is None
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


def test_simultaneous_claims_get_different_images(store: TimedStore) -> None:
    add_job(store)
    for number in range(40):
        add_image(store, f"i{number}", max_images=99)
    claimed: list[str] = []

    def work() -> None:
        while found := store.queue.claim(
            threading.current_thread().name, 8, CAP, NO_LIMITS, MAX_SLOW
        ):
            claimed.append(found.image_id)
        store.db.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(f"i{number}" for number in range(40))


def test_image_is_claimed_again_though_the_clock_was_set_back(store: TimedStore) -> None:
    add_job(store, expires=NOW + 1e6)
    add_image(store, "a")
    claim(store)
    before = NOW - 3600
    assert store.at(before).queue.has_claimable(CAP, NO_LIMITS, MAX_SLOW)
    assert claim(store, "w2", before).attempt == 2
