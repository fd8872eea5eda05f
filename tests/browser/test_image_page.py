"""The page of one image: comparing it with its files, and its crop point."""

from io import BytesIO
from typing import Any, Literal

import pytest
from PIL import Image
from playwright.sync_api import Browser, FloatRect, Locator, Page, Route, expect

from tests.browser.jobs import (
    PHOTO,
    create_job,
    image_url,
    make_job,
    run_out_of_time,
    work_on,
)
from tests.browser.measures import (
    NOTICE,
    WATCH_SHIFTS,
    are_undistorted,
    check_on_screens,
    expect_to_fit,
    shifts,
)
from tests.browser.routes import WORDS, refuse
from tests.support.images import encode, make_corners, make_jpeg
from tests.support.servers import Servers

pytestmark = pytest.mark.browser


DIVIDER = "Line between original and result"
FINISHED = "#image-panel:not([hx-get])"
TRIALS = ".trial:visible"


def open_image(page: Page, servers: Servers, *presets: str, data: bytes = PHOTO) -> None:
    """Make thumbnails of an image, and open its page."""
    job_url = make_job(page, servers, {"a.jpg": data}, *presets)
    page.goto(image_url(servers, job_url))


def choose(page: Page, text: str) -> None:
    """Press a button of the bar: a tool or a zoom."""
    page.locator(".segment", has_text=text).click()


def files(page: Page) -> Locator:
    return page.get_by_role("radio", name="Compare with")


def box_of(page: Page, place: str) -> FloatRect:
    box = page.locator(place).bounding_box()
    assert box
    return box


def aim(page: Page, x: float, y: float = 0.5) -> None:
    """Click on the picture, at fractions of its sides."""
    choose(page, "Crop point")
    box = box_of(page, "#point")
    page.locator("#point").click(position={"x": x * box["width"], "y": y * box["height"]})


def use_point(page: Page) -> None:
    page.get_by_role("button", name="Use this point").click()


def point_of(page: Page) -> list[str]:
    return [page.locator(f"#focus-{axis}").input_value() for axis in "xy"]


# Compare


def test_line_is_moved_by_keyboard_and_says_where_it_is(page: Page, servers: Servers) -> None:
    open_image(page, servers, "web-set")
    divider = page.get_by_label(DIVIDER)
    divider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(divider).to_have_value("55")
    expect(divider).to_have_attribute("aria-valuetext", "55 % original")
    assert "45%" in page.locator(".before").evaluate("(image) => getComputedStyle(image).clipPath")
    assert box_of(page, ".before") == pytest.approx(box_of(page, ".after"), abs=1)


def test_line_follows_a_drag_anywhere_on_the_picture(page: Page, servers: Servers) -> None:
    open_image(page, servers, "web-set")
    box = box_of(page, ".after")
    across, y = box["width"] / 10, box["y"] + 30
    page.mouse.move(box["x"] + 8 * across, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 2 * across, y, steps=4)
    page.mouse.up()
    assert int(page.get_by_label(DIVIDER).input_value()) == pytest.approx(20, abs=1)
    line = box_of(page, ".handle")
    assert line["x"] + line["width"] / 2 == pytest.approx(box["x"] + 2 * across, abs=5)


def test_click_on_a_file_compares_it_and_a_reload_too(page: Page, servers: Servers) -> None:
    open_image(page, servers, "web-set", "card")
    before = page.locator(".before").element_handle()
    page.get_by_label(DIVIDER).fill("30")
    row = page.locator(".output", has_text="640 × 448").first
    row.click()
    expect(page.locator(".after")).to_have_attribute("width", "640")
    expect(page.locator(".sides")).to_contain_text("640 × 448")
    # Neither the original is loaded again nor the line moved.
    assert page.locator(".before").evaluate("(now, old) => now === old", before)
    expect(page.get_by_label(DIVIDER)).to_have_value("30")
    page.reload()
    expect(page.locator(".after")).to_have_attribute("width", "640")
    expect(row.get_by_role("radio")).to_be_checked()


def test_files_are_compared_by_arrow_keys(page: Page, servers: Servers) -> None:
    open_image(page, servers, "web-set")
    files(page).first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".after")).to_have_attribute("width", "640")
    expect(files(page).nth(2)).to_be_focused()
    expect(files(page).nth(2)).to_be_checked()


def test_stage_stays_where_it_is_for_each_file(page: Page, servers: Servers) -> None:
    open_image(page, servers, "square", "card", "social", "web-set")
    for width in (390, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        places = []
        for number, file in enumerate(files(page).all()):
            file.check()
            expect(files(page).nth(number)).to_be_checked()
            address = file.get_attribute("value")
            expect(page.locator(f".after[src$='/{address}']")).to_be_visible()
            assert are_undistorted(page)  # They are loaded, too.
            places.append([box_of(page, "#stage"), box_of(page, ".outputs")])
        assert len(places) > 2
        assert places == [places[0]] * len(places)


def test_cropped_file_is_shown_beside_the_original(page: Page, servers: Servers) -> None:
    open_image(page, servers, "card")
    expect(page.get_by_label(DIVIDER)).to_have_count(0)
    expect(page.locator(".before")).to_have_js_property("naturalWidth", 1000)
    assert are_undistorted(page)
    before, after = box_of(page, ".before"), box_of(page, ".after")
    assert before["x"] + before["width"] <= after["x"]


def test_nothing_compared_is_distorted_or_enlarged(page: Page, servers: Servers) -> None:
    turned = make_jpeg(size=(700, 1000), orientation=6)
    open_image(page, servers, "web-set", "card", "avatar", "square", data=turned)
    for width in (320, 800, 1360, 3840):
        views = set()
        for file in files(page).all():
            file.check()
            shown = page.locator(f".after[src$='/{file.get_attribute('value')}']")
            expect(shown).to_be_visible()
            views.add(page.locator(".compare").get_attribute("class"))
            expect_to_fit(page, width)
            assert are_undistorted(page)
            assert box_of(page, ".after")["width"] <= int(shown.get_attribute("width") or 0) + 1
        assert views == {"compare over", "compare beside"}


def test_guest_sees_the_largest_picture_no_larger_than_it_is(
    page: Page, servers: Servers, browser: Browser
) -> None:
    open_image(page, servers, "web-set", data=make_jpeg(size=(400, 300)))
    with browser.new_context() as context:
        guest = context.new_page()
        guest.goto(page.url)
        expect(guest.locator(".after")).to_have_js_property("naturalWidth", 400)
        assert box_of(guest, ".after")["width"] == pytest.approx(400, abs=1)
        expect(guest.locator(".sides")).to_contain_text("400 × 300 WebP")
        expect(guest.get_by_text("Crop point")).to_have_count(0)


def test_enlarged_picture_is_panned_by_a_drag(page: Page, servers: Servers) -> None:
    open_image(page, servers, "web-set")
    for zoom, factor in (("100 %", 1), ("200 %", 2)):
        choose(page, zoom)
        assert box_of(page, ".after")["width"] == pytest.approx(1000 * factor, abs=1)
        assert box_of(page, ".before") == pytest.approx(box_of(page, ".after"), abs=1)
    stage, line = box_of(page, "#stage"), box_of(page, ".handle")
    middle = stage["x"] + stage["width"] / 2
    assert line["x"] == pytest.approx(middle, abs=12)  # Enlarged around the middle.
    page.mouse.move(stage["x"] + 100, stage["y"] + 200)
    page.mouse.down()
    page.mouse.move(stage["x"] + 180, stage["y"] + 150, steps=4)
    page.mouse.up()
    assert box_of(page, ".handle")["x"] == pytest.approx(line["x"] + 80, abs=2)
    expect(page.get_by_label(DIVIDER)).to_have_value("50")
    page.locator(".handle svg").hover()
    page.mouse.down()
    page.mouse.move(line["x"], stage["y"] + 200, steps=4)
    page.mouse.up()
    expect(page.get_by_label(DIVIDER)).to_have_value("46")
    choose(page, "Fit")
    assert box_of(page, ".after")["width"] <= stage["width"]


@pytest.mark.parametrize("preset", ["web-set", "avatar"])
def test_nothing_moves_while_the_original_is_loaded(
    page: Page, servers: Servers, preset: str
) -> None:
    held: list[Route] = []
    page.route("**/original", lambda route: held.append(route))
    job_url = make_job(page, servers, {"a.jpg": PHOTO}, preset)
    page.goto(image_url(servers, job_url), wait_until="domcontentloaded")
    boxes = [box_of(page, place) for place in (".before", ".loupe-side", ".sides")]
    held[0].continue_()
    expect(page.locator(".before")).to_have_js_property("naturalWidth", 1000)
    assert [box_of(page, place) for place in (".before", ".loupe-side", ".sides")] == boxes


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_shifts_while_an_image_is_made(page: Page, idle: Servers, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.add_init_script(WATCH_SHIFTS)
    job_url = create_job(page, idle, {"a.jpg": PHOTO}, "web-set", "avatar")
    page.goto(image_url(idle, job_url))
    expect(page.get_by_text("Waiting", exact=True)).to_be_visible()
    work_on(idle)
    expect(page.locator(FINISHED)).to_be_visible()
    expect(page.locator(".before")).to_have_js_property("naturalWidth", 1000)
    moved = shifts(page)
    assert sum(shift for shift, _ in moved) < 0.01, moved


def test_files_are_compared_without_script(page: Page, servers: Servers, browser: Browser) -> None:
    open_image(page, servers, "web-set", "avatar")
    state = page.context.storage_state()
    with browser.new_context(java_script_enabled=False, storage_state=state) as context:
        plain = context.new_page()
        plain.goto(page.url)
        before, after = box_of(plain, ".before"), box_of(plain, ".after")
        assert before["x"] + before["width"] <= after["x"]
        plain.get_by_role("radio", name="Compare with 640").last.check()
        plain.get_by_role("button", name="Compare").click()
        expect(plain.locator(".after")).to_have_attribute("width", "640")
        plain.locator(".segment", has_text="Crop point").click()
        plain.get_by_text("By numbers").click()
        plain.get_by_label("From the left, 0 to 1").fill("0.25")
        plain.get_by_label("From the top, 0 to 1").fill("0.5")
        plain.get_by_role("button", name="Use this point").click()
        expect(plain.locator("#focus-x")).to_have_value("0.25")
        expect(plain.locator(".mark")).to_have_attribute("x", "0.0%")


# What the page keeps


def test_new_panel_keeps_focus_and_choices(page: Page, servers: Servers) -> None:
    open_image(page, servers, "web-set", "avatar")
    page.get_by_label(DIVIDER).fill("30")
    choose(page, "100 %")
    for place in ("#divider", "[name=after]:checked", "#copy-markup"):
        page.locator(place).focus()
        page.evaluate(
            """() => {
                const panel = document.getElementById("image-panel");
                panel.dataset.old = "";
                const swap = { source: panel, target: panel, swap: "outerMorph" };
                return htmx.ajax("GET", panel.dataset.url, swap);
            }"""
        )
        expect(page.locator("#image-panel:not([data-old])")).to_be_visible()
        expect(page.locator(place)).to_be_focused()
    expect(page.get_by_label(DIVIDER)).to_have_value("30")
    assert box_of(page, ".after")["width"] == pytest.approx(1000, abs=1)


def test_failed_image_is_retried_without_leaving_its_page(page: Page, idle: Servers) -> None:
    job_url = create_job(page, idle, {"a.jpg": PHOTO})
    run_out_of_time(idle)
    page.goto(image_url(idle, job_url))
    retry = page.get_by_role("button", name="Retry a.jpg")
    retry.press("Enter")
    expect(retry).to_have_count(0)
    expect(page.locator("h1")).to_be_focused()
    run_out_of_time(idle)
    expect(retry).to_be_visible()
    expect(page.locator("h1")).to_have_text("a.jpg")


# The crop point


def test_point_is_tried_before_anything_is_sent(page: Page, servers: Servers) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    open_image(page, servers, "avatar", "card", data=make_jpeg(image=make_corners((400, 200))))
    expect(page.locator(TRIALS)).to_have_count(0)
    boxes = page.locator(".made").evaluate_all("(all) => all.map((one) => one.clientWidth)")
    for x, start in ((0.02, "0%"), (0.98, "50%")):
        aim(page, x)
        assert point_of(page) == [f"{x:.2f}", "0.50"]
        expect(page.locator("#mark-avatar")).to_have_attribute("x", start)
        expect(page.locator(TRIALS)).to_have_count(2)
    expect(page.locator("#trial-avatar")).to_have_attribute("viewBox", "50 0 50 100")
    expect(page.get_by_label("Crop point, 98 % from the left, 50 % from the top")).to_be_visible()
    trials = page.locator(TRIALS).evaluate_all("(all) => all.map((one) => one.clientWidth)")
    assert trials == boxes
    assert "POST" not in sent
    page.get_by_role("button", name="Back to automatic").click()
    expect(page.locator(TRIALS)).to_have_count(0)
    assert point_of(page) == ["", ""]
    assert "POST" not in sent


def test_point_follows_a_drag(page: Page, servers: Servers) -> None:
    open_image(page, servers, "avatar")
    choose(page, "Crop point")
    box = box_of(page, "#point")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4, steps=4)
    page.mouse.up()
    assert point_of(page) == ["0.25", "0.25"]
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    assert point_of(page) == ["0.25", "0.25"]


def test_used_point_moves_all_crops(page: Page, servers: Servers) -> None:
    open_image(page, servers, "avatar", "card", data=make_jpeg(image=make_corners((400, 200))))
    colors = []
    for x in (0.02, 0.98):
        old = addresses_of_crops(page)
        assert len(old) == 2
        aim(page, x)
        use_point(page)
        for address in old:
            expect(page.locator(f".made[src='{address}']")).to_have_count(0, timeout=20_000)
        expect(page.locator(FINISHED)).to_be_visible(timeout=20_000)
        expect(page.locator(TRIALS)).to_have_count(0)
        colors.append(colors_in_the_middle(page))
    assert all(left != right for left, right in zip(*colors, strict=True))


def addresses_of_crops(page: Page) -> list[str]:
    return page.locator(".made").evaluate_all(  # type: ignore[no-any-return]
        "(images) => images.map((image) => image.getAttribute('src'))"
    )


def colors_in_the_middle(page: Page) -> list[list[int]]:
    """Read a pixel in the upper middle of each crop, rounded against compression."""
    return page.evaluate(  # type: ignore[no-any-return]
        """() => Promise.all([...document.querySelectorAll(".made")].map(async (image) => {
            await image.decode();
            const context = new OffscreenCanvas(1, 1).getContext("2d");
            context.drawImage(image, -image.naturalWidth / 2, -image.naturalHeight / 4);
            return [...context.getImageData(0, 0, 1, 1).data].map((level) => level >> 6);
        }))"""
    )


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)])
@pytest.mark.parametrize("shape", [(1000, 700), (700, 1000)])
def test_crops_stay_in_place_while_they_are_made(
    page: Page, idle: Servers, size: tuple[int, int], shape: tuple[int, int]
) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    corners = make_jpeg(image=make_corners(shape))
    job_url = create_job(page, idle, {"a.jpg": corners}, "web-set", "card", "avatar")
    work_on(idle)
    page.goto(image_url(idle, job_url))
    old = addresses_of_crops(page)
    crops = page.get_by_role("list", name="Crops").get_by_role("listitem")
    aim(page, 0.01, 0.01)
    before = [crop.bounding_box() for crop in crops.all()]
    assert len(before) == 2
    for crop in crops.all():
        expect(crop).to_be_in_viewport(ratio=1)
    use_point(page)
    expect(page.locator("#image-panel[data-state=waiting]")).to_be_visible()
    expect(page.locator(TRIALS)).to_have_count(2)  # Not the previous ones.
    assert [crop.bounding_box() for crop in crops.all()] == before
    work_on(idle)
    expect(page.locator(TRIALS)).to_have_count(0)
    assert [crop.bounding_box() for crop in crops.all()] == before
    assert not set(old) & set(addresses_of_crops(page))


@pytest.mark.parametrize("color", ["#0a6a96", "#84cdec", "#000000", "#ffffff", "#767676"])
def test_line_point_and_outlines_are_visible_on_any_image(
    page: Page, servers: Servers, color: str
) -> None:
    flat = encode(Image.new("RGB", (700, 500), color), "png")
    open_image(page, servers, "web-set", "avatar", data=flat)
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        choose(page, "Compare")
        box = box_of(page, ".after")
        assert contrast(page, box["x"] + box["width"] / 2, box["y"] + 50, side=20) >= 3
        aim(page, 0.5)
        box = box_of(page, "#point")
        middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert contrast(page, *middle, side=40) >= 3
        edge = box["x"] + box["width"] / 7  # Of the square in 7 × 5.
        assert contrast(page, edge, box["y"] + 200, side=20) >= 3


def contrast(page: Page, x: float, y: float, side: int) -> float:
    """Return the WCAG contrast of the strongest colour around a point."""
    clip: FloatRect = {"x": x - side / 2, "y": y - side / 2, "width": side, "height": side}
    # To hide the caret, Playwright would add a style that our policy refuses.
    picture = page.screenshot(clip=clip, caret="initial")
    shown = Image.open(BytesIO(picture)).convert("RGB")
    ground = luminance(shown.getpixel((0, 0)))
    pairs = [sorted((ground, luminance(color))) for _, color in shown.getcolors(99_999) or ()]
    return max((lighter + 0.05) / (darker + 0.05) for darker, lighter in pairs)


def luminance(color: Any) -> float:
    levels = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (level / 255 for level in color)
    ]
    red, green, blue = map(float, levels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_point_is_set_by_keyboard(page: Page, servers: Servers) -> None:
    open_image(page, servers, "avatar")
    old = addresses_of_crops(page)
    page.locator("#tool-crop").check()
    point = page.get_by_role("button", name="Crop point, automatic")
    start = [float(page.locator("#point").get_attribute(f"data-{axis}") or 0) for axis in "xy"]
    point.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    moved = point_of(page)
    assert moved == [f"{start[0] + 0.01:.2f}", f"{start[1] - 0.1:.2f}"]
    x, y = (100 * float(part) for part in moved)
    expect(page.get_by_role("status")).to_have_text(
        f"Crop point, {x:.0f} % from the left, {y:.0f} % from the top"
    )
    page.get_by_role("button", name="Use this point").press("Enter")
    expect(page.locator(f".made[src='{old[0]}']")).to_have_count(0, timeout=20_000)
    expect(page.get_by_role("button", name="Use this point")).to_be_focused()
    assert point_of(page) == moved


def test_way_back_to_automatic_is_pressed_by_keyboard(page: Page, servers: Servers) -> None:
    open_image(page, servers, "avatar")
    aim(page, 0.3)
    use_point(page)
    expect(page.locator("#automatic[type=submit]")).to_be_visible()
    page.get_by_role("button", name="Back to automatic").press("Enter")
    expect(page.locator("#automatic[type=submit]")).to_have_count(0)
    expect(page.locator("#marks.unset")).to_be_attached()
    assert point_of(page) == ["", ""]
    expect(page.locator("h1")).to_be_focused()
    expect(page.locator(FINISHED)).to_be_visible(timeout=20_000)


def test_refused_point_shows_why_and_stays(
    page: Page, servers: Servers, complaints: list[str]
) -> None:
    open_image(page, servers, "avatar")
    aim(page, 0.3)
    page.route("**/focus", refuse)
    use_point(page)
    expect(page.locator(NOTICE)).to_have_text(WORDS)
    assert point_of(page) == ["0.30", "0.50"]
    page.unroute("**/focus")
    page.context.set_offline(True)
    use_point(page)
    # A poll of the panel may meet the same network, and tell of it too.
    notice = page.locator(NOTICE, has_text="The server could not be reached. Try again.")
    expect(notice).to_be_visible()
    page.context.set_offline(False)
    page.goto("about:blank")  # No request is left that could fail.
    complaints.clear()


def test_alt_text_is_written_beside_the_photo(page: Page, servers: Servers) -> None:
    open_image(page, servers, "web-set")
    field = page.get_by_label("Alt text, goes into the markup")
    expect(field).to_have_attribute("placeholder", "a")
    field.fill("A red cup")
    save = page.get_by_role("button", name="Save alt text")
    save.press("Enter")
    expect(page.locator(NOTICE)).to_have_text("Alt text saved.")
    expect(page.get_by_role("status")).to_have_text("Alt text saved.")
    expect(save).to_be_focused()
    page.reload()
    expect(field).to_have_value("A red cup")
    field.fill("")
    save.click()
    expect(field).to_have_text("")


def test_slider_shows_a_quality_before_it_is_used(page: Page, servers: Servers) -> None:
    open_image(page, servers, "web-set", data=make_jpeg(size=(1000, 700)))
    page.locator(".output", has_text="640 × 448").first.click()
    expect(page.locator(".after")).to_have_attribute("width", "640")
    slider = page.get_by_label("Quality to try")
    expect(slider).to_have_value("80")
    old = page.locator(".after").get_attribute("src")
    slider.fill("30")
    expect(page.locator("#trial")).to_contain_text("30 instead of 80: ")
    expect(page.get_by_role("status")).to_contain_text("30 instead of 80: ")
    shown = page.locator(".after[src*='/trials/'][src*='-30.']")
    expect(shown).to_have_js_property("naturalWidth", 640)
    size = str(page.locator("#trial").text_content()).rpartition("→ ")[2]
    expect(page.locator("#result-facts")).to_contain_text(size)
    page.get_by_role("button", name="Use this quality").press("Enter")
    made = page.locator(".after:not([src*='/trials/'])")
    expect(made).not_to_have_attribute("src", str(old), timeout=20_000)
    expect(slider).to_have_value("30")


@pytest.mark.parametrize("tool", ["Compare", "Crop point"])
def test_axe_finds_no_fault_on_the_image_page(page: Page, servers: Servers, tool: str) -> None:
    open_image(page, servers, "web-set", "avatar", "card")
    choose(page, tool)
    if tool == "Crop point":
        aim(page, 0.3)
        page.get_by_text("By numbers").click()
    else:
        page.get_by_role("button", name="Copy markup").click()
    check_on_screens(page)


def test_back_leads_from_the_image_to_its_job(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    page.locator("a.shot").click()
    expect(page.locator("h1")).to_have_text("a.jpg")
    page.go_back()
    expect(page.locator("h1")).to_have_text("1 of 1 done")
    page.go_forward()
    expect(page.locator("h1")).to_have_text("a.jpg")
