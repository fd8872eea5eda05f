"""Create, follow, change and delete jobs over the API."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.app import running_app
from tests.support.clock import Clock
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import nothing_left, sweep, work
from tests.support.people import part
from tests.support.programs import JOBS, SQUARE, create, open_job, put
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs


@pytest.fixture
def url(client: FlaskClient, jobs: Jobs) -> str:
    """The address of a finished job."""
    address = create(client, make_jpeg()).headers["Location"]
    work(jobs)
    return address


# Create


def test_new_job_is_answered_whole(client: FlaskClient) -> None:
    response = create(client, make_jpeg())
    assert response.status_code == 202
    assert response.json is not None
    assert response.headers["Location"] == response.json["links"]["job"]
    assert response.headers["Retry-After"] == "1"
    assert [image["name"] for image in response.json["images"]] == ["1.jpg"]


def test_form_takes_several_files_under_any_names(client: FlaskClient) -> None:
    image = make_jpeg()
    response = create(client, a=part(image, "a.jpg"), b=[part(image, "b"), part(image, "c")])
    assert response.json is not None
    assert [one["name"] for one in response.json["images"]] == ["a.jpg", "b", "c"]
    assert not response.json["is_open"]


def test_refused_file_does_not_hold_up_the_others(client: FlaskClient) -> None:
    job: Any = create(client, make_jpeg(), b"text").json
    assert job["counts"]["total"] == 1
    assert [(one["name"], "text" in one["reason"]) for one in job["missing_files"]] == [
        ("2.jpg", True)
    ]


@pytest.mark.parametrize("files", [[b"text"], [b"text", b""]])
def test_job_without_a_good_file_is_refused(
    client: FlaskClient, jobs: Jobs, files: list[bytes]
) -> None:
    response = create(client, *files)
    assert (response.status_code, response.mimetype) == (415, "application/problem+json")
    assert nothing_left(jobs)


def test_image_may_be_the_body(client: FlaskClient) -> None:
    response = client.post(
        f"{JOBS}?width=64&format=webp&format=avif&filename=sea.jpg",
        data=make_jpeg(),
        content_type="image/jpeg",
    )
    assert response.json is not None
    assert response.json["images"][0]["name"] == "sea.jpg"
    assert [(one["name"], one["format"]) for one in response.json["recipe"]] == [
        ("64w", "webp"),
        ("64w", "avif"),
    ]


def test_form_takes_a_recipe_as_json(client: FlaskClient) -> None:
    recipe = '{"outputs": [{"width": 64, "height": 32, "fit": "cover", "focus": [0.2, 1]}]}'
    job: Any = create(client, make_jpeg(), preset="avatar", recipe=recipe).json
    assert [one["name"] for one in job["recipe"]] == ["avatar", "64x32-cover"]
    assert job["recipe"][1]["focus"] == [0.2, 1]


def test_job_can_be_opened_filled_and_closed(client: FlaskClient, jobs: Jobs) -> None:
    job = open_job(client)
    assert (job["is_open"], job["images"]) == (True, [])
    for position in (2, 1):
        put(client, job["links"]["images"], make_jpeg(), filename=f"{position}", position=position)
    work(jobs)
    closed: Any = client.post(f"{job['links']['job']}/close").json
    assert [image["name"] for image in closed["images"]] == ["1", "2"]
    assert (closed["status"], closed["is_finished"]) == ("done", True)


def test_name_and_time_of_a_job_are_those_asked_for(client: FlaskClient) -> None:
    by_form = create(client, make_jpeg(), name="Spring", keep_hours="2").json
    by_json = open_job(client, name="Spring", keep_hours=2)
    for job in (by_form, by_json):
        assert job
        kept = datetime.fromisoformat(job["expires"]) - datetime.fromisoformat(job["created"])
        assert (job["title"], kept.total_seconds()) == ("Spring", 7200)


def test_job_can_be_kept_until_it_is_deleted(config: Config) -> None:
    with running_app(replace(config, max_kept_mb=10)) as app:
        client = app.test_client()
        assert open_job(client, keep_hours=None)["expires"] is None
        assert create(client, make_jpeg(), keep_hours="inf").json["expires"] is None  # type: ignore[index]


def test_program_may_send_a_token_where_access_is_closed(config: Config) -> None:
    with running_app(replace(config, access_token="long-and-very-secret")) as app:
        client = app.test_client()
        refused = create(client, make_jpeg())
        assert (refused.status_code, refused.json["code"]) == (401, "access_token_required")  # type: ignore[index]
        token = "Bearer long-and-very-secret"
        assert create(client, make_jpeg(), Authorization=token).status_code == 202


# Follow


def test_finished_job_has_its_thumbnails(client: FlaskClient, url: str) -> None:
    job: Any = client.get(url).json
    (thumbnail,) = job["images"][0]["thumbnails"]
    assert (job["status"], thumbnail["width"], thumbnail["format"]) == ("done", 100, "jpeg")
    assert client.get(thumbnail["url"]).mimetype == "image/jpeg"


def test_failed_image_has_its_reason(client: FlaskClient, jobs: Jobs) -> None:
    url = create(client, make_truncated()).headers["Location"]
    work(jobs)
    (image,) = client.get(url).json["images"]  # type: ignore[index]
    assert (image["status"], image["error"]["code"]) == ("failed", "truncated")


def test_unchanged_job_is_not_sent_again(client: FlaskClient, url: str) -> None:
    etag = client.get(url).headers["ETag"]
    again = client.get(url, headers={"If-None-Match": etag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)


@pytest.mark.parametrize(
    ("method", "path", "change"),
    [
        ("PATCH", "", {"name": "Spring"}),
        ("PATCH", "", {"keep_hours": 48}),
        ("PATCH", "", {"focal_point": [0, 0]}),
        ("PATCH", "/images/{image}", {"alt": "A boat"}),
        ("POST", "/remake", {"presets": ["card"]}),
        ("POST", "/reopen", None),
    ],
)
def test_changed_job_is_sent_again(
    client: FlaskClient, url: str, method: str, path: str, change: Any
) -> None:
    before = client.get(url)
    image = before.json["images"][0]["id"]  # type: ignore[index]
    changed = client.open(url + path.format(image=image), method=method, json=change)
    assert changed.status_code in (200, 202)
    after = client.get(url, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert after.json != before.json


def test_open_job_that_ends_by_time_is_sent_again(client: FlaskClient, clock: Clock) -> None:
    job = open_job(client)
    put(client, job["links"]["images"], make_jpeg())
    etag = client.get(job["links"]["job"]).headers["ETag"]
    clock.advance(hours=2)
    after = client.get(job["links"]["job"], headers={"If-None-Match": etag})
    assert after.json is not None
    assert not after.json["is_open"]


def test_head_of_a_job_has_its_etag_alone(client: FlaskClient, url: str) -> None:
    head = client.head(url)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["ETag"] == client.get(url).headers["ETag"]


def test_deleted_and_unknown_jobs_are_told_apart(client: FlaskClient, url: str) -> None:
    client.delete(url)
    unknown = client.get(f"{JOBS}/00000000-0000-4000-8000-000000000000")
    assert [one.status_code for one in (client.get(url), unknown)] == [410, 404]


# List


def test_list_has_the_callers_own_jobs(app: Flask, client: FlaskClient, url: str) -> None:
    assert [one["links"]["job"] for one in client.get(JOBS).json["jobs"]] == [url]  # type: ignore[index]
    assert app.test_client().get(JOBS).json == {"jobs": [], "next": None}


def test_pages_of_the_list_have_every_job_once(client: FlaskClient, clock: Clock) -> None:
    clock.stop()  # Jobs of one moment have an order too.
    ids = [open_job(client)["id"] for _ in range(5)]
    listed, url = [], f"{JOBS}?limit=2"
    while url:
        response = client.get(url)
        page: Any = response.json
        assert (f'<{page["next"]}>; rel="next"' == response.headers.get("Link")) == bool(
            page["next"]
        )
        listed += [job["id"] for job in page["jobs"]]
        url = page["next"]
    assert listed == ids[::-1]


# Change


def test_recipe_can_be_changed(client: FlaskClient, jobs: Jobs, url: str) -> None:
    changed: Any = client.patch(url, json={"outputs": [{"width": 40}]})
    assert changed.status_code == 202
    work(jobs)
    job: Any = client.get(url).json
    assert [made["width"] for made in job["images"][0]["thumbnails"]] == [40]


def test_focal_point_of_all_images_can_be_changed(client: FlaskClient, jobs: Jobs) -> None:
    url = create(client, make_jpeg(), make_jpeg(), preset="avatar").headers["Location"]
    work(jobs)
    job: Any = client.patch(url, json={"focal_point": [0.25, 1]}).json
    assert [image["focal_point"] for image in job["images"]] == [[0.25, 1]] * 2
    assert job["counts"]["waiting"] == 2


def test_wrong_change_changes_nothing(client: FlaskClient, url: str) -> None:
    before = client.get(url).json
    refused = client.patch(url, json={"name": "Spring", "keep_hours": 0})
    assert refused.status_code == 422
    assert client.get(url).json == before


def test_job_can_be_extended_up_to_the_limit(client: FlaskClient, url: str) -> None:
    assert client.patch(url, json={"keep_hours": 169}).status_code == 422
    job: Any = client.patch(url, json={"keep_hours": 168}).json
    kept = datetime.fromisoformat(job["expires"]) - datetime.fromisoformat(job["created"])
    assert kept.total_seconds() == 168 * 3600


def test_deleted_job_can_be_restored(client: FlaskClient, url: str) -> None:
    before: Any = client.get(url).json
    assert client.delete(url).status_code == 204
    restored: Any = client.post(f"{url}/restore").json
    assert restored["images"] == before["images"]


def test_waiting_images_can_be_cancelled_and_retried(client: FlaskClient, jobs: Jobs) -> None:
    url = create(client, make_jpeg(), make_jpeg()).headers["Location"]
    cancelled: Any = client.post(f"{url}/cancel")
    assert (cancelled.status_code, cancelled.json["status"]) == (200, "cancelled")
    retried: Any = client.post(f"{url}/retry")
    assert (retried.status_code, retried.json["counts"]["waiting"]) == (202, 2)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", ""),
        ("DELETE", ""),
        *[("POST", f"/{name}") for name in ("close", "reopen", "retry", "cancel", "restore")],
        ("POST", "/remake"),
        ("PUT", "/images"),
    ],
)
def test_only_its_owner_changes_a_job(app: Flask, url: str, method: str, path: str) -> None:
    answer = app.test_client().open(url + path, method=method, json=SQUARE)
    assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")


def test_closed_job_without_images_is_gone(client: FlaskClient, jobs: Jobs) -> None:
    url = open_job(client)["links"]["job"]
    answer = client.post(f"{url}/close")
    assert (answer.status_code, answer.json["code"]) == (422, "no_images")  # type: ignore[index]
    sweep(jobs)
    assert nothing_left(jobs)
