"""Wait for a change of a job, with one look at the rows for all who wait."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from webapp.jobs.store import Store
from webapp.jobs.wake_up import WakeUps

logger = logging.getLogger(__name__)

WATCHERS = "watchers"  # The folder of their pipes, in the data folder.
# A wait keeps its place for so long, even where as many clients wait as there are places.
TURN_SECONDS = 5.0
LOOK_SECONDS = 0.05  # Between two looks for changes of which no worker tells.


class Versioned(Protocol):
    """What was read of a job."""

    @property
    def version(self) -> int: ...  # Of the job.


V = TypeVar("V", bound=Versioned)


@dataclass(frozen=True)
class Caller:
    """The client that a thread waits for."""

    client: str  # As limits count it.
    has_left: Callable[[], bool]


@dataclass(eq=False)
class _Wait:
    """A thread that waits until a job no longer has a version."""

    job_id: str
    version: int
    caller: Caller
    began: float = field(default_factory=time.monotonic)
    ended: threading.Event = field(default_factory=threading.Event)


class JobWatch:
    """Let threads of this process wait for changes of jobs.

    While others wait, a thread of its own looks at SQLite's counter of commits, as soon as a worker
    sends a wake-up. When it changed, it reads the versions of their jobs. It also ends the waits of
    clients that left.

    One client may take all places. Where none is free for another, the client with the most waits
    gives one up, until their shares are equal; then the longest wait ends, after some seconds.
    """

    def __init__(self, store: Store, places: int, wake_ups: WakeUps) -> None:
        self._store = store
        self._places = places  # How many threads may wait at the same time.
        self._wake_ups = wake_ups
        self._waits: list[_Wait] = []  # The longest first.
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def wait(self, job_id: str, version: int, seconds: float, caller: Caller) -> bool:
        """Wait until a job no longer has a version; return False if waiting has no use.

        That is when the time is over, the client left or has no place, and after `stop`. Where
        another client needs the place, it ends with True, and the next wait has none.
        """
        wait = _Wait(job_id, version, caller)
        with self._condition:
            if self._is_stopped or caller.has_left() or not self.has_place(caller.client):
                return False
            if len(self._waits) >= self._places:
                self._end_one()
            self._waits.append(wait)
            if self._thread is None:  # Not earlier: a thread does not survive a fork.
                self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)
                self._thread.start()
            self._condition.notify()
        try:
            self._end_changed([wait])  # It may have changed since the version was read.
            return wait.ended.wait(seconds) and not self._is_stopped
        finally:
            with self._condition:
                if wait in self._waits:
                    self._waits.remove(wait)

    def read_until(
        self,
        job_id: str,
        read: Callable[[], V],
        is_news: Callable[[V], bool],
        seconds: float,
        caller: Caller,
    ) -> V:
        """Read something of a job until it is news, again after each change of the job.

        Returns what was read last, when the time is over or waiting has no use.
        """
        deadline = time.monotonic() + seconds
        value = read()
        while not is_news(value):
            if not self.wait(job_id, value.version, deadline - time.monotonic(), caller):
                break
            value = read()
        return value

    def has_place(self, client: str) -> bool:
        """Return whether a client may wait, where another gives up a place or none has to."""
        with self._condition:
            if len(self._waits) < self._places:
                return True
            if not self._waits:
                return False  # All places are lent.
            shares, next_ = self._shares(), self._next_to_end()
            ahead = shares[next_.caller.client] - shares[client]
            had_its_turn = time.monotonic() - next_.began >= TURN_SECONDS
            return ahead > 1 or (ahead == 1 and had_its_turn)

    @contextmanager
    def lent_place(self) -> Iterator[None]:
        """Lend a place to a thread that waits for something else.

        If none is free, one of those who wait goes on.
        """
        with self._condition:
            self._places -= 1
            if len(self._waits) > self._places and self._waits:
                self._end_one()
        try:
            yield
        finally:
            with self._condition:
                self._places += 1

    def stop(self) -> None:
        """End all waits now, and allow no more."""
        with self._condition:
            self._is_stopped = True
            for wait in self._waits:
                wait.ended.set()

    def _shares(self) -> Counter[str]:
        return Counter(wait.caller.client for wait in self._waits)

    def _next_to_end(self) -> _Wait:
        """Return the longest wait of the client with the most."""
        shares = self._shares()
        return max(self._waits, key=lambda wait: shares[wait.caller.client])

    def _end_one(self) -> None:
        wait = self._next_to_end()
        self._waits.remove(wait)
        wait.ended.set()

    def _watch(self) -> None:
        wake_up = self._wake_ups.join()
        commits = -1
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._waits)
            try:
                before, commits = commits, self._store.db.commits_of_others()
                with self._condition:  # After that: later ones look at the rows themselves.
                    waits = list(self._waits)
                for wait in waits:
                    if wait.caller.has_left():
                        wait.ended.set()
                if commits != before:
                    self._end_changed(waits)
            except Exception:
                logger.exception("cannot watch jobs")
                with self._condition:  # Those who wait will see it too.
                    for wait in self._waits:
                        wait.ended.set()
            wake_up.wait(LOOK_SECONDS)

    def _end_changed(self, waits: list[_Wait]) -> None:
        versions = self._store.jobs.versions({wait.job_id for wait in waits})
        for wait in waits:
            if versions.get(wait.job_id) != wait.version:
                wait.ended.set()
