"""Compare all files with all rows, however many, in little memory.

A sweep finds what a killed process left. This finds what a power cut or a restored backup left,
and files that others deleted.
"""

import os
from collections.abc import Iterator

from webapp.jobs.errors import FILE_LOST
from webapp.jobs.events import log_failed
from webapp.jobs.storage import Storage
from webapp.jobs.store import Store


def lost_images(store: Store, storage: Storage) -> Iterator[str]:
    """Find the images that miss a file that they must have."""
    return (image_id for image_id in store.queue.ids() if _job_missing(store, storage, image_id))


def fail_lost(store: Store, storage: Storage, image_id: str) -> bool:
    """Mark an image as failed if it misses a file; return whether it does."""
    job_id = _job_missing(store, storage, image_id)
    if not job_id:
        return False
    with store.db.transaction():  # No file of it is moved or replaced meanwhile.
        if not _job_missing(store, storage, image_id):
            return False
        store.queue.fail_without_files(image_id, *FILE_LOST)
    log_failed(job_id, image_id, FILE_LOST[0])
    return True


def _job_missing(store: Store, storage: Storage, image_id: str) -> str | None:
    """Return the id of an image's job if it misses a file, or None."""
    for job_id, path in store.queue.expected_files(image_id):
        if path is None and not storage.original(job_id, image_id).exists():
            return job_id
        if path is not None and not storage.thumbnail_file(path):
            return job_id
    return None


def orphans(store: Store, storage: Storage) -> Iterator[str]:
    """Find originals and folders of thumbnails without a row, as `job/name`.

    What is unsettled is not one: a process is about to write its row, or the next sweep looks. Nor
    is a file of a job that has ended: its rows are deleted in steps, and its files after them.
    """
    for folder in storage.folders_of_jobs():
        job_id = folder.name
        try:
            found = {f"{job_id}/{name}" for name in os.listdir(folder)}
        except FileNotFoundError:  # The job was deleted in this moment.
            continue
        for path in found - store.queue.known_paths(job_id):
            # In this order: a row comes before its note goes, rows of images go before the row of
            # their job, and all files before that.
            if (
                not storage.is_unsettled(path)
                and path not in store.queue.known_paths(job_id)
                and not store.jobs.has_ended(job_id)
                and (folder.parent / path).exists()
            ):
                yield path
