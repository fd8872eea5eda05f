"""Pages of allowed sites use the API, never as the visitor."""

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.app import running_app
from tests.support.images import make_jpeg
from tests.support.people import Person, find_token, multipart, part
from webapp.config import Config, HeaderName, HostNames, Origins
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.tokens import create_token

SITE = "https://app.example"
ALLOWED = {"Origin": SITE}
OTHER = {"Origin": "https://evil.example"}
PREFLIGHT = {"Access-Control-Request-Method": "PUT"}
JOBS = "/api/v1/jobs"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(
        instance=tmp_path / "instance",
        cors_origins=Origins(f"{SITE} http://localhost:5173"),
        trusted_proxies=1,
        user_header=HeaderName("Remote-User"),
    )


def create(client: FlaskClient, headers: dict[str, str]) -> TestResponse:
    """Create a job over the API."""
    return client.post(
        JOBS, headers=headers, **multipart(a=part(make_jpeg(), "a.jpg"), preset="square")
    )


def owners(app: Flask) -> list[str | None]:
    """Return the owners of all jobs, the oldest first."""
    rows = app.extensions["jobs"].store.db.query("SELECT owner FROM jobs ORDER BY created")
    return [row["owner"] for row in rows]


@pytest.fixture
def victim(app: Flask) -> Person:
    """Create a person with a session and a job, whose browser shows a page of another site."""
    person = Person(app.test_client())
    person.submit(make_jpeg())
    return person


def allowed_origin(answer: TestResponse) -> str | None:
    return answer.headers.get("Access-Control-Allow-Origin")


def test_allowed_site_may_ask_and_read(client: FlaskClient) -> None:
    preflight = client.options(JOBS, headers=ALLOWED | PREFLIGHT)
    assert preflight.status_code == 204
    assert allowed_origin(preflight) == SITE
    methods = preflight.headers["Access-Control-Allow-Methods"].split(", ")
    assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= set(methods)
    names = preflight.headers["Access-Control-Allow-Headers"].lower()
    for name in ("authorization", "content-type", "idempotency-key", "prefer", "if-none-match"):
        assert name in names
    assert int(preflight.headers["Access-Control-Max-Age"]) > 600
    answer = client.get(JOBS, headers=ALLOWED)
    assert (answer.status_code, allowed_origin(answer)) == (200, SITE)
    for name in ("ETag", "Link", "Location", "Retry-After", "Preference-Applied"):
        assert name in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("path", [JOBS, "/api/v1/nothing"])
def test_answers_vary_by_origin_and_allow_no_credentials(client: FlaskClient, path: str) -> None:
    for headers in (ALLOWED, OTHER, {}):
        answer = client.get(path, headers=headers)
        assert "Origin" in answer.vary
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://app.example", "https://app.example:8443", "null",
     "https://app.example.evil.example", "https://sub.app.example", "HTTPS://APP.EXAMPLE/", ""],
)  # fmt: skip
def test_other_sites_may_not_read(client: FlaskClient, origin: str) -> None:
    for answer in (
        client.get(JOBS, headers={"Origin": origin}),
        client.options(JOBS, headers={"Origin": origin} | PREFLIGHT),
    ):
        assert allowed_origin(answer) is None
    assert create(client, {"Origin": origin}).status_code == 403


def test_page_can_read_errors(config: Config) -> None:
    with running_app(replace(config, max_jobs_per_hour=1)) as app:
        client = app.test_client()
        answers = {
            201: client.post(JOBS, headers=ALLOWED, json={"presets": ["square"]}),
            429: create(client, ALLOWED),
            401: client.get(JOBS, headers=ALLOWED | {"Authorization": "Bearer wrong"}),
            404: client.get("/api/v1/nothing", headers=ALLOWED),
            405: client.put(JOBS, headers=ALLOWED),
            413: client.put(JOBS, data=b"x" * 1_500_000, headers=ALLOWED),
        }
    found = {
        status: (answer.status_code, allowed_origin(answer)) for status, answer in answers.items()
    }
    assert found == {status: (status, SITE) for status in answers}


@pytest.mark.parametrize("path", ["/", "/jobs", "/upload_image", "/healthcheck", "/apiary"])
def test_only_the_api_is_for_other_sites(client: FlaskClient, path: str) -> None:
    assert allowed_origin(client.get(path, headers=ALLOWED)) is None
    assert allowed_origin(client.options(path, headers=ALLOWED | PREFLIGHT)) is None


def test_allowed_site_cannot_send_forms(victim: Person) -> None:
    assert victim.client.post("/upload_image", headers=ALLOWED, data={"a": "b"}).status_code == 403


def test_options_of_programs_are_answered_as_before(client: FlaskClient) -> None:
    for path in (JOBS, "/jobs"):
        answer = client.options(path)
        assert answer.status_code == 200
        assert "GET" in answer.headers["Allow"]


def test_all_sites_can_be_allowed(config: Config) -> None:
    with running_app(replace(config, cors_origins=Origins("*"))) as app:
        client = app.test_client()
        assert allowed_origin(client.get(JOBS, headers=OTHER)) == OTHER["Origin"]
        assert create(client, OTHER).status_code == 202


def test_no_site_is_allowed_by_default(config: Config) -> None:
    with running_app(replace(config, cors_origins=Origins(""))) as app:
        client = app.test_client()
        assert allowed_origin(client.get(JOBS, headers=ALLOWED)) is None
        assert create(client, ALLOWED).status_code == 403
        preflight = client.options(JOBS, headers=ALLOWED | PREFLIGHT)
        assert "Access-Control-Allow-Methods" not in preflight.headers


@pytest.mark.parametrize("site", [ALLOWED, OTHER, {"Sec-Fetch-Site": "same-site"},
                                  {"Sec-Fetch-Site": "cross-site"}])  # fmt: skip
def test_page_of_another_site_sees_nothing_of_the_visitor(
    victim: Person, site: dict[str, str]
) -> None:
    for headers, seen in (({}, 1), (site, 0)):
        answer = victim.client.get(JOBS, headers=headers)
        assert len((answer.json or {})["jobs"]) == seen


def test_page_of_another_site_cannot_change_the_visitor_s_job(victim: Person, jobs: Jobs) -> None:
    (job_id,) = jobs.store.jobs.ids()
    assert victim.client.delete(f"{JOBS}/{job_id}", headers=ALLOWED).status_code == 403
    assert victim.client.delete(f"{JOBS}/{job_id}").status_code == 204


def test_page_of_another_site_makes_jobs_of_no_one(app: Flask, victim: Person) -> None:
    before = victim.client.get_cookie("session")
    answer = create(victim.client, ALLOWED)
    assert answer.status_code == 202
    assert "Set-Cookie" not in answer.headers
    assert victim.client.get_cookie("session") == before
    assert owners(app)[1:] == [None]


def test_page_of_another_site_gives_the_visitor_no_session(client: FlaskClient) -> None:
    assert create(client, ALLOWED).status_code == 202
    assert client.get_cookie("session") is None


def test_page_of_another_site_is_not_the_user_of_a_proxy(app: Flask, client: FlaskClient) -> None:
    user = {"Remote-User": "alice", "X-Forwarded-For": "192.0.2.1"}
    for headers in (user, user | ALLOWED):
        assert create(client, headers).status_code == 202
    assert owners(app) == ["user:alice", None]


def test_page_of_another_site_has_no_access_by_a_session(config: Config) -> None:
    token = "a-token-that-is-hard-to-guess"
    with running_app(replace(config, access_token=token)) as app:
        client = app.test_client()
        csrf_token = find_token(client.get("/sign-in").text)
        client.post("/sign-in", data={"csrf_token": csrf_token, "token": token})
        assert create(client, {}).status_code == 202
        answer = create(client, ALLOWED)
        assert (answer.status_code, allowed_origin(answer)) == (401, SITE)


def test_page_with_a_token_has_the_jobs_of_the_token(app: Flask, victim: Person) -> None:
    store = app.extensions["jobs"].store
    headers = {"Authorization": f"Bearer {create_token(store, 'app')}"} | ALLOWED
    answer = create(victim.client, headers)
    assert (answer.status_code, allowed_origin(answer)) == (202, SITE)
    assert owners(app)[1:] == [store.tokens.all()[0].owner]


def test_own_pages_use_the_api_with_their_session(app: Flask, victim: Person) -> None:
    assert create(victim.client, {"Origin": "http://localhost"}).status_code == 202
    first, second = owners(app)
    assert first == second


def test_host_that_is_not_ours_is_refused_at_the_api_too(config: Config) -> None:
    with running_app(replace(config, allowed_hosts=HostNames("thumbs.example"))) as app:
        answer = app.test_client().get(JOBS, headers=ALLOWED | {"Host": "evil.example"})
        assert answer.status_code == 400
