"""The SQLite file: its schema, a connection for each thread, and transactions."""

import errno
import fcntl
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlite_utils

if TYPE_CHECKING:
    import sqlite3
else:
    from sqlite_utils.utils import sqlite3  # pysqlite3 where it is installed: its SQLite is newer.

logger = logging.getLogger(__name__)

BUSY_SECONDS = 10.0  # How long a writer waits for another; the longest transaction takes 0.01.
JOURNAL_BYTES = 64_000_000  # The WAL is cut back to this after a burst.

migrations = sqlite_utils.Migrations("webapp")


@migrations()
def create_tables(db: sqlite_utils.Database) -> None:
    """Create the first schema."""
    for statement in _SCHEMA.split(";\n\n"):
        db.execute(statement)


@migrations()
def add_placeholders(db: sqlite_utils.Database) -> None:
    """Add what a page shows of an image before its thumbnail is loaded."""
    db.execute("ALTER TABLE images ADD COLUMN thumbhash TEXT")
    db.execute("ALTER TABLE images ADD COLUMN color TEXT")


@migrations()
def add_counters(db: sqlite_utils.Database) -> None:
    """Count for the operator what happens to images, as their rows do not stay."""
    for statement in _COUNTERS.split(";\n\n"):
        db.execute(statement)


@migrations()
def add_usage(db: sqlite_utils.Database) -> None:
    """Add what each client used of its limits, by the minute."""
    db.execute(
        "CREATE TABLE usage (client TEXT, what TEXT, minute INTEGER, amount INTEGER NOT NULL,"
        " PRIMARY KEY (client, what, minute)) STRICT, WITHOUT ROWID"
    )


@migrations()
def add_remaking(db: sqlite_utils.Database) -> None:
    """Let images be made again: with another recipe or focal point, or after a failure."""
    for statement in _REMAKING.split(";\n\n"):
        db.execute(statement)


@migrations()
def add_image_versions(db: sqlite_utils.Database) -> None:
    """Tell which images a page has to be sent again."""
    for statement in _IMAGE_VERSIONS.split(";\n\n"):
        db.execute(statement)


@migrations()
def add_missing_files(db: sqlite_utils.Database) -> None:
    """Remember what was meant for a job and did not get into it."""
    db.execute(
        "ALTER TABLE jobs ADD COLUMN missing_files TEXT NOT NULL DEFAULT '[]'"
        " /* JSON: the name, the reason and the position of each */"
    )


@migrations()
def add_expired_jobs(db: sqlite_utils.Database) -> None:
    """Remember for a while which jobs expired, for who comes back to them."""
    db.execute(
        "CREATE TABLE expired_jobs (id TEXT PRIMARY KEY, deleted REAL NOT NULL)"
        " STRICT, WITHOUT ROWID"
    )
    db.execute("CREATE INDEX expired_jobs_deleted ON expired_jobs (deleted)")


@migrations()
def add_turns(db: sqlite_utils.Database) -> None:
    """Remember whose work an image is, so that clients and owners take turns."""
    for statement in _TURNS.split(";\n\n"):
        db.execute(statement)


_SCHEMA = """\
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    owner TEXT,                          -- who submitted it: the id in a browser's session
    recipe TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL NOT NULL,
    open_until REAL NOT NULL,            -- more images may come until then; 0 once it is closed
    version INTEGER NOT NULL DEFAULT 0   -- grows with everything a page shows
) STRICT;

CREATE INDEX jobs_expires ON jobs (expires);

CREATE INDEX jobs_owner ON jobs (owner, created);

CREATE TABLE images (
    id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
    position INTEGER NOT NULL,           -- where its uploader put it among the others
    name TEXT NOT NULL,                  -- as its owner calls it: shown, never a path
    bytes INTEGER NOT NULL,
    format TEXT NOT NULL,
    width INTEGER NOT NULL,              -- as seen: after the orientation is applied
    height INTEGER NOT NULL,
    had_gps INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'working', 'done', 'failed', 'cancelled')),
    attempts INTEGER NOT NULL DEFAULT 0, -- claims so far; the last one's number is its token
    released INTEGER NOT NULL DEFAULT 0, -- those of them that were given back unharmed
    claimed_by TEXT,
    lease REAL,                          -- the claim holds until then
    error_code TEXT,
    error_message TEXT,
    created REAL NOT NULL,
    finished REAL
) STRICT;

CREATE INDEX images_position ON images (job_id, position, created);

CREATE INDEX images_claimable ON images (attempts - released > 1, created)
    WHERE state IN ('waiting', 'working');

CREATE TABLE thumbnails (
    image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
    number INTEGER NOT NULL,             -- its place in the recipe
    folder TEXT NOT NULL,                -- below the folder of all thumbnails
    file_name TEXT NOT NULL,
    format TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    quality INTEGER,
    PRIMARY KEY (image_id, number)
) STRICT;

CREATE TABLE workers (
    name TEXT PRIMARY KEY,
    beat REAL NOT NULL
) STRICT;

CREATE TRIGGER image_added AFTER INSERT ON images BEGIN
    UPDATE jobs SET version = version + 1 WHERE id = new.job_id;
END;

CREATE TRIGGER image_changed AFTER UPDATE OF state ON images BEGIN
    UPDATE jobs SET version = version + 1 WHERE id = new.job_id;
END"""

# Triggers, for then a count is right whichever statement changes an image, in the same transaction.
_COUNTERS = """\
ALTER TABLE images ADD COLUMN claimed REAL /* when the last claim began */;

CREATE TABLE counters (
    what TEXT NOT NULL,                  -- 'accepted', 'refused', an image's last state, 'deleted'
    code TEXT NOT NULL,                  -- of the error, if there is one
    count INTEGER NOT NULL,
    PRIMARY KEY (what, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE durations (
    what TEXT NOT NULL,                  -- 'wait' for the first claim, 'work' of the last one
    up_to REAL NOT NULL,                 -- seconds: from the bucket before to this
    count INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0.0,   -- their sum
    PRIMARY KEY (what, up_to)
) STRICT, WITHOUT ROWID;

INSERT INTO counters
    SELECT 'accepted', '', count(*) FROM images UNION ALL SELECT 'done', '', 0;

INSERT INTO counters
    SELECT state, coalesce(error_code, ''), count(*) FROM images
    WHERE state NOT IN ('waiting', 'working') GROUP BY 1, 2
    ON CONFLICT DO UPDATE SET count = excluded.count;

INSERT INTO durations (what, up_to) VALUES
    ('wait', 0.05), ('wait', 0.1), ('wait', 0.25), ('wait', 0.5), ('wait', 1), ('wait', 2.5),
    ('wait', 5), ('wait', 10), ('wait', 30), ('wait', 60), ('wait', 120), ('wait', 300),
    ('wait', 9e999), -- infinity
    ('work', 0.01), ('work', 0.025), ('work', 0.05), ('work', 0.1), ('work', 0.25), ('work', 0.5),
    ('work', 1), ('work', 2.5), ('work', 5), ('work', 10), ('work', 30), ('work', 9e999);

CREATE TRIGGER accepted_counted AFTER INSERT ON images BEGIN
    UPDATE counters SET count = count + 1 WHERE what = 'accepted';
END;

CREATE TRIGGER finished_counted AFTER UPDATE OF state ON images
WHEN old.state IN ('waiting', 'working') AND new.state NOT IN ('waiting', 'working') BEGIN
    INSERT INTO counters VALUES (new.state, coalesce(new.error_code, ''), 1)
        ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER deleted_counted AFTER DELETE ON images WHEN old.state IN ('waiting', 'working') BEGIN
    INSERT INTO counters VALUES ('deleted', '', 1) ON CONFLICT DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER wait_measured AFTER UPDATE OF state ON images
WHEN old.attempts = 0 AND new.state = 'working' BEGIN
    UPDATE durations SET count = count + 1, seconds = seconds + max(new.claimed - new.created, 0)
        WHERE what = 'wait' AND up_to = (SELECT min(up_to) FROM durations
        WHERE what = 'wait' AND up_to >= new.claimed - new.created);
END;

CREATE TRIGGER work_measured AFTER UPDATE OF state ON images
WHEN old.state = 'working' AND new.state IN ('done', 'failed')
AND new.error_code IS NOT 'worker_lost' BEGIN
    UPDATE durations SET count = count + 1, seconds = seconds + max(new.finished - new.claimed, 0)
        WHERE what = 'work' AND up_to = (SELECT min(up_to) FROM durations
        WHERE what = 'work' AND up_to >= new.finished - new.claimed);
END"""


_REMAKING = """\
ALTER TABLE images ADD COLUMN queued REAL NOT NULL DEFAULT 0 /* since when it waits for its turn */;

ALTER TABLE images ADD COLUMN focus_x REAL /* the focal point its owner chose, from 0 to 1 */;

ALTER TABLE images ADD COLUMN focus_y REAL;

UPDATE images SET queued = created;

DROP INDEX images_claimable;

CREATE INDEX images_claimable ON images (attempts - released > 1, queued)
    WHERE state IN ('waiting', 'working');

CREATE INDEX images_finished ON images (finished) WHERE state = 'done';

CREATE TRIGGER again_counted AFTER UPDATE OF state ON images
WHEN old.state NOT IN ('waiting', 'working') AND new.state = 'waiting' BEGIN
    INSERT INTO counters VALUES ('again', '', 1) ON CONFLICT DO UPDATE SET count = count + 1;
END"""

# No trigger begins another here, as none of them watches a version.
_IMAGE_VERSIONS = """\
ALTER TABLE images ADD COLUMN version INTEGER NOT NULL DEFAULT 0 /* of its job, as it changed */;

DROP TRIGGER image_added;

DROP TRIGGER image_changed;

CREATE TRIGGER image_added AFTER INSERT ON images BEGIN
    UPDATE jobs SET version = version + 1 WHERE id = new.job_id;
    UPDATE images SET version = (SELECT version FROM jobs WHERE id = new.job_id) WHERE id = new.id;
END;

CREATE TRIGGER image_changed AFTER UPDATE OF state ON images BEGIN
    UPDATE jobs SET version = version + 1 WHERE id = new.job_id;
    UPDATE images SET version = (SELECT version FROM jobs WHERE id = new.job_id) WHERE id = new.id;
END"""

# Clients and owners take turns. Triggers count what waits, for then the count is right whichever
# statement changes an image. Images that cost two workers are left out: they come after all others.
_TURNS = """\
ALTER TABLE images ADD COLUMN client TEXT NOT NULL DEFAULT '' /* whose limits its work is of */;

ALTER TABLE images ADD COLUMN owner TEXT NOT NULL DEFAULT '' /* of its job */;

UPDATE images SET owner = coalesce((SELECT owner FROM jobs WHERE jobs.id = job_id), '');

CREATE INDEX images_turns ON images (client, owner, queued)
    WHERE state = 'waiting' AND attempts - released <= 1;

CREATE INDEX images_working ON images (client, owner) WHERE state = 'working';

CREATE TABLE client_turns (
    client TEXT PRIMARY KEY,
    waiting INTEGER NOT NULL,            -- its images that wait
    served REAL NOT NULL                 -- when a worker last had one of them, or the first came
) STRICT, WITHOUT ROWID;

CREATE INDEX client_turns_next ON client_turns (served) WHERE waiting > 0;

CREATE TABLE owner_turns (
    client TEXT NOT NULL,
    owner TEXT NOT NULL,
    waiting INTEGER NOT NULL,
    served REAL NOT NULL,
    PRIMARY KEY (client, owner)
) STRICT, WITHOUT ROWID;

CREATE INDEX owner_turns_next ON owner_turns (client, served) WHERE waiting > 0;

INSERT INTO owner_turns
    SELECT client, owner, count(*), min(queued) FROM images
    WHERE state = 'waiting' AND attempts - released <= 1 GROUP BY client, owner;

INSERT INTO client_turns
    SELECT client, sum(waiting), min(served) FROM owner_turns GROUP BY client;

CREATE TRIGGER turn_awaited AFTER INSERT ON images WHEN new.state = 'waiting' BEGIN
    INSERT INTO client_turns VALUES (new.client, 1, new.queued)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1;
    INSERT INTO owner_turns VALUES (new.client, new.owner, 1, new.queued)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1;
END;

CREATE TRIGGER turn_awaited_again AFTER UPDATE OF state ON images
WHEN new.state = 'waiting' AND new.attempts - new.released <= 1 BEGIN
    INSERT INTO client_turns VALUES (new.client, 1, new.queued)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1;
    INSERT INTO owner_turns VALUES (new.client, new.owner, 1, new.queued)
        ON CONFLICT DO UPDATE SET waiting = waiting + 1;
END;

CREATE TRIGGER turn_taken AFTER UPDATE OF state ON images
WHEN old.state = 'waiting' AND old.attempts - old.released <= 1 BEGIN
    UPDATE client_turns SET waiting = waiting - 1,
        served = iif(new.state = 'working', new.claimed, served) WHERE client = old.client;
    UPDATE owner_turns SET waiting = waiting - 1,
        served = iif(new.state = 'working', new.claimed, served)
        WHERE client = old.client AND owner = old.owner;
END;

CREATE TRIGGER turn_over AFTER UPDATE OF state ON images
WHEN old.state = 'working' AND new.state IN ('done', 'failed') BEGIN
    UPDATE client_turns SET served = new.finished WHERE client = old.client;
    UPDATE owner_turns SET served = new.finished WHERE client = old.client AND owner = old.owner;
END;

CREATE TRIGGER turn_deleted AFTER DELETE ON images
WHEN old.state = 'waiting' AND old.attempts - old.released <= 1 BEGIN
    UPDATE client_turns SET waiting = waiting - 1 WHERE client = old.client;
    UPDATE owner_turns SET waiting = waiting - 1
        WHERE client = old.client AND owner = old.owner;
END"""


class Database:
    """Keep rows in one SQLite file; a subclass says which are read and written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._migrate()

    @property
    def _db(self) -> sqlite_utils.Database:
        """This thread's connection: never shared, and never carried into a forked process."""
        if getattr(self._local, "pid", None) != os.getpid():
            self._local.db = self._connect()
            self._local.pid = os.getpid()
        return self._local.db  # type: ignore[no-any-return]

    def _connect(self) -> sqlite_utils.Database:
        # isolation_level=None: SQLite's own autocommit, so that a statement with RETURNING is
        # committed when its rows are read, and transactions are ours to begin.
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        db = sqlite_utils.Database(connection, recursive_triggers=False, execute_plugins=False)
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = FULL")  # An acknowledged upload survives a power cut.
        db.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
        return db

    def _migrate(self) -> None:
        """Bring the file to the current schema; web and consumer may try at the same moment."""
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if not self._path.exists():
                self._path.touch(0o600)
            if has_wal_reset_bug(sqlite3.sqlite_version_info):
                logger.warning("SQLite %s can damage a database; %s", sqlite3.sqlite_version, _CURE)
            db = self._connect()
            db.execute("PRAGMA journal_mode = WAL")
            migrations.apply(db)
            db.close()
        finally:
            os.close(folder)

    def backup(self, path: Path) -> None:
        """Write a consistent copy into a new file while others go on reading and writing.

        Raises OSError, with no file left: FileExistsError where there is one already.
        """
        path.touch(0o600, exist_ok=False)  # It says what everybody's files are called.
        try:
            with _translate_disk_full():
                self._db.conn.execute("VACUUM INTO :path", {"path": str(path)})
        except BaseException:
            path.unlink()
            raise

    def close(self) -> None:
        """Close this thread's connection."""
        if getattr(self._local, "pid", None) == os.getpid():
            self._local.db.close()
            del self._local.pid

    @contextmanager
    def transaction(self) -> Iterator[sqlite_utils.Database]:
        """Do all of the block or nothing; within another transaction, as a part of it.

        Begins as a writer: a deferred transaction can fail at its first write instead of wait.
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
        """Give all reads of the block one consistent snapshot.

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
                db.conn.execute("PRAGMA query_only = OFF")

    def query(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """Run one statement and read all its rows, which is also what commits a write."""
        with _translate_disk_full():
            cursor = self._db.conn.execute(sql, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def execute(self, sql: str, **values: Any) -> int:
        """Run one writing statement; give the number of rows it changed."""
        with _translate_disk_full():
            return self._db.conn.execute(sql, values).rowcount

    @contextmanager
    def relaxed_durability(self) -> Iterator[None]:
        """Write without waiting for the disk what a power cut may take."""
        self._db.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            self._db.execute("PRAGMA synchronous = FULL")


def has_wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Say whether a version of SQLite may, if rarely, damage a database that two write at once.

    https://sqlite.org/wal.html#walresetbug
    """
    return (3, 7, 0) <= version < (3, 51, 3)


_CURE = "install pysqlite3 0.6.1, or Python with SQLite 3.51.3, or newer ones."


@contextmanager
def _translate_disk_full() -> Iterator[None]:
    """Raise for a full disk what writing a file raises for it: OSError with ENOSPC."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
            raise
        raise OSError(errno.ENOSPC, str(error)) from error
