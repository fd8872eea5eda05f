"""The database file: whole after every fault, private, copied in use."""

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.schema import SCHEMA, old_database, read_schema
from webapp.config import ROOT
from webapp.disk import is_disk_full
from webapp.jobs.database import (
    MIGRATIONS,
    Database,
    _copy_unused,
    has_wal_reset_bug,
    migrate,
)
from webapp.jobs.instance import CannotStart
from webapp.jobs.restore import restore
from webapp.jobs.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(path)
    database.migrate()
    yield database
    database.close()


def beat(database: Database, worker: str) -> None:
    with database.transaction() as db:
        db.execute("INSERT INTO workers VALUES (?, 0)", [worker])


def workers(database: Database) -> list[str]:
    with database.transaction() as db:
        return [row["name"] for row in db["workers"].rows]


def test_transaction_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction():
        beat(database, "w1")
        raise ZeroDivisionError
    assert workers(database) == []


def test_snapshot_sees_one_moment_while_others_write(database: Database, path: Path) -> None:
    with database.snapshot():
        before = database.query("SELECT name FROM workers")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("INSERT INTO workers VALUES ('new', 0)")
        assert database.query("SELECT name FROM workers") == before
    assert workers(database) == ["new"]


@pytest.mark.parametrize("is_transaction", [False, True])
def test_write_in_a_snapshot_raises_and_changes_nothing(
    database: Database, is_transaction: bool
) -> None:
    with pytest.raises(Exception, match="readonly"), database.snapshot():
        if is_transaction:
            beat(database, "w1")
        else:
            database.execute("INSERT INTO workers VALUES ('w1', 0)")
    beat(database, "w2")
    assert workers(database) == ["w2"]


def test_snapshot_within_a_transaction_sees_what_it_wrote(database: Database) -> None:
    with database.transaction():
        beat(database, "w1")
        with database.snapshot():
            assert database.query("SELECT name FROM workers") == [{"name": "w1"}]
        beat(database, "w2")
    assert workers(database) == ["w1", "w2"]


def test_thread_writes_again_though_the_end_of_a_snapshot_failed(database: Database) -> None:
    connection = database._db.conn

    def forbid_rollback(action: int, argument: str | None, *_: object) -> int:
        is_rollback = action == sqlite3.SQLITE_TRANSACTION and argument == "ROLLBACK"
        return sqlite3.SQLITE_DENY if is_rollback else sqlite3.SQLITE_OK

    with pytest.raises(Exception, match="not authorized"), database.snapshot():
        connection.set_authorizer(forbid_rollback)
    connection.set_authorizer(None)
    connection.execute("ROLLBACK")
    beat(database, "w1")
    assert workers(database) == ["w1"]


def test_full_disk_is_recognized(database: Database) -> None:
    with database.transaction() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OSError, match="full") as caught:
        for number in range(1000):
            beat(database, f"worker {number}" * 10)
    assert is_disk_full(caught.value)


def test_processes_may_migrate_at_once(path: Path) -> None:
    start = "import sys; from pathlib import Path; from webapp.jobs.database import Database; "
    command = [sys.executable, "-c", start + "Database(Path(sys.argv[1])).migrate()", str(path)]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(4)]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]


def test_database_is_readable_by_its_owner_alone(database: Database, path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0


def test_backup_is_whole_and_private_while_others_write(
    database: Database, path: Path, tmp_path: Path
) -> None:
    beat(database, "w1")
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO workers VALUES ('too late', 0)")
        database.backup(copy)
        other.execute("COMMIT")
    assert copy.stat().st_mode & 0o077 == 0
    restored = Database(copy)
    assert workers(restored) == ["w1"]
    restored.close()


def test_database_that_is_written_to_meanwhile_is_not_copied(
    database: Database, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copyfile

    def copy_and_write(source: Path, target: Path) -> None:
        copy(source, target)
        beat(database, source.name)

    monkeypatch.setattr(shutil, "copyfile", copy_and_write)
    database.version()
    (tmp_path / "copy").mkdir()
    with pytest.raises(OSError, match="Another process writes to"):
        _copy_unused(path, tmp_path / "copy")


def test_backup_never_overwrites(database: Database, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")
    with pytest.raises(FileExistsError):
        database.backup(tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "precious"


@pytest.mark.parametrize(
    ("version", "is_affected"),
    [((3, 6, 23), False), ((3, 46, 1), True), ((3, 51, 2), True), ((3, 51, 3), False)],
)
def test_sqlite_version_that_may_damage_a_database_is_detected(
    version: tuple[int, ...], is_affected: bool
) -> None:
    assert has_wal_reset_bug(version) == is_affected


def test_schema_file_equals_the_result_of_the_migrations(database: Database) -> None:
    assert SCHEMA.read_text().partition("\n\n")[2].rstrip() == read_schema(database).rstrip()


def test_instance_of_the_first_schema_is_upgraded_without_loss(path: Path) -> None:
    with closing(sqlite3.connect(path)) as old:
        old.executescript(Path(__file__).with_name("first_schema.sql").read_text())
    with closing(Database(path)) as database:
        job = database.query("SELECT owner, version, missing_files FROM jobs")
        images = database.query("SELECT id, status, owner, queued FROM images ORDER BY position")
        thumbnails = database.query("SELECT folder, file_name FROM thumbnails")
        upgraded = read_schema(database)
    assert job == [{"owner": "owner", "version": 6, "missing_files": "[]"}]
    assert [tuple(image.values()) for image in images] == [
        ("image-1", "done", "owner", 1000.0),
        ("image-2", "failed", "owner", 1000.0),
        ("image-3", "waiting", "owner", 1000.0),
    ]
    assert thumbnails == [{"folder": "job/image-1-1", "file_name": "square.jpg"}]
    assert "".join(upgraded.split()) == "".join(SCHEMA.read_text().partition("\n\n")[2].split())


def test_focal_point_of_an_older_version_is_kept(path: Path) -> None:
    with old_database(path, 11) as old:
        old.execute(
            "INSERT INTO jobs (id, recipe, created, expires, open_until)"
            " VALUES ('job', '[]', 0, 9e9, 0)"
        )
        old.execute(
            "INSERT INTO images (id, job_id, position, name, bytes, format, width, height, had_gps,"
            " created, focus_x, focus_y)"
            " VALUES ('image', 'job', 1, 'a.jpg', 1, 'jpeg', 1, 1, 0, 0, 0.25, 0.75)"
        )
    store = Store(path)
    job = store.jobs.read("job")
    store.db.close()
    assert job
    assert job.images[0].focal_point == (0.25, 0.75)


def test_second_start_applies_no_migration_again(path: Path) -> None:
    for _ in range(2):
        with closing(Database(path)) as database:
            assert database.query("PRAGMA user_version") == [{"user_version": len(MIGRATIONS)}]


def test_migration_that_fails_changes_nothing(database: Database, tmp_path: Path) -> None:
    broken = tmp_path / "broken.sql"
    broken.write_text("CREATE TABLE half (id); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(Exception, match="nowhere"):
        migrate(database._db, [*MIGRATIONS, broken])
    database.close()
    assert database.query("SELECT name FROM sqlite_master WHERE name = 'half'") == []
    assert database.query("PRAGMA user_version") == [{"user_version": len(MIGRATIONS)}]


def test_backup_of_an_older_version_is_one_of_that_version(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as old:
        old.executescript(Path(__file__).with_name("first_schema.sql").read_text())
    Database(path).backup(tmp_path / "copy.db")
    for file in (path, tmp_path / "copy.db"):
        with closing(sqlite3.connect(file)) as unchanged:
            assert unchanged.execute("SELECT count(state) FROM images").fetchone() == (3,)


def test_backup_without_a_database_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="There is no database"):
        Database(tmp_path / "jobs.db").backup(tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []


# Copies from before migrations

LAST = len(MIGRATIONS)


def write_old(path: Path, version: int = LAST - 1) -> None:
    """Create a database of an older version, with a job."""
    with old_database(path, version) as old:
        old.execute(
            "INSERT INTO jobs (id, recipe, created, expires, open_until)"
            " VALUES ('job', '[]', 0, 9e9, 0)"
        )


def copies(path: Path) -> list[str]:
    return sorted(copy.name for copy in (path.parent / "backups").glob("*"))


def test_database_is_copied_before_it_is_migrated(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_old(path)
    with caplog.at_level("INFO"), closing(Database(path)) as database:
        database.migrate()
    assert copies(path) == [f"jobs-schema-{LAST - 1}.db"]
    copy = path.parent / "backups" / copies(path)[0]
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (LAST - 1,)
        assert old.execute("SELECT id FROM jobs").fetchall() == [("job",)]
    assert [record.message for record in caplog.records] == ["database copied before its migration"]


def test_new_or_current_database_is_not_copied(database: Database, path: Path) -> None:
    database.close()
    database.migrate()
    assert copies(path) == []


def test_three_newest_copies_are_kept(path: Path) -> None:
    for number, version in enumerate(range(LAST - 5, LAST)):
        path.unlink(missing_ok=True)
        write_old(path, version)
        with closing(Database(path)) as database:
            database.migrate()
        os.utime(path.parent / f"backups/jobs-schema-{version}.db", (number, number))
    assert copies(path) == [f"jobs-schema-{version}.db" for version in range(LAST - 3, LAST)]


def test_migration_that_fails_at_each_start_leaves_one_copy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_old(path)
    for _ in range(3):
        with monkeypatch.context() as broken, closing(Database(path)) as database:
            broken.setattr("webapp.jobs.database.migrate", lambda _: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                database.migrate()
    assert copies(path) == [f"jobs-schema-{LAST - 1}.db"]


def test_start_with_a_damaged_database_says_what_to_do(path: Path) -> None:
    path.write_bytes(b"no database " * 1000)
    with closing(Database(path)) as database, pytest.raises(CannotStart, match="is damaged"):
        database.migrate()


def test_start_that_cannot_copy_the_database_changes_nothing(path: Path) -> None:
    write_old(path)
    (path.parent / "backups").write_text("no folder")
    with closing(Database(path)) as database, pytest.raises(CannotStart, match="must be free"):
        database.migrate()
    with closing(sqlite3.connect(path)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (LAST - 1,)


def test_copy_without_room_on_the_disk_leaves_no_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_old(path)

    def fill_disk(_: object, draft: Path) -> None:
        draft.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("webapp.jobs.database.copy_whole", fill_disk)
    with closing(Database(path)) as database, pytest.raises(CannotStart, match="No space left"):
        database.migrate()
    assert copies(path) == []


KILL = """
import os, signal, sys
from pathlib import Path
from webapp.jobs import database

os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
database.Database(Path(sys.argv[1])).migrate()
"""


def test_kill_during_a_copy_leaves_none_that_looks_whole(path: Path) -> None:
    write_old(path)
    killed = subprocess.run([sys.executable, "-c", KILL, path], cwd=ROOT)
    assert killed.returncode == -9
    assert copies(path) == ["draft"]
    with closing(Database(path)) as database:
        database.migrate()
    assert copies(path) == [f"jobs-schema-{LAST - 1}.db"]


def test_database_of_a_newer_version_is_refused_with_the_way_back(path: Path) -> None:
    write_old(path)
    with closing(Database(path)) as database:
        database.migrate()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {LAST + 1}")
    with closing(Database(path)) as database, pytest.raises(CannotStart) as refused:
        database.migrate()
    copy = path.parent / f"backups/jobs-schema-{LAST - 1}.db"
    assert f"it has schema {LAST + 1}, and this version knows {LAST}" in str(refused.value)
    assert f"flask jobs restore --replace {copy}" in str(refused.value)


def test_older_code_goes_back_to_the_copy(path: Path) -> None:
    write_old(path)
    with closing(Database(path)) as database:
        database.migrate()
        beat(database, "w1")
    with (path.parent / "backups" / copies(path)[0]).open("rb") as copy:
        restore(path.parent, copy, replace=True)
    with closing(sqlite3.connect(path)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (LAST - 1,)
        assert old.execute("SELECT id FROM jobs").fetchall() == [("job",)]
        assert old.execute("SELECT name FROM workers").fetchall() == []
