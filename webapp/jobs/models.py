"""Values of jobs, images and the queue."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal

from webapp.jobs.deliveries import Callback
from webapp.jobs.errors import MAY_PASS
from webapp.jobs.names import name_in_url
from webapp.jobs.owners import is_token
from webapp.recipes.outputs import Point, Recipe, Size

Status = Literal["waiting", "working", "done", "failed", "cancelled"]
_UNFINISHED: tuple[Status, Status] = ("waiting", "working")

TILE_SIDE = 270  # Pixels; what a tile of the job page has.
MAX_MISSING = 1000  # Files that a job remembers as missing.
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
        """The width and height in pixels."""
        return self.width, self.height

    @property
    def output(self) -> str:
        """The name of its output."""
        return PurePosixPath(self.file_name).stem

    @property
    def path(self) -> str:
        """The path below the folder of all thumbnails."""
        return f"{self.folder}/{self.file_name}"

    @property
    def saved(self) -> float:
        """The fraction of the original's bytes saved; negative if larger."""
        return 1 - self.bytes / self.source_bytes

    @property
    def has_alpha_format(self) -> bool:
        """True if the format can be transparent."""
        return self.format != "jpeg"


def have_same_ratio(one: Size, other: Size) -> bool:
    """Return whether two sizes, rounded to pixels, can have one aspect ratio."""
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
    position: int  # Among the images of its uploader.
    name: str
    bytes: int
    format: str
    width: int
    height: int
    had_gps: bool
    status: Status
    error_code: str | None
    error_message: str | None
    thumbhash: str | None
    placeholder: str | None  # A small PNG in base64.
    color: str | None
    attempts: int
    version: int  # The job's, when it last changed.
    focal_point: Point | None  # Chosen by the owner.
    found_point: Point | None  # Where the detail is; None where no crop asked for it.
    alt: str | None  # Written by the owner.
    is_reused: bool  # Its thumbnails were made before, of the same bytes in another image.
    first_id: str  # Of the image that it replaces, or of the first of several; or its own.
    thumbnails: tuple[Thumbnail, ...]
    overview: Thumbnail | None  # Small and uncropped.

    @property
    def is_waiting(self) -> bool:
        """True if it waits for a worker."""
        return self.status == "waiting"

    @property
    def can_retry(self) -> bool:
        """True if it was cancelled, or failed and a second try can help."""
        return self.status == "cancelled" or (self.is_failed and self.error_code in MAY_PASS)

    @property
    def is_done(self) -> bool:
        """True if all its thumbnails are made."""
        return self.status == "done"

    @property
    def is_failed(self) -> bool:
        """True if it failed, for the reason in `error_message`."""
        return self.status == "failed"

    @property
    def is_finished(self) -> bool:
        """True if its status is final."""
        return self.status not in _UNFINISHED

    @property
    def bytes_made(self) -> int:
        """The bytes of all its thumbnails."""
        return sum(thumbnail.bytes for thumbnail in self.thumbnails)

    @property
    def largest(self) -> Thumbnail | None:
        """Its widest thumbnail; None before it has any."""
        return max(self.thumbnails, key=lambda one: one.width, default=None)

    @property
    def is_transparent(self) -> bool:
        """True if it has transparent pixels, by a bit of its ThumbHash."""
        return bool(self.thumbhash and b64decode(self.thumbhash[:4])[2] > 127)


@dataclass(frozen=True)
class FirstImage:
    """The first image of a job, and one of its thumbnails."""

    version: int  # Of the job.
    recipe: str
    status: Status
    error_message: str | None
    path: str | None  # Of the thumbnail, below the folder of all thumbnails; None before it exists.

    @property
    def is_finished(self) -> bool:
        """True if its status is final."""
        return self.status not in _UNFINISHED


def name_job(name: str | None, first_image: str | None, images: int) -> str:
    """Return the owner's name of a job, or its first image and how many follow."""
    if name or first_image is None:
        return name or "New job"
    return first_image if images == 1 else f"{first_image} and {images - 1} more"


@dataclass(frozen=True)
class Counts:
    """The number of a job's images in each status."""

    waiting: int
    working: int
    done: int
    failed: int
    cancelled: int

    @classmethod
    def of(cls, images: Sequence[Image]) -> "Counts":
        """Count images by their status."""
        statuses: list[str] = [image.status for image in images]
        return cls(**{field.name: statuses.count(field.name) for field in fields(cls)})

    @property
    def left(self) -> int:
        """The number of images whose status is not final."""
        return self.waiting + self.working

    @property
    def finished(self) -> int:
        """The number of images whose status is final."""
        return self.done + self.failed + self.cancelled

    @property
    def total(self) -> int:
        """The number of all images."""
        return self.left + self.finished

    @property
    def is_finished(self) -> bool:
        """True if the status of each image is final."""
        return not self.left


@dataclass(frozen=True)
class JobVersion:
    """What differs whenever something of a job does that is shown."""

    id: str
    version: int  # Increases with every change that a page shows.
    is_open: bool  # May change with the time.


@dataclass(frozen=True)
class JobSummary(JobVersion):
    """The fields that a job, its row in the list and its progress share."""

    is_closing: bool  # It takes no more images, and closes after its last fetch.
    fetching: int  # Images that are still to be fetched.
    counts: Counts

    @property
    def is_receiving(self) -> bool:
        """True if more images may come from its owner."""
        return self.is_open and not self.is_closing

    @property
    def is_finished(self) -> bool:
        """True if the job is closed and the status of each image is final."""
        return not self.is_open and self.counts.is_finished

    @property
    def status(self) -> Status:
        """The status of the job, which follows from those of its images."""
        counts = self.counts
        if not self.is_finished:
            return "working" if counts.working or counts.finished else "waiting"
        if counts.failed or not counts.total:
            return "failed"
        return "done" if counts.done else "cancelled"


@dataclass(frozen=True)
class MissingFile:
    """A file that was meant for a job and is not in it, and why."""

    name: str
    reason: str
    position: int | None = None  # Among the images of its uploader.
    bytes: int | None = None  # Unless its bytes were refused: the same file can be added again.


@dataclass(frozen=True)
class Fetch:
    """An image that is got from another server, or was, or could not be."""

    id: str
    position: int
    url: str
    name: str | None  # That its owner gave it.
    status: Status
    error_code: str | None
    error_message: str | None
    image_id: str | None  # What it became.

    @property
    def shown_name(self) -> str:
        """The name to show as long as there is no image."""
        return self.name or name_in_url(self.url)


@dataclass(frozen=True)
class FetchClaim:
    """A fetch that one process may work on until its lease ends."""

    id: str
    job_id: str
    position: int
    url: str
    name: str | None
    client: str
    attempt: int  # Its token.
    tries: int  # Attempts that were not given back, with this one.


@dataclass(frozen=True)
class Job(JobSummary):
    """What a user submits and follows: one recipe and its images."""

    owner: str | None
    name: str | None  # That its owner chose.
    recipe: str
    created: datetime
    expires: datetime | None  # None: it is kept until its owner deletes it.
    is_too_large: bool  # To be kept until then, as its owner chose.
    begun: datetime  # When its last image was queued.
    callback: Callback | None
    images: tuple[Image, ...]
    missing_files: tuple[MissingFile, ...]

    def with_images(self, images: tuple[Image, ...]) -> "Job":
        """Return this job with other images, and their counts."""
        return replace(self, images=images, counts=Counts.of(images))

    @property
    def title(self) -> str:
        """The name that its owner chose, or its images give it."""
        return name_job(self.name, self.first_image, len(self.images))

    @property
    def is_of_token(self) -> bool:
        """True if its owner is an API token."""
        return self.owner is not None and is_token(self.owner)

    @property
    def first_image(self) -> str | None:
        """The name of its first image."""
        return self.images[0].name if self.images else None

    @property
    def thumbnails(self) -> list[Thumbnail]:
        """All thumbnails made so far."""
        return [made for image in self.images for made in image.thumbnails]

    @property
    def missing(self) -> int:
        """The number of files that were meant for it and are not in it."""
        return len(self.missing_files)

    @property
    def bytes_made(self) -> int:
        """The bytes of all thumbnails made so far."""
        return sum(image.bytes_made for image in self.images)

    @property
    def saved(self) -> float:
        """The fraction of bytes saved, as the mean of all thumbnails by their originals."""
        sources = sum(image.bytes * len(image.thumbnails) for image in self.images)
        return 1 - self.bytes_made / sources if sources else 0

    @property
    def failed_images(self) -> list[Image]:
        """The images that failed."""
        return [image for image in self.images if image.is_failed]

    @property
    def can_retry(self) -> bool:
        """True if a second try can help one of its images."""
        return any(image.can_retry for image in self.images)

    @property
    def outcome(self) -> Literal["done", "failed"] | None:
        """How it ended: failed if an image or a file did; None before its end."""
        if not self.is_finished:
            return None
        return "failed" if self.counts.failed or self.missing else "done"

    @property
    def cover(self) -> Thumbnail | None:
        """The thumbnail that stands for the job elsewhere: a JPEG if there is one."""
        image = next((image for image in self.images if image.thumbnails), None)
        if image is None:
            return None
        photos = [made for made in image.thumbnails if made.format == "jpeg"]
        return max(photos, key=lambda made: made.width, default=self.preview(image))

    @property
    def is_reused(self) -> bool:
        """True if all its thumbnails were made before, for another job."""
        return bool(self.images) and all(image.is_reused for image in self.images)

    @property
    def has_crops(self) -> bool:
        """True if an output of its recipe crops."""
        return Recipe.from_json(self.recipe).crops

    @property
    def left_out(self) -> int:
        """The number of cancelled images without thumbnails: a remake leaves them out."""
        return sum(image.status == "cancelled" and not image.thumbnails for image in self.images)

    @property
    def can_add_again(self) -> bool:
        """True if a missing file was not refused: it can be added again."""
        return any(file.bytes is not None for file in self.missing_files)

    @property
    def had_gps_count(self) -> int:
        """The number of images that had a GPS position."""
        return sum(image.had_gps for image in self.images)

    def preview(self, image: Image) -> Thumbnail | None:
        """Choose the thumbnail of an image to show: of the same output for all.

        If another recipe made its thumbnails, the smallest that fills a tile, or the largest.
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
        outputs = Recipe.from_json(self.recipe).preview_order(PREVIEW_SIDE, TILE_SIDE)
        return [output.name for output in outputs]


@dataclass(frozen=True)
class NamedJob(JobSummary):
    """A job of a list, without its files."""

    number: int  # Of its row.
    created: datetime
    expires: datetime | None  # None: it is kept until its owner deletes it.
    begun: datetime  # When its last image was queued.
    name: str | None  # That its owner chose.
    first_image: str | None  # Its name.
    missing: int
    undo_seconds: float | None  # For how long its owner can restore it; None unless deleted.

    @property
    def title(self) -> str:
        """The name that its owner chose, or its images give it."""
        return name_job(self.name, self.first_image, self.counts.total)


@dataclass(frozen=True)
class ListedJob(NamedJob):
    """A job as the list of jobs shows it."""

    files: int
    bytes: int  # Of all files.
    previews: tuple[Thumbnail, ...]

    @property
    def is_deleted(self) -> bool:
        """True if its owner deleted it, and can restore it."""
        return self.undo_seconds is not None

    @property
    def is_running(self) -> bool:
        """True if it is not deleted, and more is to happen."""
        return not self.is_deleted and not self.is_finished

    def has_news_for(self, version: str) -> bool:
        """Return whether a list that shows this version of the job is outdated."""
        return version != str(self.version) or not (self.is_running or self.is_deleted)


@dataclass(frozen=True)
class StoredJob(JobSummary):
    """A job as operators list it."""

    owner: str | None
    created: datetime
    expires: datetime | None  # None: it is kept until its owner deletes it.
    name: str | None  # That its owner chose.
    first_image: str | None  # Its name.
    bytes: int  # Of its originals and thumbnails.

    @property
    def title(self) -> str:
        """The name that its owner chose, or its images give it."""
        return name_job(self.name, self.first_image, self.counts.total)


@dataclass(frozen=True)
class JobList:
    """A page of the list of jobs, newest first."""

    jobs: tuple[ListedJob, ...]
    deleted: tuple[ListedJob, ...]  # All that can be restored, the last deleted first.
    next: tuple[float, int] | None  # The next page has those before this place; None on the last.


@dataclass(frozen=True)
class Progress(JobSummary):
    """The progress of a job, read with one query."""

    begun: datetime


@dataclass(frozen=True)
class NewImage:
    """An uploaded image before any work on it.

    `position` is its position among the images of the job; None puts it last.
    """

    id: str
    position: int | None
    name: str
    bytes: int
    format: str
    width: int
    height: int
    had_gps: bool
    is_slow: bool  # By its header: it promises much work.
    sha256: str | None = None  # Of its bytes; None if its thumbnails may not be reused.


@dataclass(frozen=True)
class MadeBefore:
    """The thumbnails of a finished image with the same bytes, for the same outputs."""

    image_id: str
    recipe: str  # That asks for them.
    facts: Mapping[str, Any]  # What decoding found, by the columns of its row.
    thumbnails: Sequence[dict[str, Any]]  # Their rows, with their numbers in the recipe.

    @property
    def sizes(self) -> dict[str, int]:
        """The bytes of each file, by its path."""
        return {f"{made['folder']}/{made['file_name']}": made["bytes"] for made in self.thumbnails}


@dataclass(frozen=True)
class Claim:
    """The right to work on an image, until its lease ends or another claim follows.

    `attempt` is the fencing token.
    """

    image_id: str
    job_id: str
    recipe: str
    worker: str
    attempt: int
    waited: float  # Seconds in the queue.
    is_slow: bool
    focal_point: Point | None


@dataclass(frozen=True)
class FinishedJob(JobSummary):
    """What the server of an owner is told of a finished job."""

    owner: str
    origin: str
    name: str | None  # That its owner chose.
    first_image: str | None  # Its name.
    created: datetime
    expires: datetime | None  # None: it is kept until its owner deletes it.
    missing: int

    @property
    def title(self) -> str:
        """The name that its owner chose, or its images give it."""
        return name_job(self.name, self.first_image, self.counts.total)


@dataclass(frozen=True)
class HourLimits:
    """Limits on the work for one client within an hour."""

    work_ms: int
    bytes: int  # Of uploads and thumbnails.


@dataclass(frozen=True)
class Pause:
    """That an operator paused the work, and why."""

    since: datetime
    reason: str  # In the operator's words, or empty.


@dataclass(frozen=True)
class Queue:
    """The length of the queue, and its workers."""

    depth: int  # Images that are waiting or being worked on.
    working: int  # Those of them that are being worked on.
    oldest: float | None  # When the image was queued that has waited longest.
    workers: int  # Those that are alive.
    last_beat: float | None  # Of any worker, alive or not.


@dataclass(frozen=True)
class KeptJobs:
    """The jobs that owners keep until they delete them."""

    jobs: int
    bytes: int  # Of their originals and thumbnails.


@dataclass(frozen=True)
class Counter:
    """How often something happened to images since the database was created."""

    what: str
    code: str
    count: int


@dataclass(frozen=True)
class Bucket:
    """A histogram's bucket: durations up to some seconds, above the bucket before."""

    what: str
    up_to: float
    count: int
    seconds: float
