"""Write what the migrations amount to: `python -m tests.support.schema`."""

import tempfile
from contextlib import closing
from pathlib import Path

from webapp.jobs.database import MIGRATIONS, Database

SCHEMA = MIGRATIONS[0].with_name("schema.sql")


def read_schema(database: Database) -> str:
    """Return the statements that create a database's tables, indexes and triggers."""
    rows = database.query(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        " ORDER BY tbl_name, type = 'table' DESC, type, name"
    )
    return "".join(f"{row['sql']};\n\n" for row in rows)


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Database(Path(folder) / "jobs.db")) as database,
    ):
        text = "-- What the migrations amount to. Written by `make schema`.\n\n"
        SCHEMA.write_text(text + read_schema(database).rstrip() + "\n")
