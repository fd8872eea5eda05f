"""Operators manage the jobs of the server."""

import re
from pathlib import Path

from flask import Flask

from tests.support.images import make_jpeg
from tests.support.jobs import id_of, nothing_left
from tests.support.people import Person
from webapp.jobs.lifecycle import Jobs


def test_backup_is_written_and_its_size_reported(app: Flask, tmp_path: Path) -> None:
    result = app.test_cli_runner().invoke(args=["jobs", "backup", str(tmp_path / "copy.db")])
    assert result.exit_code == 0
    assert re.search(r"copy\.db: \d+ kB", result.output)


def test_backup_does_not_overwrite_a_file(app: Flask, tmp_path: Path) -> None:
    (tmp_path / "copy.db").touch()
    result = app.test_cli_runner().invoke(args=["jobs", "backup", str(tmp_path / "copy.db")])
    assert (result.exit_code, "The backup failed" in result.output) == (1, True)


def test_operator_deletes_a_job(app: Flask, person: Person, jobs: Jobs) -> None:
    job_id = id_of(person.submit(make_jpeg()))
    delete = ["jobs", "delete", job_id]
    assert app.test_cli_runner().invoke(args=delete).exit_code == 0
    assert nothing_left(jobs)
    again = app.test_cli_runner().invoke(args=delete)
    assert (again.exit_code, "There is no such job" in again.output) == (1, True)
