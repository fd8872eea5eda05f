"""The pages work over HTTP alone, without JavaScript, also below a path."""

import json
from io import BytesIO
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from PIL import Image

from tests.acceptance.callers import Browser, Caller, WebPage
from tests.support.images import make_jpeg, make_png

pytestmark = pytest.mark.live

PAGES = ("", "jobs", "docs", "docs/try", "sign-in")


@pytest.fixture(scope="module")
def sent(browser_of_a_person: Browser) -> requests.Response:
    """The answer to the upload form, sent with two photos and a text."""
    return browser_of_a_person.upload(
        ("a.jpg", make_jpeg()), ("b.png", make_png()), ("notes.txt", b"just words")
    )


@pytest.fixture(scope="module")
def job_page(browser_of_a_person: Browser, sent: requests.Response) -> WebPage:
    return browser_of_a_person.finished_page(sent.headers["Location"])


def test_form_leads_to_the_page_of_the_job(sent: requests.Response) -> None:
    assert sent.status_code == 303, sent.text
    assert "/jobs/" in sent.headers["Location"]


def test_page_of_a_job_shows_its_thumbnails(
    browser_of_a_person: Browser, job_page: WebPage
) -> None:
    pictures = [link for link in job_page.links() if "/thumbnails/" in link]
    assert len(set(pictures)) == 2
    for picture in pictures:
        answer = browser_of_a_person.get(picture)
        assert Image.open(BytesIO(answer.content)).size == (100, 100)


def test_page_of_a_job_names_the_files_that_were_skipped(job_page: WebPage) -> None:
    assert any("notes.txt" in text for text in job_page.texts("li"))


def test_own_jobs_are_listed(browser_of_a_person: Browser, sent: requests.Response) -> None:
    links = browser_of_a_person.page("jobs").links()
    assert urlsplit(sent.headers["Location"]).path in links


def test_other_browser_sees_the_job_and_cannot_change_it(
    visitor: Browser, sent: requests.Response
) -> None:
    link = sent.headers["Location"]
    page = visitor.page(link)
    assert not [action for action in page.links() if action.endswith("/delete")]
    assert urlsplit(link).path not in visitor.page("jobs").links()


def test_original_is_shown_to_its_owner_alone(
    browser_of_a_person: Browser, visitor: Browser, job_page: WebPage
) -> None:
    original = next(link for link in job_page.links() if "/images/" in link) + "/original"
    assert browser_of_a_person.get(original).content == make_jpeg()
    assert visitor.get(original).status_code == 403


def test_form_without_photos_is_refused_with_a_reason(browser_of_a_person: Browser) -> None:
    answer = browser_of_a_person.upload(("", b""))
    assert answer.status_code == 422
    assert "Choose at least one photo." in answer.text


def test_form_without_its_token_is_refused(browser_of_a_person: Browser) -> None:
    assert browser_of_a_person.post("jobs", data={"presets": "square"}).status_code == 400


def test_page_of_another_site_cannot_upload(browser_of_a_person: Browser) -> None:
    other = {"Origin": "https://evil.example"}
    files = {"file": ("a.jpg", make_jpeg())}
    answer = browser_of_a_person.post("upload_image", files=files, headers=other)
    assert answer.status_code == 403


@pytest.mark.parametrize("link", ["//evil.example/", "https://evil.example/", "/\\evil.example/"])
def test_sign_in_leads_to_no_other_site(visitor: Browser, link: str) -> None:
    page = WebPage(visitor.get("sign-in", params={"next": link}))
    assert "evil" not in page.html
    visitor.address(page.value("input[name=next]", "value"))


@pytest.mark.parametrize("link", PAGES, ids=["upload", "jobs", "docs", "try", "sign-in"])
def test_links_of_a_page_stay_below_the_base_url(browser_of_a_person: Browser, link: str) -> None:
    page = browser_of_a_person.page(link)
    ours = urlsplit(browser_of_a_person.base_url)
    links = [one for one in page.links() if urlsplit(one).netloc in {"", ours.netloc}]
    assert links
    for one in links:
        browser_of_a_person.address(one)


def test_links_of_a_job_stay_below_the_base_url(
    browser_of_a_person: Browser, job_page: WebPage
) -> None:
    for link in job_page.links():
        browser_of_a_person.address(link)


# Headers


def assert_is_protected(headers: Any) -> None:
    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy.get("script-src", "'self'") == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "link", [*PAGES, "healthcheck", "api/v1/limits", "nowhere", "thumbnails/none.jpg"]
)
def test_every_answer_has_the_headers(browser_of_a_person: Browser, link: str) -> None:
    headers = browser_of_a_person.get(link).headers
    assert_is_protected(headers)
    assert headers["Referrer-Policy"] == "same-origin"


def test_thumbnail_is_cached_for_ever_and_sets_no_cookie(stranger: Caller, job: Any) -> None:
    for thumbnail in job["images"][0]["thumbnails"]:
        headers = stranger.get(thumbnail["url"]).headers
        assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert headers["Content-Type"] == f"image/{thumbnail['format']}"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in headers["Content-Security-Policy"]
        assert "Set-Cookie" not in headers


def test_static_files_of_a_page_are_cached_for_ever(
    browser_of_a_person: Browser, visitor: Browser
) -> None:
    files = {link for link in browser_of_a_person.page("").links() if "/static/" in link}
    assert {urlsplit(link).path.rpartition(".")[2] for link in files} >= {"css", "js", "svg"}
    for link in files:
        answer = visitor.get(link)
        assert answer.status_code == 200, link
        assert "immutable" in answer.headers["Cache-Control"], link
        assert "Set-Cookie" not in answer.headers


def test_web_app_manifest_leads_to_this_instance(browser_of_a_person: Browser) -> None:
    link = browser_of_a_person.page("").value("link[rel=manifest]", "href")
    manifest = json.loads(browser_of_a_person.get(link).content)
    base = browser_of_a_person.address(link)
    for icon in manifest["icons"]:
        assert browser_of_a_person.get(urljoin(base, icon["src"])).status_code == 200


def test_cookie_is_hidden_from_scripts_and_other_sites(visitor: Browser) -> None:
    cookie = visitor.get("sign-in").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    if visitor.base_url.startswith("https:"):
        assert "Secure" in cookie


# Errors


def test_person_gets_an_error_as_a_page(visitor: Browser) -> None:
    answer = visitor.get("nowhere")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert WebPage(answer).text("h1") == "Not found"


def test_program_gets_an_error_as_json(stranger: Caller) -> None:
    answer = stranger.get("nowhere")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_page_of_a_missing_job_says_so(visitor: Browser) -> None:
    answer = visitor.get("jobs/00000000-0000-4000-8000-000000000000")
    assert answer.status_code == 404
    assert "text/html" in answer.headers["Content-Type"]
