"""Clients and their owners take turns, however many images one of them has."""

import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.jobs import TimedStore
from tests.support.rows import MAX_SLOW, NO_LIMITS
from tests.support.schema import old_database
from tests.support.turns import (
    HEAVY,
    LEASE,
    NOW,
    VISITOR,
    add,
    claim,
    claim_name,
    count_steps,
    end,
    fill,
)
from webapp.jobs.models import Claim, HourLimits
from webapp.jobs.store import rows, turns


def test_client_without_claimed_images_is_next(store: TimedStore) -> None:
    for number in range(3):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + number)
    add(store, "visitor", VISITOR, "visitor", NOW + 9)
    assert [claim_name(store) for _ in range(4)] == ["heavy0", "visitor", "heavy1", "heavy2"]


def test_new_cookies_give_a_client_no_more_turns(store: TimedStore) -> None:
    for number in range(3):
        add(store, f"heavy{number}", HEAVY, f"cookie{number}", NOW + number)
    add(store, "visitor", VISITOR, "visitor", NOW + 9)
    assert [claim_name(store) for _ in range(3)] == ["heavy0", "visitor", "heavy1"]


def test_owners_of_one_address_take_turns(store: TimedStore) -> None:
    for number in range(3):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + number)
    add(store, "colleague", HEAVY, "colleague", NOW + 9)
    assert [claim_name(store) for _ in range(3)] == ["heavy0", "colleague", "heavy1"]


def test_client_with_fewer_claimed_images_is_next(store: TimedStore) -> None:
    for number in range(4):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + number)
    for number in range(2):
        add(store, f"visitor{number}", VISITOR, "visitor", NOW + 10 + number)
    names = [claim_name(store, NOW + 20 + number / 10) for number in range(5)]
    assert names == ["heavy0", "visitor0", "heavy1", "visitor1", "heavy2"]


def test_owner_with_fewer_claimed_images_is_next(store: TimedStore) -> None:
    for number in range(4):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + number)
    for number in range(2):
        add(store, f"colleague{number}", HEAVY, "colleague", NOW + 10 + number)
    names = [claim_name(store, NOW + 20 + number / 10) for number in range(5)]
    assert names == ["heavy0", "colleague0", "heavy1", "colleague1", "heavy2"]


def test_one_worker_serves_clients_in_turn(store: TimedStore) -> None:
    for number in range(3):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + number)
    in_hand = claim(store, NOW + 3)
    add(store, "visitor", VISITOR, "visitor", NOW + 4)
    end(store, in_hand, NOW + 5)
    assert claim_name(store, NOW + 5) == "visitor"


def test_one_worker_serves_owners_of_one_address_in_turn(store: TimedStore) -> None:
    for number in range(3):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + number)
    in_hand = claim(store, NOW + 3)
    add(store, "colleague", HEAVY, "colleague", NOW + 4)
    end(store, in_hand, NOW + 5)
    assert claim_name(store, NOW + 5) == "colleague"


def test_more_heavy_clients_than_workers_do_not_delay_a_visitor(store: TimedStore) -> None:
    for number in range(20):
        add(store, f"heavy{number}", f"198.51.100.{number % 5}", "heavy", NOW + number / 100)
    in_hand = claim(store, NOW + 1)
    add(store, "visitor", VISITOR, "visitor", NOW + 2)
    served = []
    for later in range(3, 9):
        end(store, in_hand, NOW + later)
        in_hand = claim(store, NOW + later)
        served.append(in_hand.image_id)
    assert served[4] == "visitor"  # After one image of each of the other four.


def test_image_of_a_dead_worker_does_not_count_as_claimed(store: TimedStore) -> None:
    add(store, "dead", VISITOR, "visitor", NOW)
    add(store, "waiting", VISITOR, "visitor", NOW)
    add(store, "heavy", HEAVY, "heavy", NOW + 1)
    claim(store)
    store.queue.renew(claim(store), 66)
    later = LEASE + 1
    assert [claim_name(store, later) for _ in range(2)] == ["dead", "waiting"]


def test_image_that_cost_two_workers_waits_for_busy_clients(store: TimedStore) -> None:
    add(store, "poison", VISITOR, "visitor", NOW)
    claim(store)
    claim(store, LEASE + 1)
    for number in range(2):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + 20)
    names = [claim_name(store, LEASE + 20) for _ in range(3)]
    assert names == ["heavy0", "heavy1", "poison"]


def test_small_image_is_next_while_slow_ones_fill_their_lane(store: TimedStore) -> None:
    for number in range(3):
        add(store, f"slow{number}", HEAVY, "heavy", NOW + number, is_slow=True)
    add(store, "small", VISITOR, "visitor", NOW + 9)
    claims = [claim(store, worker=f"w{worker}", max_slow=1) for worker in range(2)]
    assert [one.image_id for one in claims] == ["slow0", "small"]
    assert not store.queue.has_claimable(5, NO_LIMITS, 1)


def test_small_image_is_next_though_slow_ones_of_its_owner_are_older(store: TimedStore) -> None:
    for number in range(3):
        add(store, f"slow{number}", HEAVY, "heavy", NOW + number, is_slow=True)
    add(store, "small", HEAVY, "heavy", NOW + 9)
    assert [claim(store, max_slow=1).image_id for _ in range(2)] == ["slow0", "small"]


def test_next_slow_image_follows_the_one_that_ended(store: TimedStore) -> None:
    for number in range(3):
        add(store, f"slow{number}", HEAVY, "heavy", NOW + number, is_slow=True)
    end(store, claim(store, max_slow=1), NOW + 5)
    assert claim(store, max_slow=1).image_id == "slow1"


def test_slow_image_of_a_dead_worker_leaves_its_lane(store: TimedStore) -> None:
    for number in range(2):
        add(store, f"slow{number}", HEAVY, "heavy", NOW + number, is_slow=True)
    claim(store, max_slow=1)
    assert claim(store, LEASE + 1, max_slow=1).image_id == "slow0"


def test_images_of_dead_workers_come_first_while_slow_ones_fill_their_lane(
    store: TimedStore,
) -> None:
    add(store, "left", HEAVY, "heavy")
    claim(store)
    add(store, "slow", HEAVY, "heavy", NOW + 1, is_slow=True)
    assert claim(store, NOW + 5, max_slow=1).is_slow
    add(store, "small", VISITOR, "visitor", NOW + 5)
    assert claim(store, LEASE + 1, max_slow=1).image_id == "left"


def test_image_that_cost_two_workers_is_slow(store: TimedStore) -> None:
    add(store, "poison", HEAVY, "heavy")
    claims = [claim(store, NOW + 10 * attempt, max_slow=1) for attempt in range(3)]
    assert [one.is_slow for one in claims] == [False, False, True]


def test_image_that_timed_out_is_slow_when_it_is_tried_again(store: TimedStore) -> None:
    for name in ("first", "second"):
        add(store, name, HEAVY, "heavy")
        store.queue.fail(claim(store), "timed_out", "…")
        store.at(NOW + 1).queue.retry(name, None, HEAVY)
    add(store, "small", VISITOR, "visitor", NOW + 2)
    names = [claim(store, NOW + 3, max_slow=1).image_id for _ in range(2)]
    assert names == ["first", "small"]


@pytest.mark.slow
@pytest.mark.parametrize("owners", [1, 1000, 10_000])
def test_visitor_is_next_behind_ten_thousand_images_of_another_client(
    store: TimedStore, owners: int
) -> None:
    fill(store, 10_000, 1, owners)
    for worker in range(3):
        claim(store, worker=f"w{worker}")
    add(store, "visitor", VISITOR, "visitor")
    assert claim_name(store) == "visitor"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clients", "owners"), [(1, 1), (1, 1000), (1000, 1000), (1, 10_000), (10_000, 10_000)]
)
def test_claim_reads_few_of_ten_thousand_images(
    store: TimedStore, clients: int, owners: int
) -> None:
    """In instructions of SQLite's machine: a scan of all images takes 100,000."""
    fill(store, 10_000, clients, owners)
    claims = [claim(store, worker=f"w{worker}") for worker in range(3)]
    steps = 0
    for claimed in claims:
        store.queue.fail(claimed, "corrupt", "…")
        steps += count_steps(store, lambda: claim(store))
    assert steps / len(claims) < 3000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clients", "owners"), [(1, 1), (1, 1000), (1000, 1000), (1, 10_000), (10_000, 10_000)]
)
def test_claim_of_a_small_image_reads_few_of_ten_thousand_slow_ones(
    store: TimedStore, clients: int, owners: int
) -> None:
    fill(store, 10_000, clients, owners, is_slow=True)
    claim(store, max_slow=1)
    assert count_steps(store, lambda: store.queue.has_claimable(5, NO_LIMITS, 1)) < 1000
    add(store, "small", VISITOR, "visitor")
    assert count_steps(store, lambda: claim(store, max_slow=1)) < 3000


HOUR = HourLimits(work_ms=10_000, bytes=1_000_000)


def next_within(store: TimedStore, now: float) -> str | None:
    """Claim the next image of a client that is within its hour."""
    found = store.at(now).queue.claim("w", 6, 5, HOUR, MAX_SLOW)
    return found.image_id if found else None


@pytest.mark.parametrize(("what", "amount"), [("work", 10_000), ("bytes", 1_000_000)])
def test_client_over_its_hourly_limit_waits_until_it_has_room(
    store: TimedStore, what: str, amount: int
) -> None:
    add(store, "heavy", HEAVY, "heavy")
    add(store, "visitor", VISITOR, "visitor", NOW + 9)
    store.at(NOW).usage.spend(HEAVY, what, amount, amount)
    assert [next_within(store, NOW + 10) for _ in range(2)] == ["visitor", None]
    assert not store.at(NOW + 10).queue.has_claimable(5, HOUR, MAX_SLOW)
    assert store.at(NOW + 3601).queue.has_claimable(5, HOUR, MAX_SLOW)
    # The visitor's comes first: its worker is gone since.
    assert [next_within(store, NOW + 3601) for _ in range(2)] == ["visitor", "heavy"]


def test_client_at_its_hourly_limit_gets_no_other_image(store: TimedStore) -> None:
    for number in range(3):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + number)
    assert next_within(store, NOW) == "heavy0"
    store.usage.spend(HEAVY, "work", 10_000, 10_000)
    assert next_within(store, NOW + 1) is None


@pytest.mark.parametrize("sql", [turns.SLOW_IN_HAND, turns.NEXT_IMAGE, turns.NEXT_QUICK_IMAGE])
def test_claim_scans_images_only_by_an_index(store: TimedStore, sql: str) -> None:
    values = {"max_attempts": 5, **turns.hour_values(NO_LIMITS, NOW)}
    named = {name: value for name, value in values.items() if f":{name}" in sql}
    plan = store.db.query(f"EXPLAIN QUERY PLAN {sql}", **named)
    reads = [row["detail"] for row in plan if re.match(r"(SCAN|SEARCH) images\b", row["detail"])]
    assert reads
    assert all(" INDEX " in read for read in reads), reads


class Definition:
    """Find the next image as claim() defines it, by a look at all of them."""

    def __init__(self, store: TimedStore) -> None:
        self._store = store
        self.served: dict[tuple[str, ...], float] = {}

    def serve(self, image: dict[str, Any], now: float) -> None:
        self.served[image["client"],] = now
        self.served[image["client"], image["owner"]] = now

    def arrive(self, client: str, owner: str, now: float) -> None:
        self.served.setdefault((client,), now)
        self.served.setdefault((client, owner), now)

    def image(self, image_id: str) -> dict[str, Any]:
        return self._store.db.query("SELECT * FROM images WHERE id = :id", id=image_id)[0]

    def next(self, now: float) -> str | None:
        rows = self._store.db.query("SELECT * FROM images WHERE status IN ('waiting', 'working')")
        in_hand = [row for row in rows if row["status"] == "working" and row["lease"] >= now]
        clients = Counter(row["client"] for row in in_hand)
        owners = Counter((row["client"], row["owner"]) for row in in_hand)
        is_lane_open = sum(row["slow"] for row in in_hand) < MAX_SLOW

        def key(row: dict[str, Any]) -> tuple[Any, ...]:
            if row["attempts"] - row["released"] > 1:
                return 3, row["queued"]
            if row["status"] == "working":
                return 1, row["queued"]
            client, owner = (row["client"],), (row["client"], row["owner"])
            turns = clients[client[0]], self.served[client], owners[owner], self.served[owner]
            return 2, *turns, row["queued"]

        chosen = [row for row in rows if row not in in_hand]
        if not is_lane_open:
            chosen = [row for row in chosen if not row["slow"] and key(row)[0] < 3]
        return str(min(chosen, key=key)["id"]) if chosen else None


@pytest.mark.parametrize("seed", range(3))
def test_next_image_is_the_one_of_the_definition(store: TimedStore, seed: int) -> None:
    chance = random.Random(seed)
    definition = Definition(store)
    now = NOW
    with store.db.transaction():  # For speed: none of it needs to reach the disk.
        for number in range(60):
            client, owner = f"c{chance.choice('0011123')}", f"o{chance.choice('0001234')}"
            now += chance.random()
            add(store, f"i{number}", client, owner, now, is_slow=chance.random() < 0.3)
            definition.arrive(client, owner, now)
        held: list[Claim] = []
        for number in range(90):
            now += chance.random()
            if len(held) == 4:
                ended = held.pop(chance.randrange(4))
                what = chance.choice(["fail", "release", "delete", "die"])
                image = definition.image(ended.image_id)
                if what == "fail":
                    end(store, ended, now)
                    definition.serve(image, now)
                elif what == "release":
                    store.at(now).queue.release(ended)
                elif what == "delete":
                    store.at(now).jobs.delete(ended.job_id)
            now += 0.001  # Turns that began at one moment are in any order.
            for one in held:
                store.at(now).queue.renew(one, 6)
            before = {row["id"]: row for row in store.db.query("SELECT * FROM images")}
            next_id = definition.next(now)
            found = store.at(now).queue.claim(f"w{number}", 6, 5, NO_LIMITS, MAX_SLOW)
            assert (found and found.image_id) == next_id
            if found is None:
                continue
            expected = before[found.image_id]
            held.append(found)
            if expected["status"] == "waiting" and expected["attempts"] - expected["released"] <= 1:
                definition.serve(expected, now)
        assert_counts_are_right(store, "client_turns", "client")
        assert_counts_are_right(store, "owner_turns", "client, owner")


def assert_counts_are_right(store: TimedStore, table: str, columns: str) -> None:
    kept = store.db.query(
        f"SELECT {columns}, waiting, quick FROM {table} WHERE waiting != 0 ORDER BY {columns}"
    )
    assert kept == store.db.query(
        f"SELECT {columns}, count(*) AS waiting, sum(NOT slow) AS quick FROM images"
        f" WHERE {rows.WAITING} GROUP BY {columns} ORDER BY {columns}"
    )


def test_clock_that_is_set_back_delays_no_client_for_long(store: TimedStore) -> None:
    add(store, "before", HEAVY, "heavy", NOW + 7200)
    store.at(NOW).usage.forget()
    add(store, "after", VISITOR, "visitor", NOW + 1)
    assert claim_name(store, NOW + 2) == "before"


def test_images_of_versions_without_turns_keep_waiting(tmp_path: Path) -> None:
    with old_database(tmp_path / "jobs.db", 8) as old:
        old.execute(
            "INSERT INTO jobs (id, owner, recipe, created, expires, open_until)"
            " VALUES ('job', 'owner', '[]', 0, 9e12, 0)"
        )
        old.execute(
            "INSERT INTO images (id, job_id, position, name, bytes, format, width, height, had_gps,"
            " created) VALUES ('image', 'job', 1, 'a.jpg', 1, 'jpeg', 1, 1, 0, 0)"
        )
    store = TimedStore(tmp_path / "jobs.db", NOW)
    assert store.db.query("SELECT client, owner FROM images") == [{"client": "", "owner": "owner"}]
    assert claim_name(store) == "image"
    store.db.close()
