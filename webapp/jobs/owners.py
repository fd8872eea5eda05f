"""Whose a job is: an owner's name, and the API tokens that are owners."""

from dataclasses import dataclass

TOKEN = "token:"  # Begins the names of those owners and clients that are API tokens.


def owns(owner: str | None, job_owner: str | None) -> bool:
    """Return whether an owner is that of a job; either may be None."""
    return bool(owner) and owner == job_owner


def is_token(client: str) -> bool:
    """Return whether a client is an API token; others are addresses."""
    return client.startswith(TOKEN)


@dataclass(frozen=True)
class ApiToken:
    """A valid API token, with limits of its own; None is what the settings say."""

    id: str
    name: str
    last_used: float | None
    jobs_per_hour: int | None
    mb_per_hour: int | None

    @property
    def owner(self) -> str:
        """The owner of its jobs, and the client that its limits count."""
        return TOKEN + self.id


@dataclass(frozen=True)
class ListedToken(ApiToken):
    """An API token as operators see it; it may be revoked."""

    created: float
    revoked: float | None
    jobs: int
