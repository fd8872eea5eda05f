"""Gathering files on the upload page: drop, choose, paste, samples."""

import base64
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import (
    IN_PART,
    LARGE,
    choose_preset,
    drag,
    drop,
    drop_from_disk,
    expect_done,
    gather,
    make,
    make_button,
    submit,
    write_files,
)
from tests.browser.lines import Line
from tests.browser.measures import natural_sizes
from tests.browser.routes import hold, wait_for
from tests.support.images import make_image, make_jpeg, make_png

pytestmark = pytest.mark.browser


def test_dropped_folder_is_added_in_the_order_of_names(page: Page, tmp_path: Path) -> None:
    inner = tmp_path / "photos" / "inner"
    inner.mkdir(parents=True)
    write_files(inner.parent, {"2.jpg": make_jpeg(), "10.jpg": make_jpeg(), "Thumbs.db": b"x"})
    write_files(inner, {"deep.png": make_png()})
    page.goto("/")
    drop_from_disk(page, [str(inner.parent)], page.locator(".zone"))
    expect(page.locator(".contact .name")).to_have_text(["2.jpg", "10.jpg", "deep.png"])


def test_chosen_folder_adds_all_its_files(page: Page, tmp_path: Path) -> None:
    write_files(tmp_path, {"a.jpg": make_jpeg(), "b.jpg": make_jpeg()})
    page.goto("/")
    page.set_input_files("#folder", tmp_path)
    expect(page.locator(".contact")).to_have_count(2)


@pytest.mark.parametrize("recipe", ["", "?w=100&h=100", "?w=100&h=100&max_kb=9"])
def test_button_stays_in_view_beside_many_files(page: Page, recipe: str) -> None:
    page.goto(f"/{recipe}")
    drop(page, {f"{number}.jpg": make_jpeg() for number in range(60)})
    expect(page.locator(".contact")).to_have_count(60)
    button = make_button(page)
    for width, height in ((1440, 900), (1280, 700), (1280, 500)):
        page.set_viewport_size({"width": width, "height": height})
        for share in (0, 0.5, 1):
            page.evaluate("(share) => scrollTo(0, share * document.body.scrollHeight)", share)
            expect(button).to_be_in_viewport(ratio=1)


def test_button_covers_nothing_that_has_the_focus(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 600})
    page.goto("/?w=100&h=100&max_kb=9")
    page.locator("[name=presets]").first.focus()
    seen = 0
    for key in ("Tab", "Shift+Tab"):
        while page.evaluate("document.activeElement.closest('.make') !== null"):
            covered = page.evaluate(
                """() => {
                    const { x, y, width, height } = document.activeElement.getBoundingClientRect();
                    const edges = [y + 1, y + height - 1];
                    const tops = edges.map((at) => document.elementFromPoint(x + width / 2, at));
                    return tops.some((top) => !document.activeElement.contains(top));
                }"""
            )
            assert not covered, page.evaluate("document.activeElement.outerHTML")
            seen += 1
            page.keyboard.press(key)
        page.keyboard.press("Shift+Tab" if key == "Tab" else "Tab")
    assert seen > 30


def test_button_and_retention_stay_in_view_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/")
    drop(page, {f"{number}.jpg": make_jpeg() for number in range(60)})
    expect(page.locator(".contact")).to_have_count(60)
    for share in (0, 0.5, 1):
        page.evaluate("(share) => scrollTo(0, share * document.body.scrollHeight)", share)
        expect(make_button(page)).to_be_in_viewport(ratio=1)
        expect(page.get_by_text("Kept for 24 hours.")).to_be_in_viewport(ratio=1)


def test_photos_are_removed_on_the_corner_of_their_picture_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/")
    drop(page, {"a.jpg": make_jpeg()})
    expect(page.locator(".contact .well img")).to_be_visible()  # Its preview replaces the frame.
    picture = page.locator(".contact .well").bounding_box()
    button = page.get_by_role("button", name="Remove a.jpg").bounding_box()
    assert picture
    assert button
    assert (button["width"], button["height"]) == (44, 44)
    assert button["y"] == picture["y"]
    assert button["x"] + 44 == picture["x"] + picture["width"]


@pytest.mark.parametrize("size", [(390, 800), (1440, 900), (1280, 600)])
def test_page_has_no_scroll_area_inside(page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto("/?w=100&h=100&max_kb=9&widths=320")
    drop(page, {f"{number}.jpg": make_jpeg() for number in range(30)})
    expect(page.locator(".contact")).to_have_count(30)
    scrolled = page.evaluate(
        """() => [...document.querySelectorAll("main, main *")]
            .filter((one) => /auto|scroll/.test(getComputedStyle(one).overflowY))
            .filter((one) => one.checkVisibility() && one.scrollHeight > one.clientHeight)
            .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert scrolled == []


def test_file_dropped_outside_the_zone_is_added(page: Page, tmp_path: Path) -> None:
    page.goto("/")
    address = page.url
    paths = write_files(tmp_path, {"a.jpg": make_jpeg()})
    drop_from_disk(page, paths, page.locator("footer"))
    expect(page.locator(".contact .name")).to_have_text(["a.jpg"])
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


def test_file_dropped_during_an_upload_is_added(page: Page, line: Line, tmp_path: Path) -> None:
    page.goto(line.url)
    drop(page, {"large.bmp": LARGE})
    line.hold()
    submit(page)
    expect(page.locator(".frame.sending .ribbon")).to_contain_text(IN_PART)
    address = page.url
    paths = write_files(tmp_path, {"late.jpg": make_jpeg()})
    drop_from_disk(page, paths, page.locator("main"))
    line.release()
    expect_done(page, "2 of 2 done")
    assert page.url == address


def test_samples_can_be_tried(page: Page) -> None:
    for name in ("Landscape", "Cut-out on transparency", "Portrait, taken sideways"):
        page.goto("/?preset=square")
        page.get_by_role("link", name=name).click()
        expect(page.locator(".contact")).to_have_count(1)
    make(page)
    expect_done(page, "1 of 1 done")
    expect(page.locator(".frame-facts", has_text="location removed")).to_have_count(1)


def test_double_click_on_a_sample_adds_it_once(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Landscape").dblclick()
    expect(page.locator(".contact .name")).to_have_text("balloons.jpg")


def test_chosen_files_become_thumbnails(page: Page, tmp_path: Path) -> None:
    page.goto("/?preset=square")
    page.set_input_files("#images", write_files(tmp_path, {"a.jpg": make_jpeg(size=(300, 200))}))
    make(page)
    assert natural_sizes(page) == [[100, 100]]


def test_files_chosen_before_the_script_is_loaded_are_added(page: Page, tmp_path: Path) -> None:
    script = hold(page, "**/upload_page.js*")
    page.goto("/", wait_until="commit")
    held = wait_for(page, script)
    page.set_input_files("#images", write_files(tmp_path, {"a.jpg": make_jpeg()}))
    held.continue_()
    expect(page.get_by_role("heading", level=1)).to_have_text("1 photo chosen")


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
    expect(page.locator(".contact .name")).to_contain_text("pasted 20")


def test_wrong_files_are_named_before_sending(page: Page) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.goto("/")
    drop(
        page,
        {
            "good.jpg": make_jpeg(),
            "notes.jpg": b"only words",
            "empty.png": b"",
            "large.jpg": b"\xff\xd8\xff" + bytes(10_500_000),
            "a little too large.jpg": b"\xff\xd8\xff" + bytes(10_010_000),
            ".DS_Store": b"clutter",
        },
    )
    expect(page.locator(".skipped-file .why")).to_have_text(
        [
            "This is text, not an image. Upload the picture itself.",
            "This file is empty. Choose it again, or export the image again.",
            "This file is 10.5 MB; the limit is 10 MB. Export it smaller.",
            "This file is 10.01 MB; the limit is 10 MB. Export it smaller.",
        ]
    )
    assert not [url for url in sent if "/jobs" in url]
    make(page)
    expect(page.locator("h1")).to_have_text("1 of 5 done · 4 skipped")
    expect(page.locator("#skipped li")).to_have_count(4)
    expect(page.locator("#sending")).to_be_hidden()


def test_hidden_system_files_are_left_out(page: Page) -> None:
    page.goto("/")
    drop(page, {"._IMG_2.jpg": b"\x00\x05\x16\x07", "IMG_2.jpg": make_jpeg()})
    expect(page.locator(".contact .name")).to_have_text(["IMG_2.jpg"])


def test_empty_folder_gets_a_message(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    page.goto("/")
    drop_from_disk(page, [str(folder)], page.locator(".zone"))
    words = "There are no files in this folder."
    expect(page.locator("#images-error")).to_have_text(words)
    expect(page.get_by_role("status")).to_have_text(words)


def test_sample_that_does_not_load_is_reported(page: Page, complaints: list[str]) -> None:
    page.route("**/samples/*", lambda route: route.fulfill(status=500, body="oops"))
    page.goto("/")
    page.locator(".sample").first.click()
    expect(page.get_by_text("The sample could not be loaded. Try again.")).to_be_visible()
    expect(page.locator(".contact")).to_have_count(0)
    complaints.clear()


def test_focus_moves_to_the_file_chooser_with_the_last_file(page: Page) -> None:
    page.goto("/")
    drop(page, {"a.jpg": make_jpeg()})
    page.get_by_role("button", name="Remove a.jpg").click()
    expect(page.locator("#images")).to_be_focused()


def test_link_dropped_on_a_field_does_not_open(page: Page) -> None:
    page.goto("/?w=64&quality=50")
    for field in ("[name=presets]", "#outputs-0-background", "#outputs-0-fit"):
        taken = page.locator(field).first.evaluate(
            """(element) => {
                const dataTransfer = new DataTransfer();
                dataTransfer.setData("text/uri-list", "https://example.org/");
                const options = { dataTransfer, bubbles: true, cancelable: true };
                return element.dispatchEvent(new DragEvent("drop", options));
            }"""
        )
        assert not taken  # The browser would open it.


def test_direction_mark_in_a_name_is_removed(page: Page) -> None:
    gather(page, "invoice\u202egpj.exe")
    expect(page.locator(".contact .name")).to_have_text("invoicegpj.exe")
    expect(page.get_by_role("button", name="Remove invoicegpj.exe", exact=True)).to_be_visible()


def test_name_keeps_the_marks_that_its_script_needs(page: Page) -> None:
    gather(page, "\u0646\u0645\u06cc\u200c\u062f\u0627\u0646\u0645.jpg")
    expect(page.locator(".contact .name")).to_have_text(re.compile("\u200c"))


def test_chosen_photos_become_a_contact_sheet(page: Page) -> None:
    page.goto("/?preset=square")
    drop(
        page,
        {
            "a.jpg": make_jpeg(size=(400, 300)),
            "b.heic": make_image("RGB", (90, 60), "heic"),
            "c.png": make_png(),
        },
    )
    expect(page.get_by_role("heading", level=1)).to_have_text("3 photos chosen")
    expect(page.locator(".contact .name")).to_have_text(["a.jpg", "b.heic", "c.png"])
    expect(page.locator(".contact img")).to_have_count(2)
    expect(page.locator(".contact .well").nth(1)).to_have_text("HEIC")  # Chromium cannot read it.
    expect(make_button(page)).to_have_text("Make 3 thumbnails")
    page.get_by_role("button", name="Remove b.heic").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 photos chosen")
    page.get_by_role("button", name="Remove all").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Every size of your photos, in one drop."
    )
    expect(page.locator("#images")).to_be_focused()


def test_file_that_is_already_there_is_not_added(page: Page, tmp_path: Path) -> None:
    paths = write_files(tmp_path, {"a.jpg": make_jpeg(), "b.jpg": make_jpeg(), "c.txt": b"words"})
    page.goto("/")
    page.set_input_files("#images", paths[:1])
    expect(page.locator(".contact")).to_have_count(1)
    page.set_input_files("#images", paths)
    expect(page.locator(".contact")).to_have_count(2)
    expect(page.locator("#already")).to_have_text("a.jpg is already there.")
    expect(page.get_by_role("status")).to_have_text("a.jpg is already there.")
    page.set_input_files("#images", paths)
    expect(page.locator("#already")).to_have_text("3 files are already there.")
    expect(page.locator(".contact")).to_have_count(2)
    page.get_by_role("button", name="Remove a.jpg").click()
    page.set_input_files("#images", paths[:1])
    expect(page.locator(".contact .name")).to_have_text(["b.jpg", "a.jpg"])
    expect(page.locator("#already")).to_be_hidden()


def test_skipped_file_can_be_dismissed(page: Page) -> None:
    page.goto("/")
    drop(page, {"notes.txt": b"only words", "empty.jpg": b"", "good.jpg": make_jpeg()})
    expect(page.get_by_role("heading", name="2 skipped")).to_be_visible()
    page.get_by_role("button", name="Dismiss notes.txt").click()
    expect(page.get_by_role("heading", name="1 skipped")).to_be_visible()
    page.get_by_role("button", name="Dismiss empty.jpg").click()
    expect(page.locator("#skipped")).to_be_hidden()
    make(page)
    expect_done(page, "1 of 1 done")


def test_drag_says_how_many_files_will_be_dropped(page: Page) -> None:
    page.goto("/")
    transfer = page.evaluate_handle(
        """() => {
            const transfer = new DataTransfer();
            for (let n = 0; n < 12; n += 1) transfer.items.add(new File(["x"], `${n}.jpg`));
            return transfer;
        }"""
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": transfer})
    expect(page.locator("#drop-frame")).to_have_text("Drop 12 files")
    frame, zone = page.locator("#drop-frame").bounding_box(), page.locator(".zone").bounding_box()
    assert frame == zone
    dimmed = page.evaluate("getComputedStyle(document.body, '::before').position")
    assert dimmed == "fixed"  # All but the zone.


def test_button_without_photos_leads_to_the_zone(page: Page) -> None:
    page.goto("/")
    make_button(page).click()
    expect(page.locator("#images")).to_be_focused()
    expect(page.locator(".zone")).to_contain_text("Choose at least one photo.")
    assert page.locator(".zone").evaluate("(zone) => getComputedStyle(zone).outlineWidth") == "2px"


def test_photo_is_drawn_in_every_size_before_it_is_sent(page: Page) -> None:
    page.goto("/?preset=web-set&preset=card&w=100&h=100&fit=pad&format=png")
    expect(page.locator("#becomes h2")).to_have_text("Each photo becomes 10 files")
    prints = page.locator(".print")
    expect(prints.locator("b")).to_have_text(["Card", "Your own", "1920", "1280", "640", "320"])
    drop(page, {"small.jpg": make_jpeg(size=(700, 500)), "large.jpg": make_jpeg(size=(2000, 3000))})
    expect(page.locator("#price")).to_have_text("2 photos × 10 = 20 files")
    expect(page.locator("#price-note")).to_contain_text("small.jpg is small: 2 of its files")
    expect(make_button(page)).to_have_text("Make 18 thumbnails")
    sizes = prints.locator(".print-size")
    expect(sizes).to_have_text(
        ["640 × 360", "100 × 100", "1920 × 1371", "700 × 500", "640 × 457", "320 × 229"]
    )
    expect(prints.locator("image").first).to_have_attribute("href", re.compile("^blob:"))
    height = page.locator("#becomes").evaluate("(part) => part.offsetHeight")
    page.get_by_role("button", name="Next photo").click()
    expect(page.locator("#becomes-name")).to_have_text("large.jpg")
    expect(sizes).to_have_text(
        ["640 × 360", "100 × 100", "1920 × 2880", "1280 × 1920", "640 × 960", "320 × 480"]
    )
    assert page.locator("#becomes").evaluate("(part) => part.offsetHeight") == height
    make(page)
    expect(page.locator(".thumbnails a:not(.download)")).to_have_count(18)


@pytest.mark.parametrize(
    "address", ["/?w=800&h=400&fit=cover&format=webp", "/?preset=social"], ids=["own", "preset"]
)
def test_size_larger_than_the_photo_can_be_enlarged(page: Page, address: str) -> None:
    page.goto(address)
    choose_preset(page, "social" if "social" in address else "none of them")
    drop(page, {"small.jpg": make_jpeg(size=(200, 200))})
    shown = page.locator(".print")
    large = (1200, 630) if "social" in address else (800, 400)
    expect(shown).to_contain_text("200 × 10")
    expect(shown).to_contain_text("photo is smaller")
    page.get_by_role("button", name="Enlarge").click()
    expect(shown).to_contain_text(f"{large[0]} × {large[1]}")
    expect(shown).not_to_contain_text("photo is smaller")
    make(page)
    assert natural_sizes(page)[1:] == [list(large)]  # The first is the whole photo.


def test_sizes_are_drawn_of_the_last_choice(page: Page) -> None:
    page.goto("/?preset=card")
    title = page.locator("#becomes-title")
    first = hold(page, "**/sizes")
    page.locator("[value=square]").check()
    held = wait_for(page, first)
    page.locator("[name=presets][value=avatar]").check()
    expect(title).to_have_text("Each photo becomes 3 files")
    with page.expect_request_finished(lambda request: request.url.endswith("/sizes")):
        held.continue_()
    page.evaluate("new Promise((resolve) => setTimeout(resolve))")
    expect(title).to_have_text("Each photo becomes 3 files")


def test_sizes_stay_drawn_while_the_connection_is_lost(page: Page, complaints: list[str]) -> None:
    page.goto("/?preset=card")
    title = page.locator("#becomes-title")
    page.context.set_offline(True)
    with page.expect_event("requestfailed"):
        page.locator("[value=square]").check()
    expect(title).to_have_text("Each photo becomes 1 file")
    page.context.set_offline(False)
    expect(title).to_have_text("Each photo becomes 2 files")
    complaints.clear()  # Chromium reports what it cannot load.
