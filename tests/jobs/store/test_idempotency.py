"""One request at a time has an idempotency key."""

import pytest

from tests.support.jobs import TimedStore
from tests.support.rows import NOW, add_job
from tests.support.turns import count_steps
from webapp.jobs.idempotency import Answer, FirstRequest, Hold

LEASE = 45.0
ANSWER = Answer(201, {"Location": "/jobs/job"}, b"{}")


def take(store: TimedStore, now: float = NOW, key: str = "key") -> Hold:
    hold, _ = store.at(now).idempotency.begin("owner", key, LEASE)
    assert hold
    return hold


def first(store: TimedStore, now: float) -> FirstRequest | None:
    return store.at(now).idempotency.begin("owner", "key", LEASE)[1]


def is_free(store: TimedStore, now: float) -> bool:
    return store.at(now).idempotency.begin("owner", "key", LEASE)[0] is not None


def test_key_is_taken_once(store: TimedStore) -> None:
    take(store)
    assert store.at(NOW + LEASE).idempotency.begin("owner", "key", LEASE) == (None, None)
    take(store, key="other")


def test_key_is_free_after_its_lease(store: TimedStore) -> None:
    take(store)
    assert not is_free(store, NOW + LEASE)
    assert is_free(store, NOW + LEASE + 1)


def test_key_is_free_after_the_clock_was_set_back(store: TimedStore) -> None:
    take(store)
    assert is_free(store, NOW - 3600)


def test_renewed_key_is_taken_for_longer(store: TimedStore) -> None:
    hold = take(store)
    assert store.at(NOW + 40).idempotency.renew(hold, LEASE)
    assert not is_free(store, NOW + 80)


def test_released_key_is_free_at_once(store: TimedStore) -> None:
    store.idempotency.release(take(store))
    assert is_free(store, NOW)


def test_released_key_knows_its_job(store: TimedStore) -> None:
    hold = take(store)
    store.idempotency.link(hold, add_job(store))
    store.idempotency.release(hold)
    known = first(store, NOW)
    assert known
    assert (known.job_id, known.is_whole, known.answer) == ("job", False, None)


def test_answered_key_is_not_taken_again(store: TimedStore) -> None:
    hold = take(store)
    store.idempotency.link(hold, add_job(store))
    store.idempotency.complete("job")
    assert store.idempotency.answer(hold, ANSWER)
    taken, known = store.at(NOW + 2 * LEASE).idempotency.begin("owner", "key", LEASE)
    assert taken is None
    assert known == FirstRequest("job", "", True, ANSWER)


def test_answer_without_a_job_is_not_kept(store: TimedStore) -> None:
    assert not store.idempotency.answer(take(store), ANSWER)


@pytest.mark.parametrize("change", ["renew", "link", "unlink", "answer"])
def test_request_that_lost_its_key_changes_nothing(store: TimedStore, change: str) -> None:
    hold = take(store)
    store.idempotency.link(hold, add_job(store))
    other = take(store, NOW + LEASE + 1)
    keys = store.idempotency
    done = {
        "renew": lambda: keys.renew(hold, LEASE),
        "link": lambda: keys.link(hold, "job"),
        "unlink": lambda: keys.unlink(hold),
        "answer": lambda: keys.answer(hold, ANSWER),
    }[change]()
    assert not done
    keys.release(hold)
    assert keys.renew(other, LEASE)
    assert not is_free(store, NOW + LEASE + 1)


def test_deletion_of_a_job_finds_its_keys_by_an_index(store: TimedStore) -> None:
    plan = store.db.query("EXPLAIN QUERY PLAN DELETE FROM idempotency_keys WHERE job_id = 'a'")
    assert "idempotency_keys_job" in plan[0]["detail"]


def test_key_that_was_sent_before_its_sender_had_an_owner_is_found(store: TimedStore) -> None:
    hold, _ = store.at(NOW).idempotency.begin("client:192.0.2.1", "key", LEASE)
    assert hold
    store.idempotency.link(hold, add_job(store))
    store.idempotency.answer(hold, ANSWER)
    assert first(store, NOW)
    assert store.idempotency.begin("another", "key", LEASE)[1] is None


def test_search_of_a_key_costs_the_same_beside_many_others(store: TimedStore) -> None:
    def search() -> int:
        return count_steps(store, lambda: store.at(NOW).idempotency.begin("owner", "key", LEASE))

    search()
    before = search()
    with store.db.transaction() as db:
        rows = ({"owner": f"client:{n}", "key": f"key {n}"} for n in range(2000))
        db.table("idempotency_keys").insert_all({**row, "attempt": "a", "lease": 0} for row in rows)
    assert search() <= before + 100
