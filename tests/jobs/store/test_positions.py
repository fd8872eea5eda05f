"""How many images of others come before those of a job."""

import random

import pytest

from tests.support.jobs import TimedStore
from tests.support.turns import HEAVY, NOW, VISITOR, add, add_to_job, claim, count_steps, end, fill


def ahead(store: TimedStore, job_id: str) -> int:
    return store.at(NOW).queue.count_ahead(job_id)[0]


def test_visitor_has_only_claimed_images_ahead(store: TimedStore) -> None:
    for number in range(9):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + number)
    in_hand = [claim(store, worker=f"w{number}") for number in range(2)]
    add(store, "visitor", VISITOR, "visitor", NOW + 20)
    assert ahead(store, "visitor") == len(in_hand)


def test_images_of_one_owner_are_claimed_in_order(store: TimedStore) -> None:
    for number in range(5):
        add(store, f"image{number}", HEAVY, "heavy", NOW + number)
    assert [ahead(store, f"image{number}") for number in range(5)] == [0, 1, 2, 3, 4]


def test_images_queued_later_are_not_ahead(store: TimedStore) -> None:
    add(store, "first", VISITOR, "visitor", NOW)
    for number in range(5):
        add(store, f"heavy{number}", f"198.51.100.{number}", "heavy", NOW + 1 + number)
    assert ahead(store, "first") == 0
    assert ahead(store, "heavy2") == 3


@pytest.mark.parametrize("seed", range(3))
def test_number_ahead_equals_the_claims_of_others_before(store: TimedStore, seed: int) -> None:
    chance = random.Random(seed)
    job_ids: list[str] = []
    with store.db.transaction():
        for number in range(60):
            client, owner = f"c{chance.choice('0011123')}", f"o{chance.choice('0001234')}"
            job_id = f"{client} {owner} {chance.choice('01')}"
            if job_id not in job_ids:
                store.at(NOW).jobs.add(job_id, owner, "[]", 1e6, 1e6)
                job_ids.append(job_id)
            add_to_job(store, job_id, f"i{number}", client, NOW + number)
        told = {job_id: store.at(NOW).queue.count_ahead(job_id) for job_id in job_ids}
        claimed = []
        for number in range(60):
            in_hand = claim(store, NOW + 100 + number)
            claimed.append(in_hand.job_id)
            end(store, in_hand, NOW + 100.5 + number)
    for job_id in job_ids:
        first, last = claimed.index(job_id), 59 - claimed[::-1].index(job_id)
        assert told[job_id] == (first, last - claimed.count(job_id) + 1, 0)


@pytest.mark.slow
@pytest.mark.parametrize(("clients", "owners"), [(1, 10_000), (10_000, 10_000)])
def test_number_ahead_is_counted_in_one_scan_of_clients_or_owners(
    store: TimedStore, clients: int, owners: int
) -> None:
    """In instructions of SQLite's machine: 200,000 take about a millisecond."""
    fill(store, 10_000, clients, owners)
    assert count_steps(store, lambda: store.queue.count_ahead(f"job{owners - 1}")) < 400_000


def test_image_that_cost_two_workers_has_all_others_ahead(store: TimedStore) -> None:
    add(store, "poison", VISITOR, "visitor", NOW)
    for attempt in range(2):
        claim(store, NOW + 10 * attempt)
    claimed = claim(store, NOW + 20)
    store.at(NOW + 21).queue.release(claimed)
    for number in range(4):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + number)
    assert ahead(store, "poison") == 4
