"""What users do on the pages and see there, for all browser tests."""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from io import BytesIO

from axe_playwright_python.base import AxeResults
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, CDPSession, Locator, Page, Route, expect
from werkzeug.datastructures import FileStorage

from tests.conftest import find_token
from tests.support.images import encode, make_jpeg
from tests.support.jobs import open_jobs, work
from tests.support.servers import Client, Servers, wait_until
from webapp.config import Config

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

# 8 MB: more than the kernel buffers, so that a line can hold a part (lines.py). Black, because
# `drop` sends no zeros at the end of a file to the browser.
LARGE = encode(Image.new("RGB", (2000, 1333)), "BMP")
IN_PART = re.compile(r"· [1-9]\d? %")  # What a row says while the line holds its file.
# Note in `shifts` what moves by itself.
WATCH_SHIFTS = """
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const shift of list.getEntries()) {
            if (shift.hadRecentInput) continue;
            const nodes = shift.sources.map(({ node }) => node?.outerHTML?.slice(0, 80));
            shifts.push([shift.value, nodes]);
        }
    }).observe({ type: "layout-shift", buffered: true });
"""


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
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page).to_have_url(re.compile("/jobs/"))
    expect(page.locator(FINISHED)).to_contain_text("done", timeout=20_000)


def post_form(
    client: Client, files: Mapping[str, bytes], presets: Sequence[str] = ("web-set",)
) -> str:
    """Post the upload form without a browser; return the job's path."""
    token = find_token(client.get("/", accept="text/html").body.decode())
    images = [FileStorage(BytesIO(data), filename=name) for name, data in files.items()]
    headers = {"Accept": "text/html"}
    answer = client.post("/jobs", headers, csrf_token=token, presets=list(presets), images=images)
    assert answer.status == 303, answer.body
    return answer.headers["Location"]


def create_job(page: Page, servers: Servers, files: Mapping[str, bytes], *presets: str) -> str:
    """Create a job of this page's user without showing a page; return its URL.

    Where a test does not look at the upload, this costs a fifth of uploading on the page.
    """
    with closing(servers.client()) as client:
        client.cookies |= {it["name"]: it["value"] for it in page.context.cookies(servers.url)}
        path = post_form(client, files, presets or ("square",))
        session = {"name": "session", "value": client.cookies["session"], "url": servers.url}
    page.context.add_cookies([session])  # type: ignore[list-item]
    return f"{servers.url}{path}"


def make_job(page: Page, servers: Servers, files: Mapping[str, bytes], *presets: str) -> str:
    """Create a job of this page's user, and wait for its end; return its URL."""
    url = create_job(page, servers, files, *presets)
    wait_for_end(servers, url)
    return url


def wait_for_end(servers: Servers, url: str) -> None:
    """Wait until all images of a job are done or failed."""
    sql = "SELECT 1 FROM images WHERE job_id = ? AND status IN ('waiting', 'working')"
    wait_until(lambda: not servers.rows(sql, url.rpartition("/")[2]), what="thumbnails")


def image_url(servers: Servers, job_url: str) -> str:
    """Return the URL of the page of a job's first image."""
    sql = "SELECT id FROM images WHERE job_id = ? ORDER BY position LIMIT 1"
    [[image_id]] = servers.rows(sql, job_url.rpartition("/")[2])
    return f"{job_url}/images/{image_id}"


def open_waiting(page: Page, servers: Servers, *names: str, preset: str = "square") -> None:
    """Create a job of photos of these names, and open its page, where they wait."""
    page.goto(create_job(page, servers, dict.fromkeys(names, PHOTO), preset))
    expect(page.locator("h1")).to_have_text(re.compile(rf"0 of {len(names)} images? done$"))


def work_on(servers: Servers) -> None:
    """Work on all images that wait, as the servers' consumer does if they have one."""
    jobs = open_jobs(Config(instance=servers.instance))
    try:
        work(jobs)
    finally:
        jobs.store.db.close()


def natural_sizes(page: Page) -> list[list[int]]:
    """Wait for all thumbnails to load; return their sizes in pixels."""
    page.wait_for_function(
        "(shown) => [...document.querySelectorAll(shown)].every(({naturalWidth}) => naturalWidth)",
        arg=THUMBNAILS,
    )
    return page.eval_on_selector_all(  # type: ignore[no-any-return]
        THUMBNAILS,
        "(images) => images.map((i) => [i.naturalWidth, i.naturalHeight])",
    )


def gather(page: Page, *names: str) -> None:
    """Choose photos of these names, to be sent."""
    page.goto("/?preset=square")
    drop(page, {name: make_jpeg() for name in names})


def choose_preset(page: Page, name: str) -> None:
    """Tick one preset and no other."""
    for box in page.locator("input[name=presets]").all():
        box.set_checked(box.get_attribute("value") == name)


def check(page: Page, *rules: str) -> None:
    """Check a page with axe: all rules, or these alone."""
    # Preloading is for style sheets of other hosts, and waits ten seconds for a line that is cut.
    options: dict[str, object] = {"resultTypes": ["violations"], "preload": False}
    if rules:
        options["runOnly"] = rules
    else:  # Of WCAG 2.2, and off unless asked for: what a finger can hit.
        options["rules"] = {"target-size": {"enabled": True}}
    if not page.evaluate("'axe' in window"):  # Half a megabyte: once is enough for a page.
        page.evaluate(Axe().axe_script)
    results = AxeResults(page.evaluate("(options) => axe.run(options)", options))
    assert results.violations_count == 0, results.generate_report()


def check_colors(page: Page) -> None:
    """Check a page with axe: all rules in light, and its contrast in dark."""
    page.emulate_media(color_scheme="light")
    check(page)
    page.emulate_media(color_scheme="dark")
    check(page, "color-contrast")


def expect_to_fit(page: Page, *widths: int) -> None:
    """Check that a page needs no sideways scrolling on screens of these widths."""
    for width in widths:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def check_on_the_narrowest_phone(page: Page) -> None:
    """Check that a page needs no sideways scrolling and has large enough targets."""
    expect_to_fit(page, 320)
    assert page.evaluate("innerWidth") == 320
    check(page, "target-size")


@contextmanager
def longest_task(browser: Browser, page: Page) -> Iterator[Callable[[], float]]:
    """Trace the tasks of a page; yield a function for the milliseconds of the longest.

    By a clock of its thread, which stands while others have the processor.
    """
    traces: list[bytes] = []

    def read() -> float:
        events = json.loads(traces[0])["traceEvents"]
        threads = {
            (event["pid"], event["tid"])
            for event in events
            if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
        }
        return max(
            float(event.get("tdur", 0)) / 1000  # The shortest have none.
            for event in events
            if event["name"] == "RunTask" and (event["pid"], event["tid"]) in threads
        )

    browser.start_tracing(page=page, categories=["disabled-by-default-devtools.timeline"])
    yield read
    traces.append(browser.stop_tracing())


def submit(page: Page) -> None:
    """Submit the form, and wait for the job's page."""
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page).to_have_url(re.compile("/jobs/"))


def expect_done(page: Page, words: str) -> None:
    """Wait until the heading says this."""
    expect(page.locator("h1")).to_have_text(words, timeout=30_000)


def expect_finished(page: Page, words: str) -> None:
    """Wait until the page of a job says this and asks no more."""
    expect(page.locator(FINISHED)).to_have_text(words, timeout=60_000)


def are_undistorted(page: Page, pictures: str = ".compare img") -> bool:
    """Return whether pictures are drawn in their own proportions."""
    return page.locator(pictures).evaluate_all(  # type: ignore[no-any-return]
        """async (all) => {
            await Promise.all(all.map((one) => one.decode()));
            return all.every((one) => {
                const { width, height } = one.getBoundingClientRect();
                const stretched = width / one.naturalWidth / (height / one.naturalHeight);
                return Math.abs(stretched - 1) < 0.02;
            });
        }"""
    )


def route_once(page: Page, address: str, handle: Callable[[Route], object]) -> None:
    """Handle the next request to an address, and none after it.

    Playwright's own `times=1` stops looking at requests then: one of that moment is never sent.
    """
    first = iter([True])
    page.route(address, lambda route: handle(route) if next(first, False) else route.fallback())


def watch(page: Page, expression: str, name: str) -> None:
    """Record each value of an expression while it can be evaluated."""
    page.evaluate(
        """([expression, name]) => {
            window.seen ??= {};
            const values = (seen[name] = []);
            const read = new Function(`return ${expression}`);
            const note = () => {
                try {
                    const value = read();
                    if (value !== values.at(-1)) values.push(value);
                } catch {}
            };
            new MutationObserver(note).observe(document, { attributes: true, childList: true,
                characterData: true, subtree: true });
        }""",
        [expression, name],
    )


def shifts(page: Page) -> list[tuple[float, list[str]]]:
    """Return what shifted by itself, once the page has drawn."""
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))")
    return page.evaluate("shifts")  # type: ignore[no-any-return]
