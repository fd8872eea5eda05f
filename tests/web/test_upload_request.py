"""The number and length of the parts of a request are limited."""

from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.support.forms import field, multipart_of, urlencoded
from tests.support.images import make_jpeg
from tests.support.people import Person


def send(person: Person, path: str, **form: Any) -> TestResponse:
    """Send a form with the token of a page."""
    headers = {"Accept": "text/html", "X-CSRFToken": person.token()}
    return person.client.post(path, headers=headers, **form)


def test_headers_beyond_the_limit_are_refused_with_a_reason(person: Person) -> None:
    answer = person.client.get("/", headers={"X-Whatever": "x" * 40_000})
    assert answer.status_code == 431
    assert (answer.json or {})["code"] == "request_header_fields_too_large"


def test_address_with_too_many_parameters_is_refused_with_a_reason(person: Person) -> None:
    answer = person.client.get("/?" + "w=1&" * 900)
    assert answer.status_code == 414
    assert "A link has at most 900 parameters." in answer.text


@pytest.mark.parametrize(("parameters", "is_read"), [(1, True), (900, False)])
def test_recipe_cookie_with_too_many_parameters_is_ignored(
    app: Flask, parameters: int, is_read: bool
) -> None:
    headers = {"Cookie": "recipe=" + "w=320&" * parameters}
    answer = app.test_client(use_cookies=False).get("/", headers=headers)
    assert answer.status_code == 200
    assert ('value="320"' in answer.text) == is_read


@pytest.mark.parametrize(
    "form",
    [
        urlencoded("x=" + "y" * 250_000),
        urlencoded("x&" * 900),
        multipart_of(field("x", "y" * 125_000) * 2),
        multipart_of(field("x" * 125_000, "y") * 2),
    ],
)
@pytest.mark.parametrize("path", ["/jobs", "/jobs/open", "/sign-in"])
def test_form_with_too_much_beside_its_files_is_refused(
    person: Person, path: str, form: dict[str, Any]
) -> None:
    assert send(person, path, **form).status_code == 413


@pytest.mark.parametrize("names", ["", '; filename="x.jpg"'])
def test_name_of_a_file_may_be_encoded(app: Flask, person: Person, names: str) -> None:
    head = f"Content-Disposition: form-data; name=\"images\"{names}; filename*=UTF-8''%E2%82%AC.jpg"
    photo = make_jpeg().decode("latin-1")
    form = multipart_of(field("presets", "square") + f"--b\r\n{head}\r\n\r\n{photo}\r\n")
    answer = send(person, "/jobs", **{**form, "data": form["data"].decode().encode("latin-1")})
    assert "€.jpg" in person.get(answer.headers["Location"]).text


@pytest.mark.parametrize("path", ["/jobs/open", "/upload_image", "/sign-in"])
def test_only_an_image_form_accepts_many_files(person: Person, path: str) -> None:
    file = '--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\nx\r\n'
    assert send(person, path, **multipart_of(file * 2)).status_code == 413
    form = multipart_of(field("presets", "square") + file * 2)
    assert send(person, "/jobs", **form).status_code == 415
