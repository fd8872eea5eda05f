"""Changing a job from its page: refusals, and answers that come late."""

import json
from datetime import datetime

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.actions import (
    LISTEN,
    PHOTO,
    WATCH_SHIFTS,
    create_job,
    drop,
    expect_done,
    make_job,
    open_waiting,
    route_once,
    shifts,
    work_on,
)
from tests.support.servers import Servers, wait_until

pytestmark = pytest.mark.browser

WORDS = "Too much at once. Wait a minute."
WAITING = "SELECT 1 FROM images WHERE status = 'waiting'"
NOTICE = ".bar:visible"


def refuse(route: Route) -> None:
    """Answer as the server does to too many requests."""
    body = json.dumps({"code": "busy", "detail": WORDS, "field": None})
    route.fulfill(status=429, content_type="application/json", body=body)


def hold(page: Page, address: str) -> list[Route]:
    """Hold the next request to an address."""
    held: list[Route] = []
    route_once(page, address, lambda route: held.append(route))
    return held


def wait_for(page: Page, held: list[Route]) -> Route:
    """Wait until a request is on its way."""
    wait_until(lambda: page.evaluate("true") and held, what="a request")
    return held[0]


def draw(page: Page) -> None:
    """Wait until the page has drawn."""
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))")


def list_jobs(page: Page, servers: Servers, count: int = 1) -> None:
    """Make jobs, and open the list of them with a clock that can be put forward."""
    for _ in range(count):
        create_job(page, servers, {"a.jpg": PHOTO})
    page.clock.install()
    page.goto("/jobs")
    expect(page.locator(".row")).to_have_count(count)


def delete(page: Page, position: int = 0) -> None:
    page.locator(".row").nth(position).get_by_role("link", name="Delete").click()


# Refusals


def test_refusal_is_shown_and_announced_as_a_refusal(
    page: Page, idle: Servers, complaints: list[str]
) -> None:
    open_waiting(page, idle, "a.jpg")
    page.evaluate(LISTEN)
    page.route("**/cancel", refuse)
    with page.expect_response("**/panel?*"):
        page.get_by_role("button", name="Cancel a.jpg").click()
    with page.expect_response("**/panel?*"):  # Of the next poll.
        pass
    expect(page.locator(NOTICE)).to_have_text(WORDS)
    assert page.evaluate("said") == [WORDS]
    complaints.clear()  # Chromium reports every refusal.


def test_refusal_goes_with_the_next_click(page: Page, idle: Servers, complaints: list[str]) -> None:
    open_waiting(page, idle, "a.jpg")
    page.route("**/cancel", refuse)
    page.get_by_role("button", name="Cancel a.jpg").click()
    expect(page.locator(NOTICE)).to_have_text(WORDS)
    page.locator("h1").click()
    expect(page.locator(NOTICE)).to_have_count(0)
    complaints.clear()


def test_refusal_goes_after_some_seconds(page: Page, idle: Servers, complaints: list[str]) -> None:
    page.clock.install()
    open_waiting(page, idle, "a.jpg")
    page.route("**/cancel", refuse)
    page.get_by_role("button", name="Cancel a.jpg").click()
    expect(page.locator(NOTICE)).to_have_text(WORDS)
    page.clock.run_for(9000)
    expect(page.locator(NOTICE)).to_have_count(0)
    complaints.clear()


def test_refusal_is_read_out_as_often_as_it_comes(
    page: Page, idle: Servers, complaints: list[str]
) -> None:
    open_waiting(page, idle, "a.jpg")
    page.evaluate(LISTEN)
    page.route("**/cancel", refuse)
    for count in (1, 2):
        with page.expect_response("**/cancel"):
            page.get_by_role("button", name="Cancel a.jpg").click()
        wait_until(lambda: page.evaluate("said").count(WORDS) == count, what="words")  # noqa: B023
    complaints.clear()


def test_refusal_does_not_lie_over_what_is_on_its_way(
    page: Page, idle: Servers, complaints: list[str]
) -> None:
    page.goto(f"{idle.url}/")
    drop(page, {"a.jpg": PHOTO, "b.jpg": PHOTO})
    first = iter([True])
    page.route("**/images", lambda route: route.continue_() if next(first, False) else None)
    page.route("**/cancel", refuse)
    page.get_by_role("button", name="Make thumbnails").click()
    page.get_by_role("button", name="Cancel all waiting").click()
    notice, queue = page.locator(NOTICE).bounding_box(), page.locator("#queue").bounding_box()
    assert notice
    assert queue
    assert notice["y"] + notice["height"] <= queue["y"]
    complaints.clear()


# Deleting


def test_refused_delete_brings_the_job_back_and_says_why(
    page: Page, servers: Servers, complaints: list[str]
) -> None:
    list_jobs(page, servers)
    page.route("**/delete", refuse)
    delete(page)
    expect(page.locator(".row")).to_be_hidden()
    page.clock.run_for(9000)
    expect(page.locator(".row")).to_be_visible()
    expect(page.locator(NOTICE)).to_have_text(f"Not deleted. {WORDS}")
    expect(page.get_by_role("status")).to_have_text(f"Not deleted. {WORDS}")
    complaints.clear()


def test_delete_without_connection_brings_the_job_back_and_says_why(
    page: Page, servers: Servers, complaints: list[str]
) -> None:
    list_jobs(page, servers)
    delete(page)
    page.context.set_offline(True)
    page.clock.run_for(9000)
    expect(page.locator(".row")).to_be_visible()
    expect(page.locator(NOTICE)).to_have_text(
        "Not deleted. The server could not be reached. Try again."
    )
    complaints.clear()


def test_job_that_is_gone_already_counts_as_deleted(
    page: Page, servers: Servers, complaints: list[str]
) -> None:
    list_jobs(page, servers)
    delete(page)
    page.route("**/delete", lambda route: route.fulfill(status=404, json={"detail": "Gone."}))
    page.clock.run_for(9000)
    expect(page.locator(".row")).to_have_count(0)
    complaints.clear()


def test_end_of_a_delete_keeps_the_next_undo(page: Page, servers: Servers) -> None:
    list_jobs(page, servers, 2)
    held = hold(page, "**/delete")
    delete(page, 0)
    delete(page, 1)
    wait_for(page, held).continue_()
    expect(page.locator(".row")).to_have_count(1)
    expect(page.get_by_role("button", name="Undo")).to_be_focused()


def test_end_of_a_delete_keeps_the_focus_elsewhere(page: Page, servers: Servers) -> None:
    list_jobs(page, servers)
    delete(page)
    link = page.get_by_role("link", name="API")
    link.focus()
    page.clock.run_for(9000)
    expect(page.locator(".row")).to_have_count(0)
    expect(link).to_be_focused()


def test_end_of_a_delete_moves_its_focus_to_the_heading(page: Page, servers: Servers) -> None:
    list_jobs(page, servers)
    delete(page)
    page.clock.run_for(9000)
    expect(page.locator(".row")).to_have_count(0)
    expect(page.locator("h1")).to_be_focused()


def test_list_says_at_once_that_it_is_empty(page: Page, servers: Servers) -> None:
    list_jobs(page, servers)
    expect(page.get_by_text("No jobs yet")).to_be_hidden()
    delete(page)
    expect(page.get_by_text("No jobs yet")).to_be_visible()
    expect(page.locator(".rows")).to_be_hidden()  # Not even its frame.
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("No jobs yet")).to_be_hidden()
    delete(page)
    page.clock.run_for(9000)
    expect(page.locator(".row")).to_have_count(0)
    expect(page.get_by_role("link", name="Make some thumbnails")).to_be_visible()


# What is on its way meanwhile


def test_deleted_job_does_not_return_with_a_late_answer(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg")
    poll = wait_for(page, hold(page, "**/panel?*"))
    with page.context.expect_page() as other:
        page.evaluate("open(location.href), null")
    other.value.get_by_role("button", name="Cancel a.jpg").click()
    expect(other.value.locator(".frame.cancelled")).to_have_count(1)
    page.get_by_role("link", name="Delete").click()
    with page.expect_response("**/panel?*") as answer:
        poll.continue_()
    answer.value.finished()
    draw(page)
    expect(page.locator(".frame")).to_be_hidden()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()


def test_deleted_row_does_not_return_with_a_late_answer(page: Page, idle: Servers) -> None:
    create_job(page, idle, {"a.jpg": PHOTO})
    page.goto(f"{idle.url}/jobs")
    poll = wait_for(page, hold(page, "**/row?*"))
    work_on(idle)
    delete(page)
    with page.expect_response("**/row?*") as answer:
        poll.continue_()
    answer.value.finished()
    draw(page)
    expect(page.locator(".row")).to_be_hidden()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".row-state")).to_contain_text("1 of 1 image done", timeout=10_000)


def test_second_deleted_row_does_not_return_with_the_first(page: Page, idle: Servers) -> None:
    create_job(page, idle, {"a.jpg": PHOTO})
    create_job(page, idle, {"b.jpg": PHOTO})
    page.goto(f"{idle.url}/jobs")
    poll = wait_for(page, hold(page, "**/row?*"))
    work_on(idle)
    job_id = poll.request.url.split("/")[-2]
    asking = page.locator(f"#job-{job_id}")
    page.locator(f".row:not(#job-{job_id})").get_by_role("link", name="Delete").click()
    asking.get_by_role("link", name="Delete").click()
    expect(page.locator(".row")).to_have_count(1)  # The first is gone.
    with page.expect_response("**/row?*") as answer:
        poll.continue_()
    answer.value.finished()
    draw(page)
    expect(asking).to_be_hidden()


def test_list_follows_its_jobs_and_keeps_the_focus(page: Page, idle: Servers) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    create_job(page, idle, dict.fromkeys(("a.jpg", "b.jpg"), PHOTO))
    page.add_init_script(WATCH_SHIFTS)
    page.goto(f"{idle.url}/jobs")
    link = page.get_by_role("link", name="Delete")
    link.focus()
    expect(page.locator(".row-state")).to_contain_text("0 of 2 images done")
    work_on(idle)
    expect(page.locator(".row-state")).to_contain_text("2 of 2 images done")
    expect(page.locator(".row progress")).to_have_count(0)
    expect(page.locator(".strip img")).to_have_count(2)
    expect(link).to_be_focused()
    assert shifts(page) == []


@pytest.mark.parametrize("next_page", ["the job", "the list"])
def test_job_that_is_left_while_deleting_does_not_return(
    page: Page, servers: Servers, next_page: str
) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    page.evaluate("navigator.sendBeacon = () => false")  # As late as can be.
    page.get_by_role("link", name="Delete").click()
    if next_page == "the job":
        page.reload()
        expect(page.locator("h1")).to_have_text("This job is gone")
    else:
        page.get_by_role("link", name="My jobs").click()
        expect(page.locator(".row")).to_have_count(0)
    page.goto("/jobs")
    expect(page.get_by_text("No jobs yet")).to_be_visible()


def test_button_that_is_pressed_during_an_answer_works(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg")
    page.route(
        "**/panel?*", lambda it: it.continue_(url=it.request.url.replace("estimate=", "estimate=x"))
    )
    page.get_by_role("button", name="Cancel all waiting").hover()
    page.mouse.down()
    for _ in range(3):
        page.wait_for_event("response", lambda it: "/panel" in it.url and it.status == 200)
    page.mouse.up()
    expect(page.locator(".frame.cancelled")).to_have_count(1)


def test_tab_that_is_shown_again_has_the_changes_of_another(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    other = page.context.new_page()
    other.goto(f"{page.url}/delete")
    other.get_by_role("button", name="Delete").click()
    other.close()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("h1")).to_have_text("This job is gone")


def test_new_expiry_is_announced_before_a_late_answer(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg")
    kept = page.locator("#job-panel time")
    before = kept.get_attribute("datetime") or ""
    page.get_by_label("How long to keep the job from now").select_option("168")
    wait_for(page, hold(page, "**/panel?*"))
    page.get_by_role("button", name="Keep for").click()
    expect(page.get_by_role("status")).to_contain_text("Kept until")
    after = kept.get_attribute("datetime") or ""
    assert (datetime.fromisoformat(after) - datetime.fromisoformat(before)).days == 6
    expect(page.get_by_role("status")).to_have_text(f"Kept until {kept.text_content()}")


def test_retry_before_a_late_answer_is_followed_to_its_end(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg", "b.jpg")
    page.get_by_role("button", name="Cancel a.jpg").click()
    expect(page.get_by_role("button", name="Retry a.jpg")).to_be_visible()
    poll = wait_for(page, hold(page, "**/panel?*"))
    with page.context.expect_page() as other:
        page.evaluate("open(location.href), null")
    other.value.get_by_role("button", name="Cancel b.jpg").click()
    expect(other.value.locator("h1")).to_have_text("0 of 2 images done, 2 cancelled")
    last = poll.fetch()
    with page.expect_request("**/retry"):
        page.get_by_role("button", name="Retry a.jpg").click()
    wait_until(lambda: idle.rows(WAITING), what="a retried image")
    draw(page)
    poll.fulfill(response=last)
    work_on(idle)
    expect_done(page, "1 of 2 images done, 1 cancelled")


# Copying


@pytest.fixture
def copied(page: Page, servers: Servers) -> Page:
    """Return the page of a job whose thumbnails can be copied."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    return page


def copy(page: Page) -> None:
    page.get_by_role("button", name="Copy all images").click()


def test_refused_copy_says_why_and_the_page_stays(copied: Page, complaints: list[str]) -> None:
    address = copied.url
    copied.route("**/markup?*", refuse)
    copy(copied)
    expect(copied.locator(NOTICE)).to_have_text(f"Not copied. {WORDS}")
    assert copied.url == address
    complaints.clear()


def test_copy_without_connection_says_so_and_the_page_stays(
    copied: Page, complaints: list[str]
) -> None:
    address = copied.url
    copied.context.set_offline(True)
    copy(copied)
    expect(copied.locator(NOTICE)).to_have_text(
        "Not copied. The server could not be reached. Try again."
    )
    assert copied.url == address
    complaints.clear()


def test_text_is_shown_where_there_is_no_clipboard(copied: Page, complaints: list[str]) -> None:
    copied.add_init_script("delete Navigator.prototype.clipboard")
    copied.reload()
    copy(copied)
    expect(copied.locator("body")).to_contain_text("<img src=")
    complaints.clear()  # Chromium asks a text for an icon.
