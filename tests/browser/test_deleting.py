"""Deleting jobs, and undoing it within a minute."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.jobs import PHOTO, create_job, make_job, open_waiting, work_on
from tests.browser.measures import LISTEN, NOTICE, draw
from tests.browser.routes import WORDS, hold, refuse, wait_for
from tests.support.images import make_truncated
from tests.support.servers import Servers

pytestmark = pytest.mark.browser


def list_jobs(page: Page, servers: Servers, count: int = 1) -> None:
    """Make jobs, and open the list of them with a clock that can be put forward."""
    for _ in range(count):
        make_job(page, servers, {"a.jpg": PHOTO})
    page.clock.install()
    page.goto("/jobs")
    expect(page.locator(".job-row")).to_have_count(count)


def delete(page: Page, position: int = 0) -> None:
    page.locator(".job-row").nth(position).get_by_role("button", name="Delete").click()


def test_deleted_row_becomes_a_line_with_the_focus_on_undo(page: Page, servers: Servers) -> None:
    list_jobs(page, servers, 2)
    page.evaluate(LISTEN)
    page.locator(".job-row").nth(1).get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".undo")).to_have_text(re.compile("a.jpg is deleted."))
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("a.jpg is deleted.")
    page.keyboard.press("Enter")
    expect(page.locator(".job-row")).to_have_count(2)
    expect(page.locator(".job-row").nth(1).locator("h2 a")).to_be_focused()
    assert page.evaluate("said") == ["a.jpg is deleted.", "a.jpg is restored."]
    page.reload()
    expect(page.locator(".job-row")).to_have_count(2)


def test_refused_delete_keeps_the_row_and_gives_the_reason(
    page: Page, servers: Servers, complaints: list[str]
) -> None:
    list_jobs(page, servers)
    page.route("**/delete*", refuse)
    delete(page)
    expect(page.locator(NOTICE)).to_have_text(WORDS)
    expect(page.get_by_role("status")).to_have_text(WORDS)
    expect(page.locator(".job-row")).to_be_visible()
    complaints.clear()


def test_delete_without_connection_keeps_the_row_and_says_so(
    page: Page, servers: Servers, complaints: list[str]
) -> None:
    list_jobs(page, servers)
    page.context.set_offline(True)
    delete(page)
    expect(page.locator(NOTICE)).to_have_text("The server could not be reached. Try again.")
    expect(page.locator(".job-row")).to_be_visible()
    complaints.clear()


def test_two_deletes_can_both_be_undone(page: Page, servers: Servers) -> None:
    list_jobs(page, servers, 2)
    held = hold(page, "**/delete*")
    delete(page, 0)
    first = wait_for(page, held)
    delete(page, 1)
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    first.continue_()
    expect(page.get_by_role("button", name="Undo")).to_have_count(2)
    for left in (1, 0):
        page.get_by_role("button", name="Undo").first.click()
        expect(page.get_by_role("button", name="Undo")).to_have_count(left)
    expect(page.locator(".job-row")).to_have_count(2)


def test_line_of_a_deleted_job_goes_after_a_minute(page: Page, servers: Servers) -> None:
    list_jobs(page, servers)
    delete(page)
    expect(page.locator(".undo")).to_be_visible()
    page.route(
        "**/rows?*", lambda route: route.fulfill(body=removal(page), content_type="text/html")
    )
    page.clock.run_for(62_000)
    expect(page.locator(".undo")).to_have_count(0)
    expect(page.get_by_text("No jobs yet")).to_be_visible()
    expect(page.locator(".jobs")).to_be_hidden()  # Not even its frame.


def removal(page: Page) -> str:
    """Return what the server answers when a minute is over."""
    line = page.locator(".undo").get_attribute("id")
    return f'<hx-partial hx-target="#{line}" hx-swap="delete"></hx-partial>'


def test_undo_that_is_too_late_says_so(page: Page, servers: Servers, complaints: list[str]) -> None:
    list_jobs(page, servers)
    delete(page)
    page.route("**/restore*", lambda route: route.fulfill(status=410, json={"detail": "Gone."}))
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(NOTICE)).to_have_text("Gone.")
    complaints.clear()


def test_deleted_row_does_not_return_with_a_late_poll(page: Page, idle: Servers) -> None:
    create_job(page, idle, {"a.jpg": PHOTO})
    page.goto(f"{idle.url}/jobs")
    poll = wait_for(page, hold(page, "**/rows?*"))
    delete(page)
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    with page.expect_response("**/rows?*") as answer:
        poll.continue_()
    answer.value.finished()
    draw(page)
    expect(page.locator(".job-row")).to_have_count(0)
    expect(page.get_by_role("button", name="Undo")).to_be_focused()


def test_row_that_is_restored_goes_on(page: Page, idle: Servers) -> None:
    create_job(page, idle, {"a.jpg": PHOTO})
    page.goto(f"{idle.url}/jobs")
    delete(page)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".job-row")).to_contain_text("0 of 1 photo done")
    work_on(idle)
    expect(page.locator(".job-row .facts li").first).to_have_text("1 photo")


def test_deleted_job_is_restored_from_the_list_that_is_opened_next(
    page: Page, servers: Servers
) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("link", name="My jobs").first.click()
    page.get_by_role("button", name="Undo").click()
    page.locator(".job-row h2 a").click()
    expect(page.locator(".frame")).to_have_count(1)


def test_deleted_job_offers_to_undo_where_its_page_was(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("This job is deleted")
    expect(page.locator(".frame")).to_have_count(0)
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("This job is deleted")
    assert page.request.get(page.url).status == 410
    page.keyboard.press("Enter")
    expect(page.locator(".frame")).to_have_count(1)


def test_nothing_of_a_deleted_job_is_left_or_returns_twice(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    parts = page.locator("main .curl, main .webhook, main .frames, main .tools")
    expect(parts).to_have_count(3)
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("h1")).to_have_text("This job is deleted")
    expect(parts).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(parts).to_have_count(3)


def test_deleted_job_does_not_return_with_a_late_poll(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg")
    poll = wait_for(page, hold(page, "**/panel?*"))
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    poll.continue_()
    draw(page)
    expect(page.locator("h1")).to_have_text("This job is deleted")
    expect(page.get_by_role("button", name="Undo")).to_be_focused()


def test_other_tab_shows_that_the_job_was_deleted(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": make_truncated()}))
    other = page.context.new_page()
    other.goto(page.url)
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("h1")).to_have_text("This job is deleted")
    other.get_by_role("button", name="More").click()
    other.get_by_role("button", name="Keep longer").click()
    expect(other.locator("h1")).to_have_text("This job is deleted")


def test_second_tap_on_keep_longer_hits_nothing(page: Page, servers: Servers) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    address = page.url
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Keep longer").dblclick()
    expect(page.locator(NOTICE)).to_have_text("This job has 7 days left.")
    expect(page.get_by_role("button", name="Delete this job")).to_be_hidden()
    expect(page.locator(".frame")).to_have_count(1)
    assert page.url == address


def test_click_beside_an_open_menu_only_closes_it(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    address = page.url
    menu, photo = page.locator("#more"), page.locator("a.shot").bounding_box()
    assert photo
    page.get_by_role("button", name="More").click()
    expect(menu).to_be_visible()
    page.mouse.click(photo["x"] + 10, photo["y"] + photo["height"] - 10)
    expect(menu).to_be_hidden()
    draw(page)
    assert page.url == address


def test_job_is_named_on_the_list(page: Page, servers: Servers) -> None:
    list_jobs(page, servers)
    page.get_by_role("button", name="Rename a.jpg").click()
    field = page.get_by_label("Name of this job")
    expect(field).to_be_focused()
    field.fill("Spring menu")
    page.keyboard.press("Enter")
    expect(page.locator("h2")).to_have_text("Spring menu")
    expect(field).to_be_hidden()
    expect(page.get_by_role("link", name="Spring menu", exact=True)).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("The name is now Spring menu.")


def test_poll_leaves_a_name_that_is_typed(page: Page, idle: Servers) -> None:
    create_job(page, idle, {"a.jpg": PHOTO})
    page.goto(f"{idle.url}/jobs")
    page.get_by_role("button", name="Rename a.jpg").click()
    page.keyboard.type("Spring")
    work_on(idle)
    with page.expect_response(lambda answer: "/rows?" in answer.url and answer.status == 200):
        page.keyboard.type(" m")
    draw(page)
    page.keyboard.type("enu")
    expect(page.get_by_label("Name of this job")).to_have_value("Spring menu")
    page.keyboard.press("Enter")
    expect(page.locator("h2")).to_have_text("Spring menu")
    expect(page.locator(".job-row .facts li").first).to_have_text("1 photo")
