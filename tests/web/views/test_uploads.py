"""Upload images with the page's form."""

import errno
import io
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.app import running_app
from tests.support.images import (
    make_image,
    make_jpeg,
    make_png,
    make_png_chunk,
    make_too_many_scans,
)
from tests.support.jobs import files_left, newest_job, nothing_left
from tests.support.pages import Page
from tests.support.people import Person, Script, multipart, part
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs

SMALL = {"max_file_mb": 1, "max_images": 3, "max_megapixels": 0.05, "max_jpeg_scans": 15}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(instance=tmp_path / "instance", **SMALL)  # type: ignore[arg-type]


def test_upload_page_shows_limits_retention_and_privacy(person: Person) -> None:
    page = person.page("/")
    for words in (
        "up to 1 MB each, 3 at a time",
        "Anyone with the link can see the results, until everything is deleted.",
        "Location and other metadata are removed",
    ):
        assert words in page.text()
    assert page.value("#keep_hours option[selected]") == "24"


def test_form_without_script_leads_to_the_job(person: Person, jobs: Jobs) -> None:
    response = person.upload((make_jpeg(), "a.jpg"), (make_png(), "b.png"))
    assert response.status_code == 303
    assert response.headers["Location"] == f"/jobs/{next(jobs.store.jobs.ids())}"
    assert [image.name for image in newest_job(jobs).images] == ["a.jpg", "b.png"]


def test_errors_of_the_form_are_shown_at_its_own_address(person: Person) -> None:
    page = person.page("/")
    assert page.value("#upload", "action") == "/"
    assert person.upload((b"", "")).status_code == 422


def test_form_without_images_is_refused(person: Person, jobs: Jobs) -> None:
    response = person.upload((b"", ""))
    assert response.status_code == 422
    assert "Choose at least one photo." in response.text
    assert nothing_left(jobs)


BAD_FILES = {
    "text": (b"just words, no picture", "notes.jpg", 415, "This is text"),
    "unsupported": (b"%PDF-1.7 and so on", "a.jpg", 415, "PDF"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.png", 415, "SVG"),
    "empty": (b"", "empty.jpg", 415, "empty"),
    "bytes": (
        b"\xff\xd8\xff" + bytes(1_900_000),
        "big.jpg",
        413,
        "This file is 1.9 MB; the limit is 1 MB",
    ),
    "pixels": (make_jpeg(size=(400, 300)), "wide.jpg", 413, "0.2 megapixels; the limit is 0.05"),
    "scans": (make_too_many_scans(), "slow.jpg", 415, "scans"),
}


@pytest.mark.parametrize("case", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_file_is_refused_by_name_with_the_reason(
    person: Person, jobs: Jobs, case: tuple[bytes, str, int, str]
) -> None:
    data, name, status, sentence = case
    response = person.upload((data, name))
    assert response.status_code == status
    assert name in response.text
    assert sentence in response.text
    assert nothing_left(jobs)


@pytest.mark.parametrize("case", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_file_of_the_script_gets_the_same_sentence(
    script: Script, jobs: Jobs, case: tuple[bytes, str, int, str]
) -> None:
    data, name, status, sentence = case
    job = script.create()
    response = script.add(job, data, name)
    assert response.status_code == status
    assert response.json is not None
    assert sentence in response.json["detail"]
    script.send(job["close_url"])
    assert nothing_left(jobs)


def refused_files(page: Page) -> dict[str, str]:
    """Return the files that were skipped: the sentence by the name."""
    names = page.texts(".skip-row > div > bdi, #skipped .name")
    sentences = page.texts(".skip-row > div > .skip-why, #skipped .why")
    return dict(zip(names, sentences, strict=True))


def test_good_files_are_kept_when_one_is_refused(person: Person, jobs: Jobs) -> None:
    response = person.upload((b"words", "notes.txt"), (make_jpeg(), "good.jpg"))
    assert response.status_code == 303
    sentences = refused_files(person.page(response.headers["Location"]))
    assert list(sentences) == ["notes.txt"]
    assert sentences["notes.txt"].startswith("This is text")
    assert [image.name for image in newest_job(jobs).images] == ["good.jpg"]


def test_more_files_than_a_job_takes_are_refused_by_name(person: Person, jobs: Jobs) -> None:
    response = person.upload(*[(make_jpeg(), f"{number}.jpg") for number in range(4)])
    sentences = refused_files(person.page(response.headers["Location"]))
    assert list(sentences) == ["3.jpg"]
    assert sentences["3.jpg"].startswith("A job has at most 3 photos.")
    assert newest_job(jobs).counts.total == 3


@pytest.mark.parametrize(
    "name",
    ["../../../etc/passwd", 'quo"te.jpg', "<script>alert(1)<x.jpg", "a\u202eb.jpg", "n" * 300, ""],
    ids=["slashes", "quotes", "script", "rtl", "long", "none"],
)
def test_strange_file_name_is_shown_safely(person: Person, jobs: Jobs, name: str) -> None:
    response = person.upload((make_jpeg(), name))
    assert response.status_code == 303
    page = person.get(response.headers["Location"]).text
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "etc" not in page.split("<main")[1]
    assert newest_job(jobs).counts.total == 1


@pytest.mark.parametrize("token", [None, "wrong"])
def test_form_without_the_right_token_is_refused(
    client: FlaskClient, jobs: Jobs, token: str | None
) -> None:
    data = {"images": (io.BytesIO(make_jpeg()), "a.jpg"), "presets": "square"}
    if token:
        data["csrf_token"] = token
    response = client.post("/jobs", data=data, headers={"Accept": "text/html"})
    assert response.status_code == 400
    assert "Reload it." in response.text
    assert nothing_left(jobs)


def test_request_over_the_size_limit_is_refused(person: Person, jobs: Jobs, app: object) -> None:
    person.client.application.config["MAX_CONTENT_LENGTH"] = 1000
    response = person.upload((make_jpeg(size=(200, 200)), "a.jpg"))
    assert response.status_code == 413
    assert "Send fewer files." in response.text
    assert nothing_left(jobs)


def test_interrupted_upload_leaves_no_files(client: FlaskClient, jobs: Jobs) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        + make_jpeg()[:200]
    )
    client.post("/upload_image", data=body, content_type="multipart/form-data; boundary=x")
    assert files_left(jobs) == []


def test_refused_files_stay_listed_on_the_job_page(tmp_path: Path) -> None:
    bad = [(b"words", f"{number:036}.heic") for number in range(150)]
    with running_app(Config(instance=tmp_path)) as app:
        person = Person(app.test_client())
        address = person.submit((make_jpeg(), "good.jpg"), *bad)
        for _ in range(2):
            page = person.get(address).text
            assert "0 of 151 done · 150 skipped" in page
            assert [name for _, name in bad if name not in page] == []
            assert page.count("<bdi>This is text, not an image.") == 150


def test_files_beyond_the_limit_of_a_job_are_not_received(person: Person) -> None:
    response = person.upload(*[(b"words", f"{number}.jpg") for number in range(4)])
    sentences = refused_files(Page(response.text))
    assert sentences["2.jpg"].startswith("This is text")
    assert sentences["3.jpg"].startswith("A job has at most 3 photos.")


def test_form_that_fails_halfway_keeps_nothing(
    person: Person, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_image, calls = jobs.store.queue.add, []

    def fill_the_disk(*args: Any) -> bool:
        calls.append(args)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return add_image(*args)

    monkeypatch.setattr(jobs.store.queue, "add", fill_the_disk)
    response = person.upload((make_jpeg(), "1.jpg"), (make_jpeg(), "2.jpg"))
    assert response.status_code == 507
    assert "disk is full" in response.text
    assert nothing_left(jobs)


def test_form_creates_a_whole_job(person: Person, jobs: Jobs) -> None:
    form = multipart(csrf_token=person.token(), presets="square", images=part(make_jpeg(), "a.jpg"))
    response = person.client.post("/jobs", headers={"Accept": "*/*"}, **form)
    assert response.status_code == 303
    assert newest_job(jobs).counts.total == 1


def test_gif_of_70000_comments_is_refused(person: Person, jobs: Jobs) -> None:
    whole = make_image("P", (40, 30), "GIF")
    start = 13 + 3 * (2 << (whole[10] & 7))
    response = person.upload((whole[:start] + b"\x21\xfe\x01x\0" * 70_000 + whole[start:], "a.gif"))
    assert response.status_code == 415
    assert nothing_left(jobs)


def test_png_of_70000_chunks_is_accepted(person: Person, jobs: Jobs) -> None:
    whole = make_png()
    person.upload((whole[:33] + make_png_chunk(b"teSt", b"") * 70_000 + whole[33:], "a.png"))
    assert newest_job(jobs).counts.total == 1


def test_upload_to_a_full_disk_keeps_nothing(
    person: Person, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.storage, "free_bytes", lambda: 1_000_000)
    answer = person.upload((make_jpeg(), "a.jpg"))
    assert answer.status_code == 507
    assert "The server&#39;s disk is full" in answer.text
    assert nothing_left(jobs)


def test_last_recipe_is_filled_in_with_and_without_script(script: Script) -> None:
    script.upload((make_jpeg(), "a.jpg"), presets="avatar")
    assert script.page("/").values(".preset [checked]") == ["avatar"]
    own = {"outputs-0-width": "800", "outputs-0-format": "webp"}
    script.create(presets="card", keep_hours="1", **own)
    filled_in = script.page("/").filled_in()
    assert {("presets", "card"), ("outputs-0-width", "800"), ("keep_hours", "1")} <= set(filled_in)


def test_last_recipe_stays_after_a_wrong_one(script: Script) -> None:
    script.create(presets="avatar")
    script.send("/jobs/open", presets="nope")
    assert script.page("/").values(".preset [checked]") == ["avatar"]
