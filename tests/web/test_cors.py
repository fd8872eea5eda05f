"""Pages of allowed sites use the API, never as the visitor."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask, Response, jsonify
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.app import running_app
from tests.support.images import make_jpeg
from tests.support.people import Person, find_token
from webapp.config import Config, HeaderName, HostNames, Origins
from webapp.jobs.errors import TooManyJobs
from webapp.jobs.tokens import create_token
from webapp.web import access, clients
from webapp.web.security import csrf

SITE = "https://app.example"
ALLOWED = {"Origin": SITE}
OTHER = {"Origin": "https://evil.example"}
PREFLIGHT = {"Access-Control-Request-Method": "PUT"}
PATH = "/api/v1/self"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(
        instance=tmp_path / "instance",
        cors_origins=Origins(f"{SITE} http://localhost:5173"),
        trusted_proxies=1,
        user_header=HeaderName("Remote-User"),
    )


def add_routes(app: Flask) -> None:
    """Add routes below /api/ that say who calls, submit a job, and are over a limit."""

    @csrf.exempt  # type: ignore[untyped-decorator]
    def tell() -> Response:
        jobs = list(app.extensions["jobs"].store.jobs.ids(clients.current_owner() or "-"))
        return jsonify(owner=clients.current_owner(), jobs=jobs, access=access.has_access())

    @csrf.exempt  # type: ignore[untyped-decorator]
    def become() -> Response:
        return jsonify(owner=clients.become_owner())

    def refuse() -> Response:
        raise TooManyJobs("You have made 2 jobs.", 60)

    app.add_url_rule(PATH, view_func=tell, methods=["GET", "PUT"])
    app.add_url_rule(PATH, "become", become, methods=["POST"])
    app.add_url_rule("/api/v1/busy", view_func=refuse)


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    with running_app(config) as app:
        add_routes(app)
        yield app


@pytest.fixture
def victim(app: Flask) -> Person:
    """Create a person with a session and a job, whose browser shows a page of another site."""
    person = Person(app.test_client())
    person.submit(make_jpeg())
    return person


def allowed_origin(answer: TestResponse) -> str | None:
    return answer.headers.get("Access-Control-Allow-Origin")


def test_allowed_site_may_ask_and_read(client: FlaskClient) -> None:
    preflight = client.options(PATH, headers=ALLOWED | PREFLIGHT)
    assert preflight.status_code == 204
    assert allowed_origin(preflight) == SITE
    methods = preflight.headers["Access-Control-Allow-Methods"].split(", ")
    assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= set(methods)
    names = preflight.headers["Access-Control-Allow-Headers"].lower()
    for name in ("authorization", "content-type", "idempotency-key", "prefer", "if-none-match"):
        assert name in names
    assert int(preflight.headers["Access-Control-Max-Age"]) > 600
    answer = client.get(PATH, headers=ALLOWED)
    assert (answer.status_code, allowed_origin(answer)) == (200, SITE)
    for name in ("ETag", "Link", "Location", "Retry-After", "Preference-Applied"):
        assert name in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("path", [PATH, "/api/v1/busy", "/api/v1/nothing"])
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
        client.get(PATH, headers={"Origin": origin}),
        client.options(PATH, headers={"Origin": origin} | PREFLIGHT),
    ):
        assert allowed_origin(answer) is None
    assert client.put(PATH, headers={"Origin": origin}).status_code == 403


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (PATH, {"Authorization": "Bearer wrong"}, 401),
        ("/api/v1/busy", {}, 429),
        ("/api/v1/nothing", {}, 404),
    ],
)
def test_page_can_read_errors(
    client: FlaskClient, path: str, headers: dict[str, str], status: int
) -> None:
    answer = client.get(path, headers=ALLOWED | headers)
    assert (answer.status_code, allowed_origin(answer)) == (status, SITE)


def test_page_can_read_that_its_request_is_too_large(client: FlaskClient) -> None:
    answer = client.put(PATH, data=b"x" * 1_500_000, headers=ALLOWED)
    assert (answer.status_code, allowed_origin(answer)) == (413, SITE)


@pytest.mark.parametrize("path", ["/", "/jobs", "/upload_image", "/healthcheck", "/apiary"])
def test_only_the_api_is_for_other_sites(client: FlaskClient, path: str) -> None:
    assert allowed_origin(client.get(path, headers=ALLOWED)) is None
    assert allowed_origin(client.options(path, headers=ALLOWED | PREFLIGHT)) is None


def test_allowed_site_cannot_send_forms(victim: Person) -> None:
    assert victim.client.post("/upload_image", headers=ALLOWED, data={"a": "b"}).status_code == 403


def test_options_of_programs_are_answered_as_before(client: FlaskClient) -> None:
    for path in (PATH, "/jobs"):
        answer = client.options(path)
        assert answer.status_code == 200
        assert "GET" in answer.headers["Allow"]


def test_all_sites_can_be_allowed(config: Config) -> None:
    with running_app(replace(config, cors_origins=Origins("*"))) as app:
        add_routes(app)
        client = app.test_client()
        assert allowed_origin(client.get(PATH, headers=OTHER)) == OTHER["Origin"]
        assert client.put(PATH, headers=OTHER).status_code == 200


def test_no_site_is_allowed_by_default(config: Config) -> None:
    with running_app(replace(config, cors_origins=Origins(""))) as app:
        add_routes(app)
        client = app.test_client()
        assert allowed_origin(client.get(PATH, headers=ALLOWED)) is None
        assert client.put(PATH, headers=ALLOWED).status_code == 403
        preflight = client.options(PATH, headers=ALLOWED | PREFLIGHT)
        assert "Access-Control-Allow-Methods" not in preflight.headers


@pytest.mark.parametrize("site", [ALLOWED, OTHER, {"Sec-Fetch-Site": "same-site"},
                                  {"Sec-Fetch-Site": "cross-site"}])  # fmt: skip
def test_page_of_another_site_sees_nothing_of_the_visitor(
    victim: Person, site: dict[str, str]
) -> None:
    own = victim.client.get(PATH).json or {}
    assert len(own["jobs"]) == 1
    answer = victim.client.get(PATH, headers=site)
    assert answer.json == {"owner": None, "jobs": [], "access": True}


def test_page_of_another_site_does_nothing_as_the_visitor(victim: Person) -> None:
    before = victim.client.get_cookie("session")
    for _ in range(2):
        answer = victim.client.post(PATH, headers=ALLOWED)
        assert answer.json == {"owner": None}
        assert "Set-Cookie" not in answer.headers
    assert victim.client.get_cookie("session") == before


def test_page_of_another_site_does_nothing_as_the_user_of_a_proxy(client: FlaskClient) -> None:
    user = {"Remote-User": "alice", "X-Forwarded-For": "192.0.2.1"}
    assert client.post(PATH, headers=user).json == {"owner": "user:alice"}
    assert client.post(PATH, headers=user | ALLOWED).json == {"owner": None}


def test_page_of_another_site_has_no_access_by_a_session(config: Config) -> None:
    token = "a-token-that-is-hard-to-guess"
    with running_app(replace(config, access_token=token)) as app:
        add_routes(app)
        client = app.test_client()
        csrf_token = find_token(client.get("/sign-in").text)
        client.post("/sign-in", data={"csrf_token": csrf_token, "token": token})
        assert client.put(PATH).status_code == 200
        answer = client.put(PATH, headers=ALLOWED)
        assert (answer.status_code, allowed_origin(answer)) == (401, SITE)


def test_page_with_a_token_has_the_jobs_of_the_token(app: Flask, victim: Person) -> None:
    store = app.extensions["jobs"].store
    headers = {"Authorization": f"Bearer {create_token(store, 'app')}"} | ALLOWED
    owner = store.tokens.all()[0].owner
    assert victim.client.post(PATH, headers=headers).json == {"owner": owner}
    assert allowed_origin(victim.client.put(PATH, headers=headers)) == SITE


def test_own_pages_use_the_api_with_their_session(victim: Person) -> None:
    for headers in ({}, {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}):
        assert (victim.client.post(PATH, headers=headers).json or {})["owner"]


def test_host_that_is_not_ours_is_refused_at_the_api_too(config: Config) -> None:
    with running_app(replace(config, allowed_hosts=HostNames("thumbs.example"))) as app:
        add_routes(app)
        answer = app.test_client().get(PATH, headers=ALLOWED | {"Host": "evil.example"})
        assert answer.status_code == 400
