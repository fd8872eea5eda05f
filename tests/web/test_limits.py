"""What one client may send, and what all of them together."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from io import RawIOBase
from pathlib import Path
from time import time
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import (
    Person,
    Script,
    nothing_left,
    running_app,
    upload_from,
    upload_image,
)
from tests.support.images import make_jpeg
from tests.support.jobs import job_at, work
from webapp.config import Config
from webapp.jobs.errors import TooManyWaiting
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.store import Store
from webapp.recipes.presets import PRESETS
from webapp.web.limits import QUEUE_AGAIN, TAKE_IMAGES

NOW = 1_800_000_000.0 + 10


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(instance=tmp_path / "instance", max_jobs_per_hour=2)


# What is sent there is a few fields of a form.
BRING_NO_IMAGE = {
    "access.sign_in", "access.sign_out", "changes.cancel", "changes.delete", "changes.extend",
    "uploads.close", "uploads.reopen",
}  # fmt: skip


def test_whatever_takes_images_is_guarded(app: Flask) -> None:
    """Walk all routes, so that neither a new nor a renamed one can be forgotten."""
    routes = app.url_map.iter_rules()
    assert {rule.endpoint for rule in routes if "POST" in (rule.methods or ())} == {
        *TAKE_IMAGES,
        *QUEUE_AGAIN,
        *BRING_NO_IMAGE,
    }


def test_job_beyond_the_limit_is_refused_with_retry_after(app: Flask, jobs: Jobs) -> None:
    assert [upload_from(app).status_code for _ in range(3)] == [202, 202, 429]
    answer = upload_from(app)
    assert 3500 < int(answer.headers["Retry-After"]) <= 3600
    assert answer.json == {
        "detail": "Your address has made 2 jobs within an hour. There is room again in 60 minutes."
    }
    assert len(jobs.ids()) == 2


def test_person_without_script_gets_a_page_that_says_when(app: Flask, person: Person) -> None:
    for _ in range(2):
        person.upload((make_jpeg(), "a.jpg"))
    answer = person.upload((make_jpeg(), "a.jpg"))
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]
    assert "<h1>Too many requests</h1>" in answer.text
    assert "There is room again in 60 minutes." in answer.text


def test_script_gets_the_code_and_can_finish_the_job_it_has(script: Script) -> None:
    script.create()
    job = script.create()
    answer = script.send("/jobs/open", presets="square")
    assert (answer.status_code, (answer.json or {})["code"]) == (429, "too_many_jobs")
    assert script.add(job, make_jpeg()).status_code == 201


def test_deleted_jobs_count_all_the_same(person: Person) -> None:
    for _ in range(2):
        path = person.submit(make_jpeg())
        person.post(f"{path}/delete")
    assert person.upload((make_jpeg(), "a.jpg")).status_code == 429


def test_another_web_process_counts_the_same_jobs(app: Flask, config: Config) -> None:
    with running_app(config) as other:
        answers = [upload_from(one) for one in (app, other, app, other)]
    assert [answer.status_code for answer in answers] == [202, 202, 429, 429]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("192.0.2.1", 429),
        ("192.0.2.2", 202),
        ("::ffff:192.0.2.1", 429),
        ("2001:db8::1", 202),
    ],
)
def test_limit_is_of_one_address(app: Flask, address: str, status: int) -> None:
    for _ in range(2):
        upload_from(app, "192.0.2.1")
    assert upload_from(app, address).status_code == status


def test_addresses_that_one_household_has_are_one_client(app: Flask) -> None:
    answers = [upload_from(app, f"2001:db8:1:2:{part}::1") for part in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert upload_from(app, "2001:db8:1:3::1").status_code == 202


def test_address_that_a_client_claims_is_not_believed(app: Flask) -> None:
    for _ in range(2):
        upload_from(app)
    headers = {"X-Forwarded-For": "198.51.100.1"}
    assert upload_image(app.test_client(), make_jpeg(), headers=headers).status_code == 202
    environ = {"REMOTE_ADDR": "192.0.2.1"}
    answer = upload_image(
        app.test_client(), make_jpeg(), headers=headers, environ_overrides=environ
    )
    assert answer.status_code == 429


@pytest.mark.parametrize(
    ("proxies", "forwarded"), [(1, "claimed, {}"), (2, "claimed, {}, 203.0.113.9")]
)
def test_client_behind_proxies_is_the_one_that_they_saw(
    config: Config, proxies: int, forwarded: str
) -> None:
    with running_app(replace(config, trusted_proxies=proxies)) as app:

        def send(address: str) -> int:
            headers = {"X-Forwarded-For": forwarded.format(address)}
            return upload_image(app.test_client(), make_jpeg(), headers=headers).status_code

        assert [send("192.0.2.1") for _ in range(3)] == [202, 202, 429]
        assert send("192.0.2.2") == 202


class Unread(RawIOBase):
    """A body that must not be read."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        raise AssertionError("was read")


@pytest.mark.parametrize("path", ["/jobs", "/jobs/open", "/upload_image"])
def test_refused_body_is_not_read(app: Flask, path: str) -> None:
    for _ in range(2):
        upload_from(app, "127.0.0.1")
    answer = app.test_client().post(
        path,
        content_type="multipart/form-data; boundary=x",
        environ_overrides={"wsgi.input": Unread(), "CONTENT_LENGTH": "1000000"},
    )
    assert answer.status_code == 429


EXCESSES = [({"headers": {"X-Whatever": "x" * 40_000}}, 431), ({"query_string": "w=1&" * 900}, 414)]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(("excess", "status"), EXCESSES)
def test_headers_and_addresses_that_are_too_long_are_refused_before_the_body_is_read(
    app: Flask, method: str, excess: dict[str, Any], status: int
) -> None:
    path = "/jobs/open" if method == "POST" else f"/jobs/{UUID(int=0)}"
    body = {"wsgi.input": Unread(), "CONTENT_LENGTH": "100000"}
    answer = app.test_client().open(path, method=method, environ_overrides=body, **excess)
    assert answer.status_code == status


@pytest.fixture
def thrifty(tmp_path: Path) -> Iterator[Flask]:
    """An application that accepts a megabyte of each client, also within an hour."""
    limits = Config(
        instance=tmp_path / "thrifty", max_file_mb=1, max_request_mb=1, max_mb_per_hour=1
    )
    with running_app(limits) as app:
        yield app


@pytest.mark.parametrize("path", ["/jobs", "/jobs/open", "/upload_image", "/sign-in", "/nowhere"])
def test_bytes_beyond_the_limit_are_refused_wherever_they_go(thrifty: Flask, path: str) -> None:
    def send(size: int) -> TestResponse:
        return thrifty.test_client().post(path, data=b"x" * size)

    assert send(600_000).status_code != 429
    answer = send(600_000)
    assert answer.status_code == 429
    assert (
        "Your address has used its 1 MB of this hour, uploads and thumbnails together."
        in answer.text
    )
    assert 3500 < int(answer.headers["Retry-After"]) <= 3600
    assert nothing_left(thrifty.extensions["jobs"])


@pytest.mark.parametrize("path", ["/jobs", "/jobs/open", "/upload_image", "/sign-in"])
def test_request_too_large_for_anyone_costs_nothing_of_the_hour(thrifty: Flask, path: str) -> None:
    def send(size: int) -> TestResponse:
        headers = {"Accept": "application/json"}
        return thrifty.test_client().post(path, data=b"x" * size, headers=headers)

    answer = send(1_000_001)
    assert answer.status_code == 413
    assert "That is 2 MB at once; the limit is 1 MB. Send fewer files." in answer.text
    assert send(1_000_000).status_code not in (413, 429)


def test_upload_that_does_not_say_its_length_is_refused(app: Flask, script: Script) -> None:
    environ = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = script.client.post("/jobs", environ_overrides=environ)
    assert answer.status_code == 411


def test_images_beyond_those_that_may_wait_are_refused_until_there_is_room(
    config: Config, tmp_path: Path
) -> None:
    limits = replace(config, max_jobs_per_hour=9, max_waiting=2, max_waiting_share=1)
    with running_app(limits) as app:
        jobs, script = app.extensions["jobs"], Script(app.test_client())
        job = script.create()
        assert [script.add(job, make_jpeg()).status_code for _ in range(3)] == [201, 201, 503]
        answer = script.add(job, make_jpeg())
        assert (answer.json or {})["code"] == "queue_full"
        assert answer.headers["Retry-After"] == "20"
        assert upload_from(app).status_code == 503
        work(jobs)
        assert script.add(job, make_jpeg()).status_code == 201


def test_crowd_is_no_fault_of_ours(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        upload_from(app)
    assert "Traceback" not in caplog.text


# The shares of clients, and their work


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Flask]:
    """The application whose queue takes four images, two of each client."""
    limits = Config(instance=tmp_path / "shared", max_waiting=4, max_waiting_share=0.5)
    with running_app(limits) as app:
        yield app


def test_client_fills_its_share_of_the_queue_and_no_more(shared: Flask) -> None:
    assert [upload_from(shared).status_code for _ in range(3)] == [202, 202, 429]
    assert upload_from(shared, "192.0.2.2").status_code == 202
    work(shared.extensions["jobs"])
    assert upload_from(shared).status_code == 202


def test_client_is_told_of_its_share(shared: Flask) -> None:
    script = Script(shared.test_client())
    job = script.create()
    for _ in range(2):
        script.add(job, make_jpeg())
    answer = script.add(job, make_jpeg())
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "20")
    assert answer.json == {
        "code": "too_many_waiting",
        "detail": "At most 2 images of your address may wait at the same time."
        " There is room again in 20 seconds.",
        "field": None,
    }


def test_share_holds_however_many_images_come_at_once(shared: Flask) -> None:
    """Past the first look, as all of them are when they come side by side."""
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
    assert len(jobs.ids()) == 2


def test_form_with_more_images_than_the_share_keeps_nothing(shared: Flask) -> None:
    answer = Person(shared.test_client()).upload(*[(make_jpeg(), "a.jpg")] * 3)
    assert answer.status_code == 429
    assert nothing_left(shared.extensions["jobs"])


AGAIN = ["remake", "retry", "images/{}/focus", "images/{}/focus/clear"]


def make_job(app: Flask, images: int = 1) -> tuple[Person, str]:
    """Make a job whose images are done; give its owner and its address."""
    person = Person(app.test_client())
    location = person.submit(*[make_jpeg()] * images)
    work(app.extensions["jobs"])
    return person, location


def again(app: Flask, person: Person, location: str, path: str) -> TestResponse:
    """Have a job made again in one of the ways that there are."""
    image_id = job_at(app.extensions["jobs"], location).images[0].id
    form = {"presets": "card", "x": "0.5", "y": "0.5"}
    return person.post(f"{location}/{path.format(image_id)}", **form)


@pytest.mark.parametrize("path", AGAIN)
def test_nothing_is_made_again_while_the_queue_is_full(shared: Flask, path: str) -> None:
    person, location = make_job(shared)
    for number in range(4):
        upload_from(shared, f"192.0.2.{number // 2}")
    answer = again(shared, person, location, path)
    assert answer.status_code == 503
    assert "Too many images are waiting." in answer.text


@pytest.mark.parametrize("path", AGAIN)
def test_nothing_is_made_again_beyond_the_share(shared: Flask, path: str) -> None:
    person, location = make_job(shared)
    for _ in range(2):
        upload_from(shared, "127.0.0.1")
    answer = again(shared, person, location, path)
    assert answer.status_code == 429
    assert "At most 2 images of your address" in answer.text


def test_job_is_made_again_as_a_whole_or_not_at_all(shared: Flask) -> None:
    jobs = shared.extensions["jobs"]
    person, location = make_job(shared, images=2)
    upload_from(shared, "127.0.0.1")
    assert again(shared, person, location, "remake").status_code == 429
    assert job_at(jobs, location).counts.done == 2


def test_job_with_more_images_than_the_share_is_made_again_while_no_other_waits(
    tmp_path: Path,
) -> None:
    limits = Config(instance=tmp_path / "one", max_waiting=2)
    with running_app(replace(limits, max_waiting_share=1)) as app:
        person, location = make_job(app, images=2)
        app.extensions["jobs"]._max_waiting_of_client = 1
        assert again(app, person, location, "remake").status_code == 303


@pytest.mark.parametrize("path", AGAIN)
def test_nothing_is_made_again_beyond_the_work_of_an_hour(app: Flask, path: str) -> None:
    person, location = make_job(app)
    use_up_work(app, "127.0.0.1")
    answer = again(app, person, location, path)
    assert answer.status_code == 429
    assert "Your address has used 60 minutes of work within an hour." in answer.text


def use_up_work(app: Flask, client: str) -> None:
    app.extensions["jobs"].store.usage.spend(client, "work", 3_600_000, 9_000_000, time())


def test_client_that_used_its_work_is_told_when_there_is_more(app: Flask) -> None:
    use_up_work(app, "192.0.2.1")
    answer = upload_from(app, "192.0.2.1")
    assert answer.status_code == 429
    assert 3500 < int(answer.headers["Retry-After"]) <= 3600
    assert answer.json == {
        "detail": "Your address has used 60 minutes of work within an hour."
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


def test_client_over_its_bytes_can_cancel_and_delete(app: Flask, jobs: Jobs) -> None:
    """Its thumbnails count too, so it may be far over."""
    person, location = make_job(app)
    jobs.store.usage.spend("127.0.0.1", "bytes", 10**12, 10**13, time())
    assert again(app, person, location, "cancel").status_code == 303
    assert again(app, person, location, "delete").status_code == 303
    assert jobs.ids() == []


def test_thumbnails_count_like_what_was_sent(app: Flask, jobs: Jobs) -> None:
    upload_from(app, "192.0.2.1")
    (sent,) = used_bytes(jobs)
    work(jobs)
    made = sum(row["bytes"] for row in jobs.store.db.query("SELECT bytes FROM thumbnails"))
    assert used_bytes(jobs) == [sent + made]


def used_bytes(jobs: Jobs) -> list[int]:
    rows = jobs.store.db.query("SELECT sum(amount) AS amount FROM usage WHERE what = 'bytes'")
    return [row["amount"] for row in rows]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "jobs.db")
    yield store
    store.db.close()


def test_retry_after_is_when_the_oldest_no_longer_counts(store: Store) -> None:
    for later in (0, 600, 1200):
        assert store.usage.spend("client", "jobs", 2, 6, NOW + later) == 0
    now = NOW + 1300
    one, all_three = (
        store.usage.spend("client", "jobs", 1, 6, now),
        store.usage.spend("client", "jobs", 6, 6, now),
    )
    assert store.usage.spend("client", "jobs", 1, 6, now + one - 1) > 0
    assert store.usage.spend("client", "jobs", 1, 6, now + one) == 0
    assert (one, all_three) == (2300 - 10, 3500 - 10)


def test_what_can_never_fit_is_not_let_in_by_waiting(store: Store) -> None:
    assert store.usage.spend("client", "bytes", 7, 6, NOW) == 3590
    assert store.usage.spend("client", "bytes", 7, 6, NOW + 3590) > 0


def test_addresses_are_forgotten_within_the_hour(store: Store) -> None:
    store.usage.spend("192.0.2.1", "jobs", 1, 6, NOW)
    store.usage.forget(NOW + 3500)
    assert store.usage.spend("192.0.2.1", "jobs", 6, 6, NOW + 3500) > 0
    store.usage.forget(NOW + 3600)
    assert "192.0.2.1" not in [row["client"] for row in store.db.query("SELECT client FROM usage")]


def test_counting_leaves_the_rows_of_jobs_as_safe_as_they_were(store: Store) -> None:
    store.usage.spend("client", "jobs", 1, 6, NOW)
    assert store.db.query("PRAGMA synchronous") == [{"synchronous": 2}]  # FULL


@pytest.mark.parametrize("preset", [[], "web-set"])
def test_outputs_and_sides_beyond_the_operators_limits_are_refused(
    config: Config, preset: object
) -> None:
    with running_app(replace(config, max_outputs=1, max_side=640)) as app:
        own = {"outputs-0-width": "641", "outputs-0-format": "jpeg"}
        answer = Person(app.test_client()).upload((make_jpeg(), "a.jpg"), presets=preset, **own)
    assert answer.status_code == 422
    assert "The width must be from 1 to 640 pixels." in answer.text


@pytest.fixture
def packing(tmp_path: Path) -> Iterator[Flask]:
    """The application that packs 20 thumbnails for each client within an hour."""
    limits = Config(
        instance=tmp_path / "packing", max_images=5, max_outputs=4, max_packed_per_hour=20
    )
    with running_app(limits) as app:
        yield app


@pytest.mark.parametrize("what", ["zip", "markup"])
def test_thumbnails_packed_beyond_the_limit_are_refused(packing: Flask, what: str) -> None:
    person, jobs = Person(packing.test_client()), packing.extensions["jobs"]
    answer = person.upload((make_jpeg(), "a.jpg"), presets="web-set")
    assert answer.status_code == 422  # Eight outputs.
    presets = ["square", "card", "avatar"]
    address = person.submit(make_jpeg(), make_jpeg(), presets=presets)
    assert person.get(f"{address}/zip").status_code == 404  # Which costs nothing of the hour.
    work(jobs)
    answers = [person.get(f"{address}/{what}") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 3500 < int(answers[-1].headers["Retry-After"]) <= 3600
    assert (
        "Your address has downloaded 20 thumbnails in zips and markup this hour."
        in answers[-1].text
    )
    program = packing.test_client().get(f"{address}/{what}")
    assert (program.json or {})["code"] == "too_many_packed"
    elsewhere = {"REMOTE_ADDR": "192.0.2.9"}
    answer = packing.test_client().get(f"{address}/{what}", environ_overrides=elsewhere)
    assert answer.status_code == 200


def test_following_a_job_costs_nothing_of_the_hour(packing: Flask) -> None:
    person, jobs = Person(packing.test_client()), packing.extensions["jobs"]
    path = person.submit(make_jpeg())
    work(jobs)
    image = job_at(jobs, path).images[0]
    for _ in range(21):
        for part_ in ("", "/panel", "/row", f"/images/{image.id}", f"/markup?of={image.id}"):
            assert person.get(f"{path}{part_}").status_code == 200
        assert person.client.head(f"{path}/zip").status_code == 200
    assert person.get(f"{path}/zip").status_code == 200


def test_form_without_images_may_not_be_large(client: FlaskClient) -> None:
    answer = client.post("/sign-in", data=bytes(1_000_001), content_type="multipart/form-data")
    assert answer.status_code == 413


def test_page_of_another_site_uses_nothing_of_its_visitors_hour(tmp_path: Path) -> None:
    with running_app(Config(instance=tmp_path, max_jobs_per_hour=1)) as app:
        client = app.test_client()
        elsewhere = {"Sec-Fetch-Site": "cross-site"}
        for _ in range(3):
            assert upload_image(client, make_jpeg(), headers=elsewhere).status_code == 403
        assert upload_image(client, make_jpeg()).status_code == 202
