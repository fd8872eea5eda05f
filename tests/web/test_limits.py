"""Requests and jobs are limited for each client."""

from collections.abc import Iterator
from dataclasses import replace
from io import RawIOBase
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.app import running_app
from tests.support.images import make_jpeg
from tests.support.jobs import nothing_left, work
from tests.support.people import Person, Script, upload_from, upload_image
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs
from webapp.web.limits import QUEUE_AGAIN, SAFE_METHODS, TAKE_IMAGES


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(instance=tmp_path / "instance", max_jobs_per_hour=2)


# What is sent there is a few fields of a form.
BRING_NO_IMAGE = {
    "access.sign_in", "access.sign_out", "changes.cancel", "changes.delete", "changes.extend",
    "changes.rename", "changes.restore", "changes.send_again", "images.set_alt",
    "images.try_quality", "uploads.close", "uploads.draw_sizes", "uploads.reopen",
    "api.add_fetch", "api.cancel_image", "api.cancel_job",
    "api.change_image", "api.change_job", "api.close_job", "api.delete_job", "api.reopen_job",
    "api.restore_job", "api.send_again",
}  # fmt: skip


def test_every_route_that_accepts_images_is_limited(app: Flask) -> None:
    # Walk all routes, so that neither a new nor a renamed one can be forgotten.
    routes = app.url_map.iter_rules()
    assert {rule.endpoint for rule in routes if (rule.methods or set()) - SAFE_METHODS} == {
        *TAKE_IMAGES,
        *QUEUE_AGAIN,
        *BRING_NO_IMAGE,
    }


def test_job_beyond_the_limit_is_refused_with_retry_after(app: Flask, jobs: Jobs) -> None:
    assert [upload_from(app).status_code for _ in range(3)] == [202, 202, 429]
    answer = upload_from(app)
    assert 3500 < int(answer.headers["Retry-After"]) <= 3600
    assert answer.json == {
        "detail": "Your network has made 2 jobs within an hour. There is room again in 60 minutes."
    }
    assert len(list(jobs.store.jobs.ids())) == 2


def test_person_without_script_gets_a_page_with_the_time(app: Flask, person: Person) -> None:
    for _ in range(2):
        person.upload((make_jpeg(), "a.jpg"))
    answer = person.upload((make_jpeg(), "a.jpg"))
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]
    assert "<h1>Too many requests</h1>" in answer.text
    assert "There is room again in 60 minutes." in answer.text


def test_script_over_the_limit_can_finish_its_job(script: Script) -> None:
    script.create()
    job = script.create()
    answer = script.send("/jobs/open", presets="square")
    assert (answer.status_code, (answer.json or {})["code"]) == (429, "too_many_jobs")
    assert script.add(job, make_jpeg()).status_code == 201


def test_deleted_jobs_count_too(person: Person) -> None:
    for _ in range(2):
        path = person.submit(make_jpeg())
        person.post(f"{path}/delete")
    assert person.upload((make_jpeg(), "a.jpg")).status_code == 429


def test_another_web_process_counts_the_same_jobs(app: Flask, config: Config) -> None:
    with running_app(config) as other:
        answers = [upload_from(one) for one in (app, other, app, other)]
    assert [answer.status_code for answer in answers] == [202, 202, 429, 429]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("192.0.2.1", 429),
        ("192.0.2.2", 202),
        ("::ffff:192.0.2.1", 429),
        ("2001:db8::1", 202),
    ],
)
def test_limit_applies_to_each_address(app: Flask, address: str, status: int) -> None:
    for _ in range(2):
        upload_from(app, "192.0.2.1")
    assert upload_from(app, address).status_code == status


def test_addresses_of_one_ipv6_network_are_one_client(app: Flask) -> None:
    answers = [upload_from(app, f"2001:db8:1:2:{part}::1") for part in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert upload_from(app, "2001:db8:1:3::1").status_code == 202


def test_forwarded_address_of_a_client_is_ignored(app: Flask) -> None:
    for _ in range(2):
        upload_from(app)
    headers = {"X-Forwarded-For": "198.51.100.1"}
    assert upload_image(app.test_client(), make_jpeg(), headers=headers).status_code == 202
    environ = {"REMOTE_ADDR": "192.0.2.1"}
    answer = upload_image(
        app.test_client(), make_jpeg(), headers=headers, environ_overrides=environ
    )
    assert answer.status_code == 429


@pytest.mark.parametrize(
    ("proxies", "forwarded"), [(1, "claimed, {}"), (2, "claimed, {}, 203.0.113.9")]
)
def test_client_behind_proxies_is_recognized(config: Config, proxies: int, forwarded: str) -> None:
    with running_app(replace(config, trusted_proxies=proxies)) as app:

        def send(address: str) -> int:
            headers = {"X-Forwarded-For": forwarded.format(address)}
            return upload_image(app.test_client(), make_jpeg(), headers=headers).status_code

        assert [send("192.0.2.1") for _ in range(3)] == [202, 202, 429]
        assert send("192.0.2.2") == 202


class Unread(RawIOBase):
    """A body that must not be read."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        raise AssertionError("was read")


@pytest.mark.parametrize("path", ["/jobs", "/jobs/open", "/upload_image"])
def test_refused_body_is_not_read(app: Flask, path: str) -> None:
    for _ in range(2):
        upload_from(app, "127.0.0.1")
    answer = app.test_client().post(
        path,
        content_type="multipart/form-data; boundary=x",
        environ_overrides={"wsgi.input": Unread(), "CONTENT_LENGTH": "1000000"},
    )
    assert answer.status_code == 429


EXCESSES = [({"headers": {"X-Whatever": "x" * 40_000}}, 431), ({"query_string": "w=1&" * 900}, 414)]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(("excess", "status"), EXCESSES)
def test_too_long_headers_and_addresses_are_refused_before_the_body(
    app: Flask, method: str, excess: dict[str, Any], status: int
) -> None:
    path = "/jobs/open" if method == "POST" else f"/jobs/{UUID(int=0)}"
    body = {"wsgi.input": Unread(), "CONTENT_LENGTH": "100000"}
    answer = app.test_client().open(path, method=method, environ_overrides=body, **excess)
    assert answer.status_code == status


@pytest.fixture
def thrifty(tmp_path: Path) -> Iterator[Flask]:
    """Create an application that accepts a megabyte an hour of each client."""
    limits = Config(
        instance=tmp_path / "thrifty", max_file_mb=1, max_request_mb=1, max_mb_per_hour=1
    )
    with running_app(limits) as app:
        yield app


@pytest.mark.parametrize("path", ["/jobs", "/jobs/open", "/upload_image", "/sign-in", "/nowhere"])
def test_bytes_beyond_the_limit_are_refused_everywhere(thrifty: Flask, path: str) -> None:
    def send(size: int) -> TestResponse:
        return thrifty.test_client().post(path, data=b"x" * size)

    assert send(600_000).status_code != 429
    answer = send(600_000)
    assert answer.status_code == 429
    assert (
        "Your network has used its 1 MB of this hour, uploads and thumbnails together."
        in answer.text
    )
    assert 3500 < int(answer.headers["Retry-After"]) <= 3600
    assert nothing_left(thrifty.extensions["jobs"])


@pytest.mark.parametrize("path", ["/jobs", "/jobs/open", "/upload_image", "/sign-in"])
def test_too_large_request_does_not_count(thrifty: Flask, path: str) -> None:
    def send(size: int) -> TestResponse:
        headers = {"Accept": "application/json"}
        return thrifty.test_client().post(path, data=b"x" * size, headers=headers)

    answer = send(1_000_001)
    assert answer.status_code == 413
    assert "That is 2 MB at once; the limit is 1 MB. Send fewer files." in answer.text
    assert send(1_000_000).status_code not in (413, 429)


def test_upload_without_its_length_is_refused(app: Flask, script: Script) -> None:
    environ = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = script.client.post("/jobs", environ_overrides=environ)
    assert answer.status_code == 411


def test_full_queue_refuses_images_until_there_is_room(config: Config, tmp_path: Path) -> None:
    limits = replace(config, max_jobs_per_hour=9, max_waiting=2, max_waiting_share=1)
    with running_app(limits) as app:
        jobs, script = app.extensions["jobs"], Script(app.test_client())
        job = script.create()
        assert [script.add(job, make_jpeg()).status_code for _ in range(3)] == [201, 201, 503]
        answer = script.add(job, make_jpeg())
        assert (answer.json or {})["code"] == "queue_full"
        assert answer.headers["Retry-After"] == "20"
        assert upload_from(app).status_code == 503
        work(jobs)
        assert script.add(job, make_jpeg()).status_code == 201


def test_refusals_log_no_traceback(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        upload_from(app)
    assert "Traceback" not in caplog.text


def test_form_without_images_may_not_be_large(client: FlaskClient) -> None:
    answer = client.post("/sign-in", data=bytes(1_000_001), content_type="multipart/form-data")
    assert answer.status_code == 413


def test_request_from_another_site_does_not_count(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path, max_jobs_per_hour=1)) as app:
        client = app.test_client()
        elsewhere = {"Sec-Fetch-Site": "cross-site"}
        for _ in range(3):
            assert upload_image(client, make_jpeg(), headers=elsewhere).status_code == 403
        assert upload_image(client, make_jpeg()).status_code == 202
