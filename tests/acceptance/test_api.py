"""The API does for programs what docs/http-api.md says."""

import json
from io import BytesIO
from typing import Any
from uuid import uuid4
from zipfile import ZipFile

import pytest
import requests
from jsonschema_rs import Draft202012Validator
from PIL import Image
from schemathesis.specs.openapi.definitions import OPENAPI_31

from tests.acceptance.callers import JOBS, Caller
from tests.support.images import make_jpeg, make_png

pytestmark = pytest.mark.live

UNKNOWN = f"{JOBS}/00000000-0000-4000-8000-000000000000"
BYTES = {"Content-Type": "application/octet-stream"}


def thumbnails(program: Caller, job: Any) -> list[Image.Image]:
    """Download all thumbnails of the first image of a job."""
    found = job["images"][0]["thumbnails"]
    return [Image.open(BytesIO(program.get(one["url"]).content)) for one in found]


def problem(answer: requests.Response) -> tuple[int, str]:
    """Return the status and the code of an error, which is a problem of RFC 9457."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["title"]
    assert body["detail"]
    return answer.status_code, body["code"]


# Create


def test_one_request_answers_with_the_thumbnail(program: Caller) -> None:
    answer = program.post(
        f"{JOBS}?width=48&wait=20",
        data=make_jpeg(),
        headers={"Accept": "image/*", **BYTES},
    )
    assert answer.status_code == 200, answer.text
    program.keep_track(answer.links["describedby"]["url"].rpartition("/")[2])
    assert Image.open(BytesIO(answer.content)).size == (48, 32)


def test_form_makes_a_job_of_several_images(program: Caller) -> None:
    files = [("file", ("a.jpg", make_jpeg())), ("file", ("b.png", make_png()))]
    answer = program.post(
        JOBS, files=files, data={"preset": "square"}, headers={"Prefer": "wait=20"}
    )
    assert answer.status_code in {201, 202}, answer.text
    job = answer.json()
    program.keep_track(job["id"])
    assert answer.headers["Location"] == job["links"]["job"]
    job = program.finish(job)
    assert job["status"] == "done"
    assert [image["name"] for image in job["images"]] == ["a.jpg", "b.png"]


def test_bad_file_is_listed_beside_the_good_one(program: Caller) -> None:
    files = [("file", ("a.jpg", make_jpeg())), ("file", ("notes.txt", b"just words"))]
    answer = program.post(JOBS, files=files, data={"preset": "square"})
    job = answer.json()
    program.keep_track(job["id"])
    assert [one["name"] for one in job["missing_files"]] == ["notes.txt"]
    assert program.finish(job)["counts"]["done"] == 1


def test_open_job_takes_images_one_by_one(program: Caller) -> None:
    opened = program.post(JOBS, json={"presets": ["square"], "name": "Acceptance"})
    assert opened.status_code == 201
    job = opened.json()
    program.keep_track(job["id"])
    for position in (1, 0):
        query = f"filename={position}.jpg&position={position}"
        sent = program.request(
            "PUT", f"{job['links']['images']}?{query}", data=make_jpeg(), headers=BYTES
        )
        assert sent.status_code == 201, sent.text
    closed = program.finish(program.post(f"{job['links']['job']}/close?wait=20").json())
    assert [image["name"] for image in closed["images"]] == ["0.jpg", "1.jpg"]
    assert (closed["title"], closed["status"]) == ("Acceptance", "done")


def test_every_format_is_written(program: Caller) -> None:
    formats = set(program.get("api/v1/formats").json()["writes"]) - {"gif"}  # For animations.
    for format in formats:
        (made,) = thumbnails(program, program.create(make_jpeg(), f"width=60&format={format}"))
        assert (made.format, made.size) == (format.upper(), (60, 40))


@pytest.mark.parametrize(
    ("fit", "size"), [("contain", (60, 40)), ("cover", (60, 60)), ("pad", (60, 60))]
)
def test_fits_are_those_of_css(program: Caller, fit: str, size: tuple[int, int]) -> None:
    job = program.create(make_jpeg(size=(120, 80)), f"width=60&height=60&fit={fit}")
    assert thumbnails(program, job)[0].size == size


def test_photo_is_turned_upright_and_loses_its_metadata(program: Caller) -> None:
    photo = make_jpeg(size=(120, 80), orientation=6, gps=True)
    assert Image.open(BytesIO(photo)).size == (80, 120)  # It lies on its side.
    made = thumbnails(program, program.create(photo, "width=60"))[0]
    assert made.size == (60, 40)
    assert not made.getexif()


@pytest.mark.parametrize("format", ["png", "webp", "gif", "bmp", "tiff"])
def test_formats_other_than_jpeg_are_read(program: Caller, format: str) -> None:
    assert format in program.get("api/v1/formats").json()["reads"]
    data = BytesIO()
    Image.new("RGB", (30, 20), "teal").save(data, format)
    assert program.create(data.getvalue())["status"] == "done"


# Errors


def test_every_wrong_field_is_pointed_at(program: Caller) -> None:
    answer = program.post(JOBS, json={"outputs": [{"width": 0}], "colour": "red"})
    assert problem(answer) == (422, "invalid_request")
    pointers = [error["pointer"] for error in answer.json()["errors"]]
    assert pointers == ["#/colour", "#/outputs/0/width"]


@pytest.mark.parametrize(("data", "code"), [(b"just words", "unsupported_format"), (b"", "empty")])
def test_body_that_is_no_image_is_refused(program: Caller, data: bytes, code: str) -> None:
    answer = program.post(f"{JOBS}?preset=square", data=data, headers=BYTES)
    assert problem(answer) == (415, code)


def test_unknown_job_is_not_found(program: Caller) -> None:
    assert problem(program.get(UNKNOWN)) == (404, "job_not_found")


def test_unknown_address_is_not_found(program: Caller) -> None:
    assert problem(program.get("api/v1/nowhere")) == (404, "not_found")


def test_wrong_method_is_refused(program: Caller) -> None:
    assert problem(program.request("DELETE", JOBS)) == (405, "method_not_allowed")


def test_upload_needs_the_token_where_access_is_restricted(
    stranger: Caller, is_restricted: bool
) -> None:
    if not is_restricted:
        pytest.skip("Anyone may upload to this instance.")
    answer = stranger.post(f"{JOBS}?preset=square", data=make_jpeg(), headers=BYTES)
    assert problem(answer) == (401, "access_token_required")


# Limits


def test_limits_are_numbers_that_allow_a_job(limits: dict[str, Any]) -> None:
    names = ("max_file_mb", "max_request_mb", "max_images", "max_outputs", "max_side")
    assert all(limits[name] > 0 for name in names)
    assert limits["retention_hours"] <= limits["max_retention_hours"]


def test_side_above_the_limit_is_refused(program: Caller, limits: dict[str, Any]) -> None:
    answer = program.post(JOBS, json={"outputs": [{"width": limits["max_side"] + 1}]})
    assert problem(answer) == (422, "invalid_request")


def test_recipe_with_too_many_outputs_is_refused(program: Caller, limits: dict[str, Any]) -> None:
    outputs = [{"width": width} for width in range(1, limits["max_outputs"] + 2)]
    assert problem(program.post(JOBS, json={"outputs": outputs}))[0] == 422


def test_retention_above_the_limit_is_refused(program: Caller, limits: dict[str, Any]) -> None:
    body = {"presets": ["square"], "keep_hours": limits["max_retention_hours"] + 1}
    answer = program.post(JOBS, json=body)
    assert problem(answer) == (422, "invalid_request")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/keep_hours"]


def test_request_above_the_limit_is_refused_unread(program: Caller, limits: dict[str, Any]) -> None:
    # Well above: a proxy in front may let pass a little more than the server.
    status, headers, body = program.announce(JOBS, 2 * limits["max_request_mb"] * 1_000_000)
    assert (status, headers["Content-Type"]) == (413, "application/problem+json")
    assert json.loads(body)["code"] == "request_too_large"


# Read


def test_read_of_an_unchanged_job_is_short(program: Caller, job: Any) -> None:
    first = program.get(job["links"]["job"])
    again = program.get(job["links"]["job"], headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_read_says_that_it_may_wait(program: Caller, job: Any) -> None:
    answer = program.get(job["links"]["job"], headers={"Prefer": "wait=1"})
    assert answer.headers["Preference-Applied"] == "wait=1"


def test_own_jobs_are_listed(program: Caller, job: Any) -> None:
    listed = program.get(f"{JOBS}?limit=50").json()["jobs"]
    assert job["id"] in [one["id"] for one in listed]


def test_every_link_of_a_job_answers(program: Caller, job: Any) -> None:
    links = {name: program.get(link) for name, link in job["links"].items() if name != "images"}
    assert {name: answer.status_code for name, answer in links.items()} == dict.fromkeys(links, 200)


def test_zip_has_the_thumbnails_and_their_manifest(program: Caller, job: Any) -> None:
    answer = program.get(job["links"]["zip"])
    assert len(answer.content) == int(answer.headers["Content-Length"])
    with ZipFile(BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        paths = [one["path"] for one in manifest["images"][0]["thumbnails"]]
        assert paths == ["thumbnails/sea-square.jpg", "thumbnails/sea-60w.webp"]
        assert {*paths, "index.html"} <= set(archive.namelist())


def test_manifest_is_that_of_the_zip(program: Caller, job: Any) -> None:
    manifest = program.get(job["links"]["manifest"]).json()
    assert (manifest["version"], manifest["job"]["id"]) == (1, job["id"])


def test_addresses_of_the_markup_are_those_of_the_thumbnails(program: Caller, job: Any) -> None:
    lines = program.get(f"{job['links']['markup']}?as=url").text.split()
    assert lines == [one["url"] for one in job["images"][0]["thumbnails"]]
    assert all(program.get(line).status_code == 200 for line in lines)


def test_presets_have_the_one_of_thumbnail_api(program: Caller) -> None:
    presets = {one["name"]: one for one in program.get("api/v1/presets").json()["presets"]}
    (square,) = presets["square"]["outputs"]
    assert (square["width"], square["height"], square["fit"]) == (100, 100, "pad")


def test_openapi_document_is_valid_and_names_this_instance(program: Caller) -> None:
    document = program.get("api/v1/openapi.json").json()
    Draft202012Validator(OPENAPI_31).validate(document)
    assert document["servers"] == [{"url": program.base_url}]


# Change


def test_request_that_is_sent_again_makes_no_second_job(program: Caller) -> None:
    headers = {"Idempotency-Key": str(uuid4()), **BYTES}
    link = f"{JOBS}?preset=square"
    first, again = (program.post(link, data=make_jpeg(), headers=headers) for _ in range(2))
    program.keep_track(first.json()["id"])
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    other = program.post(link, data=make_png(), headers=headers)
    assert problem(other) == (422, "idempotency_key_reused")


def test_name_of_a_job_can_be_changed(program: Caller) -> None:
    link = program.create(make_jpeg())["links"]["job"]
    assert program.request("PATCH", link, json={"name": "Spring"}).json()["title"] == "Spring"


def test_deleted_job_is_gone_until_it_is_restored(program: Caller) -> None:
    made = program.create(make_jpeg())
    link, thumbnail = made["links"]["job"], made["images"][0]["thumbnails"][0]["url"]
    assert program.request("DELETE", link).status_code == 204
    assert problem(program.get(link)) == (410, "job_deleted")
    assert program.get(thumbnail).status_code in {404, 410}
    assert program.post(f"{link}/restore").status_code == 200
    assert program.get(link).json()["status"] == "done"
    assert program.get(thumbnail).status_code == 200


def test_stranger_reads_a_job_and_cannot_change_it(stranger: Caller, job: Any) -> None:
    link = job["links"]["job"]
    assert stranger.get(link).json()["id"] == job["id"]
    changes = (stranger.request("DELETE", link), stranger.post(f"{link}/cancel"))
    assert {problem(answer)[0] for answer in changes} <= {401, 403}
