"""The upload page as a whole: by keyboard, on phones, without script."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.browser.actions import drop, expect_done, make_button, write_files
from tests.browser.measures import check_colors, expect_to_fit
from tests.support.images import make_jpeg

pytestmark = pytest.mark.browser


def test_job_is_made_by_keyboard_alone(page: Page, tmp_path: Path) -> None:
    page.on("filechooser", lambda chooser: None)  # From here on Chromium opens none of its own.
    page.goto("/")
    focus_by_tab(page, "#images")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(write_files(tmp_path, {"a.jpg": make_jpeg(size=(400, 300))}))
    expect(page.locator(".contact")).to_have_count(1)
    focus_by_tab(page, "[value=web-set]")
    page.keyboard.press("Space")
    focus_by_tab(page, "#own > summary")
    page.keyboard.press("Enter")
    focus_by_tab(page, "#outputs-0-width")
    page.keyboard.type("48")
    focus_by_tab(page, "#submit")
    page.keyboard.press("Enter")
    expect_done(page, "1 of 1 done")
    expect(page.locator(".thumbnails li")).to_contain_text(["48 × 36"])


def focus_by_tab(page: Page, selector: str) -> None:
    """Press Tab until something has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.locator(selector).evaluate("(element) => element === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to {selector}")


def test_own_size_and_retention_work_without_script(
    browser: Browser, base_url: str, tmp_path: Path
) -> None:
    context = browser.new_context(java_script_enabled=False, base_url=base_url)
    page = context.new_page()
    page.goto("/?w=64&h=48&fit=cover&format=webp&format=jpeg")
    page.get_by_label("Keep everything").select_option("for 1 hour")
    page.set_input_files("#images", write_files(tmp_path, {"a.jpg": make_jpeg(size=(400, 300))}))
    make_button(page).click()
    expect_done(page, "1 of 1 done")
    sizes = page.locator(".thumbnails li > span:first-child")
    expect(sizes).to_have_text(["64 × 48"])
    expect(page.locator(".thumbnails li a")).to_have_text(["JPEG", "WebP"])
    context.close()


def test_axe_finds_no_fault_in_the_whole_form(page: Page) -> None:
    page.goto("/?w=64&quality=50&w2=32&widths=320")
    drop(page, {"good.jpg": make_jpeg(), "notes.jpg": b"words"})
    expect(page.locator(".contact")).to_have_count(1)
    expect(page.locator(".skipped-file")).to_have_count(1)
    check_colors(page)


def test_whole_form_fits_every_screen(page: Page) -> None:
    page.goto("/?w=64&quality=50&w2=32&widths=320")
    drop(page, {"n" * 200 + ".jpg": make_jpeg(), "ש" * 80 + ".jpg": b"words"})
    expect(page.locator(".contact")).to_have_count(1)
    expect(page.locator(".skipped-file")).to_have_count(1)
    expect_to_fit(page, 320, 390, 3840)


def test_job_is_made_on_a_phone(browser: Browser, base_url: str, tmp_path: Path) -> None:
    context = browser.new_context(
        base_url=base_url, viewport={"width": 360, "height": 640}, is_mobile=True, has_touch=True
    )
    page = context.new_page()
    page.goto("/")
    page.set_input_files("#images", write_files(tmp_path, {"a.jpg": make_jpeg()}))
    page.locator("#submit").tap()
    expect_done(page, "1 of 1 done")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


# What can be touched on the page, whole; a label of a box or of the zone belongs to it.
TOUCHABLE = "a, button, summary, select, .file, .preset, .fit, .check, .choice"


def test_touch_targets_are_large_and_apart(browser: Browser, base_url: str) -> None:
    context = browser.new_context(
        base_url=base_url, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
    )
    page = context.new_page()
    page.goto("/?w=64&widths=320")
    zone = page.locator(".zone")
    expect(zone).to_contain_text("Choose photos", use_inner_text=True)
    for words in ("drop", "paste", "folder"):
        expect(zone).not_to_contain_text(words, use_inner_text=True, ignore_case=True)
    small, near = page.evaluate(
        """(touchable) => {
            const all = [...document.querySelectorAll(touchable)]
                .filter((element) => element.checkVisibility() && !element.matches(".skip"))
                .map((element) => ({ element, box: element.getBoundingClientRect() }));
            const name = ({ element }) => element.textContent.trim().slice(0, 40);
            const small = all.filter(({ box }) => box.width < 24 || box.height < 24).map(name);
            const near = all.flatMap((one, n) => all.slice(n + 1)
                .filter((other) => !one.element.contains(other.element))
                .filter((other) => Math.max(
                    other.box.left - one.box.right, one.box.left - other.box.right,
                    other.box.top - one.box.bottom, one.box.top - other.box.bottom) < 7.9)
                .map((other) => [name(one), name(other)]));
            return [small, near];
        }""",
        TOUCHABLE,
    )
    assert small == []
    assert near == []
    context.close()


def test_first_view_is_small_and_does_not_shift(page: Page) -> None:
    finished: list[Request] = []
    page.on("requestfinished", lambda request: finished.append(request))
    page.goto("/", wait_until="networkidle")
    shifts = page.evaluate(
        """() => new Promise((resolve) => {
            new PerformanceObserver((list) => resolve(list.getEntries().length))
                .observe({ type: "layout-shift", buffered: true });
            setTimeout(() => resolve(0), 500);
        })"""
    )
    assert shifts == 0
    loaded = {
        request.url.rpartition("/")[2]: request.sizes()["responseBodySize"]
        for request in finished
        if "/samples/" not in request.url
    }
    assert len(loaded) > 5
    assert sum(loaded.values()) < 50_000, loaded
