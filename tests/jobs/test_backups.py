"""Backups of all data: what is in one, and what is not."""

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import IO

import pytest

from tests.support.backups import archive_of, members_of, names_of, stored_files
from tests.support.clock import Clock
from tests.support.images import make_jpeg
from tests.support.jobs import open_jobs, submit, sweep, work
from tests.support.schema import old_database
from tests.support.servers import environment
from webapp.config import ROOT, Config
from webapp.disk import sync
from webapp.jobs.backups import LAST, back_up, back_up_database, new_file, note_complete
from webapp.jobs.instance import CannotStart, alone
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.storage import REPLACED_SECONDS
from webapp.recipes.presets import PRESETS


def test_backup_has_the_key_and_all_files_of_jobs(jobs: Jobs) -> None:
    submit(jobs, make_jpeg(), make_jpeg())
    work(jobs)
    jobs.delete_with_undo(submit(jobs, make_jpeg()))
    deleted = submit(jobs, make_jpeg())
    work(jobs)
    jobs.delete_with_undo(deleted)
    submit(jobs, make_jpeg())
    found = {member.name: content for member, content in members_of(archive_of(jobs))}
    files = stored_files(jobs.config.instance)
    assert files == files | {name: found[name] for name in files}
    assert any(name.startswith("deleted/") for name in files)
    assert found["secret_key"] == (jobs.config.instance / "secret_key").read_bytes()
    assert set(found) - set(files) == {"manifest.json", "jobs.db", "secret_key", "complete.json"}


def test_backup_has_only_files_that_rows_name(jobs: Jobs) -> None:
    submit(jobs, make_jpeg())
    (jobs.storage.originals / "stray").write_bytes(b"x")
    (jobs.storage.tmp / "upload-1").write_bytes(b"x")
    assert [name for name in names_of(archive_of(jobs)) if "stray" in name or "tmp" in name] == []


def test_files_of_a_job_that_ended_meanwhile_are_counted_as_gone(jobs: Jobs) -> None:
    gone = submit(jobs, make_jpeg())
    submit(jobs, make_jpeg())
    backup, copied = jobs.store.db.backup, []

    def copy_and_delete(path: Path) -> None:
        backup(path)
        copied.append(path)
        jobs.delete(gone)

    jobs.store.db.backup = copy_and_delete  # type: ignore[method-assign]
    written = back_up(jobs.config.instance, jobs.store, jobs.storage, io.BytesIO())
    assert (written.jobs, written.files, written.gone) == (2, 1, 1)
    assert not copied[0].exists()


def test_thumbnails_of_its_beginning_stay_until_a_backup_has_ended(
    jobs: Jobs, clock: Clock
) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    before = stored_files(jobs.config.instance)
    backup = jobs.store.db.backup

    def copy_and_replace(path: Path) -> None:
        backup(path)
        jobs.remake(job_id, PRESETS["card"].recipe, "127.0.0.1")
        work(jobs)
        clock.advance(REPLACED_SECONDS + 1)
        sweep(jobs)

    jobs.store.db.backup = copy_and_replace  # type: ignore[method-assign]
    written = back_up(jobs.config.instance, jobs.store, jobs.storage, io.BytesIO())
    assert (written.files, written.gone) == (len(before), 0)
    sweep(jobs)
    assert not before.items() <= stored_files(jobs.config.instance).items()


def test_replaced_thumbnails_go_during_a_backup_if_the_disk_is_full(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    with jobs.storage.replaced_kept():
        assert jobs.storage.keeps_replaced()
        monkeypatch.setattr(jobs.storage, "free_bytes", lambda: -1)
        assert not jobs.storage.keeps_replaced()


def test_thumbnails_of_a_job_whose_deletion_is_undone_meanwhile_are_not_missed(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(jobs, make_jpeg())
    work(jobs)
    jobs.storage.hide(job_id)
    open_stored = jobs.storage.open_stored

    def undo_and_open(path: str) -> IO[bytes] | None:
        if path.startswith("deleted/"):
            jobs.storage.show(job_id)
        return open_stored(path)

    monkeypatch.setattr(jobs.storage, "open_stored", undo_and_open)
    written = back_up(jobs.config.instance, jobs.store, jobs.storage, io.BytesIO())
    assert (written.files, written.gone) == (2, 0)


def test_backup_follows_no_link_in_the_place_of_a_file(jobs: Jobs) -> None:
    submit(jobs, make_jpeg())
    (original,) = (path for path in jobs.storage.originals.rglob("*") if path.is_file())
    original.unlink()
    original.symlink_to("/etc/passwd")
    target = io.BytesIO()
    written = back_up(jobs.config.instance, jobs.store, jobs.storage, target)
    assert (written.files, written.gone) == (0, 1)
    assert Path("/etc/passwd").read_bytes() not in target.getvalue()


def test_backup_of_an_older_version_is_one_of_that_version(tmp_path: Path) -> None:
    (tmp_path / "instance").mkdir()
    with old_database(tmp_path / "instance/jobs.db", 11):
        pass
    older = open_jobs(Config(instance=tmp_path / "instance"))
    manifest = json.loads(members_of(archive_of(older))[0][1])
    assert (manifest["format"], manifest["schema"]) == (1, 11)
    with closing(sqlite3.connect(tmp_path / "instance/jobs.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (11,)


def test_backup_waits_for_no_restore(jobs: Jobs) -> None:
    jobs.store.db.close()
    with alone(jobs.config.instance), pytest.raises(CannotStart, match="is being restored"):
        archive_of(jobs)


def test_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "backup.tar") as file:
        file.write(b"half")
        assert not (tmp_path / "backup.tar").exists()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


KILL = """
import os, signal, sys
from webapp import create_app
from webapp.jobs.storage import Storage

Storage.open_stored = lambda *_: os.kill(os.getpid(), int(sys.argv[2]))
result = create_app().test_cli_runner().invoke(args=["jobs", "backup", sys.argv[1]])
sys.exit(result.exit_code)
"""


def killed_backup(jobs: Jobs, file: Path, number: int) -> int:
    """Send a signal to a backup while it writes the first original; return its exit code."""
    submit(jobs, make_jpeg())
    return subprocess.run(
        [sys.executable, "-c", KILL, file, str(number)],
        cwd=ROOT,
        env=environment(jobs.config.instance),
    ).returncode


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_backup_that_is_stopped_leaves_nothing(jobs: Jobs, tmp_path: Path, number: int) -> None:
    (tmp_path / "kept").mkdir()
    assert killed_backup(jobs, tmp_path / "kept/backup.tar", number) == 128 + number
    assert list((tmp_path / "kept").iterdir()) == []
    assert list(jobs.storage.tmp.iterdir()) == []


def test_killed_backup_leaves_no_file_of_its_name(jobs: Jobs, clock: Clock, tmp_path: Path) -> None:
    assert killed_backup(jobs, tmp_path / "backup.tar", signal.SIGKILL) == -signal.SIGKILL
    assert not (tmp_path / "backup.tar").exists()
    clock.advance(hours=13)
    sweep(jobs)
    assert list(jobs.storage.tmp.iterdir()) == []  # Its copy of the database is gone.


def test_file_is_private_and_overwrites_none(tmp_path: Path) -> None:
    with new_file(tmp_path / "backup.tar") as file:
        file.write(b"whole")
    assert (tmp_path / "backup.tar").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError), new_file(tmp_path / "backup.tar"):
        pass


def test_copy_of_the_database_has_its_name_only_when_it_is_whole(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()

    def sync_and_look(path: Path) -> None:
        assert not (folder / "copy.db").exists()
        sync(path)

    monkeypatch.setattr("webapp.jobs.database.sync", sync_and_look)
    back_up_database(jobs.config.instance, jobs.store, folder / "copy.db")
    assert [path.name for path in folder.iterdir()] == ["copy.db"]
    assert (folder / "copy.db").stat().st_mode & 0o777 == 0o600


def test_database_is_not_copied_during_a_restore(jobs: Jobs, tmp_path: Path) -> None:
    jobs.store.db.close()
    with alone(jobs.config.instance), pytest.raises(CannotStart, match="is being restored"):
        back_up_database(jobs.config.instance, jobs.store, tmp_path / "copy.db")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_note_of_a_backup_by_root_belongs_to_the_server(tmp_path: Path) -> None:
    os.chown(tmp_path, 10001, 10001)
    note_complete(tmp_path)
    assert (tmp_path / LAST).stat().st_uid == 10001
