"""The rows of idempotency keys: the job and answer of each first request."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from webapp.jobs.database import Database
from webapp.jobs.idempotency import Answer, FirstRequest, Hold
from webapp.jobs.store.rows import EXISTS, LEASE_IS_OVER

ADDRESS = "client:"  # Before the address of a caller that has no owner.

# Guards every change by a request: no other one has the key since.
_HELD = "owner = :owner AND key = :key AND attempt = :attempt"


class IdempotencyKeys:
    """Let one request at a time have a key, and remember what became of it."""

    def __init__(self, db: Database, now: Callable[[], float]) -> None:
        self._db = db
        self._now = now

    def begin(
        self, owner: str, key: str, lease_seconds: float
    ) -> tuple[Hold | None, FirstRequest | None]:
        """Take a key for some seconds, unless it is answered or another request has it.

        Returns what is taken, and the request that made a job with it before. There is neither
        while another has the key. A key whose job has ended is as new.
        """
        with self._db.relaxed_durability(), self._db.transaction():
            now = self._now()
            owner = self._sender(owner, key)
            hold = Hold(owner, key, str(uuid4()))
            self._db.execute(
                "DELETE FROM idempotency_keys WHERE owner = :owner AND key = :key"
                f" AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = job_id AND {EXISTS})"
                f" AND (job_id IS NOT NULL OR {LEASE_IS_OVER})",
                owner=owner,
                key=key,
                now=now,
            )
            rows = self._db.query(
                "SELECT fingerprint, job_id, is_whole, status, headers, body,"
                f" status IS NULL AND NOT {LEASE_IS_OVER} AS is_in_use"
                " FROM idempotency_keys WHERE owner = :owner AND key = :key",
                owner=owner,
                key=key,
                now=now,
            )
            if rows and rows[0]["is_in_use"]:
                return None, None
            first = _first_request(rows[0]) if rows else None
            if first and first.answer:
                return None, first
            self._db.execute(
                "INSERT INTO idempotency_keys (owner, key, attempt, lease)"
                " VALUES (:owner, :key, :attempt, :lease) ON CONFLICT (owner, key)"
                " DO UPDATE SET attempt = excluded.attempt, lease = excluded.lease",
                lease=now + lease_seconds,
                **_held(hold),
            )
        return hold, first

    def _sender(self, owner: str, key: str) -> str:
        """Return under which owner a key was sent first: perhaps before it was one.

        A caller without an owner is known by its address, and becomes an owner by its job.
        """
        rows = self._db.query(
            "SELECT sent.owner FROM idempotency_keys AS sent JOIN jobs ON jobs.id = job_id"
            " WHERE key = :key AND sent.owner > :first AND sent.owner < :last"
            " AND jobs.owner = :owner AND NOT EXISTS"
            " (SELECT 1 FROM idempotency_keys WHERE owner = :owner AND key = :key)",
            owner=owner,
            key=key,
            first=ADDRESS,
            last=f"{ADDRESS}\x7f",
        )
        return rows[0]["owner"] if rows else owner

    def renew(self, hold: Hold, lease_seconds: float) -> bool:
        """Keep a key for some seconds from now; return False if it is lost."""
        with self._db.relaxed_durability():
            return self._update("lease = :lease", hold, lease=self._now() + lease_seconds)

    def link(self, hold: Hold, job_id: str) -> bool:
        """Write which job a request makes; return False if it lost its key.

        In the transaction that writes the job, so that there is no job without its key.
        """
        sql = "job_id = :job_id, fingerprint = :fingerprint, is_whole = 0"
        return self._update(sql, hold, job_id=job_id, fingerprint=hold.fingerprint)

    def unlink(self, hold: Hold) -> bool:
        """Forget a job that was not made to its end; return False if the key is lost."""
        return self._update("job_id = NULL, fingerprint = NULL", hold)

    def complete(self, job_id: str) -> None:
        """Write that a job has all that its request brought."""
        self._db.execute("UPDATE idempotency_keys SET is_whole = 1 WHERE job_id = :id", id=job_id)

    def answer(self, hold: Hold, answer: Answer) -> bool:
        """Keep the answer of a request that made a job; return False if there is none."""
        return self._update(
            "status = :status, headers = :headers, body = :body",
            hold,
            " AND job_id IS NOT NULL",
            status=answer.status,
            headers=json.dumps(answer.headers),
            body=answer.body,
        )

    def release(self, hold: Hold) -> None:
        """Free a key of a request that ended without an answer.

        If it made a job, the next request with the key goes on with that.
        """
        with self._db.relaxed_durability(), self._db.transaction():
            self._update("lease = 0", hold)
            self._db.execute(
                f"DELETE FROM idempotency_keys WHERE {_HELD} AND job_id IS NULL", **_held(hold)
            )

    def forget(self) -> None:
        """Forget the keys of requests that died before they made a job."""
        self._db.execute(
            f"DELETE FROM idempotency_keys WHERE job_id IS NULL AND {LEASE_IS_OVER}",
            now=self._now(),
        )

    def _update(self, changes: str, hold: Hold, only: str = "", **values: Any) -> bool:
        sql = f"UPDATE idempotency_keys SET {changes} WHERE {_HELD}{only}"
        return bool(self._db.execute(sql, **values, **_held(hold)))


def _held(hold: Hold) -> dict[str, str]:
    return {"owner": hold.owner, "key": hold.key, "attempt": hold.attempt}


def _first_request(row: dict[str, Any]) -> FirstRequest | None:
    """Read the request that made a job; None before one did."""
    if row["job_id"] is None:
        return None
    answer = None
    if row["status"] is not None:
        answer = Answer(row["status"], json.loads(row["headers"]), row["body"])
    return FirstRequest(row["job_id"], row["fingerprint"], bool(row["is_whole"]), answer)
