"""Metrics for Prometheus, computed from the rows.

The counters are rows too, updated in one transaction with the images that they count: every process
gives the same answer, and neither a restart nor kill -9 falsifies one.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import inf

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from webapp.jobs.health import Health, Statistics
from webapp.jobs.models import Bucket, Counter, KeptJobs

# Of `counters`. Those of fetches and webhooks begin with the word; the others are of images.
UPLOADS = ("accepted", "refused")


class StatisticsCollector(Collector):
    """Convert statistics to metrics."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics

    def collect(self) -> list[Metric]:
        """Return all metrics."""
        found = self._statistics
        return [
            *_counters(found.counters),
            _histogram("wait", "Seconds from an image's upload to its first claim.", found.wait),
            _histogram("work", "Seconds from an image's last claim to its end.", found.work),
            *_gauges(found.health, found.kept),
        ]


def _counters(counters: Sequence[Counter]) -> Iterator[Metric]:
    labels = ("outcome", "code")
    uploads = CounterMetricFamily(
        "thumbnails_uploads",
        "Uploads: files accepted; files, or requests unread, refused with a code.",
        labels=labels,
    )
    images = CounterMetricFamily(
        "thumbnails_images",
        "Images that ended: done, failed with a code, cancelled, or deleted before; and those"
        " that were queued again.",
        labels=labels,
    )
    fetches = CounterMetricFamily(
        "thumbnails_fetches",
        "Images to get from other servers: done, failed with a code, or cancelled.",
        labels=labels,
    )
    webhooks = CounterMetricFamily(
        "thumbnails_webhooks",
        "Webhooks that ended: delivered, failed after their last try, or stopped.",
        labels=labels,
    )
    others = {"fetch": fetches, "webhook": webhooks}
    for counter in counters:
        kind, _, outcome = counter.what.rpartition(" ")
        family = others.get(kind, uploads if outcome in UPLOADS else images)
        family.add_metric((outcome, counter.code), counter.count)
    yield from (uploads, images, fetches, webhooks)


def _histogram(what: str, why: str, buckets: Sequence[Bucket]) -> Metric:
    counts = accumulate(bucket.count for bucket in buckets)
    limits = ["+Inf" if bucket.up_to == inf else str(bucket.up_to) for bucket in buckets]
    return HistogramMetricFamily(
        f"thumbnails_{what}_seconds",
        why,
        buckets=list(zip(limits, counts, strict=True)),
        sum_value=sum(bucket.seconds for bucket in buckets),
    )


def _gauges(health: Health, kept: KeptJobs) -> Iterator[Metric]:
    for name, why, value in (
        ("queue_depth", "Images that wait or are being worked on.", health.queue_depth),
        ("oldest_wait_seconds", "Age of the oldest that waits.", health.oldest_wait_seconds),
        ("workers", "Workers of the consumer that are alive.", health.workers),
        ("paused", "1 while an operator pauses the work, else 0.", int(health.paused)),
        ("free_disk_bytes", "Room left on the data's disk.", health.free_disk_bytes),
        ("kept_jobs", "Jobs that are kept until their owners delete them.", kept.jobs),
        ("kept_bytes", "Their originals and thumbnails.", kept.bytes),
    ):
        yield GaugeMetricFamily(f"thumbnails_{name}", why, value)
