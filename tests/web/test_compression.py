"""Large pages are compressed for clients that accept it."""

import gzip
from collections.abc import Iterator
from time import time
from uuid import UUID

import pytest
from flask import Flask
from itsdangerous import TimestampSigner
from werkzeug.test import TestResponse

from tests.support.app import running_app
from tests.support.images import make_jpeg
from tests.support.jobs import job_at, work
from tests.support.people import Person, find_token, multipart
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs

PARTS = ["", "/panel", "/images/{image_id}", "/images/{image_id}/panel"]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Create one application for all tests, with one job."""
    with running_app(Config(instance=tmp_path_factory.mktemp("compression"))) as app:
        yield app


@pytest.fixture(scope="module")
def person(app: Flask) -> Person:
    return Person(app.test_client())


@pytest.fixture(scope="module")
def path(app: Flask, person: Person) -> str:
    """Finish a job of eight images, and return the path of its page."""
    path = person.submit(*[make_jpeg()] * 8)
    work(app.extensions["jobs"])
    return path


def get(
    person: Person, path: str, encodings: str = "gzip, br", method: str = "GET"
) -> TestResponse:
    headers = {"Accept": "text/html", "Accept-Encoding": encodings}
    return person.client.open(path, method=method, headers=headers)


def whole_path(jobs: Jobs, path: str, part: str) -> str:
    return path + part.format(image_id=job_at(jobs, path).images[0].id)


def decompress(answer: TestResponse) -> str:
    assert answer.headers["Content-Encoding"] == "gzip"
    return gzip.decompress(answer.data).decode()


@pytest.mark.parametrize("part", PARTS)
def test_compressed_page_is_the_same(stranger: Person, jobs: Jobs, path: str, part: str) -> None:
    address = whole_path(jobs, path, part)
    assert decompress(get(stranger, address)) == stranger.get(address).text


def test_page_of_several_images_compresses_well(person: Person, path: str) -> None:
    assert len(get(person, path).data) < len(person.get(path).data) / 4


def test_upload_page_compresses_well(person: Person) -> None:
    assert len(get(person, "/").data) < len(person.get("/").data) / 3


@pytest.mark.parametrize("encodings", ["", "br", "gzip;q=0"])
def test_page_is_not_compressed_without_gzip_support(
    person: Person, path: str, encodings: str
) -> None:
    answer = get(person, path, encodings)
    assert "Content-Encoding" not in answer.headers
    assert "8 of 8 done" in answer.text


@pytest.mark.parametrize("encodings", ["", "gzip"])
def test_compressed_answer_varies_by_encoding(person: Person, path: str, encodings: str) -> None:
    assert "Accept-Encoding" in get(person, path, encodings).headers["Vary"]


def test_panel_smaller_than_a_packet_is_not_compressed(stranger: Person) -> None:
    answer = get(stranger, f"/jobs/{UUID(int=1)}/panel?v=99")
    assert "This job is gone" in answer.text
    assert "Content-Encoding" not in answer.headers


def test_head_of_a_page_has_the_headers_of_get(stranger: Person, path: str) -> None:
    head, whole = (get(stranger, path, method=method) for method in ("HEAD", "GET"))
    assert head.data == b""
    assert "Accept-Encoding" in head.headers["Vary"]
    for name in ("Content-Type", "Cache-Control"):
        assert head.headers[name] == whole.headers[name]


def test_form_of_a_compressed_page_works(person: Person, path: str) -> None:
    token = find_token(decompress(get(person, path)))
    answer = person.client.post(f"{path}/extend", **multipart(csrf_token=token, hours="1"))
    assert answer.status_code == 303


# What keeps the length of a compressed page from giving its token away


def test_token_changes_each_second(
    person: Person, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    signatures, now = set(), int(time())
    for second in (now, now + 1):
        monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _, second=second: second)
        signatures.add(find_token(person.get(path).text).rpartition(".")[2])
    assert len(signatures) == 2


@pytest.mark.parametrize("part", PARTS)
def test_pages_of_a_job_echo_nothing_of_a_request(
    person: Person, jobs: Jobs, path: str, part: str
) -> None:
    query = "?v=needle&estimate=needle&needle=needle"
    answer = person.get(whole_path(jobs, path, part) + query)
    assert answer.status_code == 200
    assert "needle" not in answer.text
