"""Jobs over the API, as programs create, follow and change them."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.images import make_jpeg
from tests.support.jobs import work
from tests.support.people import multipart, part
from webapp.jobs.lifecycle import Jobs

JOBS = "/api/v1/jobs"


def create(client: FlaskClient, *files: bytes, **fields: Any) -> TestResponse:
    """Create a job of these files, by default with the square preset."""
    parts = [part(data, f"{number}.jpg") for number, data in enumerate(files, 1)]
    return client.post(JOBS, **multipart(**{"files": parts, "preset": "square", **fields}))


def test_new_job_is_answered_whole(client: FlaskClient) -> None:
    response = create(client, make_jpeg())
    assert response.status_code == 202
    assert response.json is not None
    assert response.headers["Location"] == response.json["links"]["job"]
    assert response.json["counts"]["waiting"] == 1
    assert [image["name"] for image in response.json["images"]] == ["1.jpg"]


def test_finished_job_has_its_thumbnails(client: FlaskClient, jobs: Jobs) -> None:
    url = create(client, make_jpeg()).headers["Location"]
    work(jobs)
    job: Any = client.get(url).json
    (thumbnail,) = job["images"][0]["thumbnails"]
    assert (job["status"], thumbnail["width"], thumbnail["format"]) == ("done", 100, "jpeg")
    assert client.get(thumbnail["url"]).mimetype == "image/jpeg"
