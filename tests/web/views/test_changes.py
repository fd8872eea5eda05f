"""Retry, cancel, extend and delete a job."""

from datetime import UTC, datetime

import pytest
from werkzeug.test import TestResponse

from tests.support.clock import Clock
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import (
    claim,
    claims_of,
    id_of,
    job_at,
    nothing_left,
    sweep,
    url_of,
    work,
    work_once,
)
from tests.support.pages import Page
from tests.support.people import Person, multipart
from webapp.engine.errors import TimedOut
from webapp.jobs.lifecycle import Jobs


def run_out_of_time(jobs: Jobs, images: int = 1) -> None:
    """Fail the next images for a reason that may pass."""
    error = TimedOut(60)
    for _ in range(images):
        claims_of(jobs).fail(claim(jobs), error.code, str(error))


def test_failed_image_is_retried(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    run_out_of_time(jobs, 2)
    person.post(f"{path}/images/{job_at(jobs, path).images[0].id}/retry")
    assert [image.status for image in job_at(jobs, path).images] == ["waiting", "failed"]


CAN_PASS = {"timed_out", "out_of_memory", "worker_lost", "too_much_kept"}
FAILS_AGAIN = {
    *("corrupt", "truncated", "empty", "unsupported_format", "crashed", "byte_budget"),
    *("too_many_pixels", "too_many_scans", "too_many_frames", "too_many_output_pixels"),
    "file_lost",
}


def test_retry_is_offered_only_where_it_can_help(person: Person, jobs: Jobs) -> None:
    codes = sorted(CAN_PASS | FAILS_AGAIN)
    path = person.submit(*[make_jpeg()] * len(codes))
    for code in codes:
        claims_of(jobs).fail(claim(jobs), code, "…")
    page = person.page(path)
    for image in job_at(jobs, path).images:
        can_pass = image.error_code in CAN_PASS
        own = f"{path}/images/{image.id}"
        assert bool(page.values(f"#retry-{image.id}", "id")) == can_pass, image.error_code
        assert bool(page.values(f'form[action="{own}/replace"]', "action")) != can_pass
        assert bool(person.page(own).values("#retry", "id")) == can_pass, image.error_code


def test_image_that_would_fail_again_is_not_queued(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_truncated())
    work(jobs)
    failed = f"{path}/images/{job_at(jobs, path).images[0].id}"
    for address in (f"{failed}/retry", f"{failed}/again"):
        answer = person.post(address)
        assert answer.status_code == 303
        assert "its end was cut off" in person.get(answer.headers["Location"]).text
        assert job_at(jobs, path).counts.failed == 1


def test_failed_images_are_retried_without_limit(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    for _ in range(7):
        run_out_of_time(jobs, 2)
        assert job_at(jobs, path).counts.failed == 2
        person.post(f"{path}/retry")
    assert job_at(jobs, path).counts.waiting == 2


def test_retry_of_failed_images_leaves_cancelled_ones(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    person.post(f"{path}/images/{job_at(jobs, path).images[1].id}/cancel")
    run_out_of_time(jobs)
    assert "Retry all failed" in person.get(path).text
    person.post(f"{path}/retry")
    assert [image.status for image in job_at(jobs, path).images] == ["waiting", "cancelled"]


def test_damaged_image_is_not_retried_with_the_others(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_truncated(), make_jpeg())
    work_once(jobs)
    run_out_of_time(jobs)
    _, late = job_at(jobs, path).images
    page = person.page(path)
    assert page.values("[id^=retry-]", "id") == ["retry-all", f"retry-{late.id}"]
    person.post(f"{path}/retry")
    assert [image.status for image in job_at(jobs, path).images] == ["failed", "waiting"]


def test_change_by_htmx_is_answered_with_what_changed(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    job = job_at(jobs, path)
    form = multipart(csrf_token=person.token(), v=str(job.version), hours="72")
    headers = {"HX-Request": "true", "Accept": "text/html"}
    cancelled = job.images[1].id
    address = f"{path}/images/{cancelled}/cancel"
    page = Page(person.client.post(address, headers=headers, **form).text)
    assert page.text("h1") == "0 of 2 done · 1 cancelled"
    assert page.values("li.frame", "id") == [f"image-{cancelled}"]
    answer = person.client.post(f"{path}/extend", headers=headers, **form)
    assert "This job has" in answer.headers["HX-Trigger"]
    answer = person.client.post(
        f"{path}/extend", headers=headers, **multipart(csrf_token=person.token())
    )
    assert answer.status_code == 422
    assert answer.json


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
    expires = job_at(jobs, path).expires
    assert expires
    left = expires - datetime.now(UTC)
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
    assert job.expires
    assert round((job.expires - job.created).total_seconds()) == 168 * 3600


@pytest.mark.parametrize("hours", ["", "0", "-1", "nan", "inf", "long"])
def test_invalid_retention_is_refused(person: Person, hours: str) -> None:
    path = person.submit(make_jpeg())
    assert person.post(f"{path}/extend", hours=hours).status_code == 422


@pytest.mark.parametrize(
    "action", ["retry", "cancel", "extend", "remake", "name", "outputs/square/enlarge"]
)
def test_only_the_owner_changes_a_job(person: Person, stranger: Person, action: str) -> None:
    path = person.submit(make_jpeg())
    answer = stranger.post(f"{path}/{action}", hours="1", presets="card")
    assert answer.status_code == 403


def test_owner_confirms_and_deletes_a_job(person: Person, jobs: Jobs, clock: Clock) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    thumbnail = url_of(job_at(jobs, path).images[0].thumbnails[0])
    assert "Delete this job?" in person.get(f"{path}/delete").text
    answer = person.post(f"{path}/delete")
    assert (answer.status_code, answer.location) == (303, "/jobs")
    for address in (path, thumbnail, f"{path}/zip", f"{path}/markup", f"{path}/delete"):
        assert person.get(address).status_code == 410
    assert "Its owner can undo that for a minute" in person.get(path).text
    clock.advance(seconds=61)
    sweep(jobs)
    assert person.get(path).status_code == 404
    assert person.get(thumbnail).status_code == 404
    assert nothing_left(jobs)


def test_deleted_job_is_restored_without_script(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    thumbnail = url_of(job_at(jobs, path).images[0].thumbnails[0])
    page = person.page(person.post(f"{path}/delete").headers["Location"])
    assert page.text(".undo p") == "1.jpg is deleted."
    assert page.all(".job-row") == []
    answer = person.post(page.value(".undo form", "action"))
    assert (answer.status_code, answer.location) == (303, path)
    assert person.get(path).status_code == person.get(thumbnail).status_code == 200


def test_restored_job_goes_on(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    person.post(f"{path}/delete")
    person.post(f"{path}/restore")
    work(jobs)
    assert job_at(jobs, path).counts.done == 1


def test_undo_that_is_pressed_twice_shows_the_job(person: Person) -> None:
    path = person.submit(make_jpeg())
    person.post(f"{path}/delete")
    for _ in range(2):
        answer = person.post(f"{path}/restore")
        assert (answer.status_code, answer.location) == (303, path)


def test_undo_that_is_too_late_says_so(person: Person, clock: Clock) -> None:
    path = person.submit(make_jpeg())
    person.post(f"{path}/delete")
    clock.advance(seconds=61)
    assert person.page("/jobs").all(".undo") == []
    assert person.post(f"{path}/restore").status_code == 410


def test_only_the_owner_restores_a_job(person: Person, stranger: Person) -> None:
    path = person.submit(make_jpeg())
    assert stranger.post(f"{path}/restore").status_code == 403
    person.post(f"{path}/delete")
    assert stranger.page("/jobs").all(".undo") == []
    assert stranger.post(f"{path}/restore").status_code == 410
    assert "This job is gone" in stranger.get(f"{path}/panel").text
    assert person.get(path).status_code == 410


def test_open_page_of_a_deleted_job_offers_to_undo(person: Person) -> None:
    path = person.submit(make_jpeg())
    person.post(f"{path}/delete")
    panel = person.page(f"{path}/panel")
    assert panel.text("h1") == "This job is deleted"
    assert panel.value(".undo form", "action") == f"{path}/restore"


def test_program_finds_no_deleted_job(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    person.post(f"{path}/delete")
    job_id = id_of(path)
    for route in ("check_job_status", "download_thumbnail"):
        assert person.client.get(f"/{route}/{job_id}").status_code == 404
    listed = person.client.get("/jobs", headers={"Accept": "application/json"})
    assert listed.json == {"job_ids": []}


# Names


def test_owner_names_a_job(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    work(jobs)
    assert job_at(jobs, path).title == "1.jpg and 1 more"
    answer = person.post(f"{path}/name", name="  Spring \n menu\u202e ")
    assert (answer.status_code, answer.location) == (303, path)
    assert job_at(jobs, path).title == "Spring menu"
    assert "<bdi>Spring menu</bdi>" in person.get("/jobs").text
    disposition = person.get(f"{path}/zip").headers["Content-Disposition"]
    assert disposition.endswith("''Spring%20menu-thumbnails.zip")


@pytest.mark.parametrize("name", ["", "   ", "\u202e", "\u200d"])
def test_job_without_a_name_of_its_own_has_that_of_its_images(
    person: Person, jobs: Jobs, name: str
) -> None:
    path = person.submit(make_jpeg())
    person.post(f"{path}/name", name="Spring menu")
    person.post(f"{path}/name", name=name)
    assert job_at(jobs, path).title == "1.jpg"


def test_name_of_a_job_is_bounded(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    person.post(f"{path}/name", name="n" * 5000)
    assert job_at(jobs, path).title == "n" * 99 + "…"


def test_name_of_a_job_is_a_safe_file_name(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    person.post(f"{path}/name", name="../Menu: spring/summer")
    disposition = person.get(f"{path}/zip").headers["Content-Disposition"]
    assert disposition.endswith("''_Menu_%20spring_summer-thumbnails.zip")


def test_name_is_on_the_page_of_the_job_and_in_its_title(person: Person) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    assert person.page(path).text(".job-name") == "1.jpg and 1 more"
    person.post(f"{path}/name", name="Spring menu")
    page = person.page(path)
    assert page.text(".job-name") == "Spring menu"
    assert page.text("title") == "0 of 2 done · Spring menu · Thumbnails"
    assert page.value("#job-panel", "data-title") == page.text("title")


def test_guests_see_the_name_where_they_see_the_photos(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    person.post(f"{path}/name", name="Spring menu")
    page = stranger.page(path)
    assert (page.text("h1"), page.text("title")) == ("Spring menu", "Spring menu · Thumbnails")
    assert page.texts(".gallery-head li")[0] == "1 photo"
    assert page.value("meta[property='og:title']", "content") == "Spring menu"


def test_job_is_renamed_on_its_page_without_script(person: Person) -> None:
    path = person.submit(make_jpeg())
    address = person.page(path).value("form:has(#job-name)", "action")
    answer = person.post(address, name="Spring menu")
    assert messages_after(person, answer) == ["The name is now Spring menu."]
    assert person.page(path).value("#job-name") == "Spring menu"


def test_renaming_by_htmx_changes_the_panel(person: Person) -> None:
    path = person.submit(make_jpeg())
    answer = person.post_by_htmx(f"{path}/name", name="Spring menu", v="0")
    assert Page(answer.text).text(".job-name") == "Spring menu"
    assert "The name is now Spring menu." in answer.headers["HX-Trigger"]


def test_job_is_named_on_the_list_without_script(person: Person) -> None:
    person.submit(make_jpeg())
    address = person.page("/jobs").value("form.menu", "action")
    assert person.post(address, name="Spring menu").headers["Location"] == "/jobs"
    assert person.page("/jobs").text("h2") == "Spring menu"


def messages_after(person: Person, answer: TestResponse) -> list[str]:
    """Follow a redirect, and return the messages of its page."""
    return person.page(answer.headers["Location"]).texts("li.message")


def test_extending_without_script_is_confirmed_once(person: Person) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    answer = person.post(f"{path}/extend", hours="72")
    assert messages_after(person, answer) == ["This job has 3 days left."]
    assert messages_after(person, answer) == []


def test_shorter_retention_is_answered_with_the_current_expiry(person: Person) -> None:
    path = person.submit(make_jpeg())
    answer = person.post(f"{path}/extend", hours="1")
    assert messages_after(person, answer) == ["This job has 24 hours left."]


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
    assert "Only the browser, token or user that made this job" in response.text
    assert list(jobs.store.jobs.ids())


def test_delete_without_a_token_is_refused(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    assert person.client.post(f"{path}/delete").status_code == 400
    assert list(jobs.store.jobs.ids())
