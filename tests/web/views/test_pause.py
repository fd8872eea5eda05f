"""Pages say that the operator paused the work, and notice its end."""

import pytest
from flask.testing import FlaskClient

from tests.support.images import make_jpeg
from tests.support.jobs import id_of, job_at, work
from tests.support.pages import Page
from tests.support.people import Person, upload_image
from webapp.jobs.lifecycle import Jobs

PAUSED = "Work is paused by the operator. Your photos are kept and continue later."
REASON = "We move to a <new> disk."


def addresses(person: Person, jobs: Jobs) -> list[str]:
    """List the pages of a job that waits."""
    path = person.submit(make_jpeg())
    return [path, f"{path}/images/{job_at(jobs, path).images[0].id}", "/jobs"]


def poll(person: Person, address: str) -> str:
    """Return what a page polls; the list names the rows that it shows."""
    page = person.page(address)
    known = page.values(".job-row [name=known]")
    return "&".join([page.polled() or "", *(f"known={version}" for version in known)])


@pytest.mark.parametrize("number", range(3), ids=["job", "image", "list"])
def test_page_of_waiting_photos_says_so_with_the_reason(
    person: Person, jobs: Jobs, number: int
) -> None:
    address = addresses(person, jobs)[number]
    assert PAUSED not in person.page(address).text()
    jobs.store.operations.pause(REASON)
    assert person.page(address).text(".paused") == f"{PAUSED} Reason: {REASON}"


@pytest.mark.parametrize("number", range(3), ids=["job", "image", "list"])
def test_poll_notices_the_pause_its_reason_and_its_end(
    person: Person, jobs: Jobs, number: int
) -> None:
    address = addresses(person, jobs)[number]
    asked = poll(person, address)
    assert person.get(asked).status_code == 204
    for reason in ("", REASON):
        jobs.store.operations.pause(reason)
        assert PAUSED in Page(person.get(asked).text).text()
        asked = poll(person, address)
        assert person.get(asked).status_code == 204
    jobs.store.operations.resume()
    answer = person.get(asked)
    assert (answer.status_code, PAUSED in answer.text) == (200, False)


def test_upload_page_says_so_and_takes_photos(person: Person, jobs: Jobs) -> None:
    jobs.store.operations.pause("")
    assert person.page("/").text(".paused") == PAUSED
    assert job_at(jobs, person.submit(make_jpeg())).counts.waiting == 1


def test_finished_pages_do_not_mention_a_pause(person: Person, jobs: Jobs) -> None:
    pages = addresses(person, jobs)
    work(jobs)
    jobs.store.operations.pause("")
    assert [PAUSED in person.page(address).text() for address in pages] == [False] * 3


def test_pause_counts_for_more_than_a_lack_of_workers(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    assert "no workers are running" in person.page(path).text()
    jobs.store.operations.pause("")
    assert "no workers are running" not in person.page(path).text()


def test_guests_read_that_more_comes_once_work_resumes(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    path = person.submit(make_jpeg())
    jobs.store.operations.pause("")
    assert "more to come, once the operator resumes work" in stranger.page(path).text()


def test_programs_of_thumbnail_api_read_that_it_is_processing(
    client: FlaskClient, jobs: Jobs
) -> None:
    jobs.store.operations.pause("")
    job_id = (upload_image(client, make_jpeg()).json or {})["job_id"]
    assert client.get(f"/check_job_status/{id_of(job_id)}").json == {"status": "Processing"}
