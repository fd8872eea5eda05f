"""The crops page of a job."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.jobs import make_job
from tests.browser.measures import WATCH_SHIFTS, expect_to_fit, layout_shift
from tests.support.images import make_corners, make_jpeg
from tests.support.servers import Servers

pytestmark = pytest.mark.browser

FILES = {
    "a.jpg": make_jpeg(image=make_corners((400, 200))),
    "b.jpg": make_jpeg(image=make_corners((200, 400))),
}
FINISHED = "#crops-poll:not([hx-get])"


def open_crops(page: Page, servers: Servers) -> None:
    """Make crops of two photos, and open their page."""
    page.goto(f"{make_job(page, servers, FILES, 'avatar', 'card')}/crops")


def test_click_moves_the_crops_of_one_photo_and_can_be_undone(page: Page, servers: Servers) -> None:
    page.add_init_script(WATCH_SHIFTS)
    open_crops(page, servers)
    first, second = page.locator(".photo").all()
    old = [one.get_attribute("src") for one in page.locator(".made").all()]
    first.locator(".point").click(position={"x": 250, "y": 20})
    undo = page.get_by_role("button", name="Undo, a.jpg")
    expect(undo).to_be_visible()
    expect(first.locator(".mark").first).to_have_attribute("x", "50%")
    expect(page.locator(FINISHED)).to_be_attached(timeout=20_000)
    for image in first.locator(".made").all():
        assert image.get_attribute("src") not in old
    for image in second.locator(".made").all():
        assert image.get_attribute("src") in old
    assert layout_shift(page) < 0.01
    undo.click()
    expect(undo).to_have_count(0)
    expect(page.locator(FINISHED)).to_be_attached(timeout=20_000)
    assert [one.get_attribute("src") for one in page.locator(".made").all()] == old
    expect_to_fit(page, 320, 1440)


def test_keys_move_a_point_from_where_automatic_crops_look(page: Page, servers: Servers) -> None:
    open_crops(page, servers)
    point = page.locator(".point").first
    x, y = (float(point.get_attribute(f"data-{axis}") or 0) for axis in "xy")
    assert (x, y) != (0.5, 0.5)
    point.focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowUp")
    # The fields have hundredths.
    left, top = (f"{100 * round(part, 2):.0f}" for part in (x + 0.1, y - 0.01))
    label = f"a.jpg. Crop point, {left} % from the left, {top} % from the top"
    expect(page.get_by_role("status")).to_have_text(label)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Undo, a.jpg")).to_be_visible()
    expect(point).to_have_attribute("aria-label", label)
    expect(point).to_be_focused()
    undo = page.get_by_role("button", name="Undo, a.jpg")
    undo.focus()
    page.keyboard.press("Enter")
    expect(undo).to_have_count(0)
    expect(page.locator(".photo:focus")).to_contain_text("a.jpg")


def test_keys_go_on_from_photo_to_photo(page: Page, servers: Servers) -> None:
    open_crops(page, servers)
    first, second = page.locator(".point").all()
    first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(second).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("status")).to_contain_text("b.jpg. Crop point, ")


def test_click_moves_a_point_without_script(page: Page, servers: Servers, browser: Browser) -> None:
    open_crops(page, servers)
    state = page.context.storage_state()
    with browser.new_context(java_script_enabled=False, storage_state=state) as context:
        plain = context.new_page()
        plain.goto(page.url)
        plain.locator(".point").nth(1).click(position={"x": 64, "y": 192})
        expect(plain.get_by_role("button", name="Undo, b.jpg")).to_be_visible()
        expect(plain.locator("#focus-2-x")).to_have_value("0.50")
        expect(plain.locator("#focus-2-y")).to_have_value("0.75")
