"""An overlay of two file systems, as containers have: jobs of its lower layer are like any other.

Folders of a lower layer cannot be renamed there.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.images import make_jpeg
from tests.support.jobs import submit, work
from tests.support.namespaces import in_namespaces, needs_overlay, overlay
from tests.support.servers import environment
from webapp.config import ROOT
from webapp.jobs.lifecycle import Jobs

pytestmark = [needs_overlay, pytest.mark.slow]

DELETE = """
from webapp import create_app
from tests.support.backups import stored_files

jobs = create_app().extensions["jobs"]
root, job_id = jobs.config.instance, sys.argv[1]
before = stored_files(root)
assert len(before) == 4, before
jobs.delete_with_undo(job_id)
assert len(list((root / "deleted").rglob("*.jpg"))) == 1
assert jobs.restore(job_id, "owner", "127.0.0.1")
assert stored_files(root) == before
jobs.delete(job_id)
left = stored_files(root)
assert len(left) == 2, left
assert not [name for name in left if job_id in name]
assert not list((root / "tmp").iterdir())
"""
RESTORE = """
from webapp import create_app
from tests.support.backups import stored_files

app = create_app()
root, file = app.extensions["jobs"].config.instance, sys.argv[1]
before = stored_files(root)
run = app.test_cli_runner().invoke
assert run(args=["jobs", "backup", file]).exit_code == 0
app.extensions["jobs"].store.db.close()
restored = run(args=["jobs", "restore", "--replace", file])
assert restored.exit_code == 0, restored.output
assert stored_files(root) == before
(replaced,) = root.glob("replaced-*")
assert stored_files(replaced) == {}
assert stored_files(replaced / "old") == before
"""


def run_in_overlay(jobs: Jobs, folder: Path, script: str, *arguments: str) -> None:
    """Run Python in an overlay over an instance with the jobs of another process."""
    jobs.store.db.close()
    (folder / "work").mkdir()
    subprocess.run(
        in_namespaces(
            *(sys.executable, "-c", f"import sys\n{script}", *arguments),
            mounts=overlay(jobs.config.instance, folder / "work"),
        ),
        cwd=ROOT,
        env=environment(folder / "work/overlay"),
        check=True,
    )


def test_job_of_the_lower_layer_is_deleted_and_its_deletion_undone(
    jobs: Jobs, tmp_path: Path
) -> None:
    job_id, _ = submit(jobs, make_jpeg()), submit(jobs, make_jpeg())
    work(jobs)
    run_in_overlay(jobs, tmp_path, DELETE, job_id)


def test_backup_takes_the_place_of_jobs_of_the_lower_layer(jobs: Jobs, tmp_path: Path) -> None:
    submit(jobs, make_jpeg())
    work(jobs)
    run_in_overlay(jobs, tmp_path, RESTORE, str(tmp_path / "work/backup.tar"))
