"""Images that promise much work leave workers free for others."""

import struct
from pathlib import Path

import pytest

from tests.support.images import make_image, make_jpeg, make_png_header
from tests.support.jobs import claims_of, finish, submit
from webapp.config import Config
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.models import Claim
from webapp.recipes.outputs import Size

SLOW = make_png_header((9000, 9000))
WORKERS = 3
SIZE = (120, 80)


def enlarge(image: bytes, size: Size) -> bytes:
    """Write another size into the headers of a JPEG or JPEG 2000 of 120 × 80 pixels."""
    for kind in (">HH", ">II"):
        for old, new in ((SIZE, size), (SIZE[::-1], size[::-1])):
            image = image.replace(struct.pack(kind, *old), struct.pack(kind, *new))
    return image


@pytest.fixture
def config(tmp_path: Path, workers: int) -> Config:
    return Config(instance=tmp_path / "instance", workers=workers)


@pytest.fixture
def workers() -> int:
    return WORKERS


def is_slow(jobs: Jobs, image: bytes) -> bool:
    submit(jobs, image)
    claimed = claims_of(jobs).claim("worker")
    assert claimed
    return claimed.is_slow


@pytest.mark.parametrize(
    "image",
    [
        SLOW,
        enlarge(make_image(size=SIZE, format="jp2"), (5000, 4000)),
        enlarge(make_jpeg(SIZE, progressive_scans=50), (8000, 6000)),
    ],
    ids=["large-png", "large-jpeg-2000", "jpeg-of-many-scans"],
)
def test_image_whose_header_promises_much_work_is_slow(jobs: Jobs, image: bytes) -> None:
    assert is_slow(jobs, image)


@pytest.mark.parametrize(
    "image",
    [
        make_jpeg(),
        make_png_header((4000, 3000)),
        enlarge(make_jpeg(SIZE, progressive=True), (8000, 6000)),
    ],
    ids=["small", "photo-as-png", "large-progressive"],
)
def test_usual_image_is_not_slow(jobs: Jobs, image: bytes) -> None:
    assert not is_slow(jobs, image)


def kind_of(claim: Claim | None) -> str:
    if claim is None:
        return "none"
    return "slow" if claim.is_slow else "small"


@pytest.mark.parametrize(("workers", "share"), [(1, 1), (2, 1), (3, 1), (4, 2), (9, 4)])
def test_half_of_the_workers_at_most_have_slow_images(jobs: Jobs, workers: int, share: int) -> None:
    submit(jobs, *[SLOW] * 6)
    claims = [claims_of(jobs).claim(f"worker {number}") for number in range(workers)]
    kinds = [kind_of(claim) for claim in claims]
    assert kinds == ["slow"] * share + ["none"] * (workers - share)


@pytest.mark.parametrize("workers", [1])
def test_one_worker_alternates_between_slow_and_other_images(jobs: Jobs) -> None:
    submit(jobs, *[SLOW] * 3)
    submit(jobs, *[make_jpeg()] * 2)
    claims, kinds = claims_of(jobs), []
    while claim := claims.claim("worker"):
        kinds.append(kind_of(claim))
        finish(jobs, claim)
    assert kinds == ["slow", "small", "slow", "small", "slow"]
