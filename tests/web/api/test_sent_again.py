"""A program sends the same job or the same image again."""

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from tests.support.app import running_app
from tests.support.images import make_jpeg
from tests.support.jobs import work
from tests.support.programs import JOBS, SQUARE, create, open_job, put
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs

PHOTO = make_jpeg((60, 40))
KEY = {"Idempotency_Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
HEADER = {"Idempotency-Key": KEY["Idempotency_Key"]}


def count(jobs: Jobs) -> int:
    return len(list(jobs.store.jobs.ids()))


@pytest.mark.parametrize("files", [1, 2])
def test_form_that_is_sent_again_gets_the_first_answer(
    client: FlaskClient, jobs: Jobs, files: int
) -> None:
    first, second = (create(client, *[PHOTO] * files, **KEY) for _ in range(2))
    assert (first.status_code, first.data) == (second.status_code, second.data)
    assert second.headers["Idempotent-Replayed"] == "true"
    for name in ("Location", "ETag", "Retry-After", "Content-Type", "Cache-Control"):
        assert first.headers[name] == second.headers[name]
    assert count(jobs) == 1


def test_open_job_that_is_sent_again_takes_images_of_the_same_program(
    client: FlaskClient, jobs: Jobs
) -> None:
    first, second = (client.post(JOBS, json=SQUARE, headers=HEADER) for _ in range(2))
    assert first.data == second.data
    assert put(client, second.json["links"]["images"], PHOTO).status_code == 201  # type: ignore[index]


def test_body_that_is_sent_again_gets_the_first_answer(client: FlaskClient, jobs: Jobs) -> None:
    first, second = (
        client.post(f"{JOBS}?preset=square", data=PHOTO, content_type="image/jpeg", headers=HEADER)
        for _ in range(2)
    )
    assert first.data == second.data
    assert count(jobs) == 1


def test_other_job_with_the_same_key_is_refused(client: FlaskClient, jobs: Jobs) -> None:
    create(client, PHOTO, **KEY)
    answer = create(client, PHOTO, name="another", **KEY)
    assert answer.json
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert count(jobs) == 1


def test_image_that_was_sent_before_is_done_at_once(client: FlaskClient, jobs: Jobs) -> None:
    assert create(client, PHOTO).json["images"][0]["is_reused"] is False  # type: ignore[index]
    work(jobs)
    again = create(client, PHOTO)
    assert again.status_code == 201
    assert again.json
    assert (again.json["status"], again.json["images"][0]["is_reused"]) == ("done", True)
    added = put(client, open_job(client)["links"]["images"], PHOTO)
    assert added.json
    assert (added.json["status"], added.json["is_reused"]) == ("done", True)


def test_name_that_a_job_got_since_stays(client: FlaskClient, jobs: Jobs) -> None:
    create(client, PHOTO)
    work(jobs)

    def ask() -> str:
        """Ask for the thumbnail itself, an answer that is not kept; return the job's address."""
        answer = client.post(
            f"{JOBS}?preset=square&name=Spring",
            data=PHOTO,
            content_type="image/jpeg",
            headers={**HEADER, "Accept": "image/*", "Prefer": "wait=5"},
        )
        return answer.headers["Link"].split(">")[0][1:]

    url = ask()
    client.patch(url, json={"name": "Summer"})
    assert ask() == url
    assert client.get(url).json["name"] == "Summer"  # type: ignore[index]


def test_thumbnail_as_the_answer_is_sent_again(client: FlaskClient, jobs: Jobs) -> None:
    create(client, PHOTO)
    work(jobs)
    wish = {**HEADER, "Accept": "image/*", "Prefer": "wait=5"}
    first, second = (
        client.post(f"{JOBS}?preset=square", data=PHOTO, content_type="image/jpeg", headers=wish)
        for _ in range(2)
    )
    assert (first.mimetype, first.data) == ("image/jpeg", second.data)
    assert first.headers["Content-Location"] == second.headers["Content-Location"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert count(jobs) == 2


def test_request_sent_again_counts_as_no_job(config: Config) -> None:
    with running_app(replace(config, max_jobs_per_hour=1)) as app:
        client = app.test_client()
        key = {"Idempotency_Key": "a"}
        first, again = (create(client, make_jpeg(), **key) for _ in range(2))
        assert (first.status_code, again.status_code) == (202, 202)
        assert create(client, make_jpeg()).status_code == 429
