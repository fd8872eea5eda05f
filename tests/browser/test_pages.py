"""The way from a photo to its thumbnails, in a browser."""

import re
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.actions import drop, make, make_button, write_files
from tests.browser.measures import THUMBNAILS, check, natural_sizes
from tests.support.images import make_image, make_jpeg, make_png, make_truncated
from tests.support.servers import running

pytestmark = pytest.mark.browser


PHOTOS = {
    "portrait.jpg": make_jpeg(size=(400, 300), orientation=6, gps=True),
    "cutout.png": make_png("RGBA", (300, 200)),
    "palette.gif": make_image("P", (200, 100), "GIF"),
}


def test_dropped_files_become_thumbnails(page: Page) -> None:
    page.goto("/?preset=web-set")
    drop(page, PHOTOS)
    expect(page.locator(".contact")).to_have_count(3)
    make(page)
    expect(page.locator("h1")).to_have_text("3 of 3 done")
    assert natural_sizes(page) == [[400, 300], [300, 200], [200, 100]]


def test_failed_image_shows_why_beside_finished_ones(page: Page) -> None:
    page.goto("/")
    drop(page, {"good.jpg": make_jpeg(), "cut.jpg": make_truncated()})
    make(page)
    expect(page.locator("h1")).to_have_text("1 of 2 done · 1 failed")
    expect(page.locator(".frame.failed")).to_contain_text("This image is incomplete")


def test_strange_names_are_shown_as_they_are(page: Page) -> None:
    page.goto("/")
    names = ["<script>alert(1)<b>.jpg", 'quo"te.jpg', "日本電波塔.jpg", "n" * 300 + ".jpg"]
    drop(page, {name: make_jpeg() for name in names})
    expect(page.locator(".contact .name").first).to_have_text(names[0])
    make(page)
    expect(page.locator(".frame-name").first).to_have_text(names[0])
    width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width <= 0


def test_reload_of_the_job_page_shows_the_same(page: Page) -> None:
    page.goto("/")
    drop(page, PHOTOS)
    make(page)
    page.reload()
    expect(page.locator("h1")).to_have_text("3 of 3 done")
    expect(page.locator(".frame")).to_have_count(3)


def test_back_leads_to_a_fresh_upload_page(page: Page) -> None:
    page.goto("/")
    drop(page, {"a.jpg": make_jpeg()})
    make(page)
    page.go_back()
    expect(make_button(page)).to_be_visible()
    expect(page.locator(".contact")).to_have_count(0)


def test_job_is_made_without_script(browser: Browser, base_url: str, tmp_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False, base_url=base_url)
    page = context.new_page()
    page.goto("/")
    page.set_input_files("#images", write_files(tmp_path, PHOTOS))
    make_button(page).click()
    expect(page).to_have_url(re.compile("/jobs/"))
    expect(page.locator("h1")).to_have_text("3 of 3 done", timeout=20_000)
    expect(page.locator(THUMBNAILS)).to_have_count(3)
    context.close()


def test_sign_in_works_without_script(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path / "instance", access_token="a-token-for-this-test") as servers:
        context = browser.new_context(java_script_enabled=False, base_url=servers.url)
        page = context.new_page()
        page.goto("/")
        for token in ("wrong", "a-token-for-this-test"):
            page.get_by_label("Access token").fill(token)
            page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{servers.url}/")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Access token")).to_be_focused()
        context.close()
        with closing(browser.new_page()) as scripted:
            scripted.goto(f"{servers.url}/sign-in")
            check(scripted)
