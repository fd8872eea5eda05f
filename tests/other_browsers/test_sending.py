"""From photos to thumbnails: choosing, looking, sending."""

from base64 import b64encode
from pathlib import Path

import pytest

from tests.browser.actions import write_files
from tests.other_browsers.driver import ENTER, Driver
from tests.support.images import make_jpeg
from tests.support.servers import Servers

PROMISE = "Every size of your photos, in one drop."
# As many pictures as it has photos, all drawn.
ARE_DRAWN = """(pictures, count) => {
    const found = [...document.querySelectorAll(pictures)];
    return found.length === count && found.every((picture) => picture.naturalWidth);
}"""
DROP = """(name, words) => {
    const dataTransfer = new DataTransfer();
    const bytes = Uint8Array.from(atob(words), (letter) => letter.charCodeAt(0));
    dataTransfer.items.add(new File([bytes], name));
    for (const type of ["dragenter", "dragover", "drop"]) {
        const options = { dataTransfer, bubbles: true, cancelable: true };
        document.body.dispatchEvent(new DragEvent(type, options));
    }
}"""


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    names = ("beach.jpg", "hills.jpg")
    return list(map(Path, write_files(tmp_path, dict.fromkeys(names, make_jpeg((640, 480))))))


def choose(window: Driver, servers: Servers, photos: list[Path]) -> None:
    window.open(f"{servers.url}/?preset=card&preset=avatar")
    window.choose("#images", photos)


def make_job(window: Driver, servers: Servers, photos: list[Path]) -> None:
    choose(window, servers, photos)
    window.click("Make 4 thumbnails")
    window.see_heading("2 of 2 done")


def test_chosen_photos_become_thumbnails(
    window: Driver, servers: Servers, photos: list[Path]
) -> None:
    make_job(window, servers, photos)
    window.wait_for(ARE_DRAWN, ".shot img:last-of-type", 2)


def test_dropped_photo_becomes_thumbnails(window: Driver, servers: Servers) -> None:
    window.open(f"{servers.url}/?preset=square")
    window.call(DROP, "beach.jpg", b64encode(make_jpeg()).decode())
    window.see_heading("1 photo chosen")
    window.click("Make 1 thumbnail")
    window.see_heading("1 of 1 done")


def test_photos_and_sizes_are_drawn_before_sending(
    window: Driver, servers: Servers, photos: list[Path]
) -> None:
    choose(window, servers, photos)
    window.see_heading("2 photos chosen")
    window.wait_for(ARE_DRAWN, ".contact img", 2)
    for words in ("2 photos × 2 = 4 files", "256 × 256", "640 × 360"):
        window.see(words)
    window.click("Next photo")
    window.see("hills.jpg", "#becomes")


def test_skipped_file_is_told_before_sending(
    window: Driver, servers: Servers, photos: list[Path], tmp_path: Path
) -> None:
    [words] = write_files(tmp_path, {"notes.txt": b"only words"})
    choose(window, servers, [*photos, Path(words)])
    window.see("1 skipped", "h2")
    window.see("notes.txt")
    window.click("Make 4 thumbnails")
    window.see_heading("2 of 3 done · 1 skipped")


def test_button_that_is_pressed_while_its_words_change_works(
    window: Driver, servers: Servers, photos: list[Path]
) -> None:
    choose(window, servers, photos[:1])
    window.hold("Make 2 thumbnails")
    window.choose("#images", photos[1:])
    window.see("Make 4 thumbnails", "button")
    window.release()
    window.see_heading("2 of 2 done")


def test_job_is_made_by_keyboard(window: Driver, servers: Servers, photos: list[Path]) -> None:
    choose(window, servers, photos)
    window.focus("Make 4 thumbnails")
    window.press(ENTER)
    window.see_heading("2 of 2 done")


def test_back_leads_to_the_form_and_forward_to_the_job(
    window: Driver, servers: Servers, photos: list[Path]
) -> None:
    make_job(window, servers, photos)
    window.go(-1)
    window.see_heading(PROMISE)
    window.go(1)
    window.see_heading("2 of 2 done")


def test_reload_shows_the_same_job(window: Driver, servers: Servers, photos: list[Path]) -> None:
    make_job(window, servers, photos)
    window.reload()
    window.see_heading("2 of 2 done")
    window.wait_for(ARE_DRAWN, ".shot img:last-of-type", 2)
