"""The same flows without script, and in dark colours."""

from pathlib import Path

import pytest

from tests.browser.actions import write_files
from tests.other_browsers.driver import Driver
from tests.other_browsers.jobs import PHOTO, open_job
from tests.support.servers import Servers

BRIGHTNESS = "() => getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/)[0]"


# WebKitGTK 2.54 ends its page when a plain form sends a file that its driver chose, on any page:
# such a file is not among those that it lets pages send (github.com/WebKit/WebKit/pull/68231).
@pytest.mark.parametrize("plain_driver", ["firefox"], indirect=True)
def test_photos_become_thumbnails_without_script(
    plain_window: Driver, servers: Servers, tmp_path: Path
) -> None:
    files = write_files(tmp_path, {"a.jpg": PHOTO, "b.jpg": PHOTO})
    plain_window.open(servers.url)
    plain_window.choose("#images", list(map(Path, files)))
    plain_window.click("Avatar", "label")
    plain_window.click("Make thumbnails")
    plain_window.see_heading("2 of 2 done")


def test_markup_is_shown_without_script(plain_window: Driver, servers: Servers) -> None:
    open_job(plain_window, servers, "beach.jpg", presets=("web-set",))
    plain_window.click("Copy markup of beach.jpg")
    plain_window.see("<picture>")
    plain_window.go(-1)
    plain_window.see_heading("1 of 1 done")


def test_file_is_compared_and_cropped_without_script(
    plain_window: Driver, servers: Servers
) -> None:
    open_job(plain_window, servers, "beach.jpg", presets=("avatar", "web-set"))
    plain_window.click("beach.jpg", "a")
    plain_window.click("Compare with 640 × 448 WebP", "input")
    plain_window.click("Compare", "button")
    plain_window.see("640 × 448 WebP", ".sides")
    plain_window.click("Crop point", "label")
    plain_window.click("By numbers")
    plain_window.fill("From the left", "0.25")
    plain_window.fill("From the top", "0.5")
    plain_window.click("Use this point")
    plain_window.wait_for("() => document.getElementById('focus-x')?.defaultValue === '0.25'")


def test_deleted_job_is_restored_without_script(plain_window: Driver, servers: Servers) -> None:
    open_job(plain_window, servers, "beach.jpg")
    plain_window.click("More")
    plain_window.click("Delete this job")
    plain_window.see_heading("Delete this job?")
    plain_window.click("Delete", "button")
    plain_window.see("beach.jpg is deleted.")
    plain_window.click("Undo")
    plain_window.see_heading("1 of 1 done")


def test_pages_are_dark_on_a_dark_system(plain_window: Driver, servers: Servers) -> None:
    plain_window.open(servers.url)
    assert float(plain_window.call(BRIGHTNESS)) < 64
