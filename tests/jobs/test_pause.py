"""An operator pauses the work: workers take nothing new until it is resumed."""

from dataclasses import replace

import pytest

from tests.support.images import make_jpeg
from tests.support.jobs import claim, claims_of, finish, open_jobs, submit, work
from webapp.config import Config
from webapp.engine.decoder import Decoder
from webapp.jobs.errors import NoWorkerFree
from webapp.jobs.health import estimate
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.trials import Trial, work_on_trial
from webapp.recipes.outputs import Output, Recipe


def test_paused_workers_take_no_image(jobs: Jobs) -> None:
    submit(jobs, make_jpeg())
    jobs.store.operations.pause("")
    assert claims_of(jobs).claim("worker") is None
    assert not claims_of(jobs).has_work()


def test_worker_finishes_the_image_that_it_has(jobs: Jobs) -> None:
    job_id = submit(jobs, make_jpeg(), make_jpeg())
    claimed = claim(jobs)
    jobs.store.operations.pause("")
    finish(jobs, claimed)
    counts = jobs.progress(job_id).counts
    assert (counts.done, counts.waiting) == (1, 1)


def test_images_are_accepted_meanwhile_and_made_afterwards(jobs: Jobs) -> None:
    jobs.store.operations.pause("")
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    assert jobs.progress(job_id).counts.waiting == 1
    assert jobs.store.operations.resume()
    work(jobs)
    assert jobs.progress(job_id).counts.done == 1


def test_pause_outlives_the_process(jobs: Jobs, config: Config) -> None:
    jobs.store.operations.pause("A new disk.")
    pause = open_jobs(config).store.operations.read_pause()
    assert pause
    assert pause.reason == "A new disk."


def test_second_pause_changes_the_reason_alone(jobs: Jobs) -> None:
    jobs.store.operations.pause("A new disk.")
    first = jobs.store.operations.read_pause()
    jobs.store.operations.pause("It takes longer.")
    assert first
    assert jobs.store.operations.read_pause() == replace(first, reason="It takes longer.")


def test_resume_without_a_pause_changes_nothing(jobs: Jobs) -> None:
    assert not jobs.store.operations.resume()


def test_no_time_is_estimated_during_a_pause(jobs: Jobs) -> None:
    submit(jobs, make_jpeg())
    work(jobs)
    jobs.store.operations.beat("worker")
    job = jobs.job(submit(jobs, make_jpeg()))
    assert estimate(jobs.store, job).seconds is not None
    jobs.store.operations.pause("")
    assert estimate(jobs.store, job).seconds is None


@pytest.fixture
def trial(jobs: Jobs) -> Trial:
    job = jobs.job(submit(jobs, make_jpeg()))
    recipe = Recipe((Output("a", 60, 40, quality=30),))
    return Trial(job.id, job.images[0].id, recipe.to_json(), 0, "192.0.2.1")


def test_no_quality_is_tried_during_a_pause(jobs: Jobs, trial: Trial) -> None:
    jobs.store.operations.beat("worker")
    jobs.store.operations.pause("")
    with pytest.raises(NoWorkerFree, match="paused by the operator"):
        jobs.trials.make(trial, lambda _: pytest.fail("A worker is asked."))


def test_worker_drops_a_trial_that_was_asked_before_the_pause(jobs: Jobs, trial: Trial) -> None:
    jobs.store.operations.pause("")
    work_on_trial(jobs.store, jobs.storage, Decoder.from_config(jobs.config), trial)
    assert jobs.storage.trial(trial.job_id, trial.image_id, trial.file_name) is None
