"""Thumbnails and originals that nginx sends, once the application has checked the request."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.support.app import running_app
from tests.support.images import make_jpeg
from tests.support.jobs import answer_with_worker, id_of, job_at, url_of, work
from tests.support.people import Person
from webapp.config import Config, UrlPath
from webapp.jobs.lifecycle import Jobs
from webapp.web.views.responses import PICTURE_HEADERS


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    config = Config(instance=tmp_path, trusted_proxies=1, accel_prefix=UrlPath("/accel"))
    with running_app(config) as app:
        yield app


@pytest.fixture
def job(person: Person, jobs: Jobs) -> str:
    path = person.submit(make_jpeg())
    work(jobs)
    return path


def test_thumbnail_is_named_to_nginx_and_not_read(person: Person, jobs: Jobs, job: str) -> None:
    (made,) = job_at(jobs, job).thumbnails
    headers = {"Range": "bytes=0-3", "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    answer = person.client.get(url_of(made), headers=headers)
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["X-Accel-Redirect"] == f"/accel/thumbnails/{made.path}"
    assert answer.mimetype == "image/jpeg"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert PICTURE_HEADERS.items() <= dict(answer.headers).items()
    assert not {"ETag", "Last-Modified", "Content-Disposition"} & set(answer.headers.keys())


def test_original_is_named_to_nginx_for_its_owner_alone(
    person: Person, stranger: Person, jobs: Jobs, job: str
) -> None:
    (image,) = job_at(jobs, job).images
    answer = person.get(f"{job}/images/{image.id}/original")
    assert answer.headers["X-Accel-Redirect"] == f"/accel/originals/{id_of(job)}/{image.id}"
    assert answer.headers["Cache-Control"] == "private"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    refused = stranger.get(f"{job}/images/{image.id}/original")
    assert refused.status_code == 403
    assert "X-Accel-Redirect" not in refused.headers


def test_only_an_original_that_its_owner_asks_for_can_be_read_by_the_group(
    person: Person, jobs: Jobs, job: str
) -> None:
    other = person.submit(make_jpeg())
    files = [jobs.storage.original(id_of(path), job_at(jobs, path).images[0].id)
             for path in (job, other)]  # fmt: skip
    person.get(f"{job}/images/{files[0].name}/original")
    assert [file.stat().st_mode & 0o077 for file in files] == [0o040, 0]
    folders = [files[0].parent, jobs.storage.originals, files[1].parent]
    assert [folder.stat().st_mode & 0o077 for folder in folders] == [0o010, 0o010, 0]


def test_nothing_is_named_to_nginx_once_it_is_gone(person: Person, jobs: Jobs, job: str) -> None:
    (image,) = job_at(jobs, job).images
    jobs.storage.original(id_of(job), image.id).unlink()
    assert person.get(f"{job}/images/{image.id}/original").status_code == 404
    jobs.delete(id_of(job))
    answer = person.get(url_of(image.thumbnails[0]))
    assert answer.status_code in (404, 410)
    assert "X-Accel-Redirect" not in answer.headers


def test_program_that_waits_for_its_picture_gets_it_in_the_answer(app: Flask) -> None:
    client = app.test_client()
    headers = {"Accept": "image/*", "Content-Type": "image/jpeg", "Prefer": "wait=10"}
    answer = answer_with_worker(
        app, lambda: client.post("/api/v1/jobs?preset=square", data=make_jpeg(), headers=headers)
    )
    assert answer.data.startswith(b"\xff\xd8")  # nginx would drop its other headers.
    assert "X-Accel-Redirect" not in answer.headers
