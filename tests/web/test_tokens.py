"""An API token gives a program its own jobs and limits."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.app import running_app
from tests.support.clock import Clock
from tests.support.images import make_jpeg
from tests.support.jobs import nothing_left, work
from tests.support.people import Person, multipart, upload_image
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.limits import MAX_WRONG_TOKENS
from webapp.jobs.tokens import create_token

ACCESS_TOKEN = "a-token-that-is-hard-to-guess"
UNKNOWN = "thumb_" + "A" * 43
JSON = {"Accept": "application/json"}


@pytest.fixture
def closed(config: Config, tmp_path: Path) -> Iterator[Flask]:
    instance = tmp_path / "closed"
    with running_app(replace(config, instance=instance, access_token=ACCESS_TOKEN)) as app:
        yield app


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **JSON}


def new_token(
    app: Flask, name: str = "build", jobs: int | None = None, mb: int | None = None
) -> dict[str, str]:
    """Create a token, and return the headers that a program sends."""
    token = create_token(app.extensions["jobs"].store, name, jobs, mb)
    assert token
    return bearer(token)


def revoke(app: Flask, name: str = "build") -> None:
    assert app.extensions["jobs"].store.tokens.revoke(name)


def upload(client: FlaskClient, headers: dict[str, str]) -> TestResponse:
    return upload_image(client, make_jpeg(), headers=headers)


def job_ids(client: FlaskClient, headers: dict[str, str]) -> list[str]:
    return (client.get("/jobs", headers=headers).json or {})["job_ids"]  # type: ignore[no-any-return]


def open_job(client: FlaskClient, headers: dict[str, str]) -> TestResponse:
    return client.post("/jobs/open", headers=headers, **multipart(presets="square"))


def test_two_tokens_see_their_own_jobs_alone(app: Flask, client: FlaskClient) -> None:
    build, shop = new_token(app, "build"), new_token(app, "shop")
    made = [(upload(client, headers).json or {})["job_id"] for headers in (build, shop)]
    assert [job_ids(client, headers) for headers in (build, shop, JSON)] == [
        made[:1],
        made[1:],
        [],
    ]


def test_one_token_cannot_change_the_jobs_of_another(app: Flask, client: FlaskClient) -> None:
    build, shop = new_token(app, "build"), new_token(app, "shop")
    job_id = (upload(client, build).json or {})["job_id"]
    assert client.post(f"/jobs/{job_id}/delete", headers=shop).status_code == 403
    assert client.post(f"/jobs/{job_id}/delete", headers=build).status_code < 400


def test_token_needs_no_session_and_gets_none(app: Flask, client: FlaskClient) -> None:
    headers = new_token(app)
    assert upload(client, headers).status_code == 202
    assert open_job(client, headers).status_code == 201
    assert client.get("/", headers=headers).status_code == 200
    assert client.get_cookie("session") is None


def test_token_counts_and_not_the_browser_that_sends_it(
    app: Flask, person: Person, jobs: Jobs
) -> None:
    headers = new_token(app)
    job_id = person.submit(make_jpeg()).removeprefix("/jobs/")
    refused = person.client.post(f"/jobs/{job_id}/delete", headers=headers)
    assert refused.status_code == 403
    assert jobs.store.jobs.exists(job_id)


def test_page_of_another_site_gains_nothing_by_a_cookie_and_an_unknown_token(
    person: Person, jobs: Jobs
) -> None:
    job_id = person.submit(make_jpeg()).removeprefix("/jobs/")
    answer = person.client.post(f"/jobs/{job_id}/delete", headers=bearer(UNKNOWN))
    assert answer.status_code == 401
    assert jobs.store.jobs.exists(job_id)


def test_token_is_access_where_it_is_required(closed: Flask) -> None:
    client = closed.test_client()
    assert upload(client, JSON).status_code == 401
    headers = new_token(closed)
    assert upload(client, headers).status_code == 202
    assert upload(client, bearer(ACCESS_TOKEN)).status_code == 202
    assert len(job_ids(client, headers)) == 1


@pytest.mark.parametrize("token", [UNKNOWN, "wrong", "thumb_", "ä"])
@pytest.mark.parametrize("path", ["/", "/jobs/rows", "/jobs/open"])
def test_unknown_token_is_refused_with_a_code(
    client: FlaskClient, jobs: Jobs, token: str, path: str
) -> None:
    headers = bearer(token.encode().decode("latin-1"))
    answer = (
        open_job(client, headers) if path == "/jobs/open" else client.get(path, headers=headers)
    )
    assert (answer.status_code, (answer.json or {})["code"]) == (401, "token_invalid")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert nothing_left(jobs)


def test_thumbnail_api_refuses_unknown_tokens_that_look_like_ours(client: FlaskClient) -> None:
    answer = upload(client, bearer(UNKNOWN))
    assert answer.status_code == 401
    assert answer.json == {
        "detail": "This token is unknown or was revoked. Ask the operator for a new one."
    }
    assert client.get("/jobs", headers=bearer(UNKNOWN)).status_code == 401


def test_thumbnail_api_ignores_tokens_of_others_as_it_did(client: FlaskClient) -> None:
    for _ in range(MAX_WRONG_TOKENS + 1):
        assert client.get("/jobs", headers=bearer("of-another-system")).json == {
            "job_ids": job_ids(client, JSON)
        }
    assert upload(client, bearer("of-another-system")).status_code == 202
    assert client.get("/healthcheck", headers=bearer("of-another-system")).status_code != 401


def test_revoked_token_ends_at_once_and_its_jobs_stay(
    app: Flask, client: FlaskClient, jobs: Jobs
) -> None:
    headers = new_token(app)
    job_id = (upload(client, headers).json or {})["job_id"]
    work(jobs)
    revoke(app)
    assert upload(client, headers).status_code == 401
    assert client.get(f"/download_thumbnail/{job_id}").status_code == 200
    assert client.get(f"/jobs/{job_id}", headers=JSON).status_code == 200


def test_new_token_of_the_same_name_has_no_jobs_of_the_old_one(
    app: Flask, client: FlaskClient
) -> None:
    upload(client, new_token(app))
    revoke(app)
    assert job_ids(client, new_token(app)) == []


def guess(client: FlaskClient, times: int) -> list[int]:
    return [open_job(client, bearer(UNKNOWN)).status_code for _ in range(times)]


def test_client_over_its_guesses_learns_nothing(app: Flask, client: FlaskClient) -> None:
    headers = new_token(app)
    assert guess(client, MAX_WRONG_TOKENS) == [401] * MAX_WRONG_TOKENS
    answers = [open_job(client, sent) for sent in (bearer(UNKNOWN), headers)]
    assert [answer.status_code for answer in answers] == [429, 429]
    assert answers[0].json == answers[1].json
    elsewhere = {"REMOTE_ADDR": "192.0.2.1"}
    assert client.get("/", headers=headers, environ_overrides=elsewhere).status_code == 200


def test_guesses_at_both_kinds_of_tokens_count_together(closed: Flask) -> None:
    client = closed.test_client()
    half = MAX_WRONG_TOKENS // 2
    guess(client, half)
    answers = [open_job(client, bearer("wrong")).status_code for _ in range(half + 1)]
    assert answers == [401] * half + [429]


def test_right_tokens_write_nothing_but_their_use(
    app: Flask, client: FlaskClient, config: Config
) -> None:
    headers = new_token(app)
    client.get("/jobs", headers=headers)
    with sqlite3.connect(config.instance / "jobs.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")  # A write of ours would wait for ten seconds and fail.
        assert client.get("/jobs", headers=headers).status_code == 200
        other.execute("ROLLBACK")


def test_last_use_is_kept(app: Flask, client: FlaskClient, jobs: Jobs, clock: Clock) -> None:
    clock.stop(1_800_000_000.0)
    client.get("/jobs", headers=new_token(app))
    assert jobs.store.tokens.all()[0].last_used == 1_800_000_000.0


class TestLimits:
    @pytest.fixture
    def config(self, tmp_path: Path) -> Config:
        return Config(
            instance=tmp_path / "instance", max_jobs_per_hour=2, max_mb_per_hour=2, max_request_mb=2
        )

    def test_token_has_jobs_of_its_own_in_an_hour(self, app: Flask, client: FlaskClient) -> None:
        build, shop = new_token(app, "build"), new_token(app, "shop")
        sent = [JSON, JSON, JSON, build, build, build, shop]
        statuses = [upload(client, headers).status_code for headers in sent]
        assert statuses == [202, 202, 429, 202, 202, 429, 202]
        assert upload(client, build).json == {
            "detail": "This token has made 2 jobs within an hour. There is room again in 60"
            " minutes."
        }

    @pytest.mark.parametrize(("limit", "statuses"), [(1, [202, 429, 429]), (3, [202, 202, 202])])
    def test_jobs_of_a_token_replace_those_of_the_settings(
        self, app: Flask, client: FlaskClient, limit: int, statuses: list[int]
    ) -> None:
        headers = new_token(app, jobs=limit)
        assert [upload(client, headers).status_code for _ in range(3)] == statuses

    @pytest.mark.parametrize(("limit", "statuses"), [(1, [202, 429]), (3, [202, 202])])
    def test_megabytes_of_a_token_replace_those_of_the_settings(
        self, app: Flask, client: FlaskClient, jobs: Jobs, limit: int, statuses: list[int]
    ) -> None:
        headers = new_token(app, mb=limit)
        jobs.store.usage.add(jobs.store.tokens.all()[0].owner, "bytes", 0)
        first = upload(client, headers).status_code
        jobs.store.usage.add(jobs.store.tokens.all()[0].owner, "bytes", 1_000_000)
        assert [first, upload(client, headers).status_code] == statuses

    def test_request_that_no_hour_of_the_token_has_room_for_is_too_large(
        self, app: Flask, client: FlaskClient
    ) -> None:
        headers = new_token(app, mb=1)
        answer = upload_image(client, b"x" * 1_500_000, headers=headers)
        assert answer.status_code == 413
        assert "the limit is 1 MB" in answer.text

    def test_program_reads_its_own_limits(self, app: Flask, client: FlaskClient) -> None:
        def limits(headers: dict[str, str]) -> list[int]:
            found = client.get("/api/v1/limits", headers=headers).json or {}
            return [found["max_jobs_per_hour"], found["max_mb_per_hour"]]

        sent = [JSON, new_token(app), new_token(app, "shop", jobs=7, mb=9)]
        assert [limits(headers) for headers in sent] == [[2, 2], [2, 2], [7, 9]]

    def test_own_turns_are_the_token_s(self, app: Flask, client: FlaskClient, jobs: Jobs) -> None:
        upload(client, new_token(app))
        token = jobs.store.tokens.all()[0]
        assert jobs.store.db.query("SELECT client, owner FROM images") == [
            {"client": token.owner, "owner": token.owner}
        ]
