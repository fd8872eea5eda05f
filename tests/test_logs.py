"""Every event is one log line, whatever text a client sent."""

import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.app import running_app
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import work
from tests.support.people import Person, upload_image
from webapp import logs
from webapp.config import Config, HeaderName
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.tokens import create_token

HOSTILE = 'a\n2026-01-01T00:00:00.000Z ERROR web[1] fake\x1b[31m\u202e "job_id": 1\x9b.jpg'


@contextmanager
def logging_to(stream: StringIO, config: Config) -> Iterator[None]:
    """Log to a stream, and restore pytest's handlers afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("webapp")
    levels = root.level, ours.level
    with redirect_stderr(stream):
        logs.configure(config, "web")
    try:
        yield
    finally:
        root.handlers = [it for it in root.handlers if not isinstance(it.formatter, logs.Formatter)]
        root.setLevel(levels[0])
        ours.setLevel(levels[1])


@pytest.fixture
def log_lines(config: Config) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Log JSON, and return a function that reads the lines so far."""
    stream = StringIO()
    with logging_to(stream, replace(config, log_format="json")):
        yield lambda: [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]


@pytest.fixture
def log_text(config: Config) -> Iterator[Callable[[], str]]:
    """Log text, and return a function that reads it so far."""
    stream = StringIO()
    with logging_to(stream, config):
        yield stream.getvalue


def log(message: str = "event", **facts: object) -> None:
    logging.getLogger("webapp.test").info(message, extra=facts)


def test_json_line_has_the_event_and_its_fields(
    log_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    log("image done", job_id="j1", work_ms=12)
    (line,) = log_lines()
    assert line["time"].endswith("Z")
    assert (line["level"], line["process"], line["message"]) == ("INFO", "web", "image done")
    assert (line["job_id"], line["work_ms"]) == ("j1", 12)


def test_text_line_is_readable(log_text: Callable[[], str]) -> None:
    log("image done", job_id="j1", file_name="my photo.jpg", missing=None)
    line = log_text()
    assert line.endswith(' image done job_id=j1 file_name="my photo.jpg"\n')
    assert " INFO web[" in line


@pytest.mark.parametrize("message", ["event", HOSTILE], ids=["field", "message"])
def test_hostile_text_stays_on_one_line(log_text: Callable[[], str], message: str) -> None:
    log(message, file_name=HOSTILE)
    line = log_text()
    assert line.count("\n") == 1
    assert line[:-1].isprintable()


def test_hostile_text_survives_json(log_lines: Callable[[], list[dict[str, Any]]]) -> None:
    log(HOSTILE, file_name=HOSTILE)
    (line,) = log_lines()
    assert line["message"] == line["file_name"] == HOSTILE


def test_traceback_cannot_look_like_another_line(log_text: Callable[[], str]) -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logging.getLogger("webapp.test").exception("failed")
    first, *rest = log_text().splitlines()
    assert first.endswith(" failed")
    assert "ValueError" in "".join(rest)
    assert all(line.startswith("  ") and line.isprintable() for line in rest)


@pytest.mark.parametrize(
    ("header", "sent", "message"),
    [
        ("Remote-User", "a,b", "user header ignored"),
        ("X-Real-IP", "nowhere", "client header ignored"),
        ("X-Forwarded-Prefix", "//evil.example", "prefix ignored"),
    ],
)
def test_wrong_headers_do_not_fill_the_log(
    config: Config, log_text: Callable[[], str], header: str, sent: str, message: str
) -> None:
    trusting = replace(
        config,
        trusted_proxies=1,
        trusted_prefix=True,
        user_header=HeaderName("Remote-User"),
        client_header=HeaderName("X-Real-IP"),
    )
    with running_app(trusting) as app:
        for _ in range(5):
            app.test_client().get("/", headers={header: sent})
    assert log_text().count(f" {message} ") == 1


def test_rare_line_is_written_again_for_another_reason_or_after_a_minute(
    log_text: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds, reason in [(0, "a"), (1, "a"), (2, "b"), (59, "a"), (60, "a")]:
        monkeypatch.setattr(time, "monotonic", lambda now=seconds: now)
        log("ignored", reason=reason, second=seconds, **logs.RARELY)
    assert re.findall(r"second=(\d+)", log_text()) == ["0", "2", "60"]
    assert "rarely" not in log_text()


def test_lines_below_the_level_are_not_logged(config: Config) -> None:
    stream = StringIO()
    with logging_to(stream, replace(config, log_level="warning")):
        log()
    assert stream.getvalue() == ""


def test_pillow_does_not_log_the_contents_of_files(config: Config) -> None:
    stream = StringIO()
    with logging_to(stream, replace(config, log_level="debug")):
        logging.getLogger("PIL.TiffImagePlugin").debug("tag: GPSLatitude - value: 48.1")
    assert stream.getvalue() == ""


def test_image_can_be_followed_from_upload_to_end(
    person: Person, jobs: Jobs, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    uploaded = upload_image(person.client, make_jpeg())
    accepted, request = log_lines()[:2]
    assert accepted["message"] == "image accepted"
    assert accepted["request_id"] == request["request_id"] == uploaded.headers["X-Request-ID"]
    work(jobs)
    of_image = [line for line in log_lines()[2:] if line["image_id"] == accepted["image_id"]]
    assert [line["message"] for line in of_image] == ["image claimed", "image done"]
    assert {line["job_id"] for line in of_image} == {uploaded.json["job_id"]}  # type: ignore[index]
    assert of_image[1]["outputs"] == 1
    assert of_image[1]["work_ms"] > 0


def test_failure_is_logged_with_its_code(
    person: Person, jobs: Jobs, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    person.upload((make_truncated(), "a.jpg"))
    work(jobs)
    (failed,) = (line for line in log_lines() if line["message"] == "image failed")
    assert failed["code"] == "truncated"


def test_refused_upload_is_logged_with_its_code(
    person: Person, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    person.upload((b"no image", "a.jpg"))
    (refused,) = (line for line in log_lines() if line["message"] == "image refused")
    assert (refused["code"], refused["file_name"]) == ("unsupported_format", "a.jpg")


def test_hostile_file_name_cannot_forge_a_line(person: Person, log_text: Callable[[], str]) -> None:
    person.upload((make_jpeg(), HOSTILE.replace("\n", "%0A")), (make_jpeg(), "b\x1b[2J\r.jpg"))
    for line in log_text().splitlines():
        assert line.isprintable()
        assert " ERROR " not in line.partition(" file_name=")[0]


def test_response_is_logged_with_its_request(
    person: Person, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    response = person.get("/nowhere")
    (line,) = log_lines()
    expected = {
        "message": "request",
        "method": "GET",
        "path": "/nowhere",
        "status": 404,
        "bytes": len(response.data),
        "client": "127.0.0.1",
        "request_id": response.headers["X-Request-ID"],
    }
    assert line | expected == line
    assert line["ms"] > 0


def test_secrets_of_a_request_are_not_logged(person: Person, log_text: Callable[[], str]) -> None:
    person.client.set_cookie("session", "SECRET-cookie")
    headers = {"Authorization": "Bearer SECRET-token", "X-CSRFToken": "SECRET-csrf"}
    person.client.get("/jobs?token=SECRET-query", headers=headers)
    person.client.post("/jobs", headers=headers, data={"SECRET-field": "SECRET-value"})
    lines = log_text()
    assert "path=/jobs" in lines
    assert "SECRET" not in lines


def test_request_with_an_api_token_is_logged_with_its_id(
    client: FlaskClient, jobs: Jobs, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    token = create_token(jobs.store, "build")
    client.get("/jobs", headers={"Authorization": f"Bearer {token}"})
    (line,) = log_lines()
    assert line["token"] == jobs.store.tokens.all()[0].id
    assert str(token) not in str(line)


def test_every_response_has_its_own_request_id(person: Person) -> None:
    ids = {person.get("/").headers["X-Request-ID"] for _ in range(3)}
    assert len(ids) == 3


def test_request_id_of_a_client_is_ignored(person: Person) -> None:
    response = person.client.get("/", headers={"X-Request-ID": "forged"})
    assert response.headers["X-Request-ID"] != "forged"


class TestBehindProxy:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, trusted_proxies=1)

    @pytest.mark.parametrize("given", ["0af7651916cd43dd8448eb211c80319c", "a-B-3", "x" * 64])
    def test_its_request_id_is_used(self, person: Person, given: str) -> None:
        response = person.client.get("/", headers={"X-Request-ID": given})
        assert response.headers["X-Request-ID"] == given

    @pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\x1b[31m", "a/../b", "é"])
    def test_invalid_request_id_is_replaced(self, person: Person, given: str) -> None:
        response = person.client.get("/", headers={"X-Request-ID": given})
        assert response.headers["X-Request-ID"] not in ("", given)


def test_page_of_an_internal_error_names_the_request(app: Flask) -> None:
    @app.get("/bug")
    def bug() -> str:
        raise RuntimeError("secret detail")

    response = Person(app.test_client()).get("/bug")
    assert response.status_code == 500
    assert f"request {response.headers['X-Request-ID']}" in response.text


def test_internal_error_is_logged_with_its_request(
    app: Flask, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    @app.get("/bug")
    def bug() -> str:
        raise RuntimeError("why")

    response = app.test_client().get("/bug")
    failed, _ = log_lines()
    assert "RuntimeError: why" in failed["traceback"]
    assert failed["request_id"] == response.headers["X-Request-ID"]
