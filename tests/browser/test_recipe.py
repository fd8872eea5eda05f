"""Choosing what to make on the upload page, and the errors of a recipe."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.actions import choose_preset, drop, make, make_button
from tests.support.images import make_jpeg

pytestmark = pytest.mark.browser

FILES = ".thumbnails li"  # A row for each size, with a link to the file of each format.


def test_next_size_begins_like_the_last(page: Page) -> None:
    page.goto("/")
    page.get_by_text("Add a size of your own").click()
    page.locator("#outputs-0-fit").get_by_label("Crop to fill").check()
    page.locator("#outputs-0-format").get_by_label("AVIF").check()
    page.get_by_text("Quality, size limit, background, crop").click()
    page.locator("#outputs-0-focus").select_option("smart")
    page.get_by_role("button", name="Add another size").click()
    expect(page.locator("#outputs-1-fit :checked")).to_have_value("cover")
    expect(page.locator("#outputs-1-focus")).to_have_value("smart")
    expect(page.locator("#outputs-1-format").get_by_label("AVIF")).to_be_checked()
    expect(page.locator("#outputs-1-width")).to_have_value("")


def test_custom_size_is_made(page: Page) -> None:
    page.goto("/")
    choose_preset(page, "none of them")
    page.get_by_text("Add a size of your own").click()
    page.locator("#outputs-0-width").fill("64")
    page.locator("#outputs-0-height").fill("48")
    page.locator("#outputs-0-fit").get_by_label("Crop to fill").check()
    page.get_by_role("button", name="Add another size").click()
    page.locator("#outputs-1-width").fill("32")
    page.locator("#outputs-1-fit").get_by_label("Fit inside").check()
    drop(page, {"a.jpg": make_jpeg(size=(400, 300))})
    make(page)
    expect(page.locator(FILES)).to_contain_text(["64 × 48", "32 × 24"])
    expect(page.locator(FILES)).to_contain_text(["WebP", "WebP"])


def test_wrong_size_gets_its_error_beside_the_field(page: Page, complaints: list[str]) -> None:
    page.goto("/")
    page.get_by_text("Add a size of your own").click()
    page.locator("#outputs-0-width").fill("0")
    page.get_by_text("Add a size of your own").click()
    drop(page, {"a.jpg": make_jpeg()})
    make_button(page).click()
    error = page.locator("#outputs-0-width-error")
    expect(error).to_have_text("The width must be from 1 to 4096 pixels.")
    expect(page.locator("#outputs-0-width")).to_be_focused()
    complaints.clear()  # Chromium reports every 422.


def ask_for_nothing(page: Page) -> Locator:
    page.goto("/")
    choose_preset(page, "none of them")
    drop(page, {"a.jpg": make_jpeg()})
    expect(page.locator(".contact")).to_have_count(1)
    make_button(page).click()
    error = page.get_by_text("Choose at least one size.")
    expect(error).to_be_visible()
    return error


def test_missing_output_gets_its_error_at_the_presets(page: Page, complaints: list[str]) -> None:
    error = ask_for_nothing(page)
    expect(error).to_have_id("presets-error")
    expect(page.locator(".preset input").first).to_be_focused()
    expect(page.locator("#outputs")).to_be_hidden()
    complaints.clear()


def test_error_mark_disappears_when_the_form_changes(page: Page, complaints: list[str]) -> None:
    error = ask_for_nothing(page)
    page.locator(".preset input").last.check()
    expect(error).to_be_hidden()
    expect(page.locator("[aria-invalid=true]")).to_have_count(0)
    complaints.clear()


def test_error_of_missing_images_disappears_with_the_first_image(page: Page) -> None:
    page.goto("/")
    make_button(page).click()
    error = page.get_by_text("Choose at least one photo.")
    expect(error).to_be_visible()
    drop(page, {"a.jpg": make_jpeg()})
    expect(error).to_be_hidden()
    expect(page.locator("[aria-invalid=true]")).to_have_count(0)


def test_size_is_made_in_every_format_chosen(page: Page) -> None:
    page.goto("/")
    choose_preset(page, "none of them")
    page.get_by_text("Add a size of your own").click()
    page.locator("#outputs-0-width").fill("32")
    page.locator("#outputs-0-format").get_by_label("JPEG").check()
    drop(page, {"a.jpg": make_jpeg(size=(400, 300))})
    make(page)
    expect(page.locator(FILES)).to_contain_text(["32 × 24"])
    expect(page.locator(f"{FILES} a")).to_have_text(["JPEG", "WebP"])


def test_responsive_set_is_every_width_in_every_format(page: Page) -> None:
    page.goto("/")
    choose_preset(page, "none of them")
    page.get_by_text("Add widths").click()
    page.get_by_label("Widths, px").fill("40 20")
    drop(page, {"a.jpg": make_jpeg(size=(400, 300))})
    make(page)
    expect(page.locator(FILES)).to_contain_text(["40 × 30", "20 × 15"])
    expect(page.locator(f"{FILES} a")).to_have_text(["JPEG", "WebP", "JPEG", "WebP"])


def test_error_of_too_many_sizes_is_beside_the_last(page: Page, complaints: list[str]) -> None:
    page.goto("/?preset=square&" + "&".join(f"w{number}={number}" for number in range(1, 20)))
    page.get_by_role("button", name="Add another size").click()
    page.locator("#outputs-19-width").fill("77")
    drop(page, {"a.jpg": make_jpeg()})
    make_button(page).click()
    expect(page.locator(".field-error:visible")).to_have_text(
        "A job makes at most 20 files from each photo."
    )
    expect(page.locator("#outputs-19-width")).to_be_focused()
    complaints.clear()  # That the server refused it.


def test_too_many_pixels_are_reported_while_typing(page: Page) -> None:
    page.goto("/?w=4000&h=4000&format=png&w2=4000&h2=4000&fit2=cover&format2=png&preset=web-set")
    told = page.locator(".field-error:visible")
    page.get_by_text("Add widths").click()
    expect(told).to_have_count(0)
    page.get_by_label("Widths, px").fill("2500, 3000")
    expect(told).to_contain_text("All sizes together have at most 64 megapixels. These have")
    page.get_by_label("Widths, px").fill("2500")
    expect(told).to_have_count(0)
    page.get_by_label("Widths, px").fill("2500, 3000")
    page.get_by_role("button", name="remove this size").last.click()
    expect(told).to_have_count(0)


# The first error of a size lies within the panel, which scrolls.
IS_IN_VIEW = """() => {
  const panel = document.querySelector(".what")?.getBoundingClientRect();
  const told = document.querySelector("#outputs-0-width-error")?.getBoundingClientRect();
  return panel && told?.height > 0 && panel.top <= told.top && told.bottom <= panel.bottom;
}"""


@pytest.mark.parametrize("height", [480, 768])
def test_error_of_a_size_is_in_view(page: Page, complaints: list[str], height: int) -> None:
    page.set_viewport_size({"width": 1366, "height": height})
    page.goto("/?preset=square&w=5000&max_kb=9")
    drop(page, {"a.jpg": make_jpeg()})
    make_button(page).click()
    problem = page.locator("#outputs-0-width-error")
    expect(problem).to_have_text("The width must be from 1 to 4096 pixels.")
    page.wait_for_function(IS_IN_VIEW)  # The panel may scroll for a moment.
    complaints.clear()  # That the server refused it.


def test_error_is_beside_its_size_after_another_was_removed(
    page: Page, complaints: list[str]
) -> None:
    page.goto("/?w=10&w2=20&w3=30")
    page.locator(".output").nth(2).get_by_label("Width").fill("5000")
    page.locator(".output").nth(1).get_by_role("button", name="remove this size").click()
    drop(page, {"a.jpg": make_jpeg()})
    make_button(page).click()
    last = page.locator(".output").nth(1)
    expect(last.locator(".field-error:visible")).to_have_text(
        "The width must be from 1 to 4096 pixels."
    )
    expect(last.get_by_label("Width")).to_be_focused()
    complaints.clear()  # That the server refused it.


def fill_in_a_recipe(page: Page) -> None:
    choose_preset(page, "card")
    page.get_by_text("Add a size of your own").click()
    page.locator("#outputs-0-width").fill("64")
    page.locator("#outputs-0-height").fill("48")
    page.locator("#outputs-0-fit").get_by_label("Whole photo on a colour").check()
    page.get_by_text("Quality, size limit, background, crop").click()
    page.locator("#outputs-0-transparent").check()
    page.get_by_role("button", name="Add another size").click()
    page.locator("#outputs-1-width").fill("32")
    page.locator("#outputs-1-fit").get_by_label("Fit inside").check()
    page.locator("#outputs-1-transparent").uncheck()


RECIPE = "preset=card&w=64&h=48&fit=pad&format=webp&transparent=y&w2=32&format2=webp"


def test_copied_link_to_a_recipe_fills_in_the_form(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/")
    fill_in_a_recipe(page)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Link copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.endswith(f"/?{RECIPE}")
    page.goto(copied)
    expect(page.locator("#outputs-0-height")).to_have_value("48")
    expect(page.locator("#outputs-0-fit :checked")).to_have_value("pad")
    expect(page.locator("#outputs-0-transparent")).to_be_checked()
    expect(page.locator("#outputs-1-width")).to_have_value("32")
    page.get_by_label("Keep everything").select_option("for 3 days")
    page.get_by_role("button", name="Copy link").click()
    expect(page).to_have_url(re.compile(re.escape(f"{RECIPE}&keep_hours=72")))
    page.reload()
    expect(page.get_by_label("Keep everything")).to_have_value("72")


def test_retention_is_chosen(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Keep everything").select_option("for 7 days")
    drop(page, {"a.jpg": make_jpeg()})
    make(page)
    kept = page.locator("time").first.get_attribute("datetime")
    days = page.evaluate("(moment) => (new Date(moment) - new Date()) / 86_400_000", kept)
    assert days == pytest.approx(7, abs=0.01)
