"""Headers, cookies and keys."""

from pathlib import Path

import pytest

from tests.conftest import Person, find_token, multipart, part, running_app
from tests.images import make_jpeg
from webapp.config import Config

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@pytest.mark.parametrize("path", ["/", "/jobs", "/docs", "/nowhere", "/static/css/site.css"])
def test_every_answer_has_the_headers(person: Person, path: str) -> None:
    headers = person.get(path).headers
    assert headers["Content-Security-Policy"] == CSP
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


def test_cookie_is_out_of_reach_of_scripts_and_other_sites(person: Person) -> None:
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


def test_queue_is_for_nobody_else(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path)):
        pass
    assert (tmp_path / "queue.db").stat().st_mode & 0o077 == 0


def test_form_works_behind_a_proxy_with_tls(tmp_path: Path) -> None:
    config = Config(instance=tmp_path, trusted_proxies=1, cookie_secure=True)
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "pictures.example"}
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
    assert "Secure" in page.headers["Set-Cookie"]


def test_forwarded_headers_are_not_believed_without_a_proxy(person: Person) -> None:
    page = person.client.get("/docs", headers={"X-Forwarded-Host": "evil.example"})
    assert "evil.example" not in page.text


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_page_of_another_site_cannot_upload_in_a_persons_name(person: Person, site: str) -> None:
    answer = person.client.post(
        "/upload_image",
        headers={"Sec-Fetch-Site": site},
        **multipart(file=part(make_jpeg(), "a.jpg")),
    )
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers
