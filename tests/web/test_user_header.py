"""A proxy in front that signs people in gives each of them the same jobs everywhere."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from tests.support.app import running_app
from tests.support.images import make_jpeg
from tests.support.people import Person, find_token, upload_image
from webapp.config import Config, HeaderName, Networks
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.tokens import create_token

ACCESS_TOKEN = "a-token-that-is-hard-to-guess"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(
        instance=tmp_path / "instance",
        access_token=ACCESS_TOKEN,
        trusted_proxies=1,
        user_header=HeaderName("Remote-User"),
        user_header_proxies=Networks("127.0.0.0/8 ::1 10.1.0.0/16"),
    )


def behind_proxy(app: Flask, user: str | None, peer: str = "127.0.0.1") -> Person:
    """Create a browser behind a proxy that has signed its user in."""
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = peer
    client.environ_base["HTTP_X_FORWARDED_FOR"] = "192.0.2.1"
    if user is not None:
        client.environ_base["HTTP_REMOTE_USER"] = user
    return Person(client)


def status_of_upload(person: Person) -> int:
    return upload_image(person.client, make_jpeg()).status_code


def test_person_has_the_same_jobs_in_every_browser(app: Flask) -> None:
    job = behind_proxy(app, "alice").submit(make_jpeg())
    other_browser = behind_proxy(app, "alice")
    listed = other_browser.get("/jobs").text
    assert job in listed
    assert "Made by you, in any browser" in listed
    assert other_browser.post(f"{job}/delete").status_code == 303


def test_another_person_has_other_jobs(app: Flask) -> None:
    job = behind_proxy(app, "alice").submit(make_jpeg())
    bob = behind_proxy(app, "bob")
    assert job not in bob.get("/jobs").text
    assert bob.post(f"{job}/delete").status_code == 403
    assert "Delete" not in bob.get(job).text


def test_person_needs_no_access_token(app: Flask) -> None:
    alice = behind_proxy(app, "alice")
    assert "Access token" not in alice.get("/sign-in").text
    page = alice.get("/").text
    assert "Signed in as </span><bdi>alice</bdi>" in page
    assert "Sign out" not in page
    assert status_of_upload(behind_proxy(app, None)) == 401


@pytest.mark.parametrize(
    "peer",
    ["192.0.2.7", "10.2.0.1", "2001:db8::1", "::ffff:192.0.2.7", "", "unix:", "127.0.0.1.evil"],
)
def test_header_from_any_other_address_is_ignored(
    app: Flask, peer: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert status_of_upload(behind_proxy(app, "alice", peer)) == 401
    assert "user header ignored" in caplog.messages
    assert "alice" not in caplog.text


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3"])
def test_header_from_a_trusted_proxy_counts(app: Flask, peer: str) -> None:
    assert status_of_upload(behind_proxy(app, "alice", peer)) == 202


def test_forwarded_address_makes_no_one_a_proxy(app: Flask) -> None:
    liar = behind_proxy(app, "alice", "192.0.2.7")
    liar.client.environ_base["HTTP_X_FORWARDED_FOR"] = "127.0.0.1"
    assert status_of_upload(liar) == 401


@pytest.mark.parametrize(
    "name", ["alice,bob", "bob, alice", " ", "x" * 201, "a\tb", "a\u202eb", "\xff", "token\x00"]
)
def test_header_that_is_no_name_is_ignored(app: Flask, name: str) -> None:
    # Two headers of one name, the client's and the proxy's, arrive joined by a comma.
    sent = name if name == "\xff" else name.encode().decode("latin-1")
    assert status_of_upload(behind_proxy(app, sent)) == 401


def test_names_may_have_any_letters(app: Flask) -> None:
    sent = "Zoë <zoe@example.com>".encode().decode("latin-1")
    assert (
        "Signed in as </span><bdi>Zoë &lt;zoe@example.com&gt;</bdi>"
        in behind_proxy(app, sent).get("/").text
    )


def test_no_one_is_a_user_without_the_setting(config: Config) -> None:
    with running_app(replace(config, user_header=HeaderName(""))) as app:
        assert status_of_upload(behind_proxy(app, "alice")) == 401


def test_name_of_a_user_is_no_token_and_no_session(app: Flask, jobs: Jobs) -> None:
    create_token(jobs.store, "build")
    token = jobs.store.tokens.all()[0]
    for name in (token.owner, token.id):
        upload_image(behind_proxy(app, name).client, make_jpeg())
    assert list(jobs.store.jobs.ids(token.owner)) == []


def test_token_of_a_program_counts_before_its_user(app: Flask, jobs: Jobs) -> None:
    token = create_token(jobs.store, "build")
    alice = behind_proxy(app, "alice")
    upload_image(alice.client, make_jpeg(), headers={"Authorization": f"Bearer {token}"})
    assert len(list(jobs.store.jobs.ids(jobs.store.tokens.all()[0].owner))) == 1


def test_bearer_token_that_the_proxy_adds_is_ignored(app: Flask) -> None:
    alice = behind_proxy(app, "alice")
    alice.client.environ_base["HTTP_AUTHORIZATION"] = "Bearer eyJhbGciOiJSUzI1NiJ9.of.another"
    assert alice.get("/jobs").status_code == 200
    assert alice.submit(make_jpeg())


def test_forms_of_a_user_are_protected(app: Flask, jobs: Jobs) -> None:
    alice = behind_proxy(app, "alice")
    job = alice.submit(make_jpeg())
    assert alice.client.post(f"{job}/delete").status_code == 400
    assert jobs.store.jobs.exists(job.removeprefix("/jobs/"))


@pytest.fixture
def before(config: Config) -> Iterator[tuple[str, str]]:
    """Return a job of a browser before the proxy signed people in, and its cookie."""
    settings = replace(config, user_header=HeaderName(""), access_token="")
    with running_app(settings) as app:
        person = Person(app.test_client())
        job = person.submit(make_jpeg())
        cookie = person.client.get_cookie("session")
        assert cookie
        yield job, cookie.value


def test_jobs_from_before_stay_with_the_browser(before: tuple[str, str], app: Flask) -> None:
    job, cookie = before
    alice = behind_proxy(app, "alice")
    alice.client.set_cookie("session", cookie)
    assert alice.get(job).status_code == 200
    assert job not in alice.get("/jobs").text
    without_header = behind_proxy(app, None)
    without_header.client.set_cookie("session", cookie)
    assert job in without_header.get("/jobs").text


def test_cookie_of_the_session_is_not_needed_to_own_jobs(app: Flask) -> None:
    alice = behind_proxy(app, "alice")
    job = alice.submit(make_jpeg())
    alice.client.delete_cookie("session")
    page = alice.get(job).text
    assert find_token(page)
    assert "Delete" in page


def test_page_of_another_site_cannot_use_the_user(app: Flask, jobs: Jobs) -> None:
    alice, origin = behind_proxy(app, "alice"), {"Origin": "https://evil.example"}
    assert upload_image(alice.client, make_jpeg(), headers=origin).status_code == 403
    assert list(jobs.store.jobs.ids()) == []
