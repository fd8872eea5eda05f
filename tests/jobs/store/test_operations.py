"""What operators read of the rows: workers, the queue, counters and durations."""

from math import inf
from pathlib import Path

from tests.support.jobs import TimedStore
from tests.support.rows import CAP, LEASE, NOW, add_image, add_job, claim, finish
from tests.support.schema import old_database
from webapp.jobs.store.operations import ALIVE_SECONDS


def test_worker_with_a_recent_beat_counts_as_alive(store: TimedStore) -> None:
    assert store.operations.read_queue().last_beat is None
    store.at(NOW - 1).operations.beat("gone")
    store.at(NOW).operations.beat("w1")
    store.at(NOW + 1).operations.beat("w1")
    queue = store.at(NOW + ALIVE_SECONDS).operations.read_queue()
    assert (queue.workers, queue.last_beat) == (1, NOW + 1)


def test_depth_of_the_queue_counts_unfinished_images(store: TimedStore) -> None:
    add_job(store)
    for name in ("done", "in hand", "waiting"):
        add_image(store, name)
    finish(store, claim(store))
    claim(store)
    assert store.operations.read_queue().depth == 2


def test_oldest_wait_ignores_claimed_images(store: TimedStore) -> None:
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


def test_images_are_counted_by_their_end(store: TimedStore) -> None:
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


def test_images_of_versions_without_counters_are_counted(tmp_path: Path) -> None:
    with old_database(tmp_path / "jobs.db", 2) as old:
        old.execute(
            "INSERT INTO jobs (id, recipe, created, expires, open_until)"
            " VALUES ('job', '', 0, 9e9, 0)"
        )
        for number, ending in enumerate(("'done', NULL", "'failed', 'crashed'", "'waiting', NULL")):
            old.execute(
                "INSERT INTO images (id, job_id, position, name, bytes, format, width, height,"
                " had_gps, created, state, error_code)"
                f" VALUES ({number}, 'job', 1, '', 1, '', 1, 1, 0, 0, {ending})"
            )
    store = TimedStore(tmp_path / "jobs.db", NOW)
    assert counted(store) == {("accepted", ""): 3, ("done", ""): 1, ("failed", "crashed"): 1}
    store.db.close()


def test_beat_before_the_clock_was_set_back_does_not_count(store: TimedStore) -> None:
    store.operations.beat("w1")
    assert store.at(NOW - 3600).operations.read_queue().workers == 0
