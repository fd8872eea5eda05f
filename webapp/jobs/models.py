"""What is known of jobs, images and the queue: values, wherever they are kept."""

from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal

from webapp.recipes.outputs import Point, Recipe, Size

State = Literal["waiting", "working", "done", "failed", "cancelled"]

TILE_SIDE = 270  # Pixels; what a tile of the job page has.
PREVIEW_SIDE = 480  # Pixels; about twice that, for fine screens.


@dataclass(frozen=True)
class Thumbnail:
    """One output file made from one image."""

    image_id: str
    folder: str
    file_name: str
    format: str
    width: int
    height: int
    bytes: int
    quality: int | None
    source_bytes: int
    source_name: str

    @property
    def size(self) -> Size:
        """Its width and height."""
        return self.width, self.height

    @property
    def output(self) -> str:
        """The name of the output that asked for it."""
        return PurePosixPath(self.file_name).stem

    @property
    def path(self) -> str:
        """Where it lies below the folder of all thumbnails."""
        return f"{self.folder}/{self.file_name}"

    @property
    def url(self) -> str:
        """The address that nginx serves by alias, and Flask where there is no nginx."""
        return f"/thumbnails/{self.path}"

    @property
    def saved(self) -> float:
        """The part of the original's bytes that is saved; negative where it grew."""
        return 1 - self.bytes / self.source_bytes

    @property
    def has_alpha_format(self) -> bool:
        """Whether the format can be transparent."""
        return self.format != "jpeg"


def have_same_ratio(one: Size, other: Size) -> bool:
    """Say whether two sizes, whose sides are rounded to pixels, may be of one aspect ratio."""
    return _narrowest(one) <= _widest(other) and _narrowest(other) <= _widest(one)


def _narrowest(size: Size) -> float:
    return (size[0] - 0.5) / (size[1] + 0.5)


def _widest(size: Size) -> float:
    return (size[0] + 0.5) / (size[1] - 0.5)


@dataclass(frozen=True)
class Image:
    """One uploaded source file of a job."""

    id: str
    job_id: str
    number: int
    position: int  # Where its uploader put it among the others.
    name: str
    bytes: int
    format: str
    width: int
    height: int
    had_gps: bool
    state: State
    error_code: str | None
    error_message: str | None
    thumbhash: str | None
    placeholder: str | None  # A small PNG in base64.
    color: str | None
    attempts: int
    version: int  # The job's, when it last changed.
    focus: Point | None  # The one that its owner chose.
    thumbnails: tuple[Thumbnail, ...]
    whole: Thumbnail | None  # All of it, uncropped and small.

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for a worker."""
        return self.state == "waiting"

    @property
    def can_retry(self) -> bool:
        """Whether it was given up, or taken out of the queue."""
        return self.state in ("failed", "cancelled")

    @property
    def is_done(self) -> bool:
        """Whether all its thumbnails are made."""
        return self.state == "done"

    @property
    def is_failed(self) -> bool:
        """Whether it was given up, for the reason in `error_message`."""
        return self.state == "failed"

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state not in ("waiting", "working")

    @property
    def is_transparent(self) -> bool:
        """Whether some of it is not opaque: a bit of its ThumbHash tells."""
        return bool(self.thumbhash and b64decode(self.thumbhash[:4])[2] > 127)


@dataclass(frozen=True)
class MissingFile:
    """Name a file that was meant for a job and is not in it, and say why."""

    name: str
    reason: str
    position: int | None = None  # Where its uploader put it among the images.


@dataclass(frozen=True)
class Job:
    """What a user submits and follows: one recipe and its images."""

    id: str
    owner: str | None
    recipe: str
    created: datetime
    expires: datetime
    begun: datetime  # When the last of its images was put into the queue.
    version: int
    is_open: bool
    images: tuple[Image, ...]
    missing_files: tuple[MissingFile, ...]

    @property
    def total(self) -> int:
        """How many images it has so far."""
        return len(self.images)

    @property
    def finished(self) -> int:
        """To how many images nothing more will happen."""
        return sum(image.is_finished for image in self.images)

    @property
    def thumbnails(self) -> list[Thumbnail]:
        """All thumbnails that there are so far."""
        return [made for image in self.images for made in image.thumbnails]

    @property
    def done(self) -> int:
        """How many images have all their thumbnails."""
        return self._count("done")

    @property
    def failed(self) -> int:
        """How many images were given up."""
        return self._count("failed")

    @property
    def working(self) -> int:
        """How many images are in a worker's hands."""
        return self._count("working")

    @property
    def waiting(self) -> int:
        """How many images wait for a worker."""
        return self._count("waiting")

    @property
    def cancelled(self) -> int:
        """How many images nobody is to work on any more."""
        return self._count("cancelled")

    @property
    def missing(self) -> int:
        """How many files were meant for it and are not in it."""
        return len(self.missing_files)

    @property
    def left_out(self) -> int:
        """How many images are not made again with the others: those that never were made."""
        return sum(image.state == "cancelled" and not image.thumbnails for image in self.images)

    @property
    def had_gps_count(self) -> int:
        """How many images said where they were taken."""
        return sum(image.had_gps for image in self.images)

    @property
    def left(self) -> int:
        """How many images are not finished."""
        return self.total - self.finished

    @property
    def is_finished(self) -> bool:
        """Whether no more images come and nothing more will happen to those it has."""
        return not self.is_open and not self.left

    def preview(self, image: Image) -> Thumbnail | None:
        """Choose the thumbnail to show for an image: that of the same output for all, if it can be.

        What another recipe made is chosen by its size: the smallest that fills a tile, or the
        largest.
        """
        made = {one.output: one for one in reversed(image.thumbnails)}
        for name in self._previewed:
            if name in made:
                return made[name]
        by_size = sorted(image.thumbnails, key=lambda one: max(one.size))
        large = [one for one in by_size if max(one.size) >= PREVIEW_SIDE]
        return next(iter(large or by_size[::-1]), None)

    @cached_property
    def _previewed(self) -> list[str]:
        outputs = Recipe.from_json(self.recipe).by_look(PREVIEW_SIDE, TILE_SIDE)
        return [output.name for output in outputs]

    def _count(self, state: State) -> int:
        return sum(image.state == state for image in self.images)


@dataclass(frozen=True)
class ListedJob:
    """Say of a job what a list of many shows."""

    id: str
    version: int
    created: datetime
    expires: datetime
    is_open: bool
    name: str | None  # Of its first image.
    total: int
    finished: int
    done: int
    failed: int
    cancelled: int
    missing: int
    previews: tuple[Thumbnail, ...]

    @property
    def is_finished(self) -> bool:
        """Whether no more images come and nothing more will happen to those it has."""
        return not self.is_open and self.finished == self.total


@dataclass(frozen=True)
class JobList:
    """List some jobs, newest first."""

    jobs: tuple[ListedJob, ...]
    older: float | None  # Those that were created before then come next, if there are any.


@dataclass(frozen=True)
class Progress:
    """Say how far a job is, for the price of one look-up."""

    id: str
    version: int  # Grows with every change that a page shows.
    is_open: bool
    left: int
    begun: datetime

    @property
    def is_finished(self) -> bool:
        """Whether no more images come and nothing more will happen to those it has."""
        return not self.is_open and not self.left


@dataclass(frozen=True)
class NewImage:
    """Say what is known of an image before any work is done on it.

    `position` is its place among the images of the job; None puts it last.
    """

    id: str
    position: int | None
    name: str
    bytes: int
    format: str
    width: int
    height: int
    had_gps: bool


@dataclass(frozen=True)
class Claim:
    """Prove the right to work on an image: valid while its lease runs and nobody claimed later.

    `attempt` is the fencing token.
    """

    image_id: str
    job_id: str
    recipe: str
    worker: str
    attempt: int
    waited: float  # Seconds since it was put into the queue.
    focus: Point | None


@dataclass(frozen=True)
class HourLimits:
    """Bound what workers do for one client within an hour."""

    work_ms: int
    bytes: int  # Of its uploads and thumbnails.


@dataclass(frozen=True)
class Queue:
    """Say how much there is to do, and who does it."""

    depth: int  # Images that are not finished: they wait, or are being worked on.
    oldest: float | None  # When the upload came that waits for the longest time.
    workers: int  # Those that are alive.
    last_beat: float | None  # Of any worker, alive or not.


@dataclass(frozen=True)
class Counter:
    """Tell how often something happened to an image since the database was made."""

    what: str
    code: str
    count: int


@dataclass(frozen=True)
class Bucket:
    """Tell how many times took up to so many seconds, and more than the bucket before has."""

    what: str
    up_to: float
    count: int
    seconds: float
