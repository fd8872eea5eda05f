"""The page of one image: comparing it with its original, and its focal point."""

from io import BytesIO
from typing import Any, Literal

import pytest
from PIL import Image
from playwright.sync_api import FloatRect, Page, Route, expect

from tests.browser.jobs import (
    PHOTO,
    create_job,
    image_url,
    make_job,
    run_out_of_time,
    work_on,
)
from tests.browser.measures import are_undistorted, expect_to_fit
from tests.support.images import encode, make_corners, make_jpeg
from tests.support.servers import Servers

pytestmark = pytest.mark.browser


DIVIDER = "Before/after position"


def open_image(page: Page, servers: Servers, *presets: str, data: bytes = PHOTO) -> None:
    """Make thumbnails of an image, and open its page."""
    job_url = make_job(page, servers, {"a.jpg": data}, *presets)
    page.goto(image_url(servers, job_url))


def test_divider_shows_more_of_the_original_by_keyboard(page: Page, servers: Servers) -> None:
    open_image(page, servers, "web-set")
    divider = page.get_by_label(DIVIDER)
    divider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(divider).to_have_value("55")
    assert "45%" in page.locator(".before").evaluate("(image) => getComputedStyle(image).clipPath")
    boxes = [page.locator(picture).bounding_box() for picture in (".before", ".after")]
    assert boxes[0] == pytest.approx(boxes[1], abs=1)


def test_panel_stays_where_it_is_for_each_comparison(page: Page, servers: Servers) -> None:
    open_image(page, servers, "square", "card", "social")
    panel, choice = page.locator(".bench > .stack"), page.get_by_label("Compare with")
    for width in (1280, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        places = []
        for option in choice.locator("option").all():
            choice.select_option(option.get_attribute("value"))
            assert are_undistorted(page)  # They are loaded, too.
            places.append(panel.bounding_box())
        assert len(places) > 2
        assert places == [places[0]] * len(places)


def test_cropped_thumbnail_is_shown_beside_the_original(page: Page, servers: Servers) -> None:
    open_image(page, servers, "card")
    expect(page.get_by_label(DIVIDER)).to_be_hidden()
    expect(page.locator(".before")).to_have_js_property("naturalWidth", 1000)
    assert are_undistorted(page)
    before, after = (page.locator(picture).bounding_box() for picture in (".before", ".after"))
    assert before
    assert after
    assert before["x"] + before["width"] <= after["x"]
    assert before["y"] + before["height"] == pytest.approx(after["y"] + after["height"], abs=1)


def test_nothing_compared_is_distorted_on_any_screen(page: Page, servers: Servers) -> None:
    turned = make_jpeg(size=(700, 1000), orientation=6)
    open_image(page, servers, "web-set", "card", "avatar", "square", data=turned)
    choice = page.get_by_label("Compare with")
    for width in (320, 800, 1360, 3840):
        views = set()
        for option in choice.locator("option").all():
            choice.select_option(option.get_attribute("value"))
            views.add(page.locator(".compare").get_attribute("class"))
            expect_to_fit(page, width)
            assert are_undistorted(page)
        assert views == {"compare over", "compare beside"}


@pytest.mark.parametrize("preset", ["web-set", "avatar"])
def test_nothing_moves_while_the_original_is_loaded(
    page: Page, servers: Servers, preset: str
) -> None:
    held: list[Route] = []
    page.route("**/original", lambda route: held.append(route))
    job_url = make_job(page, servers, {"a.jpg": PHOTO}, preset)
    page.goto(image_url(servers, job_url), wait_until="domcontentloaded")
    before, panel = page.locator(".before"), page.locator(".results")
    boxes = [before.bounding_box(), panel.bounding_box()]
    held[0].continue_()
    expect(before).to_have_js_property("naturalWidth", 1000)
    assert [before.bounding_box(), panel.bounding_box()] == boxes


def test_focal_point_stands_beside_the_pictures_on_a_wide_screen(
    page: Page, servers: Servers
) -> None:
    page.set_viewport_size({"width": 1360, "height": 900})
    open_image(page, servers, "avatar", data=make_jpeg(size=(3000, 1000)))
    compared, panel = page.locator(".compare").bounding_box(), page.locator("#focus").bounding_box()
    assert compared
    assert panel
    assert compared["x"] + compared["width"] <= panel["x"]
    assert compared["y"] == panel["y"]


def test_choices_are_kept_while_crops_are_recreated(page: Page, servers: Servers) -> None:
    open_image(page, servers, "web-set", "avatar")
    choice, divider = page.get_by_label("Compare with"), page.get_by_label(DIVIDER)
    page.get_by_text("HTML, ready to paste").click()
    divider.fill("30")
    chosen = choice.locator("option", has_text="320 × 224 WebP")
    choice.select_option(chosen.get_attribute("value"))
    old = page.locator(".after").get_attribute("src") or ""
    (crop,) = addresses_of_crops(page)
    page.locator(".focus-picture").click(position={"x": 20, "y": 20})
    expect(page.locator(f".print img[src='{crop}']")).to_have_count(0, timeout=20_000)
    expect(page.locator("#image-panel:not([hx-get])")).to_be_visible(timeout=20_000)
    assert old.endswith("/320w.webp")
    expect(page.locator(".after")).to_have_attribute("src", old)
    expect(page.locator(".after-facts .scripted option:checked")).to_contain_text("320 × 224 WebP")
    expect(divider).to_have_value("30")
    assert "70%" in page.locator(".before").evaluate("(image) => getComputedStyle(image).clipPath")
    expect(page.get_by_label("HTML of all of a.jpg")).to_be_visible()


def test_new_panel_keeps_the_focus(page: Page, servers: Servers) -> None:
    open_image(page, servers, "web-set")
    for place in (".divider", "#after", ".code-of summary"):
        page.locator(place).focus()
        page.evaluate(
            """() => {
                const panel = document.getElementById("image-panel");
                panel.dataset.old = "";
                const swap = { source: panel, target: panel, swap: "outerHTML" };
                return htmx.ajax("GET", `${location.pathname}/panel`, swap);
            }"""
        )
        expect(page.locator("#image-panel:not([data-old])")).to_be_visible()
        expect(page.locator(place)).to_be_focused()


def test_failed_image_is_retried_without_leaving_its_page(page: Page, idle: Servers) -> None:
    job_url = create_job(page, idle, {"a.jpg": PHOTO})
    run_out_of_time(idle)
    page.goto(image_url(idle, job_url))
    retry = page.get_by_role("button", name="Retry a.jpg")
    retry.press("Enter")
    expect(retry).to_have_count(0)
    run_out_of_time(idle)
    expect(retry).to_be_visible()
    expect(page.locator("h1")).to_have_text("a.jpg")


def test_click_on_the_image_moves_all_its_crops(page: Page, servers: Servers) -> None:
    open_image(page, servers, "avatar", "card", data=make_jpeg(image=make_corners((400, 200))))
    colors = []
    for share in (0.02, 0.98):
        before = addresses_of_crops(page)
        assert len(before) == 2
        box = page.locator(".focus-picture").bounding_box()
        assert box
        page.locator(".focus-picture").click(
            position={"x": share * box["width"], "y": box["height"] / 2}
        )
        expect(page.locator("#focus-x")).to_have_value(f"{share:.2f}")
        for address in before:
            expect(page.locator(f".print img[src='{address}']")).to_have_count(0, timeout=20_000)
        expect(page.locator("#image-panel:not([hx-get])")).to_be_visible(timeout=20_000)
        colors.append(colors_in_the_middle(page))
    assert all(left != right for left, right in zip(*colors, strict=True))


def addresses_of_crops(page: Page) -> list[str]:
    return page.locator(".focus .print img").evaluate_all(  # type: ignore[no-any-return]
        "(images) => images.map((image) => image.getAttribute('src'))"
    )


def colors_in_the_middle(page: Page) -> list[list[int]]:
    """Read a pixel in the upper middle of each print, rounded against compression."""
    return page.evaluate(  # type: ignore[no-any-return]
        """() => Promise.all([...document.querySelectorAll(".print img")].map(async (image) => {
            image.loading = "eager";
            await image.decode();
            const context = new OffscreenCanvas(1, 1).getContext("2d");
            context.drawImage(image, -image.naturalWidth / 2, -image.naturalHeight / 4);
            return [...context.getImageData(0, 0, 1, 1).data].map((level) => level >> 6);
        }))"""
    )


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)])
@pytest.mark.parametrize("shape", [(1000, 700), (700, 1000)])
def test_crops_stay_in_place_beside_the_picture_that_is_clicked(
    page: Page, idle: Servers, size: tuple[int, int], shape: tuple[int, int]
) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    corners = make_jpeg(image=make_corners(shape))
    job_url = create_job(page, idle, {"a.jpg": corners}, "web-set", "card", "avatar")
    work_on(idle)
    page.goto(image_url(idle, job_url))
    page.locator(".focus-picture").evaluate("(picture) => picture.scrollIntoView()")
    crops = page.get_by_role("list", name="Crops").get_by_role("listitem")
    old = addresses_of_crops(page)
    before = [crop.bounding_box() for crop in crops.all()]
    assert len(before) == 2
    page.locator(".focus-picture").click(position={"x": 5, "y": 5})
    expect(crops.get_by_text("previous")).to_have_count(2)
    assert [crop.bounding_box() for crop in crops.all()] == before
    for crop in crops.all():
        expect(crop).to_be_in_viewport(ratio=1)
    work_on(idle)
    expect(crops.get_by_text("previous")).to_have_count(0)
    assert [crop.bounding_box() for crop in crops.all()] == before
    assert not set(old) & set(addresses_of_crops(page))
    # What is whole stands where it stood, once.
    expect(page.locator(".prints:not(.focus *) li")).not_to_have_count(0)
    expect(page.locator(".prints:not(.focus *)", has_text="256 × 256")).to_have_count(0)


@pytest.mark.parametrize("color", ["#0a6a96", "#84cdec", "#000000", "#767676"])
def test_divider_and_focal_point_are_visible_on_any_image(
    page: Page, servers: Servers, color: str
) -> None:
    flat = encode(Image.new("RGB", (700, 500), color), "png")
    open_image(page, servers, "web-set", "avatar", data=flat)
    page.get_by_role("button", name="Crop around this point").press("Enter")
    expect(page.locator(".focus-point")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")
    cropped, compared = (page.locator(it).bounding_box() for it in (".focus-picture", ".before"))
    assert cropped
    assert compared
    middle = (cropped["x"] + cropped["width"] / 2, cropped["y"] + cropped["height"] / 2)
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        assert contrast(page, *middle, side=40) >= 3
        divider = (compared["x"] + compared["width"] / 2, compared["y"] + 50)
        assert contrast(page, *divider, side=20) >= 3


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


def test_focal_point_is_set_by_keyboard(page: Page, servers: Servers) -> None:
    open_image(page, servers, "avatar")
    made = page.locator(".after")
    before = made.get_attribute("src")
    page.get_by_label("From the left, 0 to 1").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(made).not_to_have_attribute("src", before or "", timeout=20_000)
    expect(page.get_by_label("From the left, 0 to 1")).to_have_value("0.51")
    expect(page.locator(".focus-point")).to_be_visible()


def test_focal_point_is_reset_by_keyboard(page: Page, servers: Servers) -> None:
    open_image(page, servers, "avatar")
    page.get_by_role("button", name="Crop around this point").press("Enter")
    way_back = page.get_by_role("button", name="Reset to recipe")
    way_back.press("Enter")
    expect(page.locator("#focus-help")).to_contain_text("Using the recipe's focal point.")
    expect(way_back).to_have_count(0)
    expect(page.locator("h1")).to_be_focused()
    expect(page.locator("#image-panel:not([hx-get])")).to_be_visible(timeout=20_000)


def test_focus_stays_on_the_button_that_crops(page: Page, servers: Servers) -> None:
    open_image(page, servers, "avatar")
    made = page.locator(".after")
    before = made.get_attribute("src")
    page.get_by_role("button", name="Crop around this point").focus()
    page.keyboard.press("Enter")
    expect(made).not_to_have_attribute("src", before or "", timeout=20_000)
    expect(page.get_by_role("button", name="Crop around this point")).to_be_focused()


def test_back_leads_from_the_image_to_its_job(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    page.locator("a.shot").click()
    expect(page.locator("h1")).to_have_text("a.jpg")
    page.go_back()
    expect(page.locator("h1")).to_have_text("1 of 1 done")
    page.go_forward()
    expect(page.locator("h1")).to_have_text("a.jpg")
