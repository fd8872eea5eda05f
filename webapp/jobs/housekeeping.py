"""Delete expired jobs, and what crashes left behind, each minute."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from webapp.jobs.errors import FILE_LOST
from webapp.jobs.events import log_deleted, log_failed
from webapp.jobs.storage import Storage
from webapp.jobs.store import Store

logger = logging.getLogger(__name__)

# How long we answer 410 instead of 404 for an expired job.
REMEMBERED_SECONDS = 30 * 86400.0
FORGET_WORKERS_SECONDS = 3600.0


def sweep(store: Store, storage: Storage) -> None:
    """Remove what expired and what crashes left behind; an error stops nothing else."""
    for job_id in store.jobs.expired_ids():
        with _logged_errors(job_id):
            if store.jobs.delete_expired(job_id):
                storage.delete_job(job_id)
                log_deleted(job_id)
    for job_id in {*store.jobs.deleted_ids(), *storage.hidden_job_ids()}:
        with _logged_errors(job_id):
            if store.jobs.exists(job_id):
                place_thumbnails(store, storage, job_id)
            else:
                storage.delete_job(job_id)
    for job_id in storage.abandoned_job_ids():
        if not store.jobs.exists(job_id):
            with _logged_errors(job_id):
                storage.delete_job(job_id)
    delete_replaced(store, storage, store.now() - storage.replaced_seconds())
    # Of jobs that go on: a process was killed between a file and its row.
    known = store.queue.known_paths()  # First: what gets a row after this is too young to be old.
    for path in storage.old_paths() - known:
        with _logged_errors(path):
            storage.delete_path(path)
    for job_id, image_id, folder in store.queue.expected_files():
        if storage.has_files(job_id, image_id, folder):
            continue
        if store.queue.fail_without_files(image_id, *FILE_LOST):
            log_failed(job_id, image_id, FILE_LOST[0])
    storage.sweep()
    store.operations.forget_workers(store.now() - FORGET_WORKERS_SECONDS)
    store.usage.forget()
    store.jobs.forget_expired(store.now() - REMEMBERED_SECONDS)


def delete_replaced(store: Store, storage: Storage, before: float) -> None:
    """Delete the thumbnails that were replaced before a time.

    Those of an image in one transaction with their rows: no worker can restore one meanwhile.
    """
    for image_id in store.queue.images_with_replaced(before):
        with _logged_errors(image_id), store.db.transaction():
            for path in store.queue.forget_replaced(image_id, before):
                storage.delete_thumbnail(path)


def place_thumbnails(store: Store, storage: Storage, job_id: str) -> None:
    """Hide the thumbnails of a deleted job, and show those of any other."""
    with store.db.transaction():  # Else it may be restored or deleted in between.
        if store.jobs.is_deleted(job_id):
            storage.hide(job_id)
        else:
            storage.show(job_id)


@contextmanager
def _logged_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError:
        logger.exception("cannot remove %s", what)
