"""Restoring: all or nothing, whatever the archive has and whenever a kill comes."""

import fcntl
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import termios
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.app import place_databases, running_app
from tests.support.backups import Members, archive_of, make_archive, members_of, stored_files
from tests.support.images import make_jpeg
from tests.support.jobs import open_jobs, submit, work
from tests.support.servers import wait_until
from webapp.config import ROOT, Config
from webapp.jobs import restore as restore_module
from webapp.jobs.database import MIGRATIONS
from webapp.jobs.instance import CannotStart, InUse, alone, share
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.restore import (
    DamagedBackup,
    NewerBackup,
    NoRoom,
    NotABackup,
    NotEmpty,
    Restored,
    complete_interrupted,
    restore,
)

IMAGE = "6b4a3c38-7b0a-4f1c-8f0a-0123456789ab"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    """Make an instance of two jobs, one of which is done; no test changes it."""
    config = Config(instance=tmp_path_factory.mktemp("origin") / "instance", web_threads=1)
    with running_app(config) as app:
        jobs: Jobs = app.extensions["jobs"]
        submit(jobs, make_jpeg())
        work(jobs)
        submit(jobs, make_jpeg())
        yield jobs


@pytest.fixture(scope="module")
def archive(origin: Jobs) -> bytes:
    """Back it up."""
    return archive_of(origin)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make the folder of another instance."""
    root = tmp_path / "other"
    root.mkdir(mode=0o750)
    return root


@pytest.fixture
def used(root: Path, config: Config) -> Path:
    """Fill the other instance with a job of its own, and stop using it."""
    place_databases(root)
    other = open_jobs(replace(config, instance=root))
    submit(other, make_jpeg())
    other.store.db.close()
    (root / "secret_key").write_text("of the other")
    return root


@pytest.fixture
def new(origin: Jobs) -> object:
    """Read what the restored instance is to have."""
    return state(origin.config.instance)


def put(root: Path, archive: bytes, replace: bool = False) -> Restored:
    file = root.parent / "backup.tar"
    file.write_bytes(archive)
    with file.open("rb") as source:
        return restore(root, source, replace)


def bytes_in(pipe: int) -> int:
    """Count the bytes that can be read from a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def job_ids(root: Path) -> set[str]:
    with closing(sqlite3.connect(root / "jobs.db")) as db:
        return {job_id for (job_id,) in db.execute("SELECT id FROM jobs")}


def state(root: Path) -> object:
    """Return all that belongs to a backup, as it is in an instance."""
    key = root / "secret_key"
    return job_ids(root), stored_files(root), key.read_text() if key.exists() else None


def test_restored_instance_has_the_same_jobs_files_and_key(
    archive: bytes, new: object, root: Path
) -> None:
    done = put(root, archive)
    assert (done.jobs, done.images, done.files, done.gone) == (2, 2, 3, 0)
    assert (done.has_key, done.replaced) == (True, None)
    assert state(root) == new


def test_restored_files_have_the_modes_of_published_ones(
    origin: Jobs, archive: bytes, root: Path
) -> None:
    put(root, archive)

    def modes(root: Path) -> dict[str, int]:
        paths = (path for name in ("originals", "thumbnails") for path in (root / name).rglob("*"))
        return {str(path.relative_to(root)): path.stat().st_mode for path in paths}

    assert modes(root) == modes(origin.config.instance)
    for name in ("jobs.db", "secret_key"):
        assert (root / name).stat().st_mode & 0o777 == 0o600


def test_strict_umask_of_an_operator_does_not_lock_nginx_out(archive: bytes, root: Path) -> None:
    before = os.umask(0o077)
    try:
        put(root, archive)
    finally:
        os.umask(before)
    assert (root / "thumbnails").stat().st_mode & 0o777 == 0o750


def test_pipe_that_sends_a_few_bytes_at_first_is_a_backup(origin: Jobs, root: Path) -> None:
    copy = root.parent / "copy.db"
    origin.store.db.backup(copy)
    reader, writer = os.pipe()
    os.write(writer, copy.read_bytes()[:5])

    def send_the_rest() -> None:
        wait_until(lambda: not bytes_in(reader), what="the first bytes to be read")
        with open(writer, "wb") as pipe:
            pipe.write(copy.read_bytes()[5:])

    with ThreadPoolExecutor() as pool, open(reader, "rb") as source:
        sent = pool.submit(send_the_rest)
        assert restore(root, source).jobs == 2
        sent.result()


def test_image_that_waited_is_made_after_the_restore(
    archive: bytes, root: Path, config: Config
) -> None:
    put(root, archive)
    restored = open_jobs(replace(config, instance=root))
    work(restored)
    assert [restored.job(job_id).status for job_id in job_ids(root)] == ["done", "done"]
    restored.store.db.close()


def test_instance_that_is_not_empty_is_left_alone(archive: bytes, used: Path) -> None:
    before = state(used)
    with pytest.raises(NotEmpty, match="--replace"):
        put(used, archive)
    assert state(used) == before


def test_what_is_replaced_is_kept_aside(archive: bytes, new: object, used: Path) -> None:
    before = state(used)
    done = put(used, archive, replace=True)
    assert done.replaced
    assert state(used) == new
    assert state(done.replaced / "old") == before


def test_database_without_jobs_and_its_key_are_not_kept(
    archive: bytes, new: object, root: Path, config: Config
) -> None:
    other = open_jobs(replace(config, instance=root))
    assert list(other.store.jobs.ids()) == []
    other.store.db.close()
    (root / "secret_key").write_text("of the other")
    assert put(root, archive).replaced is None
    assert state(root) == new
    assert list(root.glob("re*")) == []


def test_what_is_replaced_is_private(archive: bytes, used: Path) -> None:
    done = put(used, archive, replace=True)
    assert done.replaced
    assert done.replaced.stat().st_mode & 0o777 == 0o700


def test_each_step_is_on_the_disk_before_the_next(
    archive: bytes, used: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, str]] = []
    rename = os.rename

    def note_rename(source: Path, target: Path) -> None:
        steps.append(("rename", target.name))
        rename(source, target)

    monkeypatch.setattr(os, "rename", note_rename)
    monkeypatch.setattr(os, "sync", lambda: steps.append(("sync", "all")))
    monkeypatch.setattr(
        restore_module, "sync", lambda path: steps.append(("sync", str(path.relative_to(used))))
    )
    put(used, archive, replace=True)
    assert steps[:3] == [("sync", "all"), ("rename", "restore-ready"), ("sync", ".")]
    aside = [("rename", "jobs.db"), ("sync", "restore-ready/old")]
    assert steps[-6:-2] == [*aside, ("rename", "jobs.db"), ("sync", ".")]
    assert steps[-1] == ("sync", ".")


def test_log_of_a_damaged_database_does_not_join_another(archive: bytes, used: Path) -> None:
    for name in ("jobs.db", "jobs.db-wal"):
        (used / name).write_bytes(b"damaged" * 10_000)
    done = put(used, archive, replace=True)
    assert done.replaced
    assert not (used / "jobs.db-wal").exists()
    assert (done.replaced / "old" / "jobs.db-wal").read_bytes() == b"damaged" * 10_000


def test_restore_of_only_the_database_leaves_the_files(
    jobs: Jobs, root: Path, tmp_path: Path
) -> None:
    job_id = submit(jobs, make_jpeg())
    jobs.store.db.backup(tmp_path / "copy.db")
    submit(jobs, make_jpeg())
    files = stored_files(jobs.config.instance)
    jobs.store.db.close()
    done = put(jobs.config.instance, (tmp_path / "copy.db").read_bytes(), replace=True)
    assert (done.jobs, done.files) == (1, None)
    assert job_ids(jobs.config.instance) == {job_id}
    assert stored_files(jobs.config.instance) == files


def test_database_that_lacks_a_table_is_refused(used: Path, tmp_path: Path) -> None:
    shutil.copy(used / "jobs.db", tmp_path / "recovered.db")
    with closing(sqlite3.connect(tmp_path / "recovered.db")) as db:
        db.execute("DROP TABLE workers")
    with pytest.raises(DamagedBackup, match="it lacks workers"):
        put(used, (tmp_path / "recovered.db").read_bytes(), replace=True)


def test_restore_waits_for_no_process_that_uses_the_instance(archive: bytes, used: Path) -> None:
    lock = share(used)
    with pytest.raises(InUse, match="Stop the server"):
        put(used, archive, replace=True)
    os.close(lock)
    put(used, archive, replace=True)


def test_process_that_was_killed_uses_the_instance_no_more(archive: bytes, used: Path) -> None:
    use = "import sys, time; from pathlib import Path; from webapp.jobs.store import Store;"
    use += "store = Store(Path(sys.argv[1])); store.operations.beat('w');"
    use += "print('used', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", use, used / "jobs.db"], cwd=ROOT, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(InUse):
            put(used, archive, replace=True)
        process.kill()
    put(used, archive, replace=True)


def test_nothing_starts_during_a_restore(root: Path, config: Config) -> None:
    other = open_jobs(replace(config, instance=root))
    with alone(root), pytest.raises(CannotStart, match="is being restored"):
        list(other.store.jobs.ids())


def test_backup_that_does_not_fit_is_refused_first(root: Path) -> None:
    file = root.parent / "large"
    with file.open("wb") as large:
        os.truncate(large.fileno(), 1 << 43)
    with file.open("rb") as source, pytest.raises(NoRoom, match="MB free"):
        restore(root, source)


# What no backup has


def member(name: str, size: int = 1, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = size, kind, "/etc/passwd"
    return made


def with_member(name: str, kind: bytes = tarfile.REGTYPE) -> Callable[[Members], Members]:
    size = 1 if kind == tarfile.REGTYPE else 0
    return lambda members: [*members[:-1], (member(name, size, kind), b"x" * size), members[-1]]


def with_json(name: str, **values: object) -> Callable[[Members], Members]:
    def change(members: Members) -> Members:
        changed = []
        for found, content in members:
            if found.name == name:
                content = json.dumps({**json.loads(content), **values}).encode()
                found.size = len(content)
            changed.append((found, content))
        return changed

    return change


def with_schema(version: int) -> Callable[[Members], Members]:
    def change(members: Members) -> Members:
        with closing(sqlite3.connect(":memory:")) as db:
            db.deserialize(members[1][1])
            db.execute(f"PRAGMA user_version = {version}")
            return [members[0], (members[1][0], db.serialize()), *members[2:]]

    return change


def with_flipped_byte(number: int) -> Callable[[Members], Members]:
    def change(members: Members) -> Members:
        found, content = members[number]
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        return [*members[:number], (found, flipped), *members[number + 1 :]]

    return change


def with_content(number: int, content: bytes) -> Callable[[Members], Members]:
    def change(members: Members) -> Members:
        found, _ = members[number]
        found.size = len(content)
        return [*members[:number], (found, content), *members[number + 1 :]]

    return change


def with_header(name: str, value: str) -> Callable[[Members], Members]:
    def change(members: Members) -> Members:
        members[3][0].pax_headers = {name: value}
        return members

    return change


HOSTILE: dict[str, tuple[Callable[[Members], Members], type[Exception]]] = {
    "absolute path": (with_member("/etc/cron.d/x"), NotABackup),
    "path upwards": (with_member(f"originals/../../{IMAGE}"), NotABackup),
    "path upwards in a name": (with_member(f"originals/{IMAGE}/.."), NotABackup),
    "symbolic link": (with_member(f"originals/{IMAGE}/{IMAGE}", tarfile.SYMTYPE), NotABackup),
    "hard link": (with_member(f"originals/{IMAGE}/{IMAGE}", tarfile.LNKTYPE), NotABackup),
    "folder": (with_member("originals", tarfile.DIRTYPE), NotABackup),
    "device": (with_member(f"originals/{IMAGE}/{IMAGE}", tarfile.CHRTYPE), NotABackup),
    "named pipe": (with_member(f"originals/{IMAGE}/{IMAGE}", tarfile.FIFOTYPE), NotABackup),
    "file of another kind": (with_member("queue.db"), NotABackup),
    "file of code": (with_member("thumbnails/x.py"), NotABackup),
    "same file twice": (lambda members: [*members[:-1], members[-2], members[-1]], NotABackup),
    "same database twice": (lambda members: [*members[:2], *members[1:]], NotABackup),
    "no manifest": (lambda members: members[1:], NotABackup),
    "something after its end": (lambda members: [*members, members[2]], NotABackup),
    "manifest of another program": (with_json("manifest.json", format="x"), NotABackup),
    "newer format": (with_json("manifest.json", format=2), NewerBackup),
    "newer schema": (with_schema(len(MIGRATIONS) + 1), NewerBackup),
    "no database": (lambda members: [members[0], *members[2:]], DamagedBackup),
    "missing file": (lambda members: [*members[:-2], members[-1]], DamagedBackup),
    "changed original": (with_flipped_byte(3), DamagedBackup),
    "changed key": (with_flipped_byte(2), DamagedBackup),
    "end that is missing": (lambda members: members[:-1], DamagedBackup),
    "added file": (with_member(f"originals/{IMAGE}/{IMAGE}"), DamagedBackup),
    "name that is no text": (with_member("originals/\udcff"), DamagedBackup),
    "time that no clock has": (with_header("mtime", "1e300"), DamagedBackup),
    "time that is no number": (with_header("mtime", "nan"), DamagedBackup),
    "words in place of a number": (with_header("GNU.sparse.size", "x"), DamagedBackup),
    "sparse file": (with_header("GNU.sparse.map", "0,1"), NotABackup),
    "lists in lists for ever": (with_content(0, b"[" * 9000), NotABackup),
    "end without a number of lost files": (with_json("complete.json", gone=None), NotABackup),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_archive_that_no_backup_is_changes_nothing(archive: bytes, used: Path, what: str) -> None:
    change, error = HOSTILE[what]
    before = state(used), sorted(os.listdir(used))
    with pytest.raises(error):
        put(used, make_archive(change(members_of(archive))), replace=True)
    assert (state(used), sorted(os.listdir(used))) == before
    assert sorted(os.listdir(used.parent)) == ["backup.tar", "other"]


@pytest.mark.parametrize("part", [0, 0.01, 0.3, 0.6, 0.9])
def test_archive_that_was_cut_off_changes_nothing(archive: bytes, used: Path, part: float) -> None:
    before = state(used)
    with pytest.raises((NotABackup, DamagedBackup)):
        put(used, archive[: int(len(archive) * part)], replace=True)
    assert state(used) == before


@pytest.mark.parametrize("content", [b"", b"words", b"SQLite format 3\0" + bytes(5000)])
def test_file_that_is_no_backup_changes_nothing(used: Path, content: bytes) -> None:
    before = state(used)
    with pytest.raises((NotABackup, DamagedBackup)):
        put(used, content, replace=True)
    assert state(used) == before


# Kills

# Restores into each folder, and is killed before the first step in the first of them, before the
# second in the second, and so on. All that changes a disk is a step, but the writing of files.
KILL = """
import os, shutil, signal, sys
from pathlib import Path
from webapp.jobs import restore

os.sync, restore.sync = lambda: None, lambda path: None  # No power is cut here.
left = 0
def counted(function):
    def call(*values, **named):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*values, **named)
    return call

os.rename, os.sync, restore.sync, shutil.rmtree, Path.mkdir, Path.rmdir = map(
    counted, (os.rename, os.sync, restore.sync, shutil.rmtree, Path.mkdir, Path.rmdir)
)
for left, root in enumerate(sys.argv[2:], 1):
    child = os.fork()
    if not child:
        with open(sys.argv[1], "rb") as source:
            restore.restore(Path(root), source, replace=True)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
STEPS = 50  # More than there are.


@pytest.mark.slow
def test_kill_at_any_step_loses_neither_the_old_nor_the_new(
    archive: bytes,
    new: object,
    used: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(restore_module, "sync", lambda path: None)
    file = tmp_path / "backup.tar"
    file.write_bytes(archive)
    old, roots = state(used), [tmp_path / f"root-{number}" for number in range(STEPS)]
    for root in roots:
        shutil.copytree(used, root, ignore=lambda *_: ["in-use"])
    killer: list[str | Path] = [sys.executable, "-c", KILL, file, *roots]
    ends = subprocess.run(killer, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    killed = ends.split().count("-9")
    assert ends.split() == ["-9"] * killed + ["0"] * (STEPS - killed)
    completed = []
    for root in roots[: killed + 1]:
        complete_interrupted(root)
        found = state(root)
        assert found in (old, new), root
        completed.append(found == new)
        if found == new:
            (aside,) = root.glob("replaced-*")
            assert state(aside / "old") == old
        put(root, archive, replace=True)  # Another restore works, whatever a kill left.
        assert state(root) == new
        assert not (root / "restore-incoming").exists()
    assert completed == sorted(completed)  # From one step on, the next start completes it.
    assert 3 < sum(completed) < killed - 3


def test_start_completes_what_was_decided(archive: bytes, new: object, used: Path) -> None:
    put(used, archive, replace=True)
    (replaced,) = used.glob("replaced-*")
    replaced.rename(used / "restore-ready")  # As a kill before the last step leaves it.
    (used / "restore-ready/new").mkdir()
    with pytest.raises(CannotStart, match="was interrupted"):
        share(used)
    complete_interrupted(used)
    os.close(share(used))
    assert state(used) == new


def test_another_restore_completes_an_interrupted_one_first(
    archive: bytes, new: object, used: Path
) -> None:
    put(used, archive, replace=True)
    (replaced,) = used.glob("replaced-*")
    replaced.rename(used / "restore-ready")
    put(used, archive, replace=True)
    assert state(used) == new
    assert len(list(used.glob("replaced-*"))) == 2


def test_processes_that_start_together_complete_it_one_after_the_other(
    used: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (used / "restore-ready").mkdir()
    starts = []

    def look(root: Path) -> None:
        folder = os.open(root, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(folder)
        starts.append(root)

    monkeypatch.setattr(restore_module, "_complete", look)
    complete_interrupted(used)
    assert starts == [used]


def test_nothing_completes_a_restore_that_is_running(used: Path) -> None:
    (used / "restore-ready").mkdir()
    with alone(used), pytest.raises(CannotStart, match="is being restored"):
        complete_interrupted(used)
    assert (used / "restore-ready").exists()


def test_digest_is_of_names_sizes_and_contents(archive: bytes) -> None:
    *members, (_, end) = members_of(archive)
    digest = sha256()
    for found, content in members:
        digest.update(f"{found.name}\0{found.size}\0".encode() + content)
    assert json.loads(end)["sha256"] == digest.hexdigest()
    assert io.BytesIO(archive).read(13) == b"manifest.json"
