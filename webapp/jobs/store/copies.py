"""Read a copy of the database that no process writes to."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import sqlite_utils

from webapp.jobs.database import find_missing, read_version

if TYPE_CHECKING:
    import sqlite3
else:
    from sqlite_utils.utils import sqlite3

_MISSED = {"jobs", "api_tokens"}  # Whose rows someone would miss.
# Thumbnails that are shown, and those that were replaced some minutes ago; older versions have no
# such table.
_TABLES = ("thumbnails", "replaced_thumbnails")


class DamagedDatabase(Exception):
    """A file is no database of jobs, or not a whole one."""

    code = "damaged_database"


@dataclass(frozen=True)
class CopyFacts:
    """What a copy has."""

    version: int  # Of its schema: the number of its last migration.
    jobs: int
    images: int


def read_copy(path: Path) -> CopyFacts:
    """Read all of a copy and check it. Raises DamagedDatabase."""
    with _opened(path) as db:
        try:
            problem = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if problem != "ok":
                raise DamagedDatabase(problem)
            if missing := find_missing(db):
                raise DamagedDatabase(f"it lacks {', '.join(missing)}")
            return CopyFacts(
                version=read_version(db),
                jobs=db.execute("SELECT count(*) FROM jobs").fetchone()[0],
                images=db.execute("SELECT count(*) FROM images").fetchone()[0],
            )
        except sqlite3.Error as error:
            raise DamagedDatabase(str(error)) from None


def files_of_copy(path: Path) -> Iterator[tuple[str, ...]]:
    """List the files that rows of a copy name, below the folder of all data.

    Those of a deleted job are hidden, so each thumbnail may be at one of two places.
    """
    with _opened(path) as db:
        for job_id, image_id in db.conn.execute("SELECT job_id, id FROM images"):
            yield (f"originals/{job_id}/{image_id}",)
        for table in _TABLES:
            if db[table].exists():
                for folder, name in db.conn.execute(f"SELECT folder, file_name FROM {table}"):
                    yield f"thumbnails/{folder}/{name}", f"deleted/{folder}/{name}"


def has_rows(path: Path) -> bool:
    """Return whether a database may have what someone would miss; it may be in use."""
    if not path.exists():
        return False
    with closing(sqlite3.connect(path)) as connection:
        try:
            connection.execute("PRAGMA query_only = ON")
            names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            return any(
                connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
                for table in _MISSED & names
            )
        except sqlite3.Error:
            return True


@contextmanager
def _opened(path: Path) -> Iterator[sqlite_utils.Database]:
    """Open a copy. Immutable: SQLite looks for no log beside it, and locks nothing."""
    address = f"file:{quote(str(path))}?mode=ro&immutable=1"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        yield sqlite_utils.Database(connection, execute_plugins=False)
