"""What each client used within the last hour."""

from collections.abc import Callable
from math import ceil
from typing import Any

from webapp.jobs.database import Database

WINDOW_MINUTES = 60  # Of the limits of one client.


class Usage:
    """Count what clients use towards their limits."""

    def __init__(self, db: Database, now: Callable[[], float]) -> None:
        self._db = db
        self._now = now

    def spend(self, client: str, what: str, amount: int, limit: int) -> int:
        """Count an amount towards a client's limit of an hour, if it fits.

        Returns 0, or the seconds until it fits.
        """
        if not amount:  # Nothing is written: a write would wait for the writes of others.
            return self._seconds_until_fits(client, what, 0, limit)
        with self._db.relaxed_durability(), self._db.transaction():
            wait = self._seconds_until_fits(client, what, amount, limit)
            if not wait:
                self.add(client, what, amount)
            return wait

    def _seconds_until_fits(self, client: str, what: str, amount: int, limit: int) -> int:
        now = self._now()
        minute = int(now // 60)
        rows = self._db.query(
            "SELECT minute, amount FROM usage WHERE client = :client AND what = :what"
            " AND minute > :over ORDER BY minute",
            client=client,
            what=what,
            over=minute - WINDOW_MINUTES,
        )
        excess = sum(row["amount"] for row in rows) + amount - limit
        if excess <= 0:
            return 0
        last = minute
        for row in rows:
            excess -= row["amount"]
            if excess <= 0:
                last = row["minute"]
                break
        return ceil((last + WINDOW_MINUTES) * 60 - now)

    def charge_work(self, which: str, now: float, **values: Any) -> None:
        """Charge the time that workers had some images to the clients' limits.

        In milliseconds. The time of a worker that died ends with its lease.
        """
        self.charge(
            "SELECT client, 'work', :minute,"
            " sum(CAST(1000 * max(min(:now, lease) - claimed, 0) AS INTEGER))"
            f" FROM images WHERE status = 'working' AND {which} GROUP BY client",
            now,
            **values,
        )

    def add(self, client: str, what: str, amount: int) -> None:
        """Count an amount towards a client's limit, even if it does not fit."""
        usage = "VALUES (:client, :what, :minute, :amount)"
        self.charge(usage, self._now(), client=client, what=what, amount=amount)

    def charge(self, usage: str, now: float, **values: Any) -> None:
        """Add rows of usage, whatever the limits are."""
        self._db.execute(
            f"INSERT INTO usage {usage}"
            " ON CONFLICT DO UPDATE SET amount = usage.amount + excluded.amount",
            now=now,
            minute=int(now // 60),
            **values,
        )

    def forget(self) -> None:
        """Delete the usage of more than an hour ago, and with it its clients.

        Clients with waiting images stay. If the clock was set back, no turn stays in the future.
        """
        now = self._now()
        over = int(now // 60) - WINDOW_MINUTES
        self._db.execute("DELETE FROM usage WHERE minute <= :over", over=over)
        for turns in ("client_turns", "owner_turns"):
            self._db.execute(
                f"DELETE FROM {turns} WHERE waiting <= 0 AND served < :over", over=over * 60
            )
            self._db.execute(f"UPDATE {turns} SET served = :now WHERE served > :now", now=now)
