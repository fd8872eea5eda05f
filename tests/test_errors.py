"""Errors: the same words for a person, a script and a program."""

import errno

import pytest
from flask import Flask

from tests.conftest import Person


@pytest.fixture
def broken(app: Flask) -> Person:
    """The application with a view that fails in a way nobody foresaw, and one on a full disk."""

    @app.get("/bug")
    def bug() -> str:
        raise RuntimeError("secret detail")

    @app.get("/full")
    def full() -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    return Person(app.test_client())


def test_person_gets_a_page(person: Person) -> None:
    response = person.get("/nowhere")
    assert response.status_code == 404
    assert "<h1>Nothing here</h1>" in response.text


def test_program_gets_json(person: Person) -> None:
    response = person.client.get("/nowhere")
    assert response.status_code == 404
    assert response.json is not None
    assert response.json["code"] == "not_found"


def test_htmx_gets_a_fragment(person: Person) -> None:
    response = person.client.get("/nowhere", headers={"HX-Request": "true"})
    assert response.status_code == 404
    assert "<html" not in response.text
    assert "There is nothing at this address." in response.text


def test_bug_is_logged_and_not_shown(broken: Person, caplog: pytest.LogCaptureFixture) -> None:
    response = broken.get("/bug")
    assert response.status_code == 500
    assert "secret detail" not in response.text
    assert "secret detail" in caplog.text


def test_full_disk_is_told_as_such(broken: Person) -> None:
    response = broken.get("/full")
    assert response.status_code == 507
    assert "disk is full" in response.text


def test_wrong_method_is_told(person: Person) -> None:
    answer = person.client.delete("/")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
