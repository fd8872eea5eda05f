"""Images that the server fetches: how jobs wait for them, and what becomes of each."""

from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest

from tests.support.app import place_databases
from tests.support.clock import Clock
from tests.support.images import make_image
from tests.support.jobs import add_image, add_token, files_left, open_jobs, sweep, work
from tests.support.origins import Behaviour, answer, flood, hang_up, origin, redirect, say_nothing
from webapp.config import MB, Config
from webapp.jobs.errors import (
    FetchingIsOff,
    JobClosed,
    TooManyImages,
    TooManyWaiting,
)
from webapp.jobs.fetches import PAUSES, ROOM_SECONDS, FetchWork
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.limits import NEW_SECONDS, OPEN_SECONDS
from webapp.jobs.models import MAX_MISSING, Fetch
from webapp.jobs.outbound_errors import RequestRefused
from webapp.jobs.tokens import revoke_token
from webapp.recipes.presets import PRESETS

PHOTO = make_image(size=(40, 30), format="jpeg")
NOW = 1_800_000_000.0


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.stop(NOW)
    return clock


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(
        instance=tmp_path / "instance",
        min_free_mb=0,
        fetch_urls=True,
        fetch_seconds=5,
        allowed_private_hosts="127.0.0.0/8",  # type: ignore[arg-type]
    )


@pytest.fixture
def jobs(config: Config, clock: Clock) -> Jobs:
    place_databases(config.instance)
    return open_jobs(config, clock)


def submit(jobs: Jobs, *urls: str, client: str = "client") -> str:
    """Create an open job of images to fetch."""
    job_id = jobs.submit(PRESETS["square"].recipe, "owner")
    for url in urls:
        jobs.add_url(job_id, url, None, None, client)
    return job_id


def allow(jobs: Jobs, port: int, **settings: Any) -> Jobs:
    """Open the same jobs where a server on this machine may be reached."""
    host = f"127.0.0.1:{port}"
    config = replace(jobs.config, **{"allowed_private_hosts": host, **settings})
    return open_jobs(config, jobs.store.now)


def fetch_work(jobs: Jobs, is_stopping: Callable[[], bool] = lambda: False) -> FetchWork:
    return FetchWork(jobs.store, jobs.storage, jobs.config, lambda: None, is_stopping)


def fetch_all(jobs: Jobs) -> None:
    """Fetch all that is due, one after the other."""
    work = fetch_work(jobs)
    while action := work.take():
        action()


def only_fetch(jobs: Jobs, job_id: str) -> Fetch:
    (fetch,) = jobs.store.fetches.of_job(job_id)
    return fetch


def reasons(jobs: Jobs, job_id: str) -> list[tuple[str, str]]:
    return [(file.name, file.reason) for file in jobs.job(job_id).missing_files]


def outcome_of(jobs: Jobs, *behaviours: Behaviour) -> Fetch:
    """Fetch an image from a server that behaves so, and return what became of it."""
    with origin(*behaviours) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url)
        fetch_all(jobs)
        return only_fetch(jobs, job_id)


# What becomes an image


def test_a_fetched_image_is_one_of_the_job(jobs: Jobs) -> None:
    with origin(answer(PHOTO)) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url)

        fetch_all(jobs)

    (image,) = jobs.job(job_id).images
    assert (image.name, image.bytes, image.status) == ("cat.jpg", len(PHOTO), "waiting")
    assert jobs.storage.original(job_id, image.id).read_bytes() == PHOTO
    assert only_fetch(jobs, job_id).image_id == image.id


@pytest.mark.parametrize(
    ("chosen", "header", "path", "name"),
    [
        ("mine.jpg", 'attachment; filename="theirs.jpg"', "/cat.jpg", "mine.jpg"),
        ("../../mine.jpg", "", "/cat.jpg", "mine.jpg"),
        (None, 'attachment; filename="theirs.jpg"', "/cat.jpg", "theirs.jpg"),
        (None, 'attachment; filename="../../etc/theirs.jpg"', "/cat.jpg", "theirs.jpg"),
        (None, "attachment; filename*=UTF-8''%C3%A9t%C3%A9.jpg", "/cat.jpg", "été.jpg"),
        (None, 'inline; filename="été.jpg"', "/cat.jpg", "été.jpg"),
        (None, "inline", "/cat.jpg", "cat.jpg"),
        (None, "inline; filename=" + ";" * 50_000, "/cat.jpg", "cat.jpg"),
        (None, "", "/my%20cat.jpg?size=large", "my cat.jpg"),
        (None, "", "/", "127.0.0.1"),
    ],
)
def test_a_fetched_image_has_a_name(
    jobs: Jobs, chosen: str | None, header: str, path: str, name: str
) -> None:
    with origin(answer(PHOTO, Content_Disposition=header)) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs)
        jobs.add_url(job_id, f"http://{server.host}{path}", chosen, None, "client")

        fetch_all(jobs)

    assert [image.name for image in jobs.job(job_id).images] == [name]


def test_revoked_token_fetches_no_more(jobs: Jobs) -> None:
    add_token(jobs, "token:7")
    with origin(answer(PHOTO)) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url, client="token:7")
        jobs.close(job_id)
        revoke_token(jobs.store, "7")

        fetch_all(jobs)

    assert server.requests == []
    assert only_fetch(jobs, job_id).error_code == "token_revoked"
    assert not jobs.job(job_id).is_open


def test_valid_token_fetches(jobs: Jobs) -> None:
    add_token(jobs, "token:7")
    with origin(answer(PHOTO)) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url, client="token:7")

        fetch_all(jobs)

    assert only_fetch(jobs, job_id).status == "done"


def test_fetched_images_keep_their_places_among_uploads(jobs: Jobs) -> None:
    with origin(answer(PHOTO)) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, f"http://{server.host}/first.jpg")
        add_image(jobs, job_id, PHOTO, "second.jpg")
        jobs.add_url(job_id, f"http://{server.host}/third.jpg", None, None, "client")

        fetch_all(jobs)

    names = [image.name for image in jobs.job(job_id).images]
    assert names == ["first.jpg", "second.jpg", "third.jpg"]


def test_a_url_that_is_sent_twice_at_its_position_is_fetched_once(jobs: Jobs) -> None:
    job_id = submit(jobs)
    url = "https://pictures.example/cat.jpg"

    first = jobs.add_url(job_id, url, None, 7, "client")
    second = jobs.add_url(job_id, url, None, 7, "client")

    assert first == second
    assert only_fetch(jobs, job_id).position == 7


def test_a_url_that_failed_at_its_position_can_be_added_again(jobs: Jobs) -> None:
    job_id = jobs.submit(PRESETS["square"].recipe, "owner")
    url = "https://pictures.example/cat.jpg"
    first = jobs.add_url(job_id, url, None, 1, "client")
    jobs.cancel(job_id)

    assert jobs.add_url(job_id, url, None, 1, "client") != first


def test_an_image_that_its_owner_had_before_is_done_at_once(jobs: Jobs) -> None:
    with origin(answer(PHOTO)) as server:
        jobs = allow(jobs, server.port)
        first = submit(jobs, server.url)
        fetch_all(jobs)
        work(jobs)

        second = submit(jobs, server.url)
        fetch_all(jobs)

    assert [jobs.progress(job_id).counts.done for job_id in (first, second)] == [1, 1]


def test_a_redirect_is_followed(jobs: Jobs) -> None:
    assert outcome_of(jobs, redirect("/other.jpg"), answer(PHOTO)).status == "done"


# What does not


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (answer(b"<html>"), "unsupported_format"),
        (answer(b""), "empty"),
        (answer(status="404 Not Found"), "url_answered"),
        (answer(status="304 Not Modified"), "url_answered"),
        (answer(PHOTO, status="206 Partial Content"), "url_answered"),
        (answer(PHOTO, Content_Encoding="gzip"), "url_encoding_refused"),
        (redirect("http://169.254.169.254/latest/meta-data/"), "address_refused"),
        (redirect("file:///etc/passwd"), "url_scheme_refused"),
        (redirect("/again"), "too_many_redirects"),
        (answer(b"", length=50 * MB + 1), "file_too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refused_fetch_is_a_missing_file_with_its_reason(
    jobs: Jobs, behaviour: Behaviour, code: str
) -> None:
    with origin(behaviour) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url)
        fetch_all(jobs)

    fetch = only_fetch(jobs, job_id)
    assert (fetch.status, fetch.error_code) == ("failed", code)
    assert reasons(jobs, job_id) == [("cat.jpg", fetch.error_message)]
    assert not files_left(jobs)


def test_an_endless_body_ends_at_the_limit(jobs: Jobs) -> None:
    with origin(flood(b"HTTP/1.1 200 OK\r\n\r\n")) as server:
        jobs = allow(jobs, server.port, max_file_mb=2)
        job_id = submit(jobs, server.url)
        fetch_all(jobs)

    assert only_fetch(jobs, job_id).error_code == "file_too_large"
    assert not files_left(jobs)


def test_bytes_that_were_fetched_count_towards_the_hour_of_the_client(jobs: Jobs) -> None:
    with origin(flood(b"HTTP/1.1 200 OK\r\n\r\n")) as server:
        jobs = allow(jobs, server.port, max_mb_per_hour=3)
        job_id = submit(jobs, server.url)
        fetch_all(jobs)

    assert only_fetch(jobs, job_id).error_code == "too_many_bytes"


@pytest.mark.parametrize(
    "behaviour",
    [hang_up, answer(status="503 Busy"), answer(status="429 Slow"), answer(PHOTO, length=9999)],
    ids=["hangs-up", "503", "429", "cut-off"],
)
def test_a_failure_that_may_pass_is_tried_again(
    jobs: Jobs, clock: Clock, behaviour: Behaviour
) -> None:
    with origin(behaviour, answer(PHOTO)) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url)

        fetch_all(jobs)
        assert only_fetch(jobs, job_id).status == "waiting"
        clock.stop(NOW + PAUSES[0])
        fetch_all(jobs)

    assert only_fetch(jobs, job_id).status == "done"


def test_a_failure_that_does_not_pass_ends_the_fetch(jobs: Jobs, clock: Clock) -> None:
    with origin(hang_up) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url)
        for number in range(len(PAUSES) + 1):
            clock.stop(NOW + 1000 * number)
            fetch_all(jobs)

        assert len(server.requests) == len(PAUSES) + 1
    assert only_fetch(jobs, job_id).error_code == "url_unreachable"


def test_the_pause_that_a_server_asks_for_is_kept(jobs: Jobs, clock: Clock) -> None:
    with origin(answer(status="429 Slow", Retry_After="120"), answer(PHOTO)) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url)
        fetch_all(jobs)

        clock.stop(NOW + 119)
        fetch_all(jobs)
        assert only_fetch(jobs, job_id).status == "waiting"
        clock.stop(NOW + 120)
        fetch_all(jobs)

    assert only_fetch(jobs, job_id).status == "done"


def test_a_paused_server_fetches_nothing_until_it_goes_on(jobs: Jobs) -> None:
    with origin(answer(PHOTO)) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url)
        jobs.store.operations.pause("")
        fetch_all(jobs)
        assert only_fetch(jobs, job_id).status == "waiting"

        jobs.store.operations.resume()
        fetch_all(jobs)
        assert only_fetch(jobs, job_id).status == "done"


def test_a_full_disk_costs_a_fetch_no_try(
    jobs: Jobs, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with origin(answer(PHOTO)) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url)
        for _ in range(len(PAUSES) + 1):
            action = fetch_work(jobs).take()
            assert action
            with monkeypatch.context() as full:
                full.setattr(jobs.storage, "has_space", lambda **_: False)
                action()
            clock.advance(seconds=ROOM_SECONDS)

        fetch_all(jobs)
        assert only_fetch(jobs, job_id).status == "done"


def test_a_slow_server_is_left(jobs: Jobs) -> None:
    with origin(say_nothing) as server:
        jobs = allow(jobs, server.port, fetch_seconds=0.2)
        job_id = submit(jobs, server.url)

        fetch_all(jobs)

        assert len(server.requests) == 1
    assert only_fetch(jobs, job_id).status == "waiting"


# Refusals at once


@pytest.mark.parametrize(
    ("url", "code"),
    [("ftp://pictures.example/", "url_scheme_refused"), ("http://[::1/", "url_invalid")],
)
def test_a_wrong_address_is_refused_when_it_is_added(jobs: Jobs, url: str, code: str) -> None:
    job_id = submit(jobs)

    with pytest.raises(RequestRefused) as refused:
        jobs.add_url(job_id, url, None, None, "client")

    assert refused.value.code == code
    assert not jobs.store.fetches.of_job(job_id)


def test_addresses_are_refused_unless_the_operator_allows_them(config: Config) -> None:
    jobs = open_jobs(replace(config, fetch_urls=False))
    job_id = submit(jobs)

    with pytest.raises(FetchingIsOff):
        jobs.add_url(job_id, "https://pictures.example/", None, None, "client")


def test_fetches_that_wait_when_the_operator_forbids_them_fail(jobs: Jobs) -> None:
    job_id = submit(jobs, "https://pictures.example/cat.jpg")
    jobs = open_jobs(replace(jobs.config, fetch_urls=False), jobs.store.now)

    fetch_all(jobs)

    assert only_fetch(jobs, job_id).error_code == "fetching_is_off"


def test_fetches_count_as_images_of_the_job(jobs: Jobs) -> None:
    jobs = open_jobs(replace(jobs.config, max_images=2), jobs.store.now)
    job_id = submit(jobs, "https://pictures.example/1", "https://pictures.example/2")

    with pytest.raises(TooManyImages):
        jobs.add_url(job_id, "https://pictures.example/3", None, None, "client")
    with pytest.raises(TooManyImages):
        add_image(jobs, job_id, PHOTO)


def test_a_job_whose_fetches_fail_takes_no_endless_number(jobs: Jobs) -> None:
    job_id = submit(jobs)
    failed = {"url": "https://example.com/a.jpg", "client": "", "status": "failed", "due": 0}
    with jobs.store.db.transaction() as db:
        db.table("fetches").insert_all(
            {"id": str(number), "job_id": job_id, "position": number, **failed}
            for number in range(1, MAX_MISSING)
        )
    jobs.add_url(job_id, "https://example.com/b.jpg", None, None, "client")
    jobs.cancel(job_id)
    with pytest.raises(TooManyImages):
        jobs.add_url(job_id, "https://example.com/c.jpg", None, None, "client")


def test_fetches_count_towards_the_share_of_the_queue(jobs: Jobs) -> None:
    config = replace(jobs.config, max_images=1, max_waiting=4, max_waiting_share=0.5)
    jobs = open_jobs(config, jobs.store.now)
    first = submit(jobs, "https://pictures.example/1")
    submit(jobs, "https://pictures.example/2")

    with pytest.raises(TooManyWaiting):
        submit(jobs, "https://pictures.example/3")

    jobs.delete_with_undo(first)
    submit(jobs, "https://pictures.example/3")


# How a job waits


def test_a_job_that_waits_for_a_fetch_stays_open(jobs: Jobs, clock: Clock) -> None:
    job_id = submit(jobs, "https://pictures.example/cat.jpg")

    clock.stop(NOW + 2 * OPEN_SECONDS)
    sweep(jobs)

    assert jobs.progress(job_id).is_open


def test_a_job_that_was_closed_waits_for_its_last_fetch(jobs: Jobs) -> None:
    with origin(answer(PHOTO), answer(status="404 Not Found")) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url, server.url)
        jobs.close(job_id)
        work = fetch_work(jobs)
        shown = [jobs.progress(job_id)]

        while action := work.take():
            action()
            shown.append(jobs.progress(job_id))

    assert [(job.is_open, job.is_closing, job.fetching) for job in shown] == [
        (True, True, 2),
        (True, True, 1),
        (False, False, 0),
    ]
    assert len({job.version for job in shown}) == 3


def test_a_job_that_was_closed_takes_no_more(jobs: Jobs) -> None:
    job_id = submit(jobs, "https://pictures.example/cat.jpg")
    jobs.close(job_id)

    with pytest.raises(JobClosed):
        add_image(jobs, job_id, PHOTO)
    with pytest.raises(JobClosed):
        jobs.add_url(job_id, "https://pictures.example/dog.jpg", None, None, "client")


def test_a_job_that_is_opened_again_stays_so_after_its_fetches(jobs: Jobs) -> None:
    job_id = submit(jobs, "https://pictures.example/cat.jpg")
    jobs.close(job_id)
    jobs.reopen(job_id)

    jobs.cancel(job_id)

    assert jobs.progress(job_id).is_receiving


def test_a_job_whose_owner_never_closes_it_is_open_for_an_hour_more(
    jobs: Jobs, clock: Clock
) -> None:
    job_id = submit(jobs, "https://pictures.example/cat.jpg")
    add_image(jobs, job_id, PHOTO)

    jobs.cancel(job_id)

    assert jobs.progress(job_id).is_open
    clock.stop(NOW + OPEN_SECONDS + 1)
    assert not jobs.progress(job_id).is_open


def test_a_job_of_which_nothing_could_be_fetched_says_why(jobs: Jobs) -> None:
    job_id = submit(jobs, "http://2852039166/latest/meta-data/")  # 169.254.169.254
    jobs.close(job_id)

    fetch_all(jobs)

    job = jobs.job(job_id)
    assert job.is_finished
    assert job.outcome == "failed"
    assert [file.name for file in job.missing_files] == ["2852039166"]


def test_a_cancelled_job_fetches_nothing(jobs: Jobs) -> None:
    with origin(answer(PHOTO)) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url)
        jobs.close(job_id)
        jobs.cancel(job_id)

        fetch_all(jobs)

        assert not server.requests
    assert jobs.progress(job_id).is_finished
    assert reasons(jobs, job_id) == [("cat.jpg", "It was cancelled before it was fetched.")]


def test_a_job_that_is_deleted_fetches_nothing_until_it_is_restored(jobs: Jobs) -> None:
    with origin(answer(PHOTO)) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url)

        jobs.delete_with_undo(job_id)
        fetch_all(jobs)
        assert not server.requests

        jobs.restore(job_id, "owner", "client")
        fetch_all(jobs)

    assert only_fetch(jobs, job_id).status == "done"


def test_a_job_that_is_deleted_during_a_fetch_gets_the_image_when_it_is_restored(
    jobs: Jobs,
) -> None:
    job_id = ""

    def delete_and_answer(*args: Any) -> None:
        if job_id:
            jobs.delete_with_undo(job_id)
        answer(PHOTO)(*args)

    with origin(delete_and_answer, answer(PHOTO)) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url)
        fetch_all(jobs)
        assert not files_left(jobs)

        jobs.restore(job_id, "owner", "client")
        fetch_all(jobs)

    assert [image.name for image in jobs.job(job_id).images] == ["cat.jpg"]


def test_fetches_of_a_job_that_ended_leave_nothing(jobs: Jobs, clock: Clock) -> None:
    job_id = submit(jobs, "https://pictures.example/cat.jpg")

    clock.stop(NOW + 25 * 3600)
    sweep(jobs)

    assert not jobs.store.fetches.of_job(job_id)
    assert not files_left(jobs)


def test_a_kept_job_gets_no_more_than_its_owner_may_keep(jobs: Jobs, clock: Clock) -> None:
    with origin(answer(PHOTO + bytes(2 * MB))) as server:
        jobs = allow(jobs, server.port, max_kept_mb=1)
        job_id = jobs.submit(PRESETS["square"].recipe, "owner", inf)
        jobs.add_url(job_id, server.url, None, None, "client")

        clock.stop(NOW + NEW_SECONDS)  # Its links are in use by now.
        fetch_all(jobs)

    assert only_fetch(jobs, job_id).error_code == "too_much_kept"
    assert not files_left(jobs)


# Turns, and processes that die


def test_a_process_that_dies_loses_and_doubles_nothing(jobs: Jobs, clock: Clock) -> None:
    with origin(answer(PHOTO)) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url)
        lost = fetch_work(jobs).take()
        assert lost
        assert fetch_work(jobs).take() is None

        clock.stop(NOW + 30)  # Its lease has ended.
        fetch_all(jobs)
        lost()  # It was only slow.

    assert len(jobs.job(job_id).images) == 1
    assert len([path for path in files_left(jobs) if job_id in path]) == 2  # Folder and file.


def test_a_slow_process_takes_no_fetch_from_the_next(jobs: Jobs, clock: Clock) -> None:
    with origin(answer(PHOTO)) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url)
        slow = fetch_work(jobs).take()
        clock.stop(NOW + 30)  # Its lease has ended.
        next_one = fetch_work(jobs).take()
        assert slow
        assert next_one
        slow()
        assert only_fetch(jobs, job_id).status == "working"
        next_one()
        assert only_fetch(jobs, job_id).status == "done"


def test_a_long_fetch_is_claimed_once(jobs: Jobs) -> None:
    jobs = open_jobs(replace(jobs.config, fetch_seconds=600), jobs.store.now)
    submit(jobs, "https://pictures.example/cat.jpg")

    assert fetch_work(jobs).take()
    assert fetch_work(jobs).take() is None


def test_a_clock_that_is_set_back_holds_up_no_fetch(jobs: Jobs, clock: Clock) -> None:
    submit(jobs, "https://pictures.example/cat.jpg")

    clock.stop(NOW - 24 * 3600)

    assert fetch_work(jobs).take()


def test_a_fetch_that_costs_a_few_processes_fails(jobs: Jobs, clock: Clock) -> None:
    job_id = submit(jobs, "https://pictures.example/cat.jpg")
    for number in range(len(PAUSES) + 2):
        clock.stop(NOW + 30 * number)
        fetch_work(jobs).take()

    assert only_fetch(jobs, job_id).error_code == "fetch_lost"


def test_a_fetch_that_is_stopped_with_the_consumer_waits_for_the_next(jobs: Jobs) -> None:
    with origin(answer(PHOTO)) as server:
        jobs = allow(jobs, server.port)
        job_id = submit(jobs, server.url)
        action = fetch_work(jobs, is_stopping=lambda: True).take()
        assert action
        action()
        assert only_fetch(jobs, job_id).status == "waiting"

        fetch_all(jobs)

    assert only_fetch(jobs, job_id).status == "done"


def test_a_client_with_many_fetches_leaves_threads_to_others(jobs: Jobs) -> None:
    submit(jobs, *[f"https://pictures.example/{number}" for number in range(6)], client="many")
    work = fetch_work(jobs)
    taken = [work.take() for _ in range(6)]
    assert len([one for one in taken if one]) == 4

    submit(jobs, "https://pictures.example/", client="one")

    assert work.take()


def test_clients_take_turns(jobs: Jobs) -> None:
    submit(jobs, "https://pictures.example/1", "https://pictures.example/2", client="first")
    submit(jobs, "https://pictures.example/3", client="second")
    work = fetch_work(jobs)
    work.take()
    work.take()
    fetches = jobs.store.db.query("SELECT url FROM fetches WHERE status = 'working' ORDER BY url")
    assert [fetch["url"][-1] for fetch in fetches] == ["1", "3"]


def test_an_address_of_a_fetch_is_not_logged(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"), origin(answer(PHOTO)) as server:
        jobs = allow(jobs, server.port)
        submit(jobs, f"{server.url}?signature=secret")
        fetch_all(jobs)

    assert "secret" not in caplog.text
