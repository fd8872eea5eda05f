"""An instance that cannot be written is looked at and backed up: what it has, and nothing changes.

It is mounted read-only, as a snapshot or in a container beside the server, or it belongs to another
user. SQLite alone cannot read a database whose log has no index there, or that was closed.
"""

import io
import json
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.backups import members_of, stored_files
from tests.support.images import make_jpeg
from tests.support.jobs import submit, work
from tests.support.namespaces import (
    in_namespaces,
    needs_namespaces,
    needs_users,
    read_only,
    without_rights,
)
from tests.support.servers import environment
from webapp.config import ROOT
from webapp.jobs import instance
from webapp.jobs.database import MIGRATIONS
from webapp.jobs.lifecycle import Jobs

pytestmark = pytest.mark.slow

FLASK = (sys.executable, "-m", "flask", "--app", "wsgi", "jobs")
LOG, INDEX = "jobs.db-wal", "jobs.db-shm"
Ended = subprocess.CompletedProcess[bytes]


@pytest.fixture(
    params=[
        pytest.param("mounted", marks=needs_namespaces),
        pytest.param("of another user", marks=needs_users),
    ]
)
def way(request: pytest.FixtureRequest) -> str:
    """Say why the instance cannot be written."""
    return str(request.param)


@pytest.fixture
def there(jobs: Jobs, tmp_path: Path) -> Path:
    """Make an instance of which the log alone has the last job, as a killed server leaves it."""
    submit(jobs, make_jpeg())
    work(jobs)
    jobs.store.db.close()
    submit(jobs, make_jpeg())
    copy = tmp_path / "copy"
    shutil.copytree(jobs.config.instance, copy)
    assert (copy / LOG).stat().st_size
    return copy


def close(there: Path) -> None:
    """Let the database be as a server leaves it that was stopped."""
    with closing(sqlite3.connect(there / "jobs.db")) as db:
        db.execute("SELECT count(*) FROM jobs")
    assert not (there / LOG).exists()


@contextmanager
def unwritable(there: Path) -> Iterator[None]:
    """Take the right to write from all users during the block."""
    paths = [there, *there.rglob("*")]
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in paths}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def run(way: str, there: Path, *command: object, **settings: object) -> Ended:
    """Run a command that cannot write the instance; check that it changed nothing."""
    arguments = [*map(str, command)]
    before = state(there)
    with unwritable(there) if way == "of another user" else closing(io.BytesIO()):
        ended = subprocess.run(
            in_namespaces(*arguments, mounts=read_only(there))
            if way == "mounted"
            else without_rights(*arguments),
            cwd=ROOT,
            env=environment(there, **settings),
            capture_output=True,
        )
    assert b"Traceback" not in ended.stderr, ended.stderr.decode()
    assert state(there) == before
    return ended


def state(there: Path) -> list[tuple[str, int, int]]:
    found = ((path, path.lstat()) for path in sorted(there.rglob("*")))
    return [(str(path), facts.st_size, facts.st_mtime_ns) for path, facts in found]


def said(ended: Ended) -> str:
    return (ended.stdout + ended.stderr).decode()


def jobs_in(database: Path) -> int:
    with closing(sqlite3.connect(database)) as db:
        return int(db.execute("SELECT count(*) FROM jobs").fetchone()[0])


@pytest.fixture(params=["stopped", "killed", "killed, and copied without the index"])
def left(request: pytest.FixtureRequest, there: Path) -> Path:
    """Leave the database as a server does that ended in some way."""
    if request.param == "stopped":
        close(there)
    elif "without" in request.param:
        (there / INDEX).unlink()
    return there


def test_backup_has_all_jobs_and_files(way: str, left: Path, tmp_path: Path) -> None:
    ended = run(way, left, *FLASK, "backup", tmp_path / "backup.tar")
    assert ended.returncode == 0, said(ended)
    assert ended.stdout.decode().startswith(f"{tmp_path}/backup.tar: 2 jobs, 2 images, 3 files, ")
    assert b"doctor will not know of this backup" in ended.stderr
    found = {
        member.name: data for member, data in members_of((tmp_path / "backup.tar").read_bytes())
    }
    assert found.items() >= stored_files(left).items()
    assert found["secret_key"] == (left / "secret_key").read_bytes()
    (tmp_path / "jobs.db").write_bytes(found["jobs.db"])
    assert jobs_in(tmp_path / "jobs.db") == 2


def test_database_alone_is_backed_up(way: str, left: Path, tmp_path: Path) -> None:
    ended = run(way, left, *FLASK, "backup", "--database-only", tmp_path / "copy.db")
    assert ended.returncode == 0, said(ended)
    assert jobs_in(tmp_path / "copy.db") == 2


def test_files_are_compared_with_rows(way: str, left: Path) -> None:
    whole = run(way, left, *FLASK, "check")
    assert (whole.returncode, whole.stdout) == (
        0,
        b"0 files without a job, 0 images without a file.\n",
    )
    stray = next((left / "originals").iterdir()) / "stray"
    stray.touch()
    ended = run(way, left, *FLASK, "check")
    assert (ended.returncode, b"/stray belongs to no job." in ended.stdout) == (1, True)


def test_doctor_checks_all_and_says_that_nothing_can_be_written(way: str, left: Path) -> None:
    ended = run(way, left, *FLASK, "doctor", "--json")
    found = {one["check"]: one["code"] for one in json.loads(ended.stdout)}
    expected = dict.fromkeys(("schema", "database", "files", "rows", "clock", "disk"), "ok")
    assert found.items() >= {**expected, "file_system": "read_only"}.items()
    assert not {"error", "timed_out"} & set(found.values())


def test_jobs_are_listed_and_shown(way: str, left: Path) -> None:
    listed = json.loads(run(way, left, *FLASK, "list", "--json").stdout)
    assert len(listed) == 2
    shown = json.loads(run(way, left, *FLASK, "show", listed[0]["id"], "--json").stdout)
    assert shown["id"] == listed[0]["id"]
    assert json.loads(run(way, left, *FLASK, "stats", "--json").stdout)["jobs"] == 2


@pytest.mark.parametrize(
    "command", [("pause",), ("check", "--fix"), ("prune", "--yes"), ("restore", "LICENSE")]
)
def test_command_that_writes_ends_with_a_sentence(
    way: str, there: Path, command: tuple[str, ...]
) -> None:
    ended = run(way, there, *FLASK, *command)
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert ended.stderr.decode() == f"THUMBNAIL_INSTANCE is not writable: {there}.\n"


@pytest.mark.parametrize(
    "command",
    [
        ("webapp.serve",),
        ("gunicorn", "wsgi:app"),
        ("huey.bin.huey_consumer", "webapp.consumer.huey"),
    ],
)
def test_server_does_not_start(way: str, there: Path, command: tuple[str, ...]) -> None:
    ended = run(way, there, sys.executable, "-m", *command)
    assert ended.returncode == 1
    assert ended.stderr.decode().count(f"THUMBNAIL_INSTANCE is not writable: {there}.\n") == 1


# What cannot be read in whole is not backed up in part.


@needs_users
def test_key_that_cannot_be_read_fails_the_backup(there: Path, tmp_path: Path) -> None:
    (there / "secret_key").chmod(0)
    ended = run("of another user", there, *FLASK, "backup", tmp_path / "backup.tar")
    assert (ended.returncode, b"Permission denied" in ended.stderr) == (1, True)
    assert not (tmp_path / "backup.tar").exists()


@needs_users
def test_log_that_cannot_be_read_fails_the_backup(there: Path, tmp_path: Path) -> None:
    (there / LOG).chmod(0)
    ended = run("of another user", there, *FLASK, "backup", tmp_path / "backup.tar")
    assert (ended.returncode, b"Permission denied" in ended.stderr) == (1, True)
    assert not (tmp_path / "backup.tar").exists()


@needs_namespaces
def test_server_that_runs_beside_a_read_only_mount_is_backed_up(jobs: Jobs, tmp_path: Path) -> None:
    submit(jobs, make_jpeg())
    ended = run("mounted", jobs.config.instance, *FLASK, "backup", tmp_path / "backup.tar")
    assert (ended.returncode, b": 1 job, 1 image, 1 file, " in ended.stdout) == (0, True)
    submit(jobs, make_jpeg())  # It could go on.


@needs_users
def test_folder_that_cannot_be_read_is_named(there: Path) -> None:
    there.chmod(0)
    ended = run("of another user", there, *FLASK, "check")
    assert ended.returncode == 1
    assert ended.stderr.decode() == f"THUMBNAIL_INSTANCE is not readable: {there}.\n"


def test_missing_database_is_an_error(way: str, there: Path, tmp_path: Path) -> None:
    for name in ("jobs.db", LOG, INDEX):
        (there / name).unlink()
    ended = run(way, there, *FLASK, "check")
    assert (ended.returncode, b"No such file" in ended.stderr) == (1, True)
    found = run(way, there, *FLASK, "doctor", "--json")
    assert b'"no_database"' in found.stdout


@needs_namespaces
def test_copy_without_room_says_where_it_wants_to_be(there: Path, tmp_path: Path) -> None:
    close(there)
    (tmp_path / "small").mkdir()
    mounts = f"{read_only(there)}\nmount -t tmpfs -o size=64k tmpfs {tmp_path}/small"
    ended = subprocess.run(
        in_namespaces(*FLASK, "check", mounts=mounts),
        cwd=ROOT,
        env=environment(there) | {"TMPDIR": str(tmp_path / "small")},
        capture_output=True,
    )
    assert ended.returncode == 1
    assert "TMPDIR" in ended.stderr.decode().splitlines()[-1]


def test_older_database_is_backed_up_and_not_compared(
    way: str, there: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(there / "jobs.db")) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) - 1}")
    ended = run(way, there, *FLASK, "check")
    assert ended.returncode == 1
    assert f"has schema {len(MIGRATIONS) - 1}, and this version {len(MIGRATIONS)}" in said(ended)


def test_copy_that_lacks_empty_folders_is_read(way: str, left: Path, tmp_path: Path) -> None:
    for name in ("tmp", "trials", "deleted", "unsettled", "in-use"):
        shutil.rmtree(left / name, ignore_errors=True)
    (left / "in-use").unlink()
    assert run(way, left, *FLASK, "check").returncode == 0
    assert run(way, left, *FLASK, "backup", tmp_path / "backup.tar").returncode == 0


def test_interrupted_restore_is_told(way: str, there: Path, tmp_path: Path) -> None:
    (there / instance.READY).mkdir()
    for command in (("check",), ("backup", tmp_path / "backup.tar")):
        ended = run(way, there, *FLASK, *command)
        assert (ended.returncode, b"restore" in ended.stderr) == (1, True)
        assert b"is not writable" in ended.stderr
