"""Add, read and change images over the API."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import nothing_left, work
from tests.support.programs import create, open_job, put
from webapp.jobs.lifecycle import Jobs


def make_bmp(color: str) -> bytes:
    """Make a picture of one colour; all have the same length."""
    data = BytesIO()
    Image.new("RGB", (8, 8), color).save(data, "BMP")
    return data.getvalue()


def test_added_image_is_answered_with_its_address(client: FlaskClient) -> None:
    job = open_job(client)
    added = put(client, job["links"]["images"], make_jpeg(), filename="sea/../é.jpg")
    assert added.status_code == 201
    assert added.json is not None
    assert (added.json["name"], added.json["status"]) == ("é.jpg", "waiting")
    assert client.get(added.headers["Location"]).json == added.json


def test_image_sent_twice_at_its_place_is_added_once(client: FlaskClient) -> None:
    images = open_job(client)["links"]["images"]
    first, again = (
        put(client, images, make_jpeg(), filename="a.jpg", position=3).json for _ in range(2)
    )
    assert first == again


def test_image_sent_twice_at_the_same_moment_is_added_once(app: Flask, client: FlaskClient) -> None:
    job = open_job(client)
    cookie = client.get_cookie("session")
    assert cookie
    together = Barrier(4)

    def send(_: int) -> str:
        own = app.test_client()
        own.set_cookie("session", cookie.value)
        together.wait()
        answer = put(own, job["links"]["images"], make_jpeg(), filename="a.jpg", position=3)
        assert answer.json is not None
        return answer.json["id"]  # type: ignore[no-any-return]

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(send, range(4)))) == 1
    after: Any = client.get(job["links"]["job"]).json
    assert len(after["images"]) == 1


def test_other_image_of_the_same_length_is_added(client: FlaskClient) -> None:
    images = open_job(client)["links"]["images"]
    red, blue = (make_bmp(color) for color in ("red", "blue"))
    assert len(red) == len(blue)
    ids = {put(client, images, data, position=0).json["id"] for data in (red, blue)}  # type: ignore[index]
    assert len(ids) == 2


def test_refused_image_leaves_nothing(client: FlaskClient, jobs: Jobs) -> None:
    job = open_job(client)
    assert put(client, job["links"]["images"], b"text").status_code == 415
    client.delete(job["links"]["job"])
    jobs.delete(job["id"])
    assert nothing_left(jobs)


def test_image_is_sent_as_an_image(client: FlaskClient) -> None:
    images = open_job(client)["links"]["images"]
    answer = client.put(images, data=make_jpeg(), content_type="text/plain")
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_body")  # type: ignore[index]


def test_closed_job_takes_no_image(client: FlaskClient) -> None:
    job: Any = create(client, make_jpeg()).json
    answer = put(client, job["links"]["images"], make_jpeg())
    assert (answer.status_code, answer.json["code"]) == (409, "job_closed")  # type: ignore[index]


def test_place_of_an_image_is_a_number(client: FlaskClient) -> None:
    images = open_job(client)["links"]["images"]
    answer = put(client, images, make_jpeg(), position="first")
    assert answer.json["errors"][0]["pointer"] == "#/position"  # type: ignore[index]


@pytest.fixture
def image(client: FlaskClient, jobs: Jobs) -> str:
    """The address of a finished image with a crop."""
    job: Any = create(client, make_jpeg(), preset="avatar").json
    work(jobs)
    return job["images"][0]["url"]  # type: ignore[no-any-return]


def test_unchanged_image_is_not_sent_again(client: FlaskClient, image: str) -> None:
    etag = client.get(image).headers["ETag"]
    assert client.get(image, headers={"If-None-Match": etag}).status_code == 304


def test_alternative_text_and_focal_point_can_be_changed(client: FlaskClient, image: str) -> None:
    changed: Any = client.patch(image, json={"alt": "A boat", "focal_point": [0, 1]}).json
    assert (changed["alt"], changed["focal_point"]) == ("A boat", [0, 1])
    assert changed["status"] == "waiting"
    assert client.patch(image, json={"focal_point": None}).json["focal_point"] is None  # type: ignore[index]


def test_wrong_point_changes_nothing(client: FlaskClient, image: str) -> None:
    before = client.get(image).json
    assert client.patch(image, json={"alt": "A boat", "focal_point": [0, 2]}).status_code == 422
    assert client.get(image).json == before


def test_image_can_be_cancelled_and_retried(client: FlaskClient) -> None:
    image: Any = create(client, make_jpeg()).json
    url = image["images"][0]["url"]
    assert client.post(f"{url}/cancel").json["status"] == "cancelled"  # type: ignore[index]
    assert client.post(f"{url}/retry").json["status"] == "waiting"  # type: ignore[index]


def test_failed_image_can_be_replaced(client: FlaskClient, jobs: Jobs) -> None:
    job: Any = create(client, make_truncated()).json
    work(jobs)
    replaced: Any = put(client, job["images"][0]["url"], make_jpeg(), filename="new.jpg").json
    assert [(one["name"], one["status"]) for one in replaced["images"]] == [("new.jpg", "waiting")]


def test_sound_image_is_not_replaced(client: FlaskClient, image: str) -> None:
    answer = put(client, image, make_jpeg())
    assert (answer.status_code, answer.json["code"]) == (409, "image_not_failed")  # type: ignore[index]


def test_image_of_another_job_is_not_found(client: FlaskClient, image: str) -> None:
    other: Any = create(client, make_jpeg()).json
    mixed = f"{other['links']['job']}/images/{image.rpartition('/')[2]}"
    answers = [client.get(mixed), client.patch(mixed, json={"alt": "A boat"})]
    assert [one.status_code for one in answers] == [404, 404]
