"""What users do on the pages and see there, for all browser tests."""

import base64
import re
from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from playwright.sync_api import CDPSession, Locator, Page, expect

from tests.browser.lines import Line
from tests.support.images import encode, make_jpeg

FINISHED = "#job-panel:not([hx-get]) h1"


# 8 MB: more than the kernel buffers, so that a line can hold a part (lines.py). Black, because
# `drop` sends no zeros at the end of a file to the browser.
LARGE = encode(Image.new("RGB", (2000, 1333)), "BMP")


IN_PART = re.compile(r"Sending, [1-9]\d? %")  # What a frame says while the line holds its file.


def drop(page: Page, files: Mapping[str, bytes], target: str = "body") -> None:
    """Drop files on the page."""
    encoded = {
        name: [len(data), base64.b64encode(data.rstrip(b"\0")).decode()]
        for name, data in files.items()
    }
    transfer = page.evaluate_handle(
        """(files) => {
            const transfer = new DataTransfer();
            for (const [name, [size, data]] of Object.entries(files)) {
                const bytes = new Uint8Array(size);
                bytes.set(Uint8Array.from(atob(data), (c) => c.charCodeAt(0)));
                transfer.items.add(new File([bytes], name));
            }
            return transfer;
        }""",
        encoded,
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event(target, event, {"dataTransfer": transfer})


def drag(session: CDPSession, paths: list[str], at: Locator, *events: str) -> None:
    """Drag files of the disk to an element, with these events."""
    # Playwright cannot drag files from the disk, and the files of `drop` cannot be folders. This
    # DevTools method is experimental; it is the only one that the tests call.
    at.scroll_into_view_if_needed()
    box = at.bounding_box()
    assert box
    where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": paths, "dragOperationsMask": 1}
    for event in events:
        session.send("Input.dispatchDragEvent", {"type": event, "data": data, **where})


def drop_from_disk(page: Page, paths: list[str], at: Locator) -> None:
    """Drop files and folders of the disk on an element."""
    session = page.context.new_cdp_session(page)
    drag(session, paths, at, "dragEnter", "dragOver", "drop")


def make(page: Page) -> None:
    """Submit the form, and wait for the end of the job."""
    submit(page)
    expect(page.locator(FINISHED)).to_contain_text("done", timeout=20_000)


def gather(page: Page, *names: str) -> None:
    """Choose photos of these names, to be sent."""
    page.goto("/?preset=square")
    drop(page, {name: make_jpeg() for name in names})


def choose_preset(page: Page, name: str) -> None:
    """Tick one preset and no other."""
    for box in page.locator("input[name=presets]").all():
        box.set_checked(box.get_attribute("value") == name)


def make_button(page: Page) -> Locator:
    """Find the button that submits the form; it names the thumbnails' number."""
    return page.get_by_role("button", name=re.compile("^Make .*thumbnails?$"))


def submit(page: Page) -> None:
    """Submit the form, and wait for the job's page."""
    make_button(page).click()
    expect(page).to_have_url(re.compile("/jobs/"))


def lose_by_reload(page: Page, line: Line) -> None:
    """Submit the form; reload once the first photo alone is sent and done."""
    page.on("dialog", lambda dialog: dialog.accept())
    line.hold(after=1)
    submit(page)
    expect(page.locator(".frame.done")).to_have_count(1)
    page.goto(page.url)
    line.release()
    page.reload()


def expect_done(page: Page, words: str) -> None:
    """Wait until the heading says this."""
    expect(page.locator("h1")).to_have_text(words, timeout=30_000)


def expect_finished(page: Page, words: str) -> None:
    """Wait until the page of a job says this and asks no more."""
    expect(page.locator(FINISHED)).to_have_text(words, timeout=60_000)


def write_files(folder: Path, files: dict[str, bytes]) -> list[str]:
    """Write files to choose; return their paths."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [str(folder / name) for name in files]
