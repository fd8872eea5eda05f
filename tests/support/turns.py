"""Queues of many clients and owners, whose images are claimed at any time."""

from collections.abc import Callable

from tests.support.jobs import TimedStore
from tests.support.rows import MAX_SLOW, NO_LIMITS
from webapp.jobs.models import Claim, NewImage

NOW = 1_800_000_000.0
LEASE = NOW + 6
HEAVY, VISITOR = "192.0.2.1", "192.0.2.2"


def add(
    store: TimedStore,
    name: str,
    client: str,
    owner: str,
    queued: float = NOW,
    is_slow: bool = False,
) -> None:
    """Queue an image, in a job of its own."""
    store.at(NOW).jobs.add(name, owner, "[]", 1e6, 1e6)
    add_to_job(store, name, name, client, queued, is_slow)


def add_to_job(
    store: TimedStore, job_id: str, name: str, client: str, queued: float, is_slow: bool = False
) -> None:
    image = NewImage(name, None, f"{name}.jpg", 1000, "jpeg", 40, 30, False, is_slow)
    assert store.at(queued).queue.add(job_id, image, 1e6, 99, client)


def claim(
    store: TimedStore, now: float = NOW, worker: str = "w", max_slow: int = MAX_SLOW
) -> Claim:
    found = store.at(now).queue.claim(worker, 6, 5, NO_LIMITS, max_slow)
    assert found
    return found


def claim_name(store: TimedStore, now: float = NOW) -> str:
    return claim(store, now).image_id


def end(store: TimedStore, claimed: Claim, now: float) -> None:
    """Finish a claimed image."""
    assert store.at(now).queue.fail(claimed, "corrupt", "…")


def fill(store: TimedStore, images: int, clients: int, owners: int, is_slow: bool = False) -> None:
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
            " slow, created, queued, client, owner)"
            " VALUES (?, 'job' || ?, 1, 'a.jpg', 1, 'jpeg', 1, 1, 0, ?, ?, ?, ?, ?)",
            [
                (n, job, is_slow, n, n, f"198.51.100.{job % clients}", f"owner{job}")
                for n, job in numbers
            ],
        )


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
