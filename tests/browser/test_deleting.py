"""Deleting jobs, with the time to undo it."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.jobs import PHOTO, create_job, make_job, open_waiting, work_on
from tests.browser.measures import NOTICE, draw
from tests.browser.routes import WORDS, hold, refuse, wait_for
from tests.support.images import make_truncated
from tests.support.servers import Servers, wait_until

pytestmark = pytest.mark.browser


def list_jobs(page: Page, servers: Servers, count: int = 1) -> None:
    """Make jobs, and open the list of them with a clock that can be put forward."""
    for _ in range(count):
        create_job(page, servers, {"a.jpg": PHOTO})
    page.clock.install()
    page.goto("/jobs")
    expect(page.locator(".row")).to_have_count(count)


def delete(page: Page, position: int = 0) -> None:
    page.locator(".row").nth(position).get_by_role("link", name="Delete").click()


def test_refused_delete_shows_the_job_again_with_a_reason(
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


def test_delete_without_connection_shows_the_job_again(
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


def test_job_already_deleted_counts_as_deleted(
    page: Page, servers: Servers, complaints: list[str]
) -> None:
    list_jobs(page, servers)
    delete(page)
    page.route("**/delete", lambda route: route.fulfill(status=404, json={"detail": "Gone."}))
    page.clock.run_for(9000)
    expect(page.locator(".row")).to_have_count(0)
    complaints.clear()


def test_final_delete_keeps_the_undo_of_another(page: Page, servers: Servers) -> None:
    list_jobs(page, servers, 2)
    held = hold(page, "**/delete")
    delete(page, 0)
    delete(page, 1)
    wait_for(page, held).continue_()
    expect(page.locator(".row")).to_have_count(1)
    expect(page.get_by_role("button", name="Undo")).to_be_focused()


def test_final_delete_leaves_the_focus_elsewhere(page: Page, servers: Servers) -> None:
    list_jobs(page, servers)
    delete(page)
    link = page.get_by_role("link", name="API")
    link.focus()
    page.clock.run_for(9000)
    expect(page.locator(".row")).to_have_count(0)
    expect(link).to_be_focused()


def test_final_delete_moves_its_focus_to_the_heading(page: Page, servers: Servers) -> None:
    list_jobs(page, servers)
    delete(page)
    page.clock.run_for(9000)
    expect(page.locator(".row")).to_have_count(0)
    expect(page.locator("h1")).to_be_focused()


def test_list_without_jobs_shows_at_once_that_it_is_empty(page: Page, servers: Servers) -> None:
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


def test_deleted_job_does_not_return_with_a_late_poll(page: Page, idle: Servers) -> None:
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


def test_deleted_row_does_not_return_with_a_late_poll(page: Page, idle: Servers) -> None:
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
    expect(page.locator(".row-state")).to_contain_text("1 of 1 image done")


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


@pytest.mark.parametrize("next_page", ["the job", "the list"])
def test_leaving_the_page_completes_a_delete(page: Page, servers: Servers, next_page: str) -> None:
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


def test_delete_can_be_undone(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    page.get_by_role("link", name="Delete").click()
    expect(page.locator(".frame")).to_be_hidden()
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".frame")).to_be_visible()
    expect(page.get_by_role("link", name="Delete")).to_be_focused()
    page.reload()
    expect(page.locator(".frame")).to_have_count(1)


def test_delete_is_final_after_some_seconds(page: Page, servers: Servers) -> None:
    page.clock.install()
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    page.get_by_role("button", name="Keep for").click()
    expect(page.get_by_role("status")).to_contain_text("Kept until")
    page.get_by_role("link", name="Delete").click()
    page.clock.run_for(9000)
    expect(page.locator("h1")).to_have_text("This job is gone")
    assert page.request.get(page.url).status == 404
    page.goto("/")
    expect(page.locator(".messages")).to_have_count(0)  # It was all said where it was done.


def test_no_message_follows_a_delete_to_the_next_page(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    address = page.url
    page.get_by_role("link", name="Delete").click()
    page.goto("/")
    wait_until(lambda: page.request.get(address).status == 404, what="a deleted job")
    page.reload()
    expect(page.locator(".messages")).to_have_count(0)


def test_job_is_deleted_from_the_list_of_jobs(
    page: Page, servers: Servers, complaints: list[str]
) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    job = page.url
    page.goto("/jobs")
    row = page.locator(f"#job-{job.rpartition('/')[2]}")
    row.get_by_role("link", name="Delete").click()
    expect(row).to_be_hidden()
    page.reload()  # This sends the request.
    wait_until(lambda: page.request.get(job).status == 404, what="a deleted job")
    page.reload()
    expect(row).to_have_count(0)
    complaints.clear()  # The page that came before the server heard of it deletes it once more.


def test_other_tab_shows_that_the_job_was_deleted(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": make_truncated()}))
    other = page.context.new_page()
    other.goto(page.url)
    page.get_by_role("link", name="Delete").click()
    page.goto("/")
    wait_until(lambda: page.request.get(other.url).status == 404, what="a deleted job")
    other.get_by_role("button", name="Retry all failed").click()
    expect(other.locator("h1")).to_have_text("This job is gone")
