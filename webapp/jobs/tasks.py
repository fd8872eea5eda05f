"""The Huey instance, its tasks and its workers.

The queue only notifies: a message says "there is work". Huey removes it before its task runs, so it
may be lost with its worker; the rows are the truth, and an idle worker looks there.
"""

import logging
import math
import multiprocessing
import sqlite3
import time
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

from huey import crontab
from huey.api import Huey
from huey.consumer import BaseProcess, Consumer, Scheduler, Worker
from huey.storage import SqliteStorage

from webapp.config import Config
from webapp.engine import decoder
from webapp.jobs import instance, outbound_process
from webapp.jobs.fetches import FetchWork
from webapp.jobs.housekeeping import Housekeeping
from webapp.jobs.trials import WAIT_SECONDS, Trial, work_on_trial
from webapp.jobs.wake_up import WakeUp
from webapp.jobs.webhooks import Webhooks
from webapp.jobs.work import Claims
from webapp.jobs.worker import prepare, work_on_next_image, worker_name
from webapp.liveness import READY, STATUS, AwakeClock, Heart, Pulse, hang_seconds, tell
from webapp.sandbox import confinement
from webapp.sandbox.libc import die_with_parent

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0  # Between two beats of a worker; an idle one also looks for work.
SLICE_PAUSE = 0.01  # Seconds between two slices of a sweep, if no message comes.
STOP_SECONDS = 0.05  # Between two looks of an idle worker at whether it shall stop.


class NotificationStorage(SqliteStorage):  # type: ignore[misc]
    """Wake a worker for each message, and skip fsync: a lost message does no harm.

    Huey has no setting for that: `SqliteStorage._create_connection` sets no `synchronous`.
    """

    def __init__(self, name: str, filename: Path) -> None:
        super().__init__(name, filename)
        self.wake_up = WakeUp(filename.with_suffix(".wake"))

    def initialize_schema(self) -> None:
        """Create the tables; a full disk stops no start, and no command that looks for why.

        `ThumbnailHuey.recreate_queue` tries again. A command that can only look needs none.
        """
        if not instance.is_writable(Path(self.filename).parent):
            return
        try:
            super().initialize_schema()
        except sqlite3.OperationalError as error:
            logger.warning("the queue cannot be written: %s", error)

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        """Store a message, and wake a worker that waits."""
        super().enqueue(data, priority)
        self.wake_up.send()

    def _create_connection(self) -> sqlite3.Connection:
        # Messages are pickles: write access to this file can run code. It may have been deleted.
        Path(self.filename).touch(0o600)
        connection: sqlite3.Connection = super()._create_connection()
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection


class ThumbnailHuey(Huey):  # type: ignore[misc]
    """Hold the claims for the workers, and start consumers with our options.

    `huey_consumer` passes all its options to `Huey.create_consumer`, their defaults too.
    """

    def __init__(self, config: Config, claims: Claims) -> None:
        super().__init__(
            "thumbnails",
            storage_class=NotificationStorage,
            results=False,
            filename=config.instance / "queue.db",
        )
        self.config = config
        self.claims = claims
        self.housekeeping = Housekeeping(claims.store, claims.storage)
        self._options = {
            "workers": config.workers,
            "worker_type": "process",
            "health_check_interval": 0.5,  # A dead worker is replaced within this.
            # SIGTERM lets a worker finish its image; by default it interrupts it.
            "graceful_signal": "TERM",
            "shutdown_timeout": 20.0,
        }

    def create_consumer(self, **options: Any) -> Consumer:
        """Create the consumer; our options override those of the command line."""
        logging.getLogger("huey").handlers.clear()  # huey_consumer's own would log each line twice.
        for name in confinement.missing():
            logger.warning("this machine has no %s: decode children are less confined", name)
        return ThumbnailConsumer(self, **options | self._options)

    def recreate_queue(self) -> None:
        """Recreate the queue's tables if its file was deleted while it was in use."""
        try:
            self.storage.enqueued_items(limit=1)
        except sqlite3.Error:
            self.storage.initialize_schema()


class ThumbnailWorker(Worker):  # type: ignore[misc]
    """Beat, and look for work in the rows while no message is waiting.

    `Worker.loop` takes messages from the queue alone and calls `sleep` when there is none.
    """

    _next_beat = 0.0
    _next_look = 0.0

    def initialize(self) -> None:
        """Bind the worker's life to the consumer's, and prepare a decode child."""
        die_with_parent(consumer_pid())
        self.huey.claims.store.operations.on_beat = self.pulse.beat
        decoder.server.start()
        prepare()
        super().initialize()

    def loop(self, now: Any = None) -> None:
        """Take one message, as Huey does; also beat, and go on with a sweep."""
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + BEAT_SECONDS
            self._try(self._beat)
        if not self.huey.housekeeping.is_over:
            self._try(self.huey.housekeeping.go_on)
        super().loop(now)

    def sleep(self) -> None:
        """Wait for a message, and look once a second for work whose message was lost.

        Huey's own `sleep` does not wait for messages: its workers look into the queue each time.
        """
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + BEAT_SECONDS
            self._try(self._look)
        if not self.huey.housekeeping.is_over:  # It goes on after a pause.
            self.huey.storage.wake_up.wait(SLICE_PAUSE)
            return
        until = min(self._next_beat, self._next_look)
        while time.monotonic() < until and not self.stop_flag.is_set():
            if self.huey.storage.wake_up.wait(STOP_SECONDS):
                break

    def _beat(self) -> None:
        self.huey.claims.store.operations.beat(worker_name())
        decoder.server.end_idle()

    def _look(self) -> None:
        self.huey.recreate_queue()
        self.huey.claims.fail_exhausted()
        if self.huey.claims.has_work():
            self.huey.work.call_local()
            self._next_look = 0.0  # Not after an error: a full disk is not freed by asking often.

    def _try(self, action: Callable[[], None]) -> None:
        """Log an error of an action: a worker must not die of a full disk."""
        try:
            action()
        except Exception:
            logger.exception("a worker's beat, sweep or look for work failed")


class ThumbnailScheduler(Scheduler):  # type: ignore[misc]
    """Enqueue the periodic tasks.

    Huey starts the scheduler as a process of its own, which would outlive a killed consumer.
    """

    def initialize(self) -> None:
        """Bind the scheduler's life to the consumer's."""
        die_with_parent(consumer_pid())
        super().initialize()

    def loop(self, now: Any = None) -> None:
        """Enqueue what is due, once a second."""
        self.pulse.beat()
        super().loop(now)


class OutboundProcess(BaseProcess):  # type: ignore[misc]
    """Make requests to other servers, which may be slow, beside the workers."""

    process_name = "Outbound"

    def initialize(self) -> None:
        """Bind this process's life to the consumer's."""
        die_with_parent(consumer_pid())

    def loop(self) -> None:
        """Do all that is due until the consumer stops."""
        huey = self.huey

        def is_stopping() -> bool:
            self.pulse.beat()  # It is asked all the time.
            return bool(self.stop_flag.is_set())

        fetches = FetchWork(
            huey.claims.store,
            huey.claims.storage,
            huey.config,
            lambda: notify_workers(huey),
            is_stopping,
        )
        wake_up = WakeUp(huey.config.instance / outbound_process.WAKE_UP)
        webhooks = Webhooks(huey.claims.store, huey.config, is_stopping)
        outbound_process.run([fetches, webhooks], wake_up, is_stopping)


class ThumbnailConsumer(Consumer):  # type: ignore[misc]
    """Run our workers, and the process that makes requests to other servers.

    Huey reads the classes of the others from its consumer's attributes.

    Each process beats, and one that hangs is replaced: the lease of its image ended long before,
    so that another worker has it. This process tells what started it that its own loop turns.
    """

    worker_class = ThumbnailWorker
    scheduler_class = ThumbnailScheduler

    def __init__(self, huey: Huey, **options: Any) -> None:
        self._clock, self._heart = AwakeClock(), Heart()
        self._hang_seconds = hang_seconds() or math.inf
        self._is_ready = False
        super().__init__(huey, **options)

    def start(self) -> None:
        """Start all processes."""
        super().start()
        self._start_outbound()

    def loop(self, health_check_ts: float | None = None) -> Any:
        """Watch the processes for a moment, ten times a second."""
        self._end_hung_processes()
        pulses = [process.pulse for process in self._processes()]
        if not self._is_ready and all(pulse.has_begun for pulse in pulses):
            self._is_ready = True
            tell(READY, f"{STATUS}{self.workers} workers")
        if self._is_ready:
            self._heart.beat(READY)
        return super().loop(health_check_ts)

    def check_worker_health(self) -> bool:
        """Replace the processes that died."""
        if not self._outbound.is_alive():
            logger.warning("the process for requests to other servers died: starting another")
            self._start_outbound()
        return bool(super().check_worker_health())

    def _join_workers(self) -> bool:
        """Wait for all processes to stop by themselves; return whether they did."""
        have_stopped = super()._join_workers()
        self._outbound.join(outbound_process.STOP_SECONDS + 1)  # It stopped meanwhile.
        return bool(have_stopped) and not self._outbound.is_alive()

    def _interrupt_workers(self) -> None:
        """End all processes now.

        The one for requests has no handlers of signals as workers have, but loses nothing if it is
        killed.
        """
        self._outbound.kill()
        super()._interrupt_workers()

    def _processes(self) -> list[Any]:
        workers = [process for _, process in self.worker_threads]
        return [*workers, self.scheduler, self._outbound]

    def _create_process(self, process: BaseProcess, name: str) -> Any:
        created = super()._create_process(process, name)
        process.pulse = created.pulse = Pulse()
        return created

    def _end_hung_processes(self) -> None:
        """Kill the processes that hang; the next look at their health replaces them."""
        now = self._clock.read()
        for process in self._processes():
            if process.pulse.silence(now) > self._hang_seconds:
                facts = {"hung": process.name, "hung_pid": process.pid}
                logger.error("a process hangs: starting another", extra=facts)
                process.kill()
                process.pulse.restart()  # The kernel may take its time, while a disk hangs.

    def _start_outbound(self) -> None:
        process = OutboundProcess(self.huey, self.stop_flag)
        self._outbound = self._create_process(process, "Outbound")
        self._outbound.start()


def create_huey(config: Config, claims: Claims) -> ThumbnailHuey:
    """Create the Huey instance and register its tasks."""
    huey = ThumbnailHuey(config, claims)
    image_decoder = decoder.Decoder.from_config(config)

    def work() -> None:
        work_on_next_image(claims, image_decoder)

    def sweep_jobs() -> None:
        huey.housekeeping.begin()

    def try_output(asked: float, *values: Any) -> None:
        if time.time() - asked < WAIT_SECONDS:  # Else no one waits for it any more.
            work_on_trial(claims.store, claims.storage, image_decoder, Trial(*values))

    # In messages, Huey names tasks by their modules; older versions wrote this one.
    work.__module__ = try_output.__module__ = sweep_jobs.__module__ = "webapp.tasks"
    huey.work = huey.task(name="work")(work)
    # Before all images that wait: a person looks at the slider.
    huey.try_output = huey.task(name="try_output", priority=1)(try_output)
    huey.periodic_task(crontab(), name="sweep")(sweep_jobs)
    return huey


def notify_workers(huey: ThumbnailHuey) -> None:
    """Notify the workers that there is work.

    A lost message does no harm: the row is there, and a worker looks every second.
    """
    try:
        huey.work()
    except Exception:
        logger.exception("cannot notify the workers")


def ask_for_trial(huey: ThumbnailHuey, trial: Trial) -> None:
    """Ask the workers for a trial."""
    huey.try_output(time.time(), *astuple(trial))


def consumer_pid() -> int:
    """Return the process id of the consumer that this process is a child of."""
    parent = multiprocessing.parent_process()
    assert parent
    return parent.pid or 0
