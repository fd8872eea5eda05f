"""Values of callbacks, and of what is sent to them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True)
class DeliveryTry:
    """One request of a delivery, and what came of it."""

    began: datetime
    ms: int
    answer: int | None  # The status of the answer; None if there was none.
    error_code: str | None  # None if it was delivered.
    error_message: str | None


@dataclass(frozen=True)
class Delivery:
    """What is sent to the server of an owner, until it takes it."""

    id: str
    type: str
    created: datetime
    status: Literal["waiting", "sending", "delivered", "failed", "stopped"]
    next_try: datetime | None  # None unless it waits.
    tries: tuple[DeliveryTry, ...]

    @property
    def is_pending(self) -> bool:
        """True if another try follows."""
        return self.status in ("waiting", "sending")


@dataclass(frozen=True)
class Callback:
    """The server of an owner, which is told when a job is finished."""

    url: str
    origin: str  # Scheme, host and path that the owner knows this server by.
    status: Literal["awaiting", "told", "stopped"] = "awaiting"
    deliveries: tuple[Delivery, ...] = ()  # Newest first.

    @property
    def is_stopped(self) -> bool:
        """True if the server answered that it wants no more."""
        return self.status == "stopped"

    @property
    def shown_url(self) -> str:
        """The URL as pages show it: its query may have a password."""
        return self.url.partition("?")[0]


@dataclass(frozen=True)
class DeliveryClaim:
    """The right to send a delivery, until its lease ends or another claim follows."""

    id: str
    job_id: str
    owner: str
    url: str
    body: str
    number: int  # The fencing token.
    retries_left: int
    first_try: float | None  # When the first one began; None before.
