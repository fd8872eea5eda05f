"""Images that the server fetches, over the API."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.app import running_app
from tests.support.jobs import nothing_left
from tests.support.people import multipart
from tests.support.programs import JOBS, SQUARE, open_job, wrong_fields
from webapp.config import Config

URL = "https://pictures.example/sea.jpg?key=secret"


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    with running_app(replace(config, fetch_urls=True)) as app:
        yield app


def test_job_of_a_url_waits_for_its_image(client: FlaskClient) -> None:
    response = client.post(JOBS, json={**SQUARE, "url": URL})
    assert response.status_code == 202
    job: Any = response.json
    assert [(one["name"], one["status"]) for one in job["fetches"]] == [("sea.jpg", "waiting")]
    assert (job["is_open"], job["is_finished"]) == (False, False)
    assert "secret" not in client.get(job["links"]["job"]).text


def test_lost_answer_to_a_url_is_given_again(app: Flask) -> None:
    request_ = {"json": {**SQUARE, "url": URL}, "headers": {"Idempotency-Key": "a"}}
    first, again = (app.test_client().post(JOBS, **request_) for _ in range(2))
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.json == again.json


def test_fetch_that_begins_changes_the_etag(app: Flask, client: FlaskClient) -> None:
    job = client.post(JOBS, json={**SQUARE, "url": URL})
    app.extensions["jobs"].store.fetches.claim(60, 1)
    known = {"If-None-Match": job.headers["ETag"]}
    after: Any = client.get(job.headers["Location"], headers=known).json
    assert [one["status"] for one in after["fetches"]] == ["working"]


def test_form_takes_a_url_too(client: FlaskClient) -> None:
    response = client.post(JOBS, **multipart(preset="square", url=URL))
    assert response.status_code == 202


def test_open_job_takes_urls(client: FlaskClient) -> None:
    images = open_job(client)["links"]["images"]
    first, again = (
        client.post(images, json={"url": URL, "name": "a.jpg", "position": 3}) for _ in range(2)
    )
    assert (first.status_code, first.headers["Retry-After"]) == (202, "1")
    assert first.json == again.json
    assert first.json is not None
    assert (first.json["name"], first.json["position"]) == ("a.jpg", 3)


def test_cancelled_job_fetches_nothing(client: FlaskClient) -> None:
    job: Any = client.post(JOBS, json={**SQUARE, "url": URL}).json
    cancelled: Any = client.post(f"{job['links']['job']}/cancel").json
    assert cancelled["is_finished"]
    assert cancelled["fetches"][0]["status"] == "cancelled"
    assert [file["name"] for file in cancelled["missing_files"]] == ["sea.jpg"]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "https://user:key@a.test/", "", "a b"])
def test_wrong_url_is_refused_at_once(client: FlaskClient, app: Flask, url: str) -> None:
    images = open_job(client)["links"]["images"]
    assert list(wrong_fields(client.post(images, json={"url": url}))) == ["#/url"]


@pytest.mark.parametrize("url", ["file:///etc/passwd", ""])
def test_refused_url_leaves_no_job(client: FlaskClient, app: Flask, url: str) -> None:
    answer = client.post(JOBS, json={**SQUARE, "url": url})
    assert list(wrong_fields(answer)) == ["#/url"]
    assert nothing_left(app.extensions["jobs"])


def test_server_fetches_nothing_by_default(config: Config) -> None:
    with running_app(config) as app:
        answer = app.test_client().post(JOBS, json={**SQUARE, "url": URL})
        assert (answer.status_code, answer.json["code"]) == (403, "fetching_is_off")  # type: ignore[index]


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_private_address_is_refused_at_once(client: FlaskClient, host: str) -> None:
    answer = client.post(JOBS, json={**SQUARE, "url": f"http://{host}/a.jpg"})
    assert (answer.status_code, answer.json["code"]) == (422, "address_refused")  # type: ignore[index]
