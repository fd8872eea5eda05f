"""How the consumer fares, and when a job is finished."""

from dataclasses import dataclass

from webapp.jobs.models import Bucket, Counter

ALIVE_SECONDS = 5.0  # A worker beats every second; after five it is not there.


@dataclass(frozen=True)
class Outlook:
    """Say what a job has before it: the images of others, and the seconds until it is finished."""

    ahead: int
    seconds: int | None  # None where nothing tells yet.
    has_workers: bool  # Whether anybody works at all.


@dataclass(frozen=True)
class Health:
    """Say how the consumer fares and how much there is to do."""

    workers: int  # Those that are alive.
    last_beat_seconds: float | None  # Since any worker was alive, if one ever was.
    queue_depth: int  # Images that are not finished: they wait, or are being worked on.
    oldest_wait_seconds: float  # Of the images that wait for a worker.
    free_disk_bytes: int


@dataclass(frozen=True)
class Statistics:
    """Hold what the operator may ask of all jobs, at one moment."""

    counters: list[Counter]
    wait: list[Bucket]  # From an image's upload to its first claim.
    work: list[Bucket]  # From an image's last claim to its end.
    health: Health
