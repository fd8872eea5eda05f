"""ETags of jobs: what a client has is outdated as soon as a job changes."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.images import make_jpeg
from tests.support.jobs import work
from tests.support.programs import create, open_job, put
from webapp.jobs.lifecycle import Jobs

CHANGES: dict[str, Callable[[FlaskClient, Jobs, dict[str, str]], Any]] = {
    "a new image": lambda client, _, links: put(client, links["images"], make_jpeg()),
    "a finished image": lambda _, jobs, __: work(jobs),
    "a cancelled image": lambda client, _, links: client.post(f"{links['job']}/cancel"),
    "the end of the upload": lambda client, _, links: client.post(f"{links['job']}/close"),
}


@pytest.fixture
def links(client: FlaskClient) -> dict[str, str]:
    """Open a job with an image, and return its addresses."""
    links: dict[str, str] = open_job(client)["links"]
    put(client, links["images"], make_jpeg())
    return links


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_next_read_shows_what_happened(
    client: FlaskClient,
    jobs: Jobs,
    links: dict[str, str],
    change: Callable[[FlaskClient, Jobs, dict[str, str]], Any],
) -> None:
    before = client.get(links["job"])
    change(client, jobs, links)
    after = client.get(links["job"], headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert after.json != before.json


@pytest.mark.parametrize("status", ["waiting", "cancelled"])
def test_focal_point_of_an_image_without_thumbnails_is_shown(
    client: FlaskClient, links: dict[str, str], status: str
) -> None:
    if status == "cancelled":
        client.post(f"{links['job']}/cancel")
    before = client.get(links["job"])
    (image,) = before.get_json()["images"]
    client.patch(image["url"], json={"focal_point": [0.1, 0.2]})
    after = client.get(links["job"], headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    (image,) = after.get_json()["images"]
    assert (image["status"], image["focal_point"]) == (status, [0.1, 0.2])


def test_unchanged_job_is_read_as_before(client: FlaskClient, links: dict[str, str]) -> None:
    first, second = client.get(links["job"]), client.get(links["job"])
    assert (second.status_code, second.data) == (200, first.data)
    assert second.headers["ETag"] == first.headers["ETag"]


def test_links_have_the_host_that_was_asked(client: FlaskClient) -> None:
    path = create(client, make_jpeg()).headers["Location"].removeprefix("http://localhost")
    for host in ("one.example", "two.example"):
        job = client.get(path, headers={"Host": host}).get_json()
        assert job["links"]["job"] == f"http://{host}{path}"


def test_deleted_job_is_gone_for_those_who_know_it(
    client: FlaskClient, links: dict[str, str]
) -> None:
    etag = client.get(links["job"]).headers["ETag"]
    client.delete(links["job"])
    assert client.get(links["job"], headers={"If-None-Match": etag}).status_code == 410
    assert client.get(links["job"]).status_code == 410


@pytest.mark.parametrize("path", ["manifest.json", "markup"])
def test_unchanged_download_is_not_sent_again(client: FlaskClient, jobs: Jobs, path: str) -> None:
    url = create(client, make_jpeg()).headers["Location"]
    work(jobs)
    etag = client.get(f"{url}/{path}").headers["ETag"]
    assert client.get(f"{url}/{path}", headers={"If-None-Match": etag}).status_code == 304
    client.patch(f"{url}", json={"outputs": [{"width": 40}]})
    work(jobs)
    assert client.get(f"{url}/{path}", headers={"If-None-Match": etag}).status_code == 200
