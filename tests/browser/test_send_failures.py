"""Sending files while lines, servers and files fail."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.actions import (
    IN_PART,
    LARGE,
    choose_preset,
    drop,
    expect_done,
    gather,
    make_button,
    submit,
    write_files,
)
from tests.browser.lines import Line, line_to
from tests.browser.measures import watch
from tests.browser.routes import route_once
from tests.support.images import make_image, make_jpeg, make_png
from tests.support.servers import Servers, running, wait_until

pytestmark = pytest.mark.browser


# What the job's page needs is loaded.
LOADED = """(parts) => {
    const loaded = performance.getEntriesByType("resource").filter((one) => one.responseEnd);
    return parts.every((part) => loaded.some(({ name }) => name.includes(part)));
}"""
LOST = "Connection lost. Uploading resumes automatically."


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers that soon end an upload that is stuck."""
    with running(tmp_path_factory.mktemp("stuck") / "instance", stall_seconds=1) as servers:
        yield servers


def test_interrupted_file_is_sent_again(page: Page, complaints: list[str]) -> None:
    page.goto("/")
    drop(page, {"a.jpg": make_jpeg()})
    route_once(page, "**/images", lambda route: route.abort())
    make_button(page).click()
    expect_done(page, "1 of 1 done")
    complaints.clear()  # Chromium reports the request that was cut.


def test_failed_file_is_sent_again_when_asked(page: Page, complaints: list[str]) -> None:
    page.goto("/?preset=square")
    drop(page, {"a.jpg": make_jpeg(), "b.jpg": make_jpeg()})
    route_once(page, "**/images", lambda route: route.fulfill(status=500, body="oops"))
    submit(page)
    expect(page.locator(".frame.done")).to_have_count(1, timeout=20_000)
    expect(page.locator(".frame-why:visible")).to_have_text(
        "The server did not accept the request (500)."
    )
    page.get_by_role("button", name=re.compile("Retry [ab].jpg")).click()
    expect_done(page, "2 of 2 done")
    complaints.clear()  # Chromium reports the 500.


def test_refused_file_is_named_and_the_others_are_made(page: Page, complaints: list[str]) -> None:
    page.goto("/?preset=square")
    drop(page, {"cut.png": make_png()[:40], "good.jpg": make_jpeg()})
    submit(page)
    expect_done(page, "1 of 2 done · 1 skipped")
    expect(page.locator("#sending")).to_be_hidden()
    for _ in range(2):
        attention = page.locator("#attention .trouble")
        expect(attention).to_contain_text("cut.png was skipped. This image is incomplete")
        skipped = page.get_by_role("region", name="1 skipped", exact=True)
        expect(skipped.get_by_role("listitem")).to_contain_text("cut.png")
        expect(skipped.get_by_role("listitem")).to_contain_text("This image is incomplete")
        page.reload()
    complaints.clear()  # Chromium reports the 415.


def test_upload_resumes_when_the_connection_returns(
    page: Page, line: Line, complaints: list[str]
) -> None:
    page.goto(f"{line.url}/?preset=square")
    drop(page, {f"{n}.bmp": LARGE for n in range(3)})
    line.hold()
    submit(page)
    expect(page.locator(".frame.sending .ribbon").first).to_contain_text(IN_PART)
    page.context.set_offline(True)
    line.cut()  # Chromium goes on with what it has begun.
    said = page.locator("#sending-pause")
    expect(said).to_have_text("Connection lost. Uploading resumes automatically.")
    expect(page.get_by_role("status")).to_contain_text("Connection lost.")
    expect(page).to_have_title(re.compile("Paused at"))
    line.release()
    page.context.set_offline(False)
    expect(said).to_be_hidden(timeout=30_000)
    expect_done(page, "3 of 3 done")
    complaints.clear()  # Chromium reports what was cut.


def test_upload_survives_a_restart_of_the_server(browser: Browser, tmp_path: Path) -> None:
    # Chromium may send a file again by itself when its connection is closed, and sometimes never
    # finishes that: the page then sends the file again after 7.5 seconds without progress.
    with running(tmp_path / "instance", stall_seconds=5) as servers, line_to(servers.url) as line:
        context = browser.new_context(base_url=line.url)
        page = context.new_page()
        page.goto("/")
        choose_preset(page, "square")
        drop(page, {f"{n}.bmp": LARGE for n in range(3)})
        line.hold()
        submit(page)
        expect(page.locator(".frame.sending .ribbon").first).to_contain_text(IN_PART)
        servers.processes["web"].kill()
        servers.processes["web"].wait()
        expect(page.locator("#sending-pause")).to_contain_text("Connection lost.")
        line.release()
        servers.start_one("web")
        expect_done(page, "3 of 3 done")
        expect(page.locator(".frame-name")).to_have_text(["0.bmp", "1.bmp", "2.bmp"])
        context.close()


@pytest.mark.parametrize("size", [(60, 40), (2000, 1700)], ids=["at its end", "in the middle"])
def test_stalled_file_is_sent_again(
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
        page.goto(f"{line.url}/?preset=square")
        page.set_input_files("#images", paths)
        submit(page)
        expect(page.locator("#sending-pause")).to_have_text(LOST)
        expect(page.get_by_role("status")).to_have_text(LOST)
        expect_done(page, "2 of 2 done")
        expect(page.locator(".frame-name")).to_have_text(["a.bmp", "b.jpg"])
    assert stuck
    complaints.clear()  # Chromium reports what was cut.


@pytest.mark.parametrize("carried", [0, 1_000_000], ids=["before", "while"])
def test_dead_connection_loses_nothing(
    page: Page, impatient: Servers, complaints: list[str], carried: int
) -> None:
    with line_to(impatient.url) as line:
        page.goto(f"{line.url}/?preset=square")
        drop(page, {f"{n}.bmp": LARGE for n in range(3)})
        expect(page.locator(".contact")).to_have_count(3)
        page.wait_for_function(LOADED, arg=["hx-upsert", "times.js", "job.css"])
        unanswered: list[bytes] = []
        left = carried

        def dies(data: bytes) -> bool:
            nonlocal left
            left -= len(data)
            if data.startswith(b"HEAD "):
                unanswered.append(data)
            return left < 0

        line.stops_at = dies
        watch(page, "document.querySelector('.frame.sending .ribbon')?.textContent ?? ''", "states")
        make_button(page).click()
        said = page.locator("#sending-pause:visible, #waiting-words:visible")
        expect(said).to_have_text(LOST)
        # Whether the line is back is asked again, for that question got stuck as well.
        wait_until(lambda: page.evaluate("true") and unanswered, what="a question")
        seen = page.evaluate("seen.states")
        assert any(IN_PART.search(words) for words in seen) == (carried > 0), seen
        line.stops_at = lambda data: False
        expect_done(page, "3 of 3 done")
        expect(said).to_have_count(0)
    complaints.clear()


def test_job_is_created_when_the_connection_returns(page: Page, complaints: list[str]) -> None:
    page.goto("/?preset=square")
    drop(page, {"a.jpg": make_jpeg()})
    page.context.set_offline(True)
    make_button(page).click()
    expect(page.locator("#waiting-words")).to_contain_text("Connection lost.")
    page.context.set_offline(False)
    expect_done(page, "1 of 1 done")
    complaints.clear()


def test_image_whose_answer_was_lost_is_added_once(page: Page, complaints: list[str]) -> None:
    page.goto("/?preset=square")
    drop(page, {"a.jpg": make_jpeg()})

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        route.abort()

    route_once(page, "**/images", lose_the_answer)
    submit(page)
    expect_done(page, "1 of 1 done")
    complaints.clear()


def test_file_that_always_cuts_the_connection_can_be_retried(
    page: Page, complaints: list[str]
) -> None:
    page.goto("/?preset=square")
    page.clock.install()
    drop(page, {"a.jpg": make_jpeg()})
    page.route("**/images", lambda route: route.abort())
    make_button(page).click()
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
    expect_done(page, "1 of 1 done")
    complaints.clear()


def fail_once(page: Page, status: int) -> None:
    """Answer the next image as another server might."""
    route_once(page, "**/images", lambda route: route.fulfill(status=status, body="oops"))


@pytest.mark.parametrize("status", [429, 500, 502, 507])
def test_job_closes_with_the_uploaded_files_when_one_failed(
    page: Page, complaints: list[str], status: int
) -> None:
    gather(page, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    fail_once(page, status)
    submit(page)
    expect_done(page, "3 of 4 done · 1 skipped")
    expect(page.locator("h1")).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("3 of 4 done · 1 skipped")
    expect(page.locator("#sending-facts")).to_have_text("3 photos uploaded · 1 not uploaded")
    complaints.clear()  # Chromium reports every refusal.


def test_frames_remain_of_files_that_can_be_sent_again(page: Page, complaints: list[str]) -> None:
    page.goto("/?preset=square")
    drop(page, {"a.txt": b"words", "b.jpg": make_jpeg(), "c.png": make_png()[:40]})
    drop(page, {"d.jpg": make_jpeg()})
    fail_once(page, 500)
    submit(page)
    expect_done(page, "1 of 4 done · 3 skipped")
    expect(page.locator(".frame.sending .frame-name")).to_have_text(["b.jpg"])
    expect(page.get_by_role("button", name="Retry")).to_have_accessible_name("Retry b.jpg")
    expect(page.locator("#skipped li > div > :first-child")).to_have_text(
        ["a.txt", "b.jpg", "c.png"]
    )
    complaints.clear()  # Chromium reports every refusal.


def test_failed_file_is_retried_after_the_job_finished(page: Page, complaints: list[str]) -> None:
    gather(page, "a.jpg", "b.jpg")
    fail_once(page, 500)
    submit(page)
    expect_done(page, "1 of 2 done · 1 skipped")
    page.get_by_role("button", name="Retry").click()
    expect_done(page, "2 of 2 done")
    expect(page.locator("#sending")).to_be_hidden()
    expect(page.locator("#skipped")).to_be_hidden()
    complaints.clear()


def test_retry_of_a_file_shows_that_its_job_was_deleted(page: Page, complaints: list[str]) -> None:
    gather(page, "a.jpg", "b.jpg")
    fail_once(page, 500)
    submit(page)
    expect_done(page, "1 of 2 done · 1 skipped")
    job = page.url
    other = page.context.new_page()
    other.goto(f"{job}/delete")
    other.get_by_role("button", name="Delete").click()
    expect(other).not_to_have_url(re.compile("delete"))
    other.close()
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".frame.sending .frame-why")).to_contain_text("This job was deleted.")
    complaints.clear()


def test_one_button_sends_all_failed_files_again(page: Page, complaints: list[str]) -> None:
    gather(page, "a.jpg", "b.jpg", "c.jpg")
    page.route("**/images", lambda route: route.fulfill(status=500, body="oops"), times=2)
    submit(page)
    page.get_by_role("button", name="Retry failed uploads").click()
    expect_done(page, "3 of 3 done")
    complaints.clear()


def test_one_failed_file_has_only_the_button_of_its_row(page: Page, complaints: list[str]) -> None:
    gather(page, "a.jpg", "b.jpg")
    fail_once(page, 500)
    submit(page)
    expect(page.get_by_role("button", name="Retry")).to_be_visible()
    expect(page.get_by_role("button", name="Retry failed uploads")).to_be_hidden()
    complaints.clear()


def test_file_that_cannot_be_read_leaves_the_others_alone(page: Page) -> None:
    page.goto("/")
    # No disk of ours refuses to be read: tests run as root.
    page.evaluate(
        """() => {
            DataTransferItem.prototype.webkitGetAsEntry = function () {
                const { name } = this.getAsFile();
                if (name !== "gone") return { isFile: true };
                const file = (_, fail) => fail(new DOMException("gone"));
                const entries = [[{ isFile: true, name: "gone.jpg", file }], []];
                const readEntries = (list) => list(entries.shift());
                const createReader = () => ({ readEntries });
                return { isFile: false, isDirectory: true, name, createReader };
            };
        }"""
    )
    drop(page, {"good.jpg": make_jpeg(), "gone": b""})
    expect(page.locator(".contact .name")).to_have_text("good.jpg")
    expect(page.locator(".skipped-file .name")).to_have_text("gone.jpg")
    expect(page.locator(".skipped-file .why")).to_have_text(
        "This file cannot be read. It may have been moved or deleted."
    )


def answer_with_a_page(route: Route) -> None:
    """Answer as a hotel's network does, before one has signed in."""
    route.fulfill(status=200, content_type="text/html", body="<h1>Welcome</h1>")


def test_answer_of_another_server_gets_a_message(page: Page) -> None:
    gather(page, "a.jpg")
    route_once(page, "**/jobs/open", answer_with_a_page)
    make_button(page).click()
    expect(page.locator("#upload-error")).to_have_text(
        "The response did not come from this server. Try again."
    )


def test_file_taken_by_another_server_does_not_count_as_uploaded(page: Page) -> None:
    gather(page, "a.jpg", "b.jpg")
    route_once(page, "**/images", answer_with_a_page)
    submit(page)
    expect(page.locator(".frame-why:visible")).to_have_text(
        "The response did not come from this server. Try again."
    )
    expect_done(page, "1 of 2 done · 1 skipped")
    page.get_by_role("button", name="Retry").click()
    expect_done(page, "2 of 2 done")


def test_files_are_sent_after_another_tab_began_a_session(
    page: Page, complaints: list[str]
) -> None:
    gather(page, "a.jpg")
    page.context.clear_cookies()
    other = page.context.new_page()
    other.goto("/")
    other.close()
    submit(page)
    expect_done(page, "1 of 1 done")
    complaints.clear()  # Chromium reports the 400.


def test_files_are_sent_after_the_secret_key_has_changed(
    page: Page, tmp_path: Path, complaints: list[str]
) -> None:
    with running(tmp_path / "instance") as servers:
        page.goto(servers.url)
        choose_preset(page, "square")
        drop(page, {"a.jpg": make_jpeg()})
        expect(page.locator(".contact")).to_have_count(1)
        servers.processes["web"].kill()
        servers.processes["web"].wait()
        (servers.instance / "secret_key").unlink()
        servers.start_one("web")
        submit(page)
        expect_done(page, "1 of 1 done")
    complaints.clear()


def test_token_that_stays_wrong_is_renewed_once(page: Page, complaints: list[str]) -> None:
    gather(page, "a.jpg")
    asked: list[str] = []
    problem = '{"code": "csrf", "detail": "This page was open for too long.", "field": null}'

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=400, body=problem)

    page.route("**/jobs/open", refuse)
    make_button(page).click()
    expect(page.locator("#upload-error")).to_have_text("This page was open for too long.")
    assert len(asked) == 2
    complaints.clear()
