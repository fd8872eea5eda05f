"""Copying markup to the clipboard."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.jobs import PHOTO, make_job
from tests.browser.measures import NOTICE
from tests.browser.routes import WORDS, refuse
from tests.support.servers import Servers

pytestmark = pytest.mark.browser


@pytest.fixture
def copied(page: Page, servers: Servers) -> Page:
    """Return the page of a job whose thumbnails can be copied."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    return page


def copy(page: Page) -> None:
    page.get_by_role("button", name="Copy all images").click()


def test_refused_copy_shows_why_and_the_page_stays(copied: Page, complaints: list[str]) -> None:
    address = copied.url
    copied.route("**/markup?*", refuse)
    copy(copied)
    expect(copied.locator(NOTICE)).to_have_text(f"Not copied. {WORDS}")
    assert copied.url == address
    complaints.clear()


def test_copy_without_connection_shows_why_and_the_page_stays(
    copied: Page, complaints: list[str]
) -> None:
    address = copied.url
    copied.context.set_offline(True)
    copy(copied)
    expect(copied.locator(NOTICE)).to_have_text(
        "Not copied. The server could not be reached. Try again."
    )
    assert copied.url == address
    complaints.clear()


def test_text_is_shown_where_there_is_no_clipboard(copied: Page, complaints: list[str]) -> None:
    copied.add_init_script("delete Navigator.prototype.clipboard")
    copied.reload()
    copy(copied)
    expect(copied.locator("body")).to_contain_text("<img src=")
    complaints.clear()  # Chromium asks a text for an icon.


def clipboard(page: Page) -> str:
    return page.evaluate("navigator.clipboard.readText()")  # type: ignore[no-any-return]


@pytest.fixture
def copying(context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])


@pytest.mark.usefixtures("copying")
def test_thumbnail_is_copied_in_the_last_chosen_format(
    page: Page, servers: Servers, base_url: str
) -> None:
    page.goto(make_job(page, servers, {"my cat.jpg": PHOTO}))
    button = page.get_by_role("button", name="Copy 100 × 100 JPEG of my cat.jpg")
    url = base_url + str(page.locator(".thumbnails a").first.get_attribute("href"))
    button.click()
    expect(page.get_by_role("status")).to_have_text("Copied 100 × 100 JPEG of my cat.jpg")
    assert clipboard(page) == (
        f'<img src="{url}" width="100" height="100" alt="my cat" loading="lazy" decoding="async">\n'
    )
    page.get_by_role("radio", name="Markdown").check()
    page.reload()
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Copied 100 × 100 JPEG of my cat.jpg")
    assert clipboard(page) == f"![my cat]({url})\n"
    expect(page.get_by_role("radio", name="Markdown")).to_be_checked()


@pytest.mark.usefixtures("copying")
def test_responsive_set_is_copied_as_a_picture_element(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO, "b.jpg": PHOTO}, "web-set"))
    page.get_by_role("button", name="Copy all 6 of b.jpg").click()
    expect(page.get_by_role("status")).to_have_text("Copied all 6 of b.jpg")
    assert clipboard(page).count("<picture>") == 1
    page.get_by_role("button", name="Copy all images").click()
    expect(page.get_by_role("status")).to_have_text("Copied all images")
    text = clipboard(page)
    assert text.count("<picture>") == 2
    for part in ("srcset=", "sizes=", "width=", "height=", "alt="):
        assert part in text
