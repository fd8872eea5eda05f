"""The state of the consumer and the queue, and when a job will be finished."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf

from webapp.jobs.models import Bucket, Counter, Job, KeptJobs, Pause, Progress
from webapp.jobs.storage import Storage
from webapp.jobs.store import Store
from webapp.jobs.store.turns import most_slow


@dataclass(frozen=True)
class QueueEstimate:
    """What a job waits for."""

    ahead: int  # Images of other owners that are processed before its own.
    seconds: int | None  # Until it is finished; None if there is nothing to estimate from.
    has_workers: bool
    pause: Pause | None  # Until it ends, the job waits.


@dataclass(frozen=True)
class Health:
    """The state of the consumer and the queue."""

    workers: int  # Those that are alive.
    last_beat_seconds: float | None  # Since any worker was alive; None if none ever was.
    queue_depth: int  # Images that are waiting or being worked on.
    working: int  # Those of them that are being worked on.
    oldest_wait_seconds: float  # Of the images that wait for a worker.
    paused: bool  # By an operator.
    free_disk_bytes: int


@dataclass(frozen=True)
class Statistics:
    """All that operators measure, at one moment."""

    counters: list[Counter]
    wait: list[Bucket]  # From an image's upload to its first claim.
    work: list[Bucket]  # From an image's last claim to its end.
    kept: KeptJobs
    health: Health


def quantile(buckets: Sequence[Bucket], part: float) -> float | None:
    """Estimate the duration that a part of all did not exceed, as Prometheus does.

    Durations are taken as even within a bucket. None if there are none.
    """
    rank, before, least = part * sum(bucket.count for bucket in buckets), 0, 0.0
    for bucket in buckets:
        if bucket.count and before + bucket.count >= rank:
            if bucket.up_to == inf:
                return least
            return least + (bucket.up_to - least) * (rank - before) / bucket.count
        before, least = before + bucket.count, bucket.up_to
    return None


def estimate(store: Store, job: Job | Progress) -> QueueEstimate:
    """Estimate when a job is finished, from the time that the last images took."""
    with store.db.snapshot():
        ahead, ahead_of_last, slow = store.queue.count_ahead(job.id)
        workers = store.operations.count_workers()
        mean = store.queue.mean_work_seconds()
        pause = store.operations.read_pause()
    if mean is None or not workers or not job.counts.left or pause:
        return QueueEstimate(ahead, None, bool(workers), pause)
    rounds = max((ahead_of_last + job.counts.left) / workers, slow / most_slow(workers))
    return QueueEstimate(ahead, ceil(rounds * mean), has_workers=True, pause=None)


def read_health(store: Store, storage: Storage) -> Health:
    """Read the state of the consumer and the queue."""
    queue = store.operations.read_queue()
    now, beat, oldest = store.now(), queue.last_beat, queue.oldest
    return Health(
        workers=queue.workers,
        last_beat_seconds=None if beat is None else round(now - beat, 3),
        queue_depth=queue.depth,
        working=queue.working,
        oldest_wait_seconds=0.0 if oldest is None else round(now - oldest, 3),
        paused=store.operations.read_pause() is not None,
        free_disk_bytes=storage.free_bytes(),
    )


def read_statistics(store: Store, storage: Storage) -> Statistics:
    """Read the counters, the histograms and the health in one snapshot."""
    with store.db.snapshot():
        return Statistics(
            counters=store.operations.counters(),
            wait=store.operations.durations("wait"),
            work=store.operations.durations("work"),
            kept=store.jobs.kept(),
            health=read_health(store, storage),
        )
