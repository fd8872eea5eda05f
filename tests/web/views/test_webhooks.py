"""The page of a job shows its owner whether their server was told, and sends it again."""

from collections.abc import Iterator
from dataclasses import replace
from html import unescape

import pytest

from tests.support.clock import Clock
from tests.support.images import make_jpeg
from tests.support.jobs import add_image, claim, finish, send_webhooks, work
from tests.support.pages import Page
from tests.support.people import Person
from tests.support.receiver import Receiver, receiving
from webapp.config import Config, PrivateHosts
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.tokens import create_token
from webapp.recipes.presets import PRESETS


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def config(config: Config, receiver: Receiver) -> Config:
    return replace(config, allowed_private_hosts=PrivateHosts(f"127.0.0.1:{receiver.port}"))


@pytest.fixture
def token(jobs: Jobs) -> str:
    return create_token(jobs.store, "shop") or ""


@pytest.fixture
def owner(person: Person, token: str) -> Person:
    """A person who signed in with the token."""
    person.post("/sign-in", token=token)
    return person


@pytest.fixture
def job_id(jobs: Jobs, receiver: Receiver, token: str) -> str:
    """The id of a job of the token that is not finished."""
    job_id = jobs.submit(
        PRESETS["square"].recipe,
        jobs.store.tokens.all()[0].owner,
        callback_url=receiver.url,
        origin="http://localhost",
    )
    add_image(jobs, job_id, make_jpeg())
    jobs.close(job_id)
    return job_id


def finish_and_send(jobs: Jobs) -> None:
    finish(jobs, claim(jobs))
    send_webhooks(jobs)


def section(page: Page) -> str:
    return " ".join(unescape(page.text("#webhook")).split())


def test_owner_sees_the_address_without_its_query(
    owner: Person, jobs: Jobs, job_id: str, receiver: Receiver
) -> None:
    page = owner.page(f"/jobs/{job_id}")
    assert f"http://127.0.0.1:{receiver.port}/hook is told when this job" in section(page)
    assert "key=1" not in owner.get(f"/jobs/{job_id}").text


def test_guests_see_nothing_of_the_webhook(stranger: Person, jobs: Jobs, job_id: str) -> None:
    finish_and_send(jobs)
    page = stranger.get(f"/jobs/{job_id}").text
    assert "127.0.0.1" not in page
    assert "msg_" not in page
    assert stranger.get(f"/jobs/{job_id}/webhook").status_code == 403


def test_job_without_a_callback_has_no_section(person: Person) -> None:
    path = person.submit(make_jpeg())
    assert not person.page(path).all("#webhook")
    assert person.get(f"{path}/webhook").status_code == 404


def test_owner_sees_that_it_was_delivered(owner: Person, jobs: Jobs, job_id: str) -> None:
    finish_and_send(jobs)
    shown = section(owner.page(f"/jobs/{job_id}"))
    assert "Delivered" in shown
    assert "The receiver answered 200." in shown


def test_owner_sees_why_it_was_not_delivered_and_when_the_next_try_is(
    owner: Person, jobs: Jobs, job_id: str, receiver: Receiver
) -> None:
    receiver.statuses = (503,)
    finish_and_send(jobs)
    shown = section(owner.page(f"/jobs/{job_id}"))
    assert "Waiting for the next try, " in shown
    assert "The receiver answered 503." in shown


def test_owner_sees_that_a_receiver_wants_no_more(
    owner: Person, jobs: Jobs, job_id: str, receiver: Receiver
) -> None:
    receiver.statuses = (410,)
    finish_and_send(jobs)
    assert "answered 410, so it is told nothing more" in section(owner.page(f"/jobs/{job_id}"))


def test_page_of_a_finished_job_polls_until_its_webhook_is_delivered(
    owner: Person, jobs: Jobs, job_id: str, clock: Clock
) -> None:
    finish(jobs, claim(jobs))
    address = owner.page(f"/jobs/{job_id}").value("#webhook", "hx-get")
    assert owner.get(address).status_code == 204
    send_webhooks(jobs)
    answer = owner.get(address)
    assert "Delivered" in answer.text
    assert "hx-get" not in answer.text


def test_poll_of_a_later_try_is_slow(
    owner: Person, jobs: Jobs, job_id: str, receiver: Receiver, clock: Clock
) -> None:
    receiver.statuses = (500,)
    finish_and_send(jobs)
    assert "every 1000ms" in owner.get(f"/jobs/{job_id}").text
    clock.advance(seconds=5)
    send_webhooks(jobs)
    assert "every 10000ms" in owner.get(f"/jobs/{job_id}").text


def test_poll_of_a_running_job_brings_its_webhook(owner: Person, jobs: Jobs, job_id: str) -> None:
    version = jobs.job(job_id).version
    finish_and_send(jobs)
    answer = owner.get(f"/jobs/{job_id}/panel?v={version}")
    assert "Delivered" in answer.text


def test_section_goes_with_its_job(owner: Person, jobs: Jobs, job_id: str) -> None:
    jobs.delete(job_id)
    answer = owner.get(f"/jobs/{job_id}/webhook?v=1")
    assert (answer.status_code, answer.text) == (200, "")


def test_owner_sends_it_again_without_script(
    owner: Person, jobs: Jobs, job_id: str, receiver: Receiver
) -> None:
    finish_and_send(jobs)
    address = owner.page(f"/jobs/{job_id}").value("#webhook button", "formaction")
    answer = owner.post(address)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/jobs/{job_id}")
    send_webhooks(jobs)
    assert len(receiver.received) == 2


def test_owner_sends_it_again_by_htmx(owner: Person, jobs: Jobs, job_id: str) -> None:
    finish_and_send(jobs)
    address = owner.page(f"/jobs/{job_id}").value("#webhook button", "formaction")
    answer = owner.post_by_htmx(address, v=jobs.job(job_id).version - 1)
    assert "The webhook is sent again." in answer.headers["HX-Trigger"]
    assert "Waiting" in answer.text


def test_only_the_owner_sends_again(
    owner: Person, stranger: Person, jobs: Jobs, job_id: str
) -> None:
    finish_and_send(jobs)
    address = owner.page(f"/jobs/{job_id}").value("#webhook button", "formaction")
    assert stranger.post(address).status_code == 403


def test_unknown_delivery_is_not_found(owner: Person, job_id: str) -> None:
    assert owner.post(f"/jobs/{job_id}/deliveries/msg_0/send").status_code == 404


def test_links_of_a_webhook_lead_to_the_job(
    owner: Person, jobs: Jobs, job_id: str, receiver: Receiver
) -> None:
    work(jobs)
    send_webhooks(jobs)
    for link in receiver.received[0].json["data"]["links"].values():
        assert owner.get(link).status_code == 200, link


def test_a_webhook_has_the_words_of_the_api(
    owner: Person, jobs: Jobs, job_id: str, receiver: Receiver
) -> None:
    work(jobs)
    send_webhooks(jobs)
    data = receiver.received[0].json["data"]
    job = owner.client.get(f"/api/v1/jobs/{job_id}").json
    assert job
    del data["counts"]["missing"]
    data["created"] = data["expires"] = job["created"] = job["expires"] = None
    links = {name: job["links"][name] for name in data["links"]}
    assert data == {name: job[name] for name in data} | {"links": links}
