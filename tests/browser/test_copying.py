"""Copying markup to the clipboard."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.jobs import PHOTO, create_job, make_job
from tests.browser.measures import NOTICE, check_on_screens
from tests.browser.routes import WORDS, refuse
from tests.support.servers import Servers

pytestmark = pytest.mark.browser


@pytest.fixture
def copied(page: Page, servers: Servers) -> Page:
    """Return the page of a job whose thumbnails can be copied."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    return page


def copy(page: Page, kind: str = "HTML with links to this server") -> None:
    page.get_by_role("button", name="Copy markup", exact=True).click()
    page.get_by_role("button", name=f"Copy {kind} of all photos").click()


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


def test_text_is_copied_over_plain_http(copied: Page) -> None:
    """Without a secure context there is no clipboard, but what is selected can be copied."""
    address = copied.url
    clipboard_before = copied.context.new_page()
    copied.add_init_script("delete Navigator.prototype.clipboard")
    copied.reload()
    copy(copied)
    expect(copied.get_by_role("status")).to_contain_text(
        "Copied HTML with links to this server of all photos."
    )
    assert copied.url == address
    clipboard_before.goto(address)
    assert clipboard(clipboard_before).startswith("<img src=")
    clipboard_before.close()


def test_text_is_shown_selected_where_nothing_can_be_copied(copied: Page) -> None:
    address = copied.url
    copied.add_init_script(
        "delete Navigator.prototype.clipboard; document.execCommand = () => false"
    )
    copied.reload()
    copy(copied)
    dialog = copied.get_by_role("dialog")
    expect(dialog).to_contain_text("Copy the selected text yourself.")
    selected = "getSelection().toString() || document.activeElement.value"
    assert copied.evaluate(selected).startswith("<img src=")
    copied.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert copied.url == address


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
    page.locator(".files summary").click()
    button = page.get_by_role("button", name="Copy Square 100 × 100 of my cat.jpg")
    url = base_url + str(page.locator(".thumbnails a").first.get_attribute("href"))
    button.click()
    told = page.get_by_role("status")
    expect(told).to_contain_text("Copied Square 100 × 100 of my cat.jpg. Links work until ")
    expect(told).to_contain_text("For your site, take the zip.")
    assert clipboard(page) == (
        f'<img src="{url}" width="100" height="100" alt="my cat" loading="lazy" decoding="async">\n'
    )
    copy(page, "Markdown")
    expect(told).to_contain_text("Copied Markdown of all photos.")
    page.reload()
    page.locator(".files summary").click()
    button.focus()
    page.keyboard.press("Enter")
    expect(told).to_contain_text("Copied Square 100 × 100")
    assert clipboard(page) == f"![my cat]({url})\n"


def test_each_copy_says_how_long_it_works(copied: Page) -> None:
    copy(copied, "HTML for your site")
    told = copied.get_by_role("status")
    expect(told).to_have_text(
        "Copied HTML for your site of all photos."
        " Its pictures are the files of the zip. It works as long as you keep them."
    )
    expect(copied.locator("#copy-menu")).to_be_hidden()
    copied.get_by_role("button", name="Share", exact=True).click()
    expect(told).to_have_text(re.compile(r"^Link copied\. Anyone .* until \w.*\.$"))
    assert "UTC" not in told.inner_text()
    assert clipboard(copied) == copied.url


@pytest.mark.usefixtures("copying")
def test_responsive_set_is_copied_as_a_picture_element(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO, "b.jpg": PHOTO}, "web-set"))
    page.get_by_role("button", name="Copy markup of b.jpg").click()
    expect(page.get_by_role("status")).to_contain_text("Copied markup of b.jpg")
    assert clipboard(page).count("<picture>") == 1
    copy(page)
    expect(page.get_by_role("status")).to_contain_text(
        "Copied HTML with links to this server of all photos"
    )
    text = clipboard(page)
    assert text.count("<picture>") == 2
    for part in ("srcset=", "sizes=", "width=", "height=", "alt="):
        assert part in text


def test_command_of_the_job_is_copied(copied: Page, base_url: str) -> None:
    copied.get_by_text("Make this with curl").click()
    check_on_screens(copied)
    copied.get_by_role("button", name="Copy command").click()
    expect(copied.get_by_role("status")).to_have_text(
        "Copied the command. Run it in the folder of the photos."
    )
    assert clipboard(copied) == (
        f"curl {base_url}/api/v1/jobs \\\n  -F file=@a.jpg \\\n  -F preset=square"
    )


def test_command_stays_unfolded_while_the_job_changes(page: Page, idle: Servers) -> None:
    page.goto(create_job(page, idle, {"a.jpg": PHOTO}))
    page.get_by_text("Make this with curl").click()
    page.set_input_files("#images", {"name": "b.jpg", "mimeType": "image/jpeg", "buffer": PHOTO})
    expect(page.locator("#command")).to_contain_text("-F file=@b.jpg")
    expect(page.locator("#command")).to_be_visible()
