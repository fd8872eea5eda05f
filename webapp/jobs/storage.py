"""Originals and thumbnails on disk. No other module knows their paths.

    instance/originals/<job>/<image>                       what was uploaded
    instance/thumbnails/<job>/<image>-<attempt>/<file>     what was made of it
    instance/deleted/<job>/<image>-<attempt>/<file>        those of a job that can be restored
    instance/trials/<job>/<image>-<digest>…                what it would be in another quality
    instance/tmp/                                          uploads and thumbnails in progress
    instance/unsettled/                                    notes of files that may have no row

A file or folder is written under `tmp/`, renamed, and synced before a row names it, so a reader
never sees half of one.
Ids are UUIDs that we made; an uploaded file's own name is never part of a path.

The attempt 0 is of thumbnails that were made of the same bytes in another image.

Thumbnails that are made again get a new folder; what did not change stays where it is. So the
content of a URL never changes, and the URL of an unchanged thumbnail lives as long as its job. What
was replaced keeps a row for some minutes; then a sweep deletes both.

Before a file has its row, there is a note of it, which is deleted once its row says what became of
it: a process that is killed in between leaves its note, by which a sweep finds the file. Notes are
not synced: after a power cut, `flask jobs check` finds such files.
"""

import errno
import fcntl
import filecmp
import logging
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from webapp.disk import move, sync
from webapp.jobs import instance
from webapp.jobs.models import Claim
from webapp.jobs.upload import Upload
from webapp.recipes.outputs import FORMATS

logger = logging.getLogger(__name__)

# <job>/<image>-<attempt>/<output>.<extension>
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_TRIAL = re.compile(r"[0-9a-f]{32}(?:-[0-9]+)?\.[a-z]+", re.ASCII)
_PATH = rf"{_UUID}/(?P<image>{_UUID})-[0-9]+/[a-z0-9-]+\.[a-z]+"
_PUBLISHED = re.compile(_PATH, re.ASCII)
# What a backup has, below the root.
STORED = ("originals", "thumbnails", "deleted")
_STORED = re.compile(rf"originals/{_UUID}/{_UUID}|(?:thumbnails|deleted)/{_PATH}", re.ASCII)

# Moving a deleted job to a folder under `tmp/` takes milliseconds. Emptying that may take longer,
# and a crash may leave it: after this time, any sweep deletes what is in it.
REMOVING_SECONDS = 60.0
# No upload or decode takes this long: what is older was left by a crash.
ABANDONED_SECONDS = 12 * 3600.0
# From a file to its row, it takes milliseconds; longer than replaced thumbnails stay.
UNSETTLED_SECONDS = 3600.0
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
        self._root = root
        self.originals = root / "originals"
        self.thumbnails = root / "thumbnails"
        self.deleted = root / "deleted"
        self.trials = root / "trials"
        self.tmp = root / "tmp"
        self.unsettled = root / "unsettled"
        # To which files are renamed, from `tmp/` or each other.
        self.moved_to = (self.originals, self.thumbnails, self.deleted, self.trials)
        # nginx may be in our group and read thumbnails; the rest is private.
        for folder in (root, self.thumbnails):
            with suppress(FileExistsError):  # As its operator made it.
                folder.mkdir(mode=0o750, parents=True)
                folder.chmod(0o750)  # Not by mkdir: a strict umask would lock nginx out.
        for folder in (self.originals, self.deleted, self.trials, self.tmp, self.unsettled):
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
            except OSError:
                if instance.is_writable(root):
                    raise  # Else it is a copy that was made without empty folders.

    def free_bytes(self) -> int:
        """Return the free space of the disk."""
        return shutil.disk_usage(self._root).free

    def has_space(self, at_least: int = 0) -> bool:
        """Return whether the reserved space is free, and `at_least` bytes."""
        return self.free_bytes() >= max(self._min_free, at_least)

    def can_move_to(self, folder: Path) -> bool:
        """Move an empty file to a folder, and delete it; False if that is another file system."""
        descriptor, draft = tempfile.mkstemp(prefix="moved-", dir=self.tmp)
        os.close(descriptor)
        moved = folder / Path(draft).name
        try:
            os.rename(draft, moved)
        except OSError as error:
            os.unlink(draft)
            if error.errno != errno.EXDEV:
                raise
            return False
        moved.unlink(missing_ok=True)  # A sweep deletes what has no row.
        return True

    def open_upload(self, limit: int) -> Upload:
        """Open a file under `tmp/` to receive an upload of at most `limit` bytes."""
        descriptor, path = tempfile.mkstemp(prefix="upload-", dir=self.tmp)
        return Upload(Path(path), descriptor, limit, self.has_space)

    def keep_original(self, upload: Upload, job_id: str, image_id: str) -> None:
        """Move a received upload to the path of an original."""
        upload.flush()
        self._touch(upload.path)  # Its age as an original begins now, however long the upload took.
        folder = self.originals / job_id
        self.note_unsettled(f"{job_id}/{image_id}")
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
        sync(folder)
        sync(self.originals)

    def original(self, job_id: str, image_id: str) -> Path:
        """Return the path of an image's original."""
        return self.originals / job_id / image_id

    def share_original(self, job_id: str, image_id: str) -> None:
        """Let the group, which nginx is in, read an original.

        It can list no folder. Raises FileNotFoundError, also for a link: we create none.
        """
        file = self.original(job_id, image_id)
        if not stat.S_ISREG(file.lstat().st_mode):
            raise FileNotFoundError(file)
        file.chmod(0o640)
        for folder in (file.parent, self.originals):
            folder.chmod(0o710)

    def delete_original(self, job_id: str, image_id: str) -> None:
        """Delete an original that has no row: it was not written, or is deleted."""
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

    def image_of(self, path: str) -> str | None:
        """Return the id of the image of a thumbnail's path, or None."""
        published = _PUBLISHED.fullmatch(path)
        return published["image"] if published else None

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
        self.note_unsettled(folder)
        target.parent.mkdir(exist_ok=True)
        target.parent.chmod(0o750)  # Not by mkdir: a strict umask would lock nginx out.
        os.rename(finished, target)
        # Last: file systems with a journal write it once for all, at the first. No row names the
        # files yet.
        for path in (*map(target.joinpath, names), target, target.parent, self.thumbnails):
            sync(path)

    def reused_folder(self, job_id: str, image_id: str) -> str:
        """Return the path of thumbnails that no claim of their image made."""
        return f"{job_id}/{image_id}-0"

    def publish_copies(self, sizes: Mapping[str, int], folder: str) -> bool:
        """Publish thumbnails in another folder too, by their paths and bytes.

        They are hard links where the file system has them, so they cost no space. No file of either
        folder is ever written to again, and each goes by itself. Returns False, with nothing
        published, if one cannot be read or has other bytes.
        """
        with self.open_folder() as made:
            for path, size in sizes.items():
                file = self.thumbnail_file(path)
                if file is None or not _copy(file, made / file.name, size):
                    return False
            self.publish(made, folder)
        return True

    def unpublish(self, folder: str) -> None:
        """Delete published thumbnails whose claim was lost, also hidden ones."""
        for root in (self.thumbnails, self.deleted):
            shutil.rmtree(root / folder, ignore_errors=True)
            with suppress(OSError):  # The job has other images.
                (root / folder).parent.rmdir()
        self.settle(folder)

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

    def move_to_trash(self, job_id: str) -> Path:
        """Move all files of a job to a folder under `tmp/`, at once, and return it."""
        trash = Path(tempfile.mkdtemp(prefix=_TRASH, dir=self.tmp))
        for root in (self.originals, self.thumbnails, self.deleted, self.trials):
            folder = root / job_id
            with suppress(FileNotFoundError):
                move(folder, trash / root.name)
        return trash

    def empty_trash(self, trash: Path) -> Iterator[None]:
        """Delete a folder of trash in steps: a disk may take two seconds for 2000 files."""
        return _delete_tree(trash)

    def delete_old(self) -> Iterator[None]:
        """Delete old trials, and what crashes left under `tmp/`, in steps.

        Uploads in progress are younger.
        """
        for job in self.trials.iterdir():
            for path in self._older(job, TRIAL_SECONDS):
                path.unlink(missing_ok=True)
                yield
            with suppress(OSError):  # It has others.
                job.rmdir()
            yield
        trash = {path for path in self._older(self.tmp, REMOVING_SECONDS) if _is_trash(path)}
        for path in trash.union(self._older(self.tmp, ABANDONED_SECONDS)):
            try:
                yield from _delete_tree(path)
            except OSError:
                logger.exception("cannot remove %s", path)

    def note_unsettled(self, path: str) -> None:
        """Note that an original or a folder of thumbnails may have no row.

        As `job/name`, below the folder of all. A note of an original is of all files of its image.
        """
        note = self._note(path)
        note.touch()
        self._touch(note)

    def settle(self, path: str) -> None:
        """Delete the note of a path: its row is written, or its files are gone."""
        self._note(path).unlink(missing_ok=True)

    def is_unsettled(self, path: str) -> bool:
        """Return whether there is a note of a path, or of its whole image."""
        image = path.rpartition("-")[0]
        return self._note(path).exists() or bool(image and self._note(image).exists())

    def left_unsettled(self) -> Iterator[str]:
        """List the noted paths whose rows must be written by now."""
        for note in self._older(self.unsettled, UNSETTLED_SECONDS):
            yield note.name.replace(".", "/")

    def _note(self, path: str) -> Path:
        return self.unsettled / path.replace("/", ".")

    @contextmanager
    def replaced_kept(self) -> Iterator[None]:
        """Let no sweep delete replaced thumbnails during the block, in any process.

        A backup copies the files that rows of its beginning name, for longer than replaced ones
        stay.
        """
        folder = os.open(self.thumbnails, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_SH)
            yield
        finally:
            os.close(folder)

    def keeps_replaced(self) -> bool:
        """Return whether a process keeps replaced thumbnails; not if the disk is full."""
        folder = os.open(self.thumbnails, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return self.has_space()
        finally:
            os.close(folder)
        return False

    def open_stored(self, path: str) -> IO[bytes] | None:
        """Open a file of a job for a backup, by its path below the root; None if it is gone.

        It follows no link, and opens no other path than ours.
        """
        if not is_stored(path):
            return None
        try:
            descriptor = os.open(self._root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            return None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        return open(descriptor, "rb")

    def create_stored(self, path: str) -> IO[bytes]:
        """Create a file of a job by its path below the root, as a backup has it.

        Raises FileExistsError, or ValueError if no job has such a path.
        """
        if not is_stored(path):
            raise ValueError(path)
        file = self._root / path
        is_original = path.startswith("originals/")
        for folder in reversed(file.relative_to(self._root).parents[:-2]):
            if not (self._root / folder).exists():
                (self._root / folder).mkdir()
                (self._root / folder).chmod(0o700 if is_original else 0o750)
        mode = 0o600 if is_original else 0o640
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.fchmod(descriptor, mode)  # Not by open: a strict umask would lock nginx out.
        return open(descriptor, "wb")

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
        """Delete an original with all its thumbnails, or one folder of them."""
        original, folder = self.originals / path, self.thumbnails / path
        original.unlink(missing_ok=True)
        if folder.parent.exists():
            for made in folder.parent.iterdir():
                if made.name == folder.name or made.name.startswith(f"{folder.name}-"):
                    for _ in _delete_tree(made):
                        pass
        for parent in (original.parent, folder.parent):
            with suppress(OSError):  # The job has other images.
                parent.rmdir()

    def folders_of_jobs(self) -> Iterator[Path]:
        """List the folder of each job's originals, then that of each one's thumbnails."""
        for root in (self.originals, self.thumbnails):
            with os.scandir(root) as entries:  # It reads the names a page at a time.
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        yield Path(entry.path)

    def _touch(self, path: Path) -> None:
        now = self._now()
        os.utime(path, (now, now))

    def _older(self, folder: Path, age: float) -> Iterator[Path]:
        limit = self._now() - age
        # Deleted in between, as each of its files may be; or a stray file.
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in folder.iterdir():
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < limit:
                        yield path


def is_stored(path: str) -> bool:
    """Return whether a path below the root is one of a file that a backup has."""
    return _STORED.fullmatch(path) is not None


def _copy(source: Path, target: Path, size: int) -> bool:
    """Copy a file of so many bytes, if possible as a link; return if it worked."""
    try:
        try:
            os.link(source, target)
        except FileNotFoundError:
            return False
        except OSError:  # There are none, or the file has as many as it can.
            shutil.copyfile(source, target)
        return target.stat().st_size == size
    except OSError:
        return False


def _is_trash(path: Path) -> bool:
    return path.name.startswith(_TRASH)


def _delete_tree(path: Path) -> Iterator[None]:
    """Delete a file or a folder, one file or folder at each step.

    Another process may delete the same at the same time.
    """
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for folder, folders, files in os.walk(path, topdown=False):
        for delete, names in ((os.unlink, files), (os.rmdir, folders)):
            for name in names:
                with suppress(FileNotFoundError):
                    delete(os.path.join(folder, name))
                yield
    with suppress(FileNotFoundError):
        path.rmdir()


def _move_all(source: Path, target: Path) -> None:
    """Move the content of a folder to another; a crash may leave it in both."""
    if not source.exists():
        return
    target.mkdir(exist_ok=True)
    target.chmod(0o750)  # Not by mkdir: a strict umask would lock nginx out.
    for path in source.iterdir():
        move(path, target / path.name)
    source.rmdir()
    for folder in (target, target.parent, source.parent):
        sync(folder)
