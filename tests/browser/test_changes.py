"""Changing a job from its page: what the server has against it, and what comes in between."""

import json
from datetime import datetime

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.actions import LISTEN, send
from tests.servers import Servers, wait_until

pytestmark = pytest.mark.browser

WORDS = "Too much at once. Wait a minute."
WAITING = "SELECT 1 FROM images WHERE state = 'waiting'"
NOTICE = ".bar:visible"


def refuse(route: Route) -> None:
    """Answer as the server does to who asks too much."""
    body = json.dumps({"code": "busy", "detail": WORDS, "field": None})
    route.fulfill(status=429, content_type="application/json", body=body)


def hold(page: Page, address: str) -> list[Route]:
    """Keep the next request to an address on its way."""
    held: list[Route] = []
    page.route(address, lambda route: held.append(route), times=1)
    return held


def wait_for(page: Page, held: list[Route]) -> Route:
    """Wait until a request is on its way."""
    wait_until(lambda: page.evaluate("true") and held, what="a request")
    return held[0]


def draw(page: Page) -> None:
    """Let the page do what it is at."""
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))")


# What is refused


def test_refusal_is_seen_and_read_out_and_is_no_lost_connection(
    page: Page, idle: Servers, complaints: list[str]
) -> None:
    send(page, idle, "a.jpg")
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
    send(page, idle, "a.jpg")
    page.route("**/cancel", refuse)
    page.get_by_role("button", name="Cancel a.jpg").click()
    expect(page.locator(NOTICE)).to_have_text(WORDS)
    page.locator("h1").click()
    expect(page.locator(NOTICE)).to_have_count(0)
    complaints.clear()


def test_refusal_goes_after_some_seconds(page: Page, idle: Servers, complaints: list[str]) -> None:
    page.clock.install()
    send(page, idle, "a.jpg")
    page.route("**/cancel", refuse)
    page.get_by_role("button", name="Cancel a.jpg").click()
    expect(page.locator(NOTICE)).to_have_text(WORDS)
    page.clock.run_for(9000)
    expect(page.locator(NOTICE)).to_have_count(0)
    complaints.clear()


def test_refusal_is_read_out_as_often_as_it_comes(
    page: Page, idle: Servers, complaints: list[str]
) -> None:
    send(page, idle, "a.jpg")
    page.evaluate(LISTEN)
    page.route("**/cancel", refuse)
    for count in (1, 2):
        with page.expect_response("**/cancel"):
            page.get_by_role("button", name="Cancel a.jpg").click()
        wait_until(lambda: page.evaluate("said").count(WORDS) == count, what="words")  # noqa: B023
    complaints.clear()


# What is on its way meanwhile


def test_new_time_is_told_while_an_older_answer_is_on_its_way(page: Page, idle: Servers) -> None:
    send(page, idle, "a.jpg")
    kept = page.locator("#job-panel time")
    before = kept.get_attribute("datetime") or ""
    page.get_by_label("Keep for how long from now").select_option("168")
    wait_for(page, hold(page, "**/panel?*"))
    page.get_by_role("button", name="Keep for").click()
    expect(page.get_by_role("status")).to_contain_text("Kept until")
    after = kept.get_attribute("datetime") or ""
    assert (datetime.fromisoformat(after) - datetime.fromisoformat(before)).days == 6
    expect(page.get_by_role("status")).to_have_text(f"Kept until {kept.text_content()}")


def test_retry_while_the_last_answer_is_on_its_way_is_followed_to_its_end(
    page: Page, idle: Servers
) -> None:
    send(page, idle, "a.jpg", "b.jpg")
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
    idle.start_one("consumer")
    expect(page.locator("h1")).to_have_text("1 of 2 images done, 1 cancelled", timeout=30_000)
