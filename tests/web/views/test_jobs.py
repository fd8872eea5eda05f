"""Show the page of a job."""

import re
from math import inf
from uuid import UUID

import pytest

from tests.support.clock import Clock
from tests.support.images import make_jpeg, make_png, make_truncated
from tests.support.jobs import claims_of, job_at, sweep, url_of, work, work_once
from tests.support.pages import Page
from tests.support.people import Person
from webapp.jobs.lifecycle import Jobs

IDLE = "no workers are running"
GONE = "/jobs/00000000-0000-4000-8000-000000000000"


def test_page_shows_every_image_with_its_state(person: Person, jobs: Jobs) -> None:
    page = person.page(person.submit(make_jpeg(), make_jpeg()))
    assert page.text("h1") == "0 of 2 done"
    assert len(page.all(".frame.waiting")) == 2


def test_thumbnail_is_linked_with_its_size_and_saving(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(size=(400, 300)))
    work(jobs)
    page = person.page(path)
    made = job_at(jobs, path).images[0].thumbnails[0]
    assert page.all(f'a[href="{url_of(made)}"]')
    assert page.texts(".thumbnails li > span:first-child") == ["Square 100 × 100"]
    assert re.search(r"\d+ % (smaller|larger)", page.text(".job-head .facts"))
    assert person.get(url_of(made)).data.startswith(b"\xff\xd8")


@pytest.mark.parametrize(
    ("presets", "shown"),
    [
        (["web-set", "card", "avatar"], "640w.webp"),  # All of each, before what is cropped.
        (["square", "card", "avatar"], "whole-image.webp"),  # No file shows all of each, large.
        (["square", "avatar"], "whole-image.webp"),
    ],
)
def test_all_frames_of_a_job_show_the_same_output(
    person: Person, jobs: Jobs, presets: list[str], shown: str
) -> None:
    sizes = [(1200, 800), (400, 300), (500, 900), (2000, 300)]
    path = person.submit(*(make_jpeg(size=size) for size in sizes), presets=presets)
    work(jobs)
    frames = person.page(path).values("a.shot img:not(.placeholder)", "src")
    assert [address.rpartition("/")[2] for address in frames] == [shown] * 4


def test_waiting_image_has_room_for_its_crops_and_counts_its_files(
    person: Person, jobs: Jobs
) -> None:
    path = person.submit(make_jpeg(size=(400, 300)), presets=["avatar", "card", "web-set"])
    page = person.page(path)
    assert page.text(".file-count") == "6 files"  # The photo is too small for more.
    widths = page.values(".crops .hole", "width")
    work(jobs)
    page = person.page(path)
    assert page.values(".crops img", "width") == widths == ["72", "128"]
    assert page.text(".files summary").startswith("6 files · ")


def test_photo_smaller_than_a_size_is_marked(person: Person, jobs: Jobs) -> None:
    small, large = make_jpeg(size=(384, 303)), make_jpeg(size=(1300, 900))
    path = person.submit(small, large, presets="social")
    work(jobs)
    page = person.page(path)
    assert ["not enlarged" in facts for facts in page.texts(".frame-facts")] == [True, False]
    assert "photo is smaller than 1200 × 630" in page.text(".thumbnails .tiny")


def test_page_warns_that_its_link_gives_access(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    assert "Anyone with the link can see this page" in person.get(path).text
    assert "here until" in stranger.get(path).text


def test_menu_of_markup_has_what_lasts_first_and_says_how_long(person: Person) -> None:
    page = person.page(person.submit(make_jpeg()))
    lasting, linked = page.texts("#kinds .item")[:2]
    assert lasting.startswith("HTML for your site")
    assert lasting.endswith("lasts as long as you keep them")
    assert linked.startswith("HTML with links to this server")
    assert re.search(r"Shows at once, until \d.* UTC$", linked)
    assert re.search(r"^Link copied\. .* until \d.* UTC\.$", page.text(".share .done"))


def test_job_ids_cannot_be_guessed(person: Person) -> None:
    ids = [UUID(person.submit(make_jpeg()).removeprefix("/jobs/")) for _ in range(5)]
    assert {job_id.version for job_id in ids} == {4}  # 122 bits from the system's own source.


def test_failed_image_shows_its_reason(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_truncated())
    work(jobs)
    page = person.get(path).text
    assert "0 of 1 done · 1 failed" in page
    assert "its end was cut off" in page
    assert "truncated" not in page  # A code for programs.


def test_page_warns_that_no_worker_is_running(person: Person) -> None:
    page = person.get(person.submit(make_jpeg())).text
    assert "Processing is paused: no workers are running." in page
    assert "Your job will resume automatically." in page


def test_page_with_a_worker_has_no_warning(person: Person, jobs: Jobs) -> None:
    jobs.store.operations.beat("w1")
    assert IDLE not in person.get(person.submit(make_jpeg())).text


def test_finished_page_has_no_warning_about_workers(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    jobs.store.operations.forget_workers(inf)
    assert IDLE not in person.get(path).text


def test_image_of_a_lost_worker_is_not_shown_as_working(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    assert claims_of(jobs).claim("w1")
    assert person.page(path).text(".now").startswith("2 waiting")


def test_only_an_opaque_picture_has_a_placeholder(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_png("RGBA"))
    work(jobs)
    assert person.get(path).text.count('class="placeholder"') == 1


def test_crops_lead_to_where_they_are_checked(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(size=(400, 300)), presets=["avatar", "square"])
    work(jobs)
    page, image = person.page(path), job_at(jobs, path).images[0].id
    assert page.values(".crops a", "aria-label") == ["Check Avatar of 1.jpg"]
    sheet, _, place = page.value(".crops a", "href").partition("#")
    assert person.page(sheet).all(f"#{place} #focus-1")
    assert place.endswith(image)
    assert page.text("#check-crops") == "Check crops"
    path = person.submit(make_jpeg(), presets=["square", "web-set"])
    work(jobs)
    page = person.page(path)
    assert page.all(".crops img")  # The whole photo on a colour.
    assert not page.all("#check-crops, .crops a")


def test_old_results_are_marked_while_new_ones_are_made(person: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    assert "previous result" not in person.get(path).text
    person.post(f"{path}/remake", presets="card")
    page = person.get(path).text
    assert "previous result" in page
    assert "100 × 100" in page


def test_buttons_that_change_a_job_are_for_its_owner(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    path = person.submit(make_jpeg(), make_jpeg(), make_jpeg())
    for image in job_at(jobs, path).images[:2]:
        jobs.store.queue.cancel(image.job_id, image.id)
    for action in ("retry", "cancel", "extend", "remake"):
        assert f"/{action}" in person.get(path).text
        assert f"/{action}" not in stranger.get(path).text


@pytest.mark.parametrize("path", [GONE, "/jobs/1", "/jobs/../etc", "/jobs/%00"])
def test_unknown_or_malformed_job_is_not_found(person: Person, path: str) -> None:
    response = person.get(path)
    assert response.status_code == 404
    assert "expired" in response.text


def test_expired_job_answers_410(person: Person, jobs: Jobs, clock: Clock) -> None:
    path = person.submit(make_jpeg())
    clock.advance(hours=25)
    response = person.get(path)
    assert response.status_code == 410
    assert "<h1>This job is gone</h1>" in response.text
    assert "This job is gone" in person.get(f"{path}/panel").text


@pytest.mark.parametrize("part", ["", "/zip", "/markup", "/images/{image}", "/delete"])
def test_expired_job_answers_410_after_its_sweep(
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


def test_expired_job_is_forgotten_after_30_days(person: Person, jobs: Jobs, clock: Clock) -> None:
    path = person.submit(make_jpeg())
    clock.advance(hours=25)
    sweep(jobs)
    clock.advance(hours=30 * 24)
    sweep(jobs)
    assert person.get(path).status_code == 404


def test_deleted_job_answers_410_and_then_404(person: Person, jobs: Jobs, clock: Clock) -> None:
    path = person.submit(make_jpeg())
    person.post(f"{path}/delete")
    assert person.get(path).status_code == 410
    clock.advance(seconds=61)
    sweep(jobs)
    assert person.get(path).status_code == 404


def test_page_reports_removed_locations(person: Person, jobs: Jobs) -> None:
    facts = person.page(person.submit(make_jpeg(gps=True), make_jpeg())).texts(".frame-facts")
    assert ["location removed" in one for one in facts] == [True, False]


def test_guest_sees_a_gallery_of_what_is_done(person: Person, stranger: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_truncated(), presets="web-set")
    work(jobs)
    page = stranger.page(path)
    assert page.text("h1") == "1 photo"
    assert len(page.all(".plate")) == 1
    assert page.values(".plate a[download]", "download") == ["1-320w.webp"]
    shown = page.all(".plate img")[-1].attributes
    plate = page.one(".plate").attributes
    assert (plate["data-width"], plate["data-height"]) == (shown["width"], shown["height"])
    assert not page.all("form:not([action$=out]), .tools, .skipped, .failed")
    cover = page.value("meta[property='og:image']", "content")
    assert cover.startswith("http://localhost/thumbnails/")
    assert cover.endswith(".jpg")
    assert stranger.get(cover).status_code == 200


def test_guest_of_a_running_job_follows_it(person: Person, stranger: Person, jobs: Jobs) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    address = stranger.page(path).polled()
    assert address
    assert stranger.get(address).status_code == 204
    work_once(jobs)
    assert Page(stranger.get(address).text).text("h1") == "1 photo"


def test_photos_are_found_by_name_and_laid_out_without_script(person: Person) -> None:
    files = [(make_jpeg(), name) for name in ("Beach.jpg", "cat.jpg")]
    path = person.upload(*files).headers["Location"]
    page = person.page(f"{path}?find=bea&show=failed&view=rows")
    assert page.texts(".frame:not(.unmatched) .frame-name") == ["Beach.jpg"]
    assert page.values(".look input[checked]") == ["failed", "rows"]
    person.client.set_cookie("view", "rows")
    assert person.page(path).values(".look input[checked]") == ["all", "rows"]
