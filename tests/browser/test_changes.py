"""Changing a job from its page: refusals, and answers that come late."""

from datetime import datetime

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import choose_preset, expect_done, expect_finished
from tests.browser.jobs import (
    PHOTO,
    create_job,
    make_job,
    open_waiting,
    run_out_of_time,
    work_on,
)
from tests.browser.measures import LISTEN, NOTICE, draw
from tests.browser.routes import WORDS, hold, refuse, wait_for
from tests.support.images import make_truncated
from tests.support.servers import Servers, wait_until

pytestmark = pytest.mark.browser


def change_sizes(page: Page) -> None:
    """Open the page that changes the sizes of a job."""
    page.get_by_role("button", name="More").click()
    page.get_by_role("link", name="Change sizes").click()


WAITING = "SELECT 1 FROM images WHERE status = 'waiting'"


def test_refusal_is_shown_and_announced(page: Page, idle: Servers, complaints: list[str]) -> None:
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


def test_refusal_disappears_with_the_next_click(
    page: Page, idle: Servers, complaints: list[str]
) -> None:
    open_waiting(page, idle, "a.jpg")
    page.route("**/cancel", refuse)
    page.get_by_role("button", name="Cancel a.jpg").click()
    expect(page.locator(NOTICE)).to_have_text(WORDS)
    page.locator("h1").click()
    expect(page.locator(NOTICE)).to_have_count(0)
    complaints.clear()


def test_refusal_disappears_after_some_seconds(
    page: Page, idle: Servers, complaints: list[str]
) -> None:
    page.clock.install()
    open_waiting(page, idle, "a.jpg")
    page.route("**/cancel", refuse)
    page.get_by_role("button", name="Cancel a.jpg").click()
    expect(page.locator(NOTICE)).to_have_text(WORDS)
    page.clock.run_for(9000)
    expect(page.locator(NOTICE)).to_have_count(0)
    complaints.clear()


def test_each_refusal_is_announced(page: Page, idle: Servers, complaints: list[str]) -> None:
    open_waiting(page, idle, "a.jpg")
    page.evaluate(LISTEN)
    page.route("**/cancel", refuse)
    for count in (1, 2):
        with page.expect_response("**/cancel"):
            page.get_by_role("button", name="Cancel a.jpg").click()
        wait_until(lambda: page.evaluate("said").count(WORDS) == count, what="words")  # noqa: B023
    complaints.clear()


def test_button_pressed_during_a_poll_works(page: Page, idle: Servers) -> None:
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


def test_new_expiry_is_announced_despite_a_late_poll(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg")
    kept = page.locator("#job-panel time")
    before = kept.get_attribute("datetime") or ""
    page.get_by_role("button", name="More").click()
    page.get_by_label("Keep this job").select_option("168")
    wait_for(page, hold(page, "**/panel?*"))
    page.get_by_role("button", name="Keep longer").click()
    expect(page.get_by_role("status")).to_contain_text("This job has")
    after = kept.get_attribute("datetime") or ""
    assert (datetime.fromisoformat(after) - datetime.fromisoformat(before)).days == 6


def test_retry_during_a_late_poll_is_followed_to_its_end(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg", "b.jpg")
    page.get_by_role("button", name="Cancel a.jpg").click()
    expect(page.get_by_role("button", name="Retry a.jpg")).to_be_visible()
    poll = wait_for(page, hold(page, "**/panel?*"))
    with page.context.expect_page() as other:
        page.evaluate("open(location.href), null")
    other.value.get_by_role("button", name="Cancel b.jpg").click()
    expect(other.value.locator("h1")).to_have_text("0 of 2 done · 2 cancelled")
    last = poll.fetch()
    with page.expect_request("**/retry"):
        page.get_by_role("button", name="Retry a.jpg").click()
    wait_until(lambda: idle.rows(WAITING), what="a retried image")
    draw(page)
    poll.fulfill(response=last)
    work_on(idle)
    expect_done(page, "1 of 2 done · 1 cancelled")


def test_waiting_images_are_cancelled_one_or_all_by_keyboard(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg", "b.jpg", "c.jpg")
    page.get_by_role("button", name="Cancel b.jpg").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".frame.cancelled .frame-name")).to_have_text(["b.jpg"])
    expect(page.locator(".frame.cancelled")).to_be_focused()
    page.get_by_role("button", name="Cancel all waiting").focus()
    page.keyboard.press("Enter")
    expect_finished(page, "0 of 3 done · 3 cancelled")
    expect(page.locator("h1")).to_be_focused()


def test_failed_images_are_retried_one_or_all(page: Page, idle: Servers) -> None:
    url = create_job(page, idle, dict.fromkeys(("a.jpg", "b.jpg", "c.jpg"), PHOTO))
    run_out_of_time(idle, 2)
    work_on(idle)
    page.goto(url)
    for button, still_failed, images in (
        ("Retry a.jpg", "1 of 3 done · 1 failed", 1),
        ("Retry all failed", "1 of 3 done", 2),
    ):
        page.get_by_role("button", name=button).click()
        expect(page.locator("h1")).to_have_text(still_failed)
        run_out_of_time(idle, images)
        expect_finished(page, "1 of 3 done · 2 failed")


def test_damaged_photo_says_what_to_do_and_has_no_retry(page: Page, servers: Servers) -> None:
    files = {"cut.jpg": make_truncated(), "a.jpg": PHOTO}
    page.goto(make_job(page, servers, files))
    words = (
        "cut.jpg failed. This image is incomplete: its end was cut off. Copy or export it again."
    )
    expect(page.locator("#attention .wide-only").last).to_have_text(words)
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)


def test_job_is_renamed_without_leaving_the_page(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    page.get_by_role("button", name="Rename this job").click()
    expect(page.get_by_label("Name of this job")).to_be_focused()
    tools = page.locator(".tools")
    place = tools.bounding_box()
    page.get_by_label("Name of this job").fill("Spring menu")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Rename this job")).to_be_focused()
    expect(page.locator(".job-name")).to_have_text("Spring menu")
    assert tools.bounding_box() == place
    expect(page).to_have_title("1 of 1 done · Spring menu · Thumbnails")
    expect(page.get_by_role("status")).to_have_text("The name is now Spring menu.")


def test_size_is_enlarged_from_its_row(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}, "social"))
    page.locator(".files summary").click()
    page.get_by_role("button", name="Enlarge").click()
    expect(page.locator(".thumbnails")).to_contain_text("1200 × 630", timeout=20_000)
    expect(page.get_by_role("button", name="Enlarge")).to_have_count(0)


def test_job_is_remade_with_another_recipe(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    change_sizes(page)
    expect(page.locator("[name=presets][value=square]")).to_be_checked()
    choose_preset(page, "none of them")
    page.get_by_text("Add a size of your own").click()
    page.get_by_label("Width, px").first.fill("64")
    page.get_by_role("button", name="Change sizes").click()
    sizes = page.locator(".thumbnails li")
    expect(sizes).to_contain_text(["64 × 45"], timeout=20_000)
    expect(sizes).to_contain_text(["WebP"])
    expect_finished(page, "1 of 1 done")


def test_old_thumbnails_are_marked_until_new_ones_are_done(page: Page, idle: Servers) -> None:
    url = create_job(page, idle, {"a.jpg": PHOTO})
    work_on(idle)
    page.goto(url)
    change_sizes(page)
    choose_preset(page, "card")
    page.get_by_role("button", name="Change sizes").click()
    expect(page.locator(".ribbon")).to_have_text("previous result")
    expect(page.locator(".thumbnails")).to_contain_text("100 × 100")
    work_on(idle)
    expect(page.locator(".thumbnails")).to_contain_text("640 × 360")
    expect(page.locator(".ribbon")).to_have_count(0)


def test_job_is_extended_without_leaving_the_page(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    kept = page.locator("#job-panel time")
    before = kept.text_content()
    page.get_by_role("button", name="More").click()
    choices = page.get_by_label("Keep this job")
    expect(choices.locator("option")).to_have_text(["for 3 days", "for 7 days"])
    choices.select_option("72")
    page.get_by_role("button", name="Keep longer").click()
    expect(choices).to_be_hidden()
    expect(kept).not_to_have_text(before or "")
    expect(page.get_by_role("status")).to_contain_text("This job has")
    page.get_by_role("button", name="More").click()
    expect(choices.locator("option")).to_have_text(["for 7 days"])  # Nothing that changes nothing.
    page.get_by_role("button", name="Keep longer").click()
    expect(page.get_by_role("button", name="More")).to_be_focused()
    page.get_by_role("button", name="More").click()
    expect(page.get_by_text("This job is kept as long as this server allows")).to_be_visible()
