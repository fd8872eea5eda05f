"""The life of a job and its images: submit, claim, finish, fail, delete, expire.

A job is created open, takes images one by one, is closed, and is finished when its last image is.
What is acknowledged is on the disk: first the file, then the row, and only then the caller rings
for a worker.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from math import ceil, inf
from pathlib import Path
from threading import Thread
from time import time
from typing import Any
from uuid import uuid4

from webapp.config import Config
from webapp.engine.decoder import Decoder
from webapp.engine.errors import ImageError
from webapp.engine.headers import read_header
from webapp.engine.opening import SHOWN_BY_BROWSERS
from webapp.engine.result import Result
from webapp.jobs.errors import (
    FILE_LOST,
    MB,
    ClaimLost,
    FileTooLarge,
    ImageNotFound,
    JobClosed,
    JobExpired,
    JobNotFound,
    NoSpace,
    QueueFull,
    TooManyAttempts,
    TooManyBytes,
    TooManyImages,
    TooManyJobs,
    TooManyPacked,
    TooManyWaiting,
    TooMuchWork,
    _duration,
)
from webapp.jobs.events import _log_accepted, _log_failed
from webapp.jobs.health import ALIVE_SECONDS, Health, Outlook, Statistics
from webapp.jobs.models import (
    Claim,
    HourLimits,
    Image,
    Job,
    JobList,
    ListedJob,
    MissingFile,
    NewImage,
    Progress,
)
from webapp.jobs.names import clean_name
from webapp.jobs.storage import Storage
from webapp.jobs.store.jobs import JobStore
from webapp.jobs.upload import Upload
from webapp.recipes.outputs import Point, Recipe, RecipeLimits

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 5  # Workers that one image may cost before we give up on it.
LEASE_SECONDS = 6.0  # A claim is renewed every second, so a dead worker's image waits 6 at most.
OPEN_SECONDS = 3600.0  # How long an open job waits for its next image; some uploads are slow.
REMEMBERED_SECONDS = 30 * 86400.0  # How long who comes to an expired job is told that it was one.
# A full queue has room for hundreds again after this, and asking sooner would only add to the load.
QUEUE_SECONDS = 20
MAX_WRONG_TOKENS = 20  # Of one client within an hour; a person mistypes a few times.
ROOM_FOR_WORK = (
    20 * MB
)  # Where less must stay free: a claim in vain would cost the image an attempt.
LISTED_JOBS = 50  # Of a page of the list; with their pictures, some 700 kB.


REFUSALS = (FileTooLarge, ImageError, JobClosed, NoSpace, TooManyImages, TooManyWaiting)


class Jobs:
    """Do all that happens to jobs, on rows and files that belong together."""

    def __init__(self, config: Config) -> None:
        self.storage = Storage(config.instance)
        self.store = JobStore(config.instance / "jobs.db")
        self.decoder = Decoder.from_config(config)
        self._retention_hours = config.retention_hours
        self._max_retention_seconds = config.max_retention_hours * 3600
        self._min_free = config.min_free_mb * MB
        self._max_images = config.max_images
        self._max_file_mb = config.max_file_mb
        self._max_waiting = config.max_waiting
        self._max_waiting_of_client = ceil(config.max_waiting * config.max_waiting_share)
        self._max_work_seconds = config.max_work_seconds_per_hour
        self._max_jobs_per_hour = config.max_jobs_per_hour
        self._max_mb_per_hour = config.max_mb_per_hour
        # What a client may send, it may also have worked on: its thumbnails come on top of it.
        self._limits_of_work = HourLimits(
            work_ms=config.max_work_seconds_per_hour * 1000,
            bytes=2 * config.max_mb_per_hour * MB,
        )
        self._max_packed_per_hour = config.max_packed_per_hour
        self.recipe_limits = RecipeLimits(
            config.max_outputs, config.max_side, config.max_output_megapixels
        )

    # For whoever submits and follows

    def admit_images(self, client: str) -> None:
        """Say whether images of a client may join the queue now.

        Raises QueueFull, TooManyWaiting or TooMuchWork.
        """
        if self.store.has_unfinished(self._max_waiting):
            raise QueueFull("Too many images wait for their turn.", QUEUE_SECONDS)
        if self.store.has_unfinished_of(client, self._max_waiting_of_client):
            raise self._too_many_waiting()
        limit = self._max_work_seconds
        if wait := self.store.spend(client, "work", 0, limit * 1000 - 1, time()):
            used = f"Your address has used {_duration(limit)} of work within an hour."
            raise TooMuchWork(used, wait)

    def _too_many_waiting(self) -> TooManyWaiting:
        limit = self._max_waiting_of_client
        images = f"{limit:,} images" if limit != 1 else "1 image"
        return TooManyWaiting(
            f"At most {images} of your address may wait for their turn at a time.", QUEUE_SECONDS
        )

    @contextmanager
    def _within_share(self, client: str) -> Iterator[None]:
        """Check the client's share of the queue after the block.

        Where none of its images waited before, those of one job are let in together: the job may
        have been uploaded when the settings allowed more. Raises TooManyWaiting, with nothing
        changed.
        """
        with self.store.transaction():
            had_some = self.store.has_unfinished_of(client, 1)
            yield
            if had_some and self.store.has_unfinished_of(client, self._max_waiting_of_client + 1):
                raise self._too_many_waiting()

    def count_refused(self, code: str) -> None:
        """Tell the operator of an upload that is not taken.

        Where that cannot be, it is refused all the same, for the reason that it is.
        """
        try:
            self.store.count_refused(code)
        except Exception:
            logger.exception("cannot count a refusal")

    def admit_bytes(self, client: str, count: int, what: str) -> None:
        """Let a client send so many bytes.

        They are counted as `what`: "bytes" of images, or "form bytes" of all else. Raises
        TooManyBytes.
        """
        limit = self._max_mb_per_hour
        if wait := self.store.spend(client, what, count, limit * MB, time()):
            sentence = (
                f"Your address has used its {limit} MB of this hour, uploads and thumbnails"
                " together."
            )
            raise TooManyBytes(sentence, wait)

    def admit_job(self, client: str) -> None:
        """Let a client make one more job.

        Raises TooManyJobs.
        """
        limit = self._max_jobs_per_hour
        if wait := self.store.spend(client, "jobs", 1, limit, time()):
            raise TooManyJobs(f"Your address has made {limit} jobs within an hour.", wait)

    def admit_packing(self, client: str, job_id: str) -> None:
        """Count the thumbnails that a client downloads as one file.

        The file is a zip, or the markup of a whole job. Raises TooManyPacked.
        """
        count, limit = self.store.count_thumbnails(job_id), self._max_packed_per_hour
        if count and (wait := self.store.spend(client, "packed", count, limit, time())):
            raise TooManyPacked(
                f"Your address has downloaded {limit} thumbnails in zips and markup this hour.",
                wait,
            )

    def admit_attempt(self, client: str, is_right: bool) -> None:
        """Count a wrong token of a client.

        Raises TooManyAttempts, also for the right one then: guessing must tell nothing.
        """
        cost, limit = (0, MAX_WRONG_TOKENS - 1) if is_right else (1, MAX_WRONG_TOKENS)
        if wait := self.store.spend(client, "wrong tokens", cost, limit, time()):
            raise TooManyAttempts("Too many wrong tokens came from your address.", wait)

    def submit(self, recipe: Recipe, owner: str | None, keep_hours: float | None = None) -> str:
        """Create an open job without images; give its id, which cannot be guessed.

        It is kept for as long as the settings say, unless its owner says otherwise. Raises NoSpace.
        """
        self._require_space()
        job_id = str(uuid4())
        self._add_job(job_id, recipe, owner, time(), keep_hours)
        return job_id

    def _require_space(self) -> None:
        if not self._has_space():
            raise NoSpace

    def _has_space(self) -> bool:
        return self.storage.free_bytes() >= self._min_free

    def _kept_seconds(self, hours: float) -> float:
        return min(hours * 3600, self._max_retention_seconds)

    def _add_job(
        self,
        job_id: str,
        recipe: Recipe,
        owner: str | None,
        now: float,
        keep_hours: float | None = None,
    ) -> None:
        hours = self._retention_hours if keep_hours is None else keep_hours
        expires = now + self._kept_seconds(hours)
        self.store.add_job(job_id, owner, recipe.to_json(), now, expires, now + OPEN_SECONDS)

    def submit_image(
        self, recipe: Recipe, owner: str | None, upload: Upload, name: str, client: str
    ) -> str:
        """Create a whole job of one image, at half the price of the three steps; give its id.

        Raises NoSpace, FileTooLarge, ImageError or TooManyWaiting; nothing is kept then.
        """
        with self._counted_refusals(name):
            image = self._read(upload, name)
            job_id = str(uuid4())
            now = time()
            with self._kept(upload, job_id, image.id), self._within_share(client):
                self._add_job(job_id, recipe, owner, now)
                self.store.add_image(job_id, image, now, 0, 1, client)
        _log_accepted(job_id, image)
        return job_id

    def open_upload(self) -> Upload:
        """Open a file to receive one image; where there is no room, it keeps nothing of it."""
        return self.storage.open_upload(self._max_file_mb * MB, self._has_space)

    def add_image(
        self,
        job_id: str,
        upload: Upload,
        name: str,
        position: int | None,
        client: str,
    ) -> str:
        """Make a received file an image of an open job; give the image's id.

        Files that are sent side by side arrive in any order: `position` keeps that of the uploader.
        A file that comes to its place a second time, because the answer got lost, is not kept
        twice.
        Raises NoSpace, FileTooLarge, ImageError where it is no image that we take, JobNotFound,
        JobClosed, TooManyImages or TooManyWaiting; nothing is kept then.
        """
        with self._counted_refusals(name):
            image = self._read(upload, name, position)
            before = self.store.same_image(job_id, image)
            if before is not None:
                return before
            now = time()
            with self._kept(upload, job_id, image.id), self._within_share(client):
                until = now + OPEN_SECONDS
                if not self.store.add_image(job_id, image, now, until, self._max_images, client):
                    self._refuse(job_id)
        _log_accepted(job_id, image)
        return image.id

    @contextmanager
    def _counted_refusals(self, name: str) -> Iterator[None]:
        """Tell the operator of a file that is not taken, and why."""
        try:
            yield
        except REFUSALS as error:
            logger.info("image refused", extra={"code": error.code, "file_name": clean_name(name)})
            self.count_refused(error.code)
            raise

    @contextmanager
    def _kept(self, upload: Upload, job_id: str, image_id: str) -> Iterator[None]:
        """Keep an upload as an original, unless the row that the block writes cannot be."""
        self.storage.keep_original(upload, job_id, image_id)
        try:
            yield
        except BaseException:
            self.storage.delete_original(job_id, image_id)
            raise

    def _read(self, upload: Upload, name: str, position: int | None = None) -> NewImage:
        """Tell what an upload is, or refuse it. Only the header is read."""
        if upload.is_without_space:
            raise NoSpace
        if upload.is_too_large:
            raise FileTooLarge(upload.bytes, self._max_file_mb)
        upload.flush()
        header = read_header(upload.path, self.decoder.image)
        return NewImage(
            id=str(uuid4()),
            position=position,
            name=clean_name(name),
            bytes=upload.bytes,
            format=header.format,
            width=header.width,
            height=header.height,
            had_gps=header.had_gps,
        )

    def _refuse(self, job_id: str) -> None:
        """Say why a job took no image."""
        if not self.job(job_id).is_open:
            raise JobClosed
        raise TooManyImages(self._max_images)

    def close(self, job_id: str, missing_files: Sequence[MissingFile] = ()) -> None:
        """Take no more images, and remember what is missing. A job without images is not kept.

        Raises JobNotFound.
        """
        self.store.close_job(job_id, missing_files)  # First: from here on no image can come.
        if not self.job(job_id).images:
            self.delete(job_id)

    def reopen(self, job_id: str) -> None:
        """Take images again, such as one that did not arrive the first time.

        Raises JobNotFound, or JobClosed where the job has as many as a job may have.
        """
        now = time()
        if not self.store.reopen_job(job_id, now, now + OPEN_SECONDS, self._max_images):
            self.job(job_id)
            raise JobClosed

    def job(self, job_id: str) -> Job:
        """Read a job with its images and thumbnails.

        Raises JobNotFound.
        """
        now = time()
        job = self.store.job(job_id, now)
        if job is None:
            raise self._not_found(job_id, now)
        return job

    def _not_found(self, job_id: str, now: float) -> JobNotFound:
        """Say why there is no job: of one that was deleted before its time, nothing is known."""
        return JobExpired() if self.store.has_expired(job_id, now) else JobNotFound()

    def has_thumbnails(self, job_id: str) -> bool:
        """Say whether any thumbnail of a job is ready."""
        return self.store.has_thumbnails(job_id)

    def image(self, job_id: str, image_id: str) -> tuple[Job, Image]:
        """Read one image, and the job that it belongs to.

        Raises JobNotFound or ImageNotFound.
        """
        job = self.job(job_id)
        image = next((image for image in job.images if image.id == image_id), None)
        if image is None:
            raise ImageNotFound
        return job, image

    def shows_original(self, image: Image) -> bool:
        """Say whether an image's original is there and looks in browsers as it does to us.

        They turn every picture as its EXIF says but a WebP.
        """
        if image.format not in SHOWN_BY_BROWSERS:
            return False
        if image.format != "webp":
            return self.storage.has_files(image.job_id, image.id, None)
        try:
            path = self.storage.original(image.job_id, image.id)
            return read_header(path, self.decoder.image).orientation == 1
        except (FileNotFoundError, ImageError):  # The limits may be others by now.
            return False

    def progress(self, job_id: str) -> Progress:
        """Say how far a job is.

        Raises JobNotFound.
        """
        now = time()
        progress = self.store.progress(job_id, now)
        if progress is None:
            raise self._not_found(job_id, now)
        return progress

    def owned(self, owner: str | None, before: float = inf) -> JobList:
        """List the newest jobs of one owner that were created before a time."""
        return self.store.owned_jobs(owner, time(), before, LISTED_JOBS)

    def listed(self, job_id: str) -> ListedJob:
        """Read what a list shows of one job.

        Raises JobNotFound.
        """
        now = time()
        job = self.store.listed_job(job_id, now)
        if job is None:
            raise self._not_found(job_id, now)
        return job

    def ids(self, owner: str | None = None) -> list[str]:
        """List the ids of one owner's jobs, or of everybody's, newest first."""
        return self.store.job_ids(time(), owner)

    def is_owner(self, job_id: str, owner: str | None) -> bool:
        """Say whether somebody submitted a job.

        Raises JobNotFound.
        """
        now = time()
        answer = self.store.is_owner(job_id, owner, now)
        if answer is None:
            raise self._not_found(job_id, now)
        return answer

    def remake(self, job_id: str, recipe: Recipe, client: str) -> None:
        """Make the images of a job anew, but for those cancelled before they were ever made.

        What was made before stays until it is replaced. Raises NoSpace or TooManyWaiting.
        """
        self._require_space()
        with self._within_share(client):
            self.store.set_recipe(job_id, recipe.to_json(), time(), client)

    def set_focus(self, job_id: str, image_id: str, focus: Point | None, client: str) -> None:
        """Choose what the crops of an image keep in the middle, and make it anew.

        None leaves that to the recipe. Raises ImageNotFound, NoSpace or TooManyWaiting.
        """
        self._require_space()
        with self._within_share(client):
            if not self.store.set_focus(job_id, image_id, focus, time(), client):
                raise ImageNotFound

    def retry(self, job_id: str, image_id: str | None, client: str) -> None:
        """Try again one image of a job, or all that failed, or else all that were cancelled.

        Raises NoSpace or TooManyWaiting.
        """
        self._require_space()
        with self._within_share(client):
            self.store.retry(job_id, image_id, time(), client)

    def cancel(self, job_id: str, image_id: str | None = None) -> None:
        """Let images that wait wait no longer: one of a job, or all."""
        self.store.cancel(job_id, image_id, time())

    def keep(self, job_id: str, hours: float) -> None:
        """Keep a job for some hours from now, up to its maximum.

        The maximum counts from the creation of the job. One that is kept for longer stays so.
        """
        expires = time() + self._kept_seconds(hours)
        self.store.extend_job(job_id, expires, self._max_retention_seconds)

    def follow(self, job_id: str) -> tuple[Job, Outlook | None]:
        """Read a job, and its outlook unless it is finished, in one snapshot.

        Raises JobNotFound.
        """
        with self.store.snapshot():
            job = self.job(job_id)
            return job, None if job.is_finished else self.outlook(job)

    def follow_unchanged(self, job_id: str, version: int) -> tuple[Progress, Outlook] | None:
        """Read a job's progress and outlook in one snapshot, if it still has a version.

        None if it changed or is finished. Raises JobNotFound.
        """
        with self.store.snapshot():
            job = self.progress(job_id)
            if job.version != version or job.is_finished:
                return None
            return job, self.outlook(job)

    def outlook(self, job: Job | Progress) -> Outlook:
        """Say when a job's turn comes and how long it all takes, by what the last images took."""
        now = time()
        with self.store.snapshot():
            ahead, ahead_of_last = self.store.count_ahead(job.id, now)
            workers = self.store.count_workers(alive_since=now - ALIVE_SECONDS)
            mean = self.store.mean_work_seconds()
        if mean is None or not workers or not job.left:  # Who knows what is still to come?
            return Outlook(ahead, None, bool(workers))
        seconds = ceil((ahead_of_last + job.left) * mean / workers)
        return Outlook(ahead, seconds, has_workers=True)

    def delete(self, job_id: str) -> None:
        """Remove a job, its rows and its files, at once; a worker on it notices and gives up."""
        self.store.delete_job(job_id, time())
        self._delete_files(job_id)

    def _delete_expired(self, job_id: str) -> None:
        """Remove a job whose time is over, and remember that it was."""
        self.store.delete_expired_job(job_id, time())
        self._delete_files(job_id)

    def _delete_files(self, job_id: str) -> None:
        self.storage.delete_job(job_id)
        logger.info("job deleted", extra={"job_id": job_id})

    def delete_soon(self, job_id: str) -> None:
        """Remove a job, and by and by its files, which nobody can reach any more.

        A busy disk takes seconds for the thousands of a large job. Where this process ends before
        they are gone, a sweep removes the rest.
        """
        self.store.delete_job(job_id, time())
        doomed = self.storage.hide_job(job_id)
        Thread(target=_try, args=(self.storage.remove, doomed), daemon=True).start()
        logger.info("job deleted", extra={"job_id": job_id})

    # For workers

    def claim(self, worker: str) -> Claim | None:
        """Take the next image to work on; None where there is nothing to do, or no room for it."""
        if not self._has_room():
            return None
        now = time()
        return self.store.claim(
            worker, now, now + LEASE_SECONDS, MAX_ATTEMPTS, self._limits_of_work
        )

    def renew(self, claim: Claim) -> None:
        """Prolong a claim while its work goes on.

        Raises ClaimLost.
        """
        now = time()
        self.store.beat(claim.worker, now)
        if not self.store.renew(claim, now + LEASE_SECONDS):
            raise ClaimLost

    def finish(self, claim: Claim, folder: Path, result: Result) -> None:
        """Publish the files of `folder` as the image's thumbnails.

        Those that they replace stay for a while, until a sweep removes them.
        Raises ClaimLost, with nothing published.
        """
        place = self._place(claim)
        self.storage.publish(folder, place)
        rows = [asdict(thumbnail) for thumbnail in result.thumbnails]
        header = result.header
        facts = {
            "width": header.width,
            "height": header.height,
            "had_gps": header.had_gps,
            "thumbhash": result.thumbhash,
            "color": result.color,
        }
        before = self.store.thumbnails_folder(claim.image_id)
        if before is not None:  # First: a sweep that finds it without rows must know since when.
            self.storage.begin_age(before)
        if not self.store.finish(claim, facts, place, rows, time()):
            self.storage.unpublish(place)
            raise ClaimLost

    def _place(self, claim: Claim) -> str:
        return self.storage.thumbnails_folder(claim.job_id, claim.image_id, claim.attempt)

    def fail(self, claim: Claim, code: str, message: str) -> None:
        """Give an image up, for a reason that its owner reads."""
        if not self.store.fail(claim, code, message, time()):
            raise ClaimLost

    def release(self, claim: Claim) -> None:
        """Put an image back, unharmed, where its worker cannot go on.

        Raises ClaimLost; the image may be finished by then.
        """
        if not self.store.release(claim, time()):
            raise ClaimLost
        self.storage.unpublish(self._place(claim))

    def expire_lease(self, claim: Claim) -> None:
        """End a claim now, as if its worker had died: another worker may try.

        Raises ClaimLost.
        """
        if not self.store.expire_lease(claim, time()):
            raise ClaimLost

    def has_work(self) -> bool:
        """Say whether some image waits for a worker, and there is room to work on it."""
        return self._has_room() and self.store.has_claimable(
            time(), MAX_ATTEMPTS, self._limits_of_work
        )

    def give_up_lost(self) -> None:
        """Give up images that cost too many workers."""
        message = "The server gave up on this image after several tries. Try again later."
        for job_id, image_id in self.store.fail_lost("worker_lost", message, time(), MAX_ATTEMPTS):
            _log_failed(job_id, image_id, "worker_lost")

    def _has_room(self) -> bool:
        """Say whether the disk has room for the thumbnails of one more image."""
        return self.storage.free_bytes() >= max(self._min_free, ROOM_FOR_WORK)

    def beat(self, worker: str) -> None:
        """Note that a worker is alive."""
        self.store.beat(worker, time())

    def sweep(self) -> None:
        """Remove what expired, and what crashes left behind; what resists stops nothing else."""
        for job_id in self.store.expired_job_ids(time()):
            _try(self._delete_expired, job_id)
        for job_id in self.storage.abandoned_job_ids():
            if not self.store.has_job(job_id):
                _try(self.storage.delete_job, job_id)
        # Of jobs that go on: what was replaced, or a process was killed between a file and its row.
        known = self.store.places()  # First: what is replaced after this is too young to be listed.
        for place in self.storage.old_places(is_full=not self._has_space()) - known:
            _try(self.storage.delete_place, place)
        for job_id, image_id, folder in self.store.image_places():
            if self.storage.has_files(job_id, image_id, folder):
                continue
            if self.store.fail_without_files(image_id, *FILE_LOST, time()):
                _log_failed(job_id, image_id, FILE_LOST[0])
        self.storage.sweep()
        self.store.forget_workers(time() - 3600)
        self.store.forget_usage(time())
        self.store.forget_expired_jobs(time() - REMEMBERED_SECONDS)

    # For the operator

    def health(self) -> Health:
        """Say how the consumer fares and how much there is to do."""
        now = time()
        queue = self.store.queue(alive_since=now - ALIVE_SECONDS)
        beat, oldest = queue.last_beat, queue.oldest
        return Health(
            workers=queue.workers,
            last_beat_seconds=None if beat is None else round(now - beat, 3),
            queue_depth=queue.depth,
            oldest_wait_seconds=0.0 if oldest is None else round(now - oldest, 3),
            free_disk_bytes=self.storage.free_bytes(),
        )

    def statistics(self) -> Statistics:
        """Read the counters, the histograms and the health in one snapshot."""
        with self.store.snapshot():
            return Statistics(
                counters=self.store.counters(),
                wait=self.store.durations("wait"),
                work=self.store.durations("work"),
                health=self.health(),
            )


def _try(remove: Callable[[Any], None], what: str | Path) -> None:
    try:
        remove(what)
    except OSError:
        logger.exception("cannot remove %s", what)
