"""The rows of workers and of a pause, and counters and histograms for operators."""

from collections.abc import Callable
from datetime import UTC, datetime

from webapp.jobs.database import Database
from webapp.jobs.models import Bucket, Counter, Pause, Queue
from webapp.jobs.store.rows import UNFINISHED

ALIVE_SECONDS = 5.0  # A worker beats every second; after five it is considered dead.

# After the clock is set back, earlier beats lie in the future and do not count.
_IS_ALIVE = "beat > :alive_since AND beat < :alive_since + 60"


class Operations:
    """Read and write the rows of workers, a pause, counters and durations."""

    def __init__(self, db: Database, now: Callable[[], float]) -> None:
        self._db = db
        self._now = now
        # A worker sets it: the row cannot be written while the disk is full.
        self.on_beat: Callable[[], None] = lambda: None

    def beat(self, worker: str) -> None:
        """Record that a worker is alive, at this moment."""
        self.on_beat()
        self._db.execute(
            "INSERT INTO workers (name, beat) VALUES (:name, :now)"
            " ON CONFLICT (name) DO UPDATE SET beat = excluded.beat",
            name=worker,
            now=self._now(),
        )

    def count_workers(self) -> int:
        """Count the workers that are alive."""
        sql = f"SELECT count(*) AS workers FROM workers WHERE {_IS_ALIVE}"
        return int(self._db.query(sql, alive_since=self._now() - ALIVE_SECONDS)[0]["workers"])

    def forget_workers(self, before: float) -> None:
        """Delete the rows of workers without a beat since a time."""
        self._db.execute("DELETE FROM workers WHERE beat < :before", before=before)

    def pause(self, reason: str) -> None:
        """Let workers take nothing new; if they do not already, with another reason."""
        self._db.execute(
            "INSERT INTO pause VALUES (1, :now, :reason)"
            " ON CONFLICT DO UPDATE SET reason = excluded.reason",
            now=self._now(),
            reason=reason,
        )

    def resume(self) -> bool:
        """End a pause; return False if there was none."""
        return bool(self._db.execute("DELETE FROM pause"))

    def read_pause(self) -> Pause | None:
        """Return the pause of the work, or None."""
        rows = self._db.query("SELECT since, reason FROM pause")
        if not rows:
            return None
        return Pause(datetime.fromtimestamp(rows[0]["since"], UTC), rows[0]["reason"])

    def read_queue(self) -> Queue:
        """Read the length of the queue and its workers.

        It reads the index alone: 40 ms if a million images wait.
        """
        waiting = (
            f"SELECT queued FROM images WHERE {UNFINISHED}"
            " AND status = 'waiting' AND (attempts - released > 1) = {} ORDER BY queued LIMIT 1"
        )
        rows = self._db.query(
            f"SELECT (SELECT count(*) FROM images WHERE {UNFINISHED}) AS depth,"
            " (SELECT count(*) FROM images WHERE status = 'working') AS working,"
            f" (SELECT min(queued) FROM (SELECT * FROM ({waiting.format(0)})"
            f" UNION ALL SELECT * FROM ({waiting.format(1)}))) AS oldest,"
            f" (SELECT count(*) FROM workers WHERE {_IS_ALIVE}) AS workers,"
            " (SELECT max(beat) FROM workers) AS last_beat",
            alive_since=self._now() - ALIVE_SECONDS,
        )
        return Queue(**rows[0])

    def newest(self) -> float | None:
        """Return the time of the newest job or beat of a worker, by the clock of then."""
        rows = self._db.query(
            "SELECT max(moment) AS moment FROM (SELECT * FROM (SELECT created AS moment FROM jobs"
            " ORDER BY rowid DESC LIMIT 1) UNION ALL SELECT max(beat) FROM workers)"
        )
        return None if rows[0]["moment"] is None else float(rows[0]["moment"])

    def count_refused(self, code: str) -> None:
        """Count a refused upload; triggers count all else."""
        with self._db.relaxed_durability():
            self._db.execute(
                "INSERT INTO counters VALUES ('refused', :code, 1)"
                " ON CONFLICT DO UPDATE SET count = count + 1",
                code=code,
            )

    def counters(self) -> list[Counter]:
        """Read all counters."""
        return [
            Counter(**row) for row in self._db.query("SELECT * FROM counters ORDER BY what, code")
        ]

    def durations(self, what: str) -> list[Bucket]:
        """Read the histogram of the images' `wait` or `work`, its buckets in order."""
        rows = self._db.query(
            "SELECT * FROM durations WHERE what = :what ORDER BY up_to", what=what
        )
        return [Bucket(**row) for row in rows]
