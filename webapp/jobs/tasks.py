"""The Huey instance, its tasks and its workers.

The queue is a doorbell: a message only says "there is work". Huey removes it before its task runs,
so it may be lost with its worker; the job's rows are the truth, and an idle worker looks there.
"""

import logging
import multiprocessing
import sqlite3
import time
from collections.abc import Callable
from typing import Any

from huey import crontab
from huey.api import Huey
from huey.consumer import Consumer, Scheduler, Worker
from huey.storage import SqliteStorage

from webapp.config import Config
from webapp.engine import decoder
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.worker import BEAT_SECONDS, _ms_since, work_on_next_image, worker_name
from webapp.sandbox import confinement, process

logger = logging.getLogger(__name__)


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

    def mend(self) -> None:
        """Make the queue anew where its file was removed under our feet."""
        try:
            self.storage.enqueued_items(limit=1)
        except sqlite3.Error:
            self.storage.initialize_schema()

    def create_consumer(self, **options: Any) -> Consumer:
        """Make the consumer; our options win over those of the command line."""
        logging.getLogger("huey").handlers.clear()  # huey_consumer's own: it would say all twice.
        for name in confinement.missing():
            logger.warning("this machine has no %s: decode children are less confined", name)
        return ThumbnailConsumer(self, **options | self._options)


class ThumbnailWorker(Worker):  # type: ignore[misc]
    """Beat, and look at the rows while no bell is waiting."""

    _next_beat = 0.0
    _next_look = 0.0

    def initialize(self) -> None:
        """Tie the worker's life to the consumer's, and have a decode child ready."""
        process.die_with_parent(consumer_pid())
        decoder.server.start()
        super().initialize()

    def loop(self, now: Any = None) -> None:
        """Take one message, as Huey does, and beat once a second."""
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + BEAT_SECONDS
            self._try(self._beat)
        super().loop(now)

    def sleep(self) -> None:
        """Look for work whose bell was lost; Huey calls this when it finds no message.

        Once a second, and as long as there is work.
        """
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + BEAT_SECONDS
            self._try(self._look)
        super().sleep()

    def _beat(self) -> None:
        self.huey.jobs.beat(worker_name())

    def _look(self) -> None:
        self.huey.mend()
        self.huey.jobs.give_up_lost()
        if self.huey.jobs.has_work():
            self.huey.work.call_local()
            self._next_look = 0.0  # Not where it failed: a full disk is not freed by asking often.

    def _try(self, action: Callable[[], None]) -> None:
        """Do what may fail for now: a worker that dies of a full disk helps nobody."""
        try:
            action()
        except Exception:
            logger.exception("a worker's beat or look for work failed")


class ThumbnailScheduler(Scheduler):  # type: ignore[misc]
    """Ring for the periodic tasks."""

    def initialize(self) -> None:
        """Tie the scheduler's life to the consumer's."""
        process.die_with_parent(consumer_pid())
        super().initialize()


class ThumbnailConsumer(Consumer):  # type: ignore[misc]
    """Run our workers."""

    worker_class = ThumbnailWorker
    scheduler_class = ThumbnailScheduler


def create_huey(config: Config, jobs: Jobs) -> ThumbnailHuey:
    """Make the queue and register its tasks."""
    huey = ThumbnailHuey(config, jobs)

    @huey.task(name="work")  # type: ignore[untyped-decorator]
    def work() -> None:
        work_on_next_image(jobs)

    @huey.periodic_task(crontab(), name="sweep")  # type: ignore[untyped-decorator]
    def sweep() -> None:
        began = time.perf_counter()
        jobs.sweep()
        logger.info("swept", extra={"ms": _ms_since(began)})

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


def consumer_pid() -> int:
    """Give the process id of the consumer that this process is a child of."""
    parent = multiprocessing.parent_process()
    assert parent
    return parent.pid or 0
