"""Wait for a change of a job, with one look at the rows for all who wait."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from webapp.jobs.store import Store

logger = logging.getLogger(__name__)

# Between two looks for commits. To wake up and look takes 0.08 ms of CPU time.
LOOK_SECONDS = 0.004


@dataclass(eq=False)
class _Wait:
    """A thread that waits until a job no longer has a version."""

    job_id: str
    version: int
    ended: threading.Event = field(default_factory=threading.Event)


class JobWatch:
    """Let threads of this process wait for changes of jobs.

    While others wait, a thread of its own looks at SQLite's counter of commits. When it changes, it
    reads the versions of their jobs.
    """

    def __init__(self, store: Store, places: int) -> None:
        self._store = store
        self._places = places  # How many threads may wait at the same time.
        self._waits: set[_Wait] = set()
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._has_new = False
        self._is_stopped = False

    def wait(self, job_id: str, version: int, seconds: float) -> bool:
        """Wait until a job no longer has a version; return False if waiting has no use.

        That is when the time is over, where too many threads wait already, and after `stop`.
        """
        wait = _Wait(job_id, version)
        with self._condition:
            if self._is_stopped or len(self._waits) >= self._places:
                return False
            self._waits.add(wait)
            self._has_new = True
            if self._thread is None:  # Not earlier: a thread does not survive a fork.
                self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)
                self._thread.start()
            self._condition.notify()
        try:
            return wait.ended.wait(seconds) and not self._is_stopped
        finally:
            with self._condition:
                self._waits.discard(wait)

    @contextmanager
    def lent_place(self) -> Iterator[None]:
        """Lend a place to a thread that waits for something else.

        If none is free, one of those who wait goes on.
        """
        with self._condition:
            self._places -= 1
            if len(self._waits) > self._places and self._waits:
                self._waits.pop().ended.set()
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

    def _watch(self) -> None:
        commits = -1
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._waits)
                waits, has_new, self._has_new = list(self._waits), self._has_new, False
            try:
                before, commits = commits, self._store.db.commits_of_others()
                if has_new or commits != before:
                    self._end_changed(waits)
            except Exception:  # Those who wait will see it too.
                logger.exception("cannot watch jobs")
                for wait in waits:
                    wait.ended.set()
            time.sleep(LOOK_SECONDS)

    def _end_changed(self, waits: list[_Wait]) -> None:
        versions = self._store.jobs.versions({wait.job_id for wait in waits})
        for wait in waits:
            if versions.get(wait.job_id) != wait.version:
                wait.ended.set()
