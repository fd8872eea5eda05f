"""Put a backup into an instance, so that no kill loses the old state or the new one.

    instance/restore-incoming/new/…     what was read so far; a kill leaves it, and nothing changed
    instance/restore-ready/new/…        all of it, checked and on the disk
    instance/restore-ready/old/…        what was there before
    instance/replaced-<time>/…          the same once the restore is complete, for the operator

To rename the first to the second is the step that decides. From then on the restore is completed
by moving one name after the other, by whichever process starts next if this one is killed.
"""

import json
import os
import shutil
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from webapp.config import MB
from webapp.disk import move, sync
from webapp.jobs import instance
from webapp.jobs.backups import COMPLETE, DATABASE, FORMAT, KEY, MANIFEST, Digest
from webapp.jobs.database import MIGRATIONS
from webapp.jobs.storage import STORED, Storage, is_stored
from webapp.jobs.store.copies import CopyFacts, DamagedDatabase, has_rows, read_copy

INCOMING = "restore-incoming"
REPLACED = "replaced-"  # Prefix of the folders that have the state before a restore.
_NEW, _OLD, _DISCARD = "new", "old", "discard-old"
# What is switched, in this order: once the database is new, all is.
_SWITCHED = (KEY, *STORED, DATABASE)
_LOGS = (f"{DATABASE}-wal", f"{DATABASE}-shm")  # Never left beside another database.
_SQLITE = b"SQLite format 3\0"
_COPIED = 1 << 18  # Bytes at once.
_LARGEST_JSON = 10_000  # Bytes.


class RestoreError(Exception):
    """The backup cannot be restored; nothing was changed."""

    code: str


class NotABackup(RestoreError):
    """The file is no backup of ours, or has what a backup never has."""

    code = "not_a_backup"

    def __init__(self, why: str) -> None:
        super().__init__(f"This is no backup that `flask jobs backup` made: {why}.")


class DamagedBackup(RestoreError):
    """The backup is not whole."""

    code = "damaged_backup"

    def __init__(self, why: str) -> None:
        super().__init__(f"This backup is damaged or not whole: {why}. Use another one.")


class NewerBackup(RestoreError):
    """The backup is of a newer version."""

    code = "newer_backup"

    def __init__(self, what: str, number: int, known: int) -> None:
        super().__init__(
            f"This backup is of a newer version: it has {what} {number}, and this version knows"
            f" {known}. Restore it with that version or a newer one."
        )


class NotEmpty(RestoreError):
    """The instance has jobs, and was not to be replaced."""

    code = "not_empty"

    def __init__(self, root: Path) -> None:
        super().__init__(
            f"{root} is not empty. With --replace, the backup takes the place of what is there,"
            f" which is kept in a folder {REPLACED}… beside it."
        )


class NoRoom(RestoreError):
    """The disk has no room for the backup beside what is there."""

    code = "no_room"

    def __init__(self, size: int, free: int) -> None:
        super().__init__(
            f"The backup has {size / MB:,.0f} MB and the disk of the instance has"
            f" {free / MB:,.0f} MB free. What is there is kept until the backup is in place."
        )


class WrongUser(RestoreError):
    """Root restores into an instance of another user, who could not read the files."""

    code = "wrong_user"

    def __init__(self, root: Path, owner: int) -> None:
        super().__init__(
            f"{root} belongs to user {owner}, who could not read what root restores. Run this as"
            f" that user, such as with sudo -u '#{owner}'."
        )


@dataclass(frozen=True)
class Restored:
    """What was restored."""

    jobs: int
    images: int
    files: int | None  # None: the backup was of the database alone.
    gone: int  # Files that were gone when the backup was made.
    has_key: bool
    replaced: Path | None  # The folder of what was there before.


def restore(root: Path, source: IO[bytes], replace: bool = False) -> Restored:
    """Put an archive, or a copy of the database alone, into an instance.

    All of it is read and checked before anything changes. Raises RestoreError, InUse or OSError, or
    CannotStart where nothing can be written.
    """
    instance.refuse_read_only(root)
    owner = root.stat().st_uid
    if os.geteuid() == 0 and owner != 0:
        raise WrongUser(root, owner)
    head = source.read(len(_SQLITE))  # Not peek: a slow pipe may have fewer bytes yet.
    is_database = head == _SQLITE
    with instance.alone(root):
        _complete(root)
        # To open a damaged database could delete its log, so only where that decides.
        is_empty = not replace and _is_empty(root, () if is_database else STORED)
        if not is_empty and not replace:
            raise NotEmpty(root)
        _check_room(root, source)
        incoming = root / INCOMING
        shutil.rmtree(incoming, ignore_errors=True)  # Another restore was killed.
        (incoming / _NEW).mkdir(mode=0o700, parents=True)
        incoming.chmod(0o700)
        try:
            read = _read_database if is_database else _read_archive
            facts, files, gone = read(cast(IO[bytes], _Rejoined(head, source)), incoming / _NEW)
            has_key = (incoming / _NEW / KEY).exists()
            if is_empty:
                (incoming / _DISCARD).touch()
            os.sync()  # All files at once: one by one takes a disk minutes for 100,000.
        except BaseException:
            shutil.rmtree(incoming, ignore_errors=True)
            raise
        os.rename(incoming, root / instance.READY)
        sync(root)
        replaced = _complete(root)
    return Restored(facts.jobs, facts.images, files, gone, has_key, replaced)


def complete_interrupted(root: Path) -> None:
    """Complete a restore that was killed in its last step, before this process uses anything.

    Raises CannotStart while a restore is running, or where it cannot be completed.
    """
    if not (root / instance.READY).exists():
        return
    if not instance.is_writable(root):
        raise instance.CannotStart(
            f"A restore of {root} was interrupted, and is completed by the first command where it"
            " can be written. Here, it is not writable."
        )
    with instance.mutex(root):
        try:
            with instance.alone(root):
                _complete(root)
        except instance.InUse:
            raise instance.CannotStart(
                f"{root} is being restored. Start again when `flask jobs restore` ended."
            ) from None


def _complete(root: Path) -> Path | None:
    """Move all that is new to its place; return the folder of what was there, if there was any.

    Each step can be the last before a kill, and all of them can be done again.
    """
    ready = root / instance.READY
    if not ready.exists():
        return None
    new, old = ready / _NEW, ready / _OLD
    old.mkdir(mode=0o700, exist_ok=True)
    for name in _SWITCHED:
        if not os.path.lexists(new / name):  # It is in its place, or the backup has none.
            continue
        for present in (name, *(_LOGS if name == DATABASE else ())):
            _set_aside(root / present, old)
        sync(old)
        os.rename(new / name, root / name)
        sync(root)
    if (ready / _DISCARD).exists() or not any(old.iterdir()):
        # The mark goes last: a kill leaves a folder that is discarded again.
        for folder in (old, new):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(ready)
        return None
    shutil.rmtree(new, ignore_errors=True)
    name = f"{REPLACED}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    replaced = _free(root / name)
    os.rename(ready, replaced)
    sync(root)
    return replaced


def _set_aside(path: Path, folder: Path) -> None:
    """Move a file or folder into another one, unless it is an empty folder."""
    if not os.path.lexists(path):
        return
    if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
        path.rmdir()
        return
    # There is one if a process created it again, between two tries to complete.
    move(path, _free(folder / path.name))


def _free(path: Path) -> Path:
    """Return a path, or one with a number if there is something at it."""
    target, number = path, 1
    while os.path.lexists(target):
        number += 1
        target = path.with_name(f"{path.name}.{number}")
    return target


def _is_empty(root: Path, folders: Sequence[str]) -> bool:
    """Return whether an instance has nothing that someone would miss."""
    return not has_rows(root / DATABASE) and not any(
        any((root / folder).iterdir()) for folder in folders if (root / folder).is_dir()
    )


def _check_room(root: Path, source: IO[bytes]) -> None:
    """Raise NoRoom if it is sure that a backup does not fit; of a pipe, no one knows."""
    size, free = os.fstat(source.fileno()).st_size, shutil.disk_usage(root).free
    if size > free:
        raise NoRoom(size, free)


class _Rejoined:
    """Read a stream whose first bytes were read already."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        head, self._head = self._head[:size], self._head[size:]
        return head + self._rest.read(size - len(head))


def _read_database(source: IO[bytes], new: Path) -> tuple[CopyFacts, None, int]:
    with _create(new / DATABASE) as file:
        _copy(source, file, Digest())
    return _check_database(new / DATABASE), None, 0


def _read_archive(source: IO[bytes], new: Path) -> tuple[CopyFacts, int, int]:
    """Write the members of an archive to a new folder, and check all of it.

    No member is extracted by `tarfile`. Each must be a plain file with a name that a backup has,
    and gets the path and mode that the storage gives such a file.
    """
    storage, digest = Storage(new), Digest()
    facts: CopyFacts | None = None
    end: dict[str, Any] = {}
    files, seen = 0, set[str]()
    try:
        for member, content in _members(source):
            name, before = member.name, digest.hex() if member.name == COMPLETE else ""
            if end:
                raise NotABackup(f"{name!r} follows its end")
            if not seen and name != MANIFEST:
                raise NotABackup(f"it does not begin with {MANIFEST}")
            if name in seen:
                raise NotABackup(f"it has {name} twice")
            digest.begin(name, member.size)
            if is_stored(name):
                _keep(storage, member, content, digest)
                files += 1
                continue
            seen.add(name)
            if name == MANIFEST:
                _check_manifest(_read_json(content, digest))
            elif name == DATABASE:
                with _create(new / name) as file:
                    _copy(content, file, digest)
                facts = _check_database(new / name)
            elif name == KEY:
                with _create(new / name) as file:
                    _copy(content, file, digest)
            elif name == COMPLETE:
                end = _read_json(content, digest)
                if end.get("sha256") != before or end.get("files") != files:
                    raise DamagedBackup("its files are not those that were written")
                if type(end.get("gone")) is not int:
                    raise NotABackup(f"its {COMPLETE} does not say how many files were gone")
            else:
                raise NotABackup(f"it has {name!r}")
    except (tarfile.TarError, ValueError, OverflowError) as error:
        # `tarfile` and the system refuse numbers, times and names of headers in all these ways.
        if not seen:
            raise NotABackup(str(error)) from None
        raise DamagedBackup(str(error)) from None
    if not facts or not end:
        raise DamagedBackup("its end is missing")
    return facts, files, end["gone"]


def _members(source: IO[bytes]) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    with tarfile.open(fileobj=source, mode="r|") as archive:
        while member := archive.next():
            if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse:
                raise NotABackup(f"{member.name!r} is not a plain file")
            content = archive.extractfile(member)
            assert content
            yield member, content
            archive.members.clear()  # type: ignore[attr-defined]  # It would remember all.


def _keep(storage: Storage, member: tarfile.TarInfo, content: IO[bytes], digest: Digest) -> None:
    try:
        file = storage.create_stored(member.name)
    except FileExistsError:
        raise NotABackup(f"it has {member.name} twice") from None
    with file:
        _copy(content, file, digest)
        file.flush()
        os.utime(file.fileno(), (member.mtime, member.mtime))


def _copy(source: IO[bytes], target: IO[bytes], digest: Digest) -> None:
    while data := source.read(_COPIED):
        digest.update(data)
        target.write(data)


def _create(path: Path) -> IO[bytes]:
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _read_json(content: IO[bytes], digest: Digest) -> dict[str, Any]:
    data = content.read(_LARGEST_JSON)
    digest.update(data)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise NotABackup("what describes it is no JSON") from None
    if not isinstance(value, dict):
        raise NotABackup("what describes it is no JSON object")
    return value


def _check_manifest(manifest: dict[str, Any]) -> None:
    if type(manifest.get("format")) is not int:
        raise NotABackup(f"its {MANIFEST} names no format")
    if manifest["format"] > FORMAT:
        raise NewerBackup("format", manifest["format"], FORMAT)


def _check_database(path: Path) -> CopyFacts:
    try:
        facts = read_copy(path)
    except DamagedDatabase as error:
        raise DamagedBackup(f"its database is damaged ({error})") from None
    if facts.version > len(MIGRATIONS):
        raise NewerBackup("schema", facts.version, len(MIGRATIONS))
    return facts
