"""Following a job: polls, announcements, connections that break, expiry."""

import re
import time

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.actions import drop, expect_done, expect_finished, make, make_button
from tests.browser.jobs import PHOTO, create_job, make_job, open_waiting, work_on
from tests.browser.measures import LISTEN, WATCH_SHIFTS, layout_shift, longest_task, shifts
from tests.browser.routes import route_once
from tests.support.images import make_jpeg
from tests.support.jobs import open_jobs, sweep
from tests.support.servers import Servers
from webapp.config import Config

pytestmark = pytest.mark.browser


def test_list_follows_its_jobs_and_keeps_the_focus(page: Page, idle: Servers) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    create_job(page, idle, dict.fromkeys(("a.jpg", "b.jpg"), PHOTO))
    page.add_init_script(WATCH_SHIFTS)
    page.goto(f"{idle.url}/jobs")
    button = page.get_by_role("button", name="Delete")
    button.focus()
    expect(page.locator(".job-row .facts")).to_contain_text("0 of 2 photos done")
    work_on(idle)
    expect(page.locator(".job-row .facts")).to_contain_text(re.compile(r"^\s*2 photos\s*2 files"))
    expect(page.locator(".job-row progress")).to_have_count(0)
    expect(page.locator(".strip img")).to_have_count(2)
    expect(button).to_be_focused()
    assert shifts(page) == []


def test_tab_shown_again_has_the_changes_of_another(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    other = page.context.new_page()
    other.goto(f"{page.url}/delete")
    other.get_by_role("button", name="Delete").click()
    other.close()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("h1")).to_have_text("This job is deleted")


def test_finished_page_stops_polling(page: Page) -> None:
    page.clock.install()
    page.goto("/")
    drop(page, {"a.jpg": make_jpeg()})
    make(page)
    asked = requests_of(page)
    page.clock.run_for(5000)  # Ten times the interval.
    page.evaluate("fetch('/docs').then(() => null)")  # All others were sent before it.
    assert [url for url in asked if "panel" in url] == []


def test_live_region_announces_start_quarters_and_end_once(page: Page, idle: Servers) -> None:
    page.goto(f"{idle.url}/?preset=square")
    page.evaluate(LISTEN)
    drop(page, {f"{number}.jpg": PHOTO for number in range(1, 9)})
    make_button(page).click()
    expect(page.locator("h1")).to_have_text("0 of 8 done")
    work_on(idle)
    expect_finished(page, "8 of 8 done")
    said = page.evaluate("said")
    assert said[0] == "8 photos chosen"
    assert said[1].startswith("Uploading 8 photos.")  # No worker is there yet, which follows.
    told = [int(words.split()[0]) for words in said if " done" in words]
    assert told == sorted(set(told))
    assert len([count for count in told if count]) <= 4
    assert said[-1] == "8 of 8 done"


def test_focus_moves_to_the_results_when_all_are_done(page: Page) -> None:
    page.goto("/?preset=square")
    drop(page, {"a.jpg": PHOTO})
    make(page)
    expect(page.locator("h1")).to_be_focused()


def test_poll_keeps_the_focus(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg", "b.jpg")
    page.get_by_role("button", name="Cancel b.jpg").focus()
    change_elsewhere(page)
    expect(page.locator(".frame.cancelled .frame-name")).to_have_text(["a.jpg"])
    expect(page.get_by_role("button", name="Cancel b.jpg")).to_be_focused()


def change_elsewhere(page: Page) -> None:
    """Cancel the first image in another tab."""
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Cancel a.jpg").click()
    expect(other.locator(".frame.cancelled")).to_have_count(1)
    other.close()


def test_waiting_page_counts_the_images_ahead_in_the_queue(
    page: Page, idle: Servers, browser: Browser
) -> None:
    other = browser.new_page()
    open_waiting(other, idle, "x.jpg", "y.jpg", "z.jpg")
    open_waiting(page, idle, "a.jpg")
    expect(page.locator(".now")).to_contain_text("1 photo ahead of yours")
    other.get_by_role("button", name="Cancel all waiting").click()
    expect(page.locator(".now")).not_to_contain_text("ahead of")
    other.close()


def test_missing_workers_are_announced_once(page: Page, idle: Servers) -> None:
    page.goto(f"{idle.url}/?preset=square")
    page.evaluate(LISTEN)
    drop(page, dict.fromkeys(("a.jpg", "b.jpg", "c.jpg"), PHOTO))
    make_button(page).click()
    words = page.locator("#attention").get_by_text("Processing is paused: no workers are running.")
    expect(words).to_be_visible()
    expect(page.locator("h1")).to_have_text("0 of 3 done")  # All are sent.
    page.get_by_role("button", name="Cancel a.jpg").click()
    expect(page.locator("h1")).to_have_text("0 of 3 done · 1 cancelled")
    idle.start_one("consumer")
    expect(words).to_have_count(0, timeout=30_000)
    told = [said for said in page.evaluate("said") if "no workers" in said]
    assert len(told) == 1


def test_title_and_icon_show_the_end(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg")
    icon = page.locator("link[rel=icon]")
    expect(page).to_have_title("0 of 1 done · a.jpg · Thumbnails")
    expect(icon).to_have_attribute("href", re.compile(r"/icon\.svg$"))
    work_on(idle)
    expect(page).to_have_title("1 of 1 done · a.jpg · Thumbnails")
    expect(icon).to_have_attribute("href", re.compile(r"/icon-done\.svg$"))


def test_nothing_moves_while_results_appear(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, *(f"{number}.jpg" for number in range(1, 7)))
    page.evaluate(WATCH_SHIFTS)
    work_on(idle)
    expect_finished(page, "6 of 6 done")
    assert layout_shift(page) < 0.005, shifts(page)


def test_placeholder_shows_until_the_thumbnail_is_loaded(page: Page) -> None:
    page.goto("/?preset=web-set")
    drop(page, {"a.jpg": PHOTO})
    held: list[Route] = []
    page.route("**/thumbnails/**", lambda route: held.append(route))
    with page.expect_request("**/thumbnails/**"):
        make(page)
    placeholder = page.locator(".placeholder")
    expect(placeholder).to_have_js_property("naturalWidth", 640)
    box = placeholder.bounding_box()
    held[0].continue_()
    expect(page.locator(".shot img").last).to_have_js_property("complete", True)
    assert page.locator(".shot img").last.bounding_box() == box


def test_images_keep_the_order_of_the_upload(page: Page, idle: Servers) -> None:
    late: list[Route] = []
    names = [f"{number}.jpg" for number in range(1, 6)]
    page.goto(f"{idle.url}/?preset=square")
    drop(page, dict.fromkeys(names, PHOTO))
    route_once(page, "**/images", lambda route: late.append(route))
    make_button(page).click()
    expect(page.locator(".frame:not(.sending) .frame-name")).to_have_text(names[1:])
    late[0].continue_()
    expect(page.locator(".frame-name")).to_have_text(names)
    expect(page.locator("h1")).to_have_text("0 of 5 done")


def test_large_job_never_stops_the_page(browser: Browser, idle: Servers) -> None:
    context = browser.new_context()
    page = context.new_page()
    open_waiting(page, idle, *(f"{number}.jpg" for number in range(30)), preset="web-set")
    with longest_task(browser, page) as longest:
        idle.start_one("consumer")
        expect_finished(page, "30 of 30 done")
    assert longest() < 200
    context.close()


def hide(page: Page) -> None:
    """Move the tab of a page to the background."""
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { get: () => window.isHidden });
            window.isHidden = true;
        }"""
    )


SHOW = "isHidden = false, document.dispatchEvent(new Event('visibilitychange')), null"


def requests_of(page: Page) -> list[str]:
    """Collect the URLs that a page asks for from now on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    return asked


def test_hidden_tab_polls_only_when_it_is_shown(page: Page, idle: Servers) -> None:
    page.clock.install()
    open_waiting(page, idle, "a.jpg")
    hide(page)
    asked = requests_of(page)
    page.clock.run_for(5000)  # Ten times the interval.
    page.evaluate("fetch('/docs').then(() => null)")  # All others were sent before it.
    assert asked == [f"{idle.url}/docs"]
    with page.expect_request("**/panel?*"):
        page.evaluate(SHOW)


def test_page_resumes_after_a_lost_connection(
    page: Page, idle: Servers, complaints: list[str]
) -> None:
    open_waiting(page, idle, "a.jpg")
    page.context.set_offline(True)
    bar = page.locator(".bar:visible")
    expect(bar).to_have_text("Connection lost. Retrying – your job continues on the server.")
    expect(page.get_by_role("status")).to_contain_text("Connection lost")
    expect(page.locator(".frame.waiting")).to_have_count(1)
    work_on(idle)
    page.context.set_offline(False)
    expect_done(page, "1 of 1 done")
    expect(bar).to_have_count(0)
    complaints.clear()  # Chromium reports every request that was lost.


def test_page_retries_after_a_server_error(
    page: Page, idle: Servers, complaints: list[str]
) -> None:
    open_waiting(page, idle, "a.jpg")
    page.route("**/panel?*", lambda route: route.fulfill(status=500, body="oops"), times=2)
    bar = page.locator(".bar:visible")
    expect(bar).to_have_text("Server error. Retrying – nothing is lost.")
    expect(page.locator("body")).not_to_contain_text("oops")
    expect(page.locator(".frame.waiting")).to_have_count(1)
    expect(bar).to_have_count(0)
    complaints.clear()


def let_expire(page: Page, servers: Servers) -> None:
    """Sweep as the consumer does a day later, and set the page's clock to then."""
    day = 24 * 3600 + 10
    jobs = open_jobs(Config(instance=servers.instance), lambda: time.time() + day)
    sweep(jobs)
    jobs.store.db.close()
    page.clock.fast_forward("24:00:10")


@pytest.fixture(params=["job", "image"])
def finished_page(page: Page, servers: Servers, request: pytest.FixtureRequest) -> Page:
    """Return the page of a job or of an image, with a clock that can be put forward."""
    page.goto(make_job(page, servers, {"a.jpg": PHOTO, "b.jpg": PHOTO}))
    if request.param == "image":
        page.goto(page.locator("a.shot").first.evaluate("(link) => link.href"))
    page.clock.install()
    page.reload()
    return page


def test_open_page_shows_that_its_job_has_expired(finished_page: Page, servers: Servers) -> None:
    let_expire(finished_page, servers)
    expect(finished_page.locator("h1")).to_have_text("This job is gone")
    expect(finished_page).to_have_title("This job is gone · Thumbnails")
    expect(finished_page.get_by_role("status")).to_have_text("This job is gone")
    expect(finished_page.locator("h1")).to_be_focused()


def test_page_of_an_expired_job_links_to_nothing_of_it(
    finished_page: Page, servers: Servers
) -> None:
    let_expire(finished_page, servers)
    expect(finished_page.locator("h1")).to_have_text("This job is gone")
    expect(finished_page.locator("main a")).to_have_text(["New batch", "My jobs"])
    expect(finished_page.locator("main img")).to_have_count(0)


def test_hidden_page_shows_the_expiry_when_shown_again(
    finished_page: Page, servers: Servers
) -> None:
    hide(finished_page)
    asked = requests_of(finished_page)
    let_expire(finished_page, servers)
    finished_page.evaluate("fetch('/docs').then(() => null)")  # All others were sent before it.
    assert asked == [f"{servers.url}/docs"]
    finished_page.evaluate(SHOW)
    expect(finished_page.locator("h1")).to_have_text("This job is gone")


def test_two_tabs_of_one_job_both_follow_it(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg", "b.jpg")
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Cancel a.jpg").click()
    expect(page.locator(".frame.cancelled .frame-name")).to_have_text(["a.jpg"])
    work_on(idle)
    for tab in (page, other):
        expect_finished(tab, "1 of 2 done · 1 cancelled")
