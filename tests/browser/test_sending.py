"""Sending files: what is sent, when, and how a job ends."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.actions import (
    IN_PART,
    LARGE,
    choose_preset,
    drop,
    drop_from_disk,
    expect_done,
    expect_finished,
    gather,
    make,
    make_button,
    submit,
    write_files,
)
from tests.browser.lines import Line, line_to
from tests.browser.measures import WATCH_SHIFTS, draw, layout_shift, longest_task, shifts, watch
from tests.browser.routes import route_once
from tests.support.images import make_jpeg
from tests.support.servers import Servers

pytestmark = pytest.mark.browser


def test_thumbnails_appear_while_later_files_are_uploaded(page: Page, line: Line) -> None:
    page.goto(f"{line.url}/?preset=square")
    line.hold(after=1)
    drop(page, {"small.jpg": make_jpeg(), "1.bmp": LARGE, "2.bmp": LARGE, "3.bmp": LARGE})
    make_button(page).click()
    expect(page.locator(".frame.done")).not_to_have_count(0)
    expect(page.locator(".shot progress:visible").first).to_be_visible()
    expect(page).to_have_title(re.compile("% uploaded"))
    line.release()
    expect_done(page, "4 of 4 done")


@pytest.mark.parametrize("address", ["**/jobs/open", "**/jobs/*/images"])
def test_page_waits_as_long_as_the_server_asks(
    page: Page, complaints: list[str], address: str
) -> None:
    answers = [429, 503]

    def refuse(route: Route) -> None:
        if not answers:
            route.continue_()
            return
        problem = '{"code": "x", "detail": "There is room again in 1 second.", "field": null}'
        route.fulfill(status=answers.pop(0), headers={"Retry-After": "1"}, body=problem)

    page.route(address, refuse)
    page.goto("/?preset=square")
    drop(page, {"a.jpg": make_jpeg(), "b.jpg": make_jpeg()})
    make_button(page).click()
    said = page.locator("#sending-pause:visible, #waiting-words:visible")
    expect(said).to_contain_text("There is room again in 1 second. Retrying automatically at ")
    expect_done(page, "2 of 2 done")
    expect(said).to_have_count(0)
    complaints.clear()  # Chromium reports every refusal.


def test_cancelled_file_is_not_sent_and_the_others_are(page: Page) -> None:
    page.goto("/?preset=square")
    drop(page, {"a.jpg": make_jpeg(), "b.jpg": make_jpeg()})
    page.get_by_role("button", name="Remove a.jpg").click()
    make(page)
    expect(page.locator(".frame-name")).to_have_text(["b.jpg"])


def test_card_that_comes_before_the_answer_to_its_upload_replaces_the_frame(
    page: Page, idle: Servers
) -> None:
    with line_to(idle.url) as line:
        page.goto(f"{line.url}/?preset=square")
        drop(page, {f"{n}.jpg": make_jpeg() for n in range(4)})
        line.hold()
        submit(page)
        expect(page.locator("#frames > .frame")).to_have_count(4)
        page.evaluate(
            """() => {
                window.painted = new Set();
                const note = () => {
                    painted.add(document.querySelectorAll("#frames > .frame").length);
                    requestAnimationFrame(note);
                };
                note();
            }"""
        )
        line.stops = re.compile(rb"(?=HTTP/1\.1 201)")  # The answers to two uploads.
        line.pause = 3
        line.release()
        expect(page.locator("#frames > .frame.waiting")).to_have_count(2)
        assert line.pauses == 2
        assert page.evaluate("[...painted]") == [4]


def test_file_is_cancelled_while_it_is_sent(page: Page, line: Line) -> None:
    page.goto(f"{line.url}/?preset=square")
    drop(page, {"1.bmp": LARGE, "2.bmp": LARGE, "3.jpg": make_jpeg()})
    line.hold()
    submit(page)
    expect(page.locator(".frame.sending .ribbon").first).to_contain_text(IN_PART)
    page.get_by_role("button", name="Cancel 1.bmp").click()
    line.release()
    expect_done(page, "2 of 2 done")
    expect(page.locator(".frame-name")).to_have_text(["2.bmp", "3.jpg"])


def test_five_hundred_files_leave_the_page_responsive(
    browser: Browser, servers: Servers, tmp_path: Path
) -> None:
    context = browser.new_context(base_url=servers.url)
    page = context.new_page()
    page.add_init_script(WATCH_SHIFTS)
    page.goto("/?preset=square")
    folder = tmp_path / "photos"
    folder.mkdir()
    write_files(folder, {f"{n:03}.jpg": make_jpeg() for n in range(500)})
    with longest_task(browser, page) as while_choosing:
        drop_from_disk(page, [str(folder)], page.locator(".zone"))
        expect(page.locator(".contact")).to_have_count(500)
        draw(page)
    page.locator("#submit").click()  # To look for a name among 500 rows takes its time.
    # What the click itself moves does not count, however long that takes.
    page.wait_for_function("() => document.getElementById('sending-facts')?.textContent")
    shifts(page)
    page.evaluate("shifts.length = 0")
    # Each look of `expect` would read all of the page, for half a second.
    page.wait_for_function(
        "() => /^4\\d\\d of/.test(document.getElementById('sending-facts')?.textContent)",
        timeout=240_000,
    )
    with longest_task(browser, page) as with_most_images:  # All of it would be 100 MB of events.
        page.wait_for_function(
            "() => document.querySelector('#job-panel:not([hx-get]) h1')", timeout=60_000
        )
    # A thread's clock counts more beside busy ones: 171 ms were seen under load.
    assert while_choosing() < 300
    assert with_most_images() < 300
    assert layout_shift(page) < 0.01, shifts(page)
    expect(page.locator("h1")).to_have_text("500 of 500 done")
    context.close()


@pytest.mark.parametrize("way", ["reload", "leave"])
def test_job_closes_with_the_uploaded_files_when_its_page_is_left(
    page: Page, line: Line, way: str
) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{line.url}/?preset=square")
    drop(page, {"small.jpg": make_jpeg(), "1.bmp": LARGE, "2.bmp": LARGE, "3.bmp": LARGE})
    line.hold(after=1)
    submit(page)
    expect(page.locator(".frame.done").first).to_be_visible(timeout=20_000)
    job = page.url
    page.goto(job if way == "reload" else line.url)
    line.release()
    page.goto(job)
    expect_finished(page, "1 of 4 done · 3 skipped")
    expect(page.locator("#skipped li").last).to_contain_text("3.bmp It was not uploaded.")


def test_many_files_with_long_names_are_listed_as_missing(
    page: Page, line: Line, tmp_path: Path
) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{line.url}/?preset=square")
    names = [f"{number} {'n' * 240}.jpg" for number in range(19)]
    drop(page, dict.fromkeys(["small.jpg", *names], make_jpeg()))
    line.hold(after=1)
    page.evaluate(
        """() => {
            const send = navigator.sendBeacon.bind(navigator);
            navigator.sendBeacon = (url, data) => {
                const size = [...data.values()].join("").length;
                return size < 3000 && send(url, data); // As for hundreds of files.
            };
        }"""
    )
    submit(page)
    expect(page.locator(".frame.done").first).to_be_visible(timeout=20_000)
    job = page.url
    page.goto(line.url)
    page.goto(job)
    expect(page.locator("#skipped li").last).to_contain_text("18 nnnn")
    expect(page.locator("h1")).to_contain_text(" skipped")
    again = write_files(tmp_path, dict.fromkeys(names, make_jpeg()))
    line.release()
    page.get_by_label("Add them again").set_input_files(again)
    expect_finished(page, "20 of 20 done")


def send_in_part(page: Page, line: Line) -> None:
    """Begin to send some files."""
    page.goto(f"{line.url}/?preset=square")
    drop(page, {f"{n}.bmp": LARGE for n in range(4)})
    line.hold(after=1)
    submit(page)
    expect(page.locator(".frame").first).to_be_visible(timeout=20_000)
    expect(page.locator(".frame.sending .ribbon").nth(1)).to_contain_text(IN_PART)


def test_staying_after_going_back_keeps_the_job_page(page: Page, line: Line) -> None:
    page.on("dialog", lambda dialog: dialog.dismiss())
    send_in_part(page, line)
    job = page.url
    page.evaluate("history.back()")
    page.wait_for_event("dialog")
    expect(page).to_have_url(job)
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Keep longer").click()
    # The announcement may be followed at once by that of the first photo.
    expect(page.locator("main")).to_contain_text("7 days left")
    line.release()
    expect_done(page, "4 of 4 done")


def test_leaving_after_going_back_shows_the_form(page: Page, line: Line) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    send_in_part(page, line)
    page.go_back()
    expect(page.get_by_label("Choose photos")).to_be_attached()
    expect(page.locator("#submit")).to_be_visible()
    assert page.evaluate("location.pathname") == "/"


def refuse_for(page: Page, seconds: int) -> None:
    """Refuse the next job, for so many seconds."""
    problem = '{"code": "x", "detail": "Your network has made 60 jobs.", "field": null}'
    headers = {"Retry-After": str(seconds)}
    route_once(
        page,
        "**/jobs/open",
        lambda route: route.fulfill(status=429, headers=headers, body=problem),
    )


def test_recipe_changed_while_waiting_is_used(page: Page, complaints: list[str]) -> None:
    gather(page, "a.jpg")
    page.context.set_offline(True)
    make_button(page).click()
    expect(page.locator("#waiting")).to_contain_text("Connection lost.")
    choose_preset(page, "avatar")
    page.context.set_offline(False)
    expect_done(page, "1 of 1 done")
    made = page.locator(".thumbnails a:not(.download)")
    expect(made).to_have_attribute("href", re.compile("avatar.webp$"))
    complaints.clear()


def test_waiting_can_be_stopped_and_the_form_sent_later(page: Page, complaints: list[str]) -> None:
    gather(page, "a.jpg")
    refuse_for(page, 3600)
    make_button(page).click()
    expect(page.locator("#submit")).to_be_disabled()
    page.get_by_role("button", name="Stop waiting").click()
    expect(page.locator("#waiting")).to_be_hidden()
    expect(page.locator("#submit")).to_be_focused()
    submit(page)
    expect_done(page, "1 of 1 done")
    complaints.clear()


def test_page_does_not_upload_after_waiting_was_stopped(page: Page, complaints: list[str]) -> None:
    gather(page, "a.jpg")
    page.clock.install()
    refuse_for(page, 60)
    make_button(page).click()
    page.get_by_role("button", name="Stop waiting").click()
    expect(page.locator("#submit")).to_be_enabled()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    page.clock.fast_forward(120_000)
    page.evaluate("fetch('/healthcheck')")  # Whatever the page asked for came before.
    assert "POST" not in asked
    complaints.clear()


def test_files_added_while_the_job_is_created_are_sent(page: Page) -> None:
    gather(page, "a.jpg")
    held: list[Route] = []
    page.route("**/jobs/open", lambda route: held.append(route))
    with page.expect_request("**/jobs/open"):
        make_button(page).click()
    drop(page, {f"{n}.jpg": make_jpeg() for n in range(5)})
    held[0].continue_()
    expect_done(page, "6 of 6 done")


def test_uploaded_file_cannot_be_cancelled(page: Page, line: Line) -> None:
    page.goto(f"{line.url}/?preset=square")
    drop(page, {f"{n}.bmp": LARGE for n in range(2)})
    frames = (
        "[...document.querySelectorAll('.frame')].filter((one) => /Checking/.test(one.textContent))"
    )
    watch(page, f"{frames}.length", "checked")
    watch(page, f"{frames}.filter((one) => !one.querySelector('.remove').hidden).length", "open")
    line.hold(part=1)
    submit(page)
    expect(page.locator(".frame.sending .ribbon")).to_contain_text(["Checking", "Checking"])
    line.release()
    expect_done(page, "2 of 2 done")
    assert max(page.evaluate("seen.checked")) > 0
    assert max(page.evaluate("seen.open")) == 0
