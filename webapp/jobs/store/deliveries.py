"""The rows of deliveries: what owners' servers are sent, and how that went."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from webapp.jobs.database import Database
from webapp.jobs.deliveries import Delivery, DeliveryClaim, DeliveryTry
from webapp.jobs.models import FinishedJob
from webapp.jobs.store.rows import COUNTS, EXISTS, UNFINISHED, expiry, with_counts

AT_ONCE = 2  # Deliveries of one owner, whose server may be slow.
KEPT = 50  # Deliveries of one job; those before are deleted.
KEPT_TRIES = 20  # Of one delivery.
PAGE = 100  # Finished jobs that are read at a time.
MAX_WAIT = 5400.0  # Seconds between two tries of a delivery, at most.

# Images are made in their order, so the last one tells of most jobs that they go on.
_HAS_FINISHED = (
    f"callback_status = 'awaiting' AND open_until <= :now AND {EXISTS}"
    f" AND (SELECT 1 FROM images WHERE job_id = jobs.id AND {UNFINISHED}"
    " ORDER BY position DESC, created DESC LIMIT 1) IS NULL"
    # Else it is being deleted: nothing arrived.
    " AND (missing_files != '[]' OR EXISTS (SELECT 1 FROM images WHERE job_id = jobs.id))"
)

# Word for word as in the partial index deliveries_next.
_PENDING = "deliveries.status IN ('waiting', 'sending')"

# The oldest that is due: of a job that is there, and of an owner whose server is not busy.
_NEXT = (
    f"SELECT deliveries.id FROM deliveries JOIN jobs ON jobs.id = job_id WHERE {_PENDING}"
    f" AND next_try <= :now AND {EXISTS} AND deliveries.owner NOT IN"
    " (SELECT owner FROM deliveries WHERE status = 'sending' AND next_try > :now"
    " GROUP BY owner HAVING count(*) >= :at_once) ORDER BY next_try LIMIT 1"
)


class Deliveries:
    """Write, claim and read deliveries."""

    def __init__(self, db: Database, now: Callable[[], float]) -> None:
        self._db = db
        self._now = now

    def finished_ids(self) -> list[str]:
        """List some jobs that are finished, of which their servers were not told."""
        rows = self._db.query(
            f"SELECT id FROM jobs WHERE {_HAS_FINISHED} LIMIT :page", now=self._now(), page=PAGE
        )
        return [row["id"] for row in rows]

    def take_finished(self, job_id: str) -> FinishedJob | None:
        """Mark a job as told, and read what to tell; None if it is not finished now.

        To be called in one transaction with `add`. If the clock is set back later, its time for
        more images does not go on: what opens it tells that it is to be told again.
        """
        now = self._now()
        told = self._db.execute(
            "UPDATE jobs SET callback_status = 'told', open_until = 0, version = version + 1"
            f" WHERE id = :id AND {_HAS_FINISHED}",
            id=job_id,
            now=now,
        )
        if not told:
            return None
        row = self._db.query(
            "SELECT jobs.id, jobs.version, jobs.owner, jobs.name, jobs.created, expires,"
            " callback_origin AS origin, json_array_length(missing_files) AS missing,"
            " (SELECT name FROM images WHERE job_id = jobs.id"
            " ORDER BY position, created LIMIT 1) AS first_image,"
            f" {COUNTS} FROM jobs LEFT JOIN images ON job_id = jobs.id"
            " WHERE jobs.id = :id GROUP BY jobs.id",
            id=job_id,
        )[0]
        return FinishedJob(
            **with_counts(row)
            | {"created": datetime.fromtimestamp(row["created"], UTC)}
            | {"expires": expiry(row["expires"])},
            is_open=False,
            is_closing=False,
            fetching=0,
        )

    def add(self, delivery_id: str, job: FinishedJob, kind: str, body: str, retries: int) -> None:
        """Write a delivery that is due now, and delete the first of many of its job."""
        self._db.execute(
            "INSERT INTO deliveries"
            " (id, job_id, owner, type, body, created, retries_left, next_try)"
            " VALUES (:id, :job_id, :owner, :type, :body, :now, :retries, :now)",
            id=delivery_id,
            job_id=job.id,
            owner=job.owner,
            type=kind,
            body=body,
            retries=retries,
            now=self._now(),
        )
        self._db.execute(
            "DELETE FROM deliveries WHERE job_id = :job_id AND rowid NOT IN (SELECT rowid FROM"
            " deliveries WHERE job_id = :job_id ORDER BY rowid DESC LIMIT :kept)",
            job_id=job.id,
            kept=KEPT,
        )

    def claim(self, lease_seconds: float) -> DeliveryClaim | None:
        """Claim the next delivery that is due, or whose sender died; or None."""
        values = {"now": self._now(), "at_once": AT_ONCE}
        if not self._db.query(_NEXT, **values):  # Without the lock of a writer.
            return None
        rows = self._db.query(
            "UPDATE deliveries SET status = 'sending', claims = claims + 1, next_try = :lease"
            f" WHERE id = ({_NEXT}) RETURNING id, job_id, owner, body, claims AS number,"
            " retries_left, (SELECT callback_url FROM jobs WHERE jobs.id = job_id) AS url,"
            " (SELECT min(began) FROM delivery_tries WHERE delivery_id = deliveries.id)"
            " AS first_try",
            lease=values["now"] + lease_seconds,
            **values,
        )
        return DeliveryClaim(**rows[0]) if rows else None

    def end(
        self, claim: DeliveryClaim, ended: DeliveryTry, status: str, wait: float | None
    ) -> bool:
        """Record a try, and when the next one is due; return False if the claim is lost.

        If the status is "stopped", so are all other deliveries of the job.
        """
        with self._db.transaction():
            held = self._db.execute(
                "UPDATE deliveries SET status = :status, next_try = :now + :wait,"
                " retries_left = iif(:wait IS NULL, 0, retries_left - 1)"
                " WHERE id = :id AND status = 'sending' AND claims = :number",
                id=claim.id,
                number=claim.number,
                status=status,
                now=self._now(),
                wait=wait,
            )
            if not held:
                return False
            self._add_try(claim, ended)
            self._db.execute(
                "UPDATE jobs SET version = version + 1, callback_status ="
                " iif(:status = 'stopped', 'stopped', callback_status) WHERE id = :id",
                id=claim.job_id,
                status=status,
            )
            # Also this one, if another was stopped while it was sent.
            self._db.execute(
                "UPDATE deliveries SET status = 'stopped', retries_left = 0, next_try = NULL"
                " WHERE job_id = :job_id AND status = 'waiting' AND EXISTS (SELECT 1 FROM jobs"
                " WHERE jobs.id = job_id AND callback_status = 'stopped')",
                job_id=claim.job_id,
            )
        return True

    def release(self, claim: DeliveryClaim) -> None:
        """Let another process make a try that was not made to its end; it does not count."""
        self._db.execute(
            "UPDATE deliveries SET status = 'waiting', next_try = :now"
            " WHERE id = :id AND status = 'sending' AND claims = :number",
            id=claim.id,
            number=claim.number,
            now=self._now(),
        )

    def _add_try(self, claim: DeliveryClaim, ended: DeliveryTry) -> None:
        self._db.execute(
            "INSERT INTO delivery_tries"
            " VALUES (:id, :number, :began, :ms, :answer, :error_code, :error_message)",
            id=claim.id,
            number=claim.number,
            **{**asdict(ended), "began": ended.began.timestamp()},
        )
        self._db.execute(
            "DELETE FROM delivery_tries WHERE delivery_id = :id AND number <= :number - :kept",
            id=claim.id,
            number=claim.number,
            kept=KEPT_TRIES,
        )

    def bring_forward(self) -> None:
        """Let those be due that are never so late: the clock was set back."""
        self._db.execute(
            f"UPDATE deliveries SET next_try = :now WHERE {_PENDING} AND next_try > :latest",
            now=self._now(),
            latest=self._now() + MAX_WAIT,
        )

    def hasten(self, owner: str) -> None:
        """Let all deliveries of an owner that wait be due now."""
        self._db.execute(
            "UPDATE deliveries SET next_try = :now"
            f" WHERE {_PENDING} AND status = 'waiting' AND owner = :owner",
            owner=owner,
            now=self._now(),
        )

    def send_again(self, job_id: str, delivery_id: str) -> bool:
        """Let a delivery be due now, unless it is being sent; return False if not found."""
        with self._db.transaction():
            found = self._db.query(
                "SELECT 1 FROM deliveries JOIN jobs ON jobs.id = job_id"
                f" WHERE deliveries.id = :id AND job_id = :job_id AND {EXISTS}",
                id=delivery_id,
                job_id=job_id,
                now=self._now(),
            )
            due = self._db.execute(
                "UPDATE deliveries SET status = 'waiting', next_try = :now"
                " WHERE id = :id AND job_id = :job_id AND status != 'sending'",
                id=delivery_id,
                job_id=job_id,
                now=self._now(),
            )
            if due:
                self._db.execute("UPDATE jobs SET version = version + 1 WHERE id = :id", id=job_id)
        return bool(found)


def read_deliveries(db: Database, job_id: str) -> tuple[Delivery, ...]:
    """Read the deliveries of a job, newest first, each with its tries in their order."""
    tries: dict[str, list[DeliveryTry]] = {}
    with db.snapshot():
        for row in db.query(
            "SELECT delivery_id, began, ms, answer, error_code, error_message FROM delivery_tries"
            " JOIN deliveries ON deliveries.id = delivery_id WHERE job_id = :id ORDER BY number",
            id=job_id,
        ):
            began = datetime.fromtimestamp(row["began"], UTC)
            tries.setdefault(row.pop("delivery_id"), []).append(
                DeliveryTry(**{**row, "began": began})
            )
        rows = db.query(
            "SELECT id, type, created, status, next_try FROM deliveries"
            " WHERE job_id = :id ORDER BY rowid DESC",  # Also after the clock was set back.
            id=job_id,
        )
    return tuple(
        Delivery(**{**row, **_times(row), "tries": tuple(tries.get(row["id"], ()))}) for row in rows
    )


def _times(row: dict[str, Any]) -> dict[str, datetime | None]:
    """Convert the times of a delivery; only one that waits has a next try."""
    waits = row["status"] == "waiting"
    return {
        "created": datetime.fromtimestamp(row["created"], UTC),
        "next_try": datetime.fromtimestamp(row["next_try"], UTC) if waits else None,
    }
