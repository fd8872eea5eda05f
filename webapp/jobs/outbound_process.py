"""The consumer's process for requests to other servers, with a few threads.

Other servers may be slow, so no worker waits for them. All work is claimed in rows with leases: if
this process is killed, the next one goes on.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol

from webapp.jobs.wake_up import WakeUp

logger = logging.getLogger(__name__)

WAKE_UP = "outbound.wake"  # The pipe in the data folder that tells of new work.
THREADS = 8  # For each kind of work: slow fetches hold up no webhooks.
LOOK_SECONDS = 1.0  # Between two looks for work of which nothing tells.
WAIT_SECONDS = 0.05  # Between two looks at whether the consumer stops.
STOP_SECONDS = 15.0  # For requests that were begun; the consumer waits for 20.
# Nothing can end a look-up. By default, glibc asks each server of names twice, for 5 s each time.
RESOLVER_OPTIONS = "timeout:3 attempts:2"


class Kind(Protocol):
    """A kind of work."""

    def take(self) -> Callable[[], None] | None:
        """Claim what is due next, and return what does it; None if nothing is due."""


def run(kinds: Sequence[Kind], wake_up: WakeUp, is_stopping: Callable[[], bool]) -> None:
    """Do all work of some kinds until the consumer stops."""
    os.environ.setdefault("RES_OPTIONS", RESOLVER_OPTIONS)
    lanes = [_Lane(kind, wake_up) for kind in kinds]
    while not is_stopping():
        for lane in lanes:
            lane.fill()
        until = time.monotonic() + LOOK_SECONDS
        while time.monotonic() < until and not is_stopping():
            if wake_up.wait(WAIT_SECONDS):
                break
    _, left = wait([each for lane in lanes for each in lane.running], STOP_SECONDS)
    if left:  # Threads cannot be ended. Their leases will.
        os._exit(0)
    for lane in lanes:
        lane.close()


class _Lane:
    """The threads of one kind of work."""

    def __init__(self, kind: Kind, wake_up: WakeUp) -> None:
        self._kind = kind
        self._wake_up = wake_up
        self._pool = ThreadPoolExecutor(THREADS)
        self.running: set[Future[None]] = set()

    def fill(self) -> None:
        """Start as much as is due, and as there are threads free."""
        self.running = {each for each in self.running if not each.done()}
        while len(self.running) < THREADS:
            try:
                action = self._kind.take()
            except Exception:  # Such as a full disk.
                logger.exception("cannot look for requests to send")
                return
            if action is None:
                return
            future = self._pool.submit(self._do, action)
            self.running.add(future)
            future.add_done_callback(lambda _: self._wake_up.send())  # This thread is free.

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _do(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception:
            logger.exception("a request to another server failed")
