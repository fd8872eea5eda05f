"""What a page shows, measured: accessibility, layout shifts, long tasks."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from axe_playwright_python.base import AxeResults
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page


def draw(page: Page) -> None:
    """Wait until the page has drawn."""
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)))")


NOTICE = ".bar:visible"
THUMBNAILS = ".frame img:not(.placeholder)"


# Note in `said` what is read out.
LISTEN = """() => {
    window.said = [];
    const status = document.querySelector("[role=status]");
    const listen = () => said.push(status.textContent);
    new MutationObserver(listen).observe(status, { childList: true, characterData: true });
}"""


# Note in `shifts` what moves by itself.
WATCH_SHIFTS = """
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const shift of list.getEntries()) {
            if (shift.hadRecentInput) continue;
            const nodes = shift.sources.map(({ node }) => node?.outerHTML?.slice(0, 80));
            shifts.push([shift.value, nodes, shift.startTime]);
        }
    }).observe({ type: "layout-shift", buffered: true });
"""


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
        page.wait_for_function("(width) => innerWidth === width", arg=width)
        draw(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def check_on_screens(page: Page) -> None:
    """Check a page with axe in light on a desk and in dark on the narrowest phone.

    The phone needs no sideways scrolling.
    """
    page.emulate_media(color_scheme="light")
    check(page)
    page.emulate_media(color_scheme="dark")
    expect_to_fit(page, 320)
    assert page.evaluate("innerWidth") == 320
    check(page, "color-contrast", "target-size")


@contextmanager
def longest_task(browser: Browser, page: Page) -> Iterator[Callable[[], float]]:
    """Trace the tasks of a page; yield what reads the milliseconds of the longest.

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
    """Return what shifted by itself, once the page has drawn: by how much, and which nodes."""
    draw(page)
    return [(value, nodes) for value, nodes, _ in page.evaluate("shifts")]


def layout_shift(page: Page) -> float:
    """Return the Cumulative Layout Shift of a page, once it has drawn.

    It is the sum of the worst session: shifts less than a second apart, within five seconds. So a
    slow machine, on which a page is watched for longer, does not make it worse.
    https://web.dev/articles/cls
    """
    draw(page)
    worst = session = began = last = 0.0
    for value, _, time in page.evaluate("shifts"):
        if time - last >= 1000 or time - began >= 5000:
            session, began = 0.0, time
        session, last = session + value, time
        worst = max(worst, session)
    return worst
