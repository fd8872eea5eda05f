"""Count what a client used within an hour."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from webapp.jobs.store import Store

NOW = 1_800_000_000.0 + 10


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "jobs.db")
    yield store
    store.db.close()


def test_retry_after_is_when_the_oldest_no_longer_counts(store: Store) -> None:
    for later in (0, 600, 1200):
        assert store.usage.spend("client", "jobs", 2, 6, NOW + later) == 0
    now = NOW + 1300
    one, all_three = (
        store.usage.spend("client", "jobs", 1, 6, now),
        store.usage.spend("client", "jobs", 6, 6, now),
    )
    assert store.usage.spend("client", "jobs", 1, 6, now + one - 1) > 0
    assert store.usage.spend("client", "jobs", 1, 6, now + one) == 0
    assert (one, all_three) == (2300 - 10, 3500 - 10)


def test_amount_over_the_limit_is_never_accepted(store: Store) -> None:
    assert store.usage.spend("client", "bytes", 7, 6, NOW) == 3590
    assert store.usage.spend("client", "bytes", 7, 6, NOW + 3590) > 0


def test_addresses_are_forgotten_within_the_hour(store: Store) -> None:
    store.usage.spend("192.0.2.1", "jobs", 1, 6, NOW)
    store.usage.forget(NOW + 3500)
    assert store.usage.spend("192.0.2.1", "jobs", 6, 6, NOW + 3500) > 0
    store.usage.forget(NOW + 3600)
    assert "192.0.2.1" not in [row["client"] for row in store.db.query("SELECT client FROM usage")]


def test_counting_keeps_the_database_synchronous(store: Store) -> None:
    store.usage.spend("client", "jobs", 1, 6, NOW)
    assert store.db.query("PRAGMA synchronous") == [{"synchronous": 2}]  # FULL
