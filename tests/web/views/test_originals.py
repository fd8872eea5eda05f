"""Originals are shown to their owner alone."""

import pytest

from tests.support.clock import Clock
from tests.support.images import encode, make_animation, make_exif, make_jpeg, make_picture
from tests.support.jobs import job_at, work
from tests.support.pages import Page
from tests.support.people import Person
from webapp.jobs.lifecycle import Jobs
from webapp.web.views.responses import PICTURE_HEADERS

SHOWN = ["jpeg", "png", "webp", "avif", "gif"]
NOT_SHOWN = ["heic", "tiff", "jp2", "bmp", "ico"]


def submit(person: Person, jobs: Jobs, data: bytes) -> tuple[str, str]:
    """Submit an image, and return the addresses of its page and its original."""
    job = person.submit(data)
    page = f"{job}/images/{job_at(jobs, job).images[0].id}"
    return page, f"{page}/original"


@pytest.mark.parametrize("format", SHOWN)
def test_owner_gets_the_original_unchanged(person: Person, jobs: Jobs, format: str) -> None:
    data = encode(make_picture(), format)
    answer = person.get(submit(person, jobs, data)[1])
    assert (answer.status_code, answer.content_type) == (200, f"image/{format}")
    assert answer.data == data


def test_content_decides_the_type_of_an_original(person: Person, jobs: Jobs) -> None:
    _, address = submit(person, jobs, make_animation("gif"))  # It is uploaded as 1.jpg.
    assert person.get(address).content_type == "image/gif"


@pytest.mark.parametrize("format", NOT_SHOWN)
def test_format_that_browsers_do_not_show_is_not_sent(
    person: Person, jobs: Jobs, format: str
) -> None:
    answer = person.get(submit(person, jobs, encode(make_picture(), format))[1])
    assert answer.status_code == 404
    assert "Browsers do not show" in answer.text


def test_stranger_cannot_get_an_original(person: Person, stranger: Person, jobs: Jobs) -> None:
    _, address = submit(person, jobs, make_jpeg(gps=True))
    tag = person.get(address).headers["ETag"]
    answer = stranger.get(address)
    assert answer.status_code == 403
    assert (
        "Only the browser, token or user that made this job can see what was uploaded."
        in answer.text
    )
    assert stranger.client.get(address, headers={"If-None-Match": tag}).status_code == 403


def test_stranger_cannot_tell_whether_an_original_exists(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    page, address = submit(person, jobs, encode(make_picture(), "heic"))
    nothing = f"{page.rpartition('/')[0]}/00000000-0000-4000-8000-000000000000/original"
    assert stranger.get(address).status_code == stranger.get(nothing).status_code == 403


def test_original_of_a_job_without_owner_is_forbidden(client_job: str, person: Person) -> None:
    assert person.get(client_job).status_code == 403


@pytest.fixture
def client_job(stranger: Person, jobs: Jobs) -> str:
    """Return the address of an original whose job has no owner."""
    _, address = submit(stranger, jobs, make_jpeg())
    jobs.store.db.execute("UPDATE jobs SET owner = NULL")
    return address


def test_original_is_sandboxed_and_not_shared(person: Person, jobs: Jobs) -> None:
    headers = person.get(submit(person, jobs, make_jpeg())[1]).headers
    assert headers["Cache-Control"] == "private"
    assert "Cookie" in headers["Vary"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    policy = PICTURE_HEADERS["Content-Security-Policy"]
    assert headers["Content-Security-Policy"] == policy


def test_cached_original_is_not_sent_again(person: Person, jobs: Jobs) -> None:
    _, address = submit(person, jobs, make_jpeg())
    tag = person.get(address).headers["ETag"]
    answer = person.client.get(address, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["Cache-Control"] == "private"


def test_unknown_image_is_not_found(person: Person, jobs: Jobs) -> None:
    page, _ = submit(person, jobs, make_jpeg())
    nothing = f"{page.rpartition('/')[0]}/00000000-0000-4000-8000-000000000000/original"
    assert person.get(nothing).status_code == 404


def test_lost_original_is_not_found(person: Person, jobs: Jobs) -> None:
    _, address = submit(person, jobs, make_jpeg())
    _, _, job_id, _, image_id, _ = address.split("/")
    jobs.storage.delete_original(job_id, image_id)
    assert person.get(address).status_code == 404


def test_original_expires_with_its_job(person: Person, jobs: Jobs, clock: Clock) -> None:
    page, address = submit(person, jobs, make_jpeg())
    clock.advance(hours=25)
    assert person.get(address).status_code == 410
    person.post(f"{page.partition('/images')[0]}/delete")
    jobs.delete(address.split("/")[2])
    assert person.get(address).status_code == 404


def test_owner_sees_the_original_beside_its_thumbnail(
    person: Person, stranger: Person, jobs: Jobs
) -> None:
    page, address = submit(person, jobs, make_jpeg(size=(400, 300)))
    work(jobs)
    seen = person.get(page).text
    assert f'src="{address}"' in seen
    assert "400 × 300 JPEG" in Page(seen).text(".sides p:first-child")
    assert address not in stranger.get(page).text
    assert address not in stranger.get(f"{page}/panel").text


@pytest.mark.parametrize("data", [encode(make_picture(), "heic"), encode(make_picture(), "tiff")])
def test_original_that_browsers_do_not_show_is_not_on_the_page(
    person: Person, jobs: Jobs, data: bytes
) -> None:
    page, address = submit(person, jobs, data)
    work(jobs)
    assert address not in person.get(page).text


def test_original_that_browsers_show_turned_is_not_on_the_page(person: Person, jobs: Jobs) -> None:
    turned = encode(make_picture(), "webp", exif=make_exif(6))
    page, address = submit(person, jobs, turned)
    work(jobs)
    assert address not in person.get(page).text
    assert person.get(address).data == turned


def test_page_leaves_out_a_lost_original(person: Person, jobs: Jobs) -> None:
    for data in (make_jpeg(), encode(make_picture(), "webp")):
        page, address = submit(person, jobs, data)
        work(jobs)
        _, _, job_id, _, image_id, _ = address.split("/")
        jobs.storage.delete_original(job_id, image_id)
        answer = person.get(page)
        assert answer.status_code == 200
        assert address not in answer.text
