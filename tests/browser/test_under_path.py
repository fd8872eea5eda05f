"""The site under a path of a host, through the real nginx with the configuration we ship."""

from collections.abc import Iterator
from zipfile import ZipFile

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import drop, expect_done, submit
from tests.browser.test_docs import send, unfold
from tests.support.images import make_jpeg
from tests.support.nginx import PREFIX, running_site, without_alias
from tests.support.servers import running

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a site that has ours under a path; return its address."""
    instance = tmp_path_factory.mktemp("path") / "instance"
    settings = {"trusted_proxies": 1, "trusted_prefix": 1, "accel_prefix": "/accel", "workers": 1}
    with running(instance, **settings) as servers, running_site(servers, without_alias) as client:
        yield f"http://{client.host}:{client.port}"


@pytest.fixture
def outside(page: Page, site: str) -> list[str]:
    """Collect the requests for anything that is not below the path."""
    asked: list[str] = []

    def note(url: str) -> None:
        if not url.startswith((f"{site}{PREFIX}/", "data:", "blob:")):
            asked.append(url)

    page.on("request", lambda request: note(request.url))
    return asked


def expect_pictures(page: Page, where: str) -> None:
    """Wait until all pictures at a place are loaded; placeholders go once they are."""
    pictures = page.locator(f"{where} img:not(.placeholder)")
    expect(pictures).not_to_have_count(0)
    for picture in pictures.all():
        picture.scroll_into_view_if_needed()
        expect(picture).not_to_have_js_property("naturalWidth", 0)


def test_photos_become_thumbnails_under_the_path(page: Page, site: str, outside: list[str]) -> None:
    page.goto(f"{site}{PREFIX}/?preset=card")
    drop(page, {f"{n}.jpg": make_jpeg(size=(1200, 800)) for n in range(3)})
    submit(page)
    expect_done(page, "3 of 3 done")
    expect_pictures(page, ".frame")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download zip").click()
    assert len(ZipFile(download.value.path()).namelist()) > 3
    page.locator("#frames a.shot, #frames .crops a").first.click()
    expect(page.locator("#image-panel")).to_be_visible()
    expect_pictures(page, ".compare")
    page.get_by_role("link", name="My jobs").click()
    expect(page.locator(".job-row")).to_have_count(1)
    expect_pictures(page, ".job-row")
    assert outside == []


def test_view_of_jobs_is_remembered_below_the_path_alone(
    page: Page, site: str, outside: list[str]
) -> None:
    page.goto(f"{site}{PREFIX}/?preset=square")
    drop(page, {f"{n}.jpg": make_jpeg() for n in range(30)})
    submit(page)
    expect_done(page, "30 of 30 done")
    page.get_by_label("One row a photo").check(force=True)
    (view,) = (one for one in page.context.cookies() if one["name"] == "view")
    assert view["path"] == f"{PREFIX}/jobs"
    page.reload()
    expect(page.get_by_label("One row a photo")).to_be_checked()
    assert outside == []


def test_api_is_tried_below_the_path(page: Page, site: str, outside: list[str]) -> None:
    page.goto(f"{site}{PREFIX}/docs/try")
    expect(page.locator(".servers option, .servers")).to_contain_text([f"{site}{PREFIX}"])
    expect(send(unfold(page, "list_limits")).last).to_contain_text("200")
    assert outside == []
