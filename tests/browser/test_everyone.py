"""Every page in every state: accessibility, screens and colour schemes."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.actions import expect_done
from tests.browser.jobs import post_form, work_on
from tests.browser.lines import line_to
from tests.browser.measures import WATCH_SHIFTS, check_on_screens, layout_shift, shifts
from tests.browser.scenes import (
    FILES,
    LONG,
    RIGHT_TO_LEFT,
    SCENES,
    UNBROKEN,
    Stage,
    is_of_a_refusal,
    set_stage,
)
from tests.support.errors import ERRORS
from tests.support.servers import Servers
from webapp.jobs.store import Store

pytestmark = pytest.mark.browser


# Errors have one template. Of its variants, 401 and 500 have most: a button, a paragraph.
SAME_ERRORS = {f"error-{status}" for status in ERRORS.keys() - {401, 404, 500}}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with set_stage(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture(autouse=True)
def refusals_are_no_complaints(complaints: list[str], no_complaints: None) -> Iterator[None]:
    """Take from the console what it says of error pages, before it is looked at."""
    yield
    complaints[:] = [said for said in complaints if not is_of_a_refusal(said)]


def unfold(page: Page) -> None:
    """Open all that is folded: it is part of the page too."""
    page.eval_on_selector_all("details", "(all) => all.forEach((part) => (part.open = true))")


@pytest.mark.parametrize("scene", [scene for scene in SCENES if scene not in SAME_ERRORS])
def test_axe_finds_no_fault_in_light_dark_or_on_a_phone(
    page: Page, stage: Stage, scene: str
) -> None:
    SCENES[scene](page, stage)
    unfold(page)
    check_on_screens(page)


@pytest.mark.parametrize("scene", ["upload-queue", "job-done", "jobs", "api", "error-404"])
def test_page_uses_the_width_of_a_4k_screen(page: Page, stage: Stage, scene: str) -> None:
    page.set_viewport_size({"width": 3840, "height": 2160})
    SCENES[scene](page, stage)
    assert page.evaluate("document.documentElement.scrollWidth") <= 3840
    header = page.get_by_role("banner").bounding_box()
    assert header
    assert header["width"] > 3600


@pytest.mark.parametrize("scene", ["upload-queue", "job-waiting", "job-done", "job-partly-failed"])
def test_long_and_right_to_left_names_stay_in_their_box(
    page: Page, stage: Stage, scene: str
) -> None:
    SCENES[scene](page, stage)
    for width in (320, 1360):
        page.set_viewport_size({"width": width, "height": 800})
        for name in (LONG, RIGHT_TO_LEFT, UNBROKEN):
            shown = page.get_by_text(name, exact=True).locator("visible=true")
            assert shown.count()
            for place in shown.all():
                assert place.evaluate("(element) => element.closest('bdi') !== null")
                box = place.locator("xpath=ancestor-or-self::li[1]").bounding_box()
                assert box
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= width


@pytest.mark.parametrize("scene", ["upload-queue", "job-waiting", "job-working", "job-done"])
def test_nothing_moves_with_reduced_motion(page: Page, stage: Stage, scene: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    SCENES[scene](page, stage)
    moving = "document.getAnimations().filter((a) => a.effect.getComputedTiming().duration > 1)"
    assert page.evaluate(f"{moving}.length") == 0


def test_progress_is_visible_in_high_contrast(page: Page, stage: Stage) -> None:
    page.emulate_media(forced_colors="active")
    SCENES["job-working"](page, stage)
    picture = Image.open(BytesIO(page.get_by_role("progressbar").first.screenshot())).convert("RGB")
    middle = picture.height // 2
    ends = [picture.getpixel((x, middle)) for x in (2, picture.width - 3)]
    assert ends[0] != ends[1]


def test_focus_is_visible_in_high_contrast(page: Page, stage: Stage) -> None:
    page.emulate_media(forced_colors="active")
    SCENES["upload"](page, stage)
    for _ in range(12):
        page.keyboard.press("Tab")
        outlined = page.evaluate(
            """() => {
                for (let e = document.activeElement; e; e = e.parentElement) {
                    const { outlineStyle, outlineWidth } = getComputedStyle(e);
                    if (outlineStyle !== "none" && parseFloat(outlineWidth) >= 2) return true;
                }
            }"""
        )
        assert outlined, page.evaluate("document.activeElement.outerHTML")


def test_first_key_offers_to_skip_to_the_content(page: Page, stage: Stage) -> None:
    SCENES["jobs"](page, stage)
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Skip to content")
    expect(link).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


@pytest.mark.parametrize("scene", ["job-done", "jobs", "api"])
def test_paper_shows_the_content_and_no_controls(page: Page, stage: Stage, scene: str) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    SCENES[scene](page, stage)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.locator("button:visible, .button:visible, nav:visible").count() == 0
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"


@pytest.mark.parametrize("width", [390, 1360])
@pytest.mark.parametrize("scene", ["upload", "job-working", "job-done", "jobs"])
def test_nothing_shifts_while_a_page_loads_slowly(
    page: Page, stage: Stage, scene: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.add_init_script(WATCH_SHIFTS)
    with line_to(stage.url) as line:
        SCENES[scene](page, replace(stage, url=line.url))  # Its style is in the cache from now on.
        line.is_plain = True  # A pause falls between the parts of a page.
        line.stops = re.compile(rb"(?=<(p|ul|li|form|details|section|fieldset|h1|h2|footer)\b)")
        line.pause = 0.04
        page.reload()
        assert line.pauses > 5
        # A countdown that ticks meanwhile moves by a ten-thousandth.
        assert [shift for shift in shifts(page) if shift[0] > 0.001] == []


@pytest.mark.parametrize("width", [390, 1360])
def test_nothing_shifts_while_thumbnails_appear(page: Page, idle: Servers, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    sound = dict(list(FILES.items())[:-1])
    page.add_init_script(WATCH_SHIFTS)
    store = Store(idle.instance / "jobs.db")
    with closing(idle.client()) as client, closing(store.db):
        # A line that says that there is no worker would disappear later.
        store.operations.beat("worker")
        path = post_form(client, sound)
        session = {"name": "session", "value": client.cookies["session"], "url": idle.url}
        page.context.add_cookies([session])  # type: ignore[list-item]
        page.goto(f"{idle.url}{path}")
    work_on(idle)
    expect_done(page, "4 of 4 done")
    assert layout_shift(page) < 0.01, shifts(page)
