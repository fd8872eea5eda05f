"""Originals and thumbnails on disk. Nothing else knows where a result file lies.

    instance/originals/<job>/<image>                       what was uploaded
    instance/thumbnails/<job>/<image>-<attempt>/<file>     what was made of it
    instance/tmp/                                          whatever is not finished

A file or folder is written under `tmp/`, synced, and renamed to its place, so a reader never sees
half of one. Ids are UUIDs that we made; an uploaded file's own name is never part of a path.

Thumbnails that are made again get a new place. The old one has no rows from then on, but stays for
some minutes, and goes with a sweep.
"""

import logging
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from webapp.jobs.upload import Upload

logger = logging.getLogger(__name__)

# <job>/<image>-<attempt>/<output>.<extension>
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_PUBLISHED = re.compile(rf"{_UUID}/{_UUID}-[0-9]+/[a-z0-9-]+\.[a-z]+", re.ASCII)

# To move a deleted job under `tmp/` takes milliseconds: what is older was left by a crash.
REMOVING_SECONDS = 60.0
# No upload or decode takes so long: what is older was left by a crash.
ABANDONED_SECONDS = 12 * 3600.0
# Thumbnails that were made again stay this long beside the new ones: for the zip that somebody is
# downloading, a gigabyte of it at 10 Mbit/s, and for the tab that still shows them.
REPLACED_SECONDS = 15 * 60.0
# Not shorter where the disk is full: new ones lie there for seconds before their rows are written.
REPLACED_SECONDS_IN_NEED = 60.0
_DOOMED = "deleted-"  # How the folders under `tmp/` are called that hold deleted jobs.


class Storage:
    """Keep the files of all jobs under one folder, on one file system."""

    def __init__(self, root: Path) -> None:
        self.originals = root / "originals"
        self.thumbnails = root / "thumbnails"
        self.tmp = root / "tmp"
        # The web server may be of our group and read thumbnails; the rest is ours alone.
        for folder, mode in ((root, 0o750), (self.thumbnails, 0o750)):
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
        for folder in (self.originals, self.tmp):
            folder.mkdir(mode=0o700, exist_ok=True)

    def free_bytes(self) -> int:
        """Tell how much more the disk takes."""
        return shutil.disk_usage(self.tmp).free

    def open_upload(self, limit: int, has_space: Callable[[], bool]) -> Upload:
        """Open a file under `tmp/` to receive an upload of at most `limit` bytes."""
        descriptor, path = tempfile.mkstemp(prefix="upload-", dir=self.tmp)
        return Upload(Path(path), descriptor, limit, has_space)

    def keep_original(self, upload: Upload, job_id: str, image_id: str) -> None:
        """Make a received upload the original of an image."""
        upload.sync()
        os.utime(upload.path)  # Its age as an original begins now, however long it took to come.
        folder = self.originals / job_id
        for is_last in (False, False, True):
            folder.mkdir(mode=0o700, exist_ok=True)
            try:
                os.rename(upload.path, folder / image_id)
                break
            except FileNotFoundError:  # Its job was deleted, or refused another, at this moment.
                if is_last:
                    raise
        _sync(folder)
        _sync(self.originals)

    def original(self, job_id: str, image_id: str) -> Path:
        """Give the path of an image's original."""
        return self.originals / job_id / image_id

    def has_files(self, job_id: str, image_id: str, folder: str | None) -> bool:
        """Say whether an image has its original, or, where a folder is named, its thumbnails."""
        if folder is None:
            return self.original(job_id, image_id).exists()
        return (self.thumbnails / folder).exists()

    def delete_original(self, job_id: str, image_id: str) -> None:
        """Remove an original whose row could not be written."""
        self.original(job_id, image_id).unlink(missing_ok=True)
        with suppress(OSError):  # Other images of the job are there.
            (self.originals / job_id).rmdir()

    @contextmanager
    def open_folder(self) -> Iterator[Path]:
        """Make a folder under `tmp/` for an image's thumbnails; remove it, unless published."""
        folder = Path(tempfile.mkdtemp(prefix="thumbnails-", dir=self.tmp))
        folder.chmod(0o750)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def thumbnails_folder(self, job_id: str, image_id: str, attempt: int) -> str:
        """Give the place of an image's thumbnails, below the folder of all.

        Each attempt has a place of its own: a URL's content never changes, and a worker that was
        overtaken cannot touch the files of the one that overtook it.
        """
        return f"{job_id}/{image_id}-{attempt}"

    def thumbnail(self, path: str) -> Path | None:
        """Find a published thumbnail by its path below the folder of all; None for anything else.

        A path is taken as we write it and in no other spelling. No link is followed: we make none.
        """
        file = self.thumbnail_file(path)
        return file if file and file.resolve() == self.thumbnails.resolve() / path else None

    def thumbnail_file(self, path: str) -> Path | None:
        """Find the file of a thumbnail by its row's path; None where that names none of ours.

        Rows come from what decode children told, which was checked; a zip would hand out whatever
        they name, so it is checked again.
        """
        if not _PUBLISHED.fullmatch(path):
            return None
        file = self.thumbnails / path
        with suppress(FileNotFoundError):
            if stat.S_ISREG(file.lstat().st_mode):
                return file
        return None

    def begin_age(self, folder: str) -> None:
        """Count from now for how long a folder of thumbnails stays without rows."""
        with suppress(FileNotFoundError):  # The job was deleted at this moment.
            os.utime(self.thumbnails / folder)

    def publish(self, finished: Path, folder: str) -> None:
        """Move a finished folder of thumbnails to its public place, in one step."""
        for file in finished.iterdir():
            file.chmod(0o640)
            _sync(file)
        os.utime(finished)  # Its age begins now, however long its first file is there.
        _sync(finished)
        target = self.thumbnails / folder
        target.parent.mkdir(exist_ok=True)
        target.parent.chmod(0o750)  # Not by mkdir: a strict umask would keep the web server out.
        os.rename(finished, target)
        _sync(target.parent)
        _sync(self.thumbnails)

    def unpublish(self, folder: str) -> None:
        """Remove thumbnails that came too late."""
        target = self.thumbnails / folder
        shutil.rmtree(target, ignore_errors=True)
        with suppress(OSError):  # Other images of the job are there.
            target.parent.rmdir()

    def delete_job(self, job_id: str) -> None:
        """Remove all files of a job."""
        self.remove(self.hide_job(job_id))

    def hide_job(self, job_id: str) -> Path:
        """Move all files of a job out of sight, at once; give the folder that is to be removed."""
        doomed = Path(tempfile.mkdtemp(prefix=_DOOMED, dir=self.tmp))
        for folder in (self.originals / job_id, self.thumbnails / job_id):
            with suppress(FileNotFoundError):
                os.rename(folder, doomed / folder.parent.name)
        return doomed

    def remove(self, doomed: Path) -> None:
        """Remove what is out of sight: a disk may take two seconds for 2000 files."""
        with suppress(FileNotFoundError):  # A sweep is at it too; another takes what both leave.
            shutil.rmtree(doomed)

    def sweep(self) -> None:
        """Remove what crashes left under `tmp/`; uploads and decodes in progress are younger."""
        doomed = {path for path in _older(self.tmp, REMOVING_SECONDS) if _is_doomed(path)}
        for path in doomed.union(_older(self.tmp)):
            try:
                _remove(path)
            except OSError:
                logger.exception("cannot remove %s", path)

    def abandoned_job_ids(self) -> set[str]:
        """List the jobs whose folders nobody has touched for so long that their rows must be there.

        A crash between a file and its row, or between a row and its files, leaves one without.
        """
        return {path.name for path in (*_older(self.originals), *_older(self.thumbnails))}

    def old_places(self, is_full: bool) -> set[str]:
        """List originals and folders of thumbnails so old that without rows nobody needs them.

        Each as `job/name`, below the folder of all. A crash between a file and its row leaves one
        without; thumbnails also lose theirs when they are replaced.
        """
        replaced = REPLACED_SECONDS_IN_NEED if is_full else REPLACED_SECONDS
        return {
            f"{job.name}/{path.name}"
            for root, age in ((self.originals, ABANDONED_SECONDS), (self.thumbnails, replaced))
            for job in root.iterdir()
            for path in _older(job, age)
        }

    def delete_place(self, place: str) -> None:
        """Remove an original or a folder of thumbnails."""
        (self.originals / place).unlink(missing_ok=True)
        shutil.rmtree(self.thumbnails / place, ignore_errors=True)


def _older(folder: Path, age: float = ABANDONED_SECONDS) -> Iterator[Path]:
    limit = time.time() - age
    # Gone in between, as each of its files may be; or a file that somebody put there.
    with suppress(FileNotFoundError, NotADirectoryError):
        for path in folder.iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < limit:
                    yield path


def _is_doomed(path: Path) -> bool:
    return path.name.startswith(_DOOMED)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
