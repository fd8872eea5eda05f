"""Clients of thumbnail-api work unchanged."""

import json
import time
from io import BytesIO
from typing import Any

import pytest
import requests
from PIL import Image

from tests.acceptance.callers import SECONDS, Browser, Caller
from tests.support.images import make_jpeg, make_truncated

pytestmark = pytest.mark.live

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def upload(program: Caller, image: bytes) -> requests.Response:
    answer = program.post("upload_image", files={"file": ("a.jpg", image)})
    if answer.status_code == 202:
        program.keep_track(answer.json()["job_id"])
    return answer


def final_status(program: Caller, uploaded: requests.Response) -> requests.Response:
    """Ask for the status until it is final, as clients do; all before are the same."""
    deadline = time.monotonic() + SECONDS
    while True:
        answer = program.get(uploaded.headers["Location"])
        if answer.status_code != 200 or answer.json()["status"] != "Processing":
            return answer
        assert answer.json() == {"status": "Processing"}
        assert time.monotonic() < deadline, f"not finished within {SECONDS} s"


@pytest.fixture(scope="module")
def uploaded(program: Caller) -> requests.Response:
    return upload(program, make_jpeg(size=(120, 60)))


@pytest.fixture(scope="module")
def finished(program: Caller, uploaded: requests.Response) -> requests.Response:
    return final_status(program, uploaded)


def test_upload_is_accepted_with_its_status_address(uploaded: requests.Response) -> None:
    assert uploaded.status_code == 202
    assert list(uploaded.json()) == ["job_id"]
    assert uploaded.headers["Location"].endswith(f"/check_job_status/{uploaded.json()['job_id']}")


def test_done_job_leads_to_its_thumbnail(
    uploaded: requests.Response, finished: requests.Response
) -> None:
    assert (finished.status_code, finished.json()) == (303, {"status": "Succeeded"})
    job_id = uploaded.json()["job_id"]
    assert finished.headers["Location"].endswith(f"/download_thumbnail/{job_id}")


def test_thumbnail_is_a_white_padded_square(program: Caller, finished: requests.Response) -> None:
    answer = program.get(finished.headers["Location"])
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")
    thumbnail = Image.open(BytesIO(answer.content))
    assert (thumbnail.size, thumbnail.format) == ((100, 100), "JPEG")
    assert thumbnail.convert("RGB").getpixel((50, 5)) == (255, 255, 255)


def test_failed_job_has_its_reason(program: Caller) -> None:
    answer = final_status(program, upload(program, make_truncated()))
    assert answer.status_code == 200
    assert list(answer.json()) == ["error", "status"]
    assert answer.json()["status"] == "Error"
    assert answer.json()["error"]


def refusal(status: int, body: Any) -> tuple[int, list[str]]:
    return status, list(body)


@pytest.mark.parametrize("data", [b"just words", b"", b"%PDF-1.7"], ids=["text", "empty", "pdf"])
def test_what_is_no_image_is_refused(program: Caller, data: bytes) -> None:
    answer = upload(program, data)
    assert refusal(answer.status_code, answer.json()) == (415, ["detail"])


def test_upload_without_its_length_is_refused(program: Caller) -> None:
    status, _, body = program.announce("upload_image", None)
    if status == 422:
        pytest.skip("A proxy in front says that the body is empty, as Caddy does.")
    assert refusal(status, json.loads(body)) == (411, ["detail"])


def test_upload_that_is_too_large_is_refused(program: Caller, limits: dict[str, Any]) -> None:
    status, _, body = program.announce("upload_image", 2 * limits["max_request_mb"] * 1_000_000)
    assert refusal(status, json.loads(body)) == (413, ["detail"])


@pytest.mark.parametrize("job_id", [UNKNOWN, "no-uuid"])
@pytest.mark.parametrize("route", ["check_job_status", "download_thumbnail"])
def test_unknown_job_is_not_found(program: Caller, route: str, job_id: str) -> None:
    answer = program.get(f"{route}/{job_id}")
    assert refusal(answer.status_code, answer.json()) == (404, ["detail"])


def test_client_lists_its_jobs(program: Caller, uploaded: requests.Response) -> None:
    answer = program.get("jobs")
    assert (answer.status_code, list(answer.json())) == (200, ["job_ids"])
    assert uploaded.json()["job_id"] in answer.json()["job_ids"]


def test_instance_is_healthy(stranger: Caller) -> None:
    answer = stranger.get("healthcheck")
    assert (answer.status_code, answer.json()["status"]) == (200, "healthy")
    assert answer.json()["workers"] > 0


def test_documentation_of_the_api_answers(visitor: Browser) -> None:
    assert "upload_image" in visitor.page("docs").text()


def test_root_answers(program: Caller) -> None:
    assert program.get("").status_code == 200
