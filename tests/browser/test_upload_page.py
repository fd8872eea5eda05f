"""The upload page in a browser: gathering files and choosing a recipe."""

import base64
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect

from tests.browser.actions import (
    IN_PART,
    LARGE,
    check_colors,
    choose_preset,
    drag,
    drop,
    drop_from_disk,
    expect_done,
    expect_to_fit,
    make,
    natural_sizes,
    submit,
)
from tests.browser.conftest import write_files
from tests.browser.lines import Line
from tests.support.images import make_jpeg, make_png

pytestmark = pytest.mark.browser


# Gathering


def test_dropped_folder_is_added_in_the_order_of_names(page: Page, tmp_path: Path) -> None:
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


@pytest.mark.parametrize("recipe", ["", "?w=100&h=100", "?w=100&h=100&max_kb=9"])
def test_button_stays_at_hand_beside_many_files(page: Page, recipe: str) -> None:
    page.goto(f"/{recipe}")
    drop(page, {f"{number}.jpg": make_jpeg() for number in range(60)})
    expect(page.locator("#queue .row")).to_have_count(60)
    button = page.get_by_role("button", name="Make thumbnails")
    for width, height in ((1440, 900), (1280, 700), (1280, 500)):
        page.set_viewport_size({"width": width, "height": height})
        for share in (0, 0.5, 1):
            page.evaluate("(share) => scrollTo(0, share * document.body.scrollHeight)", share)
            expect(button).to_be_in_viewport(ratio=1)


def test_nothing_that_has_the_focus_lies_under_the_button(page: Page) -> None:
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


def test_many_files_keep_the_recipe_near_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/")
    drop(page, {f"{number}.jpg": make_jpeg() for number in range(60)})
    expect(page.locator("#queue .row")).to_have_count(60)
    assert page.evaluate("document.documentElement.scrollHeight") < 3 * 800


def test_file_that_misses_the_zone_is_added(page: Page, tmp_path: Path) -> None:
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


def test_file_dropped_while_others_are_sent_leads_nowhere(
    page: Page, line: Line, tmp_path: Path
) -> None:
    page.goto(line.url)
    drop(page, {"large.bmp": LARGE})
    line.hold()
    submit(page)
    expect(page.locator(".row-state")).to_contain_text(IN_PART)
    address = page.url
    paths = write_files(tmp_path, {"late.jpg": make_jpeg()})
    drop_from_disk(page, paths, page.locator("main"))
    line.release()
    expect_done(page, "1 of 1 image done")
    assert page.url == address


def test_samples_can_be_tried(page: Page) -> None:
    page.goto("/?preset=square")
    for link in page.locator(".sample").all():
        link.click()
    expect(page.locator(".row")).to_have_count(3)
    make(page)
    expect_done(page, "3 of 3 images done")
    expect(page.locator("#job-panel")).to_contain_text("GPS removed from 1 photo")


def test_double_click_on_a_sample_takes_it_once(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="landscape").dblclick()
    page.get_by_role("link", name="sideways portrait").click()
    expect(page.locator(".row-name")).to_have_text(["balloons.jpg", "moon.jpg"])


def test_chosen_files_become_thumbnails(page: Page, tmp_path: Path) -> None:
    page.goto("/?preset=square")
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


def test_wrong_files_are_named_before_sending(page: Page) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
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
    expect(page.locator(".row-why:visible")).to_have_text(
        [
            "This is text, not an image. Upload the picture itself.",
            "This file is empty. Choose it again, or export the image again.",
            "This file is 10.5 MB; the limit is 10 MB. Export it smaller.",
            "This file is 10.01 MB; the limit is 10 MB. Export it smaller.",
        ]
    )
    assert "POST" not in sent
    make(page)
    expect(page.locator("h1")).to_have_text("1 of 1 image done, 4 missing")
    expect(page.locator("#missing .row")).to_have_count(4)
    expect(page.locator("#queue")).to_be_hidden()


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


def test_sample_that_does_not_load_is_reported(page: Page, complaints: list[str]) -> None:
    page.route("**/samples/*", lambda route: route.fulfill(status=500, body="oops"))
    page.goto("/")
    page.locator(".sample").first.click()
    expect(page.get_by_text("The sample could not be loaded. Try again.")).to_be_visible()
    expect(page.locator(".row")).to_have_count(0)
    complaints.clear()


def test_focus_moves_to_the_file_chooser_with_the_last_file(page: Page) -> None:
    page.goto("/")
    drop(page, {"a.jpg": make_jpeg()})
    page.get_by_role("button", name="Remove a.jpg").click()
    expect(page.locator("#images")).to_be_focused()


def test_link_dropped_on_a_field_without_text_leads_nowhere(page: Page) -> None:
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


def test_next_size_begins_like_the_last(page: Page) -> None:
    page.goto("/")
    page.get_by_text("Custom sizes").click()
    page.locator("#outputs-0-fit").select_option("cover")
    page.locator("#outputs-0-format").get_by_label("AVIF").check()
    page.get_by_text("Quality, size limit, background, crop").click()
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
    page.get_by_text("Custom sizes").click()
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
    page.get_by_text("Custom sizes").click()
    page.locator("#outputs-0-width").fill("0")
    page.get_by_text("Custom sizes").click()
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


def test_error_of_missing_images_goes_with_the_first_image(page: Page) -> None:
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
    page.get_by_text("Custom sizes").click()
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


def test_error_of_too_many_sizes_is_beside_the_last(page: Page, complaints: list[str]) -> None:
    page.goto("/?preset=square&" + "&".join(f"w{number}={number}" for number in range(1, 20)))
    page.get_by_role("button", name="Add another size").click()
    page.locator("#outputs-19-width").fill("77")
    drop(page, {"a.jpg": make_jpeg()})
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator(".field-error:visible")).to_have_text("A recipe has at most 20 outputs.")
    expect(page.locator("#outputs-19-width")).to_be_focused()
    complaints.clear()  # That the server refused it.


def test_too_many_pixels_are_reported_while_typing(page: Page) -> None:
    page.goto("/?w=4000&h=4000&format=png&w2=4000&h2=4000&fit2=cover&format2=png&preset=web-set")
    told = page.locator(".field-error:visible")
    page.get_by_text("Responsive set").click()
    expect(told).to_have_count(0)
    page.get_by_label("Widths").fill("2500, 3000")
    expect(told).to_have_text(
        "The outputs of a recipe have at most 64 megapixels in all. Ask for fewer or smaller ones."
    )
    page.get_by_label("Widths").fill("2500")
    expect(told).to_have_count(0)
    page.get_by_label("Widths").fill("2500, 3000")
    page.get_by_role("button", name="remove this size").last.click()
    expect(told).to_have_count(0)


@pytest.mark.parametrize("height", [480, 768])
def test_problem_of_a_size_is_told_in_sight(page: Page, complaints: list[str], height: int) -> None:
    page.set_viewport_size({"width": 1366, "height": height})
    page.goto("/?preset=square&w=5000&max_kb=9")
    drop(page, {"a.jpg": make_jpeg()})
    page.get_by_role("button", name="Make thumbnails").click()
    problem = page.locator("#outputs-0-width-error")
    expect(problem).to_have_text("The width must be from 1 to 4096 pixels.")
    panel, told = page.locator(".what").bounding_box(), problem.bounding_box()
    assert panel
    assert told
    assert panel["y"] <= told["y"]
    assert told["y"] + told["height"] <= panel["y"] + panel["height"]
    complaints.clear()  # That the server refused it.


def test_problem_is_told_beside_its_size_though_another_was_removed(
    page: Page, complaints: list[str]
) -> None:
    page.goto("/?w=10&w2=20&w3=30")
    page.locator(".output").nth(2).get_by_label("Width").fill("5000")
    page.locator(".output").nth(1).get_by_role("button", name="remove this size").click()
    drop(page, {"a.jpg": make_jpeg()})
    page.get_by_role("button", name="Make thumbnails").click()
    last = page.locator(".output").nth(1)
    expect(last.locator(".field-error:visible")).to_have_text(
        "The width must be from 1 to 4096 pixels."
    )
    expect(last.get_by_label("Width")).to_be_focused()
    complaints.clear()  # That the server refused it.


def fill_in_a_recipe(page: Page) -> None:
    choose_preset(page, "card")
    page.get_by_text("Custom sizes").click()
    page.locator("#outputs-0-width").fill("64")
    page.locator("#outputs-0-height").fill("48")
    page.locator("#outputs-0-fit").select_option("pad")
    page.get_by_text("Quality, size limit, background, crop").click()
    page.locator("#outputs-0-transparent").check()
    page.get_by_role("button", name="Add another size").click()
    page.locator("#outputs-1-width").fill("32")
    page.locator("#outputs-1-fit").select_option("contain")
    page.locator("#outputs-1-transparent").uncheck()


RECIPE = "preset=card&w=64&h=48&fit=pad&format=webp&transparent=y&w2=32&format2=webp"


def test_copied_link_to_a_recipe_fills_in_the_form(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/")
    fill_in_a_recipe(page)
    page.get_by_role("button", name="Copy link to this recipe").click()
    expect(page.get_by_role("button", name="Link copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.endswith(f"/?{RECIPE}")
    page.goto(copied)
    expect(page.locator("#outputs-0-height")).to_have_value("48")
    expect(page.locator("#outputs-0-fit")).to_have_value("pad")
    expect(page.locator("#outputs-0-transparent")).to_be_checked()
    expect(page.locator("#outputs-1-width")).to_have_value("32")
    page.get_by_label("Keep for").select_option("3 days")
    page.get_by_role("button", name="Copy link to this recipe").click()
    expect(page).to_have_url(re.compile(re.escape(f"{RECIPE}&keep_hours=72")))
    page.reload()
    expect(page.get_by_label("Keep for")).to_have_value("72")


def test_last_recipe_is_there_the_next_time(page: Page) -> None:
    page.goto("/")
    fill_in_a_recipe(page)
    page.get_by_label("Keep for").select_option("1 hour")
    drop(page, {"a.jpg": make_jpeg()})
    make(page)
    page.goto("/")
    expect(page.locator(".cards :checked")).to_have_value("card")
    expect(page.get_by_label("Keep for")).to_have_value("1")
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


def test_own_size_and_retention_work_without_script(
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


def test_axe_finds_nothing_in_the_whole_form(page: Page) -> None:
    page.goto("/?w=64&quality=50&w2=32&widths=320")
    drop(page, {"good.jpg": make_jpeg(), "notes.jpg": b"words"})
    expect(page.locator(".row")).to_have_count(2)
    check_colors(page)


def test_whole_form_fits_every_screen(page: Page) -> None:
    page.goto("/?w=64&quality=50&w2=32&widths=320")
    drop(page, {"n" * 200 + ".jpg": make_jpeg(), "ש" * 80 + ".jpg": b"words"})
    expect(page.locator(".row")).to_have_count(2)
    expect_to_fit(page, 320, 390, 3840)


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


def test_targets_for_fingers_are_large_and_apart(browser: Browser, base_url: str) -> None:
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
    finished: list[Request] = []
    page.on("requestfinished", lambda request: finished.append(request))
    page.goto("/", wait_until="networkidle")
    shifts = page.evaluate(
        """() => new Promise((resolve) => {
            new PerformanceObserver((list) => resolve(list.getEntries().length))
                .observe({ type: "layout-shift", buffered: true });
            setTimeout(() => resolve(0), 500);
        })"""
    )
    assert shifts == 0
    sizes = [request.sizes() for request in finished]
    loaded = [size["responseHeadersSize"] + size["responseBodySize"] for size in sizes]
    assert len(loaded) > 5
    assert sum(loaded) < 60_000, loaded
