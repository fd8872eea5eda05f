"""The access token is required to upload, and not to view a job by its link."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.app import running_app
from tests.support.images import make_jpeg
from tests.support.jobs import id_of, nothing_left, url_of, work
from tests.support.people import Person, Script, find_token, multipart, part, upload_image
from webapp.config import Config, ConfigError, load
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.limits import MAX_WRONG_TOKENS
from webapp.web.limits import SAFE_METHODS

TOKEN = "a-token-that-is-hard-to-guess"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(instance=tmp_path / "instance", access_token=TOKEN)


def sign_in(person: Person, token: str = TOKEN, path: str = "/") -> TestResponse:
    """Fill in the sign-in page that leads to a path."""
    page = person.client.get("/sign-in", query_string={"next": path})
    form = {"csrf_token": find_token(page.text), "token": token, "next": path}
    return person.client.post("/sign-in", data=form, headers={"Accept": "text/html"})


def submit(client: FlaskClient, authorization: str | None = None) -> TestResponse:
    """Upload an image as a program with this header does."""
    headers = {"Authorization": authorization} if authorization else {}
    return upload_image(client, make_jpeg(), headers=headers)


def test_person_signs_in_and_returns_to_the_page(person: Person) -> None:
    asked = person.get("/?preset=card")
    assert asked.status_code == 303
    assert asked.headers["Location"] == "/sign-in?next=/?preset%3Dcard"
    page = person.get(asked.headers["Location"])
    assert 'value="/?preset=card"' in page.text
    answer = sign_in(person, path="/?preset=card")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/?preset=card")
    assert person.upload((make_jpeg(), "a.jpg")).status_code == 303


def test_signed_in_person_is_asked_for_an_api_token_alone(person: Person) -> None:
    assert "Access token or API token" in person.get("/sign-in").text
    sign_in(person)
    page = person.get("/sign-in?next=/jobs")
    assert page.status_code == 200
    assert "Access token" not in page.text


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example",
     "evil.example", "/\t/evil.example", "/\n/evil.example", " /", "javascript:alert(1)", "",
     "/\u2044evil.example"],
)  # fmt: skip
def test_sign_in_leads_to_no_other_site(person: Person, path: str) -> None:
    assert sign_in(person, path=path).headers["Location"] == "/"


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "ä", "\0"])
def test_wrong_token_is_refused_with_a_reason(person: Person, token: str) -> None:
    answer = sign_in(person, token)
    assert answer.status_code == 401
    assert "This token is unknown or was revoked." in answer.text
    assert person.get("/").status_code == 303


def test_sign_out_keeps_the_jobs_of_the_browser(person: Person) -> None:
    sign_in(person)
    job = person.submit(make_jpeg())
    answer = person.post("/sign-out")
    assert answer.headers["Location"] == "/sign-in"
    assert person.get("/").status_code == 303
    page = person.get(job)
    assert "Delete" in page.text
    assert "Sign out" not in page.text


def test_button_to_sign_out_is_on_every_page(person: Person) -> None:
    sign_in(person)
    for path in ("/", "/jobs", "/docs"):
        assert "Sign out" in person.get(path).text


@pytest.mark.parametrize("path", ["/", "/jobs", "/jobs/open", "/jobs/{}/images", "/upload_image"])
def test_nothing_is_uploaded_without_the_token(client: FlaskClient, jobs: Jobs, path: str) -> None:
    answer = client.post(
        path.format("00000000-0000-4000-8000-000000000000"),
        **multipart(file=part(make_jpeg(), "a.jpg")),
    )
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "access token" in answer.text
    assert nothing_left(jobs)


def test_script_gets_the_code_of_a_missing_token(app: Flask) -> None:
    headers = {"Accept": "application/json"}
    answer = app.test_client().post("/jobs/open", headers=headers, **multipart(presets="square"))
    assert (answer.json or {})["code"] == "access_token_required"


def test_program_uploads_with_a_bearer_token(client: FlaskClient, jobs: Jobs) -> None:
    assert submit(client, f"Bearer {TOKEN}").status_code == 202
    assert len(list(jobs.store.jobs.ids())) == 1


@pytest.mark.parametrize(
    "authorization",
    ["Bearer wrong", "Bearer ", "Bearer", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN} x",
     "Bearer \xe4"],
)  # fmt: skip
def test_program_with_a_wrong_header_is_refused(client: FlaskClient, authorization: str) -> None:
    assert submit(client, authorization).status_code == 401


def test_tokens_need_not_be_ascii(config: Config) -> None:
    token = "ein-schlüssel-aus-köln"
    with running_app(replace(config, access_token=token)) as app:
        assert (
            submit(app.test_client(), f"Bearer {token}".encode().decode("latin-1")).status_code
            == 202
        )


def test_links_work_without_the_access_token(app: Flask, person: Person, jobs: Jobs) -> None:
    sign_in(person)
    page = person.submit(make_jpeg())
    work(jobs)
    job_id = page.removeprefix("/jobs/")
    guest = Person(app.test_client())
    thumbnail = url_of(jobs.job(job_id).images[0].thumbnails[0])
    for path in (page, f"{page}/panel", thumbnail, f"/download_thumbnail/{job_id}", "/docs"):
        assert guest.get(path).status_code == 200
    assert guest.client.get(f"/check_job_status/{job_id}").status_code == 303


def test_all_jobs_are_listed_only_with_the_token(config: Config) -> None:
    with running_app(replace(config, list_all_jobs=True)) as app:
        client = app.test_client()
        assert client.get("/jobs").status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert client.get("/jobs", headers=headers).json == {"job_ids": []}


def test_new_token_ends_all_sessions(config: Config) -> None:
    with running_app(config) as app:
        person = Person(app.test_client())
        sign_in(person)
        cookie = person.client.get_cookie("session")
    assert cookie
    with running_app(replace(config, access_token="another-token-than-before")) as app:
        client = app.test_client()
        client.set_cookie("session", cookie.value)
        assert client.get("/").status_code == 303


def test_every_change_needs_the_new_token(config: Config) -> None:
    # Walk all routes: the session of an old token can only view.
    with running_app(config) as app:
        person, jobs = Person(app.test_client()), app.extensions["jobs"]
        sign_in(person)
        job_id = id_of(person.submit(make_jpeg()))
        image_id, before = jobs.job(job_id).images[0].id, jobs.job(job_id)
        cookie = person.client.get_cookie("session")
    assert cookie
    with running_app(replace(config, access_token="another-token-than-before")) as app:
        person = Person(app.test_client())
        person.client.set_cookie("session", cookie.value)
        token = find_token(person.get("/sign-in").text)
        ids = {"job_id": job_id, "image_id": image_id, "output": "square"}
        ids["delivery_id"] = "msg_0"
        routes = list(app.url_map.iter_rules())
        changing = [r for r in routes if not (r.methods or set()) <= {"GET", "HEAD", "OPTIONS"}]
        assert len(changing) > 15
        for rule in changing:
            if rule.endpoint in ("access.sign_in", "access.sign_out"):
                continue
            path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: ids[found[1]], rule.rule)
            form = multipart(csrf_token=token, presets="card", hours="100", x="0", y="0")
            (method,) = (rule.methods or set()) - SAFE_METHODS
            accept = {"Accept": "application/json"}
            answer = person.client.open(path, method=method, headers=accept, **form)
            assert answer.status_code == 401, path
            assert (answer.json or {}).get("code") == "access_token_required" or (
                rule.endpoint == "thumbnail_api.upload_image"
            )
        assert app.extensions["jobs"].job(job_id) == before
        assert person.get(f"/jobs/{job_id}").status_code == 200
        sign_in(person, "another-token-than-before")
        assert person.post(f"/jobs/{job_id}/delete").status_code == 303


def guess(client: FlaskClient, times: int) -> list[int]:
    return [submit(client, "Bearer wrong").status_code for _ in range(times)]


def test_guessing_is_stopped_in_all_forms_and_processes(
    app: Flask, config: Config, person: Person
) -> None:
    with running_app(config) as other:
        half = MAX_WRONG_TOKENS // 2
        assert guess(app.test_client(), half) == [401] * half
        assert guess(other.test_client(), half) == [401] * half
        assert guess(other.test_client(), 1) == [429]
        right = submit(app.test_client(), f"Bearer {TOKEN}")
        assert right.status_code == 429
        assert 0 < int(right.headers["Retry-After"]) <= 3600
        answer = sign_in(person)
        assert answer.status_code == 429
        assert "Too many wrong tokens came from your network." in answer.text


def test_guessing_by_others_does_not_affect_signed_in_users(app: Flask, person: Person) -> None:
    sign_in(person)
    guess(app.test_client(), MAX_WRONG_TOKENS + 1)
    assert person.upload((make_jpeg(), "a.jpg")).status_code == 303


def test_right_tokens_are_not_counted(client: FlaskClient) -> None:
    answers = {submit(client, f"Bearer {TOKEN}").status_code for _ in range(MAX_WRONG_TOKENS + 2)}
    assert answers == {202}


def test_script_of_the_page_works_once_signed_in(app: Flask) -> None:
    script = Script(app.test_client())
    sign_in(script)
    assert script.add(script.create(), make_jpeg()).status_code == 201


@pytest.fixture
def open_app(config: Config, tmp_path: Path) -> Iterator[Flask]:
    with running_app(replace(config, instance=tmp_path / "open", access_token="")) as app:
        yield app


def test_service_without_an_access_token_asks_no_one_to_sign_in(open_app: Flask) -> None:
    client = open_app.test_client()
    assert "sign-in" not in client.get("/").text
    assert submit(client, "Bearer wrong").status_code == 202
    assert "TOKEN=…" not in client.get("/docs").text


def test_docs_name_the_access_token(client: FlaskClient) -> None:
    assert "Authorization: Bearer" in client.get("/docs").text


def test_weak_secret_key_is_refused_at_startup(tmp_path: Path) -> None:
    environ = {"THUMBNAIL_INSTANCE": str(tmp_path), "THUMBNAIL_SECRET_KEY": "x" * 31}
    with pytest.raises(ConfigError, match="THUMBNAIL_SECRET_KEY must have at least 32 characters"):
        load(environ)
    assert load({**environ, "THUMBNAIL_SECRET_KEY": "x" * 32}).secret_key == "x" * 32


@pytest.mark.parametrize("variable", ["THUMBNAIL_ACCESS_TOKEN", "THUMBNAIL_METRICS_TOKEN"])
def test_weak_access_token_is_refused_at_startup(tmp_path: Path, variable: str) -> None:
    environ = {"THUMBNAIL_INSTANCE": str(tmp_path), variable: "letmein"}
    with pytest.raises(ConfigError, match=f"{variable} must have at least 16 characters"):
        load(environ)
