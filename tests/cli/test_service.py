"""Operators look after the service: pause, figures."""

import json
import re

from flask import Flask

from tests.cli.conftest import Run
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import claim, work
from tests.support.people import Person
from webapp.jobs.health import quantile
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Bucket
from webapp.jobs.worker import worker_name


class TestPause:
    def test_pause_is_kept_with_its_reason(self, run: Run, person: Person, jobs: Jobs) -> None:
        person.submit(make_jpeg(), make_jpeg())
        claim(jobs)
        output = run("pause", "--reason", "A  new\ndisk.").output
        assert output == "Work is paused. 1 image still being made, 1 image waiting.\n"
        pause = jobs.store.operations.read_pause()
        assert pause
        assert pause.reason == "A new disk."

    def test_reason_of_many_words_is_an_error(self, run: Run, jobs: Jobs) -> None:
        result = run("pause", "--reason", "x" * 301)
        assert (result.exit_code, "at most 300 characters" in result.output) == (2, True)
        assert jobs.store.operations.read_pause() is None

    def test_resume_ends_it_and_wakes_each_worker(self, run: Run, app: Flask, jobs: Jobs) -> None:
        run("pause")
        assert run("resume").output == "Work goes on. 0 images waiting.\n"
        assert jobs.store.operations.read_pause() is None
        assert app.extensions["huey"].pending_count() == jobs.config.workers

    def test_resume_without_a_pause_is_an_error(self, run: Run) -> None:
        result = run("resume")
        assert (result.exit_code, "Work is not paused." in result.output) == (1, True)


class TestStats:
    def test_json_has_all_figures(self, run: Run, person: Person, jobs: Jobs) -> None:
        person.upload((make_jpeg(), "a.jpg"), (make_truncated(), "b.jpg"), (b"words", "c.jpg"))
        work(jobs)
        person.submit(make_jpeg(), make_jpeg())
        claim(jobs)
        jobs.store.operations.beat(worker_name())  # As a slow image does while it is made.
        found = json.loads(run("stats", "--json").output)
        assert (found["paused"], found["workers"], found["jobs"]) == (None, 1, 2)
        assert (found["queue"]["waiting"], found["queue"]["working"]) == (1, 1)
        sums = {"accepted": 4, "done": 1, "failed": 1, "cancelled": 0, "deleted": 0, "again": 0}
        assert found["images"] == sums
        assert (found["failed"], found["refused"]) == ({"truncated": 1}, {"unsupported_format": 1})
        assert found["work_seconds"]["count"] == 2
        assert 0 < found["work_seconds"]["p50"] <= found["work_seconds"]["p95"]
        assert found["bytes"] > 0
        assert found["free_disk_bytes"] > 0

    def test_table_says_since_when_and_why_work_is_paused(self, run: Run, jobs: Jobs) -> None:
        assert re.search(r"^Work +goes on$", run("stats").output, re.MULTILINE)
        jobs.store.operations.pause("A new disk.")
        paused = r"^Work +paused since \d{4}-\d\d-\d\d \d\d:\d\d UTC: A new disk\.$"
        assert re.search(paused, run("stats").output, re.MULTILINE)

    def test_new_service_has_no_durations(self, run: Run) -> None:
        output = run("stats").output
        assert output.count("no image yet") == 2
        assert json.loads(run("stats", "--json").output)["wait_seconds"]["p50"] is None


def test_quantile_is_estimated_within_its_bucket() -> None:
    counts = {1.0: 2, 2.0: 0, 4.0: 2, float("inf"): 0}
    buckets = [Bucket("work", up_to, number, 0) for up_to, number in counts.items()]
    assert [quantile(buckets, part) for part in (0.25, 0.5, 0.75, 1)] == [0.5, 1, 3, 4]


def test_quantile_beyond_the_last_bound_is_that_bound() -> None:
    assert quantile([Bucket("work", 4, 0, 0), Bucket("work", float("inf"), 1, 9)], 0.5) == 4
