"""Clients and their owners take turns, however much one of them brings."""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.conftest import multipart, part
from tests.support.images import make_jpeg
from tests.support.jobs import TimedStore, claims_of
from webapp.jobs.database import MIGRATIONS, Database, migrate
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Claim, HourLimits, NewImage
from webapp.jobs.store import rows, turns

NOW = 1_800_000_000.0
LEASE = NOW + 6
HEAVY, VISITOR = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TimedStore]:
    store = TimedStore(tmp_path / "jobs.db", NOW)
    yield store
    store.db.close()


def add(store: TimedStore, name: str, client: str, owner: str, queued: float = NOW) -> None:
    """Queue an image, in a job of its own."""
    store.at(NOW).jobs.add(name, owner, "[]", NOW + 1e6, NOW + 1e6)
    add_to_job(store, name, name, client, queued)


def add_to_job(store: TimedStore, job_id: str, name: str, client: str, queued: float) -> None:
    image = NewImage(name, None, f"{name}.jpg", 1000, "jpeg", 40, 30, False)
    assert store.at(queued).queue.add(job_id, image, NOW + 1e6, 99, client)


def claim(store: TimedStore, now: float = NOW, worker: str = "w") -> Claim:
    found = store.at(now).queue.claim(worker, 6, 5, NO_LIMITS)
    assert found
    return found


NO_LIMITS = HourLimits(work_ms=10**12, bytes=10**15)


def claim_name(store: TimedStore, now: float = NOW) -> str:
    return claim(store, now).image_id


def test_client_with_nothing_in_hand_comes_first(store: TimedStore) -> None:
    for number in range(3):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + number)
    add(store, "visitor", VISITOR, "visitor", NOW + 9)
    assert [claim_name(store) for _ in range(4)] == ["heavy0", "visitor", "heavy1", "heavy2"]


def test_new_cookies_bring_a_client_no_more_turns(store: TimedStore) -> None:
    for number in range(3):
        add(store, f"heavy{number}", HEAVY, f"cookie{number}", NOW + number)
    add(store, "visitor", VISITOR, "visitor", NOW + 9)
    assert [claim_name(store) for _ in range(3)] == ["heavy0", "visitor", "heavy1"]


def test_owners_of_one_address_take_turns(store: TimedStore) -> None:
    for number in range(3):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + number)
    add(store, "colleague", HEAVY, "colleague", NOW + 9)
    assert [claim_name(store) for _ in range(3)] == ["heavy0", "colleague", "heavy1"]


def test_client_that_has_fewer_in_hand_comes_first(store: TimedStore) -> None:
    for number in range(4):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + number)
    for number in range(2):
        add(store, f"visitor{number}", VISITOR, "visitor", NOW + 10 + number)
    names = [claim_name(store, NOW + 20 + number / 10) for number in range(5)]
    assert names == ["heavy0", "visitor0", "heavy1", "visitor1", "heavy2"]


def test_owner_that_has_fewer_in_hand_comes_first(store: TimedStore) -> None:
    for number in range(4):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + number)
    for number in range(2):
        add(store, f"colleague{number}", HEAVY, "colleague", NOW + 10 + number)
    names = [claim_name(store, NOW + 20 + number / 10) for number in range(5)]
    assert names == ["heavy0", "colleague0", "heavy1", "colleague1", "heavy2"]


def end(store: TimedStore, claimed: Claim, now: float) -> None:
    """Finish a claimed image."""
    assert store.at(now).queue.fail(claimed, "corrupt", "…")


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


def test_more_heavy_clients_than_workers_delay_no_visitor(store: TimedStore) -> None:
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


def test_image_of_a_dead_worker_is_in_no_hand(store: TimedStore) -> None:
    add(store, "dead", VISITOR, "visitor", NOW)
    add(store, "waiting", VISITOR, "visitor", NOW)
    add(store, "heavy", HEAVY, "heavy", NOW + 1)
    claim(store)
    store.queue.renew(claim(store), 66)
    later = LEASE + 1
    assert [claim_name(store, later) for _ in range(2)] == ["dead", "waiting"]


def test_image_that_cost_two_workers_comes_after_those_of_busy_clients(store: TimedStore) -> None:
    add(store, "poison", VISITOR, "visitor", NOW)
    claim(store)
    claim(store, LEASE + 1)
    for number in range(2):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + 20)
    names = [claim_name(store, LEASE + 20) for _ in range(3)]
    assert names == ["heavy0", "heavy1", "poison"]


def fill(store: TimedStore, images: int, clients: int, owners: int) -> None:
    """Queue images, owner after owner."""
    with store.db.transaction() as db:
        db.conn.executemany(
            "INSERT INTO jobs (id, owner, recipe, created, expires, open_until)"
            " VALUES (?, ?, '[]', 0, 9e12, 9e12)",
            [(f"job{owner}", f"owner{owner}") for owner in range(owners)],
        )
        numbers = [(number, number * owners // images) for number in range(images)]
        db.conn.executemany(
            "INSERT INTO images (id, job_id, position, name, bytes, format, width, height, had_gps,"
            " created, queued, client, owner)"
            " VALUES (?, ?, 1, 'a.jpg', 1, 'jpeg', 1, 1, 0, ?, ?, ?, ?)",
            [
                (f"{n}", f"job{owner}", n, n, f"198.51.100.{owner % clients}", f"owner{owner}")
                for n, owner in numbers
            ],
        )


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
def test_claim_looks_at_few_of_ten_thousand_images(
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


def count_steps(store: TimedStore, action: Callable[[], object]) -> int:
    """Count the instructions of SQLite's machine that an action takes.

    To the last hundred.
    """
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 100
        return 0

    store.db._db.conn.set_progress_handler(count, 100)
    action()
    store.db._db.conn.set_progress_handler(None, 0)
    return steps


HOUR = HourLimits(work_ms=10_000, bytes=1_000_000)


def next_within(store: TimedStore, now: float) -> str | None:
    """Claim the next image of a client that is within its hour."""
    found = store.at(now).queue.claim("w", 6, 5, HOUR)
    return found.image_id if found else None


@pytest.mark.parametrize(("what", "amount"), [("work", 10_000), ("bytes", 1_000_000)])
def test_image_of_a_client_over_its_hour_waits_until_there_is_room(
    store: TimedStore, what: str, amount: int
) -> None:
    add(store, "heavy", HEAVY, "heavy")
    add(store, "visitor", VISITOR, "visitor", NOW + 9)
    store.at(NOW).usage.spend(HEAVY, what, amount, amount)
    assert [next_within(store, NOW + 10) for _ in range(2)] == ["visitor", None]
    assert not store.at(NOW + 10).queue.has_claimable(5, HOUR)
    assert store.at(NOW + 3601).queue.has_claimable(5, HOUR)
    # The visitor's comes first: its worker is gone since.
    assert [next_within(store, NOW + 3601) for _ in range(2)] == ["visitor", "heavy"]


def test_image_of_a_client_in_hand_that_goes_over_its_hour_is_the_last(store: TimedStore) -> None:
    for number in range(3):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + number)
    assert next_within(store, NOW) == "heavy0"
    store.usage.spend(HEAVY, "work", 10_000, 10_000)
    assert next_within(store, NOW + 1) is None


def test_claim_scans_images_only_by_an_index(store: TimedStore) -> None:
    plan = store.db.query(
        f"EXPLAIN QUERY PLAN {turns.NEXT_IMAGE}",
        max_attempts=5,
        **turns.hour_values(NO_LIMITS, NOW),
    )
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

    def next(self, now: float) -> str:
        rows = self._store.db.query("SELECT * FROM images WHERE status IN ('waiting', 'working')")
        in_hand = [row for row in rows if row["status"] == "working" and row["lease"] >= now]
        clients = Counter(row["client"] for row in in_hand)
        owners = Counter((row["client"], row["owner"]) for row in in_hand)

        def key(row: dict[str, Any]) -> tuple[Any, ...]:
            if row["attempts"] - row["released"] > 1:
                return 3, row["queued"]
            if row["status"] == "working":
                return 1, row["queued"]
            client, owner = (row["client"],), (row["client"], row["owner"])
            turns = clients[client[0]], self.served[client], owners[owner], self.served[owner]
            return 2, *turns, row["queued"]

        return str(min((row for row in rows if row not in in_hand), key=key)["id"])


@pytest.mark.parametrize("seed", range(3))
def test_next_image_is_the_one_that_the_definition_says(store: TimedStore, seed: int) -> None:
    chance = random.Random(seed)
    definition = Definition(store)
    now = NOW
    with store.db.transaction():  # For speed: none of it needs to reach the disk.
        for number in range(60):
            client, owner = f"c{chance.choice('0011123')}", f"o{chance.choice('0001234')}"
            now += chance.random()
            add(store, f"i{number}", client, owner, now)
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
            expected = definition.image(definition.next(now))
            held.append(claim(store, now, f"w{number}"))
            assert held[-1].image_id == expected["id"]
            if expected["status"] == "waiting" and expected["attempts"] - expected["released"] <= 1:
                definition.serve(expected, now)
        assert_counts_are_right(store, "client_turns", "client")
        assert_counts_are_right(store, "owner_turns", "client, owner")


def assert_counts_are_right(store: TimedStore, table: str, columns: str) -> None:
    kept = store.db.query(
        f"SELECT {columns}, waiting FROM {table} WHERE waiting != 0 ORDER BY {columns}"
    )
    assert kept == store.db.query(
        f"SELECT {columns}, count(*) AS waiting FROM images WHERE {rows.WAITING}"
        f" GROUP BY {columns} ORDER BY {columns}"
    )


FACTS = {"width": 1, "height": 1, "had_gps": False, "thumbhash": "", "placeholder": "", "color": ""}
ENDS: dict[str, Callable[[TimedStore, Claim], object]] = {
    "finished": lambda store, claimed: store.queue.finish(claimed, FACTS, "f", []),
    "failed": lambda store, claimed: store.queue.fail(claimed, "corrupt", "…"),
    "released": lambda store, claimed: store.queue.release(claimed),
    "ended by its worker": lambda store, claimed: store.queue.release_now(claimed),
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
    store.at(NOW + 3).queue.release_now(claimed)
    store.at(NOW + 5).jobs.delete("image")
    assert used(store) == [(VISITOR, 3000)]


def test_work_of_a_dead_worker_counts_until_its_lease_ends(store: TimedStore) -> None:
    add(store, "image", VISITOR, "visitor")
    claim(store)
    store.at(NOW + 3600).jobs.delete("image")
    assert used(store) == [(VISITOR, 6000)]


def test_work_of_a_dead_worker_counts_when_its_image_is_claimed_again(store: TimedStore) -> None:
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


def ahead(store: TimedStore, job_id: str) -> int:
    return store.at(NOW).queue.count_ahead(job_id)[0]


def test_visitor_knows_that_its_turn_is_next(store: TimedStore) -> None:
    for number in range(9):
        add(store, f"heavy{number}", HEAVY, "heavy", NOW + number)
    in_hand = [claim(store, worker=f"w{number}") for number in range(2)]
    add(store, "visitor", VISITOR, "visitor", NOW + 20)
    assert ahead(store, "visitor") == len(in_hand)


def test_images_of_one_owner_come_in_order(store: TimedStore) -> None:
    for number in range(5):
        add(store, f"image{number}", HEAVY, "heavy", NOW + number)
    assert [ahead(store, f"image{number}") for number in range(5)] == [0, 1, 2, 3, 4]


def test_those_who_came_later_are_not_ahead(store: TimedStore) -> None:
    add(store, "first", VISITOR, "visitor", NOW)
    for number in range(5):
        add(store, f"heavy{number}", f"198.51.100.{number}", "heavy", NOW + 1 + number)
    assert ahead(store, "first") == 0
    assert ahead(store, "heavy2") == 3


@pytest.mark.parametrize("seed", range(3))
def test_numbers_ahead_are_how_many_of_others_are_claimed_before(
    store: TimedStore, seed: int
) -> None:
    chance = random.Random(seed)
    job_ids: list[str] = []
    with store.db.transaction():
        for number in range(60):
            client, owner = f"c{chance.choice('0011123')}", f"o{chance.choice('0001234')}"
            job_id = f"{client} {owner} {chance.choice('01')}"
            if job_id not in job_ids:
                store.at(NOW).jobs.add(job_id, owner, "[]", NOW + 1e6, NOW + 1e6)
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
        assert told[job_id] == (first, last - claimed.count(job_id) + 1)


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


def test_client_is_the_address_that_sent_the_image(app: Flask, jobs: Jobs) -> None:
    for address in (HEAVY, HEAVY, VISITOR):
        form = multipart(file=part(make_jpeg(), f"{address}.jpg"))
        environ = {"REMOTE_ADDR": address}
        answer = app.test_client().post("/upload_image", environ_overrides=environ, **form)
        assert answer.status_code == 202
    claims = [claims_of(jobs).claim("w"), claims_of(jobs).claim("w")]
    assert [jobs.job(one.job_id).images[0].name for one in claims if one] == [
        f"{HEAVY}.jpg",
        f"{VISITOR}.jpg",
    ]


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


def test_clock_that_is_set_back_holds_no_client_up_for_long(store: TimedStore) -> None:
    add(store, "before", HEAVY, "heavy", NOW + 7200)
    store.at(NOW).usage.forget()
    add(store, "after", VISITOR, "visitor", NOW + 1)
    assert claim_name(store, NOW + 2) == "before"


def test_images_of_before_there_were_turns_wait_on(tmp_path: Path) -> None:
    old = Old(tmp_path / "jobs.db")
    old.execute(
        "INSERT INTO jobs (id, owner, recipe, created, expires, open_until)"
        " VALUES ('job', 'owner', '[]', 0, 9e12, 0)"
    )
    old.execute(
        "INSERT INTO images (id, job_id, position, name, bytes, format, width, height, had_gps,"
        " created) VALUES ('image', 'job', 1, 'a.jpg', 1, 'jpeg', 1, 1, 0, 0)"
    )
    old.close()
    store = TimedStore(tmp_path / "jobs.db", NOW)
    assert store.db.query("SELECT client, owner FROM images") == [{"client": "", "owner": "owner"}]
    assert claim_name(store) == "image"
    store.db.close()


class Old(Database):
    """Open the database as it was before clients took turns."""

    def migrate(self) -> None:
        self._is_migrated = True
        migrate(self._db, MIGRATIONS[:8])
