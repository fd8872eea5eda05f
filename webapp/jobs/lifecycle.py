"""The owner's side of a job: create, follow, change and delete it.

A job is created open, takes images one by one, is closed, and is finished when its last image is.
What is acknowledged is on the disk: first the file, then the row, and only then the caller notifies
the workers.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from math import inf
from pathlib import Path
from typing import cast
from uuid import uuid4

from webapp.config import MB, Config
from webapp.engine.errors import ImageError
from webapp.engine.header import SHOWN_BY_BROWSERS
from webapp.engine.identify import read_header
from webapp.engine.limits import ImageLimits
from webapp.jobs.check import fail_lost
from webapp.jobs.deliveries import Callback
from webapp.jobs.errors import (
    FETCH_CANCELLED,
    AltTextTooLong,
    Busy,
    ClaimLost,
    DeliveryNotFound,
    FetchingIsOff,
    FileTooLarge,
    ImageNotFailed,
    ImageNotFound,
    JobClosed,
    JobDeleted,
    JobExpired,
    JobNotFound,
    KeyInUse,
    NoSpace,
    TokenRequired,
    TooManyImages,
    TooManyWaiting,
    TooMuchKept,
)
from webapp.jobs.events import (
    log_accepted,
    log_deleted_with_undo,
    log_restored,
    log_reused,
)
from webapp.jobs.health import QueueEstimate, estimate
from webapp.jobs.housekeeping import delete_ended, place_thumbnails
from webapp.jobs.idempotency import Hold
from webapp.jobs.limits import OPEN_SECONDS, ClientLimits, within_kept_limit
from webapp.jobs.models import (
    FetchClaim,
    Image,
    Job,
    JobVersion,
    MadeBefore,
    MissingFile,
    NewImage,
    Progress,
)
from webapp.jobs.names import ALT_LENGTH, clean_alt, clean_job_name, clean_name
from webapp.jobs.outbound_errors import RequestRefused
from webapp.jobs.outbound_process import WAKE_UP
from webapp.jobs.owners import is_token, owns
from webapp.jobs.reuse import Copies, copies_published, find_made
from webapp.jobs.storage import Storage
from webapp.jobs.store import Store
from webapp.jobs.store.rows import expiry
from webapp.jobs.trials import Trials
from webapp.jobs.upload import Upload
from webapp.jobs.urls import Guard
from webapp.jobs.wake_up import WakeUp, WakeUps
from webapp.jobs.watch import WATCHERS, JobWatch
from webapp.recipes.outputs import (
    INVALID_POINT,
    InvalidRecipe,
    Point,
    Recipe,
    RecipeLimits,
    is_point,
)

logger = logging.getLogger(__name__)

# An image of more work is slow: at most half of the workers decode such images. A photo of 12
# megapixels takes 0.03 to 0.5 s.
SLOW_SECONDS = 1.0
REFUSALS = (
    FetchingIsOff,
    FileTooLarge,
    ImageError,
    JobClosed,
    NoSpace,
    RequestRefused,
    TooManyImages,
    TooManyWaiting,
    TooMuchKept,
)


class _SentBefore(Exception):
    """An image is in its job already, at the same position."""


class Jobs:
    """Create, follow, change and delete jobs: rows and files that belong together."""

    def __init__(
        self, store: Store, storage: Storage, limits: ClientLimits, config: Config
    ) -> None:
        self.store = store
        self.storage = storage
        self.limits = limits
        self.config = config
        self.recipe_limits = RecipeLimits.from_config(config)
        # Half of the threads of a web process stay free for requests that do not wait.
        places = config.web_threads // 2
        self._watchers = WakeUps(config.instance / WATCHERS)
        self.watch = JobWatch(store, places, self._watchers)
        self.trials = Trials(store, storage, limits, self.watch, max(places, 1))
        self._image_limits = ImageLimits.from_config(config)
        self.guard = Guard(config)
        self._outbound = WakeUp(config.instance / WAKE_UP)

    # Create

    def submit(
        self,
        recipe: Recipe,
        owner: str | None,
        keep_hours: float | None = None,
        *,
        hold: Hold | None = None,
        callback_url: str | None = None,
        origin: str = "",
        job_name: str = "",
    ) -> str:
        """Create an open job without images, and return its id, which cannot be guessed.

        Without `keep_hours` it is kept for as long as the settings say; with infinity, until its
        owner deletes it. `hold` is of the idempotency key that makes it. When it is finished,
        `callback_url` is told, with links to the `origin` that its owner knows this server by.
        Raises NoSpace, TooMuchKept, KeyInUse, TokenRequired or RequestRefused.
        """
        callback = self._callback(owner, callback_url, origin)
        self._require_space()
        job_id = str(uuid4())
        with within_kept_limit(self.store, job_id, self.config, coming=1):  # An image has more.
            self._add_job(job_id, recipe, owner, keep_hours, hold, callback, job_name)
        return job_id

    def submit_image(
        self,
        recipe: Recipe,
        owner: str | None,
        upload: Upload,
        name: str,
        client: str,
        keep_hours: float | None = None,
        *,
        reuses: bool = False,
        hold: Hold | None = None,
        callback_url: str | None = None,
        origin: str = "",
        job_name: str = "",
    ) -> str:
        """Create a whole job of one image in one transaction, and return its id.

        It costs half of what the three steps cost. With `reuses`, an image is done at once where
        its owner has thumbnails of the same bytes and recipe. The rest is as for `submit`. Raises
        NoSpace, FileTooLarge, ImageError, TooManyWaiting, TooMuchKept, KeyInUse, TokenRequired or
        RequestRefused; nothing is kept then.
        """
        callback = self._callback(owner, callback_url, origin)
        with self._counted_refusals(name):
            image = self._read(upload, name)
            job_id = str(uuid4())
            made = None
            if reuses and owner:
                image = replace(image, sha256=upload.sha256)
                made = find_made(self.store, job_id, image, owner, recipe.to_json())
            with (
                self._original_stored(upload, job_id, image.id),
                copies_published(self.store, self.storage, made, job_id, image.id) as copies,
                self.limits.within_share(client),
                within_kept_limit(self.store, job_id, self.config),
            ):
                self._add_job(job_id, recipe, owner, keep_hours, hold, callback, job_name)
                if hold:
                    self.store.idempotency.complete(job_id)
                self.store.queue.add(job_id, image, None, 1, client)
                if copies:
                    copies.finish(image.id)
        self._log_added(job_id, image, copies)
        return job_id

    def open_upload(self) -> Upload:
        """Open a file to receive one image of at most the size that the settings allow."""
        return self.storage.open_upload(self.config.max_file_mb * MB)

    def add_image(
        self,
        job_id: str,
        upload: Upload,
        name: str,
        position: int | None,
        client: str,
        *,
        reuses: bool = False,
    ) -> str:
        """Add a received file to an open job, and return the image's id.

        Files that are sent side by side arrive in any order: `position` keeps that of the uploader.
        A file that arrives a second time at its position, because the answer was lost, is not added
        again. With `reuses`, it is done at once where its owner has thumbnails of the same bytes
        and recipe. Raises NoSpace, FileTooLarge, ImageError, JobNotFound, JobClosed, TooManyImages,
        TooManyWaiting or TooMuchKept; nothing is kept then.
        """
        with self._counted_refusals(name):
            image = self._read(upload, name, position)
            made = None
            if reuses:
                image, made = self._find_made(job_id, image, upload)
            before = self.store.queue.find_same(job_id, image)
            if before is not None:
                return before
            try:
                with (
                    self._original_stored(upload, job_id, image.id),
                    copies_published(self.store, self.storage, made, job_id, image.id) as copies,
                    self.limits.within_share(client),
                    within_kept_limit(self.store, job_id, self.config, lets_new_expire=True),
                ):
                    # Again, now that no other request can add it.
                    before = self.store.queue.find_same(job_id, image)
                    if before is not None:
                        raise _SentBefore
                    if not self.store.queue.add(
                        job_id, image, OPEN_SECONDS, self.config.max_images, client
                    ):
                        self._refuse(job_id)
                    if copies:
                        copies.finish(image.id)
            except _SentBefore:
                return cast(str, before)
        self._log_added(job_id, image, copies)
        return image.id

    def add_url(
        self, job_id: str, url: str, name: str | None, position: int | None, client: str
    ) -> str:
        """Let an image be fetched for an open job, and return the fetch's id.

        It counts as an image of the job, which stays open until it is there or failed. Without
        `name`, it has the one that the other server tells. A URL that comes a second time at its
        position is not added again. Raises FetchingIsOff, RequestRefused, NoSpace, JobNotFound,
        JobClosed, TooManyImages or TooManyWaiting; nothing is kept then.
        """
        chosen = clean_name(name) if name else None
        with self._counted_refusals(chosen or "of a URL"):
            if not self.config.fetch_urls:
                raise FetchingIsOff
            self.guard.check(url)
            self._require_space()
            fetch_id = str(uuid4())
            with self.limits.within_share(client):
                before = self.store.fetches.find_same(job_id, position, url)
                if before is not None:
                    return before
                if not self.store.fetches.add(
                    job_id, fetch_id, url, chosen, position, client, self.config.max_images
                ):
                    self._refuse(job_id)
        self._outbound.send()
        return fetch_id

    def add_fetched(self, claim: FetchClaim, upload: Upload, name: str) -> str:
        """Add a file that was fetched to its job, and return the image's id.

        The fetch ends with that. It is done at once where its owner has thumbnails of the same
        bytes and recipe. Raises NoSpace, FileTooLarge, ImageError, TooMuchKept or
        ClaimLost; nothing is kept then.
        """
        with self._counted_refusals(name):
            job_id = claim.job_id
            image, made = self._find_made(job_id, self._read(upload, name, claim.position), upload)
            with (
                self._original_stored(upload, job_id, image.id),
                copies_published(self.store, self.storage, made, job_id, image.id) as copies,
                within_kept_limit(self.store, job_id, self.config, lets_new_expire=True),
            ):
                if not self.store.fetches.finish(claim, image, OPEN_SECONDS):
                    raise ClaimLost
                if copies:
                    copies.finish(image.id)
        self._log_added(job_id, image, copies)
        return image.id

    def replace_image(
        self, job_id: str, image_id: str, upload: Upload, name: str, client: str
    ) -> None:
        """Put another file, as an image of its own, in the place of one that failed.

        Raises NoSpace, FileTooLarge, ImageError, ImageNotFound, ImageNotFailed, TooManyWaiting or
        TooMuchKept; nothing changes then.
        """
        with self._counted_refusals(name):
            image = self._read(upload, name)
            with (
                self._original_stored(upload, job_id, image.id),
                self.limits.within_share(client),
                within_kept_limit(self.store, job_id, self.config, lets_new_expire=True),
            ):
                if not self.store.queue.replace(job_id, image_id, image, client):
                    self.image(job_id, image_id)
                    raise ImageNotFailed
                # By this note, a sweep deletes the thumbnails, and after a crash the original.
                self.storage.note_unsettled(f"{job_id}/{image_id}")
        self.storage.delete_original(job_id, image_id)
        log_accepted(job_id, image)

    def close(self, job_id: str, missing_files: Sequence[MissingFile] = ()) -> bool:
        """Take no more images, and remember which files are missing.

        A job without images or fetches is deleted; returns False then. Raises JobNotFound.
        """
        with self.store.db.transaction():  # First: no image can be added from here on.
            self.store.jobs.close(job_id, missing_files)
            self.store.idempotency.complete(job_id)
        if self.progress(job_id).counts.total or self.store.fetches.has_some(job_id):
            return True
        self.delete(job_id)
        return False

    def reopen(self, job_id: str) -> int:
        """Take images again, new ones or some that did not arrive the first time.

        Returns the position of the next image. Raises JobNotFound or TooManyImages.
        """
        position = self.store.jobs.reopen(job_id, OPEN_SECONDS, self.config.max_images)
        if position is None:
            self.progress(job_id)
            raise TooManyImages(self.config.max_images)
        return position

    def _add_job(
        self,
        job_id: str,
        recipe: Recipe,
        owner: str | None,
        keep_hours: float | None,
        hold: Hold | None,
        callback: Callback | None,
        name: str,
    ) -> None:
        hours = self.config.retention_hours if keep_hours is None else keep_hours
        keep_seconds = min(hours, self._max_retention_hours(owner, hours)) * 3600
        self.store.jobs.add(job_id, owner, recipe.to_json(), keep_seconds, OPEN_SECONDS, callback)
        if name:
            self.rename(job_id, name)
        if hold and not self.store.idempotency.link(hold, job_id):
            raise KeyInUse

    def _callback(self, owner: str | None, url: str | None, origin: str) -> Callback | None:
        """Check the form of a callback. Raises TokenRequired or RequestRefused."""
        if url is None:
            return None
        if not owner or not is_token(owner):
            raise TokenRequired
        try:
            self.guard.check(url)
        except RequestRefused as error:
            error.field = "callback_url"
            raise
        return Callback(url, origin)

    def _require_space(self) -> None:
        if not self.storage.has_space():
            raise NoSpace

    def _max_retention_hours(self, owner: str | None, hours: float) -> float:
        """Return the longest retention of a job, where some hours are asked for.

        Only a job with an owner, who can delete it, may be kept until then.
        """
        is_kept = hours == inf and owner and self.config.max_kept_mb
        return inf if is_kept else self.config.max_retention_hours

    def _read(self, upload: Upload, name: str, position: int | None = None) -> NewImage:
        """Read the header of an upload. Raises NoSpace, FileTooLarge or ImageError."""
        if upload.is_without_space:
            raise NoSpace
        if upload.is_too_large:
            raise FileTooLarge(upload.bytes, self.config.max_file_mb)
        upload.flush()
        header = read_header(upload.path, self._image_limits)
        return NewImage(
            id=str(uuid4()),
            position=position,
            name=clean_name(name),
            bytes=upload.bytes,
            format=header.format,
            width=header.width,
            height=header.height,
            had_gps=header.had_gps,
            is_slow=header.work_seconds > SLOW_SECONDS,
        )

    def _find_made(
        self, job_id: str, image: NewImage, upload: Upload
    ) -> tuple[NewImage, MadeBefore | None]:
        """Hash an upload, and find an image of its owner with the same thumbnails."""
        known = self.store.jobs.owner_and_recipe(job_id)
        if not known:
            return image, None
        image = replace(image, sha256=upload.sha256)
        return image, find_made(self.store, job_id, image, *known)

    def _log_added(self, job_id: str, image: NewImage, copies: Copies | None) -> None:
        log_accepted(job_id, image)
        if copies and copies.are_used:
            log_reused(job_id, image.id, copies.image_id)
            self._watchers.send()

    @contextmanager
    def _original_stored(self, upload: Upload, job_id: str, image_id: str) -> Iterator[None]:
        """Store an upload as an original, unless the block fails to write its row."""
        try:
            self.storage.keep_original(upload, job_id, image_id)
            yield
        except BaseException:
            self.storage.delete_original(job_id, image_id)
            self.storage.settle(f"{job_id}/{image_id}")
            raise
        self.storage.settle(f"{job_id}/{image_id}")

    @contextmanager
    def _counted_refusals(self, name: str) -> Iterator[None]:
        """Log and count the refusal of a file."""
        try:
            yield
        except REFUSALS as error:
            logger.info("image refused", extra={"code": error.code, "file_name": clean_name(name)})
            self.limits.count_refused(error.code)
            raise

    def _refuse(self, job_id: str) -> None:
        """Raise the reason why a job took no image."""
        if not self.progress(job_id).is_receiving:
            raise JobClosed
        raise TooManyImages(self.config.max_images)

    # Follow

    def job(self, job_id: str) -> Job:
        """Read a job with its images and thumbnails. Raises JobNotFound."""
        job = self.store.jobs.read(job_id)
        if job is None:
            raise self.not_found(job_id)
        return job

    def image(self, job_id: str, image_id: str) -> tuple[Job, Image]:
        """Read one image and its job. Raises JobNotFound or ImageNotFound."""
        job = self.job(job_id)
        image = next((image for image in job.images if image.id == image_id), None)
        if image is None:
            raise ImageNotFound
        return job, image

    def one_image(self, job_id: str, image_id: str) -> Image:
        """Read one image without the others of its job.

        Raises JobNotFound or ImageNotFound.
        """
        image = self.store.jobs.image(job_id, image_id)
        if image is None:
            self.version(job_id)
            raise ImageNotFound
        return image

    def version(self, job_id: str) -> JobVersion:
        """Read the version of a job, for the least that a read costs. Raises JobNotFound."""
        version = self.store.jobs.version(job_id)
        if version is None:
            raise self.not_found(job_id)
        return version

    def progress(self, job_id: str) -> Progress:
        """Read a job's progress with one query. Raises JobNotFound."""
        progress = self.store.jobs.progress(job_id)
        if progress is None:
            raise self.not_found(job_id)
        return progress

    def follow(self, job_id: str) -> tuple[Job, QueueEstimate | None]:
        """Read a job, and an estimate unless it is finished, in one snapshot.

        Raises JobNotFound.
        """
        with self.store.db.snapshot():
            job = self.job(job_id)
            return job, None if job.is_finished else estimate(self.store, job)

    def follow_unchanged(self, job_id: str, version: int) -> tuple[Progress, QueueEstimate] | None:
        """Read a job's progress and estimate in one snapshot, if it still has a version.

        Returns None if it changed or is finished. Raises JobNotFound.
        """
        with self.store.db.snapshot():
            job = self.progress(job_id)
            if job.version != version or job.is_finished:
                return None
            return job, estimate(self.store, job)

    def require(self, job_id: str) -> None:
        """Check that a job exists and has not expired. Raises JobNotFound."""
        if self.store.jobs.owner(job_id) is None:
            raise self.not_found(job_id)

    def is_owner(self, job_id: str, owner: str | None) -> bool:
        """Return whether an owner submitted a job. Raises JobNotFound."""
        job_owner = self.store.jobs.owner(job_id)
        if job_owner is None:
            raise self.not_found(job_id)
        return owns(owner, job_owner)

    def thumbnail(self, path: str) -> Path | None:
        """Find a published thumbnail by its path, or None.

        Where the server has lost it, its image fails.
        """
        file = self.storage.thumbnail(path)
        if file is None and (image_id := self.storage.image_of(path)):
            fail_lost(self.store, self.storage, image_id)
        return file

    def shows_original(self, image: Image) -> bool:
        """Return whether an original exists and browsers show it with our orientation.

        They apply the EXIF orientation to every format but WebP.
        """
        if image.format not in SHOWN_BY_BROWSERS:
            return False
        if image.format != "webp":
            return self.storage.original(image.job_id, image.id).exists()
        try:
            path = self.storage.original(image.job_id, image.id)
            return read_header(path, self._image_limits).orientation == 1
        except (FileNotFoundError, ImageError):  # The limits may have changed since.
            return False

    def not_found(self, job_id: str) -> JobNotFound:
        """Return why there is no job; one that is deleted for good leaves no reason."""
        if self.store.jobs.is_deleted(job_id):
            return JobDeleted()
        return JobExpired() if self.store.jobs.has_expired(job_id) else JobNotFound()

    # Change

    def remake(self, job_id: str, recipe: Recipe, client: str) -> None:
        """Make the thumbnails of a job again, with another recipe.

        Existing thumbnails stay until they are replaced. Images that were cancelled before they had
        thumbnails are left out. Raises NoSpace or TooManyWaiting.
        """
        self._require_space()
        with self.limits.within_share(client):
            self.store.queue.set_recipe(job_id, recipe.to_json(), client)

    def change_recipe(self, job_id: str, change: Callable[[Recipe], Recipe], client: str) -> None:
        """Make the thumbnails of a job again, with a change of its current recipe.

        Raises JobNotFound, NoSpace or TooManyWaiting, or what `change` raises.
        """
        self._require_space()
        with self.limits.within_share(client):  # A transaction: no other change gets lost.
            recipe = change(Recipe.from_json(self.job(job_id).recipe))
            self.store.queue.set_recipe(job_id, recipe.to_json(), client)

    def set_focal_point(
        self, job_id: str, image_id: str | None, point: Point | None, client: str
    ) -> None:
        """Set the focal point of an image, or of all images of a job, and make them again.

        No point leaves it to the recipe. Raises InvalidRecipe, ImageNotFound, NoSpace or
        TooManyWaiting.
        """
        if point and not is_point(point):
            raise InvalidRecipe("focus", INVALID_POINT)
        self._require_space()
        with self.limits.within_share(client):
            found = self.store.queue.set_focal_point(job_id, image_id, point, client)
            if image_id and not found:
                raise ImageNotFound

    def set_alt(self, job_id: str, image_id: str, text: str) -> None:
        """Set the alternative text of an image; if empty, its name is used.

        Raises AltTextTooLong or ImageNotFound.
        """
        alt = clean_alt(text)
        if len(alt) > ALT_LENGTH:
            raise AltTextTooLong(ALT_LENGTH)
        if not self.store.jobs.set_alt(job_id, image_id, alt or None):
            raise ImageNotFound

    def cancel(self, job_id: str) -> int:
        """Cancel images that wait or are to be fetched; return their number."""
        with self.store.db.transaction():
            fetches = self.store.fetches.cancel(job_id, *FETCH_CANCELLED, OPEN_SECONDS)
            return self.store.queue.cancel(job_id) + fetches

    def retry(self, job_id: str, image_id: str | None, client: str) -> int:
        """Retry an image, or all whose failure may pass, or else all cancelled ones.

        An image that would fail again stays as it is. Returns the number of images that wait again.
        Raises NoSpace or TooManyWaiting.
        """
        self._require_space()
        with self.limits.within_share(client):
            return self.store.queue.retry(job_id, image_id, client)

    def extend(self, job_id: str, hours: float) -> datetime | None:
        """Keep a job for some hours from now, up to the maximum since its creation.

        With infinite hours, it is kept until its owner deletes it. A longer retention stays.
        Returns when the job expires. Raises JobNotFound or TooMuchKept.
        """
        maximum = self._max_retention_hours(self.store.jobs.owner(job_id), hours) * 3600
        with within_kept_limit(self.store, job_id, self.config):
            expires = self.store.jobs.extend(job_id, min(hours * 3600, maximum), maximum)
        if expires is None:
            raise self.not_found(job_id)
        return expiry(expires)

    def rename(self, job_id: str, name: str) -> None:
        """Name a job; an empty name leaves that to its images. Raises JobNotFound."""
        if not self.store.jobs.rename(job_id, clean_job_name(name)):
            raise self.not_found(job_id)

    def send_again(self, job_id: str, delivery_id: str, client: str) -> None:
        """Send a delivery of a job again, or now if it waits for its next try.

        Raises DeliveryNotFound or TooManySent.
        """
        self.limits.admit_sending(client)
        if not self.store.deliveries.send_again(job_id, delivery_id):
            raise DeliveryNotFound
        self._outbound.send()

    # Delete

    def delete(self, job_id: str) -> None:
        """Delete a job, its rows and its files; its workers notice."""
        self.store.jobs.end(job_id)  # From now on, a sweep does the rest after a crash.
        for _ in delete_ended(self.store, self.storage, job_id):
            pass

    def discard_part(self, hold: Hold, job_id: str) -> None:
        """Delete a job of which a process that died made only a part.

        Its idempotency key then makes another. Raises KeyInUse if another request has that.
        """
        with self.store.db.transaction():
            if not self.store.idempotency.unlink(hold):
                raise KeyInUse
            self.store.jobs.end(job_id)
        self.delete(job_id)

    def delete_with_undo(self, job_id: str) -> None:
        """Delete a job so that its owner can restore it for a minute.

        From now on it is gone for all, and its images are not worked on; a sweep deletes its rows
        and files. Raises JobNotFound.
        """
        with self.store.db.transaction():
            if not self.store.jobs.mark_deleted(job_id):
                raise self.not_found(job_id)
            self.store.queue.hold_back(job_id)
        place_thumbnails(self.store, self.storage, job_id)
        log_deleted_with_undo(job_id)

    def restore(self, job_id: str, owner: str | None, client: str) -> bool:
        """Restore a job that its owner deleted; return False if that is too late.

        Its images wait again, unless the queue or the limits of the client have no room for them:
        then they stay cancelled, and can be retried.
        """
        try:
            self.limits.admit_images(client)
            with self.limits.within_share(client):
                return self._restore(job_id, owner, client)
        except Busy:
            with self.store.db.transaction():
                return self._restore(job_id, owner, None)

    def _restore(self, job_id: str, owner: str | None, client: str | None) -> bool:
        if not self.store.jobs.restore(job_id, owner):
            return False
        if client is None:
            self.store.queue.cancel_held_back(job_id)
        else:
            self.store.queue.queue_held_back(job_id, client)
        # Within the transaction: no job is shown without its files, and no sweep deletes them.
        self.storage.show(job_id)
        log_restored(job_id)
        return True
