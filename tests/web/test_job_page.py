"""Following a job, with and without script."""

import re
from math import inf
from threading import Event
from uuid import UUID

import pytest
from werkzeug.test import TestResponse

from tests.conftest import Person, Script, multipart, nothing_left
from tests.support.clock import Clock
from tests.support.images import make_jpeg, make_png, make_truncated
from tests.support.jobs import claim, claims_of, finish, id_of, job_at, sweep, work, work_once
from tests.support.pages import Page
from tests.support.servers import wait_until
from webapp.jobs.lifecycle import Jobs
from webapp.web.formatters import date_and_time

IDLE = "no workers are running"
GONE = "/jobs/00000000-0000-4000-8000-000000000000"


def test_page_shows_every_image_with_its_state(person: Person, jobs: Jobs) -> None:
    page = person.page(person.submit(make_jpeg(), make_jpeg()))
    assert "0 of 2 images done" in page.text()
    assert page.texts(".frame .frame-name + .fact") == ["waiting", "waiting"]


def test_thumbnail_is_linked_with_its_size_and_what_was_saved(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(size=(400, 300)))
    work(jobs)
    page = person.page(path)
    made = job_at(jobs, path).images[0].thumbnails[0]
    assert page.all(f'a[href="{made.url}"]')
    assert "100 × 100 JPEG" in page.text()
    assert re.search(r"[−+]\d+ %", page.text())
    assert person.get(made.url).data.startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    ("presets", "shown"),
    [
        (["web-set", "card", "avatar"], "640w.webp"),  # All of each, before what is cropped.
        (["square", "card", "avatar"], "card.webp"),  # All of each would be too small.
        (["square", "avatar"], "avatar.webp"),
    ],
)
def test_all_frames_of_a_job_show_the_same_kind_of_picture(
    person: Person, jobs: Jobs, presets: list[str], shown: str
) -> None:
    sizes = [(1200, 800), (400, 300), (500, 900), (2000, 300)]
    path = person.submit(*(make_jpeg(size=size) for size in sizes), presets=presets)
    work(jobs)
    frames = person.page(path).values("a.shot img:not(.placeholder)", "src")
    assert [address.rpartition("/")[2] for address in frames] == [shown] * 4


def test_waiting_image_says_what_will_be_made_of_it(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(size=(400, 300)))
    (awaited,) = person.page(path).texts("li.awaited")
    assert awaited.startswith("100 × 100 JPEG")
    work(jobs)
    assert not person.page(path).all(".awaited")


def test_page_says_that_its_link_is_the_key_to_it(person: Person, stranger: Person) -> None:
    path = person.submit(make_jpeg())
    for visitor in (person, stranger):
        assert "anyone with the link can view this page" in visitor.get(path).text


def test_job_ids_cannot_be_guessed(person: Person) -> None:
    ids = [UUID(person.submit(make_jpeg()).removeprefix("/jobs/")) for _ in range(5)]
    assert {job_id.version for job_id in ids} == {4}  # 122 bits from the system's own source.


def test_failed_image_says_why(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_truncated())
    work(jobs)
    page = person.get(path).text
    assert "0 of 1 image done, 1 failed" in page
    assert "truncated" in page


def test_running_page_reloads_by_itself_without_script(person: Person) -> None:
    assert person.page(person.submit(make_jpeg())).all("meta[http-equiv=refresh]")


def test_finished_page_neither_reloads_nor_polls(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    page = person.page(path)
    assert not page.all("meta[http-equiv=refresh], [hx-get]")


def test_unchanged_panel_is_not_sent_again(person: Person) -> None:
    address = person.page(person.submit(make_jpeg())).polled()
    assert address
    response = person.get(address)
    assert (response.status_code, response.data) == (204, b"")


def test_changed_panel_comes_with_its_next_address(person: Person, jobs: Jobs) -> None:
    address = person.page(person.submit(make_jpeg(), make_jpeg())).polled()
    assert address
    claim = claims_of(jobs).claim("w1")
    assert claim
    panel = person.get(address)
    assert panel.status_code == 200
    assert panel.text.lstrip().startswith("<section")
    assert Page(panel.text).polled() not in (None, address)


def test_page_says_that_no_worker_is_running(person: Person) -> None:
    page = person.get(person.submit(make_jpeg())).text
    assert "Processing is paused: no workers are running." in page
    assert "Your job will resume automatically." in page


def test_page_says_nothing_of_workers_while_there_is_one(person: Person, jobs: Jobs) -> None:
    claims_of(jobs).beat("w1")
    assert IDLE not in person.get(person.submit(make_jpeg())).text


def test_finished_page_says_nothing_of_workers(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    jobs.store.operations.forget_workers(inf)
    assert IDLE not in person.get(path).text


def test_image_of_a_lost_worker_is_not_shown_as_working(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    assert claims_of(jobs).claim("w1")
    page = person.get(path).text
    assert "<li>2 waiting</li>" in page
    assert "<li>1 working</li>" not in page


def test_panel_comes_again_when_the_last_worker_goes(person: Person, jobs: Jobs) -> None:
    claims_of(jobs).beat("w1")
    address = person.page(person.submit(make_jpeg())).polled()
    assert address
    assert person.get(address).status_code == 204
    jobs.store.operations.forget_workers(inf)
    assert IDLE in person.get(address).text


def test_panel_comes_again_when_a_worker_is_back(person: Person, jobs: Jobs) -> None:
    address = person.page(person.submit(make_jpeg())).polled()
    assert address
    assert person.get(address).status_code == 204
    claims_of(jobs).beat("w1")
    panel = person.get(address)
    assert panel.status_code == 200
    assert IDLE not in panel.text


def test_panel_comes_again_when_its_time_left_reads_otherwise(
    person: Person, jobs: Jobs, clock: Clock
) -> None:
    person.submit(make_jpeg(), make_jpeg(), make_jpeg())
    slow = claim(jobs)
    clock.advance(1100)
    claims_of(jobs).renew(slow)
    first, second = claim(jobs), claim(jobs)
    clock.advance(100)
    finish(jobs, first)
    claims_of(jobs).beat("w1")
    address = person.page(person.submit(make_jpeg())).polled()
    assert address
    finish(jobs, second)
    assert person.get(address).status_code == 204  # It takes 100 seconds, as the one before.
    finish(jobs, slow)
    assert "about 8 minutes left" in person.get(address).text


def test_panel_sends_only_the_images_that_changed(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg(), make_jpeg())
    address = person.page(path).polled()
    assert address
    work_once(jobs)
    panel = person.get(address).text
    assert panel.count("frame-name") == 1


def test_panel_without_a_version_has_all_images(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    work(jobs)
    assert person.get(f"{path}/panel").text.count("frame-name") == 2


def test_panel_comes_again_when_it_is_to_ask_more_slowly(
    person: Person, jobs: Jobs, clock: Clock
) -> None:
    path = person.submit(make_jpeg())
    address = person.page(path).polled()
    assert address
    assert person.get(address).status_code == 204
    clock.advance(60)
    panel = person.get(address)
    assert 'hx-trigger="every 1000ms"' in panel.text


def test_image_page_comes_again_when_it_is_to_ask_more_slowly(
    person: Person, jobs: Jobs, clock: Clock
) -> None:
    path = person.submit(make_jpeg())
    image = job_at(jobs, path).images[0].id
    address = person.page(f"{path}/images/{image}").polled()
    assert address
    assert person.get(address).status_code == 204
    clock.advance(60)
    assert 'hx-trigger="every 1000ms"' in person.get(address).text


def test_remade_job_is_polled_as_often_as_a_new_one(
    person: Person, jobs: Jobs, clock: Clock
) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    clock.advance(9000)
    person.post(f"{path}/remake", presets="card")
    assert 'hx-trigger="every 500ms"' in person.get(path).text


def test_placeholder_lies_under_a_picture_that_is_opaque(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_png("RGBA"))
    work(jobs)
    assert person.get(path).text.count('class="placeholder"') == 1


def test_old_results_are_marked_while_new_ones_are_made(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    assert "previous result" not in person.get(path).text
    person.post(f"{path}/remake", presets="card")
    page = person.get(path).text
    assert "previous result" in page
    assert "100 × 100 JPEG" in page


def test_buttons_that_change_a_job_are_for_its_owner(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    path = person.submit(make_truncated(), make_jpeg())
    work_once(jobs)
    for action in ("retry", "cancel", "extend", "remake"):
        assert f"/{action}" in person.get(path).text
        assert f"/{action}" not in stranger.get(path).text


def test_image_has_a_page_with_its_markup_and_neighbours(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg(size=(400, 300)), make_jpeg())
    work(jobs)
    first, image, last = job_at(jobs, path).images
    page = person.get(f"{path}/images/{image.id}").text
    assert "from 400 × 300 JPEG" in page
    assert "&lt;img src=" in page
    assert first.id in page
    assert last.id in page


def test_image_page_leads_back_in_words_that_fit(person: Person, jobs: Jobs) -> None:
    for count, words in ((1, "All images"), (2, "All 2 images")):
        path = person.submit(*[make_jpeg()] * count)
        image = job_at(jobs, path).images[0]
        assert f">{words}</a>" in person.get(f"{path}/images/{image.id}").text


def test_failed_image_is_retried_from_its_own_page(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    path = person.submit(make_truncated())
    (image,) = job_at(jobs, path).images
    page = f"{path}/images/{image.id}"
    assert f'action="{page}/retry"' not in person.get(page).text
    work(jobs)
    assert f'action="{page}/retry"' in person.get(page).text
    assert "its end is missing" in person.get(page).text
    assert f'action="{page}/retry"' not in stranger.get(page).text


def test_image_of_another_job_is_not_found(person: Person, jobs: Jobs) -> None:
    path, other = person.submit(make_jpeg()), person.submit(make_jpeg())
    image = job_at(jobs, other).images[0]
    assert person.get(f"{path}/images/{image.id}").status_code == 404
    assert "This job is gone" in person.get(f"{path}/images/{image.id}/panel").text


def test_unchanged_image_is_not_sent_again(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    image = job_at(jobs, path).images[0]
    address = person.page(f"{path}/images/{image.id}").polled()
    assert address
    assert person.get(address).status_code == 204
    work(jobs)
    panel = person.get(address).text
    assert "100 × 100 JPEG" in panel
    assert Page(panel).polled() is None


@pytest.mark.parametrize(
    ("preset", "is_asked"), [("avatar", True), ("web-set", False), ("square", False)]
)
def test_focal_point_is_asked_for_where_something_is_cropped(
    person: Person, stranger: Person, jobs: Jobs, preset: str, is_asked: bool
) -> None:
    path = person.submit(make_jpeg(), presets=preset)
    work(jobs)
    image = job_at(jobs, path).images[0]
    address = f"{path}/images/{image.id}"
    assert ("Focal point" in person.get(address).text) == is_asked
    assert "Focal point" not in stranger.get(address).text


def test_fields_of_the_focal_point_are_described(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), presets="avatar")
    work(jobs)
    image = job_at(jobs, path).images[0]
    page = person.get(f"{path}/images/{image.id}").text
    assert page.count('aria-describedby="focus-help"') == 2


def test_whole_image_is_shown_to_choose_on_but_is_no_thumbnail(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(size=(1600, 800)), presets="avatar")
    work(jobs)
    (image,) = job_at(jobs, path).images
    assert [made.file_name for made in image.thumbnails] == ["avatar.webp"]
    assert image.overview
    assert (image.overview.width, image.overview.height) == (640, 320)
    assert person.get(image.overview.url).status_code == 200
    assert image.overview.url in person.get(f"{path}/images/{image.id}").text
    assert image.overview.url not in person.get(path).text


def test_whole_image_is_not_made_beside_another_that_shows_it(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), presets=["avatar", "web-set"])
    work(jobs)
    (image,) = job_at(jobs, path).images
    assert image.overview in image.thumbnails


def test_version_that_is_no_text_gets_the_panel(person: Person) -> None:
    panel = person.client.get(
        person.submit(make_jpeg()) + "/panel", environ_overrides={"QUERY_STRING": "v=\xff"}
    )
    assert panel.status_code == 200


def test_last_panel_stops_the_polling(person: Person, jobs: Jobs) -> None:
    address = person.page(person.submit(make_jpeg())).polled()
    assert address
    work(jobs)
    panel = person.get(address)
    assert "1 of 1 image done" in panel.text
    assert Page(panel.text).polled() is None


def test_panel_goes_on_while_images_are_still_uploaded(script: Script, jobs: Jobs) -> None:
    job = script.create()
    script.add(job, make_jpeg())
    work(jobs)
    assert script.page(job["panel_url"]).polled()
    script.send(job["close_url"])
    assert script.page(job["panel_url"]).polled() is None


@pytest.mark.parametrize("query", ["", "?v=7", "?v=x"])
def test_panel_of_a_job_that_is_gone_ends_the_polling(person: Person, query: str) -> None:
    panel = person.get(f"{GONE}/panel{query}")
    assert panel.status_code == 200
    assert "This job is gone" in panel.text
    assert Page(panel.text).polled() is None


@pytest.mark.parametrize("path", [GONE, "/jobs/1", "/jobs/../etc", "/jobs/%00"])
def test_unknown_or_malformed_job_is_not_found(person: Person, path: str) -> None:
    response = person.get(path)
    assert response.status_code == 404
    assert "expired" in response.text


def test_expired_job_is_gone(person: Person, jobs: Jobs, clock: Clock) -> None:
    path = person.submit(make_jpeg())
    clock.advance(hours=25)
    response = person.get(path)
    assert response.status_code == 410
    assert "<h1>This job is gone</h1>" in response.text
    assert "This job is gone" in person.get(f"{path}/panel").text


@pytest.mark.parametrize("part", ["", "/zip", "/markup", "/images/{image}", "/delete"])
def test_expired_job_is_still_called_expired_after_its_sweep(
    person: Person, jobs: Jobs, part: str, clock: Clock
) -> None:
    path = person.submit(make_jpeg())
    image = job_at(jobs, path).images[0].id
    clock.advance(hours=25)
    sweep(jobs)
    sweep(jobs)
    response = person.get(path + part.format(image=image))
    assert response.status_code == 410
    assert "This job has expired." in response.text


def test_polling_ends_after_an_expired_job_was_swept(
    person: Person, jobs: Jobs, clock: Clock
) -> None:
    path = person.submit(make_jpeg())
    asked = person.page(path).polled()
    assert asked
    clock.advance(hours=25)
    sweep(jobs)
    panel = person.get(asked)
    assert (panel.status_code, Page(panel.text).polled()) == (200, None)
    assert "This job is gone" in panel.text


def test_expired_job_is_forgotten_after_30_days(person: Person, jobs: Jobs, clock: Clock) -> None:
    path = person.submit(make_jpeg())
    clock.advance(hours=25)
    sweep(jobs)
    clock.advance(hours=30 * 24)
    sweep(jobs)
    assert person.get(path).status_code == 404


def test_job_that_its_owner_deleted_is_not_said_to_have_expired(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    person.post(f"{path}/delete")
    sweep(jobs)
    assert person.get(path).status_code == 404


def test_panel_is_never_cached(person: Person) -> None:
    assert person.get(f"{GONE}/panel").headers["Cache-Control"] == "no-store"


def test_owner_deletes_a_job_after_being_asked(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    thumbnail = job_at(jobs, path).images[0].thumbnails[0].url
    assert "Delete this job?" in person.get(f"{path}/delete").text
    assert person.post(f"{path}/delete").status_code == 303
    assert person.get(path).status_code == 404
    assert person.get(thumbnail).status_code == 404
    wait_until(lambda: not any(jobs.storage.tmp.iterdir()))
    assert nothing_left(jobs)


def told(person: Person, answer: TestResponse) -> list[str]:
    """Follow a redirect; return what the page there says of what was just done."""
    return person.page(answer.headers["Location"]).texts("li.message")


def test_deleting_or_extending_without_script_is_confirmed_once(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    answer = person.post(f"{path}/extend", hours="72")
    until = job_at(jobs, path).expires
    assert told(person, answer) == [f"Kept until {date_and_time(until)}."]
    answer = person.post(f"{path}/delete")
    assert told(person, answer) == ["The job is deleted, with its images and thumbnails."]
    assert told(person, answer) == []


def test_shorter_retention_is_answered_with_the_current_one(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    until = job_at(jobs, path).expires
    answer = person.post(f"{path}/extend", hours="1")
    assert told(person, answer) == [f"Kept until {date_and_time(until)}."]


@pytest.mark.parametrize("accept", ["application/json", "*/*"])
@pytest.mark.parametrize("action", ["extend", "delete"])
def test_what_a_script_did_is_not_told_on_a_later_page(
    person: Person, action: str, accept: str
) -> None:
    path = person.submit(make_jpeg())
    form = multipart(csrf_token=person.token(), hours="72")
    answer = person.client.post(f"{path}/{action}", headers={"Accept": accept}, **form)
    assert answer.status_code == 303
    assert told(person, answer) == []


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
    assert jobs.ids()


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
    assert jobs.ids()


def test_ones_own_jobs_are_listed_and_no_others(person: Person, stranger: Person) -> None:
    path = person.submit(make_jpeg())
    assert path in person.get("/jobs").text
    assert path not in stranger.get("/jobs").text


def test_list_loads_no_script_that_it_does_not_need(person: Person) -> None:
    assert "vendor/" not in person.get("/jobs").text


def test_job_is_listed_by_its_first_image(person: Person) -> None:
    person.submit(make_jpeg(), make_jpeg(), make_jpeg())
    assert "<bdi>1.jpg</bdi> and 2 more" in person.get("/jobs").text


def test_job_without_images_is_listed_as_waiting_for_them(script: Script) -> None:
    script.create()
    page = script.get("/jobs").text
    assert "No images yet" in page
    assert "Waiting for images" in page


def test_list_says_how_far_each_job_is(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_truncated(), make_jpeg(), make_jpeg())
    waiting = job_at(jobs, path).images[2].id
    person.post(f"{path}/images/{waiting}/cancel")
    progress = person.page("/jobs").one("progress").attributes
    assert progress == {"aria-label": "Images finished", "value": "1", "max": "3"}
    work(jobs)
    page = person.page("/jobs")
    assert "1 of 3 images done, 1 failed, 1 cancelled" in page.text()
    assert not page.all("progress")


def test_row_of_the_list_follows_its_job_to_the_end(person: Person, jobs: Jobs) -> None:
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


def test_row_of_a_job_that_is_gone_goes(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    address = person.page("/jobs").polled()
    assert address
    jobs.delete(id_of(path))
    row = person.get(address)
    assert (row.status_code, row.text) == (200, "")


def test_row_is_for_who_made_the_job_alone(person: Person, stranger: Person) -> None:
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


def test_whole_image_is_no_picture_of_the_list(person: Person, jobs: Jobs) -> None:
    person.submit(make_jpeg(size=(800, 100)), presets="avatar")
    work(jobs)
    assert pictures_of_the_list(person) == ["avatar.webp"]


def test_list_of_jobs_goes_on_with_older_ones(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.jobs.lifecycle.LISTED_JOBS", 2)
    paths = [person.submit(make_jpeg()) for _ in range(5)]
    addresses, seen = ["/jobs"], []
    while addresses:
        page = person.page(addresses[0])
        seen.append(page.values(".row-name", "href"))
        addresses = page.values('a[href^="/jobs?before="]', "href")
    assert seen == [[paths[4], paths[3]], [paths[2], paths[1]], [paths[0]]]


@pytest.mark.parametrize("before", ["0", "-1", "nan", "inf", "1e999", "long ago", ""])
def test_list_of_jobs_before_any_time_is_a_page(person: Person, before: str) -> None:
    person.submit(make_jpeg())
    assert person.get(f"/jobs?before={before}").status_code == 200


def test_list_without_older_jobs_leads_to_the_newest(person: Person) -> None:
    person.submit(make_jpeg())
    page = person.get("/jobs?before=0").text
    assert "No older jobs" in page
    assert 'href="/jobs">Newest jobs' in page


def test_program_lists_all_of_its_jobs(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.jobs.lifecycle.LISTED_JOBS", 2)
    for _ in range(3):
        person.submit(make_jpeg())
    answer = person.client.get("/jobs", headers={"Accept": "application/json"})
    assert answer.json is not None
    assert len(answer.json["job_ids"]) == 3


def test_removed_location_is_told(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(gps=True), make_jpeg())
    assert "GPS removed from 1 photo" in person.get(path).text
