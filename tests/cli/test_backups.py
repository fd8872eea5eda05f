"""Operators back up the service and restore it: what commands say."""

import errno
import os
import re
import shutil
from pathlib import Path

import pytest
from flask import Flask

from tests.cli.conftest import Run
from tests.support.images import make_jpeg
from tests.support.jobs import submit, work
from webapp.config import Config
from webapp.jobs import restore
from webapp.jobs.backups import LAST
from webapp.jobs.lifecycle import Jobs


def test_backup_says_what_it_has(run: Run, jobs: Jobs, tmp_path: Path) -> None:
    submit(jobs, make_jpeg())
    work(jobs)
    result = run("backup", str(tmp_path / "backup.tar"))
    assert result.exit_code == 0
    assert re.search(r"backup\.tar: 1 job, 1 image, 2 files, \d+ kB\.$", result.output)
    assert (tmp_path / "backup.tar").stat().st_mode & 0o777 == 0o600


def test_backup_says_how_many_files_were_gone(run: Run, jobs: Jobs, tmp_path: Path) -> None:
    job_id = submit(jobs, make_jpeg())
    jobs.storage.original(job_id, jobs.job(job_id).images[0].id).unlink()
    output = run("backup", str(tmp_path / "backup.tar")).output
    assert "0 files, " in output
    assert "1 file that rows name were gone" in output


@pytest.mark.parametrize("options", [(), ("--database-only",)], ids=["all", "database"])
def test_backup_does_not_overwrite_a_file(
    run: Run, tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "backup").write_text("precious")
    result = run("backup", str(tmp_path / "backup"), *options)
    assert (result.exit_code, "The backup failed" in result.output) == (1, True)
    assert (tmp_path / "backup").read_text() == "precious"


def test_backup_to_a_folder_that_is_missing_is_an_error(run: Run, tmp_path: Path) -> None:
    result = run("backup", str(tmp_path / "nowhere/backup.tar"))
    assert (result.exit_code, "No such file or directory" in result.output) == (1, True)


def test_only_a_backup_that_is_on_the_disk_is_noted(
    run: Run, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_disk(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr("webapp.jobs.backups.os.fsync", fill_disk)
        assert run("backup", str(tmp_path / "backup.tar")).exit_code == 1
    assert not (jobs.config.instance / LAST).exists()
    run("backup", str(tmp_path / "backup.tar"))
    assert (jobs.config.instance / LAST).exists()


@pytest.mark.parametrize("options", [(), ("--database-only",)], ids=["all", "database"])
def test_file_that_is_no_database_is_not_backed_up(
    run: Run, jobs: Jobs, tmp_path: Path, options: tuple[str, ...]
) -> None:
    jobs.store.db.close()
    (jobs.config.instance / "jobs.db").write_bytes(b"x" * 4096)
    result = run("backup", str(tmp_path / "backup"), *options)
    assert (result.exit_code, "file is not a database" in result.output) == (1, True)
    assert not list(tmp_path.glob("*backup*"))


def test_copy_of_only_the_database_is_written(run: Run, tmp_path: Path) -> None:
    result = run("backup", "--database-only", str(tmp_path / "copy.db"))
    assert result.exit_code == 0
    assert re.search(r"copy\.db: \d+ kB", result.output)
    assert (tmp_path / "copy.db").read_bytes().startswith(b"SQLite format 3\0")


def test_restore_says_where_the_old_state_is_and_what_to_do(
    run: Run, jobs: Jobs, tmp_path: Path
) -> None:
    submit(jobs, make_jpeg())
    run("backup", str(tmp_path / "backup.tar"))
    jobs.store.db.close()
    output = run("restore", "--replace", str(tmp_path / "backup.tar")).output
    assert output.startswith("Restored 1 job, 1 image, 1 file.\nWhat was there is in /")
    assert "run `flask jobs check`" in output
    assert run("check").output.endswith("0 files without a job, 0 images without a file.\n")


def test_restore_refuses_what_is_there_and_what_is_in_use(
    run: Run, jobs: Jobs, tmp_path: Path
) -> None:
    submit(jobs, make_jpeg())
    run("backup", str(tmp_path / "backup.tar"))
    in_use = run("restore", str(tmp_path / "backup.tar"))
    assert (in_use.exit_code, "Stop the server" in in_use.output) == (1, True)
    jobs.store.db.close()
    full = run("restore", str(tmp_path / "backup.tar"))
    assert (full.exit_code, "is not empty" in full.output) == (1, True)


def test_restore_without_a_key_says_that_one_must_be_set(
    run: Run, app: Flask, jobs: Jobs, config: Config, tmp_path: Path
) -> None:
    (config.instance / "secret_key").unlink()
    run("backup", str(tmp_path / "backup.tar"))
    jobs.store.db.close()
    output = run("restore", str(tmp_path / "backup.tar")).output
    assert "set THUMBNAIL_SECRET_KEY" in output


def test_database_is_restored_with_what_its_log_has(run: Run, jobs: Jobs, tmp_path: Path) -> None:
    job_id = submit(jobs, make_jpeg())
    for name in ("jobs.db", "jobs.db-wal"):  # As a killed server leaves them.
        shutil.copy(jobs.config.instance / name, tmp_path / name)
    jobs.store.db.close()
    (jobs.config.instance / "jobs.db").unlink()
    assert run("restore", str(tmp_path / "jobs.db")).exit_code == 0
    assert jobs.job(job_id).counts.waiting == 1


@pytest.mark.parametrize("name", ["missing.tar", "."])
def test_restore_of_no_file_is_an_error(run: Run, jobs: Jobs, tmp_path: Path, name: str) -> None:
    jobs.store.db.close()
    result = run("restore", str(tmp_path / name))
    assert (result.exit_code, "The restore failed: " in result.output) == (1, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_restores_nothing_for_another_user(run: Run, jobs: Jobs, tmp_path: Path) -> None:
    run("backup", str(tmp_path / "backup.tar"))
    jobs.store.db.close()
    os.chown(jobs.config.instance, 65534, 65534)
    result = run("restore", str(tmp_path / "backup.tar"))
    assert (result.exit_code, "belongs to user 65534" in result.output) == (1, True)


def test_errors_of_restores_have_codes() -> None:
    errors = restore.RestoreError.__subclasses__()
    assert sorted(error.code for error in errors) == [
        "damaged_backup",
        "newer_backup",
        "no_room",
        "not_a_backup",
        "not_empty",
        "wrong_user",
    ]
