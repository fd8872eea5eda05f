"""thumbnail-api's clients work unchanged, and its faults are gone."""

import io
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from PIL import Image

from tests.support.app import running_app
from tests.support.clock import Clock
from tests.support.images import make_image, make_jpeg, make_truncated
from tests.support.jobs import id_of, nothing_left, sweep, work
from tests.support.people import Person, upload_image
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs
from webapp.recipes.presets import PRESETS

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def upload(client: FlaskClient, data: bytes) -> str:
    response = upload_image(client, data)
    assert response.status_code == 202
    assert response.json is not None
    return response.json["job_id"]  # type: ignore[no-any-return]


def thumbnail(client: FlaskClient, jobs: Jobs, data: bytes) -> Image.Image:
    job_id = upload(client, data)
    work(jobs)
    response = client.get(f"/download_thumbnail/{job_id}")
    assert response.content_type == "image/jpeg"
    return Image.open(io.BytesIO(response.data))


def test_upload_is_accepted_with_its_status_address(client: FlaskClient) -> None:
    response = upload_image(client, make_jpeg())
    assert response.status_code == 202
    assert response.json is not None
    assert list(response.json) == ["job_id"]
    assert response.headers["Location"] == f"/check_job_status/{response.json['job_id']}"


def test_waiting_job_is_processing(client: FlaskClient) -> None:
    response = client.get(f"/check_job_status/{upload(client, make_jpeg())}")
    assert (response.status_code, response.json) == (200, {"status": "Processing"})


def test_done_job_leads_to_its_thumbnail(client: FlaskClient, jobs: Jobs) -> None:
    job_id = upload(client, make_jpeg())
    work(jobs)
    response = client.get(f"/check_job_status/{job_id}")
    assert (response.status_code, response.json) == (303, {"status": "Succeeded"})
    assert response.headers["Location"] == f"/download_thumbnail/{job_id}"


def test_failed_job_has_its_reason(client: FlaskClient, jobs: Jobs) -> None:
    job_id = upload(client, make_truncated())
    work(jobs)
    response = client.get(f"/check_job_status/{job_id}")
    assert response.status_code == 200
    assert response.json is not None
    assert response.json["status"] == "Error"
    assert response.json["error"]


def status(client: FlaskClient, job_id: str) -> str:
    response = client.get(f"/check_job_status/{job_id}")
    assert response.json is not None
    return response.json["status"]  # type: ignore[no-any-return]


def test_cancelled_image_is_an_error(client: FlaskClient, jobs: Jobs) -> None:
    job_id = upload(client, make_jpeg())
    jobs.store.queue.cancel(job_id)
    assert status(client, job_id) == "Error"


def test_image_of_a_cancelled_remake_keeps_its_thumbnail(client: FlaskClient, jobs: Jobs) -> None:
    job_id = upload(client, make_jpeg())
    work(jobs)
    jobs.remake(job_id, PRESETS["square"].recipe, "127.0.0.1")
    jobs.store.queue.cancel(job_id)
    assert status(client, job_id) == "Succeeded"


def test_thumbnail_is_a_padded_square(client: FlaskClient, jobs: Jobs) -> None:
    made = thumbnail(client, jobs, make_jpeg(size=(400, 200)))
    assert (made.size, made.format) == ((100, 100), "JPEG")
    assert made.convert("RGB").getpixel((50, 5)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["L", "LA", "I;16", "1", "CMYK", "RGBA", "P"])
def test_modes_that_thumbnail_api_refused_work(client: FlaskClient, jobs: Jobs, mode: str) -> None:
    made = thumbnail(client, jobs, make_image(mode, (60, 30), "tiff" if mode == "CMYK" else "png"))
    assert made.size == (100, 100)


def test_transparency_turns_white_not_black(client: FlaskClient, jobs: Jobs) -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (200, 200), (0, 0, 0, 0)).save(buffer, "png")
    made = thumbnail(client, jobs, buffer.getvalue()).convert("RGB")
    assert min(made.getpixel((50, 50))) > 250  # type: ignore[arg-type]


def test_small_source_is_centred(client: FlaskClient, jobs: Jobs) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), (0, 0, 0)).save(buffer, "png")
    made = thumbnail(client, jobs, buffer.getvalue()).convert("L")
    box = made.point(lambda value: 255 if value < 128 else 0).getbbox()
    assert box == (40, 40, 60, 60)


def test_pending_thumbnail_is_not_found(client: FlaskClient) -> None:
    response = client.get(f"/download_thumbnail/{upload(client, make_jpeg())}")
    assert response.status_code == 404
    assert response.json is not None
    assert list(response.json) == ["detail"]


@pytest.mark.parametrize("job_id", [UNKNOWN, "1", "no-uuid", "%00"])
@pytest.mark.parametrize("route", ["check_job_status", "download_thumbnail"])
def test_unknown_or_malformed_id_is_not_found(client: FlaskClient, route: str, job_id: str) -> None:
    response = client.get(f"/{route}/{job_id}")
    assert response.status_code == 404
    assert response.json is not None
    assert list(response.json) == ["detail"]


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"words", 415), (b"", 415), (b"%PDF-1.7", 415)],
    ids=["text", "empty", "pdf"],
)
def test_no_image_is_refused_and_leaves_nothing(
    client: FlaskClient, jobs: Jobs, data: bytes, status: int
) -> None:
    response = upload_image(client, data)
    assert response.status_code == status
    assert response.json is not None
    assert list(response.json) == ["detail"]
    assert nothing_left(jobs)


def test_upload_without_its_length_is_refused(client: FlaskClient, jobs: Jobs) -> None:
    environ = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    response = client.post("/upload_image", environ_overrides=environ)
    assert response.status_code == 411
    assert nothing_left(jobs)


def test_upload_without_a_file_is_refused(client: FlaskClient, jobs: Jobs) -> None:
    response = client.post("/upload_image", data={"other": "x"})
    assert response.status_code == 422
    assert response.json is not None
    assert "“file”" in response.json["detail"]
    assert nothing_left(jobs)


def test_upload_that_is_too_large_is_refused(tmp_path: Path) -> None:
    image = b"\xff\xd8" + bytes(1_500_000)
    with running_app(Config(instance=tmp_path / "small", max_file_mb=1)) as app:
        response = upload_image(app.test_client(), image)
        assert response.status_code == 413
        assert nothing_left(app.extensions["jobs"])


def test_client_lists_its_own_jobs_and_no_others(client: FlaskClient) -> None:
    job_id = upload(client, make_jpeg())
    assert client.get("/jobs").json == {"job_ids": [job_id]}
    other = client.application.test_client()
    assert other.get("/jobs").json == {"job_ids": []}


def test_all_jobs_are_listed_where_the_operator_allows_it(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path / "open", list_all_jobs=True)) as app:
        job_id = upload(app.test_client(), make_jpeg())
        assert app.test_client().get("/jobs").json == {"job_ids": [job_id]}


def test_root_answers(client: FlaskClient) -> None:
    assert client.get("/").status_code == 200


def test_job_without_this_thumbnail_is_not_found(person: Person, client: FlaskClient) -> None:
    job_id = id_of(person.submit(make_jpeg(), presets="card"))
    assert client.get(f"/check_job_status/{job_id}").status_code == 404


@pytest.mark.parametrize("is_swept", [False, True])
@pytest.mark.parametrize("route", ["check_job_status", "download_thumbnail"])
def test_expired_job_is_not_found(
    client: FlaskClient, jobs: Jobs, route: str, is_swept: bool, clock: Clock
) -> None:
    job_id = upload(client, make_jpeg())
    clock.advance(hours=25)
    if is_swept:
        sweep(jobs)
    response = client.get(f"/{route}/{job_id}")
    assert (response.status_code, list(response.json or {})) == (404, ["detail"])
