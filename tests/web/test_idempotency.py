"""A request that is sent again with its Idempotency-Key makes no second job."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.clock import Clock
from tests.support.idempotent import PATH, add_view, send
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import add_image, files_left, newest_job, received, sweep, work
from tests.support.servers import wait_until
from webapp.config import ROOT
from webapp.jobs.lifecycle import Jobs
from webapp.web import idempotency
from webapp.web.idempotency import LEASE_SECONDS, KeyInvalid, read_key

PHOTO, OTHER = (make_jpeg((60, 40)), "a.jpg"), (make_jpeg((50, 40)), "b.jpg")
WAIT = 10.0  # Seconds, for another thread.


class Steps:
    """What is done at a step of the view, for tests that look into it."""

    def __init__(self) -> None:
        self.at: dict[str, Callable[[], object]] = {}
        self.seen: list[str] = []

    def __call__(self, name: str) -> None:
        self.seen.append(name)
        if act := self.at.get(name):
            act()


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def client(app: Flask, steps: Steps) -> FlaskClient:
    """Create a program that keeps cookies."""
    add_view(app, steps)
    client = app.test_client()
    with client.session_transaction() as session:
        session["owner"] = "program"
    return client


@pytest.fixture
def no_cookies(app: Flask, client: FlaskClient) -> FlaskClient:
    return app.test_client(use_cookies=False)


def count(jobs: Jobs) -> int:
    return len(list(jobs.store.jobs.ids()))


def keys(jobs: Jobs) -> int:
    return int(jobs.store.db.query("SELECT count(*) AS keys FROM idempotency_keys")[0]["keys"])


def fail() -> None:
    raise RuntimeError("on purpose")


def replayed(answer: TestResponse) -> bool:
    return answer.headers.get("Idempotent-Replayed") == "true"


def refused(answer: TestResponse) -> tuple[int, str]:
    assert answer.json
    return answer.status_code, answer.json["code"]


REUSED = (422, "idempotency_key_reused")
IN_USE = (409, "idempotency_key_in_use")


def test_same_request_gets_the_same_job_and_answer(client: FlaskClient, jobs: Jobs) -> None:
    first, second = send(client), send(client)
    assert (first.status_code, first.data) == (second.status_code, second.data)
    assert first.headers["Location"] == second.headers["Location"]
    assert first.headers["Content-Type"] == second.headers["Content-Type"]
    assert (replayed(first), replayed(second)) == (False, True)
    assert count(jobs) == 1


def test_first_answer_stays_when_the_job_goes_on(client: FlaskClient, jobs: Jobs) -> None:
    first = send(client)
    work(jobs)
    jobs.rename(newest_job(jobs).id, "another name")
    assert send(client).data == first.data


def test_each_request_without_a_key_makes_a_job(client: FlaskClient, jobs: Jobs) -> None:
    answers = [send(client, None), send(client, None)]
    assert count(jobs) == 2
    assert not any(map(replayed, answers))
    assert keys(jobs) == 0


def test_other_key_makes_another_job(client: FlaskClient, jobs: Jobs) -> None:
    send(client, "one")
    assert not replayed(send(client, "two"))
    assert count(jobs) == 2


def test_key_is_the_same_with_and_without_quotes(client: FlaskClient, jobs: Jobs) -> None:
    send(client, '"8e03978e-40d5-43dd-bc93-6894a57f9324"')
    assert replayed(send(client, "8e03978e-40d5-43dd-bc93-6894a57f9324"))


@pytest.mark.parametrize(
    "changes",
    [
        {"preset": "web-set"},
        {"more": "field"},
        {"images": (OTHER,)},
        {"images": ((PHOTO[0], "other.jpg"),)},
        {"images": (PHOTO, OTHER)},
        {"images": ()},
        {"path": f"{PATH}?wait=3"},
    ],
    ids=["recipe", "field", "bytes", "file name", "more files", "no files", "query"],
)
def test_other_request_with_the_same_key_is_refused(
    client: FlaskClient, jobs: Jobs, changes: dict[str, object]
) -> None:
    send(client, images=(PHOTO,))
    assert refused(send(client, **{"images": (PHOTO,), **changes})) == REUSED  # type: ignore[arg-type]
    assert count(jobs) == 1
    assert replayed(send(client, images=(PHOTO,)))


@pytest.mark.parametrize("order", [(PHOTO, OTHER), (OTHER, PHOTO)])
def test_files_are_compared_in_their_order(
    client: FlaskClient, order: tuple[tuple[bytes, str], ...]
) -> None:
    send(client, images=(PHOTO, OTHER))
    answer = send(client, images=order)
    assert replayed(answer) if order[0] is PHOTO else refused(answer) == REUSED


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("a", "a"),
        ('"a"', "a"),
        (' "a" ', "a"),
        (r'"a\"b\\c"', 'a"b\\c'),
        ("~" * 255, "~" * 255),
        ('"' + "!" * 255 + '"', "!" * 255),
    ],
)
def test_key_is_read(header: str, key: str) -> None:
    assert read_key(header) == key


@pytest.mark.parametrize(
    "header",
    [
        *("", " ", '""', '"', '"a', '"a"b"', '"a";b=1', '"a" "b"', r'"a\b"'),
        *("a b", '"a b"', "é", "a\tb", "\x7f", "a" * 256, '"' + "a" * 256 + '"'),
    ],
)
def test_key_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(KeyInvalid, match="1 to 255 visible ASCII"):
        read_key(header)


def test_invalid_key_is_refused_with_400(client: FlaskClient, jobs: Jobs) -> None:
    assert refused(send(client, "a b")) == (400, "idempotency_key_invalid")
    assert count(jobs) == 0


def test_another_owner_has_keys_of_its_own(app: Flask, client: FlaskClient, jobs: Jobs) -> None:
    first = send(client)
    other = app.test_client()
    with other.session_transaction() as session:
        session["owner"] = "other"
    assert send(other).json != first.json
    assert not replayed(send(client, "2"))
    assert count(jobs) == 3


def test_caller_without_cookies_is_known_by_its_address(
    no_cookies: FlaskClient, jobs: Jobs
) -> None:
    first = send(no_cookies)
    assert send(no_cookies).data == first.data
    no_cookies.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    assert not replayed(send(no_cookies))
    assert count(jobs) == 2


def test_caller_that_kept_the_cookie_of_the_first_answer_gets_it_again(
    app: Flask, client: FlaskClient, jobs: Jobs
) -> None:
    browser = app.test_client()
    first, second = send(browser), send(browser)
    browser.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    assert [first.data] * 2 == [second.data, send(browser).data]
    assert replayed(second)
    assert count(jobs) == 1
    assert not replayed(send(client))


def test_caller_that_lost_the_first_answer_gets_its_job_again(
    app: Flask, no_cookies: FlaskClient, jobs: Jobs
) -> None:
    first = send(no_cookies)
    again = send(app.test_client())
    assert (replayed(again), again.data, count(jobs)) == (True, first.data, 1)


def test_only_the_first_client_of_an_address_owns_the_job_of_a_key(
    app: Flask, client: FlaskClient, jobs: Jobs
) -> None:
    first, second = app.test_client(), app.test_client()
    assert send(first).json == send(second).json
    assert (_owner(first), _owner(second)) == (newest_job(jobs).owner, None)


def test_open_job_is_not_given_to_another_client_of_the_address(
    app: Flask, no_cookies: FlaskClient, jobs: Jobs
) -> None:
    first = send(no_cookies, images=())
    stranger = app.test_client()
    second = send(stranger, images=())
    assert not replayed(second)
    assert (first.json != second.json, _owner(stranger)) == (True, newest_job(jobs).owner)


def reopen(jobs: Jobs, job_id: str) -> None:
    jobs.reopen(job_id)


def add_another(jobs: Jobs, job_id: str) -> None:
    jobs.reopen(job_id)
    add_image(jobs, job_id, OTHER[0])
    jobs.close(job_id)


def replace_photo(jobs: Jobs, job_id: str) -> None:
    work(jobs)
    (image,) = jobs.job(job_id).images
    with received(jobs, OTHER[0]) as upload:
        jobs.replace_image(job_id, image.id, upload, "b.jpg", "127.0.0.1")


@pytest.mark.parametrize("go_on", [reopen, add_another, replace_photo])
def test_job_that_went_on_is_not_given_to_another_client_of_the_address(
    app: Flask, no_cookies: FlaskClient, jobs: Jobs, go_on: Callable[[Jobs, str], None]
) -> None:
    images = ((make_truncated(), "a.jpg"),)
    job_id = send(no_cookies, images=images).json["id"]  # type: ignore[index]
    go_on(jobs, job_id)
    assert not replayed(send(app.test_client(), images=images))
    assert count(jobs) == 2


def _owner(client: FlaskClient) -> str | None:
    """Return the owner that a client's cookie proves it to be."""
    with client.session_transaction() as session:
        return session.get("owner")


# Lifetime


def test_key_lives_as_long_as_its_job(client: FlaskClient, jobs: Jobs, clock: Clock) -> None:
    send(client)
    clock.advance(hours=23)
    assert replayed(send(client))
    clock.advance(hours=2)
    assert not replayed(send(client))
    sweep(jobs)
    assert (count(jobs), keys(jobs)) == (1, 1)


def test_key_goes_with_a_deleted_job(client: FlaskClient, jobs: Jobs) -> None:
    send(client)
    jobs.delete(newest_job(jobs).id)
    assert keys(jobs) == 0
    assert not replayed(send(client))


def test_key_of_a_job_that_its_owner_deleted_makes_another(
    client: FlaskClient, jobs: Jobs, clock: Clock
) -> None:
    send(client)
    jobs.delete_with_undo(newest_job(jobs).id)
    assert not replayed(send(client))
    clock.advance(120)
    sweep(jobs)
    assert (count(jobs), keys(jobs)) == (1, 1)


def test_refused_request_frees_its_key(client: FlaskClient, jobs: Jobs) -> None:
    assert send(client, images=((b"no image", "a.jpg"),)).status_code == 415
    assert (count(jobs), keys(jobs)) == (0, 0)
    assert send(client).status_code == 201


@pytest.mark.parametrize("step", ["begun", "read"])
def test_request_that_fails_without_a_job_frees_its_key(
    client: FlaskClient, jobs: Jobs, steps: Steps, step: str
) -> None:
    steps.at[step] = fail
    assert send(client).status_code == 500
    assert (count(jobs), keys(jobs)) == (0, 0)
    steps.at.clear()
    assert not replayed(send(client, images=(OTHER,)))


def test_request_that_fails_with_its_job_is_answered_for_it(
    client: FlaskClient, jobs: Jobs, steps: Steps
) -> None:
    steps.at["made"] = fail
    assert send(client).status_code == 500
    steps.at.clear()
    answer = send(client)
    assert answer.json == {"id": newest_job(jobs).id, "images": 1, "pad": ""}
    assert (count(jobs), replayed(answer)) == (1, True)
    assert send(client).data == answer.data


def test_large_answer_is_made_again_from_the_job(client: FlaskClient, jobs: Jobs) -> None:
    first, second = send(client, pad=1_000_001), send(client, pad=1_000_001)
    assert first.data == second.data
    assert (replayed(second), count(jobs)) == (True, 1)
    assert jobs.store.db.query("SELECT body FROM idempotency_keys") == [{"body": None}]


def test_open_job_with_a_large_answer_is_not_made_twice(client: FlaskClient, jobs: Jobs) -> None:
    first = send(client, images=(), pad=1_000_001)
    assert send(client, images=(), pad=1_000_001).json == first.json
    assert newest_job(jobs).is_open


# At the same time


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


class Gate:
    """A step at which a request waits until it may go on."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self.opened.wait(WAIT)


@pytest.mark.parametrize("step", ["begun", "read", "submitted", "added", "made"])
def test_second_request_is_refused_while_the_first_is_running(
    app: Flask, client: FlaskClient, steps: Steps, pool: ThreadPoolExecutor, step: str, jobs: Jobs
) -> None:
    steps.at[step] = gate = Gate()
    first = pool.submit(send, client)
    assert gate.reached.wait(WAIT)
    second = send(_like(app, client))
    assert refused(second) == IN_USE
    assert int(second.headers["Retry-After"]) >= 1
    gate.opened.set()
    assert first.result().status_code == 201
    assert replayed(send(client))
    assert count(jobs) == 1


class SlowBody(BytesIO):
    """A body of which nothing arrives until a gate is opened."""

    gate: Gate

    def readinto(self, buffer: Any, /) -> int:
        self.gate()
        return super().readinto(buffer)


def test_second_request_is_refused_while_the_body_of_the_first_arrives(
    app: Flask, client: FlaskClient, pool: ThreadPoolExecutor
) -> None:
    body = SlowBody(b"preset=square")
    body.gate = gate = Gate()
    headers = {"Idempotency-Key": "key", "Content-Length": "13"}
    kind = "application/x-www-form-urlencoded"
    first = pool.submit(client.post, PATH, input_stream=body, headers=headers, content_type=kind)
    assert gate.reached.wait(WAIT)
    assert refused(send(_like(app, client))) == IN_USE
    gate.opened.set()
    assert first.result().status_code == 201


def test_many_at_once_make_one_job(
    app: Flask, client: FlaskClient, pool: ThreadPoolExecutor, jobs: Jobs
) -> None:
    clients = [_like(app, client) for _ in range(8)]
    answers = list(pool.map(send, clients))
    assert count(jobs) == 1
    made = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.data for answer in made}) == 1
    assert [replayed(answer) for answer in made].count(False) == 1
    assert {refused(answer) for answer in answers if answer not in made} <= {IN_USE}


def _like(app: Flask, client: FlaskClient) -> FlaskClient:
    """Create a client of the same owner; clients are of one thread."""
    other = app.test_client()
    with other.session_transaction() as session:
        session["owner"] = "program"
    return other


def test_slow_request_keeps_its_key(
    app: Flask,
    client: FlaskClient,
    steps: Steps,
    pool: ThreadPoolExecutor,
    clock: Clock,
    jobs: Jobs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(idempotency, "RENEW_SECONDS", 0.001)
    steps.at["begun"] = gate = Gate()
    first = pool.submit(send, client)
    assert gate.reached.wait(WAIT)
    for _ in range(3):
        clock.advance(LEASE_SECONDS - 5)
        wait_until(lambda: _lease(jobs) > clock() + LEASE_SECONDS - 5, what="a renewal")
    assert refused(send(_like(app, client))) == IN_USE
    gate.opened.set()
    assert first.result().status_code == 201


def _lease(jobs: Jobs) -> float:
    return float(jobs.store.db.query("SELECT lease FROM idempotency_keys")[0]["lease"])


@pytest.mark.parametrize("step", ["read", "submitted", "added", "made"])
def test_request_that_lost_its_key_makes_no_second_job(
    app: Flask,
    client: FlaskClient,
    steps: Steps,
    pool: ThreadPoolExecutor,
    clock: Clock,
    jobs: Jobs,
    step: str,
) -> None:
    steps.at[step] = gate = Gate()
    first = pool.submit(send, client)  # Its process is suspended here.
    assert gate.reached.wait(WAIT)
    clock.advance(LEASE_SECONDS + 1)
    del steps.at[step]
    second = send(_like(app, client))
    assert second.status_code == 201
    gate.opened.set()
    late = first.result()
    assert late.status_code in ({201} if step == "made" else {404, 409, 410})
    assert (count(jobs), newest_job(jobs).id) == (1, second.json["id"])  # type: ignore[index]
    assert send(client).data == second.data


# After a process died


@pytest.mark.parametrize("step", ["begun", "added", "made", "answered"])
def test_killed_process_leads_to_one_job(
    client: FlaskClient, jobs: Jobs, clock: Clock, step: str
) -> None:
    command = [sys.executable, "-m", "tests.support.idempotent", str(jobs.config.instance), step]
    dead = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    left = list(jobs.store.jobs.ids())
    assert len(left) == (step != "begun")
    no_cookies = client.application.test_client(use_cookies=False)  # As the dead one had none.
    if step != "answered":
        assert refused(send(no_cookies)) == IN_USE
    clock.advance(LEASE_SECONDS + 1)
    answer = send(no_cookies)
    assert answer.status_code == 201
    assert answer.json == {"id": newest_job(jobs).id, "images": 1, "pad": ""}
    assert replayed(answer) == (step in ("made", "answered"))
    assert (left == list(jobs.store.jobs.ids())) == (step in ("made", "answered"))
    assert count(jobs) == 1
    assert not jobs.job(newest_job(jobs).id).is_open
    sweep(jobs)
    assert len([path for path in files_left(jobs) if path.startswith(str(jobs.storage.originals))])


def test_sweep_forgets_the_key_of_a_process_that_died_before_its_job(
    jobs: Jobs, clock: Clock
) -> None:
    jobs.store.idempotency.begin("owner", "key", LEASE_SECONDS)
    sweep(jobs)
    assert keys(jobs) == 1
    clock.advance(LEASE_SECONDS + 1)
    sweep(jobs)
    assert keys(jobs) == 0


def test_other_request_after_a_process_died_with_its_job_is_refused(
    client: FlaskClient, jobs: Jobs, steps: Steps
) -> None:
    steps.at["made"] = fail
    send(client)
    steps.at.clear()
    assert refused(send(client, images=(OTHER,))) == REUSED
    assert replayed(send(client))
    assert count(jobs) == 1


def test_view_that_does_not_compare_its_request_fails(app: Flask) -> None:
    def create() -> str:
        with idempotency.idempotent() as attempt:
            return str(attempt.hold)

    with (
        app.test_request_context(method="POST", headers={"Idempotency-Key": "key"}),
        pytest.raises(RuntimeError, match="not compared"),
    ):
        create()
