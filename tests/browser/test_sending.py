"""What only a browser shows of sending: progress, what hinders it, and how a job ends."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.actions import (
    IN_PART,
    LARGE,
    WATCH_SHIFTS,
    check,
    choose_preset,
    drop,
    drop_from_disk,
    expect_done,
    make,
    route_once,
    shifts,
    submit,
    task_milliseconds,
    watch,
)
from tests.browser.conftest import write_files
from tests.browser.lines import Line, line_to
from tests.support.images import make_image, make_jpeg, make_png
from tests.support.servers import Servers, running, wait_until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers that take many images."""
    with running(tmp_path_factory.mktemp("roomy") / "instance") as servers:
        yield servers


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers that soon give up what is stuck."""
    with running(tmp_path_factory.mktemp("stuck") / "instance", stall_seconds=1) as servers:
        yield servers


# Sending


def test_thumbnails_appear_while_later_files_are_still_sent(page: Page, line: Line) -> None:
    page.goto(line.url)
    choose_preset(page, "square")
    line.hold(after=1)
    drop(page, {"small.jpg": make_jpeg(), "1.bmp": LARGE, "2.bmp": LARGE, "3.bmp": LARGE})
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator(".frame.done")).not_to_have_count(0, timeout=15_000)
    expect(page.locator(".row progress:visible").first).to_be_visible()
    expect(page).to_have_title(re.compile("% sent"))
    line.release()
    expect_done(page, "4 of 4 images done")


@pytest.mark.parametrize("address", ["**/jobs/open", "**/jobs/*/images"])
def test_page_waits_as_long_as_the_server_asks_and_goes_on_by_itself(
    page: Page, complaints: list[str], address: str
) -> None:
    answers = [429, 503]

    def refuse(route: Route) -> None:
        if not answers:
            route.continue_()
            return
        problem = '{"code": "x", "detail": "There is room again in 1 second.", "field": null}'
        route.fulfill(status=answers.pop(0), headers={"Retry-After": "1"}, body=problem)

    page.route(address, refuse)
    page.goto("/")
    choose_preset(page, "square")
    drop(page, {"a.jpg": make_jpeg(), "b.jpg": make_jpeg()})
    page.get_by_role("button", name="Make thumbnails").click()
    said = page.locator("#queue-pause:visible, #waiting-words:visible")
    expect(said).to_contain_text("There is room again in 1 second. This goes on by itself at ")
    expect_done(page, "2 of 2 images done")
    expect(said).to_have_count(0)
    complaints.clear()  # Chromium reports every refusal.


def test_cancelled_file_is_not_sent_and_the_others_are(page: Page) -> None:
    page.goto("/")
    choose_preset(page, "square")
    drop(page, {"a.jpg": make_jpeg(), "b.jpg": make_jpeg()})
    page.get_by_role("button", name="Remove a.jpg").click()
    make(page)
    expect(page.locator(".frame-name")).to_have_text(["b.jpg"])


def test_file_that_broke_off_is_sent_again(page: Page, complaints: list[str]) -> None:
    page.goto("/")
    drop(page, {"a.jpg": make_jpeg()})
    route_once(page, "**/images", lambda route: route.abort())
    page.get_by_role("button", name="Make thumbnails").click()
    expect_done(page, "1 of 1 image done")
    complaints.clear()  # Chromium reports the request that was cut.


def test_progress_is_shown_by_file_in_all_and_in_the_title_two_at_a_time(
    page: Page, line: Line
) -> None:
    page.goto(line.url)
    drop(page, {f"{n}.bmp": LARGE for n in range(4)})
    watch(page, "document.querySelectorAll('.row progress:not([hidden])').length", "sending")
    watch(page, "document.querySelector('.row progress').value", "parts")
    watch(page, "document.getElementById('queue-progress').value", "all")
    watch(page, "document.title", "titles")
    line.hold(part=0)
    submit(page)
    for part in (0.2, 0.4, 0.6, 0.8):
        line.hold(part=part)
        page.wait_for_function(
            """(part) => [...document.querySelectorAll(".row progress:not([hidden])")]
                .filter(({ value }) => value >= part).length === 2""",
            arg=part,
        )
    line.hold(after=2)
    expect(page.locator(".row-state").nth(2)).to_contain_text(IN_PART)
    line.release()
    expect_done(page, "4 of 4 images done")
    seen = page.evaluate("seen")
    assert max(seen["sending"]) == 2
    assert any(0 < part < 1 for part in seen["parts"])
    assert len({part for part in seen["all"] if 0 < part < 1}) >= 4
    assert seen["all"] == sorted(seen["all"])
    percents = [int(found[1]) for t in seen["titles"] if (found := re.match(r"(\d+) % sent", t))]
    assert percents == sorted(percents)
    assert len(percents) >= 4


@pytest.mark.parametrize("width", [390, 1360])
def test_nothing_shifts_while_files_are_sent_and_thumbnails_appear(
    page: Page, roomy: Servers, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.add_init_script(WATCH_SHIFTS)
    picture = make_image("RGB", (360, 280), "BMP")
    stops = (0, 4, 8)
    with line_to(roomy.url) as line:
        page.goto(line.url)
        choose_preset(page, "web-set")
        drop(page, {f"{n:02}.bmp": LARGE if n in stops else picture for n in range(12)})
        expect(page.locator(".row")).to_have_count(12)
        page.locator("#submit").scroll_into_view_if_needed()
        shifts(page)
        page.evaluate("shifts.length = 0")  # From here on, nobody does anything.
        line.hold()
        submit(page)
        # What shifts within half a second of a click does not count.
        page.wait_for_function(
            "(clicked) => performance.now() > clicked + 500", arg=page.evaluate("performance.now()")
        )
        # One after the other: an image that overtakes another is moved by it.
        for count in range(12):
            line.hold(after=count)
            page.wait_for_function(
                "(sent) => document.getElementById('queue-facts').textContent === sent",
                arg=f"{count} of 12 images sent",
            )
            if count in stops:
                expect(page.locator(".row-state").nth(count)).to_contain_text(IN_PART)
        line.release()
        expect_done(page, "12 of 12 images done")
        expect(page.locator("#queue")).to_be_hidden()
        assert sum(value for value, _ in shifts(page)) < 0.05, shifts(page)


def test_list_keeps_what_is_sent_in_sight_and_says_what_has_gone(page: Page, line: Line) -> None:
    page.goto(line.url)
    choose_preset(page, "square")
    drop(page, {f"{n}.bmp": LARGE if n == 5 else make_jpeg() for n in range(8)})
    line.hold(after=5)
    submit(page)
    expect(page.locator(".row-state").first).to_contain_text("sent", timeout=15_000)
    expect(page.get_by_role("button", name="Remove 0.bmp")).to_have_count(0)
    cancel = page.get_by_role("button", name="Cancel 5.bmp")
    expect(cancel).to_be_in_viewport(timeout=20_000)
    check(page)


def test_list_stays_where_somebody_scrolled_it(page: Page, line: Line) -> None:
    page.goto(line.url)
    choose_preset(page, "square")
    drop(page, {f"{n}.jpg": make_jpeg() for n in range(8)})
    line.hold()
    submit(page)
    # By then, the list has gone to the first file.
    expect(page.locator("#queue-facts")).to_have_text("0 of 8 images sent")
    rows = page.locator("#queue-rows")
    rows.evaluate("(list) => (list.scrollTop = 9999)")
    place = rows.evaluate("(list) => list.scrollTop")
    assert place > 0
    line.hold(after=4)
    expect(page.locator("#queue-facts")).to_have_text("4 of 8 images sent", timeout=20_000)
    assert rows.evaluate("(list) => list.scrollTop") == place


def test_what_is_sent_can_be_folded_away(page: Page, line: Line) -> None:
    page.goto(line.url)
    drop(page, {f"{n}.bmp": LARGE for n in range(3)})
    line.hold()
    submit(page)
    expect(page.locator("#queue-facts")).to_have_text("0 of 3 images sent")
    page.locator("#queue-facts").click()
    expect(page.locator("#queue-rows")).to_be_hidden()
    expect(page.get_by_role("progressbar", name="All images sent")).to_be_visible()
    line.release()
    expect_done(page, "3 of 3 images done")


def test_focus_in_a_row_that_is_sent_stays_with_the_list(page: Page, line: Line) -> None:
    page.goto(line.url)
    drop(page, {f"{n}.bmp": LARGE for n in range(3)})
    line.hold()
    submit(page)
    button = page.get_by_role("button", name="Cancel 0.bmp")
    button.focus()
    expect(button).to_be_focused()
    line.hold(after=1)
    expect(page.locator("#queue")).to_be_focused(timeout=15_000)


def test_file_is_cancelled_while_it_is_sent_and_the_others_go_on(page: Page, line: Line) -> None:
    page.goto(line.url)
    choose_preset(page, "square")
    drop(page, {"1.bmp": LARGE, "2.bmp": LARGE, "3.jpg": make_jpeg()})
    line.hold()
    submit(page)
    expect(page.locator(".row-state").first).to_contain_text(IN_PART)
    page.get_by_role("button", name="Cancel 1.bmp").click()
    line.release()
    expect_done(page, "2 of 2 images done")
    expect(page.locator(".frame-name")).to_have_text(["2.bmp", "3.jpg"])


def test_file_that_failed_is_sent_again_when_asked_and_the_others_meanwhile(
    page: Page, complaints: list[str]
) -> None:
    page.goto("/")
    choose_preset(page, "square")
    drop(page, {"a.jpg": make_jpeg(), "b.jpg": make_jpeg()})
    route_once(page, "**/images", lambda route: route.fulfill(status=500, body="oops"))
    submit(page)
    expect(page.locator(".frame.done")).to_have_count(1, timeout=20_000)
    expect(page.locator("#queue .row-why:visible")).to_have_text(
        "The server did not take this (500)."
    )
    page.get_by_role("button", name=re.compile("Retry [ab].jpg")).click()
    expect_done(page, "2 of 2 images done")
    complaints.clear()  # Chromium reports the 500.


def test_file_that_the_server_refuses_is_named_and_the_others_are_made(
    page: Page, complaints: list[str]
) -> None:
    page.goto("/")
    choose_preset(page, "square")
    drop(page, {"cut.png": make_png()[:40], "good.jpg": make_jpeg()})
    submit(page)
    expect_done(page, "1 of 1 image done, 1 missing")
    expect(page.locator("#queue")).to_be_hidden()
    for _ in range(2):
        page.get_by_role("link", name="what is missing").click()
        missing = page.get_by_role("region", name="1 file is missing")
        expect(missing).to_be_in_viewport()
        expect(missing.get_by_role("listitem")).to_contain_text("cut.png")
        expect(missing.get_by_role("listitem")).to_contain_text("This image is damaged.")
        page.reload()
    complaints.clear()  # Chromium reports the 415.


def test_lost_connection_is_told_and_all_goes_on_by_itself_when_it_is_back(
    page: Page, line: Line, complaints: list[str]
) -> None:
    page.goto(line.url)
    choose_preset(page, "square")
    drop(page, {f"{n}.bmp": LARGE for n in range(3)})
    line.hold()
    submit(page)
    expect(page.locator(".row-state").first).to_contain_text(IN_PART)
    page.context.set_offline(True)
    line.cut()  # Chromium goes on with what it has begun.
    said = page.locator("#queue-pause")
    expect(said).to_have_text("The connection is lost. This goes on by itself when it is back.")
    expect(page.get_by_role("status")).to_contain_text("The connection is lost.")
    expect(page).to_have_title(re.compile("Paused at"))
    line.release()
    page.context.set_offline(False)
    expect(said).to_be_hidden(timeout=30_000)
    expect_done(page, "3 of 3 images done")
    complaints.clear()  # Chromium reports what was cut.


def test_sending_survives_a_restart_of_the_server(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path / "instance") as servers, line_to(servers.url) as line:
        context = browser.new_context(base_url=line.url)
        page = context.new_page()
        page.goto("/")
        choose_preset(page, "square")
        drop(page, {f"{n}.bmp": LARGE for n in range(3)})
        line.hold()
        submit(page)
        expect(page.locator(".row-state").first).to_contain_text(IN_PART)
        servers.processes["web"].kill()
        servers.processes["web"].wait()
        expect(page.locator("#queue-pause")).to_contain_text("The connection is lost.")
        line.release()
        servers.start_one("web")
        expect_done(page, "3 of 3 images done")
        expect(page.locator(".frame-name")).to_have_text(["0.bmp", "1.bmp", "2.bmp"])
        context.close()


LOST = "The connection is lost. This goes on by itself when it is back."


@pytest.mark.parametrize("size", [(60, 40), (2000, 1700)], ids=["at its end", "in the middle"])
def test_file_that_gets_stuck_on_its_way_is_sent_again(
    page: Page, impatient: Servers, tmp_path: Path, complaints: list[str], size: tuple[int, int]
) -> None:
    paths = write_files(tmp_path, {"a.bmp": make_image("RGB", size, "BMP"), "b.jpg": make_jpeg()})
    stuck: list[bytes] = []

    def stops_once(data: bytes) -> bool:
        if stuck or b"/images HTTP" not in data:
            return False
        stuck.append(data)
        return True

    with line_to(impatient.url) as line:
        line.stops_at = stops_once
        page.goto(line.url)
        choose_preset(page, "square")
        page.set_input_files("#images", paths)
        submit(page)
        expect(page.locator("#queue-pause")).to_have_text(LOST)
        expect(page.get_by_role("status")).to_have_text(LOST)
        expect_done(page, "2 of 2 images done")
        expect(page.locator(".frame-name")).to_have_text(["a.bmp", "b.jpg"])
    assert stuck
    complaints.clear()  # Chromium reports what was cut.


@pytest.mark.parametrize("carried", [0, 1_000_000], ids=["before", "while"])
def test_line_that_was_dead_for_a_while_loses_nothing(
    page: Page, impatient: Servers, complaints: list[str], carried: int
) -> None:
    with line_to(impatient.url) as line:
        page.goto(line.url)
        choose_preset(page, "square")
        drop(page, {f"{n}.bmp": LARGE for n in range(3)})
        expect(page.locator(".row")).to_have_count(3)
        unanswered: list[bytes] = []
        left = carried

        def dies(data: bytes) -> bool:
            nonlocal left
            left -= len(data)
            if data.startswith(b"HEAD "):
                unanswered.append(data)
            return left < 0

        line.stops_at = dies
        watch(page, "document.querySelector('.row-state').textContent", "states")
        page.get_by_role("button", name="Make thumbnails").click()
        said = page.locator("#queue-pause:visible, #waiting-words:visible")
        expect(said).to_have_text(LOST)
        # Whether the line is back is asked again, for that question got stuck as well.
        wait_until(lambda: page.evaluate("true") and unanswered, what="a question")
        seen = page.evaluate("seen.states")
        assert any(IN_PART.search(words) for words in seen) == (carried > 0), seen
        line.stops_at = lambda data: False
        expect_done(page, "3 of 3 images done")
        expect(said).to_have_count(0)
    complaints.clear()


def test_job_is_made_when_the_connection_is_back(page: Page, complaints: list[str]) -> None:
    page.goto("/")
    choose_preset(page, "square")
    drop(page, {"a.jpg": make_jpeg()})
    page.context.set_offline(True)
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator("#waiting-words")).to_contain_text("The connection is lost.")
    page.context.set_offline(False)
    expect_done(page, "1 of 1 image done")
    complaints.clear()


def test_image_that_arrived_while_its_answer_got_lost_is_there_once(
    page: Page, complaints: list[str]
) -> None:
    page.goto("/")
    choose_preset(page, "square")
    drop(page, {"a.jpg": make_jpeg()})

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        route.abort()

    route_once(page, "**/images", lose_the_answer)
    submit(page)
    expect_done(page, "1 of 1 image done")
    complaints.clear()


def test_file_that_cuts_the_connection_each_time_is_left_to_its_owner(
    page: Page, complaints: list[str]
) -> None:
    page.goto("/")
    choose_preset(page, "square")
    page.clock.install()
    drop(page, {"a.jpg": make_jpeg()})
    page.route("**/images", lambda route: route.abort())
    page.get_by_role("button", name="Make thumbnails").click()
    page.clock.fast_forward(1000)
    retry = page.get_by_role("button", name="Retry a.jpg")
    for _ in range(40):
        page.clock.fast_forward(1100)
        if retry.is_visible():
            break
    page.unroute("**/images")
    retry.click()
    for _ in range(5):
        page.clock.fast_forward(1100)
    expect_done(page, "1 of 1 image done")
    complaints.clear()


def test_five_hundred_files_leave_the_page_responsive_and_in_place(
    browser: Browser, roomy: Servers, tmp_path: Path
) -> None:
    context = browser.new_context(base_url=roomy.url)
    page = context.new_page()
    page.add_init_script(WATCH_SHIFTS)
    page.goto("/")
    choose_preset(page, "square")
    browser.start_tracing(page=page, categories=["disabled-by-default-devtools.timeline"])
    folder = tmp_path / "photos"
    folder.mkdir()
    write_files(folder, {f"{n:03}.jpg": make_jpeg() for n in range(500)})
    drop_from_disk(page, [str(folder)], page.locator(".zone"))
    expect(page.locator(".row")).to_have_count(500)
    shifts(page)
    page.evaluate("shifts.length = 0")
    page.locator("#submit").click()  # To look for a name among 500 rows takes its time.
    # Each look of `expect` would read all of the page, for half a second.
    page.wait_for_function(
        "() => document.querySelector('#job-panel:not([hx-get]) h1')", timeout=240_000
    )
    tasks = task_milliseconds(browser.stop_tracing())
    assert len(tasks) > 500
    assert max(tasks) < 200
    assert sum(value for value, _ in shifts(page)) < 0.05, shifts(page)
    expect(page.locator("h1")).to_have_text("500 of 500 images done")
    context.close()


# What of it fails


def fail_once(page: Page, status: int) -> None:
    """Let the next image get an answer that is not of our server."""
    route_once(page, "**/images", lambda route: route.fulfill(status=status, body="oops"))


def gather(page: Page, *names: str) -> None:
    page.goto("/")
    choose_preset(page, "square")
    drop(page, {name: make_jpeg() for name in names})


@pytest.mark.parametrize("status", [429, 500, 502, 507])
def test_job_ends_with_what_arrived_when_one_file_failed(
    page: Page, complaints: list[str], status: int
) -> None:
    gather(page, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    fail_once(page, status)
    submit(page)
    expect_done(page, "3 of 3 images done, 1 missing")
    expect(page.locator("h1")).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("3 of 3 images done, 1 missing")
    expect(page.locator("#queue-facts")).to_have_text("3 images sent · 1 not sent")
    complaints.clear()  # Chromium reports every refusal.


def test_list_keeps_only_what_can_be_sent_again(page: Page, complaints: list[str]) -> None:
    page.goto("/")
    choose_preset(page, "square")
    drop(page, {"a.txt": b"words", "b.jpg": make_jpeg(), "c.png": make_png()[:40]})
    drop(page, {"d.jpg": make_jpeg()})
    fail_once(page, 500)
    submit(page)
    expect_done(page, "1 of 1 image done, 3 missing")
    expect(page.locator("#queue .row:visible .row-name")).to_have_text(["b.jpg"])
    expect(page.locator("#missing .row-name")).to_have_text(["a.txt", "b.jpg", "c.png"])
    complaints.clear()  # Chromium reports every refusal.


def test_file_that_failed_is_sent_to_the_job_that_had_ended(
    page: Page, complaints: list[str]
) -> None:
    gather(page, "a.jpg", "b.jpg")
    fail_once(page, 500)
    submit(page)
    expect_done(page, "1 of 1 image done, 1 missing")
    page.get_by_role("button", name="Retry").click()
    expect_done(page, "2 of 2 images done")
    expect(page.locator("#queue")).to_be_hidden()
    expect(page.locator("#missing")).to_be_hidden()
    complaints.clear()


def test_file_that_failed_says_why_when_its_job_is_gone(page: Page, complaints: list[str]) -> None:
    gather(page, "a.jpg", "b.jpg")
    fail_once(page, 500)
    submit(page)
    expect_done(page, "1 of 1 image done, 1 missing")
    job = page.url
    other = page.context.new_page()
    other.goto(f"{job}/delete")
    other.get_by_role("button", name="Delete").click()
    expect(other).not_to_have_url(re.compile("delete"))
    other.close()
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#queue .row-why")).to_contain_text("There is no job at this address.")
    complaints.clear()


@pytest.mark.parametrize("way", ["reload", "leave"])
def test_job_ends_with_what_arrived_when_its_page_is_left(page: Page, line: Line, way: str) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(line.url)
    choose_preset(page, "square")
    drop(page, {"small.jpg": make_jpeg(), "1.bmp": LARGE, "2.bmp": LARGE, "3.bmp": LARGE})
    line.hold(after=1)
    submit(page)
    expect(page.locator(".frame.done").first).to_be_visible(timeout=20_000)
    job = page.url
    page.goto(job if way == "reload" else line.url)
    line.release()
    page.goto(job)
    expect(page.locator("#job-panel:not([hx-get]) h1")).to_have_text(
        "1 of 1 image done, 3 missing", timeout=20_000
    )
    expect(page.locator("#missing li").last).to_contain_text("3.bmp It was not sent.")


def test_many_files_with_long_names_that_were_not_sent_are_told_as_missing(
    page: Page, line: Line
) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(line.url)
    choose_preset(page, "square")
    names = [f"{number} {'n' * 240}.jpg" for number in range(19)]
    drop(page, dict.fromkeys(["small.jpg", *names], make_jpeg()))
    line.hold(after=1)
    page.evaluate(
        """() => {
            const send = navigator.sendBeacon.bind(navigator);
            navigator.sendBeacon = (url, data) => {
                const size = [...data.values()].join("").length;
                return size < 3000 && send(url, data); // As for hundreds of files.
            };
        }"""
    )
    submit(page)
    expect(page.locator(".frame.done").first).to_be_visible(timeout=20_000)
    job = page.url
    page.goto(line.url)
    page.goto(job)
    expect(page.locator("#missing li").last).to_contain_text("18 nnnn")
    expect(page.locator("h1")).to_contain_text(" missing")


def send_in_part(page: Page, line: Line) -> None:
    """Be in the middle of sending some files."""
    page.goto(line.url)
    choose_preset(page, "square")
    drop(page, {f"{n}.bmp": LARGE for n in range(4)})
    line.hold(after=1)
    submit(page)
    expect(page.locator(".frame").first).to_be_visible(timeout=20_000)
    expect(page.locator(".row-state").nth(1)).to_contain_text(IN_PART)


def test_who_goes_back_while_files_are_sent_and_stays_is_at_the_job(page: Page, line: Line) -> None:
    page.on("dialog", lambda dialog: dialog.dismiss())
    send_in_part(page, line)
    job = page.url
    page.evaluate("history.back()")
    page.wait_for_event("dialog")
    expect(page).to_have_url(job)
    page.get_by_role("button", name="Keep for").click()
    expect(page.get_by_role("status")).to_contain_text("Kept until")
    line.release()
    expect_done(page, "4 of 4 images done")


def test_who_goes_back_while_files_are_sent_and_leaves_is_at_the_form(
    page: Page, line: Line
) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    send_in_part(page, line)
    page.go_back()
    expect(page.get_by_label("choose files")).to_be_attached()
    expect(page.locator("#submit")).to_be_visible()
    assert page.evaluate("location.pathname") == "/"


def test_files_of_a_tab_are_sent_though_another_tab_began_another_session(
    page: Page, complaints: list[str]
) -> None:
    gather(page, "a.jpg")
    page.context.clear_cookies()
    other = page.context.new_page()
    other.goto("/")
    other.close()
    submit(page)
    expect_done(page, "1 of 1 image done")
    complaints.clear()  # Chromium reports the 400.


def test_files_are_sent_though_the_operator_changed_the_secret_key(
    page: Page, tmp_path: Path, complaints: list[str]
) -> None:
    with running(tmp_path / "instance") as servers:
        page.goto(servers.url)
        choose_preset(page, "square")
        drop(page, {"a.jpg": make_jpeg()})
        expect(page.locator(".row")).to_have_count(1)
        servers.processes["web"].kill()
        servers.processes["web"].wait()
        (servers.instance / "secret_key").unlink()
        servers.start_one("web")
        submit(page)
        expect_done(page, "1 of 1 image done")
    complaints.clear()


def test_token_that_is_never_right_is_asked_for_once(page: Page, complaints: list[str]) -> None:
    gather(page, "a.jpg")
    asked: list[str] = []
    problem = '{"code": "csrf", "detail": "This page was open for too long.", "field": null}'

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=400, body=problem)

    page.route("**/jobs/open", refuse)
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator("#upload-error")).to_have_text("This page was open for too long.")
    assert len(asked) == 2
    complaints.clear()


# Waiting to begin


def refuse_for(page: Page, seconds: int) -> None:
    """Have the server make no job for so many seconds, as it says."""
    problem = '{"code": "x", "detail": "Your address has made 60 jobs.", "field": null}'
    headers = {"Retry-After": str(seconds)}
    route_once(
        page,
        "**/jobs/open",
        lambda route: route.fulfill(status=429, headers=headers, body=problem),
    )


def test_recipe_that_is_changed_while_the_page_waits_is_what_is_made(
    page: Page, complaints: list[str]
) -> None:
    gather(page, "a.jpg")
    page.context.set_offline(True)
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator("#waiting")).to_contain_text("The connection is lost.")
    choose_preset(page, "avatar")
    page.context.set_offline(False)
    expect_done(page, "1 of 1 image done")
    made = page.locator(".thumbnails a:not(.download)")
    expect(made).to_have_attribute("href", re.compile("avatar.webp$"))
    complaints.clear()


def test_who_does_not_want_to_wait_can_stop_and_submit_later(
    page: Page, complaints: list[str]
) -> None:
    gather(page, "a.jpg")
    refuse_for(page, 3600)
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator("#submit")).to_be_disabled()
    page.get_by_role("button", name="Stop waiting").click()
    expect(page.locator("#waiting")).to_be_hidden()
    expect(page.locator("#submit")).to_be_focused()
    submit(page)
    expect_done(page, "1 of 1 image done")
    complaints.clear()


def test_page_that_stopped_waiting_does_not_begin_by_itself(
    page: Page, complaints: list[str]
) -> None:
    gather(page, "a.jpg")
    page.clock.install()
    refuse_for(page, 60)
    page.get_by_role("button", name="Make thumbnails").click()
    page.get_by_role("button", name="Stop waiting").click()
    expect(page.locator("#submit")).to_be_enabled()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    page.clock.fast_forward(120_000)
    page.evaluate("fetch('/healthcheck')")  # Whatever the page asked for came before.
    assert "POST" not in asked
    complaints.clear()


# Nothing at all


def test_job_of_which_all_was_cancelled_leaves_nothing_to_do_but_to_start_again(
    page: Page, line: Line
) -> None:
    page.goto(line.url)
    drop(page, {"1.bmp": LARGE, "2.bmp": LARGE})
    line.hold()
    submit(page)
    expect(page.locator(".tools").first).to_be_visible()
    for name in ("1.bmp", "2.bmp"):
        page.get_by_role("button", name=f"Cancel {name}").click()
    heading = page.get_by_role("heading", name="Nothing was sent")
    expect(heading).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("Nothing was sent")
    expect(page.locator(".tools, .frames")).to_have_count(0)


# What is said and shown of many files


def test_quarters_of_what_is_sent_are_said_and_no_more(page: Page, line: Line) -> None:
    page.goto(line.url)
    choose_preset(page, "square")
    drop(page, {f"{n}.jpg": make_jpeg() for n in range(6)})
    expect(page.locator(".row")).to_have_count(6)
    watch(page, "document.getElementById('status').textContent", "said")
    line.hold()
    submit(page)
    for count in range(6):
        line.hold(after=count)
        expect(page.locator("#queue-facts")).to_have_text(f"{count} of 6 images sent")
    line.release()
    expect_done(page, "6 of 6 images done")
    said = [words for words in page.evaluate("seen.said") if re.fullmatch(r"\d of .* sent", words)]
    assert said == [f"{count} of 6 images sent" for count in (2, 3, 5)]


def test_all_files_that_failed_are_sent_again_by_one_button(
    page: Page, complaints: list[str]
) -> None:
    gather(page, "a.jpg", "b.jpg", "c.jpg")
    page.route("**/images", lambda route: route.fulfill(status=500, body="oops"), times=2)
    submit(page)
    page.get_by_role("button", name="Send all failed again").click()
    expect_done(page, "3 of 3 images done")
    complaints.clear()


def test_one_file_that_failed_has_the_button_of_its_row_alone(
    page: Page, complaints: list[str]
) -> None:
    gather(page, "a.jpg", "b.jpg")
    fail_once(page, 500)
    submit(page)
    expect(page.get_by_role("button", name="Retry")).to_be_visible()
    expect(page.get_by_role("button", name="Send all failed again")).to_be_hidden()
    complaints.clear()


def test_name_that_pretends_to_be_another_is_shown_as_it_is(page: Page) -> None:
    gather(page, "invoice\u202egpj.exe")
    expect(page.locator(".row-name")).to_have_text("invoicegpj.exe")
    expect(page.get_by_role("button", name="Remove invoicegpj.exe", exact=True)).to_be_visible()


def test_name_keeps_the_marks_that_its_script_needs(page: Page) -> None:
    gather(page, "\u0646\u0645\u06cc\u200c\u062f\u0627\u0646\u0645.jpg")
    expect(page.locator(".row-name")).to_have_text(re.compile("\u200c"))


def test_lost_connection_is_said_once_while_there_is_something_to_send(
    page: Page, line: Line, complaints: list[str]
) -> None:
    page.goto(line.url)
    choose_preset(page, "square")
    drop(page, {f"{n}.bmp": LARGE for n in range(4)})
    line.hold()
    submit(page)
    expect(page.locator(".row-state").first).to_contain_text(IN_PART)
    way = re.compile(r"/jobs/[0-9a-f-]{36}(/images)?$")
    page.route(way, lambda route: route.abort())
    line.release()
    expect(page.locator("#queue-pause")).to_contain_text("The connection is lost.", timeout=15_000)
    # At once, for the next poll gets through.
    bars = page.evaluate(
        """() => {
            for (const n of [1, 2, 3]) dispatchEvent(new Event("offline"));
            return document.querySelectorAll(".bar:not([hidden])").length;
        }"""
    )
    assert bars == 0
    page.unroute(way)
    expect_done(page, "4 of 4 images done")
    complaints.clear()


# What goes wrong on the way


def test_files_added_while_the_job_is_made_are_sent_as_well(page: Page) -> None:
    gather(page, "a.jpg")
    held: list[Route] = []
    page.route("**/jobs/open", lambda route: held.append(route))
    with page.expect_request("**/jobs/open"):
        page.get_by_role("button", name="Make thumbnails").click()
    drop(page, {f"{n}.jpg": make_jpeg() for n in range(5)})
    held[0].continue_()
    expect_done(page, "6 of 6 images done")


def test_file_that_cannot_be_read_does_not_keep_others_from_being_taken(page: Page) -> None:
    page.goto("/")
    # No disk of ours refuses to be read: tests run as root.
    page.evaluate(
        """() => {
            DataTransferItem.prototype.webkitGetAsEntry = function () {
                const { name } = this.getAsFile();
                const file = (_, fail) => fail(new DOMException("gone"));
                return name === "gone.jpg" ? { isFile: true, name, file } : this.getAsFile();
            };
        }"""
    )
    drop(page, {"good.jpg": make_jpeg(), "gone.jpg": make_jpeg()})
    expect(page.locator(".row-name")).to_have_text(["good.jpg", "gone.jpg"])
    expect(page.locator("#queue .row-why:visible")).to_have_text(
        "This file can no longer be read. Is it still there?"
    )


def test_file_that_has_gone_whole_cannot_be_cancelled_any_more(page: Page, line: Line) -> None:
    page.goto(line.url)
    choose_preset(page, "square")
    drop(page, {f"{n}.bmp": LARGE for n in range(2)})
    rows = (
        "[...document.querySelectorAll('.row')].filter((row) => /checking/.test(row.textContent))"
    )
    shown = "checkVisibility({ visibilityProperty: true })"
    watch(page, f"{rows}.length", "checked")
    watch(page, f"{rows}.filter((row) => row.querySelector('.row-remove').{shown}).length", "open")
    line.hold(part=1)
    submit(page)
    expect(page.locator(".row-state")).to_contain_text(["checking", "checking"])
    line.release()
    expect_done(page, "2 of 2 images done")
    assert max(page.evaluate("seen.checked")) > 0
    assert max(page.evaluate("seen.open")) == 0


def answer_with_a_page(route: Route) -> None:
    """Answer as a hotel's network does, before one has signed in."""
    route.fulfill(status=200, content_type="text/html", body="<h1>Welcome</h1>")


def test_answer_of_another_server_is_told_in_words(page: Page) -> None:
    gather(page, "a.jpg")
    route_once(page, "**/jobs/open", answer_with_a_page)
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator("#upload-error")).to_have_text(
        "The answer was not the server's own. Try again."
    )


def test_file_that_another_server_took_is_not_called_sent(page: Page) -> None:
    gather(page, "a.jpg", "b.jpg")
    route_once(page, "**/images", answer_with_a_page)
    submit(page)
    expect(page.locator("#queue .row-why:visible")).to_have_text(
        "The server did not take this (200)."
    )
    expect_done(page, "1 of 1 image done, 1 missing")
    page.get_by_role("button", name="Retry").click()
    expect_done(page, "2 of 2 images done")
