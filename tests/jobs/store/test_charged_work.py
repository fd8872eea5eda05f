"""The time of workers that is charged to clients, however it ends."""

from collections.abc import Callable

import pytest

from tests.support.jobs import TimedStore
from tests.support.turns import HEAVY, LEASE, NOW, VISITOR, add, claim, end
from webapp.jobs.models import Claim

FACTS = {"width": 1, "height": 1, "had_gps": False, "thumbhash": "", "placeholder": "", "color": ""}


ENDS: dict[str, Callable[[TimedStore, Claim], object]] = {
    "finished": lambda store, claimed: store.queue.finish(claimed, FACTS, "f", []),
    "failed": lambda store, claimed: store.queue.fail(claimed, "corrupt", "…"),
    "released": lambda store, claimed: store.queue.release(claimed),
    "ended by its worker": lambda store, claimed: store.queue.end_lease(claimed),
    "made again": lambda store, claimed: store.queue.set_recipe(claimed.job_id, "[]", HEAVY),
    "deleted": lambda store, claimed: store.jobs.delete(claimed.job_id),
}


@pytest.mark.parametrize("how", ENDS)
def test_work_counts_however_it_ends(store: TimedStore, how: str) -> None:
    add(store, "image", VISITOR, "visitor")
    claimed = claim(store)
    store.queue.renew(claimed, 60)
    ENDS[how](store.at(NOW + 12.3456), claimed)
    assert used(store) == [(VISITOR, 12345)]


def used(store: TimedStore) -> list[tuple[str, int]]:
    rows = store.db.query("SELECT client, amount FROM usage WHERE what = 'work'")
    return [(row["client"], row["amount"]) for row in rows]


def test_work_counts_once_where_its_lease_was_ended(store: TimedStore) -> None:
    add(store, "image", VISITOR, "visitor")
    claimed = claim(store)
    store.at(NOW + 3).queue.end_lease(claimed)
    store.at(NOW + 5).jobs.delete("image")
    assert used(store) == [(VISITOR, 3000)]


def test_work_of_a_dead_worker_counts_until_its_lease_ends(store: TimedStore) -> None:
    add(store, "image", VISITOR, "visitor")
    claim(store)
    store.at(NOW + 3600).jobs.delete("image")
    assert used(store) == [(VISITOR, 6000)]


def test_work_of_a_dead_worker_counts_at_the_next_claim(store: TimedStore) -> None:
    add(store, "image", VISITOR, "visitor")
    late = claim(store)
    end(store, claim(store, LEASE + 1), LEASE + 2)
    assert not store.at(LEASE + 3).queue.fail(late, "corrupt", "…")
    assert used(store) == [(VISITOR, 6000 + 1000)]


def test_work_of_all_workers_that_an_image_cost_counts(store: TimedStore) -> None:
    add(store, "image", VISITOR, "visitor")
    for attempt in range(5):
        claim(store, NOW + 7 * attempt)
    failed = store.at(NOW + 7 * 5).queue.fail_exhausted("worker_lost", "…", 5)
    assert failed == [("image", "image")]
    assert used(store) == [(VISITOR, 5 * 6000)]


def test_address_of_a_client_is_forgotten_with_the_work(store: TimedStore) -> None:
    for name in ("done", "failed", "cancelled", "lost"):
        add(store, name, VISITOR, "visitor")
    store.queue.finish(claim(store), FACTS, "f", [])
    store.queue.fail(claim(store), "corrupt", "…")
    store.queue.cancel("cancelled")
    store.queue.fail_without_files("lost", "file_lost", "…")
    assert store.db.query("SELECT DISTINCT client FROM images") == [{"client": ""}]


def test_address_is_remembered_for_an_hour_or_while_its_images_wait(store: TimedStore) -> None:
    add(store, "one", HEAVY, "heavy")
    add(store, "two", VISITOR, "visitor")
    end(store, claim(store), NOW + 1)
    store.at(NOW + 3500).usage.forget()
    assert clients(store) == [HEAVY, VISITOR]
    store.at(NOW + 3700).usage.forget()
    assert clients(store) == [VISITOR]


def clients(store: TimedStore) -> list[str]:
    return [
        row["client"] for row in store.db.query("SELECT client FROM client_turns ORDER BY client")
    ]
