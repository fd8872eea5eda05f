"""Upload images one by one, as the page's script does."""

import json
from pathlib import Path

import pytest
from flask import Flask

from tests.support.images import make_image, make_jpeg
from tests.support.jobs import newest_job
from tests.support.people import Person, Script, part
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(instance=tmp_path / "instance", max_images=3)


def test_script_sends_images_one_by_one_and_closes(script: Script, jobs: Jobs) -> None:
    job = script.create()
    for name in ("a.jpg", "b.jpg"):
        response = script.add(job, make_jpeg(), name)
        assert response.status_code == 201
        assert response.json is not None
        assert response.json["name"] == name
    assert jobs.job(job["id"]).is_open
    assert script.send(job["close_url"]).status_code == 204
    assert not jobs.job(job["id"]).is_open


def test_images_keep_their_order_whenever_they_arrive(script: Script, jobs: Jobs) -> None:
    job = script.create()
    for name, position in (("b.jpg", "2"), ("a.jpg", "1"), ("c.jpg", "9" * 30)):
        script.send(job["images_url"], images=part(make_jpeg(), name), position=position)
    assert [image.name for image in jobs.job(job["id"]).images] == ["a.jpg", "b.jpg", "c.jpg"]


def test_image_sent_again_after_a_lost_answer_is_kept_once(script: Script, jobs: Jobs) -> None:
    job = script.create()
    images = [{"images": part(make_jpeg(), "a.jpg"), "position": "1"} for _ in range(2)]
    answers = [script.send(job["images_url"], **image) for image in images]
    assert answers[0].json == answers[1].json
    assert jobs.job(job["id"]).counts.total == 1


def test_same_image_twice_is_two_images(script: Script, jobs: Jobs) -> None:
    job = script.create()
    for position in ("1", "2"):
        script.send(job["images_url"], images=part(make_jpeg(), "a.jpg"), position=position)
    script.add(job, make_jpeg())
    script.add(job, make_jpeg())
    assert jobs.job(job["id"]).counts.total == 3


def test_request_without_an_image_is_refused(script: Script, jobs: Jobs) -> None:
    job = script.create()
    response = script.send(job["images_url"], position="1")
    assert response.status_code == 422
    assert (response.json or {})["code"] == "no_images"
    assert jobs.job(job["id"]).counts.total == 0


def test_image_for_a_closed_job_is_refused(script: Script, jobs: Jobs) -> None:
    job = script.create()
    script.add(job, make_jpeg())
    script.send(job["close_url"])
    response = script.add(job, make_jpeg())
    assert response.status_code == 409
    assert response.json is not None
    assert response.json["code"] == "job_closed"


def test_closed_job_can_be_reopened_for_a_failed_upload(script: Script, jobs: Jobs) -> None:
    job = script.create()
    script.add(job, make_jpeg())
    script.send(job["close_url"])
    before = jobs.progress(job["id"]).version
    assert script.send(job["reopen_url"]).status_code == 200
    assert jobs.progress(job["id"]).version > before  # A page that looks on is told.
    assert script.add(job, make_jpeg(), "b.jpg").status_code == 201


def test_job_with_the_most_images_is_not_reopened(script: Script, jobs: Jobs) -> None:
    job = script.create()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        script.add(job, make_jpeg(), name)
    script.send(job["close_url"])
    response = script.send(job["reopen_url"])
    assert response.status_code == 422
    assert (response.json or {})["code"] == "too_many_images"
    assert not jobs.job(job["id"]).is_open


def test_job_closed_without_images_is_not_reopened(script: Script) -> None:
    job = script.create()
    script.send(job["close_url"])
    assert script.send(job["reopen_url"]).status_code == 404


def test_two_tabs_of_a_browser_are_one_owner(app: Flask, script: Script, jobs: Jobs) -> None:
    script.token()
    other = Script(app.test_client())
    cookie = script.client.get_cookie("session")
    assert cookie
    other.client.set_cookie("session", cookie.value)
    first, second = script.create(), other.create()
    assert script.add(second, make_jpeg()).status_code == 201
    assert other.add(first, make_jpeg()).status_code == 201


def test_only_the_owner_can_add_images(script: Script, stranger: Person) -> None:
    job = script.create()
    other = Script(stranger.client)
    assert other.add(job, make_jpeg()).status_code == 403
    assert other.send(job["close_url"]).status_code == 403
    assert other.send(job["reopen_url"]).status_code == 403


def test_upload_is_answered_without_decoding_pixels(script: Script, jobs: Jobs) -> None:
    job = script.create()
    data = make_image("RGB", (200, 200), "png")
    cut = data[: len(data) // 2]
    assert script.add(job, cut, "cut.png").status_code == 201


def missing_files(jobs: Jobs) -> list[tuple[str, str]]:
    return [(file.name, file.reason) for file in newest_job(jobs).missing_files]


def test_job_lists_the_files_that_could_not_be_sent(script: Script, jobs: Jobs) -> None:
    job = script.create()
    script.add(job, make_jpeg())
    lost = [
        [2, "a/b\u202e.jpg", "Connection\n \u202elost."],
        [3, "\ud83d.jpg", "\ud83dA" * 999],
    ]
    script.send(job["close_url"], missing_files=json.dumps(lost))
    assert missing_files(jobs) == [("b.jpg", "Connection lost."), (".jpg", "A" * 300)]
    assert " · 2 skipped" in script.get(job["url"]).text
    assert "2 skipped" in script.get("/jobs").text


def test_image_received_without_an_answer_is_not_missing(script: Script, jobs: Jobs) -> None:
    job = script.create()
    script.send(job["images_url"], images=part(make_jpeg(), "a.jpg"), position=1)
    missing = [[1, "a.jpg", "Connection lost."], [2, "b.jpg", "Connection lost."]]
    script.send(job["close_url"], missing_files=json.dumps(missing))
    assert missing_files(jobs) == [("b.jpg", "Connection lost.")]


def test_file_sent_after_a_reopen_is_no_longer_missing(script: Script, jobs: Jobs) -> None:
    job = script.create()
    script.add(job, make_jpeg())
    script.send(job["close_url"], missing_files='[[2, "b.jpg", "Connection lost."]]')
    assert script.send(job["reopen_url"]).json == {"position": 3}
    script.send(job["images_url"], images=part(make_jpeg(), "b.jpg"), position=2)
    script.send(job["close_url"], missing_files="[]")
    assert missing_files(jobs) == []


@pytest.mark.parametrize(
    "missing", ["", "{}", "[1]", "[[]]", '[["one", "a", "b"]]', "[[1e999, 1, 1]]", "[" * 99_999]
)
def test_invalid_list_of_missing_files_is_ignored(script: Script, jobs: Jobs, missing: str) -> None:
    job = script.create()
    script.add(job, make_jpeg())
    assert script.send(job["close_url"], missing_files=missing).status_code == 204
    assert missing_files(jobs) == []
