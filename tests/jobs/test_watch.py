"""Waiting for a change of a job."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from tests.support.images import make_jpeg
from tests.support.jobs import work
from tests.support.people import Person
from tests.support.servers import wait_until
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.wake_up import WakeUps
from webapp.jobs.watch import Caller, JobWatch

PLACES = 2
LONG = 30.0  # Seconds; no test waits that long.
CALLER = Caller("", has_left=lambda: False)


@pytest.fixture
def watch(jobs: Jobs, tmp_path: Path) -> JobWatch:
    return JobWatch(jobs.store, PLACES, WakeUps(tmp_path / "watchers"))


@pytest.fixture
def job_id(person: Person) -> str:
    return person.submit(make_jpeg()).removeprefix("/jobs/")


@contextmanager
def waiting(
    watch: JobWatch, jobs: Jobs, job_id: str, *callers: Caller
) -> Iterator[list[Future[bool]]]:
    """Wait for a change of a job in other threads."""
    version = jobs.progress(job_id).version
    futures: list[Future[bool]] = []
    with ThreadPoolExecutor(len(callers)) as threads:
        for caller in callers:
            futures.append(threads.submit(watch.wait, job_id, version, LONG, caller))
            wait_until(lambda: len(watch._waits) == len(futures), what="all to wait")
        yield futures


def test_all_who_wait_learn_of_a_change(watch: JobWatch, jobs: Jobs, job_id: str) -> None:
    with waiting(watch, jobs, job_id, CALLER, CALLER) as futures:
        work(jobs)
        assert [future.result(LONG) for future in futures] == [True, True]


def test_change_before_the_wait_is_known_at_once(watch: JobWatch, jobs: Jobs, job_id: str) -> None:
    version = jobs.progress(job_id).version
    work(jobs)
    assert watch.wait(job_id, version, LONG, CALLER)


def test_deleted_job_has_changed(watch: JobWatch, jobs: Jobs, job_id: str) -> None:
    with waiting(watch, jobs, job_id, CALLER) as futures:
        jobs.delete(job_id)
        assert futures[0].result(LONG)


def test_another_job_is_no_change(watch: JobWatch, jobs: Jobs, job_id: str, person: Person) -> None:
    with waiting(watch, jobs, job_id, CALLER) as futures:
        jobs.delete(person.submit(make_jpeg()).removeprefix("/jobs/"))
        with pytest.raises(TimeoutError):
            futures[0].result(0.05)
        watch.stop()


def test_wait_without_a_change_ends(watch: JobWatch, jobs: Jobs, job_id: str) -> None:
    assert not watch.wait(job_id, jobs.progress(job_id).version, 0.01, CALLER)


def test_no_more_wait_than_there_are_places(watch: JobWatch, jobs: Jobs, job_id: str) -> None:
    with waiting(watch, jobs, job_id, CALLER, CALLER):
        assert not watch.wait(job_id, jobs.progress(job_id).version, LONG, CALLER)
        watch.stop()


def test_client_with_the_most_waits_gives_one_up(watch: JobWatch, jobs: Jobs, job_id: str) -> None:
    version, other = jobs.progress(job_id).version, Caller("other", has_left=lambda: False)
    with waiting(watch, jobs, job_id, CALLER, CALLER) as futures:
        assert watch.has_place(other.client)
        with ThreadPoolExecutor(1) as threads:
            newest = threads.submit(watch.wait, job_id, version, LONG, other)
            assert futures[0].result(LONG)
            assert not watch.wait(job_id, version, LONG, CALLER)  # It does not take it back.
            assert not watch.wait(job_id, version, LONG, other)  # Their shares are equal.
            assert not any(wait.done() for wait in (futures[1], newest))
            watch.stop()


def test_longest_wait_ends_for_a_client_without_one_after_its_turn(
    watch: JobWatch, jobs: Jobs, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (Caller(name, has_left=lambda: False) for name in ("a", "b", "c"))
    with waiting(watch, jobs, job_id, first, second) as futures:
        assert not watch.has_place(third.client)
        monkeypatch.setattr("webapp.jobs.watch.TURN_SECONDS", 0.0)
        assert not watch.has_place(second.client)  # Its own wait is as long.
        assert watch.has_place(third.client)
        with ThreadPoolExecutor(1) as threads:
            version = jobs.progress(job_id).version
            threads.submit(watch.wait, job_id, version, LONG, third)
            assert futures[0].result(LONG)
            assert not futures[1].done()
            watch.stop()


def test_wait_for_a_client_that_left_ends(watch: JobWatch, jobs: Jobs, job_id: str) -> None:
    hung_up = Event()
    caller = Caller("", has_left=hung_up.is_set)
    with waiting(watch, jobs, job_id, caller) as futures:
        hung_up.set()
        assert futures[0].result(LONG)
    assert not watch.wait(job_id, jobs.progress(job_id).version, LONG, caller)


def test_lent_place_ends_one_wait(watch: JobWatch, jobs: Jobs, job_id: str) -> None:
    with waiting(watch, jobs, job_id, CALLER, CALLER) as futures:
        with watch.lent_place():
            wait_until(lambda: any(future.done() for future in futures), what="the end of one")
            assert len(watch._waits) == PLACES - 1
            assert not watch.wait(job_id, jobs.progress(job_id).version, LONG, CALLER)
        watch.stop()


def test_lent_place_that_is_free_ends_no_wait(watch: JobWatch, jobs: Jobs, job_id: str) -> None:
    with waiting(watch, jobs, job_id, CALLER) as futures, watch.lent_place():
        with pytest.raises(TimeoutError):
            futures[0].result(0.05)
        watch.stop()


def test_stop_ends_all_waits(watch: JobWatch, jobs: Jobs, job_id: str) -> None:
    with waiting(watch, jobs, job_id, CALLER, CALLER) as futures:
        watch.stop()
        assert [future.result(LONG) for future in futures] == [False, False]
    assert not watch.wait(job_id, jobs.progress(job_id).version, LONG, CALLER)
