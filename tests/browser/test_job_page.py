"""Following a job and downloading its thumbnails, as only a browser shows it."""

import re
import time
from pathlib import Path
from zipfile import ZipFile

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.browser.actions import (
    LISTEN,
    PHOTO,
    WATCH_SHIFTS,
    are_undistorted,
    check_colors,
    choose_preset,
    create_job,
    drop,
    expect_done,
    expect_finished,
    expect_to_fit,
    longest_task,
    make,
    make_job,
    open_waiting,
    route_once,
    shifts,
    work_on,
)
from tests.browser.conftest import write_files
from tests.support.images import make_png, make_truncated
from tests.support.jobs import open_jobs, sweep
from tests.support.servers import Servers, wait_until
from webapp.config import Config

pytestmark = pytest.mark.browser


# Following


def test_live_region_announces_start_quarters_and_end_once(page: Page, idle: Servers) -> None:
    page.goto(f"{idle.url}/?preset=square")
    page.evaluate(LISTEN)
    drop(page, {f"{number}.jpg": PHOTO for number in range(1, 9)})
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator("h1")).to_have_text("0 of 8 images done")
    work_on(idle)
    expect_finished(page, "8 of 8 images done")
    said = page.evaluate("said")
    assert said[:2] == ["8 images", "Uploading 8 images."]
    told = [int(words.split()[0]) for words in said if " done" in words]
    assert told == sorted(set(told))
    assert len([count for count in told if count]) <= 4
    assert said[-1] == "8 of 8 images done"


def test_focus_moves_to_the_results_once_they_are_all_there(page: Page) -> None:
    page.goto("/?preset=square")
    drop(page, {"a.jpg": PHOTO})
    make(page)
    expect(page.locator("h1")).to_be_focused()


def test_poll_takes_no_focus_away(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg", "b.jpg")
    page.get_by_role("button", name="Cancel b.jpg").focus()
    change_elsewhere(page)
    expect(page.locator(".frame.cancelled .frame-name")).to_have_text(["a.jpg"])
    expect(page.get_by_role("button", name="Cancel b.jpg")).to_be_focused()


def change_elsewhere(page: Page) -> None:
    """Cancel the first image in another tab."""
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Cancel a.jpg").click()
    expect(other.locator(".frame.cancelled")).to_have_count(1)
    other.close()


def test_waiting_page_tells_how_many_of_others_come_first(
    page: Page, idle: Servers, browser: Browser
) -> None:
    other = browser.new_page()
    open_waiting(other, idle, "x.jpg", "y.jpg", "z.jpg")
    open_waiting(page, idle, "a.jpg")
    expect(page.locator(".now")).to_contain_text("1 image ahead of you in the queue")
    other.get_by_role("button", name="Cancel all waiting").click()
    expect(page.locator(".now")).not_to_contain_text("others")
    other.close()


def test_missing_workers_are_announced_once_until_one_is_there(page: Page, idle: Servers) -> None:
    page.goto(f"{idle.url}/?preset=square")
    page.evaluate(LISTEN)
    drop(page, dict.fromkeys(("a.jpg", "b.jpg", "c.jpg"), PHOTO))
    page.get_by_role("button", name="Make thumbnails").click()
    words = page.locator("#job-panel").get_by_text("Processing is paused: no workers are running.")
    expect(words).to_be_visible()
    expect(page.locator("h1")).to_have_text("0 of 3 images done")  # All are sent.
    page.get_by_role("button", name="Cancel a.jpg").click()
    expect(page.locator("h1")).to_have_text("0 of 3 images done, 1 cancelled")
    idle.start_one("consumer")
    expect(words).to_have_count(0, timeout=30_000)
    told = [said for said in page.evaluate("said") if "no workers" in said]
    assert len(told) == 1


def test_title_and_icon_tell_the_end(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg")
    icon = page.locator("link[rel=icon]")
    expect(page).to_have_title("0 of 1 image done · Thumbnails")
    expect(icon).to_have_attribute("href", re.compile(r"/icon\.svg$"))
    work_on(idle)
    expect(page).to_have_title("1 of 1 image done · Thumbnails")
    expect(icon).to_have_attribute("href", re.compile(r"/icon-done\.svg$"))


def test_nothing_moves_while_results_come_in(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, *(f"{number}.jpg" for number in range(1, 7)))
    page.evaluate(WATCH_SHIFTS)
    work_on(idle)
    expect_finished(page, "6 of 6 images done")
    assert sum(value for value, _ in shifts(page)) < 0.01, shifts(page)


def test_placeholder_shows_until_the_thumbnail_is_there(page: Page) -> None:
    page.goto("/?preset=web-set")
    drop(page, {"a.jpg": PHOTO})
    held: list[Route] = []
    page.route("**/thumbnails/**", lambda route: held.append(route))
    with page.expect_request("**/thumbnails/**"):
        make(page)
    placeholder = page.locator(".placeholder")
    expect(placeholder).to_have_js_property("naturalWidth", 640)
    box = placeholder.bounding_box()
    held[0].continue_()
    expect(page.locator(".shot img").last).to_have_js_property("complete", True)
    assert page.locator(".shot img").last.bounding_box() == box


def test_images_stand_in_the_order_of_their_uploader(page: Page, idle: Servers) -> None:
    late: list[Route] = []
    names = [f"{number}.jpg" for number in range(1, 6)]
    page.goto(f"{idle.url}/?preset=square")
    drop(page, dict.fromkeys(names, PHOTO))
    route_once(page, "**/images", lambda route: late.append(route))
    page.get_by_role("button", name="Make thumbnails").click()
    expect(page.locator(".frame-name")).to_have_text(names[1:])
    late[0].continue_()
    expect(page.locator(".frame-name")).to_have_text(names)
    expect(page.locator("h1")).to_have_text("0 of 5 images done")


def test_large_job_never_stops_the_page(browser: Browser, idle: Servers) -> None:
    context = browser.new_context()
    page = context.new_page()
    open_waiting(page, idle, *(f"{number}.jpg" for number in range(30)), preset="web-set")
    with longest_task(browser, page) as longest:
        idle.start_one("consumer")
        expect_finished(page, "30 of 30 images done")
    assert longest() < 200
    context.close()


def hide(page: Page) -> None:
    """Move the tab of a page to the background."""
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { get: () => window.isHidden });
            window.isHidden = true;
        }"""
    )


SHOW = "isHidden = false, document.dispatchEvent(new Event('visibilitychange')), null"


def test_hidden_tab_polls_only_when_it_is_shown(page: Page, idle: Servers) -> None:
    page.clock.install()
    open_waiting(page, idle, "a.jpg")
    hide(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(5000)  # Ten times the interval.
    page.evaluate("fetch('/docs').then(() => null)")  # All others were sent before it.
    assert asked == [f"{idle.url}/docs"]
    with page.expect_request("**/panel?*"):
        page.evaluate(SHOW)


def test_zip_can_be_downloaded_with_the_first_thumbnail(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg")
    expect(page.get_by_role("button", name="Download all")).to_be_disabled()
    work_on(idle)
    expect(page.get_by_role("button", name="Download all")).to_be_enabled()


def test_page_resumes_after_a_lost_connection(
    page: Page, idle: Servers, complaints: list[str]
) -> None:
    open_waiting(page, idle, "a.jpg")
    page.context.set_offline(True)
    bar = page.locator(".bar:visible")
    expect(bar).to_have_text("Connection lost. Retrying – your job continues on the server.")
    expect(page.get_by_role("status")).to_contain_text("Connection lost")
    expect(page.locator(".frame.waiting")).to_have_count(1)
    work_on(idle)
    page.context.set_offline(False)
    expect_done(page, "1 of 1 image done")
    expect(bar).to_have_count(0)
    complaints.clear()  # Chromium reports every request that was lost.


def test_page_bears_with_a_server_in_trouble(
    page: Page, idle: Servers, complaints: list[str]
) -> None:
    open_waiting(page, idle, "a.jpg")
    page.route("**/panel?*", lambda route: route.fulfill(status=500, body="oops"), times=2)
    bar = page.locator(".bar:visible")
    expect(bar).to_have_text("Server error. Retrying – nothing is lost.")
    expect(page.locator("body")).not_to_contain_text("oops")
    expect(page.locator(".frame.waiting")).to_have_count(1)
    expect(bar).to_have_count(0, timeout=10_000)
    complaints.clear()


def let_expire(page: Page, servers: Servers) -> None:
    """Sweep as the consumer does a day later, and set the page's clock to then."""
    day = 24 * 3600 + 10
    jobs = open_jobs(Config(instance=servers.instance), lambda: time.time() + day)
    sweep(jobs)
    jobs.store.db.close()
    page.clock.fast_forward("24:00:10")


@pytest.fixture(params=["job", "image"])
def finished_page(page: Page, servers: Servers, request: pytest.FixtureRequest) -> Page:
    """Return the page of a job or of an image, with a clock that can be put forward."""
    page.goto(make_job(page, servers, {"a.jpg": PHOTO, "b.jpg": PHOTO}))
    if request.param == "image":
        page.goto(page.locator("a.shot").first.evaluate("(link) => link.href"))
    page.clock.install()
    page.reload()
    return page


def test_page_says_by_itself_that_its_job_has_expired(
    finished_page: Page, servers: Servers
) -> None:
    let_expire(finished_page, servers)
    expect(finished_page.locator("h1")).to_have_text("This job is gone")
    expect(finished_page).to_have_title("This job is gone · Thumbnails")
    expect(finished_page.get_by_role("status")).to_have_text("This job is gone")
    expect(finished_page.locator("h1")).to_be_focused()


def test_page_of_an_expired_job_links_to_nothing_of_it(
    finished_page: Page, servers: Servers
) -> None:
    let_expire(finished_page, servers)
    expect(finished_page.locator("h1")).to_have_text("This job is gone")
    expect(finished_page.locator("main a")).to_have_text(["Make new thumbnails"])
    expect(finished_page.locator("main img")).to_have_count(0)


def test_page_that_is_shown_says_that_its_job_has_expired(
    finished_page: Page, servers: Servers
) -> None:
    hide(finished_page)
    let_expire(finished_page, servers)
    expect(finished_page.locator("h1")).not_to_have_text("This job is gone")
    finished_page.evaluate(SHOW)
    expect(finished_page.locator("h1")).to_have_text("This job is gone")


# Changing


def test_waiting_images_are_cancelled_one_or_all_by_keyboard(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg", "b.jpg", "c.jpg")
    page.get_by_role("button", name="Cancel b.jpg").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".frame.cancelled .frame-name")).to_have_text(["b.jpg"])
    expect(page.locator(".frame.cancelled")).to_be_focused()
    page.get_by_role("button", name="Cancel all waiting").focus()
    page.keyboard.press("Enter")
    expect_finished(page, "0 of 3 images done, 3 cancelled")
    expect(page.locator("h1")).to_be_focused()


def test_failed_images_are_tried_again_one_or_all(page: Page, servers: Servers) -> None:
    page.goto(
        make_job(
            page, servers, {"a.jpg": make_truncated(), "b.jpg": make_truncated(), "c.jpg": PHOTO}
        )
    )
    expect(page.locator("h1")).to_have_text("1 of 3 images done, 2 failed")
    for button in ("Retry a.jpg", "Retry all failed"):
        with page.expect_response("**/retry"):
            page.get_by_role("button", name=button).click()
        expect_finished(page, "1 of 3 images done, 2 failed")


def test_job_is_made_again_with_another_recipe(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    page.get_by_role("link", name="Make again").click()
    expect(page.locator("input[value=square]")).to_be_checked()
    choose_preset(page, "none of them")
    page.get_by_text("Custom sizes").click()
    page.get_by_label("Width").first.fill("64")
    page.get_by_role("button", name="Make again").click()
    links = page.locator(".thumbnails a:not(.download)")
    expect(links).to_have_text(["64 × 45 WebP"], timeout=20_000)
    expect_finished(page, "1 of 1 image done")


def test_old_results_are_marked_until_new_ones_are_there(page: Page, idle: Servers) -> None:
    url = create_job(page, idle, {"a.jpg": PHOTO})
    work_on(idle)
    page.goto(url)
    page.get_by_role("link", name="Make again").click()
    choose_preset(page, "card")
    page.get_by_role("button", name="Make again").click()
    expect(page.locator(".ribbon")).to_have_text("previous result")
    expect(page.locator(".thumbnails")).to_contain_text("100 × 100 JPEG")
    work_on(idle)
    expect(page.locator(".thumbnails")).to_contain_text("640 × 360 WebP")
    expect(page.locator(".ribbon")).to_have_count(0)


def test_job_is_kept_for_longer_without_leaving_the_page(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    kept = page.locator("#job-panel time")
    before = kept.text_content()
    choices = page.get_by_label("How long to keep the job from now")
    expect(choices.locator("option")).to_have_text(["3 days", "7 days"])
    choices.select_option("72")
    page.get_by_role("button", name="Keep for").click()
    expect(kept).not_to_have_text(before or "")
    expect(page.get_by_role("status")).to_have_text(f"Kept until {kept.text_content()}")
    expect(choices.locator("option")).to_have_text(["7 days"])  # Nothing that changes nothing.
    page.get_by_role("button", name="Keep for").click()
    expect(choices).to_have_count(0)
    expect(page.get_by_role("link", name="Make again")).to_be_focused()


def test_delete_can_be_undone(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    page.get_by_role("link", name="Delete").click()
    expect(page.locator(".frame")).to_be_hidden()
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".frame")).to_be_visible()
    expect(page.get_by_role("link", name="Delete")).to_be_focused()
    page.reload()
    expect(page.locator(".frame")).to_have_count(1)


def test_delete_is_final_after_some_seconds(page: Page, servers: Servers) -> None:
    page.clock.install()
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    page.get_by_role("button", name="Keep for").click()
    expect(page.get_by_role("status")).to_contain_text("Kept until")
    page.get_by_role("link", name="Delete").click()
    page.clock.run_for(9000)
    expect(page.locator("h1")).to_have_text("This job is gone")
    assert page.request.get(page.url).status == 404
    page.goto("/")
    expect(page.locator(".messages")).to_have_count(0)  # It was all said where it was done.


def test_user_who_leaves_after_deleting_is_told_nothing_more(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    address = page.url
    page.get_by_role("link", name="Delete").click()
    page.goto("/")
    wait_until(lambda: page.request.get(address).status == 404, what="a deleted job")
    page.reload()
    expect(page.locator(".messages")).to_have_count(0)


def test_job_is_deleted_from_the_list_of_ones_own(
    page: Page, servers: Servers, complaints: list[str]
) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO}))
    job = page.url
    page.goto("/jobs")
    row = page.locator(f"#job-{job.rpartition('/')[2]}")
    row.get_by_role("link", name="Delete").click()
    expect(row).to_be_hidden()
    page.reload()  # This sends the request.
    wait_until(lambda: page.request.get(job).status == 404, what="a deleted job")
    page.reload()
    expect(row).to_have_count(0)
    complaints.clear()  # The page that came before the server heard of it deletes it once more.


def test_other_tab_learns_that_the_job_is_gone(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": make_truncated()}))
    other = page.context.new_page()
    other.goto(page.url)
    page.get_by_role("link", name="Delete").click()
    page.goto("/")
    wait_until(lambda: page.request.get(other.url).status == 404, what="a deleted job")
    other.get_by_role("button", name="Retry all failed").click()
    expect(other.locator("h1")).to_have_text("This job is gone")


def test_two_tabs_of_one_job_both_follow_it(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg", "b.jpg")
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Cancel a.jpg").click()
    expect(page.locator(".frame.cancelled .frame-name")).to_have_text(["a.jpg"])
    work_on(idle)
    for tab in (page, other):
        expect_finished(tab, "1 of 2 images done, 1 cancelled")


# Taking home


def clipboard(page: Page) -> str:
    return page.evaluate("navigator.clipboard.readText()")  # type: ignore[no-any-return]


@pytest.fixture
def copying(context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])


@pytest.mark.usefixtures("copying")
def test_thumbnail_is_copied_as_it_was_the_last_time(
    page: Page, servers: Servers, base_url: str
) -> None:
    page.goto(make_job(page, servers, {"my cat.jpg": PHOTO}))
    button = page.get_by_role("button", name="Copy 100 × 100 JPEG of my cat.jpg")
    url = base_url + str(page.locator(".thumbnails a").first.get_attribute("href"))
    button.click()
    expect(page.get_by_role("status")).to_have_text("Copied 100 × 100 JPEG of my cat.jpg")
    assert clipboard(page) == (
        f'<img src="{url}" width="100" height="100" alt="my cat" loading="lazy" decoding="async">\n'
    )
    page.get_by_role("radio", name="Markdown").check()
    page.reload()
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Copied 100 × 100 JPEG of my cat.jpg")
    assert clipboard(page) == f"![my cat]({url})\n"
    expect(page.get_by_role("radio", name="Markdown")).to_be_checked()


@pytest.mark.usefixtures("copying")
def test_responsive_set_is_copied_as_a_picture(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO, "b.jpg": PHOTO}, "web-set"))
    page.get_by_role("button", name="Copy all 6 of b.jpg").click()
    expect(page.get_by_role("status")).to_have_text("Copied all 6 of b.jpg")
    assert clipboard(page).count("<picture>") == 1
    page.get_by_role("button", name="Copy all images").click()
    expect(page.get_by_role("status")).to_have_text("Copied all images")
    text = clipboard(page)
    assert text.count("<picture>") == 2
    for part in ("srcset=", "sizes=", "width=", "height=", "alt="):
        assert part in text


def test_zip_has_all_thumbnails_by_the_chosen_names(
    page: Page, servers: Servers, tmp_path: Path
) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO, "b.jpg": make_truncated()}, "web-set"))
    page.get_by_label("File names").select_option("{name}/{output}")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download all").click()
    assert download.value.suggested_filename == "a-and-1-more-thumbnails.zip"
    download.value.save_as(tmp_path / "job.zip")
    with ZipFile(tmp_path / "job.zip") as archive:
        assert archive.testzip() is None
        assert "thumbnails/a/640w.webp" in archive.namelist()
        assert b"b.jpg" in archive.read("errors.txt")


# For everyone


def test_job_is_followed_and_changed_without_script(
    browser: Browser, idle: Servers, tmp_path: Path
) -> None:
    context = browser.new_context(java_script_enabled=False, base_url=idle.url)
    page = context.new_page()
    page.goto("/")
    files = {"a.jpg": PHOTO, "b.jpg": PHOTO, "c.jpg": make_truncated()}
    page.set_input_files("#images", write_files(tmp_path, files))
    page.get_by_label("Avatar").check()
    page.get_by_role("button", name="Make thumbnails").click()
    page.get_by_role("button", name="Cancel b.jpg").click()
    expect(page.locator("h1")).to_have_text("0 of 3 images done, 1 cancelled")
    idle.start_one("consumer")
    expect_done(page, "1 of 3 images done, 1 failed, 1 cancelled")
    page.get_by_role("button", name="Retry b.jpg").click()
    expect_done(page, "2 of 3 images done, 1 failed")
    page.get_by_role("button", name=re.compile(r"Copy all \d of a\.jpg")).click()
    expect(page.locator("body")).to_contain_text("<picture>")
    page.go_back()
    page.locator("a.shot").first.click()
    assert are_undistorted(page)
    expect(page.get_by_text("Original, 1000 × 700 JPEG")).to_be_visible()
    expect(page.locator(".after-facts")).to_contain_text("256 × 256 WebP")
    page.get_by_label("From the left, 0 to 1").fill("0.2")
    page.get_by_role("button", name="Crop around this point").click()
    expect(page.get_by_label("From the left, 0 to 1")).to_have_value("0.20")
    page.get_by_role("button", name="Reset to recipe").click()
    expect(page.get_by_label("From the left, 0 to 1")).to_have_value("0.50")
    page.get_by_role("link", name="Next").click()
    page.get_by_role("link", name="Next").click()
    page.get_by_role("button", name="Retry c.jpg").click()
    expect(page).to_have_url(re.compile(r"/jobs/[0-9a-f-]+$"))
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete").click()
    expect(page).to_have_url(f"{idle.url}/")
    expect(page.locator(".messages")).to_contain_text("The job is deleted")
    context.close()


def test_axe_finds_nothing_on_the_job_page_in_any_state(page: Page, idle: Servers) -> None:
    files = {"a.jpg": PHOTO, "b.png": make_png("RGBA", (300, 200)), "c.jpg": make_truncated()}
    page.goto(create_job(page, idle, files, "avatar", "web-set"))
    page.get_by_role("button", name="Cancel b.png").click()
    expect(page.locator(".frame.cancelled")).to_have_count(1)
    check_colors(page)
    work_on(idle)
    expect_finished(page, "1 of 3 images done, 1 failed, 1 cancelled")
    check_colors(page)
    page.goto(f"{idle.url}/jobs")
    check_colors(page)
    page.go_back()
    page.locator("a.shot").click()
    expect(page.locator(".focus-picture")).to_be_visible()
    page.get_by_text("HTML, ready to paste").click()
    check_colors(page)
    page.go_back()
    page.get_by_role("link", name="Delete").click()
    check_colors(page)


def test_job_and_image_fit_every_screen(page: Page, servers: Servers) -> None:
    names = ("very-long-" * 20 + ".jpg", "صورة.jpg")
    files = {**dict.fromkeys(names, PHOTO), "cut.jpg": make_truncated()}
    page.goto(make_job(page, servers, files, "avatar"))
    expect_to_fit(page, 320, 390, 3840)
    page.locator("a.shot").first.click()
    expect(page.locator(".focus-picture")).to_be_visible()
    page.get_by_text("HTML, ready to paste").click()
    expect_to_fit(page, 320, 390, 3840)


def test_name_from_right_to_left_keeps_the_words_around_it(page: Page, servers: Servers) -> None:
    page.goto(make_job(page, servers, {"صورة جميلة.jpg": PHOTO}))
    name = page.locator(".frame-name bdi")
    expect(name).to_have_text("صورة جميلة.jpg")
    state = page.locator(".frame-head .fact").last
    left, right = name.bounding_box(), state.bounding_box()
    assert left
    assert right
    assert left["x"] + left["width"] <= right["x"]
