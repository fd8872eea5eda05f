"""The page of a job, the list of jobs, and what guests see of them."""

from pathlib import Path

import pytest

from tests.browser.actions import write_files
from tests.browser.jobs import run_out_of_time, work_on
from tests.other_browsers.driver import CONTROL, ENTER, Driver
from tests.other_browsers.jobs import PHOTO, create_job, open_job
from tests.support.images import make_truncated
from tests.support.servers import Servers

# How many cards of photos are shown.
COUNT_CARDS = """(count) =>
    [...document.querySelectorAll(".frame")].filter((card) => card.innerText).length === count"""
# The type of what a link or the form of a button leads to, and the name it is saved by.
DOWNLOAD = """async (selector) => {
    const link = document.querySelector(selector);
    const { headers } = await fetch(link.href ?? link.form.action);
    return [headers.get("Content-Type"), link.download ?? headers.get("Content-Disposition")];
}"""


def paste(window: Driver) -> str:
    """Paste into a new field; return what was in the clipboard."""
    window.call(
        """() => {
            const area = document.createElement("textarea");
            area.id = "pasted";
            document.querySelector("main").prepend(area);
            area.focus();
        }"""
    )
    window.press(CONTROL, "v")
    text: str = window.wait_for("() => document.getElementById('pasted').value")
    return text


# Copy and download


def test_markup_is_copied(window: Driver, servers: Servers) -> None:
    open_job(window, servers, "beach.jpg")
    window.click("Copy markup", "button")
    window.click("Copy HTML with links to this server of all photos")
    window.see("Copied HTML with links to this server of all photos.")
    assert paste(window).startswith(f'<img src="{servers.url}/')


def test_markup_is_copied_over_plain_http(window: Driver, servers: Servers) -> None:
    """Without a secure context there is no clipboard, but what is selected can be copied."""
    open_job(window, servers, "beach.jpg")
    window.call("() => { delete Navigator.prototype.clipboard; }")
    window.click("Copy markup of beach.jpg")
    window.see("Copied markup of beach.jpg.")
    assert paste(window).startswith(f'<img src="{servers.url}/')


def test_link_is_copied(window: Driver, servers: Servers) -> None:
    url = open_job(window, servers, "beach.jpg")
    window.click("Share")
    window.see("Link copied.")
    assert paste(window) == url


def test_file_is_saved_by_the_name_of_its_photo(window: Driver, servers: Servers) -> None:
    open_job(window, servers, "beach.jpg")
    window.click("1 file of beach.jpg")
    window.see_control("Download beach-square.jpg")
    assert window.call(DOWNLOAD, ".thumbnails a") == ["image/jpeg", "beach-square.jpg"]


def test_zip_is_saved(window: Driver, servers: Servers) -> None:
    open_job(window, servers, "beach.jpg")
    window.see_control("Download zip · 1 file")
    kind, name = window.call(DOWNLOAD, "#download-zip")
    assert kind == "application/zip"
    assert name.startswith("attachment; ")


# Follow and change


def test_waiting_photos_are_cancelled_and_retried(window: Driver, idle: Servers) -> None:
    window.open(create_job(window, idle, {"a.jpg": PHOTO, "b.jpg": PHOTO}))
    window.click("Cancel b.jpg")
    window.see_heading("0 of 2 done · 1 cancelled")
    work_on(idle)
    window.see_heading("1 of 2 done · 1 cancelled")
    window.click("Retry b.jpg")
    window.see_heading("1 of 2 done")
    work_on(idle)
    window.see_heading("2 of 2 done")


def test_failed_photo_says_why(window: Driver, servers: Servers) -> None:
    window.open(create_job(window, servers, {"a.jpg": PHOTO, "cut.jpg": make_truncated()}))
    window.see_heading("1 of 2 done · 1 failed")
    window.see("cut.jpg failed. This image is incomplete")


def test_photo_is_added_to_a_job(window: Driver, servers: Servers, tmp_path: Path) -> None:
    open_job(window, servers, "beach.jpg")
    [added] = write_files(tmp_path, {"hills.jpg": PHOTO})
    window.choose("#images", [Path(added)])
    window.see_heading("2 of 2 done")


def test_damaged_photo_is_replaced(window: Driver, servers: Servers, tmp_path: Path) -> None:
    window.open(create_job(window, servers, {"a.jpg": PHOTO, "cut.jpg": make_truncated()}))
    window.see_control("Replace cut.jpg", "input")
    [whole] = write_files(tmp_path, {"whole.jpg": PHOTO})
    window.choose("[aria-label='Replace cut.jpg']", [Path(whole)])
    window.see_heading("2 of 2 done")


def test_photos_are_found_by_name_and_filtered(window: Driver, idle: Servers) -> None:
    names = [f"photo {number:02}.jpg" for number in range(30)]
    url = create_job(window, idle, dict.fromkeys(names, PHOTO))
    run_out_of_time(idle)
    window.open(url)
    window.fill("Find a photo by name", "Photo 1")
    window.wait_for(COUNT_CARDS, 10)
    window.fill("Find a photo by name", "nothing")
    window.see("No photo has this name.")
    window.reload()
    window.click("Failed 1")
    window.wait_for(COUNT_CARDS, 1)


def test_sizes_of_a_job_are_changed(window: Driver, servers: Servers) -> None:
    open_job(window, servers, "beach.jpg")
    window.click("More")
    window.click("Change sizes")
    window.click("Square", "label")
    window.click("Card", "label")
    window.click("Change sizes")
    window.see_heading("1 of 1 done")
    window.click("1 file of beach.jpg")
    window.see("Card 640 × 360")


def test_job_is_kept_longer(window: Driver, servers: Servers) -> None:
    open_job(window, servers, "beach.jpg")
    window.see("24 hours left")
    window.click("More")
    window.click("Keep longer")
    window.see("7 days left")


def test_deleted_job_is_restored_where_its_page_was(window: Driver, servers: Servers) -> None:
    open_job(window, servers, "beach.jpg")
    window.click("More")
    window.click("Delete this job")
    window.see_heading("This job is deleted")
    window.click("Undo")
    window.see_heading("1 of 1 done")


# My jobs


@pytest.fixture
def listed(window: Driver, servers: Servers) -> Driver:
    """A window that shows the list of one job."""
    open_job(window, servers, "beach.jpg")
    window.click("My jobs")
    return window


def test_list_follows_its_jobs(window: Driver, idle: Servers) -> None:
    create_job(window, idle, {"a.jpg": PHOTO, "b.jpg": PHOTO})
    window.open(f"{idle.url}/jobs")
    window.see("0 of 2 photos done")
    work_on(idle)
    window.see("2 photos 2 files")


def test_job_is_named_on_the_list(listed: Driver) -> None:
    listed.click("Rename beach.jpg")
    listed.fill("Name of this job", "Spring menu")
    listed.press(ENTER)
    listed.see("The name is now Spring menu.")
    listed.see("Spring menu", "h2")


def test_job_deleted_from_the_list_is_restored(listed: Driver) -> None:
    listed.click("Delete beach.jpg")
    listed.see("beach.jpg is deleted.")
    listed.click("Undo")
    listed.see("beach.jpg", "h2")


# Guests


def test_guest_sees_photos_without_the_owners_tools(window: Driver, servers: Servers) -> None:
    url = open_job(window, servers, "beach.jpg")
    window.see_control("More")
    window.forget()
    window.open(url)
    window.see_heading("1 photo")
    window.see_control("Download all")
    window.see_control("Download beach-square.jpg")
    assert not window.call("() => document.body.innerText.includes('Copy markup')")
