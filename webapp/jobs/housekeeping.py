"""Delete expired jobs, and what crashes left behind, each minute.

A sweep costs what changed, not what lies there. The rows are the truth: a job that has ended keeps
its rows until its files are gone, and `storage` has notes of files that may have no row. `flask
jobs check` compares all files with all rows.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from webapp.jobs.events import log_deleted
from webapp.jobs.storage import Storage
from webapp.jobs.store import Store

logger = logging.getLogger(__name__)

SLICE_SECONDS = 0.04  # Images pass between two slices.
IMAGES_AT_ONCE = 50  # That a step deletes of a job: 8 ms beside a million others.
# How long we answer 410 instead of 404 for an expired job.
REMEMBERED_SECONDS = 30 * 86400.0
FORGET_WORKERS_SECONDS = 3600.0


class Housekeeping:
    """Sweep in slices.

    A sweep is lost with its process; the next one does what it left.
    """

    def __init__(self, store: Store, storage: Storage) -> None:
        self._store = store
        self._storage = storage
        self._steps: Iterator[None] | None = None
        self._seconds = 0.0

    @property
    def is_over(self) -> bool:
        """True if no sweep goes on."""
        return self._steps is None

    def begin(self) -> None:
        """Begin a sweep, unless one goes on."""
        if self._steps is None:
            self._steps = sweep(self._store, self._storage)
            self._seconds = 0.0

    def go_on(self) -> None:
        """Go on with a sweep for a slice of time."""
        if self._steps is None:
            return
        began = time.perf_counter()
        try:
            for _ in self._steps:
                if time.perf_counter() - began > SLICE_SECONDS:
                    return
        finally:
            self._seconds += time.perf_counter() - began
        self._steps = None
        logger.info("swept", extra={"ms": round(self._seconds * 1000)})


def sweep(store: Store, storage: Storage) -> Iterator[None]:
    """Remove what expired and what crashes left behind, in short steps.

    An error stops nothing else. No step leaves a transaction open. A power cut may undo the last
    steps: then the next sweep does them again. Where it undoes what was done to files, but not to
    their rows, only `flask jobs check` finds the files.
    """
    before = store.now() - storage.replaced_seconds()
    for part in (
        _delete_all_ended(store, storage),
        _place_all_thumbnails(store, storage),
        _settle_all(store, storage),
        () if storage.keeps_replaced() else delete_replaced(store, storage, before),
        storage.delete_old(),
        _forget(store),
    ):
        try:
            yield from part
        except Exception:
            logger.exception("a part of a sweep failed")


def _delete_all_ended(store: Store, storage: Storage) -> Iterator[None]:
    skip = 0
    while job_ids := store.jobs.ended_ids(skip):
        for job_id in job_ids:
            with _logged_errors(job_id):
                yield from delete_ended(store, storage, job_id)
            skip += store.jobs.has_ended(job_id)  # It cannot be deleted.
            yield
    while store.jobs.close_left_open():
        yield


def delete_ended(store: Store, storage: Storage, job_id: str) -> Iterator[None]:
    """Delete a job that has ended, its files and its rows, in steps.

    The files go with the row of the job, just before it: after a crash, the row is there and still
    says that the job has ended.
    """
    trash = None
    while trash is None:
        with store.db.relaxed_durability(), store.db.transaction():
            if not store.jobs.has_ended(job_id):  # It was extended or restored meanwhile.
                return
            if not store.jobs.delete_images(job_id, IMAGES_AT_ONCE):
                trash = storage.move_to_trash(job_id)
                store.jobs.delete(job_id)
        yield
    log_deleted(job_id)
    yield from storage.empty_trash(trash)


def _place_all_thumbnails(store: Store, storage: Storage) -> Iterator[None]:
    for job_id in {*store.jobs.deleted_ids(), *storage.hidden_job_ids()}:
        with _logged_errors(job_id):
            if store.jobs.exists(job_id):
                place_thumbnails(store, storage, job_id)
            else:
                yield from storage.empty_trash(storage.move_to_trash(job_id))
        yield


def place_thumbnails(store: Store, storage: Storage, job_id: str) -> None:
    """Hide the thumbnails of a deleted job, and show those of any other."""
    with store.db.transaction():  # Else it may be restored or deleted in between.
        if store.jobs.is_deleted(job_id):
            storage.hide(job_id)
        else:
            storage.show(job_id)


def _settle_all(store: Store, storage: Storage) -> Iterator[None]:
    """Delete files that killed processes left without rows, by their notes."""
    for path in storage.left_unsettled():
        with _logged_errors(path):
            if path not in store.queue.known_paths(path.partition("/")[0]):
                storage.delete_path(path)
            storage.settle(path)
        yield


def delete_replaced(store: Store, storage: Storage, before: float) -> Iterator[None]:
    """Delete the thumbnails that were replaced before a time, in steps.

    Those of an image in one transaction with their rows: no worker can restore one meanwhile.
    """
    skip = 0
    while image_ids := store.queue.images_with_replaced(before, skip):
        for image_id in image_ids:
            try:
                with store.db.relaxed_durability(), store.db.transaction():
                    for path in store.queue.forget_replaced(image_id, before):
                        storage.delete_thumbnail(path)
            except Exception:
                logger.exception("cannot remove thumbnails of %s", image_id)
                skip += 1
            yield


def _forget(store: Store) -> Iterator[None]:
    with store.db.relaxed_durability():
        store.operations.forget_workers(store.now() - FORGET_WORKERS_SECONDS)
        store.usage.forget()
        store.idempotency.forget()
        store.deliveries.bring_forward()
        store.webhook_secrets.forget()
        store.tokens.forget()
    yield
    while True:
        with store.db.relaxed_durability():
            if not store.jobs.forget_expired(store.now() - REMEMBERED_SECONDS):
                return
        yield


@contextmanager
def _logged_errors(what: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        logger.exception("cannot remove %s", what)
