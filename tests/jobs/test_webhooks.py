"""Webhooks: servers of owners are told when their jobs are finished."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from tests.support.app import running_app
from tests.support.clock import Clock
from tests.support.images import make_jpeg
from tests.support.jobs import add_image, add_token, claim, finish, received, sweep, work
from tests.support.receiver import PACKAGES, Receiver, receiving
from webapp.config import ROOT, Config, PrivateHosts
from webapp.jobs.deliveries import Callback, Delivery, DeliveryClaim
from webapp.jobs.errors import DeliveryNotFound, TokenRequired, TooManySent
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.outbound_errors import RequestRefused
from webapp.jobs.store.deliveries import KEPT
from webapp.jobs.tokens import revoke_token
from webapp.jobs.webhooks import LEASE_SECONDS, Webhooks, sign
from webapp.recipes.presets import PRESETS

OWNER = "token:7"
CLIENT = "127.0.0.1"
SQUARE = PRESETS["square"].recipe


def allowing(config: Config, *receivers: Receiver) -> Config:
    """Return settings that allow requests to these receivers on the loopback address."""
    hosts = " ".join(f"127.0.0.1:{receiver.port}" for receiver in receivers)
    return replace(config, allowed_private_hosts=PrivateHosts(hosts))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def config(config: Config, receiver: Receiver) -> Config:
    return allowing(config, receiver)


@pytest.fixture(autouse=True)
def stopped(clock: Clock) -> None:
    clock.stop()


@pytest.fixture
def jobs(jobs: Jobs) -> Jobs:
    add_token(jobs, OWNER)
    return jobs


@pytest.fixture
def webhooks(jobs: Jobs, config: Config) -> Webhooks:
    return Webhooks(jobs.store, config)


def submit(jobs: Jobs, receiver: Receiver, images: int = 1) -> str:
    """Create a closed job with a callback."""
    job_id = jobs.submit(SQUARE, OWNER, callback_url=receiver.url, origin="https://t.example")
    for number in range(images):
        add_image(jobs, job_id, make_jpeg(), f"{number}.jpg")
    jobs.close(job_id)
    return job_id


def finish_all(jobs: Jobs) -> None:
    """Finish all images that wait, without the time that decoding takes."""
    while jobs.store.operations.read_queue().depth:
        finish(jobs, claim(jobs))


def send_due(webhooks: Webhooks) -> None:
    """Make all tries that are due, as the consumer does."""
    while send := webhooks.take():
        send()


def callback(jobs: Jobs, job_id: str) -> Callback:
    found = jobs.job(job_id).callback
    assert found
    return found


def delivery(jobs: Jobs, job_id: str) -> Delivery:
    """Return the only delivery of a job."""
    (found,) = callback(jobs, job_id).deliveries
    return found


def deliver(jobs: Jobs, webhooks: Webhooks, receiver: Receiver) -> str:
    """Finish a job and make the first try of its delivery; return the job's id."""
    job_id = submit(jobs, receiver)
    finish_all(jobs)
    send_due(webhooks)
    return job_id


# What is sent


def counts(**numbers: int) -> dict[str, int]:
    """Return the counts of a finished job; those that are not given are 0."""
    names = ("waiting", "working", "done", "failed", "cancelled", "total", "missing")
    return {**dict.fromkeys(names, 0), **numbers}


def test_receiver_is_told_of_a_finished_job(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    job_id = submit(jobs, receiver, images=2)
    jobs.rename(job_id, "Summer – ☀")
    work(jobs)
    send_due(webhooks)
    (request,) = receiver.received
    job = jobs.job(job_id)
    assert job.expires
    assert request.path == "/hook?key=1"
    assert request.headers["Content-Type"] == "application/json"
    event = request.json
    assert event["type"] == "job.finished"
    assert datetime.fromisoformat(event["timestamp"]).tzinfo == UTC
    assert event["data"] == {
        "id": job_id,
        "title": "Summer – ☀",
        "name": "Summer – ☀",
        "status": "done",
        "counts": counts(total=2, done=2),
        "created": event["data"]["created"],
        "expires": event["data"]["expires"],
        "links": {
            "job": f"https://t.example/api/v1/jobs/{job_id}",
            "page": f"https://t.example/jobs/{job_id}",
            "zip": f"https://t.example/api/v1/jobs/{job_id}/thumbnails.zip",
        },
    }
    assert abs(datetime.fromisoformat(event["data"]["expires"]) - job.expires).seconds < 1


def test_a_body_stays_under_20_kb_with_the_longest_names(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    origin = f"https://{'a' * 253}:65535"
    job_id = jobs.submit(SQUARE, OWNER, callback_url=receiver.url, origin=origin)
    add_image(jobs, job_id, make_jpeg(), "☀" * 300)
    jobs.close(job_id)
    finish_all(jobs)
    send_due(webhooks)
    assert len(receiver.received[0].body.encode()) < 20_000


def test_receiver_is_told_what_failed_and_what_is_missing(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    job_id = submit(jobs, receiver, images=2)
    jobs.store.queue.fail(claim(jobs), "worker_lost", "It failed.")
    jobs.store.queue.cancel(job_id)
    send_due(webhooks)
    data = receiver.received[0].json["data"]
    assert data["status"] == "failed"
    assert data["counts"] == counts(total=2, failed=1, cancelled=1)


def test_job_of_which_nothing_arrived_is_told_as_failed(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, config: Config
) -> None:
    jobs.config = replace(config, fetch_urls=True)
    job_id = jobs.submit(SQUARE, OWNER, callback_url=receiver.url, origin="https://t.example")
    jobs.add_url(job_id, "https://example.com/a.jpg", None, None, CLIENT)
    jobs.close(job_id)
    send_due(webhooks)
    assert receiver.received == []
    jobs.cancel(job_id)
    send_due(webhooks)
    data = receiver.received[0].json["data"]
    assert data["status"] == "failed"
    assert data["counts"] == counts(missing=1)


def test_receiver_hears_nothing_before_the_last_image_is_finished(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    submit(jobs, receiver, images=2)
    finish(jobs, claim(jobs))
    send_due(webhooks)
    assert receiver.received == []
    finish(jobs, claim(jobs))
    send_due(webhooks)
    assert len(receiver.received) == 1


def test_receiver_hears_nothing_before_the_job_is_closed(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    job_id = jobs.submit(SQUARE, OWNER, callback_url=receiver.url, origin="https://t.example")
    add_image(jobs, job_id, make_jpeg())
    finish_all(jobs)
    send_due(webhooks)
    assert receiver.received == []
    jobs.close(job_id)
    send_due(webhooks)
    assert len(receiver.received) == 1


def test_job_that_was_left_open_is_finished_an_hour_later(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    job_id = jobs.submit(SQUARE, OWNER, callback_url=receiver.url, origin="https://t.example")
    add_image(jobs, job_id, make_jpeg())
    finish_all(jobs)
    clock.advance(hours=1)
    send_due(webhooks)
    assert len(receiver.received) == 1


def test_receiver_is_told_once_of_each_end(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    deliver(jobs, webhooks, receiver)
    send_due(webhooks)
    sweep(jobs)
    send_due(webhooks)
    assert len(receiver.received) == 1


def remake(jobs: Jobs, job_id: str) -> None:
    jobs.remake(job_id, PRESETS["card"].recipe, CLIENT)


def move_crop(jobs: Jobs, job_id: str) -> None:
    jobs.set_focal_point(job_id, jobs.job(job_id).images[0].id, (0.1, 0.1), CLIENT)


def add_more(jobs: Jobs, job_id: str) -> None:
    jobs.reopen(job_id)
    add_image(jobs, job_id, make_jpeg())
    jobs.close(job_id)


@pytest.mark.parametrize("change", [remake, move_crop, add_more])
def test_receiver_is_told_again_when_a_changed_job_is_finished(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, change: object
) -> None:
    job_id = deliver(jobs, webhooks, receiver)
    change(jobs, job_id)  # type: ignore[operator]
    send_due(webhooks)
    assert len(receiver.received) == 1
    finish_all(jobs)
    send_due(webhooks)
    first, second = receiver.received
    assert first.headers["webhook-id"] != second.headers["webhook-id"]


def test_receiver_is_told_again_when_a_failed_image_is_retried(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    job_id = submit(jobs, receiver)
    jobs.store.queue.fail(claim(jobs), "worker_lost", "It failed.")
    send_due(webhooks)
    jobs.retry(job_id, None, CLIENT)
    finish_all(jobs)
    send_due(webhooks)
    assert [one.json["data"]["status"] for one in receiver.received] == ["failed", "done"]


def test_receiver_is_told_again_when_a_failed_image_is_replaced(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    job_id = submit(jobs, receiver)
    jobs.store.queue.fail(claim(jobs), "worker_lost", "It failed.")
    send_due(webhooks)
    with received(jobs, make_jpeg()) as upload:
        image = jobs.job(job_id).images[0]
        jobs.replace_image(job_id, image.id, upload, "b.jpg", CLIENT)
    finish_all(jobs)
    send_due(webhooks)
    assert [one.json["data"]["status"] for one in receiver.received] == ["failed", "done"]


def fail_image(jobs: Jobs) -> None:
    jobs.store.queue.fail(claim(jobs), "worker_lost", "It failed.")


@pytest.mark.parametrize(
    ("restarted", "told"),
    [
        ("before it is told", ["done"]),
        ("before it is sent", ["failed", "done"]),
        ("while it is sent", ["failed", "done"]),
    ],
)
def test_last_state_is_told_whenever_a_job_is_restarted(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, restarted: str, told: list[str]
) -> None:
    job_id = submit(jobs, receiver)
    fail_image(jobs)

    def restart() -> None:
        receiver.meanwhile = lambda: None
        jobs.retry(job_id, None, CLIENT)
        finish_all(jobs)

    if restarted == "before it is told":
        restart()
    elif restarted == "before it is sent":
        send = webhooks.take()
        restart()
        assert send
        send()
    else:
        receiver.meanwhile = restart
    send_due(webhooks)
    assert [one.json["data"]["status"] for one in receiver.received] == told


def test_last_state_is_told_of_a_job_that_a_clock_set_back_opened(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    job_id = jobs.submit(SQUARE, OWNER, callback_url=receiver.url, origin="https://t.example")
    add_image(jobs, job_id, make_jpeg())
    finish_all(jobs)
    clock.advance(hours=1)
    send_due(webhooks)
    clock.advance(hours=-2)
    add_more(jobs, job_id)
    finish_all(jobs)
    send_due(webhooks)
    assert [one.json["data"]["counts"]["done"] for one in receiver.received] == [1, 2]


def test_last_state_is_told_after_fifty_when_the_clock_was_set_back(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    job_id = deliver(jobs, webhooks, receiver)
    for _ in range(KEPT - 1):
        jobs.reopen(job_id)
        jobs.close(job_id)
        send_due(webhooks)
    clock.advance(hours=-1)
    add_more(jobs, job_id)
    finish_all(jobs)
    send_due(webhooks)
    assert receiver.received[-1].json["data"]["counts"]["done"] == 2


def test_receiver_of_a_whole_job_of_one_image_is_told(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    with received(jobs, make_jpeg()) as upload:
        jobs.submit_image(
            SQUARE, OWNER, upload, "a.jpg", CLIENT, callback_url=receiver.url, origin="http://t"
        )
    finish_all(jobs)
    send_due(webhooks)
    assert len(receiver.received) == 1


# Who is told


def test_callback_needs_a_token(jobs: Jobs, receiver: Receiver) -> None:
    for owner in (None, "session-id", "user:anna"):
        with pytest.raises(TokenRequired):
            jobs.submit(SQUARE, owner, callback_url=receiver.url, origin="http://t")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "url_invalid"),
        ("ftp://example.com/", "url_scheme_refused"),
        ("https://user:pass@example.com/", "url_credentials_refused"),
        ("https://example.com:22/", "url_port_refused"),
        (f"https://example.com/{'a' * 2000}", "url_invalid"),
    ],
)
def test_callback_with_a_wrong_form_is_refused_at_once(jobs: Jobs, url: str, code: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        jobs.submit(SQUARE, OWNER, callback_url=url, origin="http://t")
    assert (refused.value.code, refused.value.field) == (code, "callback_url")
    assert list(jobs.store.jobs.ids()) == []


def test_private_address_is_told_nothing_unless_the_operator_allows_it(
    jobs: Jobs, receiver: Receiver, config: Config
) -> None:
    job_id = submit(jobs, receiver)
    finish_all(jobs)
    send_due(Webhooks(jobs.store, allowing(config)))
    assert receiver.received == []
    assert delivery(jobs, job_id).tries[0].error_code in ("address_refused", "url_port_refused")


# Signatures


def test_signature_is_that_of_the_examples_of_standard_webhooks() -> None:
    claimed = DeliveryClaim(
        id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        job_id="",
        owner="",
        url="",
        body='{"test": 2432232314}',
        number=1,
        retries_left=0,
        first_try=None,
    )
    moment = datetime.fromtimestamp(1614265330, UTC)
    headers = sign(claimed, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], moment)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


def test_npm_package_of_standard_webhooks_verifies_what_is_sent(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    job_id = submit(jobs, receiver)
    jobs.rename(job_id, "Été ☀")
    finish_all(jobs)
    send_due(webhooks)
    secret = jobs.store.webhook_secrets.current(OWNER)
    event = receiver.received[0].verified_by_npm(secret)
    assert event["data"]["title"] == "Été ☀"


def test_npm_package_refuses_what_was_changed_or_signed_for_another_owner(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    deliver(jobs, webhooks, receiver)
    request = receiver.received[0]
    secret = jobs.store.webhook_secrets.current(OWNER)
    changed = replace(request, body=request.body.replace("done", "sold"))
    assert changed.verified_by_npm(secret) is None
    assert request.verified_by_npm(jobs.store.webhook_secrets.current("token:8")) is None


def test_python_package_of_standard_webhooks_verifies_what_is_sent(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    deliver(jobs, webhooks, receiver)
    request = receiver.received[0]
    secret = jobs.store.webhook_secrets.current(OWNER)
    assert Webhook(secret).verify(request.body, dict(request.headers)) == request.json


@pytest.mark.parametrize(
    ("language", "program", "call"),
    [
        ("python", (sys.executable, "-c"), "print(read_webhook({}, {})['type'])"),
        ("js", ("node", "-e"), "console.log(readWebhook({}, {}).type)"),
    ],
)
def test_examples_of_the_documentation_verify_what_is_sent(
    jobs: Jobs,
    webhooks: Webhooks,
    receiver: Receiver,
    language: str,
    program: tuple[str, str],
    call: str,
) -> None:
    deliver(jobs, webhooks, receiver)
    request = receiver.received[0]
    text = (ROOT / "docs/http-api.md").read_text().partition("## Webhooks")[2]
    example = text.partition(f"```{language}\n")[2].partition("```")[0]
    call = call.format(json.dumps(request.body), json.dumps(dict(request.headers)))
    found = subprocess.run(
        [*program, f"{example}\n{call}"],
        env={
            **os.environ,
            "NODE_PATH": str(PACKAGES),
            "WEBHOOK_SECRET": jobs.store.webhook_secrets.current(OWNER),
        },
        capture_output=True,
        text=True,
    )
    assert found.stdout == "job.finished\n", found.stderr


def test_old_secret_verifies_for_a_day_after_a_rotation(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    old = jobs.store.webhook_secrets.current(OWNER)
    new = jobs.store.webhook_secrets.rotate(OWNER)
    assert new == jobs.store.webhook_secrets.current(OWNER) != old
    deliver(jobs, webhooks, receiver)
    during = receiver.received[0]
    assert during.verified_by_npm(old)
    assert during.verified_by_npm(new)
    clock.advance(hours=24)
    assert jobs.store.webhook_secrets.valid(OWNER) == [new]


def test_each_rotation_leaves_the_secrets_before_it_their_day(jobs: Jobs, clock: Clock) -> None:
    secrets = jobs.store.webhook_secrets
    first = secrets.current(OWNER)
    clock.advance(hours=1)
    second = secrets.rotate(OWNER)
    clock.advance(hours=1)
    third = secrets.rotate(OWNER)
    assert secrets.valid(OWNER) == [third, second, first]
    clock.advance(hours=23)
    assert secrets.valid(OWNER) == [third, second]


def test_sweep_deletes_a_secret_that_no_longer_signs(jobs: Jobs, clock: Clock) -> None:
    jobs.store.webhook_secrets.current(OWNER)
    secret = jobs.store.webhook_secrets.rotate(OWNER)
    clock.advance(hours=24)
    sweep(jobs)
    rows = jobs.store.db.query("SELECT secret FROM webhook_secrets")
    assert [row["secret"] for row in rows] == [secret]


def test_many_rotations_make_no_endless_header(jobs: Jobs, clock: Clock) -> None:
    secrets = jobs.store.webhook_secrets
    for _ in range(9):
        clock.advance(seconds=1)
        newest = secrets.rotate(OWNER)
    assert secrets.valid(OWNER)[0] == newest
    assert len(secrets.valid(OWNER)) == 5


def test_each_owner_has_a_secret_of_256_bits(jobs: Jobs) -> None:
    one, other = map(jobs.store.webhook_secrets.current, (OWNER, "token:8"))
    assert one != other
    assert one.startswith("whsec_")
    assert len(one) == len("whsec_") + 44


# Tries


def test_delivery_is_tried_five_times_and_fails(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    receiver.statuses = (500,)
    job_id = deliver(jobs, webhooks, receiver)
    began = clock()
    for tries, seconds in enumerate([5, 300, 1800, 7200], 1):
        clock.stop(began + seconds - 0.5)
        send_due(webhooks)
        assert len(receiver.received) == tries
        clock.stop(began + seconds)
        send_due(webhooks)
        assert len(receiver.received) == tries + 1
    clock.advance(hours=10)
    send_due(webhooks)
    assert len(receiver.received) == 5
    assert delivery(jobs, job_id).status == "failed"


def next_try(jobs: Jobs, job_id: str) -> float:
    moment = delivery(jobs, job_id).next_try
    assert moment
    return moment.timestamp()


def test_slow_receiver_does_not_shift_the_tries(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    receiver.statuses, receiver.meanwhile = (500,), lambda: clock.advance(seconds=15)
    began = clock()
    job_id = deliver(jobs, webhooks, receiver)
    assert next_try(jobs, job_id) - clock() == pytest.approx(
        5, abs=0.01
    )  # The planned moment is over.
    for seconds in (300, 1800, 7200):
        clock.stop(next_try(jobs, job_id) + 0.001)
        send_due(webhooks)
        assert next_try(jobs, job_id) - began == pytest.approx(seconds, abs=0.01)


def test_tries_keep_their_pauses_after_the_servers_were_stopped(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    receiver.statuses = (500,)
    job_id = deliver(jobs, webhooks, receiver)
    clock.advance(hours=3)
    for pause in (295, 1500, 5400):
        send_due(webhooks)
        assert next_try(jobs, job_id) - clock() == pytest.approx(pause, abs=0.01)
        clock.advance(seconds=pause + 1)


def test_all_tries_have_one_id_and_body_and_each_its_own_time(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    receiver.statuses = (500, 200)
    job_id = deliver(jobs, webhooks, receiver)
    jobs.rename(job_id, "Another name")
    clock.advance(seconds=5)
    send_due(webhooks)
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    times = [int(one.headers["webhook-timestamp"]) for one in receiver.received]
    assert times[1] - times[0] == 5
    assert delivery(jobs, job_id).status == "delivered"


@pytest.mark.parametrize("status", [301, 307, 404, 429, 500, 503])
def test_answer_that_is_no_success_is_tried_again(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, status: int
) -> None:
    receiver.statuses, receiver.headers = (status,), {"Location": "/other"}
    job_id = deliver(jobs, webhooks, receiver)
    (tried,) = delivery(jobs, job_id).tries
    assert (tried.answer, tried.error_code) == (status, "webhook_answered")
    assert str(status) in (tried.error_message or "")
    assert delivery(jobs, job_id).status == "waiting"
    assert [one.path for one in receiver.received] == ["/hook?key=1"]


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_success_ends_the_tries(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, status: int
) -> None:
    receiver.statuses = (status,)
    job_id = deliver(jobs, webhooks, receiver)
    (tried,) = delivery(jobs, job_id).tries
    assert (tried.answer, tried.error_code, tried.error_message) == (status, None, None)
    assert delivery(jobs, job_id).status == "delivered"


def test_receiver_that_does_not_run_is_tried_again(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    receiver.stop()
    job_id = deliver(jobs, webhooks, receiver)
    assert delivery(jobs, job_id).tries[0].error_code == "url_unreachable"
    assert delivery(jobs, job_id).status == "waiting"


def test_receiver_may_work_before_it_answers(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.jobs.outbound.READ_SECONDS", 0.05)
    receiver.seconds = 0.2
    job_id = deliver(jobs, webhooks, receiver)
    assert delivery(jobs, job_id).status == "delivered"


def test_receiver_that_takes_too_long_is_tried_again(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.jobs.webhooks.SECONDS", 0.1)
    receiver.seconds = 0.3
    job_id = deliver(jobs, webhooks, receiver)
    assert delivery(jobs, job_id).tries[0].error_code == "url_timed_out"
    assert delivery(jobs, job_id).status == "waiting"


@pytest.mark.parametrize(("asked", "waits"), [("60", 60), ("1", 5), ("99999999", 3600)])
def test_receiver_decides_within_bounds_when_it_is_tried_again(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock, asked: str, waits: int
) -> None:
    receiver.statuses, receiver.headers = (503,), {"Retry-After": asked}
    job_id = deliver(jobs, webhooks, receiver)
    assert next_try(jobs, job_id) - clock() == pytest.approx(waits, abs=0.01)


def test_receiver_that_is_gone_gets_nothing_more_of_the_job(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    receiver.statuses = (500, 410)
    job_id = deliver(jobs, webhooks, receiver)
    remake(jobs, job_id)
    finish_all(jobs)
    send_due(webhooks)
    clock.advance(hours=1)
    send_due(webhooks)
    remake(jobs, job_id)
    finish_all(jobs)
    send_due(webhooks)
    assert len(receiver.received) == 2
    assert callback(jobs, job_id).is_stopped
    assert {one.status for one in callback(jobs, job_id).deliveries} == {"stopped"}


def test_webhook_that_is_sent_during_a_410_is_not_tried_again(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    receiver.statuses = (500, 410, 500)
    job_id = deliver(jobs, webhooks, receiver)
    remake(jobs, job_id)
    finish_all(jobs)
    clock.advance(hours=1)
    both = [webhooks.take(), webhooks.take()]
    for send in both:
        assert send
        send()
    assert [one.status for one in callback(jobs, job_id).deliveries] == ["stopped", "stopped"]


def test_other_jobs_of_the_owner_are_still_told_after_a_410(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    receiver.statuses = (410, 200)
    deliver(jobs, webhooks, receiver)
    job_id = deliver(jobs, webhooks, receiver)
    assert delivery(jobs, job_id).status == "delivered"


# A token that is revoked


def revoke(jobs: Jobs) -> None:
    assert revoke_token(jobs.store, OWNER.removeprefix("token:"))


def send_in_the_next_hours(webhooks: Webhooks, clock: Clock) -> None:
    send_due(webhooks)
    for _ in range(5):
        clock.advance(hours=2)
        send_due(webhooks)


def test_webhook_that_waits_ends_when_its_token_is_revoked(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    receiver.statuses = (500,)
    job_id = deliver(jobs, webhooks, receiver)
    revoke(jobs)
    send_due(webhooks)
    assert delivery(jobs, job_id).status == "stopped"
    assert [one.error_code for one in delivery(jobs, job_id).tries] == [
        "webhook_answered",
        "token_revoked",
    ]
    send_in_the_next_hours(webhooks, clock)
    assert len(receiver.received) == 1


def test_job_that_ends_after_its_token_was_revoked_is_not_told(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    job_id = submit(jobs, receiver)
    revoke(jobs)
    finish_all(jobs)
    send_in_the_next_hours(webhooks, clock)
    assert receiver.received == []
    assert callback(jobs, job_id).deliveries == ()
    assert jobs.store.deliveries.finished_ids() == []


def test_webhook_that_is_sent_while_its_token_is_revoked_is_not_tried_again(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    receiver.statuses, receiver.meanwhile = (500,), lambda: revoke(jobs)
    job_id = deliver(jobs, webhooks, receiver)
    assert delivery(jobs, job_id).status == "stopped"
    assert [one.answer for one in delivery(jobs, job_id).tries] == [500]
    send_in_the_next_hours(webhooks, clock)
    assert len(receiver.received) == 1


def test_try_of_a_revoked_token_whose_sender_died_is_not_repeated(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    job_id = submit(jobs, receiver)
    finish_all(jobs)
    assert webhooks.take()  # And is never run.
    revoke(jobs)
    clock.advance(seconds=LEASE_SECONDS)
    send_due(webhooks)
    assert receiver.received == []
    assert delivery(jobs, job_id).status == "stopped"


def test_webhook_of_a_revoked_token_is_not_sent_again(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    job_id = deliver(jobs, webhooks, receiver)
    revoke(jobs)
    jobs.send_again(job_id, delivery(jobs, job_id).id, CLIENT)  # It was asked for before.
    send_due(webhooks)
    assert len(receiver.received) == 1
    assert delivery(jobs, job_id).status == "stopped"


def test_job_whose_upload_ends_after_its_token_is_gone_is_not_told(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    revoke(jobs)
    sweep(jobs)
    assert jobs.store.tokens.all() == []
    submit(jobs, receiver)
    finish_all(jobs)
    send_due(webhooks)
    assert receiver.received == []


def test_other_tokens_tell_on_after_one_is_revoked(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    submit(jobs, receiver)
    add_token(jobs, "token:8")
    assert revoke_token(jobs.store, "8")
    finish_all(jobs)
    send_due(webhooks)
    assert len(receiver.received) == 1


def test_revoked_token_goes_with_its_last_job_and_its_secrets_at_once(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    job_id = deliver(jobs, webhooks, receiver)
    add_token(jobs, "token:8")
    revoke(jobs)
    sweep(jobs)
    assert jobs.store.db.query("SELECT * FROM webhook_secrets") == []
    assert [(token.id, token.jobs) for token in jobs.store.tokens.all()] == [("8", 0), ("7", 1)]
    jobs.delete_with_undo(job_id)
    sweep(jobs)  # It can be restored.
    assert [token.id for token in jobs.store.tokens.all()] == ["8", "7"]
    clock.advance(hours=25)
    sweep(jobs)
    assert [token.id for token in jobs.store.tokens.all()] == ["8"]


# Kills and restarts


def test_try_whose_sender_died_is_repeated_when_its_lease_ends(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    job_id = submit(jobs, receiver)
    finish_all(jobs)
    assert webhooks.take()  # And is never run.
    clock.advance(seconds=LEASE_SECONDS - 1)
    send_due(webhooks)
    assert receiver.received == []
    clock.advance(seconds=1)
    send_due(webhooks)
    assert len(receiver.received) == 1
    assert delivery(jobs, job_id).status == "delivered"


def test_clock_that_is_set_back_holds_up_no_delivery(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    submit(jobs, receiver)
    finish_all(jobs)
    clock.advance(hours=3)
    assert webhooks.take()  # And is never run.
    clock.advance(hours=-3)
    sweep(jobs)
    send_due(webhooks)
    assert len(receiver.received) == 1


def test_killed_try_costs_none_of_the_five(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    receiver.statuses = (500,)
    submit(jobs, receiver)
    finish_all(jobs)
    webhooks.take()
    for _ in range(10):
        clock.advance(hours=2)
        send_due(webhooks)
    assert len(receiver.received) == 5


def test_stop_hands_back_what_a_slow_receiver_holds_up(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, config: Config
) -> None:
    job_id = submit(jobs, receiver)
    finish_all(jobs)
    receiver.seconds = 5
    stopping = Webhooks(jobs.store, config, lambda: bool(receiver.received))
    send = stopping.take()
    assert send
    began = time.monotonic()
    send()
    assert time.monotonic() - began < 3
    receiver.seconds = 0
    send_due(webhooks)
    assert delivery(jobs, job_id).status == "delivered"
    assert len(delivery(jobs, job_id).tries) == 1


def test_sender_that_lost_its_lease_changes_nothing(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    job_id = submit(jobs, receiver)
    finish_all(jobs)
    slow = webhooks.take()
    assert slow
    clock.advance(seconds=LEASE_SECONDS)
    send_due(webhooks)
    receiver.statuses = (410,)
    slow()
    assert delivery(jobs, job_id).status == "delivered"
    assert len(delivery(jobs, job_id).tries) == 1
    assert not callback(jobs, job_id).is_stopped


def test_slow_sender_takes_no_delivery_from_the_next(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    job_id = submit(jobs, receiver)
    finish_all(jobs)
    slow = webhooks.take()
    clock.advance(seconds=LEASE_SECONDS)
    next_one = webhooks.take()
    assert slow
    assert next_one
    slow()
    assert delivery(jobs, job_id).status == "sending"
    next_one()
    assert delivery(jobs, job_id).status == "delivered"


def test_end_that_no_process_saw_is_found_after_a_restart(
    config: Config, receiver: Receiver, clock: Clock
) -> None:
    with running_app(config, clock) as app:
        add_token(app.extensions["jobs"], OWNER)
        submit(app.extensions["jobs"], receiver)
        finish_all(app.extensions["jobs"])
    with running_app(config, clock) as app:
        send_due(Webhooks(app.extensions["jobs"].store, config))
    assert len(receiver.received) == 1


def test_job_is_not_marked_as_told_if_its_delivery_cannot_be_written(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    submit(jobs, receiver)
    finish_all(jobs)
    jobs.store.db.execute(
        "CREATE TRIGGER broken BEFORE INSERT ON deliveries BEGIN SELECT raise(ABORT, 'no'); END"
    )
    with pytest.raises(Exception, match="no"):
        webhooks.take()
    jobs.store.db.execute("DROP TRIGGER broken")
    send_due(webhooks)
    assert len(receiver.received) == 1


def test_owner_with_a_slow_receiver_does_not_hold_up_others(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    add_token(jobs, "token:8")
    for _ in range(4):
        submit(jobs, receiver)
    other = jobs.submit(SQUARE, "token:8", callback_url=receiver.url, origin="http://t")
    add_image(jobs, other, make_jpeg())
    jobs.close(other)
    finish_all(jobs)
    under_way = [webhooks.take() for _ in range(9)]
    assert len(list(filter(None, under_way))) == 3  # Two of the first owner, one of the other.
    for send in filter(None, under_way):
        send()
    send_due(webhooks)
    assert len(receiver.received) == 5


# The end of a job


def test_deliveries_go_with_their_job(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    receiver.statuses = (500,)
    deliver(jobs, webhooks, receiver)
    clock.advance(hours=25)
    send_due(webhooks)
    sweep(jobs)
    assert len(receiver.received) == 1
    for table in ("deliveries", "delivery_tries"):
        assert jobs.store.db.query(f"SELECT * FROM {table}") == []


def test_deleted_job_is_not_told_of_until_it_is_restored(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    receiver.statuses = (500, 200)
    job_id = deliver(jobs, webhooks, receiver)
    jobs.delete_with_undo(job_id)
    clock.advance(seconds=30)
    send_due(webhooks)
    assert len(receiver.received) == 1
    jobs.restore(job_id, OWNER, CLIENT)
    send_due(webhooks)
    assert delivery(jobs, job_id).status == "delivered"


def test_job_keeps_its_newest_fifty_deliveries(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    job_id = deliver(jobs, webhooks, receiver)
    for _ in range(51):
        jobs.reopen(job_id)
        jobs.close(job_id)
        send_due(webhooks)
    assert len(callback(jobs, job_id).deliveries) == 50
    assert len(receiver.received) == 52


# Send again


def test_owner_sends_a_delivery_again(jobs: Jobs, webhooks: Webhooks, receiver: Receiver) -> None:
    job_id = deliver(jobs, webhooks, receiver)
    jobs.send_again(job_id, delivery(jobs, job_id).id, CLIENT)
    assert delivery(jobs, job_id).status == "waiting"
    send_due(webhooks)
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert len(delivery(jobs, job_id).tries) == 2
    assert delivery(jobs, job_id).status == "delivered"


def test_delivery_that_failed_is_tried_once_more(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    receiver.statuses = (500,)
    job_id = deliver(jobs, webhooks, receiver)
    for _ in range(4):
        clock.advance(hours=2)
        send_due(webhooks)
    jobs.send_again(job_id, delivery(jobs, job_id).id, CLIENT)
    send_due(webhooks)
    assert len(receiver.received) == 6
    assert delivery(jobs, job_id).status == "failed"


def test_delivery_that_waits_is_sent_now(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    receiver.statuses = (500, 200)
    job_id = deliver(jobs, webhooks, receiver)
    jobs.send_again(job_id, delivery(jobs, job_id).id, CLIENT)
    send_due(webhooks)
    assert delivery(jobs, job_id).status == "delivered"


def test_delivery_that_is_being_sent_is_not_sent_twice(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    job_id = submit(jobs, receiver)
    finish_all(jobs)
    send = webhooks.take()
    assert send
    jobs.send_again(job_id, delivery(jobs, job_id).id, CLIENT)
    assert webhooks.take() is None
    send()
    assert len(receiver.received) == 1


def test_unknown_delivery_is_not_sent_again(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    job_id = deliver(jobs, webhooks, receiver)
    other = deliver(jobs, webhooks, receiver)
    for unknown in ("msg_0", delivery(jobs, other).id):
        with pytest.raises(DeliveryNotFound):
            jobs.send_again(job_id, unknown, CLIENT)


def test_client_sends_a_hundred_times_again_in_an_hour(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, clock: Clock
) -> None:
    job_id = deliver(jobs, webhooks, receiver)
    for _ in range(100):
        jobs.send_again(job_id, delivery(jobs, job_id).id, CLIENT)
    with pytest.raises(TooManySent):
        jobs.send_again(job_id, delivery(jobs, job_id).id, CLIENT)
    clock.advance(hours=1.1)
    jobs.send_again(job_id, delivery(jobs, job_id).id, CLIENT)


def test_log_keeps_the_last_twenty_tries(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    job_id = deliver(jobs, webhooks, receiver)
    for _ in range(24):
        jobs.send_again(job_id, delivery(jobs, job_id).id, CLIENT)
        send_due(webhooks)
    assert len(delivery(jobs, job_id).tries) == 20


# What is seen of it


def test_page_sees_each_try_as_a_new_version_of_its_job(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver
) -> None:
    job_id = submit(jobs, receiver)
    finish_all(jobs)
    before = jobs.job(job_id).version
    send = webhooks.take()
    written = jobs.job(job_id).version
    assert send
    send()
    assert before < written < jobs.job(job_id).version


def test_log_has_a_line_for_each_try_without_the_secret_parts_of_its_address(
    jobs: Jobs, webhooks: Webhooks, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "webapp")
    receiver.statuses = (500,)
    job_id = deliver(jobs, webhooks, receiver)
    (line,) = [record for record in caplog.records if record.name == "webapp.jobs.webhooks"]
    fields = vars(line)
    assert line.getMessage() == "webhook waiting"
    assert (fields["job_id"], fields["answer"], fields["next_try_s"]) == (job_id, 500, 5)
    assert "key=1" not in json.dumps(fields, default=str)
