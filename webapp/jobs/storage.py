"""Originals and thumbnails on disk. No other module knows their paths.

    instance/originals/<job>/<image>                       what was uploaded
    instance/thumbnails/<job>/<image>-<attempt>/<file>     what was made of it
    instance/deleted/<job>/<image>-<attempt>/<file>        those of a job that can be restored
    instance/trials/<job>/<image>-<digest>…                what it would be in another quality
    instance/tmp/                                          uploads and thumbnails in progress

A file or folder is written under `tmp/`, renamed, and synced before a row names it, so a reader
never sees half of one.
Ids are UUIDs that we made; an uploaded file's own name is never part of a path.

Thumbnails that are made again get a new folder; what did not change stays where it is. So the
content of a URL never changes, and the URL of an unchanged thumbnail lives as long as its job. What
was replaced keeps a row for some minutes; then a sweep deletes both.
"""

import filecmp
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

from webapp.jobs.models import Claim
from webapp.jobs.upload import Upload
from webapp.recipes.outputs import FORMATS

logger = logging.getLogger(__name__)

# <job>/<image>-<attempt>/<output>.<extension>
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_TRIAL = re.compile(r"[0-9a-f]{32}(?:-[0-9]+)?\.[a-z]+", re.ASCII)
_PUBLISHED = re.compile(rf"{_UUID}/{_UUID}-[0-9]+/[a-z0-9-]+\.[a-z]+", re.ASCII)

# Moving a deleted job under `tmp/` takes milliseconds: what is older was left by a crash.
REMOVING_SECONDS = 60.0
# No upload or decode takes this long: what is older was left by a crash.
ABANDONED_SECONDS = 12 * 3600.0
# Replaced thumbnails stay this long: for a zip that is being downloaded, a gigabyte at 10 Mbit/s,
# and for a tab that still shows them.
REPLACED_SECONDS = 15 * 60.0
# By the suffixes of their files: of what browsers are sent.
TYPES_OF_TRIALS = {f".{format}": f"image/{format}" for format in FORMATS}
TRIAL_SECONDS = 10 * 60.0  # They are made again where they are missed.
# Not shorter if the disk is full: new thumbnails exist for seconds before their rows.
REPLACED_SECONDS_IF_FULL = 60.0
_TRASH = "deleted-"  # Prefix of the folders under `tmp/` that hold deleted jobs.


class Storage:
    """Read and write the files of all jobs, under one folder of one file system."""

    def __init__(self, root: Path, min_free: int = 0, now: Callable[[], float] = time.time) -> None:
        self._min_free = min_free  # Bytes.
        self._now = now
        self.originals = root / "originals"
        self.thumbnails = root / "thumbnails"
        self.deleted = root / "deleted"
        self.trials = root / "trials"
        self.tmp = root / "tmp"
        # nginx may be in our group and read thumbnails; the rest is private.
        for folder, mode in ((root, 0o750), (self.thumbnails, 0o750)):
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
        for folder in (self.originals, self.deleted, self.trials, self.tmp):
            folder.mkdir(mode=0o700, exist_ok=True)

    def free_bytes(self) -> int:
        """Return the free space of the disk."""
        return shutil.disk_usage(self.tmp).free

    def has_space(self, at_least: int = 0) -> bool:
        """Return whether the reserved space is free, and `at_least` bytes."""
        return self.free_bytes() >= max(self._min_free, at_least)

    def open_upload(self, limit: int) -> Upload:
        """Open a file under `tmp/` to receive an upload of at most `limit` bytes."""
        descriptor, path = tempfile.mkstemp(prefix="upload-", dir=self.tmp)
        return Upload(Path(path), descriptor, limit, self.has_space)

    def keep_original(self, upload: Upload, job_id: str, image_id: str) -> None:
        """Move a received upload to the path of an original."""
        upload.flush()
        self._touch(upload.path)  # Its age as an original begins now, however long the upload took.
        folder = self.originals / job_id
        for is_last in (False, False, True):
            folder.mkdir(mode=0o700, exist_ok=True)
            try:
                os.rename(upload.path, folder / image_id)
                break
            except FileNotFoundError:
                # Its job was deleted, or refused another image, in this moment.
                if is_last:
                    raise
        # Last: file systems with a journal write it once for all three, at the first.
        upload.sync()
        _sync(folder)
        _sync(self.originals)

    def original(self, job_id: str, image_id: str) -> Path:
        """Return the path of an image's original."""
        return self.originals / job_id / image_id

    def has_files(self, job_id: str, image_id: str, folder: str | None) -> bool:
        """Return whether an image has its original or, given a folder, its thumbnails."""
        if folder is None:
            return self.original(job_id, image_id).exists()
        return (self.thumbnails / folder).exists()

    def delete_original(self, job_id: str, image_id: str) -> None:
        """Delete an original whose row could not be written."""
        self.original(job_id, image_id).unlink(missing_ok=True)
        with suppress(OSError):  # The job has other images.
            (self.originals / job_id).rmdir()

    @contextmanager
    def open_folder(self) -> Iterator[Path]:
        """Create a folder under `tmp/` for thumbnails; remove it unless published."""
        folder = Path(tempfile.mkdtemp(prefix="thumbnails-", dir=self.tmp))
        folder.chmod(0o750)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def thumbnails_folder(self, claim: Claim) -> str:
        """Return the path of the thumbnails of a claimed image, below the folder of all.

        Each attempt has a folder of its own: the content of a URL never changes, and a worker that
        was overtaken cannot touch the files of the one that overtook it.
        """
        return f"{claim.job_id}/{claim.image_id}-{claim.attempt}"

    def thumbnail(self, path: str) -> Path | None:
        """Find a published thumbnail by its path below the folder of all, or None.

        No other spelling of a path is accepted than ours. No link is followed: we create none.
        """
        file = self.thumbnail_file(path)
        return file if file and file.resolve() == self.thumbnails.resolve() / path else None

    def thumbnail_file(self, path: str) -> Path | None:
        """Find the file of a thumbnail by the path of its row, or None.

        Rows contain what decode children answered, which was checked; it is checked again, because
        a zip would contain any file that they name.
        """
        if not _PUBLISHED.fullmatch(path):
            return None
        file = self.thumbnails / path
        with suppress(FileNotFoundError):
            if stat.S_ISREG(file.lstat().st_mode):
                return file
        return None

    def drop_same(self, made: Path, path: str) -> bool:
        """Delete a thumbnail that equals a published one; return whether it does."""
        file = self.thumbnails / path
        try:
            is_same = made.name == file.name and filecmp.cmp(made, file, shallow=False)
        except FileNotFoundError:  # The job was deleted in this moment.
            return False
        if is_same:
            made.unlink()
        return is_same

    def publish(self, finished: Path, folder: str) -> None:
        """Move a finished folder of thumbnails to its public path, in one step."""
        names = os.listdir(finished)
        for name in names:
            (finished / name).chmod(0o640)
        self._touch(finished)  # Its age begins now, however old its first file is.
        target = self.thumbnails / folder
        target.parent.mkdir(exist_ok=True)
        target.parent.chmod(0o750)  # Not by mkdir: a strict umask would lock nginx out.
        os.rename(finished, target)
        # Last: file systems with a journal write it once for all, at the first. No row names the
        # files yet.
        for path in (*map(target.joinpath, names), target, target.parent, self.thumbnails):
            _sync(path)

    def unpublish(self, folder: str) -> None:
        """Delete published thumbnails whose claim was lost."""
        target = self.thumbnails / folder
        shutil.rmtree(target, ignore_errors=True)
        with suppress(OSError):  # The job has other images.
            target.parent.rmdir()

    def trial(self, job_id: str, image_id: str, name: str) -> Path | None:
        """Find a trial of an image by its name, or None. It stays as long as it is used."""
        file = self._trial(job_id, image_id, name)
        if not _TRIAL.fullmatch(name):
            return None
        try:
            self._touch(file)
        except FileNotFoundError:
            return None
        return file

    def link_trial(self, link: Path, job_id: str, image_id: str, name: str) -> bool:
        """Link a trial to a path that no sweep deletes; return False if there is none."""
        try:
            os.link(self._trial(job_id, image_id, name), link)
        except FileNotFoundError:
            return False
        self._touch(link)
        return True

    def keep_trial(self, made: Path, job_id: str, image_id: str, name: str) -> None:
        """Move a finished trial of an image to its path; a crash may lose it."""
        target = self._trial(job_id, image_id, name)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        os.rename(made, target)

    def note_failed_trial(self, job_id: str, image_id: str, name: str) -> None:
        """Leave an empty file with the name of a failure."""
        note = self._trial(job_id, image_id, name)
        note.parent.mkdir(mode=0o700, exist_ok=True)
        note.touch()
        self._touch(note)

    def forget_trial(self, job_id: str, image_id: str, name: str) -> None:
        """Delete a file of a trial, if there is one."""
        self._trial(job_id, image_id, name).unlink(missing_ok=True)

    def _trial(self, job_id: str, image_id: str, name: str) -> Path:
        return self.trials / job_id / f"{image_id}-{name}"

    def hide(self, job_id: str) -> None:
        """Move the thumbnails of a deleted job to where nothing serves them."""
        _move_all(self.thumbnails / job_id, self.deleted / job_id)

    def show(self, job_id: str) -> None:
        """Move the hidden thumbnails of a job back, and sync it."""
        _move_all(self.deleted / job_id, self.thumbnails / job_id)

    def hidden_job_ids(self) -> list[str]:
        """List the jobs that have hidden thumbnails."""
        return [path.name for path in self.deleted.iterdir()]

    def delete_job(self, job_id: str) -> None:
        """Delete all files of a job."""
        self.empty_trash(self.move_to_trash(job_id))

    def move_to_trash(self, job_id: str) -> Path:
        """Move all files of a job to a folder under `tmp/`, at once, and return it."""
        trash = Path(tempfile.mkdtemp(prefix=_TRASH, dir=self.tmp))
        for root in (self.originals, self.thumbnails, self.deleted, self.trials):
            folder = root / job_id
            with suppress(FileNotFoundError):
                os.rename(folder, trash / root.name)
        return trash

    def empty_trash(self, trash: Path) -> None:
        """Delete a folder of trash: a disk may take two seconds for 2000 files."""
        # A sweep deletes it too; the next one deletes what both leave.
        with suppress(FileNotFoundError):
            shutil.rmtree(trash)

    def sweep(self) -> None:
        """Delete old trials, and what crashes left under `tmp/`.

        Uploads in progress are younger.
        """
        for job in self.trials.iterdir():
            for path in self._older(job, TRIAL_SECONDS):
                path.unlink(missing_ok=True)
            with suppress(OSError):  # It has others.
                job.rmdir()
        trash = {path for path in self._older(self.tmp, REMOVING_SECONDS) if _is_trash(path)}
        for path in trash.union(self._older(self.tmp)):
            try:
                _remove(path)
            except OSError:
                logger.exception("cannot remove %s", path)

    def abandoned_job_ids(self) -> set[str]:
        """List the jobs whose folders are so old that they must have rows by now.

        A crash between a file and its row, or between a row and its files, leaves one without.
        """
        return {path.name for path in (*self._older(self.originals), *self._older(self.thumbnails))}

    def old_paths(self) -> set[str]:
        """List originals and folders of thumbnails that are useless without rows by now.

        Each as `job/name`, below the folder of all. A crash between a file and its row leaves one
        without.
        """
        ages = ((self.originals, ABANDONED_SECONDS), (self.thumbnails, self.replaced_seconds()))
        return {
            f"{job.name}/{path.name}"
            for root, age in ages
            for job in root.iterdir()
            for path in self._older(job, age)
        }

    def replaced_seconds(self) -> float:
        """Return for how long replaced thumbnails stay."""
        return REPLACED_SECONDS if self.has_space() else REPLACED_SECONDS_IF_FULL

    def delete_thumbnail(self, path: str) -> None:
        """Delete one thumbnail, and its folder with the last."""
        file = self.thumbnails / path
        file.unlink(missing_ok=True)
        with suppress(OSError):  # It has others.
            file.parent.rmdir()

    def delete_path(self, path: str) -> None:
        """Delete an original or a folder of thumbnails."""
        (self.originals / path).unlink(missing_ok=True)
        shutil.rmtree(self.thumbnails / path, ignore_errors=True)

    def _touch(self, path: Path) -> None:
        now = self._now()
        os.utime(path, (now, now))

    def _older(self, folder: Path, age: float = ABANDONED_SECONDS) -> Iterator[Path]:
        limit = self._now() - age
        # Deleted in between, as each of its files may be; or a stray file.
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in folder.iterdir():
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < limit:
                        yield path


def _is_trash(path: Path) -> bool:
    return path.name.startswith(_TRASH)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _move_all(source: Path, target: Path) -> None:
    """Move the content of a folder to another; a crash may leave it in both."""
    if not source.exists():
        return
    target.mkdir(exist_ok=True)
    target.chmod(0o750)  # Not by mkdir: a strict umask would lock nginx out.
    for path in source.iterdir():
        os.rename(path, target / path.name)
    source.rmdir()
    for folder in (target, target.parent, source.parent):
        _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
