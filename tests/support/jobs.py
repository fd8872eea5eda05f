"""Jobs, as the web server and the consumer have them."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import time

from flask import Flask
from werkzeug.test import TestResponse

from tests.support.clock import Clock
from webapp.config import MB, Config
from webapp.engine.decoder import Decoder
from webapp.engine.header import Header
from webapp.engine.result import Result
from webapp.jobs import housekeeping
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.limits import ClientLimits
from webapp.jobs.models import Claim, Job, Thumbnail
from webapp.jobs.owners import TOKEN
from webapp.jobs.storage import Storage
from webapp.jobs.store import Store
from webapp.jobs.upload import Upload
from webapp.jobs.webhooks import Webhooks
from webapp.jobs.work import Claims
from webapp.jobs.worker import work_on_next_image
from webapp.recipes.outputs import Recipe
from webapp.recipes.presets import PRESETS


class TimedStore(Store):
    """Rows whose clock stands still until it is set."""

    def __init__(self, path: Path, moment: float) -> None:
        self._clock = Clock()
        self._clock.stop(moment)
        super().__init__(path, self._clock)

    def at(self, moment: float) -> "TimedStore":
        """Set the clock, and return the rows."""
        self._clock.stop(moment)
        return self


def open_jobs(config: Config, now: Callable[[], float] = time) -> Jobs:
    """Open the jobs of an instance without an application."""
    storage = Storage(config.instance, config.min_free_mb * MB, now)
    store = Store(config.instance / "jobs.db", now)
    return Jobs(store, storage, ClientLimits(store, config), config)


def id_of(path: str) -> str:
    """Return the id of the job whose page has this path."""
    return path.removeprefix("/jobs/")


def job_at(jobs: Jobs, path: str) -> Job:
    """Return the job whose page has this path."""
    return jobs.job(id_of(path))


def newest_job(jobs: Jobs) -> Job:
    """Return the job that was made last."""
    return jobs.job(next(jobs.store.jobs.ids()))


def recipe_of(job: Job) -> Recipe:
    """Return the recipe of a job."""
    return Recipe.from_json(job.recipe)


def url_of(thumbnail: Thumbnail) -> str:
    """Return the path of a thumbnail on a host of its own."""
    return f"/thumbnails/{thumbnail.path}"


def output_files(job: Job) -> list[str]:
    """List the names of the files that a job makes of each image."""
    return [output.file_name for output in recipe_of(job).outputs]


def file_names(job: Job) -> list[str]:
    """List the names of the thumbnails that a job has."""
    return [made.file_name for image in job.images for made in image.thumbnails]


@contextmanager
def received(jobs: Jobs, data: bytes) -> Iterator[Upload]:
    """Hold an upload for as long as its request would."""
    upload = jobs.open_upload()
    upload.write(data)
    try:
        yield upload
    finally:
        upload.close()


def add_image(jobs: Jobs, job_id: str, data: bytes, name: str = "a.jpg") -> None:
    """Add an image to an open job."""
    with received(jobs, data) as upload:
        jobs.add_image(job_id, upload, name, None, "127.0.0.1")


def submit(jobs: Jobs, *pictures: bytes) -> str:
    """Create a closed job of these images; return its id."""
    job_id = jobs.submit(PRESETS["square"].recipe, "owner")
    for picture in pictures:
        add_image(jobs, job_id, picture)
    jobs.close(job_id)
    return job_id


def add_token(jobs: Jobs, owner: str) -> None:
    """Let an owner be a valid API token, whose name is its id."""
    jobs.store.db.execute(
        "INSERT INTO api_tokens (id, name, digest, created) VALUES (:id, :id, :digest, 0)",
        id=owner.removeprefix(TOKEN),
        digest=os.urandom(32),
    )


def claims_of(jobs: Jobs) -> Claims:
    """Return the queue that workers of these jobs have."""
    return Claims(jobs.store, jobs.storage, jobs.config)


def work_once(jobs: Jobs) -> None:
    """Work on one image, as a worker does."""
    work_on_next_image(claims_of(jobs), Decoder.from_config(jobs.config))


def work(jobs: Jobs) -> None:
    """Work on all images that wait, as the consumer's workers do, sandbox and all."""
    claims_of(jobs).fail_exhausted()
    while claims_of(jobs).has_work():
        work_once(jobs)


def send_webhooks(jobs: Jobs) -> None:
    """Send the webhooks that are due, as the consumer does."""
    webhooks = Webhooks(jobs.store, jobs.config)
    while send := webhooks.take():
        send()


def answer_with_worker(app: Flask, ask: Callable[[], TestResponse]) -> TestResponse:
    """Return the answer to a request that waits for a worker, which this thread is."""
    huey = app.extensions["huey"]
    huey.claims.store.operations.beat("worker")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask)
        while not answer.done():
            if task := huey.dequeue():
                huey.execute(task)
        return answer.result()


def claim(jobs: Jobs) -> Claim:
    """Claim the next image, as a worker does."""
    claimed = claims_of(jobs).claim("worker")
    assert claimed
    return claimed


def finish(jobs: Jobs, claimed: Claim) -> None:
    """Finish a claimed image without thumbnails."""
    nothing = Result(Header("jpeg", 1, 1, 1, False), "", "#000000", [])
    with jobs.storage.open_folder() as folder:
        claims_of(jobs).finish(claimed, claims_of(jobs).plan(claimed), folder, nothing, b"")


def sweep(jobs: Jobs) -> None:
    """Sweep as the consumer does each minute."""
    for _ in housekeeping.sweep(jobs.store, jobs.storage):
        pass


def files_left(jobs: Jobs) -> list[str]:
    """List all files of all jobs, finished or not."""
    storage = jobs.storage
    folders = (
        storage.originals,
        storage.thumbnails,
        storage.deleted,
        storage.trials,
        storage.tmp,
        storage.unsettled,
    )
    return [str(path) for folder in folders for path in folder.rglob("*")]


def age(jobs: Jobs, seconds: float) -> None:
    """Make all files older."""
    for path in files_left(jobs):
        moment = os.stat(path).st_mtime - seconds
        os.utime(path, (moment, moment))


def nothing_left(jobs: Jobs) -> bool:
    """Return whether there is no job, row or file."""
    return not list(jobs.store.jobs.ids()) and not files_left(jobs)
