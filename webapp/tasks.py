"""The Huey instance, its tasks and its workers.

The queue is a doorbell: a message only says "there is work". Huey removes it before its task runs,
so it may be lost with its worker; the job's rows are the truth, and an idle worker looks there.
"""

import logging
import os
import socket
import sqlite3
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from huey import crontab
from huey.api import Huey
from huey.consumer import Consumer, Scheduler, Worker
from huey.storage import SqliteStorage

from webapp import sandbox
from webapp.config import Config
from webapp.job_store import Claim
from webapp.jobs import ClaimLost, Jobs
from webapp.recipes import Recipe
from webapp.thumbnails import ImageError, Limits, Thumbnail, make_thumbnails

logger = logging.getLogger(__name__)

LARGEST_FILE = 100_000_000  # Bytes; the largest thumbnail as an uncompressed PNG has 67 million.
IDLE_LOOK_SECONDS = 1.0  # How often an idle worker looks for work whose bell was lost, and beats.


class DoorbellStorage(SqliteStorage):  # type: ignore[misc]
    """Save the two waits for the disk that each message costs: a lost one is no harm."""

    def _create_connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection = super()._create_connection()
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection


class ThumbnailHuey(Huey):  # type: ignore[misc]
    """Carry the application's parts to its tasks, and start consumers the one way that works."""

    def __init__(self, config: Config, jobs: Jobs) -> None:
        path = config.instance / "queue.db"
        if not path.exists():
            path.touch(0o600)  # Messages are pickles: whoever writes this file can run code.
        super().__init__("thumbnails", storage_class=DoorbellStorage, results=False, filename=path)
        self.jobs = jobs
        self._options = {
            "workers": config.workers,
            "worker_type": "process",
            # Look every 10 ms: the default back-off lets an upload wait for up to 10 s.
            "initial_delay": 0.01,
            "max_delay": 0.01,
            "health_check_interval": 0.5,  # A dead worker is replaced within this.
            # SIGTERM lets the image in hand finish; the default interrupts it.
            "graceful_signal": "TERM",
            "shutdown_timeout": 20.0,
        }

    def create_consumer(self, **options: Any) -> Consumer:
        """Make the consumer; our options win over those of the command line."""
        return ThumbnailConsumer(self, **options | self._options)


class ThumbnailWorker(Worker):  # type: ignore[misc]
    """Beat, and look for work whose message was lost, whenever nothing is to do."""

    _next_look = 0.0

    def initialize(self) -> None:
        """Tie the worker's life to the consumer's."""
        sandbox.die_with_parent()
        super().initialize()

    def loop(self, now: Any = None) -> None:
        """Take one message, as Huey does, after a look at the rows once a second."""
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + IDLE_LOOK_SECONDS
            self._look()
        super().loop(now)

    def _look(self) -> None:
        try:
            self.huey.jobs.beat(worker_name())
            if self.huey.jobs.has_work():
                ring(self.huey)
        except Exception:
            # A full disk or a locked database passes; a worker that died of it would not help.
            logger.exception("cannot look for work")


class ThumbnailScheduler(Scheduler):  # type: ignore[misc]
    """Ring for the periodic tasks."""

    def initialize(self) -> None:
        """Tie the scheduler's life to the consumer's."""
        sandbox.die_with_parent()
        super().initialize()


class ThumbnailConsumer(Consumer):  # type: ignore[misc]
    """Run our workers."""

    worker_class = ThumbnailWorker
    scheduler_class = ThumbnailScheduler


def create_huey(config: Config, jobs: Jobs) -> ThumbnailHuey:
    """Make the queue and register its tasks."""
    huey = ThumbnailHuey(config, jobs)
    limits = sandbox.Limits(
        memory_bytes=config.decode_memory_mb * 1_000_000,
        wall_seconds=config.decode_seconds,
        cpu_seconds=2 * config.decode_seconds,  # AVIF decodes in two threads.
        file_bytes=LARGEST_FILE,
    )

    @huey.task(name="work")  # type: ignore[untyped-decorator]
    def work() -> None:
        work_on_next_image(jobs, limits)

    @huey.periodic_task(crontab(), name="sweep")  # type: ignore[untyped-decorator]
    def sweep() -> None:
        jobs.sweep()

    huey.work = work
    return huey


def ring(huey: ThumbnailHuey) -> None:
    """Say that there is work.

    A bell that does not ring is no loss: the row is there, and a worker looks every second.
    """
    try:
        huey.work()
    except Exception:
        logger.exception("cannot ring for a worker")


def worker_name() -> str:
    """Name this process among those of all machines."""
    return f"{socket.gethostname()}:{os.getpid()}"


def work_on_next_image(jobs: Jobs, limits: sandbox.Limits) -> None:
    """Claim one image and make all its thumbnails, or find out why that cannot be."""
    claim = jobs.claim(worker_name())
    if claim is None:
        return
    folder = jobs.storage.open_folder()
    try:
        _work_on(claim, folder, jobs, limits)
    except ClaimLost:
        logger.warning("image %s of job %s was taken over", claim.image_id, claim.job_id)
    except KeyboardInterrupt:
        jobs.release(claim)
        raise
    finally:
        jobs.storage.discard(folder)


def _work_on(claim: Claim, folder: Path, jobs: Jobs, limits: sandbox.Limits) -> None:
    source = jobs.storage.original(claim.job_id, claim.image_id)
    make = partial(_make, source, Recipe.from_json(claim.recipe), folder, jobs.limits)
    try:
        answer = sandbox.run(make, limits, on_wait=partial(jobs.renew, claim))
    except sandbox.SandboxError as error:
        logger.warning("image %s of job %s: %s", claim.image_id, claim.job_id, error.code)
        jobs.fail(claim, error.code, _SENTENCES[error.code].format(limits=limits))
        return
    if "error" in answer:
        jobs.fail(claim, answer["error"], answer["message"])
        return
    jobs.finish(claim, folder, [Thumbnail(**made) for made in answer["thumbnails"]])


def _make(source: Path, recipe: Recipe, folder: Path, limits: Limits) -> dict[str, Any]:
    """Run in the sandbox: answer with plain values, which is all that comes out of it."""
    try:
        thumbnails = make_thumbnails(source, recipe, folder, limits)
    except ImageError as error:
        return {"error": error.code, "message": str(error)}
    return {"thumbnails": [asdict(thumbnail) for thumbnail in thumbnails]}


_SENTENCES = {
    "timed_out": "This image took longer than {limits.wall_seconds:g} s to decode."
    " Export it smaller, or as JPEG.",
    "out_of_memory": "This image needs more memory than the server gives to one."
    " Export it smaller, or as JPEG.",
    "crashed": "This image stopped the decoder. It is probably damaged:"
    " open it in an image editor, save it anew and try again.",
}
