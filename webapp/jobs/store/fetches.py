"""The rows of fetches: images that the server gets from other servers.

As with images, a claim has a lease, and the number of its attempt is its fencing token.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from webapp.jobs.database import Database
from webapp.jobs.models import MAX_MISSING, Fetch, FetchClaim, MissingFile, NewImage
from webapp.jobs.store.queue import ImageQueue
from webapp.jobs.store.rows import (
    EXISTS,
    IMAGES_AND_FETCHES,
    NEXT_POSITION,
    UNFINISHED,
)

_HELD = "id = :fetch_id AND status = 'working' AND attempts = :attempt"

_ENDED = "lease = NULL, client = ''"

# A lease lasts up to 615 s, for the longest fetch that the settings allow, and a pause up to 600.
# One that ends later is over, as for images: the clock was set back.
_LEASE_IS_OVER = "(lease < :now OR lease > :now + 660)"
_IS_DUE = "(due <= :now OR due > :now + 660)"

# Due, or left by a process that died; of a job that is not deleted.
_CLAIMABLE = (
    f"{UNFINISHED} AND iif(status = 'waiting', {_IS_DUE}, {_LEASE_IS_OVER})"
    f" AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = job_id AND {EXISTS})"
)


class Fetches:
    """Add, claim and finish fetches."""

    def __init__(self, db: Database, queue: ImageQueue, now: Callable[[], float]) -> None:
        self._db = db
        self._queue = queue
        self._now = now

    def add(
        self,
        job_id: str,
        fetch_id: str,
        url: str,
        name: str | None,
        position: int | None,
        client: str,
        max_images: int,
    ) -> bool:
        """Write the row of a new fetch, unless the job is deleted, closed or full.

        A job is also full if as many fetches failed as it remembers missing files. It then stays
        open until all its fetches have ended.
        """
        with self._db.transaction():
            added = self._db.execute(
                "INSERT INTO fetches (id, job_id, position, url, name, client, due)"
                f" SELECT :fetch_id, :job_id, coalesce(:position, {NEXT_POSITION}), :url, :name,"
                f" :client, :now FROM jobs WHERE id = :job_id AND {EXISTS}"
                f" AND open_until > :now AND NOT closes AND {IMAGES_AND_FETCHES} < :max_images"
                " AND (SELECT count(*) FROM fetches WHERE job_id = :job_id"
                " AND status IN ('failed', 'cancelled')) < :max_missing",
                fetch_id=fetch_id,
                job_id=job_id,
                position=position,
                url=url,
                name=name,
                client=client,
                max_images=max_images,
                max_missing=MAX_MISSING,
                now=self._now(),
            )
            if added:
                self._db.execute("UPDATE jobs SET open_until = 9e999 WHERE id = :id", id=job_id)
        return bool(added)

    def find_same(self, job_id: str, position: int | None, url: str) -> str | None:
        """Return the id of a job's fetch with the same position and URL, or None."""
        rows = self._db.query(
            "SELECT id FROM fetches WHERE job_id = :job_id AND position = :position AND url = :url"
            " AND status IN ('waiting', 'working', 'done')",
            job_id=job_id,
            position=position,
            url=url,
        )
        return rows[0]["id"] if rows else None

    def of_job(self, job_id: str) -> tuple[Fetch, ...]:
        """Read the fetches of a job in the order of their images."""
        rows = self._db.query(
            "SELECT id, position, url, name, status, error_code, error_message, image_id"
            " FROM fetches WHERE job_id = :job_id ORDER BY position, rowid",
            job_id=job_id,
        )
        return tuple(Fetch(**row) for row in rows)

    def has_some(self, job_id: str) -> bool:
        """Return whether a job has fetches, pending or not."""
        sql = "SELECT 1 FROM fetches WHERE job_id = :job_id LIMIT 1"
        return bool(self._db.query(sql, job_id=job_id))

    def has_pending(self) -> bool:
        """Return whether any job waits for a fetch; without a lock."""
        return bool(self._db.query(f"SELECT 1 FROM fetches WHERE {UNFINISHED} LIMIT 1"))

    def claim(self, lease_seconds: float, max_of_client: int) -> FetchClaim | None:
        """Claim the fetch that was due first, of the client with the fewest in hand.

        None if none is due, each client has as many in hand as it may, or an operator pauses the
        work.
        """
        with self._db.transaction():
            if self._db.query("SELECT 1 FROM pause"):
                return None
            now = self._now()
            rows = self._db.query(
                "WITH in_hand AS MATERIALIZED (SELECT client, count(*) AS fetches FROM fetches"
                f" WHERE {UNFINISHED} AND status = 'working' AND NOT {_LEASE_IS_OVER}"
                " GROUP BY client)"
                " SELECT fetches.rowid AS number FROM fetches LEFT JOIN in_hand USING (client)"
                f" WHERE {_CLAIMABLE} AND coalesce(in_hand.fetches, 0) < :max_of_client"
                " ORDER BY coalesce(in_hand.fetches, 0), due LIMIT 1",
                now=now,
                max_of_client=max_of_client,
            )
            if not rows:
                return None
            claimed = self._db.query(
                "UPDATE fetches SET status = 'working', attempts = attempts + 1, lease = :lease"
                " WHERE rowid = :number RETURNING id, job_id, position, url, name,"
                " client, attempts AS attempt, attempts - released AS tries",
                lease=now + lease_seconds,
                number=rows[0]["number"],
            )
        return FetchClaim(**claimed[0])

    def try_again(self, claim: FetchClaim, pause: float) -> bool:
        """Let a fetch wait before its next attempt; return False if the claim is lost."""
        return self._queue_again(claim, pause, released=0)

    def release(self, claim: FetchClaim, pause: float = 0) -> bool:
        """Put a fetch back as if it had not been claimed; return False if it is lost."""
        return self._queue_again(claim, pause, released=1)

    def _queue_again(self, claim: FetchClaim, pause: float, released: int) -> bool:
        return bool(
            self._db.execute(
                "UPDATE fetches SET status = 'waiting', lease = NULL, due = :due,"
                f" released = released + :released WHERE {_HELD}",
                due=self._now() + pause,
                released=released,
                **_held(claim),
            )
        )

    def finish(self, claim: FetchClaim, image: NewImage, open_seconds: float) -> bool:
        """End a fetch, and write the row of its image, in one transaction.

        Returns False if the claim is lost, or the job is deleted.
        """
        with self._db.transaction():
            ended = self._db.execute(
                f"UPDATE fetches SET status = 'done', image_id = :image_id, {_ENDED}"
                f" WHERE {_HELD} AND EXISTS"
                f" (SELECT 1 FROM jobs WHERE jobs.id = job_id AND {EXISTS})",
                image_id=image.id,
                now=self._now(),
                **_held(claim),
            )
            if ended:
                self._queue.add_fetched(claim.job_id, image, claim.client)
                self._let_close(claim.job_id, open_seconds)
        return bool(ended)

    def fail(self, claim: FetchClaim, code: str, message: str, open_seconds: float) -> bool:
        """End a fetch as a missing file of its job; return False if the claim is lost."""
        ended = self._end(
            _HELD, "failed", code, message, open_seconds, fetch_id=claim.id, attempt=claim.attempt
        )
        return bool(ended)

    def fail_exhausted(self, max_tries: int, code: str, message: str, open_seconds: float) -> int:
        """Fail the fetches that cost too many processes; return their number."""
        lost = f"{UNFINISHED} AND status = 'working' AND {_LEASE_IS_OVER}"
        which = f"{lost} AND attempts - released >= :max_tries"
        return self._end(which, "failed", code, message, open_seconds, max_tries=max_tries)

    def fail_all(self, code: str, message: str, open_seconds: float) -> int:
        """Fail all fetches that are pending; return their number."""
        return self._end(UNFINISHED, "failed", code, message, open_seconds)

    def cancel(self, job_id: str, code: str, message: str, open_seconds: float) -> int:
        """Cancel the pending fetches of a job; return their number.

        Who has one loses its claim.
        """
        which = f"job_id = :job_id AND {UNFINISHED}"
        return self._end(which, "cancelled", code, message, open_seconds, job_id=job_id)

    def _end(
        self, which: str, status: str, code: str, message: str, open_seconds: float, **values: Any
    ) -> int:
        """End fetches, note what their jobs miss, and close those that await no more."""
        with self._db.transaction():
            ended = self._db.query(
                "UPDATE fetches SET status = :status, error_code = :code,"
                f" error_message = :message, {_ENDED} WHERE {which}"
                " RETURNING id, job_id, position, url, name, status, error_code, error_message,"
                " image_id",
                status=status,
                code=code,
                message=message,
                now=self._now(),
                **values,
            )
            for row in ended:
                job_id = row.pop("job_id")
                fetch = Fetch(**row)
                self._add_missing(job_id, MissingFile(fetch.shown_name, message, fetch.position))
                self._let_close(job_id, open_seconds)
        return len(ended)

    def _add_missing(self, job_id: str, file: MissingFile) -> None:
        self._db.execute(
            "UPDATE jobs SET missing_files = json_insert(missing_files, '$[#]', json(:file))"
            " WHERE id = :id AND json_array_length(missing_files) < :most",
            id=job_id,
            file=json.dumps(asdict(file)),
            most=MAX_MISSING,
        )

    def _let_close(self, job_id: str, open_seconds: float) -> None:
        """Close a job after its last fetch, or let it wait for more images as others do."""
        self._db.execute(
            "UPDATE jobs SET open_until = iif(closes, 0, :open_until), closes = 0"
            " WHERE id = :id AND open_until = 9e999"
            f" AND NOT EXISTS (SELECT 1 FROM fetches WHERE job_id = :id AND {UNFINISHED})",
            id=job_id,
            open_until=self._now() + open_seconds,
        )


def _held(claim: FetchClaim) -> dict[str, Any]:
    return {"fetch_id": claim.id, "attempt": claim.attempt}
