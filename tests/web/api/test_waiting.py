"""Wait for the end of a job over the API."""

import io
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from tests.support.app import running_app
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import answer_with_worker, nothing_left
from tests.support.programs import JOBS, create
from webapp.config import Config


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    with running_app(replace(config, web_threads=4)) as app:
        yield app


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"{JOBS}?wait=20", {}),
        (JOBS, {"Prefer": "respond-async, wait=20"}),
        (JOBS, {"Prefer": "Wait=20; foo"}),
    ],
)
def test_new_job_is_answered_when_it_is_finished(
    app: Flask, client: FlaskClient, path: str, headers: dict[str, str]
) -> None:
    answer = answer_with_worker(app, lambda: create(client, make_jpeg(), path=path, **headers))
    assert answer.status_code == 201
    assert answer.json is not None
    assert answer.json["status"] == "done"
    assert answer.headers.get("Preference-Applied") == ("wait=20" if headers else None)
    assert "Retry-After" not in answer.headers


def test_read_waits_for_the_end(app: Flask, client: FlaskClient) -> None:
    url = create(client, make_jpeg(), make_jpeg()).headers["Location"]
    answer = answer_with_worker(app, lambda: client.get(url, headers={"Prefer": "wait=20"}))
    assert answer.json is not None
    assert answer.json["counts"]["done"] == 2


def test_read_of_a_known_job_waits_for_a_change(app: Flask, client: FlaskClient) -> None:
    first = create(client, make_jpeg(), make_jpeg())
    headers = {"If-None-Match": first.headers["ETag"]}
    url = f"{first.headers['Location']}?wait=20"
    answer = answer_with_worker(app, lambda: client.get(url, headers=headers))
    assert answer.status_code == 200
    assert answer.headers["ETag"] != first.headers["ETag"]


def test_answer_comes_when_the_time_is_over(client: FlaskClient) -> None:
    answer = create(client, make_jpeg(), path=f"{JOBS}?wait=1")
    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "1")


def test_no_more_than_half_of_the_threads_wait(config: Config) -> None:
    with running_app(replace(config, web_threads=1)) as app:
        client = app.test_client()
        answer = create(client, make_jpeg(), path=JOBS, Prefer="wait=20")
        assert (answer.status_code, answer.headers["Retry-After"]) == (202, "1")
        assert "Preference-Applied" not in answer.headers
        read = client.get(f"{answer.headers['Location']}?wait=20")
        assert (read.status_code, read.headers["Retry-After"]) == (200, "1")


@pytest.fixture
def left() -> Iterator[dict[str, Any]]:
    """Return what gunicorn says of a request whose client closed its side of the connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.shutdown(socket.SHUT_WR)
        yield {"gunicorn.socket": ours}


def test_client_that_left_does_not_hear_that_it_waited(
    client: FlaskClient, left: dict[str, Any]
) -> None:
    url = create(client, make_jpeg()).headers["Location"]
    read = client.get(url, headers={"Prefer": "wait=20"}, environ_overrides=left)
    assert read.headers["Retry-After"] == "1"
    assert "Preference-Applied" not in read.headers


def test_key_whose_client_left_gets_the_end_of_its_job(
    app: Flask, client: FlaskClient, left: dict[str, Any]
) -> None:
    client.environ_base.update(left)
    head = {"path": f"{JOBS}?wait=20", "Idempotency-Key": "one"}
    first = create(client, make_jpeg(), **head)
    del client.environ_base["gunicorn.socket"]
    second = answer_with_worker(app, lambda: create(client, make_jpeg(), **head))
    assert first.json
    assert second.json
    assert (first.status_code, second.json["status"]) == (202, "done")
    assert second.json["id"] == first.json["id"]


def picture(app: Flask, client: FlaskClient, data: bytes, **fields: Any) -> Any:
    """Ask for the thumbnail itself."""
    path = f"{JOBS}?wait=20"
    return answer_with_worker(
        app, lambda: create(client, data, path=path, Accept="image/*", **fields)
    )


def test_one_request_answers_with_the_thumbnail(app: Flask, client: FlaskClient) -> None:
    answer = picture(app, client, make_jpeg(), preset="avatar")
    assert (answer.status_code, answer.mimetype) == (200, "image/webp")
    assert Image.open(io.BytesIO(answer.data)).size == (80, 80)  # The photo is no larger.
    assert 'filename="1-avatar.webp"' in answer.headers["Content-Disposition"]
    job: Any = client.get(answer.headers["Link"].split(">")[0][1:]).json
    assert job["images"][0]["thumbnails"][0]["url"].endswith(answer.headers["Content-Location"])


def test_image_that_fails_answers_with_its_reason(app: Flask, client: FlaskClient) -> None:
    answer = picture(app, client, make_truncated())
    assert (answer.status_code, answer.json["code"]) == (422, "truncated")


def test_thumbnail_that_is_not_made_in_time_answers_as_a_job(client: FlaskClient) -> None:
    began = time.monotonic()
    answer = create(client, make_jpeg(), path=f"{JOBS}?wait=1", Accept="image/*")
    assert (answer.status_code, answer.mimetype) == (202, "application/json")
    assert time.monotonic() - began < 1.9  # It does not wait twice.


@pytest.mark.parametrize("accept", ["image/webp", "image/*;q=0"])
def test_thumbnail_of_another_type_answers_as_a_job(
    app: Flask, client: FlaskClient, accept: str
) -> None:
    path = f"{JOBS}?wait=20"
    answer = answer_with_worker(app, lambda: create(client, make_jpeg(), path=path, Accept=accept))
    assert (answer.status_code, answer.mimetype) == (201, "application/json")


def test_several_thumbnails_answer_as_a_job(app: Flask, client: FlaskClient) -> None:
    answer = picture(app, client, make_jpeg(), preset=["square", "avatar"])
    assert (answer.status_code, answer.json["status"]) == (201, "done")


def test_refused_file_leaves_nothing(app: Flask, client: FlaskClient) -> None:
    assert picture(app, client, b"text").status_code == 415
    assert nothing_left(app.extensions["jobs"])
