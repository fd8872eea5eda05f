"""What is in the zip, opened from disk."""

from contextlib import closing
from pathlib import Path
from zipfile import ZipFile

import pytest
from playwright.sync_api import Page, expect

from tests.browser.jobs import PHOTO, make_job, open_waiting, post_form, work_on
from tests.browser.measures import check_on_screens
from tests.support.images import make_jpeg, make_png, make_truncated
from tests.support.servers import Servers, wait_for_end

pytestmark = pytest.mark.browser


PHOTOS = {
    "IMG_2023-beach.jpg": make_jpeg(size=(1600, 1067), gps=True),
    "portrait.jpg": make_jpeg(size=(600, 800)),
    "cutout #1.png": make_png("RGBA", (640, 480)),
    "東京 50%.jpg": make_jpeg(size=(500, 500)),
    "<b>cut</b>.jpg": make_truncated(),
}


@pytest.fixture(scope="module")
def unpacked(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a job's zip, of a web set of every photo."""
    folder = tmp_path_factory.mktemp("zip")
    with closing(servers.client()) as client:
        path = post_form(client, PHOTOS)
        wait_for_end(servers, path.rpartition("/")[2])
        answer = client.get(f"{path}/zip?names={{number}}-{{name}}/{{output}}")
        (folder / "job.zip").write_bytes(answer.body)
    with ZipFile(folder / "job.zip") as archive:
        archive.extractall(folder / "job")
    return folder / "job"


def test_index_shows_all_pictures_from_disk(page: Page, unpacked: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((unpacked / "index.html").as_uri())
    expect(page.locator("h1")).to_have_text("IMG_2023-beach.jpg and 4 more")
    expect(page.locator("header .facts li").first).to_have_text("4 of 5 done · 1 failed")
    expect(page.locator("img")).to_have_count(4)
    for picture in page.locator("img").all():
        picture.scroll_into_view_if_needed()
    page.wait_for_function("[...document.images].every((i) => i.complete && i.naturalWidth)")
    assert [url for url in asked if not url.startswith("file:")] == []


def test_links_of_the_index_lead_to_files_of_the_zip(page: Page, unpacked: Path) -> None:
    page.goto((unpacked / "index.html").as_uri())
    paths = page.eval_on_selector_all(
        "a", "(links) => links.map((a) => decodeURIComponent(new URL(a.href).pathname))"
    )
    assert len(paths) > 20
    assert [path for path in paths if not Path(path).is_file()] == []


def test_markup_of_the_index_shows_the_pictures_beside_it(page: Page, unpacked: Path) -> None:
    page.goto((unpacked / "index.html").as_uri())
    markup = page.get_by_label("HTML for all photos").text_content()
    (unpacked / "mine.html").write_text(f'<!doctype html><meta charset="utf-8">{markup}')
    page.goto((unpacked / "mine.html").as_uri())
    expect(page.locator("picture")).to_have_count(4)
    for picture in page.locator("img").all():
        picture.scroll_into_view_if_needed()
    page.wait_for_function("[...document.images].every((i) => i.complete && i.naturalWidth)")
    chosen = page.eval_on_selector_all("img", "(images) => images.map((i) => i.currentSrc)")
    assert all(url.endswith(".webp") for url in chosen)


def test_axe_finds_no_fault_in_the_index(page: Page, unpacked: Path) -> None:
    page.goto((unpacked / "index.html").as_uri())
    for summary in page.locator(".files summary").all():
        summary.click()
    check_on_screens(page)


def test_zip_can_be_downloaded_with_the_first_thumbnail(page: Page, idle: Servers) -> None:
    open_waiting(page, idle, "a.jpg")
    expect(page.get_by_role("button", name="Download zip")).to_be_disabled()
    work_on(idle)
    expect(page.get_by_role("button", name="Download zip")).to_be_enabled()


def test_zip_has_all_thumbnails_by_the_chosen_names(
    page: Page, servers: Servers, tmp_path: Path
) -> None:
    page.goto(make_job(page, servers, {"a.jpg": PHOTO, "b.jpg": make_truncated()}, "web-set"))
    page.get_by_role("button", name="More").click()
    page.get_by_label("File names").select_option("{name}/{output}")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download zip").click()
    assert download.value.suggested_filename == "a-and-1-more-thumbnails.zip"
    download.value.save_as(tmp_path / "job.zip")
    with ZipFile(tmp_path / "job.zip") as archive:
        assert archive.testzip() is None
        assert "thumbnails/a/640w.webp" in archive.namelist()
        assert b"b.jpg" in archive.read("errors.txt")
