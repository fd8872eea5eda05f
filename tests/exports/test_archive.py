"""All thumbnails of a job in one zip."""

import json
import os
import re
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from flask import Flask
from werkzeug.http import parse_options_header
from werkzeug.test import TestResponse

from tests.support.images import make_jpeg, make_png, make_truncated
from tests.support.jobs import id_of, job_at, sweep, url_of, work
from tests.support.pages import read_zip
from tests.support.people import Person, Script
from webapp.exports.archive import pack, read_job
from webapp.exports.file_names import DEFAULT_PATTERN
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Job
from webapp.recipes.presets import PRESETS

BEACH = (make_jpeg(size=(400, 300), gps=True), "beach.jpg")


def download(person: Person, jobs: Jobs, *files: tuple[bytes, str]) -> TestResponse:
    """Get the zip of a job that is finished."""
    path = person.submit(*(files or [BEACH]))
    work(jobs)
    return person.get(f"{path}/zip")


def read_text(answer: TestResponse, name: str) -> str:
    with read_zip(answer) as archive:
        return archive.read(name).decode()


def read_manifest(answer: TestResponse) -> dict[str, Any]:
    return json.loads(read_text(answer, "manifest.json"))  # type: ignore[no-any-return]


def test_zip_has_the_thumbnails_as_they_are(person: Person, jobs: Jobs) -> None:
    path = person.submit(BEACH, presets=["square", "card"])
    work(jobs)
    made = job_at(jobs, path).images[0].thumbnails
    with read_zip(person.get(f"{path}/zip")) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "index.html",
            "manifest.json",
            "thumbnails/beach-square.jpg",
            "thumbnails/beach-card.webp",
        ]
        contents = [archive.read(name) for name in archive.namelist()[2:]]
    assert contents == [person.get(url_of(thumbnail)).data for thumbnail in made]


def test_zip_states_its_length_in_advance(person: Person, jobs: Jobs) -> None:
    answer = download(person, jobs, BEACH, (make_truncated(), "Bröken 写真.jpg"))
    assert answer.content_length == len(answer.data)


def test_head_request_makes_no_zip(person: Person, jobs: Jobs) -> None:
    path = person.submit(BEACH)
    assert person.client.head(f"{path}/zip").status_code == 404
    work(jobs)
    answer = person.client.head(f"{path}/zip")
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    assert answer.content_length is None


@pytest.mark.skipif(not shutil.which("unzip"), reason="unzip is not here")
def test_unzip_finds_no_error(person: Person, jobs: Jobs, tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    file.write_bytes(download(person, jobs, BEACH, (make_png(), "写真.png")).data)
    subprocess.run(["unzip", "-tq", file], check=True, stdout=subprocess.DEVNULL)


def test_names_beyond_ascii_are_marked_as_utf_8(person: Person, jobs: Jobs) -> None:
    with read_zip(download(person, jobs, (make_jpeg(), "写真.jpg"))) as archive:
        last = archive.infolist()[-1]
    assert last.filename == "thumbnails/写真-square.jpg"
    assert last.flag_bits & 0x800


@pytest.mark.parametrize(
    ("names", "plain", "encoded"),
    [
        (["beach.jpg"], "beach-thumbnails.zip", "beach-thumbnails.zip"),
        (
            ["café 写.jpg", "b.jpg", "c.jpg"],
            "cafe -and-2-more-thumbnails.zip",
            "caf%C3%A9%20%E5%86%99-and-2-more-thumbnails.zip",
        ),
    ],
)
def test_zip_is_named_after_its_images(
    person: Person, jobs: Jobs, names: list[str], plain: str, encoded: str
) -> None:
    answer = download(person, jobs, *((make_jpeg(), name) for name in names))
    assert answer.headers["Content-Disposition"] == (
        f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
    )


def test_zip_is_neither_cached_nor_resumed(person: Person, jobs: Jobs) -> None:
    headers = download(person, jobs).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Accept-Ranges"] == "none"


def test_visitor_with_the_link_can_download(person: Person, stranger: Person, jobs: Jobs) -> None:
    path = person.submit(BEACH)
    work(jobs)
    assert stranger.get(f"{path}/zip").status_code == 200


def test_manifest_describes_the_images(person: Person, jobs: Jobs) -> None:
    answer = download(person, jobs)
    [image] = read_manifest(answer)["images"]
    [thumbnail] = image.pop("thumbnails")
    assert image.pop("bytes") == len(BEACH[0])
    assert len(image.pop("thumbhash")) > 20
    assert image.pop("color").startswith("#")
    assert image == {
        "number": 1,
        "name": "beach.jpg",
        "state": "done",
        "error": None,
        "format": "jpeg",
        "width": 400,
        "height": 300,
        "had_gps": True,
        "alt": "beach",
        "html": '<img src="thumbnails/beach-square.jpg" width="100" height="100" alt="beach"'
        ' loading="lazy" decoding="async">',
    }
    with read_zip(answer) as archive:
        size = archive.getinfo(thumbnail["path"]).file_size
    assert thumbnail == {
        "path": "thumbnails/beach-square.jpg",
        "width": 100,
        "height": 100,
        "bytes": size,
        "format": "jpeg",
        "quality": 80,
    }


def test_manifest_describes_the_job_and_its_recipe(person: Person, jobs: Jobs) -> None:
    path = person.submit(BEACH)
    work(jobs)
    job = job_at(jobs, path)
    assert job.expires
    manifest = read_manifest(person.get(f"{path}/zip"))
    assert manifest["version"] == 1
    assert manifest["job"] == {
        "id": job.id,
        "created": job.created.isoformat(),
        "expires": job.expires.isoformat(),
        "is_finished": True,
        "total": 1,
        "done": 1,
        "failed": 0,
        "cancelled": 0,
        "missing": 0,
    }
    assert [output["name"] for output in manifest["recipe"]] == ["square"]


def test_paths_in_the_manifest_are_those_of_the_zip(person: Person, jobs: Jobs) -> None:
    path = person.submit((make_jpeg(), "a #1?.jpg"), (make_jpeg(), "写真.jpg"))
    work(jobs)
    answer = person.get(f"{path}/zip?names={{number}}-{{name}}/{{output}}")
    listed = [t["path"] for i in read_manifest(answer)["images"] for t in i["thumbnails"]]
    with read_zip(answer) as archive:
        assert listed == archive.namelist()[2:]


def test_zip_names_a_failed_image_with_its_reason(person: Person, jobs: Jobs) -> None:
    answer = download(person, jobs, BEACH, (make_truncated(), "cut.jpg"))
    sentence = "This image is incomplete: its end was cut off. Copy or export it again."
    assert read_text(answer, "errors.txt") == f"cut.jpg: {sentence}\n"
    image = read_manifest(answer)["images"][1]
    assert (image["state"], image["error"]["message"]) == ("failed", sentence)
    page = read_text(answer, "index.html")
    assert "1 of 2 done · 1 failed" in page
    assert sentence in page


def test_zip_names_a_refused_file_with_its_reason(person: Person, jobs: Jobs) -> None:
    answer = download(person, jobs, BEACH, (b"words", "notes.txt"))
    sentence = "This is text, not an image. Upload the picture itself."
    assert read_text(answer, "errors.txt") == f"notes.txt: {sentence}\n"
    assert read_manifest(answer)["missing_files"] == [{"name": "notes.txt", "reason": sentence}]
    assert "1 of 2 done · 1 skipped" in read_text(answer, "index.html")


def test_zip_without_failures_has_no_errors(person: Person, jobs: Jobs) -> None:
    with read_zip(download(person, jobs)) as archive:
        assert "errors.txt" not in archive.namelist()


def test_zip_of_an_unfinished_job_has_the_finished_images(script: Script, jobs: Jobs) -> None:
    job = script.create()
    script.add(job, make_jpeg(), "first.jpg")
    work(jobs)
    script.add(job, make_jpeg(), "second.jpg")
    answer = script.get(f"{job['url']}/zip")
    manifest = read_manifest(answer)
    assert manifest["job"]["is_finished"] is False
    assert [image["state"] for image in manifest["images"]] == ["done", "waiting"]
    assert "more files were being made" in read_text(answer, "index.html")


def test_job_without_thumbnails_yet_has_no_zip(person: Person) -> None:
    answer = person.get(f"{person.submit(BEACH)}/zip")
    assert answer.status_code == 404
    assert "No thumbnail of this job is ready yet. Try again in a moment." in answer.text


def test_job_whose_images_all_failed_has_no_zip(person: Person, jobs: Jobs) -> None:
    path = person.submit((make_truncated(), "cut.jpg"))
    work(jobs)
    answer = person.client.get(f"{path}/zip")
    assert answer.json
    assert (answer.status_code, answer.json["code"]) == (404, "no_thumbnails")
    assert "none of its images could be made into one" in answer.json["detail"]


@pytest.mark.parametrize("what", ["zip", "markup"])
def test_unknown_job_has_no_downloads(person: Person, what: str) -> None:
    assert person.get(f"/jobs/00000000-0000-4000-8000-000000000000/{what}").status_code == 404


def test_image_with_lost_files_is_listed_as_failed(person: Person, jobs: Jobs) -> None:
    path = person.submit(BEACH, (make_jpeg(), "lost.jpg"))
    work(jobs)
    lost = job_at(jobs, path).images[1].thumbnails[0]
    (jobs.storage.thumbnails / lost.path).unlink()
    errors = read_text(person.get(f"{path}/zip"), "errors.txt")
    assert errors == "lost.jpg: The server has lost this image's files. Upload it again.\n"


def test_zip_begun_before_a_remake_is_complete(app: Flask, person: Person, jobs: Jobs) -> None:
    path = person.submit(BEACH)
    work(jobs)
    job = job_at(jobs, path)
    with app.test_request_context():
        packed = pack(job, jobs.storage, DEFAULT_PATTERN)
    jobs.remake(job.id, PRESETS["card"].recipe, "127.0.0.1")
    work(jobs)
    sweep(jobs)
    with ZipFile(BytesIO(b"".join(packed))) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[2:] == ["thumbnails/beach-square.jpg"]


def test_zip_of_a_job_deleted_meanwhile_is_not_found(
    person: Person, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = person.submit(BEACH)
    work(jobs)
    read, before = jobs.job, [job_at(jobs, path)]
    jobs.delete(id_of(path))
    monkeypatch.setattr(jobs, "job", lambda job_id: before.pop() if before else read(job_id))
    assert person.get(f"{path}/zip").status_code == 404


def test_zip_of_a_job_deleted_before_its_files_are_opened_is_not_found(
    person: Person, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = person.submit(BEACH)
    work(jobs)

    def read_and_delete(jobs: Jobs, job_id: str) -> Job:
        monkeypatch.undo()
        job = read_job(jobs, job_id)
        jobs.delete(job_id)
        return job

    monkeypatch.setattr("webapp.web.views.downloads.read_job", read_and_delete)
    assert person.get(f"{path}/zip").status_code == 404


@pytest.mark.parametrize("change", [Path.unlink, lambda path: os.truncate(path, 10)])
def test_zip_breaks_off_where_a_file_changes(
    app: Flask, person: Person, jobs: Jobs, change: Any
) -> None:
    path = person.submit(BEACH)
    work(jobs)
    job = job_at(jobs, path)
    with app.test_request_context():
        packed = pack(job, jobs.storage, DEFAULT_PATTERN)
    change(jobs.storage.thumbnails / job.images[0].thumbnails[0].path)
    with pytest.raises((FileNotFoundError, RuntimeError)):
        list(packed)


def test_names_are_escaped_in_the_index(person: Person, jobs: Jobs) -> None:
    page = read_text(download(person, jobs, (make_jpeg(), "<script>x<i>.jpg")), "index.html")
    assert "<script>" not in page
    assert "<i>" not in page
    assert "&lt;script&gt;x&lt;i&gt;.jpg" in page


def test_index_loads_nothing_from_a_server(person: Person, jobs: Jobs) -> None:
    page = read_text(download(person, jobs), "index.html")
    assert "://" not in page
    assert '="/' not in page


# What NFKD makes of the full-width ones is what ends a quoted name: ", * and \\.
TRICKS = [
    "a\uff02; filename\uff0a=UTF-8''report.html; x=\uff02.jpg",
    "a\uff3c\uff02; x=.jpg",
    "\uff0e\uff0e\uff0fa.jpg",
    "a\u2028b\uff1ac.jpg",
]


@pytest.mark.parametrize("name", TRICKS)
def test_file_name_cannot_change_the_header_of_the_zip(
    person: Person, jobs: Jobs, name: str
) -> None:
    header = download(person, jobs, (make_jpeg(), name)).headers["Content-Disposition"]
    assert re.fullmatch(
        r"attachment; filename=\"[^\"\\*/:\r\n]+-thumbnails\.zip\";"
        r" filename\*=UTF-8''[\w.%~-]+-thumbnails\.zip",
        header,
        re.ASCII,
    )
    assert parse_options_header(header)[1]["filename"].endswith("-thumbnails.zip")


SCRIPT = "<img src=x onerror=alert(1)>&\u2028\u2029"


def test_zip_read_as_a_page_runs_no_markup_of_a_name(script: Script, jobs: Jobs) -> None:
    # Files that are stored and not packed stand in the zip as they are.
    job = script.create()
    script.add(job, make_jpeg(), f"{SCRIPT}.jpg")
    script.add(job, make_truncated(), f"{SCRIPT}2.jpg")
    missing = json.dumps([[9, f"{SCRIPT}3.jpg", SCRIPT]])
    script.send(job["close_url"], missing_files=missing)
    work(jobs)
    answer = script.get(f"{job['url']}/zip")
    assert b"<img src=x" not in answer.data
    manifest = read_text(answer, "manifest.json")
    assert not set("<>&\u2028\u2029") & set(manifest)
    assert read_manifest(answer)["images"][0]["name"] == f"{SCRIPT}.jpg"
