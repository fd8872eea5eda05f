"""API tokens are stored as hashes, and end when they are revoked."""

from tests.support.jobs import TimedStore
from tests.support.turns import NOW
from webapp.jobs.tokens import create_token, find_token, is_api_token


def created(store: TimedStore, name: str) -> bytes:
    text = create_token(store, name)
    assert text
    return text.encode()


def last_use(store: TimedStore) -> float | None:
    return store.tokens.all()[0].last_used


def test_token_is_found_by_its_text_alone(store: TimedStore) -> None:
    texts = {created(store, name): name for name in ("build", "shop")}
    assert all(is_api_token(text) for text in texts)
    for text, name in texts.items():
        found = find_token(store, text)
        assert found
        assert found.name == name
        assert find_token(store, text[:-1] + (b"A" if text[-1:] != b"A" else b"B")) is None


def test_database_does_not_have_the_token(store: TimedStore) -> None:
    text = created(store, "build")
    rows = store.db.query("SELECT * FROM api_tokens")
    assert text.removeprefix(b"thumb_") not in repr(rows).encode()
    assert len(rows[0]["digest"]) == 32


def test_revoked_token_is_found_no_more(store: TimedStore) -> None:
    text = created(store, "build")
    assert store.tokens.revoke("build")
    assert find_token(store, text) is None
    assert not store.tokens.revoke("build")


def test_name_is_free_again_once_its_token_is_revoked(store: TimedStore) -> None:
    first = created(store, "build")
    assert create_token(store, "build") is None
    store.tokens.revoke("build")
    second = created(store, "build")
    assert find_token(store, first) is None
    assert find_token(store, second)
    assert [token.revoked is None for token in store.tokens.all()] == [True, False]


def test_last_use_is_written_once_a_minute(store: TimedStore) -> None:
    text = created(store, "build")
    assert last_use(store) is None
    for later, noted in ((0, 0), (59, 0), (61, 61)):
        find_token(store.at(NOW + later), text)
        assert last_use(store) == NOW + noted


def test_last_use_is_written_after_the_clock_was_set_back(store: TimedStore) -> None:
    text = created(store, "build")
    for moment in (NOW, NOW - 3600):
        find_token(store.at(moment), text)
        assert last_use(store) == moment


def test_use_that_cannot_be_written_harms_no_request(store: TimedStore) -> None:
    text = created(store, "build")
    store.db.execute(
        "CREATE TRIGGER full BEFORE UPDATE ON api_tokens BEGIN SELECT raise(ABORT, 'full'); END"
    )
    assert find_token(store, text)


def test_token_is_found_by_indexes(store: TimedStore) -> None:
    plan = store.db.query(
        "EXPLAIN QUERY PLAN SELECT id FROM api_tokens WHERE digest = x'00' AND revoked IS NULL"
    )
    assert "api_tokens_digest" in plan[0]["detail"]
