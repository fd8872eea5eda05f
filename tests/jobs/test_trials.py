"""Trials of a quality: how many at once, and what goes wrong in a worker."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, repeat
from pathlib import Path
from typing import Any

import pytest

from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import age, claims_of, files_left, submit, sweep, work
from webapp.config import MB
from webapp.engine.decoder import Decoder
from webapp.jobs.errors import Busy, NoWorkerFree, TooManyBytes, TooManyTrials
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.storage import TRIAL_SECONDS
from webapp.jobs.trials import AT_ONCE, Trial, Trials, work_on_trial
from webapp.recipes.outputs import Output, Recipe

MOST = 4  # Trials of a web process that may wait.
RECIPE = Recipe((Output("a", 60, 40, quality=30),))


def plan(jobs: Jobs, data: bytes) -> Trial:
    job = jobs.job(submit(jobs, data))
    return Trial(job.id, job.images[0].id, RECIPE.to_json(), 0, "192.0.2.1")


def work_on(jobs: Jobs, trial: Trial) -> None:
    work_on_trial(jobs.store, jobs.storage, Decoder.from_config(jobs.config), trial)


def find(jobs: Jobs, trial: Trial, name: str = "") -> Path | None:
    """Find the file of a trial, or another one of its image."""
    return jobs.storage.trial(trial.job_id, trial.image_id, name or trial.file_name)


def ask_meanwhile(jobs: Jobs, trial: Trial, clients: Iterator[str]) -> Iterator[str]:
    """Ask for trials while others wait for theirs; return the codes of errors."""
    codes = []

    def ask(_: Trial) -> None:
        try:
            jobs.trials.make(replace(trial, client=next(clients)), ask)
        except Busy as error:
            codes.append(error.code)

    ask(trial)
    return iter(codes)


@pytest.fixture
def hasty(jobs: Jobs) -> Jobs:
    """Return jobs whose trials wait for a worker that lives, but is not free."""
    jobs.store.operations.beat("worker")
    jobs.trials = Trials(jobs.store, jobs.storage, jobs.limits, jobs.watch, MOST, wait_seconds=0.05)
    return jobs


def test_only_some_trials_of_a_client_run_at_once(hasty: Jobs) -> None:
    trial = plan(hasty, make_jpeg())
    for _ in range(2):  # The second time, those of the first are over.
        first, *others = ask_meanwhile(hasty, trial, repeat("192.0.2.1"))
        assert first == "too_many_trials"
        assert others == ["no_worker_free"] * AT_ONCE


@pytest.mark.parametrize(
    ("client", "name"), [("192.0.2.1", "Your network"), ("token:7", "This token")]
)
def test_refusal_names_whose_trials_are_too_many(hasty: Jobs, client: str, name: str) -> None:
    trial = replace(plan(hasty, make_jpeg()), client=client)

    def ask(_: Trial) -> None:
        hasty.trials.make(trial, ask)

    with pytest.raises(TooManyTrials, match=f"{name} is trying"):
        ask(trial)


def test_trials_of_all_clients_take_half_of_the_threads(hasty: Jobs) -> None:
    clients = (f"192.0.2.{number}" for number in count())
    waited = list(ask_meanwhile(hasty, plan(hasty, make_jpeg()), clients))
    assert waited == ["no_worker_free"] * (MOST + 1)


def test_trial_does_not_wait_where_no_worker_lives(jobs: Jobs) -> None:
    trial = plan(jobs, make_jpeg())
    with pytest.raises(NoWorkerFree, match="No worker is running"):
        jobs.trials.make(trial, lambda _: pytest.fail("A worker is asked."))


def test_trial_that_is_there_needs_no_worker(jobs: Jobs) -> None:
    trial = plan(jobs, make_jpeg())
    work_on(jobs, trial)
    file = jobs.trials.make(trial, lambda _: pytest.fail("A worker is asked."))
    assert file.read_bytes().startswith(b"\xff\xd8\xff")


def test_failed_trial_leaves_a_note_and_costs_its_time(jobs: Jobs) -> None:
    trial = plan(jobs, make_truncated())
    before = set(files_left(jobs))
    work_on(jobs, trial)
    left = set(files_left(jobs)) - before
    assert [Path(one).stat().st_size for one in left if Path(one).is_file()] == [0]
    age(jobs, TRIAL_SECONDS + 1)
    sweep(jobs)
    assert set(files_left(jobs)) == before
    assert jobs.store.usage.spend(trial.client, "work", 0, 0) > 0


def test_what_a_trial_was_composed_of_is_not_trusted(jobs: Jobs) -> None:
    trial = plan(jobs, make_jpeg())
    work_on(jobs, trial)
    for content in (b"{}", b"[1]", b"words", b'{"mode": "RGB", "size": [9, 9]}\nx'):
        composed = find(jobs, trial, trial.composed_name)
        assert composed
        composed.write_bytes(content)
        again = replace(trial, recipe=RECIPE.with_changes(0, quality=31).to_json())
        work_on(jobs, again)
        assert find(jobs, again) is None


class SweptDecoder(Decoder):
    """A decoder that starts when the sweep deletes all trials."""

    def try_output(self, source: Path, *parts: Any) -> None:
        for trial in source.parents[2].glob("trials/*/*"):
            trial.unlink()
        super().try_output(source, *parts)


def test_sweep_does_not_harm_a_trial_that_began(jobs: Jobs) -> None:
    trial = plan(jobs, make_jpeg())
    work_on(jobs, trial)
    jobs.storage.original(trial.job_id, trial.image_id).write_bytes(make_truncated())
    again = replace(trial, recipe=RECIPE.with_changes(0, quality=31).to_json())
    work_on_trial(jobs.store, jobs.storage, SweptDecoder.from_config(jobs.config), again)
    assert find(jobs, again)
    assert find(jobs, trial, trial.composed_name) is None


class SlowDecoder(Decoder):
    """A decoder that takes a second and more."""

    def try_output(self, *parts: Any) -> None:
        *_, on_wait, _ = parts
        on_wait()
        super().try_output(*parts)


def test_worker_lives_while_it_works_on_a_trial(jobs: Jobs) -> None:
    trial = plan(jobs, make_jpeg())
    work_on_trial(jobs.store, jobs.storage, SlowDecoder.from_config(jobs.config), trial)
    assert jobs.store.operations.count_workers() == 1


def test_trial_that_is_used_stays(jobs: Jobs) -> None:
    trial = plan(jobs, make_jpeg())
    work_on(jobs, trial)
    again = replace(trial, recipe=RECIPE.with_changes(0, quality=31).to_json())
    age(jobs, TRIAL_SECONDS - 1)
    assert find(jobs, trial)
    work_on(jobs, again)
    age(jobs, 2)
    sweep(jobs)
    assert find(jobs, trial)
    assert find(jobs, trial, trial.composed_name)


def test_trial_costs_bytes_of_the_client(jobs: Jobs) -> None:
    trial = plan(jobs, make_jpeg())
    work_on(jobs, trial)
    limit = jobs.config.max_mb_per_hour * MB
    jobs.store.usage.add(trial.client, "bytes", limit - 60 * 40 * 3)  # As it was composed of more.
    jobs.store.operations.beat("worker")
    with pytest.raises(TooManyBytes):
        jobs.trials.make(replace(trial, image_id=trial.job_id), lambda _: None)


def test_trial_of_a_deleted_job_is_dropped(jobs: Jobs) -> None:
    trial = plan(jobs, make_jpeg())
    jobs.delete(trial.job_id)
    work_on(jobs, trial)
    assert files_left(jobs) == []


def test_trial_leaves_the_queue_as_it_is(jobs: Jobs) -> None:
    trial = plan(jobs, make_jpeg())
    work_on(jobs, trial)
    assert claims_of(jobs).has_work()
    work(jobs)
    assert jobs.job(trial.job_id).is_finished
