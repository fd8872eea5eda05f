"""Databases of older versions, and what the migrations amount to.

python -m tests.support.schema writes the latter.
"""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlite_utils

from webapp.jobs.database import MIGRATIONS, Database, migrate

SCHEMA = MIGRATIONS[0].with_name("schema.sql")


@contextmanager
def old_database(path: Path, version: int) -> Iterator[sqlite_utils.Database]:
    """Create a database with the schema of an older version, to write rows into."""
    with closing(sqlite_utils.Database(path)) as db:
        migrate(db, MIGRATIONS[:version])
        with db.conn:
            yield db


def read_schema(database: Database) -> str:
    """Return the statements that create a database's tables, indexes and triggers."""
    rows = database.query(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        " ORDER BY tbl_name, type = 'table' DESC, type, name"
    )
    return "".join(f"{row['sql']};\n\n" for row in rows)


def current_schema() -> str:
    """Return what `schema.sql` must contain."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Database(Path(folder) / "jobs.db")) as database,
    ):
        text = "-- What the migrations amount to. Written by `make schema`.\n\n"
        return text + read_schema(database).rstrip() + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(current_schema())
