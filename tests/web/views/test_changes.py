"""Retry, cancel, extend and delete a job."""

from datetime import UTC, datetime
from threading import Event

import pytest
from werkzeug.test import TestResponse

from tests.support.clock import Clock
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import job_at, nothing_left, work
from tests.support.people import Person, multipart
from tests.support.servers import wait_until
from webapp.jobs.lifecycle import Jobs
from webapp.web.formatters import date_and_time


def test_failed_image_is_retried(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_truncated(), make_jpeg())
    work(jobs)
    failed = next(image for image in job_at(jobs, path).images if image.is_failed)
    person.post(f"{path}/images/{failed.id}/retry")
    job = job_at(jobs, path)
    assert (job.counts.waiting, job.counts.failed, job.counts.done) == (1, 0, 1)


def test_failed_images_are_retried_without_limit(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_truncated(), make_truncated())
    for _ in range(7):
        work(jobs)
        assert job_at(jobs, path).counts.failed == 2
        person.post(f"{path}/retry")
    assert job_at(jobs, path).counts.waiting == 2


def test_retry_of_failed_images_leaves_cancelled_ones(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_truncated(), make_jpeg())
    person.post(f"{path}/images/{job_at(jobs, path).images[1].id}/cancel")
    work(jobs)
    assert "Retry all failed" in person.get(path).text
    person.post(f"{path}/retry")
    assert [image.status for image in job_at(jobs, path).images] == ["waiting", "cancelled"]


def test_cancelled_images_are_retried_where_none_failed(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    person.post(f"{path}/cancel")
    assert "Retry all cancelled" in person.get(path).text
    person.post(f"{path}/retry")
    assert job_at(jobs, path).counts.waiting == 2


def test_cancelled_images_are_not_worked_on(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    person.post(f"{path}/cancel")
    work(jobs)
    job = job_at(jobs, path)
    assert (job.counts.cancelled, job.is_finished) == (2, True)


@pytest.mark.parametrize(("hours", "kept"), [("100", 100), ("100000", 168)])
def test_job_is_extended_up_to_the_maximum(
    person: Person, jobs: Jobs, hours: str, kept: int
) -> None:
    path = person.submit(make_jpeg())
    person.post(f"{path}/extend", hours=hours)
    left = job_at(jobs, path).expires - datetime.now(UTC)
    assert round(left.total_seconds() / 3600) == kept


@pytest.mark.parametrize("hours", ["1", "23"])
def test_extending_never_shortens_the_retention(person: Person, jobs: Jobs, hours: str) -> None:
    path = person.submit(make_jpeg())
    before = job_at(jobs, path).expires
    assert person.post(f"{path}/extend", hours=hours).status_code == 303
    assert job_at(jobs, path).expires == before


def test_repeated_extending_stops_at_the_maximum(clock: Clock, person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    for _ in range(5):
        clock.advance(hours=20)
        person.post(f"{path}/extend", hours="168")
    job = job_at(jobs, path)
    assert round((job.expires - job.created).total_seconds()) == 168 * 3600


@pytest.mark.parametrize("hours", ["", "0", "-1", "nan", "inf", "long"])
def test_invalid_retention_is_refused(person: Person, hours: str) -> None:
    path = person.submit(make_jpeg())
    assert person.post(f"{path}/extend", hours=hours).status_code == 422


@pytest.mark.parametrize("action", ["retry", "cancel", "extend", "remake"])
def test_only_the_owner_changes_a_job(person: Person, stranger: Person, action: str) -> None:
    path = person.submit(make_jpeg())
    answer = stranger.post(f"{path}/{action}", hours="1", presets="card")
    assert answer.status_code == 403


def test_owner_confirms_and_deletes_a_job(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    thumbnail = job_at(jobs, path).images[0].thumbnails[0].url
    assert "Delete this job?" in person.get(f"{path}/delete").text
    assert person.post(f"{path}/delete").status_code == 303
    assert person.get(path).status_code == 404
    assert person.get(thumbnail).status_code == 404
    wait_until(lambda: not any(jobs.storage.tmp.iterdir()))
    assert nothing_left(jobs)


def messages_after(person: Person, answer: TestResponse) -> list[str]:
    """Follow a redirect, and return the messages of its page."""
    return person.page(answer.headers["Location"]).texts("li.message")


def test_deleting_or_extending_without_script_is_confirmed_once(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    answer = person.post(f"{path}/extend", hours="72")
    until = job_at(jobs, path).expires
    assert messages_after(person, answer) == [f"Kept until {date_and_time(until)}."]
    answer = person.post(f"{path}/delete")
    assert messages_after(person, answer) == ["The job is deleted, with its images and thumbnails."]
    assert messages_after(person, answer) == []


def test_shorter_retention_is_answered_with_the_current_expiry(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    until = job_at(jobs, path).expires
    answer = person.post(f"{path}/extend", hours="1")
    assert messages_after(person, answer) == [f"Kept until {date_and_time(until)}."]


@pytest.mark.parametrize("accept", ["application/json", "*/*"])
@pytest.mark.parametrize("action", ["extend", "delete"])
def test_change_by_a_script_shows_no_message_later(
    person: Person, action: str, accept: str
) -> None:
    path = person.submit(make_jpeg())
    form = multipart(csrf_token=person.token(), hours="72")
    answer = person.client.post(f"{path}/{action}", headers={"Accept": accept}, **form)
    assert answer.status_code == 303
    assert messages_after(person, answer) == []


def test_visitor_with_the_link_can_view_but_not_delete(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    path = person.submit(make_jpeg())
    page = stranger.get(path)
    assert page.status_code == 200
    assert "/delete" not in page.text
    assert stranger.get(f"{path}/delete").status_code == 403
    response = stranger.post(f"{path}/delete")
    assert response.status_code == 403
    assert "Only the browser that made this job" in response.text
    assert jobs.store.jobs.ids()


def test_delete_is_answered_before_the_files_are_removed(
    person: Person, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    remove, is_answered = jobs.storage.empty_trash, Event()
    monkeypatch.setattr(
        jobs.storage, "empty_trash", lambda path: is_answered.wait(20) and remove(path)
    )
    assert person.post(f"{path}/delete").status_code == 303
    assert not nothing_left(jobs)
    is_answered.set()
    wait_until(lambda: not any(jobs.storage.tmp.iterdir()))
    assert nothing_left(jobs)


def test_delete_without_a_token_is_refused(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    assert person.client.post(f"{path}/delete").status_code == 400
    assert jobs.store.jobs.ids()
