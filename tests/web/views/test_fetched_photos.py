"""What pages say of photos that are fetched from their addresses."""

from pathlib import Path

import pytest

from tests.support.images import make_jpeg
from tests.support.pages import Page
from tests.support.people import Script
from webapp.config import Config
from webapp.jobs.errors import FETCH_CANCELLED
from webapp.jobs.lifecycle import Jobs


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(instance=tmp_path / "instance", fetch_urls=True)


@pytest.fixture
def fetching(script: Script, jobs: Jobs) -> dict[str, str]:
    """An open job that waits for two photos."""
    job = script.create()
    for name in ("cat.jpg", "dog.jpg"):
        jobs.add_url(job["id"], f"https://pictures.example/{name}", None, None, "client")
    return job


def page_of(script: Script, job: dict[str, str]) -> Page:
    return Page(script.client.get(f"/jobs/{job['id']}").text)


def test_page_tells_that_photos_are_being_fetched(script: Script, fetching: dict[str, str]) -> None:
    page = page_of(script, fetching)

    assert page.text("h1") == "Fetching photos"
    assert page.text(".now") == "2 photos are being fetched from their links"
    assert page.polled()


def test_closed_job_counts_the_photos_that_are_still_to_be_fetched(
    script: Script, jobs: Jobs, fetching: dict[str, str]
) -> None:
    script.add(fetching, make_jpeg())
    script.send(fetching["close_url"])

    page = page_of(script, fetching)
    assert page.text("h1") == "0 of 3 done"
    assert "still uploading" not in page.text()
    assert page.polled()


def test_list_tells_that_photos_are_being_fetched(script: Script, fetching: dict[str, str]) -> None:
    page = Page(script.client.get("/jobs", headers={"Accept": "text/html"}).text)

    assert "2 photos are being fetched from their links" in page.text(".job-row")


def test_cancelled_fetches_are_shown_as_skipped_files(
    script: Script, jobs: Jobs, fetching: dict[str, str]
) -> None:
    script.send(fetching["close_url"])
    jobs.cancel(fetching["id"])

    page = page_of(script, fetching)
    assert page.text("h1") == "0 of 2 done · 2 skipped"
    assert page.texts("#skipped .skip-why") == [FETCH_CANCELLED[1]] * 2
    assert not page.polled()


def test_waiting_fetches_are_cancelled_on_the_page(
    script: Script, jobs: Jobs, fetching: dict[str, str]
) -> None:
    cancel = page_of(script, fetching).value("#cancel-all", "formaction")

    script.send(cancel)

    statuses = [fetch.status for fetch in jobs.store.fetches.of_job(fetching["id"])]
    assert statuses == ["cancelled", "cancelled"]
