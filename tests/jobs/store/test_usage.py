"""What a client used within an hour."""

from tests.support.jobs import TimedStore

NOW = 1_800_000_000.0 + 10


def test_retry_after_is_when_the_oldest_no_longer_counts(store: TimedStore) -> None:
    for later in (0, 600, 1200):
        assert store.at(NOW + later).usage.spend("client", "jobs", 2, 6) == 0
    now = NOW + 1300
    one, all_three = (store.at(now).usage.spend("client", "jobs", jobs, 6) for jobs in (1, 6))
    assert store.at(now + one - 1).usage.spend("client", "jobs", 1, 6) > 0
    assert store.at(now + one).usage.spend("client", "jobs", 1, 6) == 0
    assert (one, all_three) == (2300 - 10, 3500 - 10)


def test_amount_over_the_limit_is_never_accepted(store: TimedStore) -> None:
    assert store.at(NOW).usage.spend("client", "bytes", 7, 6) == 3590
    assert store.at(NOW + 3590).usage.spend("client", "bytes", 7, 6) > 0


def test_addresses_are_forgotten_within_the_hour(store: TimedStore) -> None:
    store.at(NOW).usage.spend("192.0.2.1", "jobs", 1, 6)
    store.at(NOW + 3500).usage.forget()
    assert store.at(NOW).usage.spend("192.0.2.1", "jobs", 6, 6) > 0
    store.at(NOW + 3600).usage.forget()
    assert "192.0.2.1" not in [row["client"] for row in store.db.query("SELECT client FROM usage")]


def test_counting_keeps_the_database_synchronous(store: TimedStore) -> None:
    store.at(NOW).usage.spend("client", "jobs", 1, 6)
    assert store.db.query("PRAGMA synchronous") == [{"synchronous": 2}]  # FULL
