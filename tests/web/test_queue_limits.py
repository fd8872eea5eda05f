"""Each client has a share of the queue, and of the work of an hour."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.support.app import running_app
from tests.support.images import make_jpeg
from tests.support.jobs import job_at, nothing_left, work
from tests.support.people import Person, Script, upload_from
from webapp.config import Config
from webapp.jobs.errors import TooManyWaiting
from webapp.jobs.lifecycle import Jobs
from webapp.recipes.presets import PRESETS


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Flask]:
    """Create an application whose queue takes four images, two of each client."""
    limits = Config(instance=tmp_path / "shared", max_waiting=4, max_waiting_share=0.5)
    with running_app(limits) as app:
        yield app


def test_client_fills_no_more_than_its_share(shared: Flask) -> None:
    assert [upload_from(shared).status_code for _ in range(3)] == [202, 202, 429]
    assert upload_from(shared, "192.0.2.2").status_code == 202
    work(shared.extensions["jobs"])
    assert upload_from(shared).status_code == 202


def test_refusal_names_the_share_of_the_client(shared: Flask) -> None:
    script = Script(shared.test_client())
    job = script.create()
    for _ in range(2):
        script.add(job, make_jpeg())
    answer = script.add(job, make_jpeg())
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "20")
    assert answer.json == {
        "code": "too_many_waiting",
        "detail": "At most 2 images of your network may wait at the same time."
        " There is room again in 20 seconds.",
        "field": None,
    }


def test_share_holds_for_simultaneous_images(shared: Flask) -> None:
    # All of them pass the first check when they arrive together.
    jobs = shared.extensions["jobs"]

    def submit_one(_: int) -> bool:
        try:
            with closing(jobs.open_upload()) as upload:
                upload.write(make_jpeg())
                jobs.submit_image(PRESETS["square"].recipe, None, upload, "a.jpg", "192.0.2.1")
        except TooManyWaiting:
            return False
        else:
            return True
        finally:
            jobs.store.db.close()

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(submit_one, range(8)))
    assert sum(taken) == 2
    assert len(list(jobs.store.jobs.ids())) == 2


def test_form_with_more_images_than_the_share_keeps_nothing(shared: Flask) -> None:
    answer = Person(shared.test_client()).upload(*[(make_jpeg(), "a.jpg")] * 3)
    assert answer.status_code == 429
    assert nothing_left(shared.extensions["jobs"])


REMAKES = ["remake", "retry", "images/{}/again", "images/{}/focus"]


def make_job(app: Flask, images: int = 1) -> tuple[Person, str]:
    """Make a job whose images are done, and return its owner and its path."""
    person = Person(app.test_client())
    location = person.submit(*[make_jpeg()] * images)
    work(app.extensions["jobs"])
    return person, location


def request_remake(app: Flask, person: Person, location: str, path: str) -> TestResponse:
    """Request a remake of a job in one of the possible ways."""
    image_id = job_at(app.extensions["jobs"], location).images[0].id
    form = {"presets": "card", "x": "0.5", "y": "0.5"}
    return person.post(f"{location}/{path.format(image_id)}", **form)


@pytest.mark.parametrize("path", REMAKES)
def test_full_queue_refuses_a_remake(shared: Flask, path: str) -> None:
    person, location = make_job(shared)
    for number in range(4):
        upload_from(shared, f"192.0.2.{number // 2}")
    answer = request_remake(shared, person, location, path)
    assert answer.status_code == 503
    assert "Too many images are waiting." in answer.text


@pytest.mark.parametrize("path", REMAKES)
def test_remake_beyond_the_share_is_refused(shared: Flask, path: str) -> None:
    person, location = make_job(shared)
    for _ in range(2):
        upload_from(shared, "127.0.0.1")
    answer = request_remake(shared, person, location, path)
    assert answer.status_code == 429
    assert "At most 2 images of your network" in answer.text


def test_job_is_remade_whole_or_not_at_all(shared: Flask) -> None:
    jobs = shared.extensions["jobs"]
    person, location = make_job(shared, images=2)
    upload_from(shared, "127.0.0.1")
    assert request_remake(shared, person, location, "remake").status_code == 429
    assert job_at(jobs, location).counts.done == 2


def test_large_job_is_remade_while_no_other_waits(
    tmp_path: Path,
) -> None:
    limits = Config(instance=tmp_path / "one", max_waiting=2)
    with running_app(replace(limits, max_waiting_share=1)) as app:
        person, location = make_job(app, images=2)
        app.extensions["jobs"].limits._max_waiting_of_client = 1
        assert request_remake(app, person, location, "remake").status_code == 303


@pytest.mark.parametrize("path", REMAKES)
def test_remake_beyond_the_hourly_work_is_refused(app: Flask, path: str) -> None:
    person, location = make_job(app)
    use_up_work(app, "127.0.0.1")
    answer = request_remake(app, person, location, path)
    assert answer.status_code == 429
    assert "Your network has used 60 minutes of work within an hour." in answer.text


def use_up_work(app: Flask, client: str) -> None:
    app.extensions["jobs"].store.usage.spend(client, "work", 3_600_000, 9_000_000)


def test_client_without_work_left_gets_a_retry_time(app: Flask) -> None:
    use_up_work(app, "192.0.2.1")
    answer = upload_from(app, "192.0.2.1")
    assert answer.status_code == 429
    assert 3500 < int(answer.headers["Retry-After"]) <= 3600
    assert answer.json == {
        "detail": "Your network has used 60 minutes of work within an hour."
        " There is room again in 60 minutes."
    }
    assert upload_from(app, "192.0.2.2").status_code == 202


def test_work_on_an_image_counts_for_the_client_that_sent_it(app: Flask, jobs: Jobs) -> None:
    upload_from(app, "192.0.2.1")
    work(jobs)
    (used,) = jobs.store.db.query("SELECT client, amount FROM usage WHERE what = 'work'")
    assert used["client"] == "192.0.2.1"
    (took,) = jobs.store.db.query("SELECT seconds FROM durations WHERE what = 'work' AND count")
    assert used["amount"] == pytest.approx(took["seconds"] * 1000, abs=1.5)


def test_client_over_its_byte_limit_can_cancel_and_delete(app: Flask, jobs: Jobs) -> None:
    # Its thumbnails count too, so it may be far over.
    person, location = make_job(app)
    jobs.store.usage.spend("127.0.0.1", "bytes", 10**12, 10**13)
    assert request_remake(app, person, location, "cancel").status_code == 303
    assert request_remake(app, person, location, "delete").status_code == 303
    assert list(jobs.store.jobs.ids()) == []


def test_thumbnails_count_as_bytes_of_the_client(app: Flask, jobs: Jobs) -> None:
    upload_from(app, "192.0.2.1")
    (sent,) = used_bytes(jobs)
    work(jobs)
    made = sum(row["bytes"] for row in jobs.store.db.query("SELECT bytes FROM thumbnails"))
    assert used_bytes(jobs) == [sent + made]


def used_bytes(jobs: Jobs) -> list[int]:
    rows = jobs.store.db.query("SELECT sum(amount) AS amount FROM usage WHERE what = 'bytes'")
    return [row["amount"] for row in rows]
