"""What people do on the pages, and what they see there, for every browser test."""

import base64
import json
import re
from collections.abc import Mapping

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.images import make_jpeg
from tests.servers import Servers

PHOTO = make_jpeg(size=(1000, 700))
THUMBNAILS = ".frame img:not(.placeholder)"
FINISHED = "#job-panel:not([hx-get]) h1"
# Note in `said` what is read out.
LISTEN = """() => {
    window.said = [];
    const status = document.querySelector("[role=status]");
    const listen = () => said.push(status.textContent);
    new MutationObserver(listen).observe(status, { childList: true, characterData: true });
}"""


def drop(page: Page, files: Mapping[str, bytes], target: str = "body") -> None:
    """Drag files over the page and let them go."""
    encoded = {name: base64.b64encode(data).decode() for name, data in files.items()}
    transfer = page.evaluate_handle(
        """(files) => {
            const transfer = new DataTransfer();
            for (const [name, data] of Object.entries(files)) {
                const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
                transfer.items.add(new File([bytes], name));
            }
            return transfer;
        }""",
        encoded,
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event(target, event, {"dataTransfer": transfer})


def make(page: Page) -> None:
    """Press the button, and wait for the end of the job."""
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page).to_have_url(re.compile("/jobs/"))
    expect(page.locator("#job-panel:not([hx-get]) h1")).to_contain_text("done", timeout=20_000)


def send(page: Page, servers: Servers, *names: str, preset: str = "square") -> None:
    """Upload photos of these names, and wait until the server has them all."""
    page.goto(f"{servers.url}/")
    choose_preset(page, preset)
    drop(page, dict.fromkeys(names, PHOTO))
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator("h1")).to_have_text(re.compile(rf"0 of {len(names)} images? done$"))


def natural_sizes(page: Page) -> list[list[int]]:
    """Wait for all thumbnails to be loaded; give their sizes in pixels."""
    page.wait_for_function(
        "(shown) => [...document.querySelectorAll(shown)].every(({naturalWidth}) => naturalWidth)",
        arg=THUMBNAILS,
    )
    return page.eval_on_selector_all(  # type: ignore[no-any-return]
        THUMBNAILS,
        "(images) => images.map((i) => [i.naturalWidth, i.naturalHeight])",
    )


def choose_preset(page: Page, name: str) -> None:
    """Tick one preset and no other."""
    for box in page.locator("input[name=presets]").all():
        box.set_checked(box.get_attribute("value") == name)


def check(page: Page) -> None:
    """Ask axe about the page as it is."""
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def task_milliseconds(trace: bytes) -> list[float]:
    """Give how long each task kept the page from answering, by a clock that others do not slow."""
    events = json.loads(trace)["traceEvents"]
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    return [
        event.get("tdur", 0) / 1000  # The shortest have none.
        for event in events
        if event["name"] == "RunTask" and (event["pid"], event["tid"]) in threads
    ]
