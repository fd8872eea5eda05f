"""The secrets that sign what is sent to the servers of owners."""

import secrets
from base64 import b64encode
from collections.abc import Callable

from webapp.jobs.database import Database
from webapp.jobs.owners import TOKEN

BOTH_SECONDS = 86_400.0  # For how long a secret still signs after it was replaced.
KEPT = 5  # Secrets of an owner that sign at the same time; each makes a header longer.


class WebhookSecrets:
    """Create, replace and read the secrets of owners."""

    def __init__(self, db: Database, now: Callable[[], float]) -> None:
        self._db = db
        self._now = now

    def current(self, owner: str) -> str:
        """Return the secret of an owner; create it if there is none."""
        return self.valid(owner)[0]

    def rotate(self, owner: str) -> str:
        """Replace the secret of an owner, and return the new one.

        The one before signs beside it for a day, so that a receiver can change it meanwhile.
        """
        with self._db.transaction():
            self._db.execute(
                "UPDATE webhook_secrets SET ends = :ends WHERE owner = :owner AND ends IS NULL",
                owner=owner,
                ends=self._now() + BOTH_SECONDS,
            )
            self._create(owner)
            self._db.execute(
                "DELETE FROM webhook_secrets WHERE owner = :owner AND secret NOT IN"
                " (SELECT secret FROM webhook_secrets WHERE owner = :owner"
                " ORDER BY created DESC, ends IS NULL DESC LIMIT :kept)",
                owner=owner,
                kept=KEPT,
            )
        return self.current(owner)

    def valid(self, owner: str) -> list[str]:
        """Return the secrets of an owner that sign now, the current one first."""
        sql = (
            "SELECT secret FROM webhook_secrets WHERE owner = :owner"
            " AND (ends IS NULL OR ends > :now) ORDER BY ends IS NULL DESC, ends DESC"
        )
        while not (rows := self._db.query(sql, owner=owner, now=self._now())):
            self._create(owner)
        return [row["secret"] for row in rows]

    def forget(self) -> None:
        """Delete the secrets that no longer sign, and those of tokens that are not valid."""
        self._db.execute(
            "DELETE FROM webhook_secrets WHERE ends <= :now OR owner NOT IN"
            " (SELECT :token || id FROM api_tokens WHERE revoked IS NULL)",
            now=self._now(),
            token=TOKEN,
        )

    def _create(self, owner: str) -> None:
        """Write a secret of an owner, unless there is a current one."""
        self._db.execute(
            "INSERT INTO webhook_secrets VALUES (:owner, :secret, :now, NULL)"
            " ON CONFLICT DO NOTHING",
            owner=owner,
            secret="whsec_" + b64encode(secrets.token_bytes(32)).decode(),
            now=self._now(),
        )
