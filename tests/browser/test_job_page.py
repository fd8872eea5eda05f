"""The job page as a whole: without script, on every screen."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.actions import expect_done, expect_finished, make_button, write_files
from tests.browser.jobs import PHOTO, create_job, make_job, work_on
from tests.browser.measures import (
    are_undistorted,
    check_colors,
    check_on_screens,
    draw,
    expect_to_fit,
)
from tests.support.images import make_png, make_truncated
from tests.support.servers import Servers

pytestmark = pytest.mark.browser


def test_job_is_followed_and_changed_without_script(
    browser: Browser, idle: Servers, tmp_path: Path
) -> None:
    context = browser.new_context(java_script_enabled=False, base_url=idle.url)
    page = context.new_page()
    page.goto("/")
    files = {"a.jpg": PHOTO, "b.jpg": PHOTO, "c.jpg": make_truncated()}
    page.set_input_files("#images", write_files(tmp_path, files))
    page.get_by_label("Avatar").check()
    make_button(page).click()
    page.get_by_role("button", name="Cancel b.jpg").click()
    expect(page.locator("h1")).to_have_text("0 of 3 done · 1 cancelled")
    idle.start_one("consumer")
    expect_done(page, "1 of 3 done · 1 failed · 1 cancelled")
    page.get_by_role("button", name="Retry b.jpg").click()
    expect_done(page, "2 of 3 done · 1 failed")
    page.get_by_role("button", name="Copy markup of a.jpg").click()
    expect(page.locator("body")).to_contain_text("<picture>")
    page.go_back()
    page.locator("a.shot").first.click()
    assert are_undistorted(page)
    expect(page.locator(".sides")).to_contain_text("Original 1000 × 700 JPEG")
    page.get_by_role("radio", name="Compare with 256 × 256 WebP").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".sides")).to_contain_text("256 × 256 WebP")
    page.locator(".segment", has_text="Crop point").click()
    page.get_by_text("By numbers").click()
    page.get_by_label("From the left, 0 to 1").fill("0.2")
    page.get_by_label("From the top, 0 to 1").fill("0.5")
    page.get_by_role("button", name="Use this point").click()
    expect(page.locator("#focus-x")).to_have_value("0.20")
    page.locator(".segment", has_text="Crop point").click()
    page.get_by_role("button", name="Back to automatic").click()
    expect(page.locator("#focus-x")).to_have_value("")
    page.get_by_label("Alt text").fill("A red cup")
    page.get_by_role("button", name="Save alt text").click()
    expect(page.get_by_label("Alt text")).to_have_value("A red cup")
    page.get_by_role("link", name="All 3 photos").click()
    page.get_by_role("button", name="Copy markup", exact=True).click()
    page.get_by_role("button", name="Copy URLs of all photos").click()
    expect(page.locator("body")).to_contain_text("/avatar.webp")
    page.go_back()
    page.get_by_role("button", name="More").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="More")).to_be_focused()
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete").click()
    expect(page).to_have_url(f"{idle.url}/jobs")
    expect(page.locator(".undo")).to_contain_text("is deleted.")
    page.get_by_role("button", name="Undo").click()
    expect(page).to_have_url(re.compile(r"/jobs/[0-9a-f-]+$"))
    context.close()


def test_axe_finds_no_fault_on_the_job_page_in_any_state(page: Page, idle: Servers) -> None:
    files = {"a.jpg": PHOTO, "b.png": make_png("RGBA", (300, 200)), "c.jpg": make_truncated()}
    page.goto(create_job(page, idle, files, "avatar", "web-set"))
    page.get_by_role("button", name="Cancel b.png").click()
    expect(page.locator(".frame.cancelled")).to_have_count(1)
    check_colors(page)
    work_on(idle)
    expect_finished(page, "1 of 3 done · 1 failed · 1 cancelled")
    check_colors(page)
    page.goto(f"{idle.url}/jobs")
    check_colors(page)
    page.go_back()
    page.locator("a.shot").click()
    expect(page.locator("#stage img").first).to_be_visible()
    check_colors(page)
    page.go_back()
    page.locator("summary").first.click()
    for menu in ("Rename this job", "Copy markup", "More"):
        page.keyboard.press("Escape")
        page.get_by_role("button", name=menu, exact=True).click()
        check_colors(page)
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("h1")).to_have_text("This job is deleted")
    check_colors(page)


def test_job_and_image_fit_every_screen(page: Page, servers: Servers) -> None:
    names = ("very-long-" * 20 + ".jpg", "صورة.jpg")
    files = {**dict.fromkeys(names, PHOTO), "cut.jpg": make_truncated()}
    page.goto(make_job(page, servers, files, "avatar"))
    expect_to_fit(page, 320, 390, 3840)
    page.locator("a.shot").first.click()
    expect(page.locator("#stage img").first).to_be_visible()
    expect_to_fit(page, 320, 390, 3840)


def test_name_from_right_to_left_keeps_the_words_around_it(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"صورة جميلة.jpg": PHOTO}))
    name = page.locator(".frame-name bdi")
    expect(name).to_have_text("صورة جميلة.jpg")
    number = page.locator(".frame-number")
    left, right = number.bounding_box(), name.bounding_box()
    assert left
    assert right
    assert left["x"] + left["width"] <= right["x"] <= left["x"] + left["width"] + 20


def test_guests_photos_fill_each_row_and_are_not_enlarged(
    browser: Browser, page: Page, servers: Servers
) -> None:
    photos = {f"{number}.jpg": PHOTO for number in range(6)}
    url = make_job(page, servers, {**photos, "small.jpg": make_png(size=(90, 60))}, "web-set")
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        guest = context.new_page()
        guest.goto(url)
        pictures = guest.locator(".plate")
        expect(pictures).to_have_count(7)
        boxes = pictures.evaluate_all("(all) => all.map((one) => one.getBoundingClientRect())")
        rows_end = max(box["right"] for box in boxes if box["top"] == boxes[0]["top"])
        assert rows_end == pytest.approx(1440 - 32, abs=1)
        assert boxes[-1]["width"] <= 90
        check_on_screens(guest)
        guest.set_viewport_size({"width": 390, "height": 844})
        draw(guest)
        expect(pictures.first).to_have_js_property("offsetWidth", 358)
        assert are_undistorted(guest, ".plate:last-child img")
        pictures.first.locator("a").first.click()
        guest.go_back()
        expect(pictures).to_have_count(7)


def test_many_photos_are_found_filtered_and_laid_out_in_rows(page: Page, idle: Servers) -> None:
    names = [f"photo {number:02}.jpg" for number in range(30)]
    page.goto(create_job(page, idle, {**dict.fromkeys(names, PHOTO), "cut.jpg": make_truncated()}))
    shown = page.locator(".frame > .sheet:visible")
    page.get_by_label("Find a photo by name").fill("Photo 1")
    expect(shown).to_have_count(10)
    page.get_by_label("Find a photo by name").fill("nothing")
    expect(page.get_by_text("No photo has this name.")).to_be_visible()
    page.get_by_label("Find a photo by name").fill("")
    expect(shown).to_have_count(31)
    page.locator("#view-rows").check(force=True)
    page.reload()
    expect(page.locator("#view-rows")).to_be_checked()
    work_on(idle)
    expect_finished(page, "30 of 31 done · 1 failed")
    page.locator("#show-failed").check(force=True)
    expect(shown).to_have_count(1)
    check_colors(page)
