"""What browsers get of static/: compressed, and to keep."""

import gzip
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from webapp.web import static_files


@pytest.fixture
def style(app: Flask) -> str:
    return f"{app.static_url_path}/css/base.css"


def get(client: FlaskClient, path: str, **headers: str) -> TestResponse:
    return client.get(path, headers={name.replace("_", "-"): v for name, v in headers.items()})


def test_styles_are_compressed_for_clients_that_accept_it(client: FlaskClient, style: str) -> None:
    packed = get(client, style, Accept_Encoding="gzip, br")
    plain = get(client, style)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 2
    assert packed.headers["Content-Length"] == str(len(packed.data))
    assert {answer.headers["Vary"] for answer in (packed, plain)} == {"Accept-Encoding"}


def test_image_is_sent_as_it_is(app: Flask, client: FlaskClient) -> None:
    answer = get(client, f"{app.static_url_path}/samples/moon.jpg", Accept_Encoding="gzip")
    assert answer.data == (static_files.FOLDER / "samples/moon.jpg").read_bytes()
    assert "Content-Encoding" not in answer.headers


def test_files_are_kept_for_good(client: FlaskClient, style: str) -> None:
    answer = get(client, style)
    assert answer.cache_control.max_age == 365 * 86400
    assert answer.cache_control.immutable


def test_file_that_is_not_there_is_not_kept(app: Flask, client: FlaskClient) -> None:
    answer = get(client, f"{app.static_url_path}/js/none.js")
    assert answer.status_code == 404
    assert "Cache-Control" not in answer.headers


def test_browser_that_has_the_compressed_file_gets_no_other(
    client: FlaskClient, style: str
) -> None:
    etag = get(client, style, Accept_Encoding="gzip").headers["ETag"]
    assert get(client, style, If_None_Match=etag).status_code == 304


def test_address_changes_with_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_files, "FOLDER", tmp_path)
    seen = set()
    for content in ("a", "b"):
        (tmp_path / "site.css").write_text(content)
        seen.add(static_files.url_path.__wrapped__())
    (tmp_path / "site.css").rename(tmp_path / "page.css")
    assert len(seen | {static_files.url_path.__wrapped__()}) == 3
