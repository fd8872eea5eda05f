"""Add photos to a job on its page, send missing ones again, and replace files."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import (
    FINISHED,
    IN_PART,
    LARGE,
    drop,
    expect_done,
    expect_finished,
    gather,
    lose_by_reload,
    make,
    make_button,
    submit,
    write_files,
)
from tests.browser.lines import Line
from tests.browser.measures import check_colors, draw
from tests.support.images import make_jpeg, make_truncated

pytestmark = pytest.mark.browser

NAMES = ".frame-name"


def test_photos_dropped_on_the_page_of_a_job_are_added_to_it(page: Page) -> None:
    gather(page, "a.jpg")
    make(page)
    page.reload()
    drop(page, {"b.jpg": make_jpeg(), "c.jpg": make_jpeg()})
    expect_finished(page, "3 of 3 done")
    expect(page.locator(NAMES)).to_have_text(["a.jpg", "b.jpg", "c.jpg"])
    expect(page.locator(".frame.done")).to_have_count(3)


def test_photos_chosen_with_the_button_are_added(page: Page, tmp_path: Path) -> None:
    gather(page, "a.jpg")
    make(page)
    page.get_by_label("Add photos").set_input_files(
        write_files(tmp_path, {"b.jpg": make_jpeg(), "words.txt": b"words"})
    )
    expect_finished(page, "2 of 3 done · 1 skipped")


def test_photos_are_added_while_others_are_sent(page: Page, line: Line) -> None:
    page.goto(f"{line.url}/?preset=square")
    drop(page, {"1.bmp": LARGE, "2.bmp": LARGE})
    line.hold()
    submit(page)
    drop(page, {"3.jpg": make_jpeg()})
    expect(page.locator(NAMES)).to_have_text(["1.bmp", "2.bmp", "3.jpg"])
    line.release()
    expect_finished(page, "3 of 3 done")


def test_file_that_is_there_is_not_added_again(page: Page, tmp_path: Path) -> None:
    gather(page, "a.jpg")
    make(page)
    again = write_files(tmp_path, {"b.jpg": make_jpeg(size=(90, 90))})
    for _ in range(2):
        page.get_by_label("Add photos").set_input_files(again)
        expect_finished(page, "2 of 2 done")
    expect(page.locator(".bar:visible")).to_have_text("b.jpg is already there.")
    expect(page.locator(NAMES)).to_have_text(["a.jpg", "b.jpg"])


def test_photo_of_the_job_is_not_added_again_after_a_reload(page: Page, tmp_path: Path) -> None:
    gather(page, "a.jpg")
    make(page)
    page.reload()
    again = write_files(tmp_path, {"a.jpg": make_jpeg()})
    page.get_by_label("Add photos").set_input_files(again)
    expect(page.locator(".bar:visible")).to_have_text("a.jpg is already there.")
    expect_finished(page, "1 of 1 done")


def test_tools_take_clicks_while_photos_are_sent(page: Page, line: Line) -> None:
    page.set_viewport_size({"width": 390, "height": 700})
    page.goto(f"{line.url}/?preset=square")
    drop(page, {f"{n}.bmp": LARGE for n in range(4)})
    line.hold()
    submit(page)
    page.get_by_role("button", name="Remove 3.bmp").scroll_into_view_if_needed()
    for _ in range(8):
        page.mouse.wheel(0, 60)
        draw(page)
        inside = page.evaluate(
            """() => {
                const bar = document.querySelector(".tools").getBoundingClientRect();
                const at = document.elementFromPoint(bar.right - 30, bar.top + bar.height / 2);
                return at.closest(".tools") !== null;
            }"""
        )
        assert inside
    button = page.get_by_role("button", name="Remove 3.bmp")
    assert button.evaluate("(one) => one.scrollWidth <= one.clientWidth")


def test_photos_are_sent_on_when_a_deleted_job_is_restored(
    page: Page, line: Line, complaints: list[str]
) -> None:
    page.goto(f"{line.url}/?preset=square")
    drop(page, {"a.jpg": make_jpeg(), "1.bmp": LARGE, "2.bmp": LARGE})
    line.hold(after=1)
    submit(page)
    expect(page.locator(".frame.done")).to_have_count(1)
    other = page.context.new_page()
    other.goto(f"{page.url}/delete")
    other.get_by_role("button", name="Delete").click()
    expect(page.locator("h1")).to_have_text("This job is deleted")
    line.release()
    expect(page).to_have_title("This job is deleted · Thumbnails")
    expect(page.locator("#sending")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect_finished(page, "3 of 3 done")
    complaints.clear()  # Chromium reports the 410.


def test_files_lost_by_a_reload_are_added_again_by_name_and_size(
    page: Page, line: Line, tmp_path: Path
) -> None:
    photos = {f"{n}.jpg": make_jpeg(size=(300 + n, 200)) for n in range(3)}
    paths = write_files(tmp_path, photos)
    page.goto(f"{line.url}/?preset=square")
    page.locator("#images").set_input_files(paths)
    lose_by_reload(page, line)
    expect_finished(page, "1 of 3 done · 2 skipped")
    check_colors(page)
    other = write_files(tmp_path, {"other.jpg": make_jpeg()})
    page.get_by_label("Add them again").set_input_files([*paths, *other])
    expect_finished(page, "3 of 3 done")
    expect(page.locator(NAMES)).to_have_text(["0.jpg", "1.jpg", "2.jpg"])
    expect(page.locator("#skipped")).to_be_hidden()


def test_other_files_are_not_taken_for_missing_ones(page: Page, line: Line, tmp_path: Path) -> None:
    page.goto(f"{line.url}/?preset=square")
    drop(page, {"a.jpg": make_jpeg(), "b.bmp": LARGE})
    lose_by_reload(page, line)
    again = write_files(tmp_path, {"b.bmp": b"of another size"})
    page.get_by_label("Add them again").set_input_files(again)
    expect(page.locator(".bar:visible")).to_have_text(
        "None of these files is one that was skipped."
    )
    expect_finished(page, "1 of 2 done · 1 skipped")


def test_damaged_photo_is_replaced_by_a_sound_one(page: Page, tmp_path: Path) -> None:
    page.goto("/?preset=square")
    drop(page, {"a.jpg": make_jpeg(), "cut.jpg": make_truncated()})
    submit(page)
    expect_finished(page, "1 of 2 done · 1 failed")
    page.get_by_label("Replace cut.jpg").set_input_files(
        write_files(tmp_path, {"whole.jpg": make_jpeg()})
    )
    expect_finished(page, "2 of 2 done")
    expect(page.locator(NAMES)).to_have_text(["a.jpg", "whole.jpg"])


def test_refused_replacement_is_told(page: Page, tmp_path: Path, complaints: list[str]) -> None:
    page.goto("/?preset=square")
    drop(page, {"cut.jpg": make_truncated()})
    submit(page)
    expect_finished(page, "0 of 1 done · 1 failed")
    page.get_by_label("Replace cut.jpg").set_input_files(
        write_files(tmp_path, {"words.jpg": b"words"})
    )
    expect(page.locator(".bar:visible")).to_contain_text("This is text, not an image.")
    complaints.clear()  # Chromium reports the 415.


def test_going_back_and_forward_shows_the_form_and_the_job(page: Page) -> None:
    gather(page, "a.jpg")
    make(page)
    page.go_back()
    expect(make_button(page)).to_be_visible()
    page.go_forward()
    expect_done(page, "1 of 1 done")
    page.reload()
    page.go_back()
    expect(make_button(page)).to_be_visible()
    page.go_forward()
    expect_done(page, "1 of 1 done")


def test_two_tabs_add_photos_to_one_job(page: Page, line: Line) -> None:
    gather(page, "a.jpg")
    make(page)
    other = page.context.new_page()
    other.goto(page.url.replace(page.url.partition("/jobs")[0], line.url))
    line.hold()
    drop(other, {"b.bmp": LARGE})
    expect(other.locator(".frame.sending .ribbon")).to_contain_text(IN_PART)
    drop(page, {"c.jpg": make_jpeg()})  # This one is done first, and closes the job.
    expect(page.locator(".frame.done")).to_have_count(2)
    expect(page.locator(FINISHED)).to_be_visible()
    line.release()
    expect(other.locator(".frame.done")).to_have_count(3)
    expect_finished(other, "3 of 3 done")
