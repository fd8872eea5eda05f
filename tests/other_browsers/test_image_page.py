"""The page of one image: comparing it with its files, and its crop point."""

import pytest

from tests.other_browsers.driver import DOWN, RIGHT, SHIFT, UP, Driver
from tests.other_browsers.jobs import open_job
from tests.support.servers import Servers

CROP = "document.querySelector('.crops-of-image img').getAttribute('src')"

IS_ENLARGED = """(times) => {
    const picture = document.getElementById("after");
    const { width } = picture.getBoundingClientRect();
    return Math.round(width / picture.naturalWidth) === times;
}"""


@pytest.fixture
def image(window: Driver, servers: Servers) -> Driver:
    """A window that shows the page of an image with crops and whole pictures."""
    open_job(window, servers, "beach.jpg", presets=("avatar", "web-set"))
    window.click("beach.jpg", "a")
    window.see_heading("beach.jpg")
    return window


def test_files_are_compared_by_click_and_keys(image: Driver) -> None:
    image.click("Compare with 640 × 448 WebP", "input")
    image.see("640 × 448 WebP", ".sides")
    image.press(DOWN)
    image.see("640 × 448 JPEG", ".sides")


def test_line_between_original_and_result_is_moved_by_keys(image: Driver) -> None:
    image.focus("Line between original and result", "input")
    image.press(RIGHT)
    image.wait_for("() => document.getElementById('divider').ariaValueText === '51 % original'")


def test_picture_is_enlarged_and_fitted(image: Driver) -> None:
    image.click("200 %")
    image.wait_for(IS_ENLARGED, 2)
    image.click("Fit")
    image.wait_for(IS_ENLARGED, 1)


def test_crop_point_is_set_by_click(image: Driver) -> None:
    old = image.call(f"() => {CROP}")
    image.click("Crop point", "label")
    image.click("Crop point", "button", across=0.02)
    image.see_control("Crop point, 2 % from the left, 50 % from the top", "button")
    image.click("Use this point")
    image.wait_for(f"(old) => {CROP} !== old", old)


def test_crop_point_is_set_by_keys(image: Driver) -> None:
    image.click("Crop point", "label")
    image.focus("Crop point, automatic", "button")
    image.press(RIGHT)
    image.press(SHIFT, UP)
    image.wait_for(
        "() => /^Crop point, \\d+ % from the left/.test(document.getElementById('point').ariaLabel)"
    )


def test_alt_text_is_kept(image: Driver) -> None:
    image.fill("Alt text", "A red cup")
    image.click("Save alt text")
    image.see("Alt text saved.")
    image.reload()
    image.wait_for("() => document.getElementById('alt').value === 'A red cup'")


def test_back_leads_to_the_job(window: Driver, servers: Servers) -> None:
    open_job(window, servers, "beach.jpg")
    window.click("beach.jpg", "a")
    window.see_heading("beach.jpg")
    window.go(-1)
    window.see_heading("1 of 1 done")
    window.go(1)
    window.see_heading("beach.jpg")
