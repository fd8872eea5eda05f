"""How a job ends whose images did not all arrive, or whose page did not stay."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.test_pages import choose_preset, drop
from tests.browser.test_upload_page import (
    LARGE,
    expect_done,
    send,
    slow_down,
    watch,
)
from tests.images import make_jpeg
from tests.servers import running

pytestmark = pytest.mark.browser


def fail_once(page: Page, status: int) -> None:
    """Let the next image get an answer that is not of our server."""
    page.route("**/images", lambda route: route.fulfill(status=status, body="oops"), times=1)


def gather(page: Page, *names: str) -> None:
    page.goto("/")
    choose_preset(page, "square")
    drop(page, {name: make_jpeg() for name in names})


@pytest.mark.parametrize("status", [429, 500, 502, 507])
def test_job_ends_with_what_arrived_when_one_file_failed(
    page: Page, complaints: list[str], status: int
) -> None:
    gather(page, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    fail_once(page, status)
    send(page)
    expect_done(page, "3 of 3 images done")
    expect(page.locator("h1")).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("3 of 3 images done")
    expect(page.locator("#queue-facts")).to_have_text("3 images sent · 1 not sent")
    complaints.clear()  # Chromium reports every refusal.


def test_file_that_failed_is_sent_to_the_job_that_had_ended(
    page: Page, complaints: list[str]
) -> None:
    gather(page, "a.jpg", "b.jpg")
    fail_once(page, 500)
    send(page)
    expect_done(page, "1 of 1 image done")
    page.get_by_role("button", name="Retry").click()
    expect_done(page, "2 of 2 images done")
    expect(page.locator("#queue")).to_be_hidden()
    complaints.clear()


def test_file_that_failed_says_why_when_its_job_is_gone(page: Page, complaints: list[str]) -> None:
    gather(page, "a.jpg", "b.jpg")
    fail_once(page, 500)
    send(page)
    expect_done(page, "1 of 1 image done")
    job = page.url
    other = page.context.new_page()
    other.goto(f"{job}/delete")
    other.get_by_role("button", name="Delete").click()
    expect(other).not_to_have_url(re.compile("delete"))
    other.close()
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".row-why")).to_contain_text("There is no job at this address.")
    complaints.clear()


@pytest.mark.parametrize("way", ["reload", "leave"])
def test_job_ends_with_what_arrived_when_its_page_is_left(page: Page, way: str) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/")
    choose_preset(page, "square")
    slow_down(page)
    drop(page, {"small.jpg": make_jpeg(), "1.bmp": LARGE, "2.bmp": LARGE, "3.bmp": LARGE})
    send(page)
    expect(page.locator(".frame.done").first).to_be_visible(timeout=20_000)
    job = page.url
    page.goto(job if way == "reload" else "/")
    page.goto(job)
    expect(page.locator("#job-panel:not([hx-get]) h1")).to_have_text(
        re.compile(r"^(\d) of \1 images? done$"), timeout=20_000
    )


def send_slowly(page: Page) -> None:
    """Be in the middle of sending some files."""
    page.goto("/")
    choose_preset(page, "square")
    slow_down(page)
    drop(page, {f"{n}.bmp": LARGE for n in range(4)})
    send(page)
    expect(page.locator(".frame").first).to_be_visible(timeout=20_000)


def test_who_goes_back_while_files_are_sent_and_stays_is_at_the_job(page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.dismiss())
    send_slowly(page)
    job = page.url
    page.evaluate("history.back()")
    page.wait_for_event("dialog")
    expect(page).to_have_url(job)
    page.get_by_role("button", name="Keep for").click()
    expect(page.get_by_role("status")).to_contain_text("Kept until")
    expect_done(page, "4 of 4 images done")


def test_who_goes_back_while_files_are_sent_and_leaves_is_at_the_form(page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    send_slowly(page)
    page.go_back()
    expect(page.get_by_label("choose files")).to_be_attached()
    expect(page.locator("#submit")).to_be_visible()
    assert page.evaluate("location.pathname") == "/"


def test_files_of_a_tab_are_sent_though_another_tab_began_another_session(
    page: Page, complaints: list[str]
) -> None:
    gather(page, "a.jpg")
    page.context.clear_cookies()
    other = page.context.new_page()
    other.goto("/")
    other.close()
    send(page)
    expect_done(page, "1 of 1 image done")
    complaints.clear()  # Chromium reports the 400.


def test_files_are_sent_though_the_operator_changed_the_secret_key(
    page: Page, tmp_path: Path, complaints: list[str]
) -> None:
    with running(tmp_path / "instance") as servers:
        page.goto(servers.url)
        choose_preset(page, "square")
        drop(page, {"a.jpg": make_jpeg()})
        expect(page.locator(".row")).to_have_count(1)
        servers.processes["web"].kill()
        servers.processes["web"].wait()
        (servers.instance / "secret_key").unlink()
        servers.start_one("web")
        send(page)
        expect_done(page, "1 of 1 image done")
    complaints.clear()


def test_token_that_is_never_right_is_asked_for_once(page: Page, complaints: list[str]) -> None:
    gather(page, "a.jpg")
    asked: list[str] = []
    problem = '{"code": "csrf", "detail": "This page was open for too long.", "field": null}'

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=400, body=problem)

    page.route("**/jobs/open", refuse)
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator("#upload-error")).to_have_text("This page was open for too long.")
    assert len(asked) == 2
    complaints.clear()


# Waiting to begin


def refuse_for(page: Page, seconds: int) -> None:
    """Have the server make no job for so many seconds, as it says."""
    problem = '{"code": "x", "detail": "Your address has made 60 jobs.", "field": null}'
    headers = {"Retry-After": str(seconds)}
    page.route(
        "**/jobs/open",
        lambda route: route.fulfill(status=429, headers=headers, body=problem),
        times=1,
    )


def test_recipe_that_is_changed_while_the_page_waits_is_what_is_made(
    page: Page, complaints: list[str]
) -> None:
    gather(page, "a.jpg")
    page.context.set_offline(True)
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator("#waiting")).to_contain_text("The connection is lost.")
    choose_preset(page, "avatar")
    page.context.set_offline(False)
    expect_done(page, "1 of 1 image done")
    made = page.locator(".thumbnails a:not(.download)")
    expect(made).to_have_attribute("href", re.compile("avatar.webp$"))
    complaints.clear()


def test_who_does_not_want_to_wait_can_stop_and_submit_later(
    page: Page, complaints: list[str]
) -> None:
    gather(page, "a.jpg")
    refuse_for(page, 3600)
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator("#submit")).to_be_disabled()
    page.get_by_role("button", name="Stop waiting").click()
    expect(page.locator("#waiting")).to_be_hidden()
    expect(page.locator("#submit")).to_be_focused()
    send(page)
    expect_done(page, "1 of 1 image done")
    complaints.clear()


def test_page_that_stopped_waiting_does_not_begin_by_itself(
    page: Page, complaints: list[str]
) -> None:
    gather(page, "a.jpg")
    page.clock.install()
    refuse_for(page, 60)
    page.get_by_role("button", name="Make thumbnails").click()
    page.get_by_role("button", name="Stop waiting").click()
    expect(page.locator("#submit")).to_be_enabled()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    page.clock.fast_forward(120_000)
    page.evaluate("fetch('/healthcheck')")  # Whatever the page asked for came before.
    assert "POST" not in asked
    complaints.clear()


# Nothing at all


def test_job_of_which_all_was_cancelled_leaves_nothing_to_do_but_to_start_again(
    page: Page,
) -> None:
    page.goto("/")
    slow_down(page)
    drop(page, {"1.bmp": LARGE, "2.bmp": LARGE})
    send(page)
    expect(page.locator(".tools").first).to_be_visible()
    for name in ("1.bmp", "2.bmp"):
        page.get_by_role("button", name=f"Cancel {name}").click()
    heading = page.get_by_role("heading", name="Nothing was sent")
    expect(heading).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("Nothing was sent")
    expect(page.locator(".tools, .frames")).to_have_count(0)


# What is said and shown of many files


def test_quarters_of_what_is_sent_are_said_and_no_more(page: Page) -> None:
    page.goto("/")
    choose_preset(page, "square")
    slow_down(page)
    drop(page, {f"{n}.bmp": LARGE for n in range(6)})
    expect(page.locator(".row")).to_have_count(6)
    watch(page, "document.getElementById('status').textContent", "said")
    send(page)
    expect_done(page, "6 of 6 images done")
    said = [words for words in page.evaluate("seen.said") if re.fullmatch(r"\d of .* sent", words)]
    assert 2 <= len(said) <= 3
    assert said == sorted(said)
    assert set(said) <= {f"{count} of 6 images sent" for count in (2, 3, 4, 5)}


def test_all_files_that_failed_are_sent_again_by_one_button(
    page: Page, complaints: list[str]
) -> None:
    gather(page, "a.jpg", "b.jpg", "c.jpg")
    page.route("**/images", lambda route: route.fulfill(status=500, body="oops"), times=2)
    send(page)
    page.get_by_role("button", name="Send all failed again").click()
    expect_done(page, "3 of 3 images done")
    complaints.clear()


def test_one_file_that_failed_has_the_button_of_its_row_alone(
    page: Page, complaints: list[str]
) -> None:
    gather(page, "a.jpg", "b.jpg")
    fail_once(page, 500)
    send(page)
    expect(page.get_by_role("button", name="Retry")).to_be_visible()
    expect(page.get_by_role("button", name="Send all failed again")).to_be_hidden()
    complaints.clear()


def test_name_that_pretends_to_be_another_is_shown_as_it_is(page: Page) -> None:
    gather(page, "invoice\u202egpj.exe")
    expect(page.locator(".row-name")).to_have_text("invoicegpj.exe")
    expect(page.get_by_role("button", name="Remove invoicegpj.exe", exact=True)).to_be_visible()


def test_name_keeps_the_marks_that_its_script_needs(page: Page) -> None:
    gather(page, "\u0646\u0645\u06cc\u200c\u062f\u0627\u0646\u0645.jpg")
    expect(page.locator(".row-name")).to_have_text(re.compile("\u200c"))


def test_lost_connection_is_said_once_while_there_is_something_to_send(
    page: Page, complaints: list[str]
) -> None:
    page.goto("/")
    choose_preset(page, "square")
    slow_down(page)
    drop(page, {f"{n}.bmp": LARGE for n in range(4)})
    send(page)
    way = re.compile(r"/jobs/[0-9a-f-]{36}(/images)?$")
    page.route(way, lambda route: route.abort())
    expect(page.locator("#queue-pause")).to_contain_text("The connection is lost.", timeout=15_000)
    # At once, for the next poll gets through.
    bars = page.evaluate(
        """() => {
            for (const n of [1, 2, 3]) dispatchEvent(new Event("offline"));
            return document.querySelectorAll(".bar:not([hidden])").length;
        }"""
    )
    assert bars == 0
    page.unroute(way)
    expect_done(page, "4 of 4 images done")
    complaints.clear()


# What goes wrong on the way


def test_files_added_while_the_job_is_made_are_sent_as_well(page: Page) -> None:
    gather(page, "a.jpg")
    held: list[Route] = []
    page.route("**/jobs/open", lambda route: held.append(route))
    with page.expect_request("**/jobs/open"):
        page.get_by_role("button", name="Make thumbnails").click()
    drop(page, {f"{n}.jpg": make_jpeg() for n in range(5)})
    held[0].continue_()
    expect_done(page, "6 of 6 images done")


def test_file_that_cannot_be_read_does_not_keep_others_from_being_taken(page: Page) -> None:
    page.goto("/")
    # No disk of ours refuses to be read: tests run as root.
    page.evaluate(
        """() => {
            DataTransferItem.prototype.webkitGetAsEntry = function () {
                const { name } = this.getAsFile();
                const file = (_, fail) => fail(new DOMException("gone"));
                return name === "gone.jpg" ? { isFile: true, name, file } : this.getAsFile();
            };
        }"""
    )
    drop(page, {"good.jpg": make_jpeg(), "gone.jpg": make_jpeg()})
    expect(page.locator(".row-name")).to_have_text(["good.jpg", "gone.jpg"])
    expect(page.locator(".row-why:visible")).to_have_text(
        "This file can no longer be read. Is it still there?"
    )


def test_file_that_has_gone_whole_cannot_be_cancelled_any_more(page: Page) -> None:
    page.goto("/")
    choose_preset(page, "square")
    slow_down(page)
    drop(page, {f"{n}.bmp": LARGE for n in range(2)})
    rows = (
        "[...document.querySelectorAll('.row')].filter((row) => /checking/.test(row.textContent))"
    )
    shown = "checkVisibility({ visibilityProperty: true })"
    watch(page, f"{rows}.length", "checked")
    watch(page, f"{rows}.filter((row) => row.querySelector('.row-remove').{shown}).length", "open")
    send(page)
    expect_done(page, "2 of 2 images done")
    assert max(page.evaluate("seen.checked")) > 0
    assert max(page.evaluate("seen.open")) == 0


def answer_with_a_page(route: Route) -> None:
    """Answer as a hotel's network does, before one has signed in."""
    route.fulfill(status=200, content_type="text/html", body="<h1>Welcome</h1>")


def test_answer_of_another_server_is_told_in_words(page: Page) -> None:
    gather(page, "a.jpg")
    page.route("**/jobs/open", answer_with_a_page, times=1)
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator("#upload-error")).to_have_text(
        "The answer was not the server's own. Try again."
    )


def test_file_that_another_server_took_is_not_called_sent(page: Page) -> None:
    gather(page, "a.jpg", "b.jpg")
    page.route("**/images", answer_with_a_page, times=1)
    send(page)
    expect(page.locator(".row-why:visible")).to_have_text("The server did not take this (200).")
    expect_done(page, "1 of 1 image done")
    page.get_by_role("button", name="Retry").click()
    expect_done(page, "2 of 2 images done")
