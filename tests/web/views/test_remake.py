"""Make a job again, with another recipe."""

import json

import pytest

from tests.support.images import make_jpeg
from tests.support.jobs import claims_of, file_names, job_at, work, work_once
from tests.support.pages import read_zip
from tests.support.people import Person
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.storage import REPLACED_SECONDS


def test_job_is_remade_from_the_same_uploads(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(size=(400, 300)))
    work(jobs)
    answer = person.post(f"{path}/remake", presets="card")
    assert (answer.status_code, answer.headers["Location"]) == (303, path)
    work(jobs)
    assert file_names(job_at(jobs, path)) == ["card.webp"]


def test_result_of_the_old_recipe_is_discarded(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    old = claims_of(jobs).claim("slow")
    assert old
    person.post(f"{path}/remake", presets="card")
    assert not jobs.store.queue.renew(old, 1e12)
    work(jobs)
    assert file_names(job_at(jobs, path)) == ["card.webp"]


def test_remake_with_a_wrong_recipe_changes_nothing(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    answer = person.post(f"{path}/remake", **{"outputs-0-width": "0"})
    assert answer.status_code == 422
    assert job_at(jobs, path).counts.done == 1


def test_remake_page_shows_the_recipe(person: Person) -> None:
    path = person.submit(make_jpeg(), presets="card")
    page = person.page(f"{path}/remake")
    assert page.values("input[name=presets][checked]") == ["card"]


MINUTES = f"{REPLACED_SECONDS / 60:g} more minutes"


def test_remake_page_says_which_links_end(person: Person) -> None:
    page = person.get(f"{person.submit(make_jpeg())}/remake").text
    assert f"Links to files that are replaced work for {MINUTES}" in page


def test_links_end_sooner_where_the_disk_is_full(
    person: Person, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = person.submit(make_jpeg(), presets="avatar")
    work(jobs)
    monkeypatch.setattr(jobs.storage, "free_bytes", lambda: 0)
    image = job_at(jobs, path).images[0].id
    for page in ("remake", "crops", f"images/{image}"):
        text = person.get(f"{path}/{page}").text
        assert "for 1 more minute" in text
        assert MINUTES not in text


def test_remake_leaves_out_cancelled_images(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg(), make_jpeg())
    person.post(f"{path}/images/{job_at(jobs, path).images[0].id}/cancel")
    work(jobs)
    page = person.get(f"{path}/remake").text
    assert "<h1>Change the sizes of 2 photos</h1>" in page
    assert "1 cancelled photo is not included." in page
    person.post(f"{path}/remake", presets="card")
    assert [image.status for image in job_at(jobs, path).images] == [
        "cancelled",
        "waiting",
        "waiting",
    ]


def cancel_remake(person: Person, jobs: Jobs) -> str:
    """Make a job again, cancel it after one of two images, and return its path."""
    path = person.submit(make_jpeg(), make_jpeg())
    work(jobs)
    person.post(f"{path}/remake", presets="card")
    work_once(jobs)
    person.post(f"{path}/cancel")
    return path


def test_image_cancelled_during_a_remake_keeps_its_thumbnails(person: Person, jobs: Jobs) -> None:
    path = cancel_remake(person, jobs)
    assert file_names(job_at(jobs, path)) == ["card.webp", "square.jpg"]


def test_page_marks_previous_results_of_a_cancelled_remake(person: Person, jobs: Jobs) -> None:
    page = person.get(cancel_remake(person, jobs)).text
    assert "1 of 2 done · 1 cancelled" in page
    assert page.count("previous result") == 1


def test_zip_marks_previous_results_of_a_cancelled_remake(person: Person, jobs: Jobs) -> None:
    with read_zip(person.get(f"{cancel_remake(person, jobs)}/zip")) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        page = archive.read("index.html").decode()
    assert [image["state"] for image in manifest["images"]] == ["done", "cancelled"]
    assert (manifest["job"]["done"], manifest["job"]["cancelled"]) == (1, 1)
    assert page.count("cancelled, previous result") == 1


def test_retry_remakes_the_previous_results(person: Person, jobs: Jobs) -> None:
    path = cancel_remake(person, jobs)
    person.post(f"{path}/retry")
    work(jobs)
    assert file_names(job_at(jobs, path)) == ["card.webp", "card.webp"]


def test_remake_replaces_the_previous_results(person: Person, jobs: Jobs) -> None:
    path = cancel_remake(person, jobs)
    person.post(f"{path}/remake", presets="avatar")
    work(jobs)
    assert file_names(job_at(jobs, path)) == ["avatar.webp", "avatar.webp"]


def test_new_focal_point_remakes_the_previous_result(person: Person, jobs: Jobs) -> None:
    path = cancel_remake(person, jobs)
    old = job_at(jobs, path).images[1]
    person.post(f"{path}/images/{old.id}/focus", x="1", y="0.5")
    work(jobs)
    assert job_at(jobs, path).counts.done == 2


def test_crop_point_form_says_which_links_end(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), presets="avatar")
    work(jobs)
    page = person.get(f"{path}/images/{job_at(jobs, path).images[0].id}").text
    assert f"Its old link works for {MINUTES}" in page
