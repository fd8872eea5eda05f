"""Add photos to a job later, and replace a file that failed."""

import json
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.support.app import running_app
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import job_at, work
from tests.support.pages import Page
from tests.support.people import Person, Script, part
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Image


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(instance=tmp_path / "instance", max_images=3)


def add(person: Person, path: str, *files: tuple[bytes, str]) -> TestResponse:
    return person.post(f"{path}/add", images=[part(data, name) for data, name in files])


def names(jobs: Jobs, path: str) -> list[str]:
    return [image.name for image in job_at(jobs, path).images]


def missing(jobs: Jobs, path: str) -> list[str]:
    return [file.name for file in job_at(jobs, path).missing_files]


def test_photos_are_added_to_a_finished_job(person: Person, jobs: Jobs) -> None:
    path = person.submit((make_jpeg(), "a.jpg"))
    work(jobs)
    answer = add(person, path, (make_jpeg(), "b.jpg"), (make_jpeg(), "c.jpg"))
    assert answer.headers["Location"] == path
    assert names(jobs, path) == ["a.jpg", "b.jpg", "c.jpg"]
    work(jobs)
    assert job_at(jobs, path).is_finished


def test_added_file_that_is_refused_is_listed_beside_the_first(person: Person, jobs: Jobs) -> None:
    path = person.submit((make_jpeg(), "a.jpg"), (b"words", "first.txt"))
    add(person, path, (b"words", "second.txt"))
    assert missing(jobs, path) == ["first.txt", "second.txt"]


def test_photos_beyond_the_limit_are_refused_by_name(person: Person, jobs: Jobs) -> None:
    path = person.submit((make_jpeg(), "a.jpg"), (make_jpeg(), "b.jpg"))
    add(person, path, (make_jpeg(), "c.jpg"), (make_jpeg(), "d.jpg"))
    assert names(jobs, path) == ["a.jpg", "b.jpg", "c.jpg"]
    assert missing(jobs, path) == ["d.jpg"]
    assert add(person, path, (make_jpeg(), "e.jpg")).status_code == 422


def test_form_without_photos_is_refused(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    answer = add(person, path, (b"", ""))
    assert answer.status_code == 422
    assert "Choose at least one photo" in answer.text
    assert not job_at(jobs, path).is_open


def test_only_the_owner_adds_photos(app: Flask, person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    assert add(Person(app.test_client()), path, (make_jpeg(), "b.jpg")).status_code == 403
    assert len(names(jobs, path)) == 1


def test_photo_added_without_a_position_does_not_take_that_of_a_missing_one(
    script: Script, jobs: Jobs
) -> None:
    job = script.create()
    script.send(job["images_url"], images=part(make_jpeg(), "a.jpg"), position=1)
    script.send(job["close_url"], missing_files='[[2, "b.jpg", "Connection lost.", 9]]')
    add(script, job["url"], (make_jpeg(), "c.jpg"))
    found = job_at(jobs, job["url"])
    assert [(image.name, image.position) for image in found.images] == [("a.jpg", 1), ("c.jpg", 3)]
    assert missing(jobs, job["url"]) == ["b.jpg"]


def test_files_that_were_not_refused_can_be_added_again(script: Script) -> None:
    job = script.create()
    script.send(job["images_url"], images=part(make_jpeg(), "a.jpg"), position=1)
    lost = [[2, "b.jpg", "Connection lost.", 9], [3, "c.txt", "This is text.", None]]
    script.send(job["close_url"], missing_files=json.dumps(lost))
    page = script.page(job["url"])
    assert page.values("#skipped [data-bytes]", "data-name") == ["b.jpg"]
    assert page.text("#skipped .add-again label") == "Add them again"


def test_file_that_was_refused_cannot_be_added_again(person: Person) -> None:
    path = person.submit((make_jpeg(), "a.jpg"), (b"words", "b.txt"))
    assert not person.page(path).all(".add-again")


def test_file_that_arrives_later_is_no_longer_skipped(script: Script) -> None:
    job = script.create()
    script.send(job["images_url"], images=part(make_jpeg(), "a.jpg"), position=1)
    script.send(job["close_url"], missing_files='[[2, "b.jpg", "Connection lost.", 9]]')
    script.send(job["reopen_url"])
    script.send(job["images_url"], images=part(make_jpeg(), "b.jpg"), position=2)
    assert script.page(job["url"]).text("h1") == "0 done so far"


def test_file_of_another_tab_at_the_position_of_a_missing_one_leaves_it_skipped(
    script: Script, jobs: Jobs
) -> None:
    job = script.create()
    script.send(job["images_url"], images=part(make_jpeg(), "a.jpg"), position=1)
    script.send(job["images_url"], images=part(make_jpeg(), "b.jpg"), position=2)
    script.send(job["close_url"], missing_files='[[2, "c.jpg", "Connection lost.", 9]]')
    script.send(job["close_url"], missing_files='[[2, "d.jpg", "Connection lost.", 9]]')
    assert missing(jobs, job["url"]) == ["c.jpg", "d.jpg"]


def test_file_is_skipped_once_though_its_page_told_the_beginning_of_its_name(
    script: Script, jobs: Jobs
) -> None:
    job = script.create()
    script.send(job["images_url"], images=part(make_jpeg(), "a.jpg"), position=1)
    script.send(job["close_url"], missing_files='[[2, "long na", "", 9], [3, "other", "", 9]]')
    script.send(job["close_url"], missing_files='[[2, "long name.jpg", "Lost.", 9]]')
    assert missing(jobs, job["url"]) == ["other", "long name.jpg"]
    script.send(job["close_url"], missing_files='[[2, "long na", "", 9]]')
    assert missing(jobs, job["url"]) == ["other", "long name.jpg"]
    script.send(job["reopen_url"])
    script.send(job["images_url"], images=part(make_jpeg(), "other.jpg"), position=3)
    assert missing(jobs, job["url"]) == ["long name.jpg"]


def test_missing_file_that_the_form_adds_takes_its_place(script: Script, jobs: Jobs) -> None:
    photo = make_jpeg()
    job = script.create()
    script.send(job["images_url"], images=part(make_jpeg(), "a.jpg"), position=1)
    lost = [[2, "b.jpg", "Lost.", len(photo)], [3, "c.jpg", "Lost.", len(photo) + 1]]
    script.send(job["close_url"], missing_files=json.dumps(lost))
    add(script, job["url"], (photo, "c.jpg"), (photo, "b.jpg"))  # This c.jpg is another.
    found = [(image.name, image.position) for image in job_at(jobs, job["url"]).images]
    assert found == [("a.jpg", 1), ("b.jpg", 2), ("c.jpg", 4)]
    assert missing(jobs, job["url"]) == ["c.jpg"]


def test_place_of_a_missing_file_is_taken_once(script: Script, jobs: Jobs) -> None:
    photo = make_jpeg()
    job = script.create()
    script.send(job["images_url"], images=part(make_jpeg(), "a.jpg"), position=1)
    script.send(job["close_url"], missing_files=json.dumps([[2, "b.jpg", "", len(photo)]]))
    add(script, job["url"], (photo, "b.jpg"), (photo, "b.jpg"))
    assert [image.position for image in job_at(jobs, job["url"]).images] == [1, 2, 3]


def test_file_that_is_refused_again_is_listed_once(person: Person, jobs: Jobs) -> None:
    path = person.submit((make_jpeg(), "a.jpg"), (b"words", "b.txt"))
    add(person, path, (b"words", "b.txt"))
    assert missing(jobs, path) == ["b.txt"]
    add(person, path, (b"", "b.txt"), (b"words", "c.txt"))
    assert missing(jobs, path) == ["b.txt", "b.txt", "c.txt"]


def test_files_refused_before_an_error_are_listed(tmp_path: Path) -> None:
    config = Config(instance=tmp_path, max_waiting=1, max_waiting_share=1.0)
    with running_app(config) as app:
        person, jobs = Person(app.test_client()), app.extensions["jobs"]
        path = person.submit((make_jpeg(), "a.jpg"))
        work(jobs)
        photos = [(make_jpeg(), name) for name in ("c.jpg", "d.jpg")]
        answer = add(person, path, (b"words", "b.txt"), *photos)
        assert (answer.status_code, missing(jobs, path)) == (429, ["b.txt"])


# Replace


def failed(jobs: Jobs, path: str) -> Image:
    (image,) = job_at(jobs, path).failed_images
    return image


def replace(person: Person, path: str, image: Image, data: bytes, name: str) -> TestResponse:
    return person.post(f"{path}/images/{image.id}/replace", images=part(data, name))


def test_another_file_takes_the_place_of_one_that_failed(person: Person, jobs: Jobs) -> None:
    path = person.submit((make_truncated(), "cut.jpg"), (make_jpeg(), "b.jpg"))
    work(jobs)
    image = failed(jobs, path)
    assert person.page(path).text(".replace label") == "Replace file"
    replace(person, path, image, make_jpeg(size=(300, 200)), "whole.jpg")
    work(jobs)
    job = job_at(jobs, path)
    assert [(one.name, one.status) for one in job.images] == [
        ("whole.jpg", "done"),
        ("b.jpg", "done"),
    ]
    assert (job.images[0].width, job.images[0].height) == (300, 200)


def test_original_of_the_failed_file_is_deleted(person: Person, jobs: Jobs) -> None:
    path = person.submit((make_truncated(), "cut.jpg"))
    work(jobs)
    image = failed(jobs, path)
    replace(person, path, image, make_jpeg(), "whole.jpg")
    (now,) = job_at(jobs, path).images
    originals = jobs.storage.originals / image.job_id
    assert [file.name for file in originals.iterdir()] == [now.id]


def test_card_of_the_failed_file_is_replaced_on_every_open_page(person: Person, jobs: Jobs) -> None:
    path = person.submit((make_truncated(), "a.jpg"), (make_jpeg(), "b.jpg"))
    work(jobs)
    version = job_at(jobs, path).version
    card = person.page(path).value(".frame.failed", "id")
    for name in ("c.jpg", "d.jpg"):
        replace(person, path, failed(jobs, path), make_truncated(), name)
        work(jobs)
    panel = Page(person.get(f"{path}/panel?v={version}").text)
    assert panel.texts(".frame .frame-name") == ["d.jpg"]
    assert panel.values(".frame", "id") == [card]
    assert panel.value("#skipped a", "href") == f"#{card}"


def test_replacement_that_is_refused_changes_nothing(person: Person, jobs: Jobs) -> None:
    path = person.submit((make_truncated(), "cut.jpg"))
    work(jobs)
    before = failed(jobs, path)
    original = jobs.storage.original(before.job_id, before.id).read_bytes()
    answer = replace(person, path, before, b"words", "b.txt")
    assert answer.status_code == 415
    assert failed(jobs, path) == before
    assert jobs.storage.original(before.job_id, before.id).read_bytes() == original


def test_photo_that_is_done_cannot_be_replaced(person: Person, jobs: Jobs) -> None:
    path = person.submit((make_jpeg(), "a.jpg"))
    work(jobs)
    (image,) = job_at(jobs, path).images
    assert replace(person, path, image, make_jpeg(), "b.jpg").status_code == 409
    assert job_at(jobs, path).images == (image,)


def test_thumbnails_of_the_failed_file_are_not_used_for_the_other(
    person: Person, jobs: Jobs
) -> None:
    path = person.submit((make_jpeg(), "a.jpg"))
    work(jobs)
    (image,) = job_at(jobs, path).images
    original = jobs.storage.original(image.job_id, image.id)
    original.write_bytes(make_truncated())
    person.post(f"{path}/remake", presets=["square", "avatar"])
    work(jobs)
    replace(person, path, failed(jobs, path), make_jpeg(size=(300, 200)), "b.jpg")
    person.post(f"{path}/remake", presets="square")
    work(jobs)
    (now,) = job_at(jobs, path).images
    assert now.status == "done"
    assert {made.path for made in now.thumbnails}.isdisjoint(made.path for made in image.thumbnails)


def test_only_the_owner_replaces_a_file(app: Flask, person: Person, jobs: Jobs) -> None:
    path = person.submit((make_truncated(), "cut.jpg"))
    work(jobs)
    other = Person(app.test_client())
    assert replace(other, path, failed(jobs, path), make_jpeg(), "b.jpg").status_code == 403
