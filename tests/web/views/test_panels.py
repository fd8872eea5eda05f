"""Poll the panel of a job: what is left to do, and when it changes."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import inf

import pytest

from tests.support.app import running_app
from tests.support.clock import Clock
from tests.support.images import make_jpeg, make_png_header
from tests.support.jobs import claim, claims_of, finish, id_of, job_at, sweep, work, work_once
from tests.support.pages import Page
from tests.support.people import Person, Script
from webapp.config import Config
from webapp.jobs.health import estimate
from webapp.jobs.lifecycle import Jobs
from webapp.web.views.jobs import WAIT_SECONDS


def test_page_shows_the_number_of_images_ahead(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    stranger.submit(make_jpeg(), make_jpeg(), make_jpeg())
    path = person.submit(make_jpeg())
    assert estimate(jobs.store, job_at(jobs, path)).ahead == 1  # Owners take turns.
    assert "1 photo ahead of yours" in person.get(path).text


def test_time_left_follows_the_last_durations(clock: Clock, person: Person, jobs: Jobs) -> None:
    person.submit(make_jpeg())
    claimed = claim(jobs)
    clock.advance(10)
    finish(jobs, claimed)
    jobs.store.operations.beat("a")
    jobs.store.operations.beat("b")
    path = person.submit(make_jpeg(), make_jpeg(), make_jpeg())
    assert estimate(jobs.store, job_at(jobs, path)).seconds in (15, 16)
    assert "done in about 20 seconds" in person.get(path).text


def test_time_left_of_slow_images_is_that_of_their_workers(
    clock: Clock, person: Person, jobs: Jobs
) -> None:
    person.submit(make_jpeg())
    claimed = claim(jobs)
    clock.advance(10)
    finish(jobs, claimed)
    for worker in "abcd":  # Two of them may have slow images.
        jobs.store.operations.beat(worker)
    path = person.submit(*[make_png_header((9000, 9000))] * 6)
    assert estimate(jobs.store, job_at(jobs, path)).seconds in (30, 31)


def test_open_job_without_waiting_images_has_no_time_left(script: Script, jobs: Jobs) -> None:
    job = script.create()
    script.add(job, make_jpeg())
    work(jobs)
    jobs.store.operations.beat("a")
    assert estimate(jobs.store, jobs.job(job["id"])).seconds is None


def test_panel_is_sent_when_the_queue_ahead_changes(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    other = stranger.submit(make_jpeg())
    address = person.page(person.submit(make_jpeg())).polled()
    assert address
    assert person.get(address).status_code == 204
    jobs.delete(id_of(other))
    assert person.get(address).status_code == 200


IDLE = "no workers are running"
GONE = "/jobs/00000000-0000-4000-8000-000000000000"


def test_running_page_reloads_itself_without_script(person: Person) -> None:
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


def test_changed_panel_has_a_new_poll_address(person: Person, jobs: Jobs) -> None:
    address = person.page(person.submit(make_jpeg(), make_jpeg())).polled()
    assert address
    claim = claims_of(jobs).claim("w1")
    assert claim
    panel = person.get(address)
    assert panel.status_code == 200
    assert panel.text.lstrip().startswith("<section")
    assert Page(panel.text).polled() not in (None, address)


def test_panel_is_sent_when_the_last_worker_ends(person: Person, jobs: Jobs) -> None:
    jobs.store.operations.beat("w1")
    address = person.page(person.submit(make_jpeg())).polled()
    assert address
    assert person.get(address).status_code == 204
    jobs.store.operations.forget_workers(inf)
    assert IDLE in person.get(address).text


def test_panel_is_sent_when_a_worker_is_back(person: Person, jobs: Jobs) -> None:
    address = person.page(person.submit(make_jpeg())).polled()
    assert address
    assert person.get(address).status_code == 204
    jobs.store.operations.beat("w1")
    panel = person.get(address)
    assert panel.status_code == 200
    assert IDLE not in panel.text


def test_panel_is_sent_when_its_time_left_changes(person: Person, jobs: Jobs, clock: Clock) -> None:
    person.submit(make_jpeg(), make_jpeg(), make_jpeg())
    slow = claim(jobs)
    clock.advance(1100)
    claims_of(jobs).renew(slow)
    first, second = claim(jobs), claim(jobs)
    clock.advance(100)
    finish(jobs, first)
    jobs.store.operations.beat("w1")
    address = person.page(person.submit(make_jpeg())).polled()
    assert address
    finish(jobs, second)
    assert person.get(address).status_code == 204  # It takes 100 seconds, as the one before.
    finish(jobs, slow)
    assert "done in about 8 minutes" in person.get(address).text


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
    assert person.get(f"{path}/panel").text.count('<li id="image-') == 2


def test_panel_is_sent_when_its_poll_slows_down(person: Person, jobs: Jobs, clock: Clock) -> None:
    path = person.submit(make_jpeg())
    address = person.page(path).polled()
    assert address
    assert person.get(address).status_code == 204
    clock.advance(60)
    panel = person.get(address)
    assert 'hx-trigger="every 1000ms"' in panel.text


@pytest.mark.parametrize("images", [1, 2])
def test_polls_of_a_new_job_wait_for_news(config: Config, images: int) -> None:
    with running_app(replace(config, web_threads=2)) as app, ThreadPoolExecutor(1) as thread:
        jobs, person = app.extensions["jobs"], Person(app.test_client())
        path = person.submit(*[make_jpeg()] * images)
        address = person.page(path).polled()
        assert address
        working, started, polls = thread.submit(work_once, jobs), time.monotonic(), 1
        while 'src="/thumbnails/' not in person.get(address).text:
            polls += 1
        working.result()
        assert polls <= 2 + (time.monotonic() - started) / WAIT_SECONDS


def test_poll_does_not_wait_for_more_than_its_page_shows(config: Config) -> None:
    with running_app(replace(config, web_threads=2)) as app:
        jobs, person = app.extensions["jobs"], Person(app.test_client())
        path = person.submit(make_jpeg(), make_jpeg())
        address = person.page(path).polled()
        assert address
        work_once(jobs)
        started = time.monotonic()
        assert 'src="/thumbnails/' in person.get(address).text
        assert time.monotonic() - started < WAIT_SECONDS


def test_polls_follow_each_other_faster_where_they_wait(config: Config) -> None:
    with running_app(replace(config, web_threads=2)) as app:
        person = Person(app.test_client())
        assert 'hx-trigger="every 50ms"' in person.get(person.submit(make_jpeg())).text


def test_remade_job_is_polled_as_fast_as_a_new_one(
    person: Person, jobs: Jobs, clock: Clock
) -> None:
    path = person.submit(make_jpeg())
    work(jobs)
    clock.advance(9000)
    person.post(f"{path}/remake", presets="card")
    assert 'hx-trigger="every 500ms"' in person.get(path).text


def test_guests_poll_as_fast_as_the_owner(person: Person, stranger: Person, clock: Clock) -> None:
    path = person.submit(make_jpeg())
    clock.advance(60)
    for visitor in (person, stranger):
        assert 'hx-trigger="every 1000ms"' in visitor.get(path).text


def test_icon_of_the_tab_says_how_the_job_ended(person: Person, jobs: Jobs) -> None:
    path, in_part = person.submit(make_jpeg()), person.submit(make_jpeg(), (b"words", "b.txt"))
    assert icon_of(person, path).endswith("icon.svg")
    work(jobs)
    assert icon_of(person, path).endswith("icon-done.svg")
    assert icon_of(person, in_part).endswith("icon-failed.svg")


def icon_of(person: Person, path: str) -> str:
    return person.page(path).value("#job-panel", "data-icon").partition("?")[0]


def test_panel_with_an_undecodable_version_is_sent(person: Person) -> None:
    panel = person.client.get(
        person.submit(make_jpeg()) + "/panel", environ_overrides={"QUERY_STRING": "v=\xff"}
    )
    assert panel.status_code == 200


def test_last_panel_stops_the_polling(person: Person, jobs: Jobs) -> None:
    address = person.page(person.submit(make_jpeg())).polled()
    assert address
    work(jobs)
    panel = person.get(address)
    assert "1 of 1 done" in panel.text
    assert Page(panel.text).polled() is None


def test_panel_polls_while_images_are_uploaded(script: Script, jobs: Jobs) -> None:
    job = script.create()
    script.add(job, make_jpeg())
    work(jobs)
    assert script.page(job["panel_url"]).polled()
    script.send(job["close_url"])
    assert script.page(job["panel_url"]).polled() is None


@pytest.mark.parametrize("query", ["", "?v=7", "?v=x"])
def test_panel_of_an_unknown_job_stops_the_polling(person: Person, query: str) -> None:
    panel = person.get(f"{GONE}/panel{query}")
    assert panel.status_code == 200
    assert "This job is gone" in panel.text
    assert Page(panel.text).polled() is None


def test_panel_of_an_expired_job_stops_the_polling(
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


def test_panel_is_never_cached(person: Person) -> None:
    assert person.get(f"{GONE}/panel").headers["Cache-Control"] == "no-store"
