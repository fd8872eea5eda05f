"""Backups of servers that run, restored into others, and kills on the way."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.backups import stored_files
from tests.support.images import make_jpeg
from tests.support.people import find_token, part
from tests.support.servers import Client, Servers, descendants_of, running, wait_until
from webapp.config import ROOT
from webapp.jobs.instance import is_in_use

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    return {"workers": 2, "max_kept_mb": 10}


def flask(servers: Servers, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run a command of operators, which may fail."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "jobs", *arguments]
    return subprocess.run(command, cwd=ROOT, env=servers.environ, capture_output=True)


class Uploads:
    """Upload without a pause, as others do during a backup."""

    def __init__(self, servers: Servers) -> None:
        self.accepted: list[str] = []
        self._servers = servers
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with closing(self._servers.client()) as client:
            while not self._stop.is_set():
                self.accepted.append(client.submit(make_jpeg()))

    def __enter__(self) -> "Uploads":
        self._thread.start()
        wait_until(lambda: len(self.accepted) > 3, what="uploads")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def finished_jobs(servers: Servers) -> dict[str, dict[str, bytes]]:
    """Read the thumbnails of all finished jobs, by their addresses."""
    rows = servers.rows(
        "SELECT job_id, folder || '/' || file_name FROM images JOIN thumbnails ON image_id = id"
        " WHERE status = 'done'"
    )
    found: dict[str, dict[str, bytes]] = {}
    for job_id, path in rows:
        file = servers.instance / "thumbnails" / path
        found.setdefault(job_id, {})[f"/thumbnails/{path}"] = file.read_bytes()
    return found


def keep_a_job(client: Client) -> str:
    """Make a job of a browser that is kept until it is deleted; return the path of its page."""
    token = find_token(client.get("/", accept="text/html").body.decode())
    photo = part(make_jpeg(), "kept.jpg")
    answer = client.post("/", csrf_token=token, images=photo, presets="square", keep_hours="inf")
    assert answer.status == 303, answer.body
    return answer.headers["Location"]


@pytest.fixture
def restored(tmp_path: Path, settings: dict[str, object]) -> Iterator[Servers]:
    """Make servers of another instance, which do not run yet."""
    (tmp_path / "restored").mkdir(mode=0o750)
    servers = Servers(tmp_path / "restored", **settings)
    yield servers
    servers.kill()


def test_restored_servers_go_on_as_the_others_were(
    servers: Servers, restored: Servers, tmp_path: Path
) -> None:
    token = servers.command("tokens", "create", "build").strip()
    with closing(servers.client()) as browser:
        kept = keep_a_job(browser)
        cookies = dict(browser.cookies)
        done = browser.submit(make_jpeg())
        browser.wait_for(done)
    with Uploads(servers) as uploads:
        before = finished_jobs(servers)
        accepted = list(uploads.accepted)
        made = flask(servers, "backup", tmp_path / "backup.tar")
        assert made.returncode == 0, made.stderr
    assert done in before
    result = flask(restored, "restore", tmp_path / "backup.tar")
    assert result.returncode == 0, result.stderr
    assert flask(restored, "check").returncode == 0
    restored.start()
    with closing(restored.client()) as client:
        for addresses in before.values():
            assert {path: client.get(path).body for path in addresses} == addresses
        for job_id in accepted:
            client.wait_for(job_id)
            assert client.get(f"/check_job_status/{job_id}").status == 303
        client.cookies.update(cookies)
        assert kept in client.get("/jobs", accept="text/html").body.decode()
        answer = client.request("GET", "/api/v1/jobs", headers={"Authorization": f"Bearer {token}"})
        assert answer.status == 200
    assert restored.rows("SELECT expires FROM jobs WHERE id = ?", kept[-36:]) == [(float("inf"),)]


def test_backup_to_standard_output_is_restored_from_standard_input(
    servers: Servers, restored: Servers, tmp_path: Path
) -> None:
    with closing(servers.client()) as client:
        client.wait_for(client.submit(make_jpeg()))
    made = flask(servers, "backup", "-")
    assert made.returncode == 0
    assert b" jobs, " in made.stderr
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "jobs", "restore", "-"]
    put = subprocess.run(
        command, cwd=ROOT, env=restored.environ, input=made.stdout, capture_output=True
    )
    assert put.returncode == 0, put.stderr
    files = stored_files(servers.instance)
    assert stored_files(restored.instance) == files
    assert files


def test_full_disk_is_a_sentence(servers: Servers) -> None:
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "jobs", "backup", "-"]
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            command, cwd=ROOT, env=servers.environ, stdout=full, stderr=subprocess.PIPE
        )
    assert result.returncode == 1
    assert b"Error: The backup failed: [Errno 28] No space left on device" in result.stderr
    assert b"Traceback" not in result.stderr


def test_reader_that_ends_is_a_sentence(servers: Servers) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "jobs", "backup", "-"]
    with open(writer, "wb") as pipe:
        result = subprocess.run(
            command, cwd=ROOT, env=servers.environ, stdout=pipe, stderr=subprocess.PIPE
        )
    assert result.returncode == 1
    assert result.stderr == b"Error: The backup failed: the reader ended.\n"


# Renames the folder of what is new to the name that decides, then moves the key, and is killed.
KILL = """
import os, signal, sys
from pathlib import Path
from webapp.jobs.restore import restore

rename, renamed = os.rename, []

def rename_three(source, target):
    if len(renamed) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    renamed.append(target)
    rename(source, target)

os.rename = rename_three
with open(sys.argv[2], "rb") as source:
    restore(Path(sys.argv[1]), source, replace=True)
"""


def test_servers_complete_a_restore_that_was_killed_in_its_last_step(
    servers: Servers, restored: Servers, tmp_path: Path
) -> None:
    with closing(servers.client()) as client:
        client.wait_for(client.submit(make_jpeg()))
    assert flask(servers, "backup", tmp_path / "backup.tar").returncode == 0
    (restored.instance / "secret_key").write_text("of the other")
    before = finished_jobs(servers)
    killed = subprocess.run(
        [sys.executable, "-c", KILL, restored.instance, tmp_path / "backup.tar"], cwd=ROOT
    )
    assert killed.returncode == -signal.SIGKILL
    assert (restored.instance / "restore-ready").exists()
    restored.start()
    assert not (restored.instance / "restore-ready").exists()
    with closing(restored.client()) as client:
        for addresses in before.values():
            assert {path: client.get(path).body for path in addresses} == addresses


def test_decode_servers_have_no_part_in_the_lock(servers: Servers) -> None:
    holders = {
        pid
        for name in servers.processes
        for pid in descendants_of(servers.processes[name].pid)
        if any(os.readlink(each).endswith("/in-use") for each in open_files(pid))
    }
    children = {pid for name in servers.processes for pid in servers.children(name)}
    assert holders == children  # Web processes, and the workers and others of the consumer.


def open_files(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/fd").iterdir())


def test_server_is_restored_only_when_no_process_of_it_is_left(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    with running(tmp_path / "instance", **settings) as servers:
        with closing(servers.client()) as client:
            client.wait_for(client.submit(make_jpeg()))
        assert flask(servers, "backup", tmp_path / "backup.tar").returncode == 0
        again = ("restore", "--replace", tmp_path / "backup.tar")
        refused = flask(servers, *again)
        assert (refused.returncode, b"Stop the server" in refused.stderr) == (1, True)
        servers.kill_one(servers.processes["web"])
        assert is_in_use(servers.instance)
        os.kill(servers.processes["consumer"].pid, signal.SIGKILL)  # Its workers follow it.
        servers.processes["consumer"].wait()
        wait_until(lambda: not is_in_use(servers.instance), what="the end of all workers")
        result = flask(servers, *again)
        assert result.returncode == 0, result.stderr
