"""Values of requests with an idempotency key."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Hold:
    """The right of one request to make a job with an idempotency key.

    `attempt` is the fencing token.
    """

    owner: str
    key: str
    attempt: str
    fingerprint: str = ""  # Of the request, once it is read.


@dataclass(frozen=True)
class Answer:
    """An answer to send again."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None  # None: it is made again from the job.


@dataclass(frozen=True)
class FirstRequest:
    """What became of the first request with an idempotency key, which made a job."""

    job_id: str
    fingerprint: str
    is_whole: bool  # The job has all that the request brought.
    answer: Answer | None  # None: the request ended without one.
