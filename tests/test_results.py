"""Thumbnails as static files."""

import os

import pytest
from flask.testing import FlaskClient

from tests.conftest import Person, work
from tests.images import make_png
from webapp.job_store import Thumbnail
from webapp.jobs import Jobs


@pytest.fixture
def made(person: Person, jobs: Jobs) -> list[Thumbnail]:
    own = {f"outputs-{i}-width": "50" for i in range(4)} | {
        f"outputs-{i}-format": format for i, format in enumerate(("jpeg", "png", "webp", "avif"))
    }
    job_id = person.upload((make_png(), "a.png"), presets=[], **own).headers["Location"][6:]
    work(jobs)
    return list(jobs.job(job_id).images[0].thumbnails)


def test_every_format_has_its_type(client: FlaskClient, made: list[Thumbnail]) -> None:
    types = [client.get(thumbnail.url).content_type for thumbnail in made]
    assert types == ["image/jpeg", "image/png", "image/webp", "image/avif"]


def test_thumbnail_is_cached_for_ever_and_can_do_no_harm(
    client: FlaskClient, made: list[Thumbnail]
) -> None:
    headers = client.get(made[0].url).headers
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_size_in_bytes_is_that_of_the_file(client: FlaskClient, made: list[Thumbnail]) -> None:
    assert [len(client.get(t.url).data) for t in made] == [t.bytes for t in made]


@pytest.mark.parametrize(
    "wrong",
    ["{folder}/none.jpg", "{folder}/", "{folder}/..%2f..%2fjobs.db", "{folder}/%2e%2e/secret_key",
     "/thumbnails/jobs.db", "/thumbnails/../jobs.db", "/thumbnails//etc/passwd.jpg"],
)  # fmt: skip
def test_path_to_anything_else_is_not_found(
    client: FlaskClient, made: list[Thumbnail], wrong: str
) -> None:
    folder = made[0].url.rpartition("/")[0]
    path = wrong.format(folder=folder)
    assert client.get(path, follow_redirects=True).status_code == 404


def test_file_of_another_type_is_not_served(
    client: FlaskClient, jobs: Jobs, made: list[Thumbnail]
) -> None:
    folder = jobs.storage.thumbnails / os.path.dirname(made[0].path)
    (folder / "evil.html").write_text("<script>")
    assert client.get(made[0].url.rpartition("/")[0] + "/evil.html").status_code == 404
