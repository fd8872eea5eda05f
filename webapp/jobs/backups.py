"""Back up all data of an instance into one archive, while the server runs.

The archive is a tar file. Its members are, in this order:

    manifest.json       the number of this format, of the schema, and when it was made
    jobs.db             a copy of the database at one moment
    secret_key          if the instance keeps one
    originals/<job>/<image>
    thumbnails/<job>/<image>-<attempt>/<file>
    deleted/<job>/<image>-<attempt>/<file>
    complete.json       how many files there are, and a digest of all members before

The files are those that rows of the copy name. None of them is ever written to again, so they are
as they were at the moment of the copy. Those of jobs that end meanwhile may be gone.
"""

import hashlib
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from webapp.config import VERSION
from webapp.disk import sync
from webapp.jobs import instance
from webapp.jobs.storage import Storage
from webapp.jobs.store import Store
from webapp.jobs.store.copies import files_of_copy, read_copy

FORMAT = 1
MANIFEST, DATABASE, KEY, COMPLETE = "manifest.json", "jobs.db", "secret_key", "complete.json"
LAST = "last-backup"  # An empty file: its time is that of the last backup.


@dataclass(frozen=True)
class Backup:
    """What an archive has."""

    jobs: int
    images: int
    files: int
    gone: int  # Files that rows name and that were gone: their jobs ended, or they are lost.
    bytes: int


class Digest:
    """Compute a digest of all members of an archive, in their order."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.bytes = 0

    def begin(self, name: str, size: int) -> None:
        """Begin with the next member."""
        self._hash.update(f"{name}\0{size}\0".encode())

    def update(self, data: bytes) -> None:
        """Add some content of the member."""
        self._hash.update(data)
        self.bytes += len(data)

    def hex(self) -> str:
        """Return the digest of all so far."""
        return self._hash.hexdigest()


class _Hashed:
    """Read a file, and add what is read to a digest."""

    def __init__(self, file: IO[bytes], digest: Digest) -> None:
        self._file = file
        self._digest = digest

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data


def back_up(root: Path, store: Store, storage: Storage, target: IO[bytes]) -> Backup:
    """Write an archive to a stream, in little memory, while others go on reading and writing.

    It migrates nothing. Raises OSError, or CannotStart during a restore.
    """
    room = storage.tmp if instance.is_writable(root) else None
    with (
        _in_use(root),
        storage.replaced_kept(),
        tempfile.TemporaryDirectory(prefix="backup-", dir=room) as folder,
    ):
        copy = Path(folder) / DATABASE
        store.db.backup(copy)
        return _write(root, storage, copy, store.now(), target)


def back_up_database(root: Path, store: Store, path: Path) -> None:
    """Copy only the database, to a new file that gets its name once it is whole and on the disk.

    It migrates nothing. Raises OSError, or CannotStart during a restore.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists.")
    with (
        _in_use(root),
        tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder,
    ):
        copy = Path(folder) / path.name
        store.db.backup(copy)
        os.rename(copy, path)
    sync(path.parent)


def note_complete(root: Path) -> None:
    """Note that a backup of all was written: its file has its name, or its reader has all."""
    note = os.open(root / LAST, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.utime(note)
        instance.give_to_owner(note, root)
    finally:
        os.close(note)


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a private file that gets its name once it is whole and on the disk.

    Raises FileExistsError if there is one of that name.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists.")
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # Mode 0600.
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        os.rename(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
    sync(path.parent)


@contextmanager
def _in_use(root: Path) -> Iterator[None]:
    try:
        lock = instance.share(root)
    except FileNotFoundError:  # No other process can use it either.
        yield
        return
    try:
        yield
    finally:
        os.close(lock)


def _write(root: Path, storage: Storage, copy: Path, now: float, target: IO[bytes]) -> Backup:
    facts, digest = read_copy(copy), Digest()
    files = gone = 0
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        manifest = {"format": FORMAT, "schema": facts.version, "version": VERSION, "made": int(now)}
        _add_json(archive, MANIFEST, manifest, now, digest)
        with copy.open("rb") as database:
            _add(archive, DATABASE, database, digest)
        with suppress(FileNotFoundError), (root / KEY).open("rb") as key:
            _add(archive, KEY, key, digest)
        for places in files_of_copy(copy):
            if _add_stored(archive, storage, places, digest):
                files += 1
            else:
                gone += 1
        size = digest.bytes
        end = {"files": files, "gone": gone, "sha256": digest.hex()}
        _add_json(archive, COMPLETE, end, now, digest)
    return Backup(facts.jobs, facts.images, files, gone, size)


def _add_stored(
    archive: tarfile.TarFile, storage: Storage, places: tuple[str, ...], digest: Digest
) -> bool:
    """Add a file from the first of its places where it is; return whether there was one.

    One of two places is tried again: it may have been moved from the second to the first.
    """
    for path in (*places, *places[:-1]):
        if file := storage.open_stored(path):
            with file:
                _add(archive, path, file, digest)
            return True
    return False


def _add(archive: tarfile.TarFile, name: str, file: IO[bytes], digest: Digest) -> None:
    status = os.fstat(file.fileno())
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = status.st_size, int(status.st_mtime), 0o600
    digest.begin(name, member.size)
    archive.addfile(member, _Hashed(file, digest))
    archive.members.clear()  # type: ignore[attr-defined]  # It would remember a million of them.


def _add_json(
    archive: tarfile.TarFile, name: str, value: dict[str, Any], now: float, digest: Digest
) -> None:
    content = json.dumps(value).encode()
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(content), int(now), 0o600
    digest.begin(name, member.size)
    archive.addfile(member, _Hashed(BytesIO(content), digest))
