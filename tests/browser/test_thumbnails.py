"""One thumbnail: opened in a tab, and saved."""

import pytest
from playwright.sync_api import Page

from tests.browser.jobs import PHOTO, make_job
from tests.support.servers import Servers

pytestmark = pytest.mark.browser


def test_thumbnail_in_a_tab_is_in_the_middle_without_complaints(
    page: Page, servers: Servers
) -> None:
    page.goto(make_job(page, servers, {"coffee.jpg": PHOTO}))
    address = page.locator("a[download]").first.get_attribute("href")
    assert address
    page.goto(address)
    box = page.locator("img").bounding_box()
    size = page.viewport_size
    assert box
    assert size
    assert abs(box["x"] - (size["width"] - box["x"] - box["width"])) < 2
    assert abs(box["y"] - (size["height"] - box["y"] - box["height"])) < 2


def test_saved_thumbnail_has_the_name_of_its_photo(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"coffee.jpg": PHOTO}))
    page.locator(".files summary").click()
    with page.expect_download() as saved:
        page.locator("a[download]").first.click()
    assert saved.value.suggested_filename == "coffee-square.jpg"
