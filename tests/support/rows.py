"""Rows of one job, and workers that claim its images at any time."""

from tests.support.jobs import TimedStore
from webapp.jobs.models import Claim, HourLimits, NewImage

NOW = 1_800_000_000.0
LEASE = NOW + 8
CAP = 5
NO_LIMITS = HourLimits(work_ms=10**12, bytes=10**15)
MAX_SLOW = 2


def add_job(store: TimedStore, job_id: str = "job", expires: float = NOW + 1000) -> str:
    store.at(NOW).jobs.add(job_id, "owner", "[]", expires - NOW, 100)
    return job_id


def add_image(store: TimedStore, image_id: str, created: float = NOW, max_images: int = 9) -> bool:
    image = NewImage(image_id, None, f"{image_id}.jpg", 1000, "jpeg", 40, 30, False, False)
    return store.at(created).queue.add("job", image, 100, max_images, "127.0.0.1")


def claim(store: TimedStore, worker: str = "w1", now: float = NOW) -> Claim:
    claimed = store.at(now).queue.claim(worker, 8, CAP, NO_LIMITS, MAX_SLOW)
    assert claimed
    return claimed


def finish(store: TimedStore, claimed: Claim) -> bool:
    return store.at(NOW).queue.finish(claimed, FACTS, "f", [ROW])


def state(store: TimedStore, image: int = 0) -> str:
    job = store.at(NOW).jobs.read("job")
    assert job
    return job.images[image].status


FACTS = {
    "width": 40,
    "height": 30,
    "had_gps": False,
    "thumbhash": "",
    "placeholder": "",
    "color": "#000000",
}


ROW = {
    "number": 0, "file_name": "a.jpg", "format": "jpeg", "width": 4, "height": 3, "bytes": 100,
    "quality": 80,
}  # fmt: skip
