"""Images of the same bytes are found without a look at the others."""

from tests.support.jobs import TimedStore
from tests.support.turns import count_steps

HASH = "0" * 64


def add_images(store: TimedStore, count: int, sha256: str | None) -> None:
    job_id = f"job of {count}"
    store.jobs.add(job_id, "owner", "[]", 1000, 100)
    with store.db.transaction() as db:
        place = {
            "job_id": job_id,
            "owner": "owner",
            "name": "a",
            "format": "jpeg",
            "status": "done",
        }
        facts = {"bytes": 1, "width": 1, "height": 1, "had_gps": 0, "created": 0.0}
        db.table("images").insert_all(
            {"id": f"{job_id} {number}", "position": number, "sha256": sha256, **place, **facts}
            for number in range(count)
        )


def steps(store: TimedStore) -> int:
    return count_steps(store, lambda: store.reuse.find("new", "owner", HASH, "[]", {"digest": 0}))


def test_search_costs_the_same_beside_many_images(store: TimedStore) -> None:
    before = steps(store)
    add_images(store, 2000, None)
    add_images(store, 1000, "1" * 64)
    assert steps(store) <= before + 100


def test_search_looks_at_some_of_the_images_with_the_same_bytes(store: TimedStore) -> None:
    add_images(store, 200, HASH)
    before = steps(store)
    add_images(store, 1000, HASH)
    assert steps(store) <= before + 100
