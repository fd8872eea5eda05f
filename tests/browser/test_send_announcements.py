"""Sending files: what the page shows and announces meanwhile."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import IN_PART, LARGE, drop, expect_done, submit
from tests.browser.lines import Line, line_to
from tests.browser.measures import WATCH_SHIFTS, check, layout_shift, shifts, watch
from tests.support.images import make_image, make_jpeg
from tests.support.servers import Servers

pytestmark = pytest.mark.browser


def test_progress_is_shown_by_file_and_in_all(page: Page, line: Line) -> None:
    page.goto(line.url)
    drop(page, {f"{n}.bmp": LARGE for n in range(4)})
    watch(page, "document.querySelectorAll('.shot progress:not([hidden])').length", "sending")
    watch(page, "document.querySelector('.shot progress')?.value ?? 0", "parts")
    watch(page, "document.getElementById('upload-progress').value", "all")
    watch(page, "document.title", "titles")
    line.hold(part=0)
    submit(page)
    for part in (0.2, 0.4, 0.6, 0.8):
        line.hold(part=part)
        page.wait_for_function(
            """(part) => [...document.querySelectorAll(".shot progress:not([hidden])")]
                .filter(({ value }) => value >= part).length === 2""",
            arg=part,
        )
    line.hold(after=2)
    expect(page.locator(".frame").nth(2).locator(".ribbon")).to_contain_text(IN_PART)
    line.release()
    expect_done(page, "4 of 4 done")
    seen = page.evaluate("seen")
    assert max(seen["sending"]) == 2
    assert any(0 < part < 1 for part in seen["parts"])
    assert len({part for part in seen["all"] if 0 < part < 1}) >= 4
    assert seen["all"] == sorted(seen["all"])
    percents = [
        int(found[1]) for t in seen["titles"] if (found := re.match(r"(\d+) % uploaded", t))
    ]
    assert percents == sorted(percents)
    assert len(percents) >= 4


@pytest.mark.parametrize("width", [390, 1360])
def test_nothing_shifts_while_files_are_sent_and_thumbnails_appear(
    page: Page, servers: Servers, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.add_init_script(WATCH_SHIFTS)
    picture = make_image("RGB", (360, 280), "BMP")
    stops = (0, 4, 8)
    with line_to(servers.url) as line:
        page.goto(f"{line.url}/?preset=web-set")
        drop(page, {f"{n:02}.bmp": LARGE if n in stops else picture for n in range(12)})
        expect(page.locator(".contact")).to_have_count(12)
        page.locator("#submit").scroll_into_view_if_needed()
        shifts(page)
        page.evaluate("shifts.length = 0")  # From here on, the user does nothing.
        line.hold()
        submit(page)
        # What shifts within half a second of a click does not count.
        page.wait_for_function(
            "(clicked) => performance.now() > clicked + 500", arg=page.evaluate("performance.now()")
        )
        # One after the other: an image that overtakes another is moved by it.
        for count in range(12):
            line.hold(after=count)
            page.wait_for_function(
                "(sent) => document.getElementById('sending-facts')?.textContent === sent",
                arg=f"{count} of 12 photos uploaded",
            )
            if count in stops:
                expect(page.locator(".frame").nth(count).locator(".ribbon")).to_contain_text(
                    IN_PART
                )
        line.release()
        expect_done(page, "12 of 12 done")
        expect(page.locator("#sending")).to_be_hidden()
        assert layout_shift(page) < 0.01, shifts(page)


def test_focus_on_a_frame_that_is_sent_moves_to_the_heading(page: Page, line: Line) -> None:
    page.goto(line.url)
    drop(page, {f"{n}.bmp": LARGE for n in range(3)})
    line.hold()
    submit(page)
    button = page.get_by_role("button", name="Cancel 0.bmp")
    button.focus()
    expect(button).to_be_focused()
    line.hold(after=1)
    expect(page.locator("h1")).to_be_focused()


def test_photos_are_seen_from_choosing_to_their_thumbnails(page: Page, line: Line) -> None:
    page.goto(f"{line.url}/?preset=square")
    drop(page, {f"{n}.bmp": LARGE for n in range(3)})
    expect(page.locator(".contact img")).to_have_count(3)
    page.evaluate(
        """() => {
            window.painted = [];
            const note = () => {
                painted.push(document.querySelectorAll(".contact img, .shot img").length);
                requestAnimationFrame(note);
            };
            note();
        }"""
    )
    watch(page, "document.querySelectorAll('.frame').length", "frames")
    line.hold(after=1)
    submit(page)
    expect(page.locator(".frame.done")).to_have_count(1)
    expect(page.locator(".frame .preview")).to_have_count(2)
    check(page)
    line.release()
    expect_done(page, "3 of 3 done")
    expect(page.locator(".preview")).to_have_count(0)
    assert min(page.evaluate("painted")) == 3
    assert set(page.evaluate("seen.frames")) <= {0, 3}


def test_job_without_any_file_shows_that_nothing_was_uploaded(page: Page, line: Line) -> None:
    page.goto(line.url)
    drop(page, {"1.bmp": LARGE, "2.bmp": LARGE})
    line.hold()
    submit(page)
    expect(page.locator(".tools").first).to_be_visible()
    for name in ("1.bmp", "2.bmp"):
        page.get_by_role("button", name=f"Cancel {name}").click()
    heading = page.get_by_role("heading", name="Nothing was uploaded")
    expect(heading).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("Nothing was uploaded")
    expect(page.locator(".tools, .frames")).to_have_count(0)


def test_upload_is_announced_in_quarters(page: Page, line: Line) -> None:
    page.goto(f"{line.url}/?preset=square")
    drop(page, {f"{n}.jpg": make_jpeg() for n in range(6)})
    expect(page.locator(".contact")).to_have_count(6)
    watch(page, "document.getElementById('status').textContent", "said")
    line.hold()
    submit(page)
    for count in range(6):
        line.hold(after=count)
        expect(page.locator("#sending-facts")).to_have_text(f"{count} of 6 photos uploaded")
    line.release()
    expect_done(page, "6 of 6 done")
    said = [
        words for words in page.evaluate("seen.said") if re.fullmatch(r"\d of .* uploaded", words)
    ]
    assert said == [f"{count} of 6 photos uploaded" for count in (2, 3, 5)]


def test_lost_connection_is_announced_once(page: Page, line: Line, complaints: list[str]) -> None:
    page.goto(f"{line.url}/?preset=square")
    drop(page, {f"{n}.bmp": LARGE for n in range(4)})
    line.hold()
    submit(page)
    expect(page.locator(".frame.sending .ribbon").first).to_contain_text(IN_PART)
    way = re.compile(r"/jobs/[0-9a-f-]{36}(/images)?$")
    page.route(way, lambda route: route.abort())
    line.release()
    expect(page.locator("#sending-pause")).to_contain_text("Connection lost.")
    # At once, for the next poll gets through.
    bars = page.evaluate(
        """() => {
            for (const n of [1, 2, 3]) dispatchEvent(new Event("offline"));
            return document.querySelectorAll(".bar:not([hidden])").length;
        }"""
    )
    assert bars == 0
    page.unroute(way)
    expect_done(page, "4 of 4 done")
    complaints.clear()
