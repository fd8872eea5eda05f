"""Errors: the same words for a person, a script and a program."""

import errno

import pytest
from flask import Flask, abort
from werkzeug.test import TestResponse

from tests.support.errors import ERRORS
from tests.support.pages import Page
from tests.support.people import Person
from webapp.web.errors import Problem, problem


@pytest.fixture
def broken(app: Flask) -> Person:
    """Create an application with a view that fails, and one with a full disk."""

    @app.get("/bug")
    def bug() -> str:
        raise RuntimeError("secret detail")

    @app.get("/full")
    def full() -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    return Person(app.test_client())


def test_person_gets_an_error_page(person: Person) -> None:
    response = person.get("/nowhere")
    assert response.status_code == 404
    assert "<h1>Not found</h1>" in response.text


def test_program_gets_an_error_as_json(person: Person) -> None:
    response = person.client.get("/nowhere")
    assert response.status_code == 404
    assert response.json is not None
    assert response.json["code"] == "not_found"


def test_internal_error_is_logged_and_not_shown(
    broken: Person, caplog: pytest.LogCaptureFixture
) -> None:
    response = broken.get("/bug")
    assert response.status_code == 500
    assert "secret detail" not in response.text
    assert "secret detail" in caplog.text


def test_page_of_an_internal_error_has_its_request_id(broken: Person) -> None:
    response = broken.get("/bug")
    assert response.headers["X-Request-ID"] in response.text


def test_full_disk_answers_507(broken: Person) -> None:
    response = broken.get("/full")
    assert response.status_code == 507
    assert "disk is full" in response.text


def test_wrong_method_answers_405(person: Person) -> None:
    answer = person.client.delete("/")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("status", ERRORS)
def test_page_of_each_error_has_its_title_and_sentence(
    app: Flask, person: Person, status: int
) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        ERRORS[status]()
    shown = problem(caught.value)
    app.add_url_rule("/broken", view_func=ERRORS[status])
    response = person.get("/broken")
    assert response.status_code == status
    words = {shown.title, shown.detail, shown.code, str(status)}
    assert words <= set(Page(response.text).texts("main *"))


# What one can do next


def buttons(response: TestResponse) -> dict[str, str]:
    """Return the buttons of an error's page: their words, and where they lead."""
    page = Page(response.text)
    return dict(zip(page.texts("a.button"), page.values("a.button", "href"), strict=True))


def test_temporary_error_page_can_be_reloaded(broken: Person) -> None:
    assert buttons(broken.get("/bug")) == {"Try again": "", "Make thumbnails": "/"}


def test_refused_form_links_back_to_its_page(person: Person) -> None:
    headers = {"Accept": "text/html", "Referer": "http://localhost/jobs/x"}
    response = person.client.post("/jobs", data={"csrf_token": "old"}, headers=headers)
    assert response.status_code == 400
    assert buttons(response)["Go back"] == "http://localhost/jobs/x"


@pytest.mark.parametrize(
    "referrer", ["http://elsewhere/", "//elsewhere", "javascript:1", "http://localhost.elsewhere/"]
)
def test_error_page_links_to_no_other_site(person: Person, referrer: str) -> None:
    response = person.client.get("/x", headers={"Accept": "text/html", "Referer": referrer})
    assert buttons(response) == {"Make thumbnails": "/", "My jobs": "/jobs"}


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [(None, "It may have expired or been deleted."), ("No such thumbnail.", "No such thumbnail.")],
)
def test_sentence_of_a_view_replaces_the_default(
    app: Flask, person: Person, sentence: str | None, shown: str
) -> None:
    app.add_url_rule("/missing", view_func=lambda: abort(404, sentence))
    assert shown in person.get("/missing").text


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 411, 413, 415, 422, 429])
def test_every_refusal_has_a_title_of_its_own(status: int) -> None:
    titles = [Problem(other, "", "").title for other in (status, 418)]
    assert titles[0] != titles[1]
