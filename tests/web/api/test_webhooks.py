"""Webhooks of jobs over the API."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from tests.support.images import make_jpeg
from tests.support.jobs import send_webhooks, work
from tests.support.people import multipart, part
from tests.support.programs import JOBS, SQUARE, wrong_fields
from tests.support.receiver import Receiver, receiving
from webapp.config import Config, PrivateHosts
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.tokens import create_token
from webapp.web.api.schemas import JobFinished


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def config(config: Config, receiver: Receiver) -> Config:
    return replace(config, allowed_private_hosts=PrivateHosts(f"127.0.0.1:{receiver.port}"))


@pytest.fixture
def token(jobs: Jobs) -> dict[str, str]:
    """The header of a program with a token."""
    return {"Authorization": f"Bearer {create_token(jobs.store, 'shop', None, None)}"}


def submit(client: FlaskClient, receiver: Receiver, token: dict[str, str]) -> str:
    """Create a job of one image with a callback, and return its address."""
    form = multipart(file=part(make_jpeg(), "a"), preset="square", callback_url=receiver.url)
    return client.post(JOBS, headers=token, **form).headers["Location"]


def test_what_is_sent_is_as_documented(
    client: FlaskClient, jobs: Jobs, receiver: Receiver, token: dict[str, str]
) -> None:
    url = submit(client, receiver, token)
    work(jobs)
    send_webhooks(jobs)
    (sent,) = receiver.received
    told = msgspec.json.decode(sent.body, type=JobFinished)
    assert told.data.links.job == url
    assert told.data.counts.done == 1


def test_log_has_what_was_sent(
    client: FlaskClient, jobs: Jobs, receiver: Receiver, token: dict[str, str]
) -> None:
    url = submit(client, receiver, token)
    work(jobs)
    send_webhooks(jobs)
    log: Any = client.get(f"{url}/deliveries", headers=token).json
    assert log["callback_url"] == receiver.url
    (delivery,) = log["deliveries"]
    assert (delivery["type"], delivery["status"]) == ("job.finished", "delivered")
    assert [one["error"] for one in delivery["tries"]] == [None]


def test_delivery_can_be_sent_again(
    client: FlaskClient, jobs: Jobs, receiver: Receiver, token: dict[str, str]
) -> None:
    url = submit(client, receiver, token)
    work(jobs)
    send_webhooks(jobs)
    log: Any = client.get(f"{url}/deliveries", headers=token).json
    again = f"{url}/deliveries/{log['deliveries'][0]['id']}/send"
    answer = client.post(again, headers=token)
    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "1")
    send_webhooks(jobs)
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 1
    assert len(receiver.received) == 2


def test_only_the_owner_sees_the_log(
    client: FlaskClient, receiver: Receiver, token: dict[str, str]
) -> None:
    url = submit(client, receiver, token)
    assert client.get(f"{url}/deliveries").status_code == 403
    assert receiver.url not in client.get(url).text


def test_callback_needs_a_token(client: FlaskClient, receiver: Receiver) -> None:
    answer = client.post(JOBS, json={**SQUARE, "callback_url": receiver.url})
    assert (answer.status_code, answer.json["code"]) == (403, "token_required")  # type: ignore[index]


def test_wrong_callback_is_refused_at_once(client: FlaskClient, token: dict[str, str]) -> None:
    body = {**SQUARE, "callback_url": "ftp://a.test/"}
    assert list(wrong_fields(client.post(JOBS, headers=token, json=body))) == ["#/callback_url"]
