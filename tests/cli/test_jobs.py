"""Operators follow, change and delete jobs."""

import json
import re
from dataclasses import replace
from typing import Any

import click
import pytest
from flask import Flask

from tests.cli.conftest import Run
from tests.support.clock import Clock
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import (
    add_image,
    add_token,
    claim,
    files_left,
    id_of,
    nothing_left,
    send_webhooks,
    work,
)
from tests.support.people import Person, Script
from webapp.config import Config
from webapp.jobs.errors import TOKEN_REVOKED
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.store import jobs as job_rows
from webapp.jobs.tokens import revoke_token
from webapp.recipes.presets import PRESETS

HOUR = 3600.0


def read(run: Run, *arguments: str) -> Any:
    """Run a command, and read its JSON."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def listed(run: Run, *options: str) -> list[str]:
    """List the ids of jobs."""
    return [job["id"] for job in read(run, "list", *options)]


@pytest.fixture
def failed(person: Person, jobs: Jobs) -> str:
    """Return the id of a job with an image that is done, and one that failed."""
    job_id = id_of(person.submit((make_jpeg(), "beach.jpg"), (make_truncated(), "cut.jpg")))
    work(jobs)
    return job_id


@pytest.fixture
def waiting(person: Person) -> str:
    """Return the id of a job with three images that wait."""
    return id_of(person.submit(make_jpeg(), make_jpeg(), make_jpeg()))


class TestList:
    def test_newest_job_is_first(self, run: Run, failed: str, waiting: str) -> None:
        heading, *rows = run("list").output.splitlines()
        assert heading.split("  ")[0] == "Id"
        assert [row.split()[0] for row in rows] == [waiting[:8], failed[:8]]

    def test_row_has_title_status_progress_and_times(
        self, run: Run, failed: str, clock: Clock
    ) -> None:
        (row,) = run("list").output.splitlines()[1:]
        words = r"{}  beach\.jpg and 1 more +failed +1/2  {}  {}"
        time = r"20\d\d-\d\d-\d\d \d\d:\d\d"
        assert re.fullmatch(words.format(failed[:8], time, time), row)

    def test_json_has_the_same_keys_for_every_job(self, run: Run, failed: str, jobs: Jobs) -> None:
        (job,) = read(run, "list")
        found = jobs.job(failed)
        assert job == {
            "id": failed,
            "title": "beach.jpg and 1 more",
            "status": "failed",
            "counts": {
                **{"waiting": 0, "working": 0, "done": 1, "failed": 1, "cancelled": 0},
                "total": 2,
            },
            "created": f"{found.created:%Y-%m-%dT%H:%M:%SZ}",
            "expires": f"{found.expires:%Y-%m-%dT%H:%M:%SZ}",
            "owner": found.owner,
            "bytes": sum(image.bytes + image.bytes_made for image in found.images),
        }

    def test_empty_instance_has_an_empty_list(self, run: Run) -> None:
        assert read(run, "list") == []

    def test_owner_has_only_own_jobs(
        self, run: Run, waiting: str, stranger: Person, jobs: Jobs
    ) -> None:
        other = id_of(stranger.submit(make_jpeg()))
        assert listed(run, "--owner", jobs.job(other).owner or "") == [other]

    def test_limit_cuts_the_list_and_says_so(self, run: Run, failed: str, waiting: str) -> None:
        assert listed(run, "--limit", "1") == [waiting]
        assert listed(run, "--limit", "0") == [waiting, failed]
        assert "There are more" in run("list", "--limit", "1").stderr
        assert "There are more" not in run("list", "--limit", "2").stderr

    def test_jobs_of_several_pages_are_all_listed_once(
        self, run: Run, person: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = [id_of(person.submit(make_jpeg())) for _ in range(5)]
        monkeypatch.setattr(job_rows, "PAGE_OF_JOBS", 2)
        assert listed(run, "--limit", "0") == made[::-1]

    def test_status_is_that_of_the_images(self, run: Run, person: Person, jobs: Jobs) -> None:
        failed = id_of(person.submit(make_jpeg(), make_truncated()))
        done = id_of(person.submit(make_jpeg()))
        work(jobs)
        cancelled = id_of(person.submit(make_jpeg()))
        jobs.store.queue.cancel(cancelled)
        working = id_of(person.submit(make_jpeg(), make_jpeg()))
        claim(jobs)
        waits = id_of(person.submit(make_jpeg()))
        statuses = {job["id"]: job["status"] for job in read(run, "list")}
        assert statuses == {
            failed: "failed",
            done: "done",
            cancelled: "cancelled",
            working: "working",
            waits: "waiting",
        }
        for job_id, status in statuses.items():
            assert listed(run, "--status", status) == [job_id]

    def test_job_without_images_waits_for_them(self, run: Run, script: Script) -> None:
        opened = script.create()["id"]
        assert listed(run, "--status", "waiting") == [opened]


def rows_below(output: str, heading: str) -> list[list[str]]:
    """Return the cells of the table whose heading begins with a word."""
    _, rows = re.split(f"^{heading}.*\n", output, flags=re.MULTILINE)
    table = rows.partition("\n\n")[0]
    return [re.split("  +", row) for row in table.splitlines()]


class TestShow:
    def test_facts_and_recipe_are_shown(self, run: Run, failed: str) -> None:
        lines = run("show", failed).output.splitlines()
        assert lines[0].split() == ["Job", failed]
        assert "Images   1 done, 1 failed" in lines
        assert "Output   square: 100 × 100, pad, JPEG" in lines

    def test_what_is_unusual_of_an_output_is_named(self, run: Run, jobs: Jobs) -> None:
        job_id = jobs.submit(PRESETS["avatar"].recipe.with_changes(0, quality=30), None)
        output = "avatar: 256 × 256, cover, WebP, quality 30, focus smart"
        assert output in run("show", job_id).output

    def test_failed_image_has_its_code_and_sentence(self, run: Run, failed: str) -> None:
        assert "cut.jpg  truncated  This image is incomplete" in run("show", failed).output

    def test_json_has_images_with_errors_and_thumbnails(
        self, run: Run, failed: str, jobs: Jobs
    ) -> None:
        job = read(run, "show", failed)
        done, cut = job["images"]
        assert [image["status"] for image in job["images"]] == ["done", "failed"]
        assert (done["error"], cut["error"]["code"]) == (None, "truncated")
        (made,) = done["thumbnails"]
        assert (made["output"], made["width"]) == ("square", 100)
        assert jobs.storage.thumbnail(made["path"])
        assert job["recipe"][0]["name"] == "square"

    @pytest.fixture
    def fetching(self, jobs: Jobs) -> str:
        """Return the id of a job with an image to be fetched."""
        jobs.config = replace(jobs.config, fetch_urls=True)
        job_id = jobs.submit(PRESETS["square"].recipe, None)
        jobs.add_url(job_id, "https://pictures.example/cat.jpg?key=1", None, None, "client")
        return job_id

    def test_images_to_be_fetched_are_counted(self, run: Run, fetching: str) -> None:
        assert "Images   1 to be fetched\n" in run("show", fetching).output

    def test_fetches_have_their_status_and_what_failed(
        self, run: Run, fetching: str, jobs: Jobs
    ) -> None:
        (fetch,) = read(run, "show", fetching)["fetches"]
        assert (fetch["name"], fetch["status"], fetch["error"]) == ("cat.jpg", "waiting", None)
        jobs.cancel(fetching)
        (row,) = rows_below(run("show", fetching).output, "Fetch ")
        assert row == [fetch["id"][:8], "cat.jpg", "cancelled", "fetch_cancelled"]

    def test_webhooks_have_their_status_and_last_try(self, run: Run, jobs: Jobs) -> None:
        add_token(jobs, "token:7")
        job_id = jobs.submit(
            PRESETS["square"].recipe,
            "token:7",
            callback_url="http://localhost/hook?key=1",
            origin="http://localhost",
        )
        add_image(jobs, job_id, make_jpeg())
        jobs.close(job_id)
        assert "Webhooks  http://localhost/hook\n" in run("show", job_id).output
        assert read(run, "show", job_id)["webhooks"]["deliveries"] == []
        work(jobs)
        send_webhooks(jobs)
        (delivery,) = read(run, "show", job_id)["webhooks"]["deliveries"]
        assert delivery["tries"][0]["error"]["code"] == "address_refused"
        output = run("show", job_id).output
        ((webhook, status, tries, *_, reason),) = rows_below(output, "Webhook ")
        assert (webhook, status, tries) == (delivery["id"][:12], "waiting", "1")
        assert reason == delivery["tries"][0]["error"]["detail"]
        assert "key" not in output
        revoke_token(jobs.store, "7")
        send_webhooks(jobs)
        output = run("show", job_id).output
        assert "http://localhost/hook (its token was revoked: it is told nothing more)\n" in output
        ((_, status, tries, *_, reason),) = rows_below(output, "Webhook ")
        assert (status, tries) == ("stopped", "2")
        assert reason == TOKEN_REVOKED[1]

    def test_skipped_file_is_named_with_its_reason(self, run: Run, person: Person) -> None:
        job_id = id_of(person.submit(make_jpeg(), (b"words", "notes.txt")))
        assert "notes.txt  skipped  This is text" in run("show", job_id).output

    def test_expired_job_is_an_error(self, run: Run, failed: str, clock: Clock) -> None:
        clock.advance(25 * HOUR)
        result = run("show", failed)
        assert (result.exit_code, "has expired" in result.output) == (1, True)


class TestIds:
    def test_first_letters_name_a_job(self, run: Run, waiting: str) -> None:
        assert read(run, "show", waiting[:4].upper())["id"] == waiting

    @pytest.fixture
    def twins(self, jobs: Jobs) -> None:
        for end in "ab":
            jobs.store.jobs.add(f"1234567{end}", None, "[]", HOUR, HOUR)

    @pytest.mark.parametrize(
        ("letters", "sentence"),
        [
            ("1234567", "Several jobs have ids that begin with 1234567."),
            ("4321", "There is no job 4321."),
            ("123%", "There is no job 123%."),
            ("", "Give at least 4 letters of the id of a job."),
        ],
    )
    def test_letters_that_name_no_single_job_are_an_error(
        self, run: Run, twins: None, letters: str, sentence: str
    ) -> None:
        result = run("delete", letters)
        assert (result.exit_code > 0, sentence in result.output) == (True, True)

    def test_letters_of_no_image_are_an_error(self, run: Run, waiting: str) -> None:
        assert "This job has no image zzzz." in run("cancel", waiting, "zzzz").output


class TestRetry:
    def test_cancelled_images_wait_again(self, run: Run, waiting: str, jobs: Jobs) -> None:
        jobs.store.queue.cancel(waiting)
        assert run("retry", waiting[:8]).output == "3 images wait again.\n"
        assert jobs.progress(waiting).counts.waiting == 3

    def test_one_image_waits_again(self, run: Run, waiting: str, jobs: Jobs) -> None:
        jobs.store.queue.cancel(waiting)
        image_id = jobs.job(waiting).images[1].id
        assert read(run, "retry", waiting, image_id[:8]) == {"id": waiting, "waiting": 1}
        assert jobs.job(waiting).images[1].is_waiting

    def test_workers_are_notified(self, run: Run, waiting: str, jobs: Jobs, app: Flask) -> None:
        huey = app.extensions["huey"]
        while huey.dequeue():
            pass
        jobs.store.queue.cancel(waiting)
        run("retry", waiting)
        assert huey.pending_count() == 1

    def test_failure_that_does_not_pass_is_an_error(self, run: Run, failed: str) -> None:
        result = run("retry", failed)
        assert (result.exit_code, "Nothing to retry" in result.output) == (1, True)

    def test_pause_is_mentioned(self, run: Run, waiting: str, jobs: Jobs) -> None:
        jobs.store.queue.cancel(waiting)
        jobs.store.operations.pause("")
        assert "Work is paused" in run("retry", waiting).output


class TestRetryOfManyImages:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, max_waiting=4, max_waiting_share=0.5)

    def test_operator_has_no_share_of_the_queue(self, run: Run, jobs: Jobs, person: Person) -> None:
        first = id_of(person.submit(make_jpeg(), make_jpeg()))
        jobs.store.queue.cancel(first)
        second = id_of(person.submit(make_jpeg(), make_jpeg()))
        jobs.store.queue.cancel(second)
        assert [run("retry", job_id).exit_code for job_id in (first, second)] == [0, 0]
        work(jobs)
        assert jobs.progress(second).counts.done == 2


class TestCancel:
    def test_waiting_images_are_cancelled(self, run: Run, waiting: str, jobs: Jobs) -> None:
        claim(jobs)
        assert run("cancel", waiting).output == "2 images are cancelled.\n"
        counts = jobs.progress(waiting).counts
        assert (counts.working, counts.cancelled) == (1, 2)

    def test_one_image_is_cancelled(self, run: Run, waiting: str, jobs: Jobs) -> None:
        image_id = jobs.job(waiting).images[2].id
        assert read(run, "cancel", waiting, image_id) == {"id": waiting, "cancelled": 1}
        assert jobs.job(waiting).images[2].status == "cancelled"

    def test_finished_job_has_nothing_to_cancel(self, run: Run, failed: str) -> None:
        result = run("cancel", failed)
        assert (result.exit_code, "Nothing to cancel" in result.output) == (1, True)


class TestDelete:
    def test_several_jobs_are_deleted_with_their_files(
        self, run: Run, failed: str, waiting: str, jobs: Jobs
    ) -> None:
        output = run("delete", failed[:8], waiting).output
        assert f"{failed} is deleted: 2 images, " in output
        assert nothing_left(jobs)

    def test_unknown_job_keeps_the_others(self, run: Run, failed: str, jobs: Jobs) -> None:
        assert run("delete", failed, "ffffffff-no").exit_code == 1
        assert jobs.job(failed)


class TestPrune:
    def test_ended_jobs_are_deleted_at_once(
        self, run: Run, failed: str, jobs: Jobs, clock: Clock
    ) -> None:
        clock.advance(25 * HOUR)
        output = run("prune", "--yes").output
        assert re.fullmatch(r"1 job to delete, \d+ kB\.\n1 job deleted\.\n", output)
        assert nothing_left(jobs)

    def test_without_options_other_jobs_stay(self, run: Run, failed: str, jobs: Jobs) -> None:
        assert "0 jobs deleted." in run("prune", "--yes").output
        assert jobs.job(failed)

    def test_jobs_of_an_age_are_deleted(
        self, run: Run, failed: str, jobs: Jobs, clock: Clock, person: Person
    ) -> None:
        clock.advance(2 * HOUR)
        new = id_of(person.submit(make_jpeg()))
        assert "1 job deleted." in run("prune", "--older-than", "1", "--yes").output
        assert list(jobs.store.jobs.ids()) == [new]

    def test_unfinished_jobs_stay_if_asked(
        self, run: Run, failed: str, waiting: str, script: Script, jobs: Jobs
    ) -> None:
        opened = script.create()["id"]
        run("prune", "--older-than", "0", "--finished-only", "--yes")
        assert list(jobs.store.jobs.ids()) == [opened, waiting]

    def test_dry_run_deletes_nothing(self, run: Run, failed: str, jobs: Jobs) -> None:
        assert "1 job to delete" in run("prune", "--older-than", "0", "--dry-run").output
        assert jobs.job(failed)

    def test_it_asks_before_it_deletes(self, run: Run, failed: str, jobs: Jobs) -> None:
        assert run("prune", "--older-than", "0", answer="n\n").exit_code == 1
        assert jobs.job(failed)
        assert run("prune", "--older-than", "0", answer="y\n").exit_code == 0
        assert nothing_left(jobs)

    def test_job_that_is_made_while_it_asks_stays(
        self, run: Run, failed: str, person: Person, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = []

        def confirm(*_: object, **__: object) -> None:
            made.append(id_of(person.submit(make_jpeg())))

        monkeypatch.setattr(click, "confirm", confirm)
        assert "1 job deleted." in run("prune", "--older-than", "0").output
        assert list(jobs.store.jobs.ids()) == made

    def test_jobs_of_several_pages_are_all_deleted(
        self, run: Run, person: Person, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for _ in range(5):
            person.submit(make_jpeg())
        monkeypatch.setattr(job_rows, "PAGE", 2)
        assert "5 jobs deleted." in run("prune", "--older-than", "0", "--yes").output
        assert nothing_left(jobs)

    def test_options_of_age_need_an_age(self, run: Run) -> None:
        result = run("prune", "--finished-only")
        assert (result.exit_code, "Give --older-than" in result.output) == (2, True)

    @pytest.mark.parametrize("hours", ["nan", "inf", "-1", "-inf"])
    def test_age_is_a_number_of_hours(self, run: Run, failed: str, hours: str) -> None:
        assert run("prune", "--older-than", hours, "--yes").exit_code == 2
        assert listed(run) == [failed]

    def test_job_that_cannot_be_deleted_is_named_and_the_others_go(
        self, run: Run, failed: str, waiting: str, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = jobs.storage.move_to_trash

        def move_to_trash(job_id: str) -> Any:
            if job_id == failed:
                raise PermissionError(13, "Permission denied")
            return real(job_id)

        monkeypatch.setattr(jobs.storage, "move_to_trash", move_to_trash)
        result = run("prune", "--older-than", "0", "--yes")
        assert result.exit_code == 1
        assert f"{failed}: [Errno 13] Permission denied" in result.output
        assert "1 job deleted." in result.output
        assert "1 job could not be deleted." in result.output


class TestPruneOfKeptJobs:
    @pytest.fixture
    def config(self, config: Config) -> Config:
        return replace(config, max_kept_mb=1)

    def test_kept_jobs_stay_unless_asked_for(self, run: Run, person: Person, jobs: Jobs) -> None:
        kept = id_of(person.submit(make_jpeg(), keep_hours="inf"))
        assert jobs.job(kept).expires is None
        run("prune", "--older-than", "0", "--yes")
        assert jobs.job(kept)
        run("prune", "--older-than", "0", "--kept", "--yes")
        assert files_left(jobs) == []

    def test_list_says_that_they_expire_when_deleted(self, run: Run, person: Person) -> None:
        person.submit(make_jpeg(), keep_hours="inf")
        assert run("list").output.rstrip().endswith("when deleted")
        assert read(run, "list")[0]["expires"] is None
