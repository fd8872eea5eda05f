"""Static files are compressed and cached for ever."""

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


def test_image_is_not_compressed(app: Flask, client: FlaskClient) -> None:
    answer = get(client, f"{app.static_url_path}/samples/moon.jpg", Accept_Encoding="gzip")
    assert answer.data == (static_files.FOLDER / "samples/moon.jpg").read_bytes()
    assert "Content-Encoding" not in answer.headers


def test_static_files_are_cached_for_ever(client: FlaskClient, style: str) -> None:
    answer = get(client, style)
    assert answer.cache_control.max_age == 365 * 86400
    assert answer.cache_control.immutable


def test_missing_static_file_is_not_cached(app: Flask, client: FlaskClient) -> None:
    answer = get(client, f"{app.static_url_path}/js/none.js")
    assert answer.status_code == 404
    assert "Cache-Control" not in answer.headers


def test_cached_compressed_file_is_not_sent_again(client: FlaskClient, style: str) -> None:
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
