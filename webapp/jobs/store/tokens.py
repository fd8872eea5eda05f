"""The rows of API tokens."""

import secrets
from collections.abc import Callable
from typing import Any

from webapp.jobs.database import Database
from webapp.jobs.owners import TOKEN, ApiToken, ListedToken, is_token
from webapp.jobs.store.rows import EXISTS

_FIELDS = "id, name, last_used, jobs_per_hour, mb_per_hour"


class ApiTokens:
    """Read and write the rows of API tokens."""

    def __init__(self, db: Database, now: Callable[[], float]) -> None:
        self._db = db
        self._now = now

    def add(
        self, name: str, digest: bytes, jobs_per_hour: int | None, mb_per_hour: int | None
    ) -> bool:
        """Add a token; return False if a valid one has this name."""
        added = self._db.execute(
            "INSERT INTO api_tokens (id, name, digest, created, jobs_per_hour, mb_per_hour)"
            " VALUES (:id, :name, :digest, :now, :jobs_per_hour, :mb_per_hour)"
            " ON CONFLICT (name) WHERE revoked IS NULL DO NOTHING",
            id=secrets.token_hex(8),
            name=name,
            digest=digest,
            now=self._now(),
            jobs_per_hour=jobs_per_hour,
            mb_per_hour=mb_per_hour,
        )
        return added == 1

    def find(self, digest: bytes) -> ApiToken | None:
        """Return the valid token with a digest, or None."""
        return self._one("digest = :digest AND revoked IS NULL", digest=digest)

    def valid(self, token_id: str) -> ApiToken | None:
        """Return the valid token with an id, or None."""
        return self._one("id = :id AND revoked IS NULL", id=token_id)

    def named(self, name: str) -> ApiToken | None:
        """Return the valid token of a name, or None."""
        return self._one("name = :name AND revoked IS NULL", name=name)

    def is_revoked(self, client: str) -> bool:
        """Return whether an owner or client is an API token that is not valid any more.

        One that was revoked may have no row.
        """
        return is_token(client) and self.valid(client.removeprefix(TOKEN)) is None

    def of_client(self, client: str) -> ApiToken | None:
        """Return the token that limits count as this client, or None for an address."""
        if not is_token(client):
            return None
        return self._one("id = :id", id=client.removeprefix(TOKEN))

    def note_use(self, token_id: str) -> None:
        """Record that a token is used now; a power cut may take it."""
        with self._db.relaxed_durability():
            self._db.execute(
                "UPDATE api_tokens SET last_used = :now WHERE id = :id",
                now=self._now(),
                id=token_id,
            )

    def revoke(self, name: str) -> bool:
        """Revoke the valid token of a name; return False if there is none."""
        revoked = self._db.execute(
            "UPDATE api_tokens SET revoked = :now WHERE name = :name AND revoked IS NULL",
            now=self._now(),
            name=name,
        )
        return revoked == 1

    def forget(self) -> None:
        """Delete the revoked tokens that have no jobs."""
        self._db.execute(
            "DELETE FROM api_tokens WHERE revoked IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM jobs WHERE owner = :owner || api_tokens.id)",
            owner=TOKEN,
        )

    def all(self) -> list[ListedToken]:
        """Read all tokens with the number of their jobs, valid ones first, then by name."""
        rows = self._db.query(
            f"SELECT {_FIELDS}, created, revoked,"
            f" (SELECT count(*) FROM jobs WHERE owner = :owner || api_tokens.id AND {EXISTS})"
            " AS jobs FROM api_tokens ORDER BY revoked IS NOT NULL, name, created",
            owner=TOKEN,
            now=self._now(),
        )
        return [ListedToken(**row) for row in rows]

    def _one(self, which: str, **values: Any) -> ApiToken | None:
        rows = self._db.query(f"SELECT {_FIELDS} FROM api_tokens WHERE {which}", **values)
        return ApiToken(**rows[0]) if rows else None
