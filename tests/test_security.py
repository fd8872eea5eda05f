"""Headers, cookies and keys."""

from pathlib import Path

import pytest

from tests.conftest import Person, running_app
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
    assert headers["Referrer-Policy"] == "no-referrer"


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
