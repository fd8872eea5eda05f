"""The SQLite file: migrations, a connection for each thread, and transactions."""

import errno
import logging
import os
import shutil
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import sqlite_utils

from webapp.disk import is_disk_full, sync
from webapp.jobs import instance

if TYPE_CHECKING:
    import sqlite3
else:
    from sqlite_utils.utils import sqlite3  # pysqlite3 where it is installed: its SQLite is newer.

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0  # How long one that only looks waits: no writer makes it wait.
BUSY_SECONDS = 10.0  # How long a writer waits for another; the longest transaction takes 0.01.
JOURNAL_BYTES = 64_000_000  # The WAL is cut back to this after a burst.

_CURE = "install pysqlite3 0.6.1, or Python with SQLite 3.51.3, or newer ones."
_CANNOT_READ = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)  # Without writing beside it.
COPIES = "backups"  # The folder beside the file that has copies from before migrations.
COPIES_KEPT = 3
MIGRATIONS = sorted((Path(__file__).parent / "migrations").glob("[0-9]*.sql"))


class Database:
    """Open one SQLite file, with a connection for each thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._is_migrated = False
        self._is_read_only = False
        self._copy: Path | None = None  # Where SQLite cannot read the file in its place.
        self._use: weakref.finalize[..., Any] | None = None  # Ends our use of the instance.

    @property
    def _db(self) -> sqlite_utils.Database:
        """The connection of this thread, never shared nor kept in a forked process."""
        if getattr(self._local, "pid", None) != os.getpid():
            if not self._is_migrated and not self._is_read_only:
                self.migrate()
            self._local.db = self._connect()
            self._local.pid = os.getpid()
        return self._local.db  # type: ignore[no-any-return]

    def _connect(self) -> sqlite_utils.Database:
        """Connect to the file, or to a copy where SQLite cannot read it in its place.

        Beside a file that cannot be written, it can create neither a log nor the index of one. It
        can read by an index that is there. Raises OSError if a copy cannot be made.
        """
        if instance.is_writable(self._path.parent):
            return self._connect_to(self._path)
        if not self._copy:
            try:
                db = self._connect_to(self._path)
                db.execute("PRAGMA user_version")
                return db
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _CANNOT_READ:
                    raise
            folder = Path(mkdtemp(prefix="thumbnails-"))
            weakref.finalize(self, shutil.rmtree, folder)
            _copy_unused(self._path, folder)
            self._copy = folder / self._path.name
        return self._connect_to(self._copy)

    def _connect_to(self, path: Path) -> sqlite_utils.Database:
        # isolation_level=None: SQLite's own autocommit, so that a statement with RETURNING is
        # committed when its rows are read, and transactions are ours to begin.
        timeout = LOOK_SECONDS if self._is_read_only else BUSY_SECONDS
        connection = sqlite3.connect(path, timeout=timeout, isolation_level=None)
        db = sqlite_utils.Database(connection, recursive_triggers=False, execute_plugins=False)
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = FULL")  # An acknowledged upload survives a power cut.
        db.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
        db.execute(f"PRAGMA query_only = {int(self._is_read_only)}")
        return db

    def look_only(self) -> None:
        """Migrate and write nothing from now on; of any version, only what it has can be read."""
        self._is_read_only = True

    def look_only_at_known(self) -> None:
        """Migrate and write nothing from now on. Raises CannotStart for another version's file."""
        self.look_only()
        with _refuse_damage(self._path):
            version = self.version()
        if version != len(MIGRATIONS):
            raise instance.CannotStart(
                f"{self._path} has schema {version}, and this version {len(MIGRATIONS)}. It is not"
                " writable, so it is not migrated here: use the version that made it."
            )

    def version(self) -> int:
        """Return the number of the last migration that the file has."""
        return read_version(self._db)

    def find_missing(self) -> list[str]:
        """Return the tables, indexes and triggers that the file lacks for its version."""
        return find_missing(self._db)

    def find_damage(self) -> str | None:
        """Read all of the file; return what is wrong with it, or None."""
        with _translate_disk_full():
            said = str(self._db.execute("PRAGMA quick_check(1)").fetchone()[0])
        return None if said == "ok" else said

    def migrate(self) -> None:
        """Migrate the file under a lock: web and consumer may start at the same time.

        The first use does it too. A command that uses no rows leaves a running server's file alone.
        From now on, this process uses the instance. Raises CannotStart.
        """
        instance.refuse_read_only(self._path.parent)
        with instance.mutex(self._path.parent):
            if not self._use or not self._use.alive:
                lock = instance.share(self._path.parent)
                self._use = weakref.finalize(self, os.close, lock)
            if not self._path.exists():
                self._path.touch(0o600)
            if has_wal_reset_bug(sqlite3.sqlite_version_info):
                logger.warning("SQLite %s can damage a database; %s", sqlite3.sqlite_version, _CURE)
            with _refuse_damage(self._path), closing(self._connect()) as db:
                version = read_version(db)
                if version > len(MIGRATIONS):
                    raise instance.CannotStart(_too_new(self._path, version))
                db.execute("PRAGMA journal_mode = WAL")
                if 0 < version < len(MIGRATIONS):
                    _copy_before_migration(db, self._path, version)
                migrate(db)
            self._is_migrated = True

    def backup(self, path: Path) -> None:
        """Write a consistent copy into a new file while others go on reading and writing.

        It migrates nothing: an older server may run, and the copy is to be one of its version.
        Raises OSError, with no file left: FileExistsError if there is one already.
        """
        if not self._path.exists():
            raise FileNotFoundError(f"There is no database at {self._path}.")
        try:
            db = self._connect()
        except sqlite3.DatabaseError as error:  # The file is no database.
            raise OSError(errno.EIO, str(error)) from error
        try:
            copy_whole(db, path)
        finally:
            db.close()

    def close(self) -> None:
        """Close this thread's connection, the last of the process: its use of the instance ends."""
        if getattr(self._local, "pid", None) == os.getpid():
            self._local.db.close()
            del self._local.pid
        if self._use:
            self._use()
            self._is_migrated = False

    @contextmanager
    def transaction(self) -> Iterator[sqlite_utils.Database]:
        """Run the block in a transaction; within another one, as a part of it.

        It begins as a writer: a deferred transaction can fail at its first write, not wait.
        """
        db = self._db
        if db.conn.in_transaction:
            yield db
            return
        with _translate_disk_full():
            db.conn.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.conn.execute("COMMIT")
            except BaseException:
                if db.conn.in_transaction:  # A full disk may have ended it already.
                    db.conn.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Run all reads of the block on one consistent snapshot.

        In a transaction, the transaction is the snapshot. A write in the block raises: it could
        fail at once, as others may have written since the snapshot began. Keep no snapshot
        while a file or a client is waited for: the log cannot be cut back then.
        """
        db = self._db
        if db.conn.in_transaction:
            yield
            return
        db.conn.execute("BEGIN")
        try:
            db.conn.execute("PRAGMA query_only = ON")
            yield
        finally:
            try:
                if db.conn.in_transaction:  # A disk error may have ended it already.
                    db.conn.execute("ROLLBACK")
            finally:  # Else this thread could never write again.
                db.conn.execute(f"PRAGMA query_only = {int(self._is_read_only)}")

    def query(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """Run one statement and read all its rows, which is also what commits a write."""
        with _translate_disk_full():
            cursor = self._db.conn.execute(sql, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def execute(self, sql: str, **values: Any) -> int:
        """Run one writing statement, and return the number of rows that it changed."""
        with _translate_disk_full():
            return self._db.conn.execute(sql, values).rowcount

    def commits_of_others(self) -> int:
        """Return a number that changes when another connection commits."""
        return int(self._db.conn.execute("PRAGMA data_version").fetchone()[0])

    @contextmanager
    def relaxed_durability(self) -> Iterator[None]:
        """Skip fsync for writes that a power cut may take."""
        self._db.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            self._db.execute("PRAGMA synchronous = FULL")


def migrate(db: sqlite_utils.Database, migrations: Sequence[Path] = MIGRATIONS) -> None:
    """Apply the migrations that a database lacks, in order, each in one transaction.

    `PRAGMA user_version` is the number of the last one. The first nine were once recorded by
    sqlite-utils in a table of its own.
    """
    version = read_version(db)
    for number, migration in enumerate(migrations[version:], version + 1):
        script = f"BEGIN; {migration.read_text()} PRAGMA user_version = {number}; COMMIT;"
        db.executescript(script)


def find_missing(db: sqlite_utils.Database) -> list[str]:
    """Return the tables, indexes and triggers that a database lacks for its version.

    One that was recovered from a damaged file may lack some, though all of its pages are whole.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        whole = sqlite_utils.Database(connection, recursive_triggers=False, execute_plugins=False)
        migrate(whole, MIGRATIONS[: read_version(db)])
        return sorted(_names(whole) - _names(db))


def _names(db: sqlite_utils.Database) -> set[str]:
    sql = "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'"
    return {name for (name,) in db.execute(sql)}


def read_version(db: sqlite_utils.Database) -> int:
    """Return the number of the last migration that a database has; 0 if it is new."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if not version and db["_sqlite_migrations"].exists():
        return int(db["_sqlite_migrations"].count)
    return version


def _copy_before_migration(db: sqlite_utils.Database, path: Path, version: int) -> None:
    """Copy a database to `backups/`, so that an operator can go back; delete old copies.

    The name has the version alone: a migration that fails at each of many starts replaces its own
    copy, and no older one. Raises CannotStart.
    """
    began = time.perf_counter()
    folder = path.parent / COPIES
    copy, draft = folder / f"{path.stem}-schema-{version}{path.suffix}", folder / "draft"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        draft.unlink(missing_ok=True)  # A killed start left it.
        copy_whole(db, draft)
        os.rename(draft, copy)
        for each in (folder, path.parent):
            sync(each)
        for old in _newest_first(folder, path)[COPIES_KEPT:]:
            old.unlink()
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise instance.CannotStart(
            f"The database cannot be copied to {folder} before it is migrated, for which"
            f" {path.stat().st_size / 1e6:,.0f} MB must be free: {error}. Nothing was changed."
        ) from None
    facts = {"file": copy, "bytes": copy.stat().st_size}
    ms = round((time.perf_counter() - began) * 1000)
    logger.info("database copied before its migration", extra={**facts, "ms": ms})


def _newest_first(folder: Path, path: Path) -> list[Path]:
    """List the copies of a database from before its migrations."""
    copies = folder.glob(f"{path.stem}-schema-*{path.suffix}")
    return sorted(copies, key=lambda copy: -copy.stat().st_mtime)


def _too_new(path: Path, version: int) -> str:
    known = len(MIGRATIONS)
    copies = _newest_first(path.parent / COPIES, path)
    older = [copy for copy in copies if int(copy.stem.rpartition("-")[2]) <= known]
    way_back = (
        f", or go back to the rows of then: flask jobs restore --replace {older[0]}"
        if older
        else ", or restore a backup of this one"
    )
    return (
        f"{path} is of a newer version: it has schema {version}, and this version knows {known}."
        f" Start the newer version{way_back}."
    )


def copy_whole(db: sqlite_utils.Database, path: Path) -> None:
    """Write a consistent copy of a database into a new private file, and sync it.

    Raises OSError, with no file left.
    """
    path.touch(0o600, exist_ok=False)  # It has the names of all users' files.
    try:
        with _translate_disk_full():
            db.conn.execute("VACUUM INTO :path", {"path": str(path)})
        sync(path)
    except BaseException as error:
        path.unlink()
        if isinstance(error, sqlite3.Error):  # The file is damaged, or a disk fails.
            raise OSError(errno.EIO, str(error)) from error
        raise


def _copy_unused(path: Path, folder: Path) -> None:
    """Copy a database that no process writes to, and its log, to a folder. Raises OSError."""
    files = [path, *(Path(f"{path}{end}") for end in ("-wal", "-shm"))]
    before = _stamps(files)
    try:
        for file, stamp in zip(files, before, strict=True):
            if stamp or file == path:
                shutil.copyfile(file, folder / file.name)
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise OSError(
            f"{path} must be copied to be read, and {folder.parent} has no room. TMPDIR can name"
            " another folder."
        ) from None
    if _stamps(files) != before:
        raise OSError(f"Another process writes to {path} at this moment. Try again.")


def _stamps(files: Sequence[Path]) -> list[tuple[int, int] | None]:
    """Return what changes when files are written to; None for one that is not there."""
    found = (file.stat() if file.exists() else None for file in files)
    return [facts and (facts.st_size, facts.st_mtime_ns) for facts in found]


def is_damage(error: Exception) -> bool:
    """Return whether an error says that a file is damaged, or is no database."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def sqlite_version() -> tuple[int, ...]:
    """Return the version of the SQLite in use."""
    return sqlite3.sqlite_version_info


def has_wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Return whether a version of SQLite can damage a database with two writers.

    https://sqlite.org/wal.html#walresetbug
    """
    return (3, 7, 0) <= version < (3, 51, 3)


@contextmanager
def _refuse_damage(path: Path) -> Iterator[None]:
    """Raise CannotStart for a damaged file."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        raise instance.CannotStart(
            f"{path} is damaged: {error}. Restore the last backup: docs/troubleshooting.md."
        ) from None


@contextmanager
def _translate_disk_full() -> Iterator[None]:
    """Raise OSError with ENOSPC for a full disk, as writing a file does."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
            raise
        raise OSError(errno.ENOSPC, str(error)) from error
