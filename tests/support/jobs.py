"""Jobs, as the web server and the consumer have them."""

from collections.abc import Callable
from time import time

from webapp.config import Config
from webapp.engine.decoder import Decoder
from webapp.jobs import housekeeping
from webapp.jobs.errors import MB
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.limits import Limits
from webapp.jobs.storage import Storage
from webapp.jobs.store import Store
from webapp.jobs.work import WorkQueue
from webapp.jobs.worker import work_on_next_image


def open_jobs(config: Config, now: Callable[[], float] = time) -> Jobs:
    """Open the jobs of an instance without an application."""
    storage = Storage(config.instance, config.min_free_mb * MB, now)
    store = Store(config.instance / "jobs.db")
    return Jobs(store, storage, Limits(store, config, now), config, now)


def work_queue(jobs: Jobs) -> WorkQueue:
    """Return the queue that workers of these jobs have."""
    return WorkQueue(jobs.store, jobs.storage, jobs.config, jobs.now)


def work_once(jobs: Jobs) -> None:
    """Work on one image, as a worker does."""
    work_on_next_image(work_queue(jobs), Decoder.from_config(jobs.config))


def work(jobs: Jobs) -> None:
    """Work on all images that wait, as the consumer's workers do, sandbox and all."""
    work_queue(jobs).fail_exhausted()
    while work_queue(jobs).has_work():
        work_once(jobs)


def sweep(jobs: Jobs) -> None:
    """Sweep as the consumer does each minute."""
    housekeeping.sweep(jobs.store, jobs.storage, jobs.now)
