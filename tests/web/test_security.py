"""Headers, cookies and keys."""

import os
import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers

from tests.support.app import running_app
from tests.support.images import make_jpeg
from tests.support.jobs import id_of, url_of, work
from tests.support.people import Person, find_token, multipart, part, upload_image
from webapp.config import Config, HostNames
from webapp.jobs.lifecycle import Jobs
from webapp.web.views.responses import PICTURE_HEADERS

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), "
    "payment=(), publickey-credentials-get=(), usb=()",
}


def security_headers(headers: Headers) -> dict[str, str]:
    """Return the security headers of a response."""
    names = {*HEADERS, "Strict-Transport-Security"}
    return {name: headers[name] for name in names if name in headers}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/jobs",
        "/docs",
        "/healthcheck",
        "/nowhere",
        "/thumbnails/none.jpg",
        "{static}/css/base.css",
        "{static}/js/upload.js",
        "{static}/none.js",
    ],
)
def test_every_answer_has_the_headers(app: Flask, person: Person, path: str) -> None:
    path = path.format(static=app.static_url_path)
    assert security_headers(person.get(path).headers) == HEADERS


def test_refusals_and_internal_errors_have_the_headers(app: Flask, person: Person) -> None:
    app.add_url_rule("/bug", view_func=lambda: str(1 / 0))
    assert security_headers(person.client.post("/jobs").headers) == HEADERS
    assert security_headers(person.client.delete("/").headers) == HEADERS
    answer = person.get("/bug")
    assert answer.status_code == 500
    assert security_headers(answer.headers) == HEADERS


def test_thumbnail_has_a_content_policy_of_its_own(person: Person, jobs: Jobs) -> None:
    job_id = id_of(person.submit(make_jpeg()))
    work(jobs)
    policy = PICTURE_HEADERS["Content-Security-Policy"]
    for path in (url_of(jobs.job(job_id).images[0].thumbnails[0]), f"/download_thumbnail/{job_id}"):
        headers = person.get(path).headers
        assert security_headers(headers) == {**HEADERS, "Content-Security-Policy": policy}
        assert headers["Content-Type"] == "image/jpeg"


def test_hsts_is_sent_where_the_operator_enables_it(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path, hsts_days=30)) as app:
        headers = app.test_client().get("/").headers
    assert security_headers(headers) == {**HEADERS, "Strict-Transport-Security": "max-age=2592000"}


PROGRAM_ROUTES = {"/upload_image"}  # Without a token, and documented so.


def test_every_change_needs_a_csrf_token(client: FlaskClient, app: Flask) -> None:
    # Walk all routes, so that a new one cannot be forgotten.
    pages = [rule for rule in app.url_map.iter_rules() if not rule.rule.startswith("/api/")]
    changing = [rule for rule in pages if rule.methods and "POST" in rule.methods]
    others = {method for rule in pages for method in rule.methods or ()}
    assert others <= {"GET", "HEAD", "OPTIONS", "POST"}
    docs = client.get("/docs").text
    for rule in changing:
        path = re.sub(r"<[^>]+>", "00000000-0000-4000-8000-000000000000", rule.rule)
        if path in PROGRAM_ROUTES:
            assert path in docs
            continue
        answer = client.post(path, data={"field": "value"})
        assert (answer.status_code, (answer.json or {}).get("code")) == (400, "csrf"), path


def test_session_cookie_is_hidden_from_scripts_and_other_sites(person: Person) -> None:
    cookie = person.upload((make_jpeg(), "a.jpg")).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_secret_key_is_made_once_and_private(tmp_path: Path) -> None:
    keys = set()
    for _ in range(2):
        with running_app(Config(instance=tmp_path)) as app:
            keys.add(app.secret_key)
    assert len(keys) == 1
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0


def test_nothing_under_the_data_folder_is_for_others(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    umask = os.umask(0)  # The most careless there is.
    try:
        with running_app(Config(instance=folder)) as app:
            person, jobs = Person(app.test_client()), app.extensions["jobs"]
            person.upload((make_jpeg(), "done.jpg"))
            work(jobs)
            person.upload((make_jpeg(), "waiting.jpg"))
            modes = {
                str(path.relative_to(folder)): path.stat().st_mode & 0o777
                for path in (folder, *folder.rglob("*"))
            }
    finally:
        os.umask(umask)
    assert {"jobs.db-wal", "jobs.db-shm", "queue.db-wal", "queue.db-shm"} <= set(modes)
    assert [name for name, mode in modes.items() if mode & 0o007] == []
    # nginx's group reads thumbnails, and passes through what is above them.
    shared = {name for name, mode in modes.items() if mode & 0o070}
    assert {name.split("/")[0] for name in shared} == {".", "thumbnails"}


@pytest.mark.parametrize(
    "path",
    ["/originals/{}", "/instance/originals/{}", "/static/../instance/originals/{}",
     "/static/%2e%2e/instance/jobs.db", "/static/..%2fwsgi.py", "/thumbnails/../originals/{}",
     "/jobs.db", "/instance/secret_key", "/.env"],
)  # fmt: skip
def test_originals_and_other_files_are_never_served(person: Person, jobs: Jobs, path: str) -> None:
    job_id = id_of(person.submit(make_jpeg()))
    original = f"{job_id}/{jobs.job(job_id).images[0].id}"
    assert person.get(path.format(original)).status_code == 404


def test_form_works_behind_a_proxy_with_tls(tmp_path: Path) -> None:
    config = Config(instance=tmp_path, trusted_proxies=1, cookie_secure=True)
    headers = {"X-Forwarded-Proto": "https", "Origin": "https://pictures.example"}
    with running_app(config) as app:
        client = app.test_client()
        page = client.get("/", headers=headers, base_url="https://pictures.example")
        token = find_token(page.text)
        form = multipart(csrf_token=token, presets="square", images=part(make_jpeg(), "a.jpg"))
        answer = client.post(
            "/jobs",
            headers={**headers, "Accept": "text/html"},
            base_url="https://pictures.example",
            **form,
        )
    assert answer.status_code == 303
    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")  # A sibling domain cannot set one of this name.
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie


@pytest.mark.parametrize("proxies", [0, 1, 2])
def test_forwarded_host_of_a_client_is_ignored(tmp_path: Path, proxies: int) -> None:
    # Not every proxy replaces this header; each passes on its host.
    with running_app(Config(instance=tmp_path, trusted_proxies=proxies)) as app:
        headers = {"X-Forwarded-Host": "evil.example", "Host": "pictures.example"}
        page = app.test_client().get("/docs", headers=headers)
    assert "evil.example" not in page.text
    assert "http://pictures.example/" in page.text


HOSTS = HostNames("thumbs.test .pics.test")
OTHER_ORIGINS = ["http://evil.test", "https://evil.test", "http://thumbs.test:8001", "null", ""]


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
def test_form_of_another_site_replaces_no_session_over_plain_http(
    person: Person, jobs: Jobs, origin: str
) -> None:
    # Browsers send Sec-Fetch-Site only over HTTPS and to localhost.
    answer = upload_image(
        person.client,
        make_jpeg(),
        base_url="http://thumbs.test",
        headers={"Origin": origin},
    )
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers
    assert list(jobs.store.jobs.ids()) == []


@pytest.mark.parametrize("origin", ["http://Thumbs.test:8000", "https://thumbs.test:8000", None])
def test_own_pages_and_programs_may_upload(person: Person, origin: str | None) -> None:
    # Behind a proxy that takes TLS off, the scheme is another one.
    answer = upload_image(
        person.client,
        make_jpeg(),
        base_url="http://thumbs.test:8000",
        headers={"Origin": origin} if origin else {},
    )
    assert answer.status_code == 202


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_request_from_another_site_is_refused_everywhere(app: Flask, method: str) -> None:
    client = app.test_client()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "00000000-0000-4000-8000-000000000000", rule.rule)
        answer = client.open(path, method=method, headers={"Origin": "http://evil.test"})
        assert answer.status_code == 403, path


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_unknown_host_is_refused_everywhere(tmp_path: Path, method: str, accept: str) -> None:
    with running_app(Config(instance=tmp_path, allowed_hosts=HOSTS)) as app:
        client = app.test_client()
        for rule in app.url_map.iter_rules():
            path = re.sub(r"<[^>]+>", "00000000-0000-4000-8000-000000000000", rule.rule)
            headers = {"Accept": accept}
            answer = client.open(path, method=method, base_url="http://evil.test", headers=headers)
            assert answer.status_code == 400, path
            assert (answer.json or {})["code"] == "unknown_host"


@pytest.mark.parametrize(
    "host", ["thumbs.test", "Thumbs.TEST:8000", "my.pics.test", "localhost:8000", "127.0.0.1"]
)
def test_listed_hosts_and_this_machine_are_answered(tmp_path: Path, host: str) -> None:
    # A health check on this machine names no other.
    with running_app(Config(instance=tmp_path, allowed_hosts=HOSTS)) as app:
        assert app.test_client().get("/healthcheck", headers={"Host": host}).status_code == 503


def test_any_host_is_answered_without_a_list(person: Person) -> None:
    assert person.client.get("/docs", base_url="http://any.test").status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_page_of_another_site_cannot_upload(person: Person, site: str) -> None:
    answer = upload_image(
        person.client,
        make_jpeg(),
        headers={"Sec-Fetch-Site": site},
    )
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers
