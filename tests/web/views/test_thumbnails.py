"""Thumbnails as static files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.app import running_app
from tests.support.clock import Clock
from tests.support.images import make_png
from tests.support.jobs import id_of, job_at, sweep, url_of, work
from tests.support.people import Person
from webapp.config import Config, load
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Thumbnail


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Create one application for all tests, which leave its thumbnails."""
    with running_app(Config(instance=tmp_path_factory.mktemp("thumbnails"))) as app:
        yield app


@pytest.fixture(scope="module")
def made(app: Flask) -> list[Thumbnail]:
    """Make a thumbnail in each format."""
    person, jobs = Person(app.test_client()), app.extensions["jobs"]
    own = {f"outputs-{i}-width": "50" for i in range(4)} | {
        f"outputs-{i}-format": format for i, format in enumerate(("jpeg", "png", "webp", "avif"))
    }
    job_id = id_of(person.submit(make_png(), presets=[], **own))
    work(jobs)
    return list(jobs.job(job_id).images[0].thumbnails)


def test_every_format_has_its_type(client: FlaskClient, made: list[Thumbnail]) -> None:
    types = [client.get(url_of(thumbnail)).content_type for thumbnail in made]
    assert types == ["image/jpeg", "image/png", "image/webp", "image/avif"]


def test_thumbnail_is_cached_for_ever_and_sandboxed(
    client: FlaskClient, made: list[Thumbnail]
) -> None:
    headers = client.get(url_of(made[0])).headers
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
    assert headers["Content-Security-Policy"] == policy
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_name_of_a_saved_thumbnail_is_that_of_the_link(
    client: FlaskClient, made: list[Thumbnail]
) -> None:
    answer = client.get(url_of(made[0]))  # A file name here would overrule `download` on the page.
    assert (answer.status_code, answer.headers.get("Content-Disposition")) == (200, None)


def test_size_in_bytes_is_that_of_the_file(client: FlaskClient, made: list[Thumbnail]) -> None:
    assert [len(client.get(url_of(t)).data) for t in made] == [t.bytes for t in made]


def test_thumbnail_is_found_where_the_data_folder_is_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with running_app(load({"THUMBNAIL_INSTANCE": "here"})) as app:
        job_id = id_of(Person(app.test_client()).submit(make_png()))
        work(app.extensions["jobs"])
        (made,) = app.extensions["jobs"].job(job_id).thumbnails
        assert app.test_client().get(url_of(made)).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    ["{folder}/none.jpg", "{folder}/", "{folder}", "{job}/", "/thumbnails/",
     "{folder}/..%2f..%2fjobs.db", "{folder}/%2e%2e/secret_key", "/thumbnails/jobs.db",
     "/thumbnails/../jobs.db", "/thumbnails//etc/passwd.jpg", "{folder}//{file}",
     "{folder}/./{file}", "{folder}/%2e/{file}", "{folder}%2f..%2f{name}%2f{file}",
     "{folder}/{file}%00", "{folder}/{file}%0a", "{folder}/{file}/", "{folder}/{file}%2f.",
     "{folder}/%c0%ae%c0%ae/{file}", "{folder}/..%5c{file}", "{folder}/{upper}",
     "{folder}\uff0f{file}",
     "{folder}/{file};a", "{folder}/%252e%252e%252fjobs.db"],
)  # fmt: skip
def test_path_to_anything_else_is_not_found(
    client: FlaskClient, made: list[Thumbnail], wrong: str
) -> None:
    folder, _, file = url_of(made[0]).rpartition("/")
    job, _, name = folder.rpartition("/")
    path = wrong.format(folder=folder, job=job, name=name, file=file, upper=file.upper())
    assert client.get(path, follow_redirects=True).status_code == 404


def test_file_of_another_type_is_not_served(
    client: FlaskClient, jobs: Jobs, made: list[Thumbnail]
) -> None:
    folder = jobs.storage.thumbnails / os.path.dirname(made[0].path)
    (folder / "evil.html").write_text("<script>")
    assert client.get(url_of(made[0]).rpartition("/")[0] + "/evil.html").status_code == 404


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_link_is_not_followed(
    client: FlaskClient, jobs: Jobs, made: list[Thumbnail], linked: str
) -> None:
    file = jobs.storage.thumbnails / made[0].path
    place = file if linked == "file" else file.parent
    elsewhere = jobs.storage.tmp / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    assert file.exists()
    assert client.get(url_of(made[0])).status_code == 404
    place.unlink()
    elsewhere.rename(place)
    assert client.get(url_of(made[0])).status_code == 200


def test_thumbnail_stops_when_its_job_expires(tmp_path: Path, clock: Clock) -> None:
    with running_app(Config(instance=tmp_path), clock) as app:
        person, jobs = Person(app.test_client()), app.extensions["jobs"]
        path = person.submit(make_png())
        work(jobs)
        (made,) = job_at(jobs, path).thumbnails
        clock.advance(hours=24)
        statuses = [person.get(url_of(made)).status_code]
        sweep(jobs)
        statuses.append(person.get(url_of(made)).status_code)
    assert statuses == [410, 410]  # As its job does, for 30 days.


def test_thumbnail_of_a_deleted_job_is_not_found(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path)) as app:
        person, jobs = Person(app.test_client()), app.extensions["jobs"]
        path = person.submit(make_png())
        work(jobs)
        (made,) = job_at(jobs, path).thumbnails
        jobs.store.jobs.delete(id_of(path))  # Its files are still there.
        assert person.get(url_of(made)).status_code == 404
