"""What only a browser shows of the upload page: gathering, sending, and what hinders it."""

import base64
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Event, Thread

import pytest
from playwright.sync_api import Browser, CDPSession, Locator, Page, Route, expect

from tests.browser.actions import check, choose_preset, drop, make, natural_sizes, task_milliseconds
from tests.browser.conftest import write_files
from tests.browser.test_everyone import WATCH_SHIFTS, shifts
from tests.images import make_image, make_jpeg, make_png
from tests.servers import running

pytestmark = pytest.mark.browser

LARGE = make_image("RGB", (1000, 800), "BMP")  # 2.4 MB, sent in 1.6 seconds by a slow line.
SLOW = 1_500_000  # Bytes a second.


def slow_down(page: Page) -> CDPSession:
    """Let the page send slowly, so that there is something to see of it."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    set_line(session, is_there=True)
    return session


def set_line(session: CDPSession, *, is_there: bool) -> None:
    """Cut the slow line, with all that is on it, or mend it."""
    line = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": SLOW}
    session.send("Network.emulateNetworkConditions", {"offline": not is_there, **line})


def drag(session: CDPSession, paths: list[str], at: Locator, *events: str) -> None:
    """Drag files of the disk over a place, and do there what is asked."""
    at.scroll_into_view_if_needed()
    box = at.bounding_box()
    assert box
    where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": paths, "dragOperationsMask": 1}
    for event in events:
        session.send("Input.dispatchDragEvent", {"type": event, "data": data, **where})


def drop_from_disk(page: Page, paths: list[str], at: Locator) -> None:
    session = page.context.new_cdp_session(page)
    drag(session, paths, at, "dragEnter", "dragOver", "drop")


def send(page: Page) -> None:
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page).to_have_url(re.compile("/jobs/"))


def expect_done(page: Page, words: str) -> None:
    expect(page.locator("h1")).to_have_text(words, timeout=30_000)


# Gathering


def test_dropped_folder_is_taken_with_all_in_it_in_the_order_of_names(
    page: Page, tmp_path: Path
) -> None:
    inner = tmp_path / "photos" / "inner"
    inner.mkdir(parents=True)
    write_files(inner.parent, {"2.jpg": make_jpeg(), "10.jpg": make_jpeg(), "Thumbs.db": b"x"})
    write_files(inner, {"deep.png": make_png()})
    page.goto("/")
    drop_from_disk(page, [str(inner.parent)], page.locator(".zone"))
    expect(page.locator(".row-name")).to_have_text(["2.jpg", "10.jpg", "deep.png"])


def test_chosen_folder_is_taken_with_all_in_it(page: Page, tmp_path: Path) -> None:
    write_files(tmp_path, {"a.jpg": make_jpeg(), "b.jpg": make_jpeg()})
    page.goto("/")
    page.set_input_files("#folder", tmp_path)
    expect(page.locator(".row")).to_have_count(2)


def test_button_stays_at_hand_beside_many_files(page: Page) -> None:
    page.set_viewport_size({"width": 1360, "height": 900})
    page.goto("/")
    drop(page, {f"{number}.jpg": make_jpeg() for number in range(60)})
    expect(page.locator("#queue .row")).to_have_count(60)
    page.locator("#queue .row").last.scroll_into_view_if_needed()
    expect(page.get_by_role("button", name="Make thumbnails")).to_be_in_viewport()


def test_many_files_do_not_push_the_recipe_far_down_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/")
    drop(page, {f"{number}.jpg": make_jpeg() for number in range(60)})
    expect(page.locator("#queue .row")).to_have_count(60)
    assert page.evaluate("document.documentElement.scrollHeight") < 3 * 800


def test_file_that_misses_the_zone_is_taken_and_leads_nowhere(page: Page, tmp_path: Path) -> None:
    page.goto("/")
    address = page.url
    paths = write_files(tmp_path, {"a.jpg": make_jpeg()})
    drop_from_disk(page, paths, page.locator("footer"))
    expect(page.locator(".row-name")).to_have_text(["a.jpg"])
    assert page.url == address


def test_frame_shows_while_files_are_over_the_window(page: Page, tmp_path: Path) -> None:
    page.goto("/")
    frame = page.locator("#drop-frame")
    expect(frame).to_be_hidden()
    paths = write_files(tmp_path, {"a.jpg": make_jpeg()})
    session = page.context.new_cdp_session(page)
    drag(session, paths, page.locator("footer"), "dragEnter", "dragOver")
    drag(session, paths, page.locator(".zone"), "dragOver")
    expect(frame).to_be_visible()
    # Its protocol has nothing for leaving the window.
    page.evaluate(
        """() => document.body.dispatchEvent(new DragEvent("dragleave",
            { bubbles: true, dataTransfer: new DataTransfer() }))"""
    )
    expect(frame).to_be_hidden()


def test_file_dropped_while_others_are_sent_leads_nowhere(page: Page, tmp_path: Path) -> None:
    page.goto("/")
    slow_down(page)
    drop(page, {"large.bmp": LARGE})
    send(page)
    address = page.url
    paths = write_files(tmp_path, {"late.jpg": make_jpeg()})
    drop_from_disk(page, paths, page.locator("main"))
    expect_done(page, "1 of 1 image done")
    assert page.url == address


def test_samples_can_be_tried(page: Page) -> None:
    page.goto("/")
    choose_preset(page, "square")
    for link in page.locator(".sample").all():
        link.click()
    expect(page.locator(".row")).to_have_count(3)
    make(page)
    expect_done(page, "3 of 3 images done")
    expect(page.locator("#job-panel")).to_contain_text("GPS removed from 1 photo")


def test_chosen_files_become_thumbnails(page: Page, tmp_path: Path) -> None:
    page.goto("/")
    choose_preset(page, "square")
    page.set_input_files("#images", write_files(tmp_path, {"a.jpg": make_jpeg(size=(300, 200))}))
    make(page)
    assert natural_sizes(page) == [[100, 100]]


def test_pasted_picture_is_added_by_its_time(page: Page) -> None:
    page.goto("/")
    page.evaluate(
        """(data) => {
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
            const clipboardData = new DataTransfer();
            clipboardData.items.add(new File([bytes], "image.png", { type: "image/png" }));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
        }""",
        base64.b64encode(make_png()).decode(),
    )
    expect(page.locator(".row-name")).to_contain_text("pasted 20")


def test_files_that_cannot_be_sent_are_named_before_a_byte_is(page: Page) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    page.goto("/")
    drop(
        page,
        {
            "good.jpg": make_jpeg(),
            "notes.jpg": b"only words",
            "empty.png": b"",
            "large.jpg": b"\xff\xd8\xff" + bytes(5_500_000),
            ".DS_Store": b"clutter",
        },
    )
    expect(page.locator(".row-why:visible")).to_have_text(
        [
            "This is text, not an image. Upload the picture itself.",
            "This file is empty. Choose it again, or export it anew.",
            "This file is 6 MB; the limit is 5 MB. Export it smaller.",
        ]
    )
    assert "POST" not in sent
    make(page)
    expect(page.locator("h1")).to_have_text("1 of 1 image done")
    expect(page.locator(".row.refused")).to_have_count(3)


def test_what_systems_put_beside_files_is_left_out(page: Page) -> None:
    page.goto("/")
    drop(page, {"._IMG_2.jpg": b"\x00\x05\x16\x07", "IMG_2.jpg": make_jpeg()})
    expect(page.locator(".row-name")).to_have_text(["IMG_2.jpg"])


def test_empty_folder_is_said_to_be_empty(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    page.goto("/")
    drop_from_disk(page, [str(folder)], page.locator(".zone"))
    words = "There are no files in this folder."
    expect(page.locator("#images-error")).to_have_text(words)
    expect(page.get_by_role("status")).to_have_text(words)


def test_sample_that_the_server_fails_to_give_is_said_to_be_missing(
    page: Page, complaints: list[str]
) -> None:
    page.route("**/samples/*", lambda route: route.fulfill(status=500, body="oops"))
    page.goto("/")
    page.locator(".sample").first.click()
    expect(page.get_by_text("The sample could not be loaded. Try again.")).to_be_visible()
    expect(page.locator(".row")).to_have_count(0)
    complaints.clear()


def test_focus_is_at_the_file_chooser_when_the_last_file_is_removed(page: Page) -> None:
    page.goto("/")
    drop(page, {"a.jpg": make_jpeg()})
    page.get_by_role("button", name="Remove a.jpg").click()
    expect(page.locator("#images")).to_be_focused()


@pytest.mark.parametrize("field", ["[name=presets]", "#outputs-0-background", "#outputs-0-fit"])
def test_link_dropped_on_a_field_that_takes_no_text_leads_nowhere(page: Page, field: str) -> None:
    page.goto("/?w=64&quality=50")
    taken = page.locator(field).first.evaluate(
        """(element) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.setData("text/uri-list", "https://example.org/");
            const options = { dataTransfer, bubbles: true, cancelable: true };
            return element.dispatchEvent(new DragEvent("drop", options));
        }"""
    )
    assert not taken  # The browser would open it.


def test_next_size_begins_like_the_last(page: Page) -> None:
    page.goto("/")
    page.get_by_text("Sizes of your own").click()
    page.locator("#outputs-0-fit").select_option("cover")
    page.locator("#outputs-0-format").get_by_label("AVIF").check()
    page.get_by_text("Quality, limit, background, crop").click()
    page.locator("#outputs-0-focus").select_option("smart")
    page.get_by_role("button", name="Add another size").click()
    expect(page.locator("#outputs-1-fit")).to_have_value("cover")
    expect(page.locator("#outputs-1-focus")).to_have_value("smart")
    expect(page.locator("#outputs-1-format").get_by_label("AVIF")).to_be_checked()
    expect(page.locator("#outputs-1-width")).to_have_value("")


# What to make


def test_output_of_ones_own_is_made(page: Page) -> None:
    page.goto("/")
    choose_preset(page, "none of them")
    page.get_by_text("Sizes of your own").click()
    page.locator("#outputs-0-width").fill("64")
    page.locator("#outputs-0-height").fill("48")
    page.locator("#outputs-0-fit").select_option("cover")
    page.get_by_role("button", name="Add another size").click()
    page.locator("#outputs-1-width").fill("32")
    page.locator("#outputs-1-fit").select_option("contain")
    drop(page, {"a.jpg": make_jpeg(size=(400, 300))})
    make(page)
    links = page.locator(".thumbnails a:not(.download)")
    expect(links).to_have_text(["64 × 48 WebP", "32 × 24 WebP"])


def test_wrong_size_is_said_beside_its_field(page: Page, complaints: list[str]) -> None:
    page.goto("/")
    page.get_by_text("Sizes of your own").click()
    page.locator("#outputs-0-width").fill("0")
    page.get_by_text("Sizes of your own").click()
    drop(page, {"a.jpg": make_jpeg()})
    page.get_by_role("button", name="Make thumbnails").click()
    error = page.locator("#outputs-0-width-error")
    expect(error).to_have_text("The width must be from 1 to 4096 pixels.")
    expect(page.locator("#outputs-0-width")).to_be_focused()
    complaints.clear()  # Chromium reports every 422.


def ask_for_nothing(page: Page) -> Locator:
    page.goto("/")
    choose_preset(page, "none of them")
    drop(page, {"a.jpg": make_jpeg()})
    expect(page.locator(".row")).to_have_count(1)
    page.get_by_role("button", name="Make thumbnails").click()
    error = page.get_by_text("Choose at least one output.")
    expect(error).to_be_visible()
    return error


def test_nothing_to_make_is_said_at_the_presets(page: Page, complaints: list[str]) -> None:
    error = ask_for_nothing(page)
    expect(error).to_have_id("presets-error")
    expect(page.locator(".card input").first).to_be_focused()
    expect(page.locator("#outputs")).to_be_hidden()
    complaints.clear()


def test_mark_goes_when_something_of_the_form_is_changed(page: Page, complaints: list[str]) -> None:
    error = ask_for_nothing(page)
    page.locator(".card input").last.check()
    expect(error).to_be_hidden()
    expect(page.locator("[aria-invalid=true]")).to_have_count(0)
    complaints.clear()


def test_missing_images_are_no_longer_asked_for_when_there_are_some(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Make thumbnails").click()
    error = page.get_by_text("Choose at least one image.")
    expect(error).to_be_visible()
    drop(page, {"a.jpg": make_jpeg()})
    expect(error).to_be_hidden()
    expect(page.locator("[aria-invalid=true]")).to_have_count(0)


def test_size_is_made_in_every_format_chosen(page: Page) -> None:
    page.goto("/")
    choose_preset(page, "none of them")
    page.get_by_text("Sizes of your own").click()
    page.locator("#outputs-0-width").fill("32")
    page.locator("#outputs-0-format").get_by_label("JPEG").check()
    drop(page, {"a.jpg": make_jpeg(size=(400, 300))})
    make(page)
    links = page.locator(".thumbnails a:not(.download)")
    expect(links).to_have_text(["32 × 24 JPEG", "32 × 24 WebP"])


def test_responsive_set_is_every_width_in_every_format(page: Page) -> None:
    page.goto("/")
    choose_preset(page, "none of them")
    page.get_by_text("Responsive set").click()
    page.get_by_label("Widths").fill("40 20")
    drop(page, {"a.jpg": make_jpeg(size=(400, 300))})
    make(page)
    links = page.locator(".thumbnails a:not(.download)")
    expect(links).to_have_text(["40 × 30 JPEG", "40 × 30 WebP", "20 × 15 JPEG", "20 × 15 WebP"])


def fill_in_a_recipe(page: Page) -> None:
    choose_preset(page, "card")
    page.get_by_text("Sizes of your own").click()
    page.locator("#outputs-0-width").fill("64")
    page.locator("#outputs-0-height").fill("48")
    page.locator("#outputs-0-fit").select_option("pad")
    page.get_by_text("Quality, limit, background, crop").click()
    page.locator("#outputs-0-transparent").check()
    page.get_by_role("button", name="Add another size").click()
    page.locator("#outputs-1-width").fill("32")
    page.locator("#outputs-1-fit").select_option("contain")
    page.locator("#outputs-1-transparent").uncheck()


RECIPE = "preset=card&w=64&h=48&fit=pad&format=webp&transparent=y&w2=32&format2=webp"


def test_link_to_a_recipe_is_copied_and_fills_in_the_same(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/")
    fill_in_a_recipe(page)
    page.get_by_role("button", name="Copy a link to this recipe").click()
    expect(page.get_by_role("button", name="Link copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.endswith(f"/?{RECIPE}")
    page.goto(copied)
    expect(page.locator("#outputs-0-height")).to_have_value("48")
    expect(page.locator("#outputs-0-fit")).to_have_value("pad")
    expect(page.locator("#outputs-0-transparent")).to_be_checked()
    expect(page.locator("#outputs-1-width")).to_have_value("32")
    page.get_by_role("button", name="Copy a link to this recipe").click()
    expect(page).to_have_url(re.compile(re.escape(RECIPE)))


def test_last_recipe_is_there_the_next_time(page: Page) -> None:
    page.goto("/")
    fill_in_a_recipe(page)
    drop(page, {"a.jpg": make_jpeg()})
    make(page)
    page.goto("/")
    expect(page.locator(".cards :checked")).to_have_value("card")
    expect(page.locator("#outputs-0-height")).to_have_value("48")
    expect(page.locator("#outputs-1-width")).to_have_value("32")


def test_time_to_keep_is_chosen(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Keep for").select_option("7 days")
    drop(page, {"a.jpg": make_jpeg()})
    make(page)
    kept = page.locator("time").first.get_attribute("datetime")
    days = page.evaluate("(moment) => (new Date(moment) - new Date()) / 86_400_000", kept)
    assert days == pytest.approx(7, abs=0.01)


# Sending


def test_thumbnails_appear_while_later_files_are_still_sent(page: Page) -> None:
    page.goto("/")
    choose_preset(page, "square")
    slow_down(page)
    drop(page, {"small.jpg": make_jpeg(), "1.bmp": LARGE, "2.bmp": LARGE, "3.bmp": LARGE})
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator(".frame.done")).not_to_have_count(0, timeout=15_000)
    expect(page.locator(".row progress:visible").first).to_be_visible()
    expect(page).to_have_title(re.compile("% sent"))
    expect(page.locator("h1")).to_have_text("4 of 4 images done", timeout=20_000)


@pytest.mark.parametrize("address", ["**/jobs/open", "**/jobs/*/images"])
def test_page_waits_as_long_as_the_server_asks_and_goes_on_by_itself(
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
    page.goto("/")
    choose_preset(page, "square")
    drop(page, {"a.jpg": make_jpeg(), "b.jpg": make_jpeg()})
    page.get_by_role("button", name="Make thumbnails").click()
    said = page.locator("#queue-pause:visible, #waiting-words:visible")
    expect(said).to_contain_text("There is room again in 1 second. This goes on by itself at ")
    expect(page.locator("h1")).to_have_text("2 of 2 images done", timeout=20_000)
    expect(said).to_have_count(0)
    complaints.clear()  # Chromium reports every refusal.


def test_cancelled_file_is_not_sent_and_the_others_are(page: Page) -> None:
    page.goto("/")
    choose_preset(page, "square")
    drop(page, {"a.jpg": make_jpeg(), "b.jpg": make_jpeg()})
    page.get_by_role("button", name="Remove a.jpg").click()
    make(page)
    expect(page.locator(".frame-name")).to_have_text(["b.jpg"])


def test_file_that_broke_off_is_sent_again(page: Page, complaints: list[str]) -> None:
    page.goto("/")
    drop(page, {"a.jpg": make_jpeg()})
    page.route("**/images", lambda route: route.abort(), times=1)
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator("h1")).to_have_text("1 of 1 image done", timeout=20_000)
    complaints.clear()  # Chromium reports the request that was cut.


def test_progress_is_shown_by_file_in_all_and_in_the_title_two_at_a_time(page: Page) -> None:
    page.goto("/")
    slow_down(page)
    drop(page, {f"{n}.bmp": LARGE for n in range(4)})
    watch(page, "document.querySelectorAll('.row progress:not([hidden])').length", "sending")
    watch(page, "document.querySelector('.row progress').value", "parts")
    watch(page, "document.getElementById('queue-progress').value", "all")
    watch(page, "document.title", "titles")
    send(page)
    expect_done(page, "4 of 4 images done")
    seen = page.evaluate("seen")
    assert max(seen["sending"]) == 2
    assert any(0 < part < 1 for part in seen["parts"])
    assert len({part for part in seen["all"] if 0 < part < 1}) >= 4
    assert seen["all"] == sorted(seen["all"])
    percents = [int(found[1]) for t in seen["titles"] if (found := re.match(r"(\d+) % sent", t))]
    assert percents == sorted(percents)
    assert len(percents) >= 4


@pytest.mark.parametrize("width", [390, 1360])
def test_nothing_shifts_while_files_are_sent_and_thumbnails_appear(
    page: Page, tmp_path: Path, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.add_init_script(WATCH_SHIFTS)
    picture = make_image("RGB", (500, 400), "BMP")
    with running(tmp_path / "instance") as servers:
        page.goto(servers.url)
        choose_preset(page, "web-set")
        slow_down(page)
        drop(page, {f"{n:02}.bmp": picture for n in range(30)})
        expect(page.locator(".row")).to_have_count(30)
        page.locator("#submit").scroll_into_view_if_needed()
        shifts(page)
        page.evaluate("shifts.length = 0")  # From here on, nobody does anything.
        send(page)
        expect_done(page, "30 of 30 images done")
        expect(page.locator("#queue")).to_be_hidden()
        assert sum(value for value, _ in shifts(page)) < 0.05, shifts(page)


def test_list_keeps_what_is_sent_in_sight_and_says_what_has_gone(page: Page) -> None:
    page.goto("/")
    choose_preset(page, "square")
    slow_down(page)
    drop(page, {f"{n}.bmp": LARGE for n in range(8)})
    send(page)
    expect(page.locator(".row-state").first).to_contain_text("sent", timeout=15_000)
    expect(page.get_by_role("button", name="Remove 0.bmp")).to_have_count(0)
    cancel = page.get_by_role("button", name="Cancel 5.bmp")
    expect(cancel).to_be_in_viewport(timeout=20_000)
    check(page)


def test_list_stays_where_somebody_scrolled_it(page: Page) -> None:
    page.goto("/")
    choose_preset(page, "square")
    slow_down(page)
    drop(page, {f"{n}.bmp": LARGE for n in range(8)})
    send(page)
    # By then, the list has gone to the first file.
    expect(page.locator("#queue-facts")).to_have_text("0 of 8 images sent")
    rows = page.locator("#queue-rows")
    rows.evaluate("(list) => (list.scrollTop = 9999)")
    place = rows.evaluate("(list) => list.scrollTop")
    assert place > 0
    expect(page.locator("#queue-facts")).to_have_text(re.compile("[3-6] of 8"), timeout=20_000)
    assert rows.evaluate("(list) => list.scrollTop") == place


def test_what_is_sent_can_be_folded_away(page: Page) -> None:
    page.goto("/")
    slow_down(page)
    drop(page, {f"{n}.bmp": LARGE for n in range(3)})
    send(page)
    expect(page.locator("#queue-facts")).to_have_text("0 of 3 images sent")
    page.locator("#queue-facts").click()
    expect(page.locator("#queue-rows")).to_be_hidden()
    expect(page.get_by_role("progressbar", name="All images sent")).to_be_visible()
    expect_done(page, "3 of 3 images done")


def test_focus_in_a_row_that_is_sent_stays_with_the_list(page: Page) -> None:
    page.goto("/")
    slow_down(page)
    drop(page, {f"{n}.bmp": LARGE for n in range(3)})
    send(page)
    page.get_by_role("button", name="Cancel 0.bmp").focus()
    expect(page.locator("#queue")).to_be_focused(timeout=15_000)


def watch(page: Page, expression: str, name: str) -> None:
    """Note every value of an expression, as long as it can be had."""
    page.evaluate(
        """([expression, name]) => {
            window.seen ??= {};
            const values = (seen[name] = []);
            const read = new Function(`return ${expression}`);
            const note = () => {
                try {
                    const value = read();
                    if (value !== values.at(-1)) values.push(value);
                } catch {}
            };
            new MutationObserver(note).observe(document, { attributes: true, childList: true,
                characterData: true, subtree: true });
        }""",
        [expression, name],
    )


def test_file_is_cancelled_while_it_is_sent_and_the_others_go_on(page: Page) -> None:
    page.goto("/")
    choose_preset(page, "square")
    slow_down(page)
    drop(page, {"1.bmp": LARGE, "2.bmp": LARGE, "3.jpg": make_jpeg()})
    send(page)
    expect(page.locator(".row-state").first).to_contain_text("%")
    page.get_by_role("button", name="Cancel 1.bmp").click()
    expect_done(page, "2 of 2 images done")
    expect(page.locator(".frame-name")).to_have_text(["2.bmp", "3.jpg"])


def test_file_that_failed_is_sent_again_when_asked_and_the_others_meanwhile(
    page: Page, complaints: list[str]
) -> None:
    page.goto("/")
    choose_preset(page, "square")
    drop(page, {"a.jpg": make_jpeg(), "b.jpg": make_jpeg()})
    page.route("**/images", lambda route: route.fulfill(status=500, body="oops"), times=1)
    send(page)
    expect(page.locator(".frame.done")).to_have_count(1, timeout=20_000)
    expect(page.locator(".row-why:visible")).to_have_text("The server did not take this (500).")
    page.get_by_role("button", name=re.compile("Retry [ab].jpg")).click()
    expect_done(page, "2 of 2 images done")
    complaints.clear()  # Chromium reports the 500.


def test_file_that_the_server_refuses_is_named_and_the_others_are_made(
    page: Page, complaints: list[str]
) -> None:
    page.goto("/")
    choose_preset(page, "square")
    drop(page, {"cut.png": make_png()[:40], "good.jpg": make_jpeg()})
    send(page)
    expect_done(page, "1 of 1 image done")
    expect(page.locator(".row.refused .row-name")).to_have_text("cut.png")
    expect(page.locator("#queue-facts")).to_have_text("1 image sent · 1 not sent")
    complaints.clear()  # Chromium reports the 415.


def test_lost_connection_is_told_and_all_goes_on_by_itself_when_it_is_back(
    page: Page, complaints: list[str]
) -> None:
    page.goto("/")
    choose_preset(page, "square")
    session = slow_down(page)
    drop(page, {f"{n}.bmp": LARGE for n in range(3)})
    send(page)
    expect(page.locator(".row-state").first).to_contain_text("%")
    set_line(session, is_there=False)
    said = page.locator("#queue-pause")
    expect(said).to_have_text("The connection is lost. This goes on by itself when it is back.")
    expect(page.get_by_role("status")).to_contain_text("The connection is lost.")
    expect(page).to_have_title(re.compile("Paused at"))
    set_line(session, is_there=True)
    expect(said).to_be_hidden()
    expect_done(page, "3 of 3 images done")
    complaints.clear()  # Chromium reports what was cut.


def test_sending_survives_a_restart_of_the_server(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path / "instance") as servers:
        context = browser.new_context(base_url=servers.url)
        page = context.new_page()
        page.goto("/")
        choose_preset(page, "square")
        slow_down(page)
        drop(page, {f"{n}.bmp": LARGE for n in range(3)})
        send(page)
        expect(page.locator(".row-state").first).to_contain_text("%")
        servers.processes["web"].kill()
        servers.processes["web"].wait()
        expect(page.locator("#queue-pause")).to_contain_text("The connection is lost.")
        servers.start_one("web")
        expect_done(page, "3 of 3 images done")
        expect(page.locator(".frame-name")).to_have_text(["0.bmp", "1.bmp", "2.bmp"])
        context.close()


class Line(ThreadingTCPServer):
    """A line to a server that can die as lines do: it is there, and nothing gets through."""

    daemon_threads = True

    def __init__(self, server_port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.server_port = server_port
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.stops_at: Callable[[bytes], bool] = lambda data: False
        self.is_over = Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: whoever hangs up in the middle is what this is for."""


class _Connection(BaseRequestHandler):
    server: Line

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.server_port)) as far:
            Thread(target=self.answer, args=(far,), daemon=True).start()
            while data := self.request.recv(65536):
                if self.server.stops_at(data):
                    self.server.is_over.wait()
                    return
                far.sendall(data)

    def answer(self, far: socket.socket) -> None:
        try:
            while data := far.recv(65536):
                self.request.sendall(data)
        except OSError:
            pass  # One of them is gone.


@contextmanager
def line_to(server_port: int) -> Iterator[Line]:
    with Line(server_port) as line:
        Thread(target=line.serve_forever, daemon=True).start()
        yield line
        line.is_over.set()
        line.shutdown()


LOST = "The connection is lost. This goes on by itself when it is back."


@pytest.mark.parametrize("size", [(60, 40), (2000, 1700)], ids=["at its end", "in the middle"])
def test_file_that_gets_stuck_on_its_way_is_sent_again(
    page: Page, tmp_path: Path, complaints: list[str], size: tuple[int, int]
) -> None:
    paths = write_files(tmp_path, {"a.bmp": make_image("RGB", size, "BMP"), "b.jpg": make_jpeg()})
    stuck: list[bytes] = []

    def stops_once(data: bytes) -> bool:
        if stuck or b"/images HTTP" not in data:
            return False
        stuck.append(data)
        return True

    with (
        running(tmp_path / "instance", stall_seconds=1) as servers,
        line_to(servers.port) as line,
    ):
        line.stops_at = stops_once
        page.goto(line.url)
        choose_preset(page, "square")
        page.set_input_files("#images", paths)
        send(page)
        expect(page.locator("#queue-pause")).to_have_text(LOST)
        expect(page.get_by_role("status")).to_have_text(LOST)
        expect_done(page, "2 of 2 images done")
        expect(page.locator(".frame-name")).to_have_text(["a.bmp", "b.jpg"])
    assert stuck
    complaints.clear()  # Chromium reports what was cut.


@pytest.mark.parametrize("moment", ["before", "while"])
def test_line_that_was_dead_for_a_while_loses_nothing(
    page: Page, tmp_path: Path, complaints: list[str], moment: str
) -> None:
    with (
        running(tmp_path / "instance", stall_seconds=1) as servers,
        line_to(servers.port) as line,
    ):
        page.goto(line.url)
        choose_preset(page, "square")
        slow_down(page)
        drop(page, {f"{n}.bmp": LARGE for n in range(3)})
        expect(page.locator(".row")).to_have_count(3)
        if moment == "while":
            send(page)
            expect(page.locator(".row-state").first).to_contain_text("%")
        unanswered: list[bytes] = []

        def note(data: bytes) -> bool:
            if data.startswith(b"HEAD "):
                unanswered.append(data)
            return True

        line.stops_at = note
        if moment == "before":
            page.get_by_role("button", name="Make thumbnails").click()
        said = page.locator("#queue-pause:visible, #waiting-words:visible")
        expect(said).to_have_text(LOST)
        # Whether the line is back is asked again, when that question got stuck as well.
        with page.expect_request(lambda request: request.method == "HEAD" and len(unanswered) > 0):
            pass
        line.stops_at = lambda data: False
        expect_done(page, "3 of 3 images done")
        expect(said).to_have_count(0)
    complaints.clear()


def test_job_is_made_when_the_connection_is_back(page: Page, complaints: list[str]) -> None:
    page.goto("/")
    choose_preset(page, "square")
    drop(page, {"a.jpg": make_jpeg()})
    page.context.set_offline(True)
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator("#waiting-words")).to_contain_text("The connection is lost.")
    page.context.set_offline(False)
    expect_done(page, "1 of 1 image done")
    complaints.clear()


def test_image_that_arrived_while_its_answer_got_lost_is_there_once(
    page: Page, complaints: list[str]
) -> None:
    page.goto("/")
    choose_preset(page, "square")
    drop(page, {"a.jpg": make_jpeg()})

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/images", lose_the_answer, times=1)
    send(page)
    expect_done(page, "1 of 1 image done")
    complaints.clear()


def test_file_that_cuts_the_connection_each_time_is_left_to_its_owner(
    page: Page, complaints: list[str]
) -> None:
    page.goto("/")
    choose_preset(page, "square")
    page.clock.install()
    drop(page, {"a.jpg": make_jpeg()})
    page.route("**/images", lambda route: route.abort())
    page.get_by_role("button", name="Make thumbnails").click()
    page.clock.fast_forward(1000)
    retry = page.get_by_role("button", name="Retry a.jpg")
    for _ in range(40):
        page.clock.fast_forward(1100)
        if retry.is_visible():
            break
    page.unroute("**/images")
    retry.click()
    for _ in range(5):
        page.clock.fast_forward(1100)
    expect_done(page, "1 of 1 image done")
    complaints.clear()


def test_five_hundred_files_leave_the_page_responsive_and_in_place(
    browser: Browser, tmp_path: Path
) -> None:
    with running(tmp_path / "instance") as servers:
        context = browser.new_context(base_url=servers.url)
        page = context.new_page()
        page.add_init_script(WATCH_SHIFTS)
        page.goto("/")
        choose_preset(page, "square")
        browser.start_tracing(page=page, categories=["disabled-by-default-devtools.timeline"])
        folder = tmp_path / "photos"
        folder.mkdir()
        write_files(folder, {f"{n:03}.jpg": make_jpeg() for n in range(500)})
        drop_from_disk(page, [str(folder)], page.locator(".zone"))
        expect(page.locator(".row")).to_have_count(500)
        shifts(page)
        page.evaluate("shifts.length = 0")
        page.locator("#submit").click()  # To look for a name among 500 rows takes its time.
        # Each look of `expect` would read all of the page, for half a second.
        page.wait_for_function(
            "() => document.querySelector('#job-panel:not([hx-get]) h1')", timeout=240_000
        )
        tasks = task_milliseconds(browser.stop_tracing())
        assert len(tasks) > 500
        assert max(tasks) < 200
        assert sum(value for value, _ in shifts(page)) < 0.05, shifts(page)
        expect(page.locator("h1")).to_have_text("500 of 500 images done")
        context.close()


# For everyone


def test_whole_way_works_by_keyboard(page: Page, tmp_path: Path) -> None:
    page.on("filechooser", lambda chooser: None)  # From here on Chromium opens none of its own.
    page.goto("/")
    focus_by_tab(page, "#images")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(write_files(tmp_path, {"a.jpg": make_jpeg(size=(400, 300))}))
    expect(page.locator(".row")).to_have_count(1)
    focus_by_tab(page, "[value=web-set]")
    page.keyboard.press("Space")
    focus_by_tab(page, "#own > summary")
    page.keyboard.press("Enter")
    focus_by_tab(page, "#outputs-0-width")
    page.keyboard.type("48")
    focus_by_tab(page, "#submit")
    page.keyboard.press("Enter")
    expect_done(page, "1 of 1 image done")
    expect(page.locator(".thumbnails a:not(.download)")).to_have_text(["48 × 36 WebP"])


def focus_by_tab(page: Page, selector: str) -> None:
    """Press Tab until something has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.locator(selector).evaluate("(element) => element === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to {selector}")


def test_size_of_ones_own_and_the_time_to_keep_work_without_script(
    browser: Browser, base_url: str, tmp_path: Path
) -> None:
    context = browser.new_context(java_script_enabled=False, base_url=base_url)
    page = context.new_page()
    page.goto("/?w=64&h=48&fit=cover&format=webp&format=jpeg")
    page.get_by_label("Keep for").select_option("1 hour")
    page.set_input_files("#images", write_files(tmp_path, {"a.jpg": make_jpeg(size=(400, 300))}))
    page.get_by_role("button", name="Make thumbnails").click()
    expect_done(page, "1 of 1 image done")
    links = page.locator(".thumbnails a:not(.download)")
    expect(links).to_have_text(["64 × 48 JPEG", "64 × 48 WebP"])
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_whole_form(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto("/?w=64&quality=50&w2=32&widths=320")
    drop(page, {"good.jpg": make_jpeg(), "notes.jpg": b"words"})
    expect(page.locator(".row")).to_have_count(2)
    check(page)


@pytest.mark.parametrize("width", [320, 390, 3840])
def test_whole_form_fits_every_screen(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/?w=64&quality=50&w2=32&widths=320")
    drop(page, {"n" * 200 + ".jpg": make_jpeg(), "ש" * 80 + ".jpg": b"words"})
    expect(page.locator(".row")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_whole_way_works_on_a_phone(browser: Browser, base_url: str, tmp_path: Path) -> None:
    context = browser.new_context(
        base_url=base_url, viewport={"width": 360, "height": 640}, is_mobile=True, has_touch=True
    )
    page = context.new_page()
    page.goto("/")
    page.set_input_files("#images", write_files(tmp_path, {"a.jpg": make_jpeg()}))
    page.locator("#submit").tap()
    expect_done(page, "1 of 1 image done")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


# What can be touched on the page, whole; a label of a box or of the zone belongs to it.
TOUCHABLE = "a, button, summary, select, .zone, .folder, .card, .check, .choice"


def test_finger_is_offered_what_it_can_do_and_finds_it(browser: Browser, base_url: str) -> None:
    context = browser.new_context(
        base_url=base_url, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
    )
    page = context.new_page()
    page.goto("/?w=64&widths=320")
    zone = page.locator(".zone")
    expect(zone).to_contain_text("choose files", use_inner_text=True, ignore_case=True)
    for words in ("drop", "paste", "folder"):
        expect(zone).not_to_contain_text(words, use_inner_text=True, ignore_case=True)
    small, near = page.evaluate(
        """(touchable) => {
            const all = [...document.querySelectorAll(touchable)]
                .filter((element) => element.checkVisibility() && !element.matches(".skip"))
                .map((element) => ({ element, box: element.getBoundingClientRect() }));
            const name = ({ element }) => element.textContent.trim().slice(0, 40);
            const small = all.filter(({ box }) => box.width < 24 || box.height < 24).map(name);
            const near = all.flatMap((one, n) => all.slice(n + 1)
                .filter((other) => !one.element.contains(other.element))
                .filter((other) => Math.max(
                    other.box.left - one.box.right, one.box.left - other.box.right,
                    other.box.top - one.box.bottom, one.box.top - other.box.bottom) < 7.9)
                .map((other) => [name(one), name(other)]));
            return [small, near];
        }""",
        TOUCHABLE,
    )
    assert small == []
    assert near == []
    context.close()


def test_first_view_is_light_and_nothing_in_it_jumps(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    loaded: list[float] = []
    session.on("Network.loadingFinished", lambda event: loaded.append(event["encodedDataLength"]))
    page.goto("/", wait_until="networkidle")
    shifts = page.evaluate(
        """() => new Promise((resolve) => {
            new PerformanceObserver((list) => resolve(list.getEntries().length))
                .observe({ type: "layout-shift", buffered: true });
            setTimeout(() => resolve(0), 500);
        })"""
    )
    assert shifts == 0
    assert len(loaded) > 5
    assert sum(loaded) < 60_000, loaded
