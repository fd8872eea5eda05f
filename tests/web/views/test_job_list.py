"""List the jobs of a browser."""

import pytest

from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import id_of, job_at, work
from tests.support.pages import Page
from tests.support.people import Person, Script
from webapp.jobs.lifecycle import Jobs


def test_only_own_jobs_are_listed(person: Person, stranger: Person) -> None:
    path = person.submit(make_jpeg())
    assert path in person.get("/jobs").text
    assert path not in stranger.get("/jobs").text


def test_list_without_running_jobs_loads_no_htmx(person: Person) -> None:
    assert "vendor/" not in person.get("/jobs").text


def test_job_is_listed_by_its_first_image(person: Person) -> None:
    person.submit(make_jpeg(), make_jpeg(), make_jpeg())
    assert "<bdi>1.jpg</bdi> and 2 more" in person.get("/jobs").text


def test_job_without_images_is_listed_as_waiting(script: Script) -> None:
    script.create()
    page = script.get("/jobs").text
    assert "No images yet" in page
    assert "Waiting for images" in page


def test_list_shows_the_progress_of_each_job(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_truncated(), make_jpeg(), make_jpeg())
    waiting = job_at(jobs, path).images[2].id
    person.post(f"{path}/images/{waiting}/cancel")
    progress = person.page("/jobs").one("progress").attributes
    assert progress == {"aria-label": "Images finished", "value": "1", "max": "3"}
    work(jobs)
    page = person.page("/jobs")
    assert "1 of 3 images done, 1 failed, 1 cancelled" in page.text()
    assert not page.all("progress")


def test_row_polls_until_its_job_is_finished(person: Person, jobs: Jobs) -> None:
    person.submit(make_jpeg(), make_jpeg())
    page = person.get("/jobs").text
    assert "vendor/htmx" in page
    address = Page(page).polled()
    assert address
    assert person.get(address).status_code == 204
    work(jobs)
    row = person.get(address)
    assert row.text.count("<li") == 1
    assert "2 of 2 images done" in row.text
    assert Page(row.text).polled() is None


def test_row_of_a_deleted_job_disappears(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    address = person.page("/jobs").polled()
    assert address
    jobs.delete(id_of(path))
    row = person.get(address)
    assert (row.status_code, row.text) == (200, "")


def test_only_the_owner_gets_the_row_of_a_job(person: Person, stranger: Person) -> None:
    person.submit(make_jpeg())
    address = person.page("/jobs").polled()
    assert address
    assert stranger.get(address).status_code == 403


def pictures_of_the_list(person: Person) -> list[str]:
    return [address.rpartition("/")[2] for address in person.page("/jobs").values("img", "src")]


def test_list_shows_a_small_picture_of_each_image(person: Person, jobs: Jobs) -> None:
    large, small = make_jpeg(size=(800, 600)), make_jpeg(size=(40, 30))
    person.submit(large, small, make_truncated(), presets=["web-set", "avatar"])
    work(jobs)
    assert pictures_of_the_list(person) == ["320w.webp", "320w.webp"]


def test_list_shows_no_overview(person: Person, jobs: Jobs) -> None:
    person.submit(make_jpeg(size=(800, 100)), presets="avatar")
    work(jobs)
    assert pictures_of_the_list(person) == ["avatar.webp"]


def test_list_continues_with_older_jobs(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.web.views.jobs.LISTED_JOBS", 2)
    paths = [person.submit(make_jpeg()) for _ in range(5)]
    addresses, seen = ["/jobs"], []
    while addresses:
        page = person.page(addresses[0])
        seen.append(page.values(".row-name", "href"))
        addresses = page.values('a[href^="/jobs?before="]', "href")
    assert seen == [[paths[4], paths[3]], [paths[2], paths[1]], [paths[0]]]


@pytest.mark.parametrize("before", ["0", "-1", "nan", "inf", "1e999", "long ago", ""])
def test_list_before_any_value_is_a_page(person: Person, before: str) -> None:
    person.submit(make_jpeg())
    assert person.get(f"/jobs?before={before}").status_code == 200


def test_list_without_older_jobs_links_to_the_newest(person: Person) -> None:
    person.submit(make_jpeg())
    page = person.get("/jobs?before=0").text
    assert "No older jobs" in page
    assert 'href="/jobs">Newest jobs' in page


def test_program_lists_all_of_its_jobs(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.web.views.jobs.LISTED_JOBS", 2)
    for _ in range(3):
        person.submit(make_jpeg())
    answer = person.client.get("/jobs", headers={"Accept": "application/json"})
    assert answer.json is not None
    assert len(answer.json["job_ids"]) == 3
