"""Operators look for what is wrong: each check, what it says, and the exit code."""

import ast
import json
import os
import re
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from tests.cli.conftest import Run
from tests.support.clock import Clock
from tests.support.images import make_jpeg
from tests.support.jobs import submit
from tests.support.namespaces import in_namespaces, needs_namespaces, needs_overlay, overlay
from tests.support.servers import environment, free_port, wait_until
from webapp.cli import doctor, machine
from webapp.config import ROOT, Config, load
from webapp.jobs import doctor as checks
from webapp.jobs.backups import LAST
from webapp.jobs.database import MIGRATIONS
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.store import Store
from webapp.sandbox import confinement

# As a program of its own.
DOCTOR = [sys.executable, "-m", "flask", "--app", "wsgi", "jobs", "doctor", "--quick", "--json"]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(instance=tmp_path / "instance", web_threads=1, workers=1, port=free_port())


class Health(BaseHTTPRequestHandler):
    """Answer as a healthy web server."""

    status, body = 200, b'{"status": "healthy", "web": "ok"}'

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(config: Config) -> Iterator[type[Health]]:
    """Answer at HOST and PORT; tests change the answer."""
    handler = type("Handler", (Health,), {})
    with HTTPServer((config.host, config.port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield handler
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no decode server, which takes half a second, where a test is not about it."""
    if "decode" not in request.node.name:
        monkeypatch.setattr(doctor, "check_confinement", lambda config: ())


@pytest.fixture
def healthy(jobs: Jobs, web: type[Health]) -> Jobs:
    """Make a service with nothing to find, but that the tests may run as root."""
    jobs.store.operations.beat("worker")
    (jobs.config.instance / LAST).touch()
    return jobs


Codes = Callable[..., dict[str, str]]


@pytest.fixture
def codes(run: Run) -> Codes:
    """Return the codes of all that is not ok, with their status."""

    def codes(*options: str) -> dict[str, str]:
        found = json.loads(run("doctor", "--json", *options).output)
        assert all(one["to_do"] for one in found if one["status"] != "ok")
        return {
            one["code"]: one["status"]
            for one in found
            if one["status"] != "ok" and one["code"] != "root"
        }

    return codes


def test_nothing_is_wrong_with_a_healthy_service(healthy: Jobs, codes: Codes, run: Run) -> None:
    submit(healthy, make_jpeg())
    assert codes() == {}
    assert run("doctor").exit_code == 0
    assert run("doctor", "--quiet").output == ""


def test_table_says_what_failed_and_what_to_do(jobs: Jobs, run: Run) -> None:
    result = run("doctor", "--quiet")
    assert result.exit_code == 1
    assert "consumer  failed   No worker is alive.\n" in result.output
    assert "→ Start the server, or look for the consumer's end in the log.\n" in result.output


def test_doctor_changes_nothing(healthy: Jobs, run: Run) -> None:
    (healthy.storage.originals / "stray").mkdir()
    (healthy.storage.originals / "stray" / "a").touch()

    def state() -> object:
        return sorted(map(str, healthy.config.instance.rglob("*"))), healthy.store.db.query(
            "SELECT * FROM jobs"
        )

    before = state()
    run("doctor")
    assert state() == before


def test_rows_and_files_that_do_not_match_are_counted(
    healthy: Jobs, codes: Codes, run: Run
) -> None:
    job_id = submit(healthy, make_jpeg())
    healthy.storage.original(job_id, healthy.job(job_id).images[0].id).unlink()
    (healthy.storage.originals / job_id / "stray").touch()
    assert codes() == {"rows_without_files": "failed", "files_without_rows": "warning"}
    assert "Images that miss a file: 1." in run("doctor").output
    assert codes("--quick") == {}


def test_disk_on_which_nothing_can_be_written_is_told(healthy: Jobs) -> None:
    healthy.store.db.close()
    result = subprocess.run(
        DOCTOR,
        cwd=ROOT,
        env=environment(healthy.config.instance, min_free_mb=10**6),
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (0, 0)),
        stdout=subprocess.PIPE,
    )
    assert result.returncode == 1
    assert "disk_full" in {finding["code"] for finding in json.loads(result.stdout)}


@pytest.mark.parametrize(
    ("version", "found"),
    [
        (0, {"no_database": "failed"}),
        (len(MIGRATIONS) - 1, {"migrations_pending": "warning"}),
        (len(MIGRATIONS) + 1, {"newer_schema": "failed"}),
    ],
)
def test_database_of_another_version_is_told_and_not_migrated(
    healthy: Jobs, codes: Codes, version: int, found: dict[str, str]
) -> None:
    healthy.store.db.close()
    with closing(sqlite3.connect(healthy.config.instance / "jobs.db")) as db:
        db.execute(f"PRAGMA user_version = {version}")
        codes_found = codes()
        assert {code: codes_found[code] for code in found} == found
        assert db.execute("PRAGMA user_version").fetchone() == (version,)


def test_damaged_database_is_told(healthy: Jobs, codes: Codes) -> None:
    for _ in range(20):
        submit(healthy, make_jpeg())
    healthy.store.db.close()
    path = healthy.config.instance / "jobs.db"
    content = bytearray(path.read_bytes())
    content[40_000:200_000] = bytes(160_000)
    path.write_bytes(content)
    found = codes()
    assert found["database_damaged"] == "failed"
    assert "error" not in found


def test_table_that_a_recovered_database_lacks_is_told(healthy: Jobs, codes: Codes) -> None:
    healthy.store.db.close()
    with closing(sqlite3.connect(healthy.config.instance / "jobs.db")) as db:
        db.execute("DROP TABLE workers")
    assert codes("--quick")["database_damaged"] == "failed"


def test_file_that_is_no_database_is_told_quickly(healthy: Jobs, codes: Codes) -> None:
    healthy.store.db.close()
    (healthy.config.instance / "jobs.db").write_bytes(b"no database " * 1000)
    assert codes("--quick")["database_damaged"] == "failed"


def test_missing_database_is_told_and_not_created(jobs: Jobs, codes: Codes) -> None:
    jobs.store.db.close()
    (jobs.config.instance / "jobs.db").unlink()
    assert codes()["no_database"] == "failed"
    assert not (jobs.config.instance / "jobs.db").exists()


def test_old_sqlite_is_told(healthy: Jobs, codes: Codes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "sqlite_version", lambda: (3, 46, 1))
    assert codes() == {"wal_reset_bug": "warning"}


def test_clock_that_was_set_back_is_told(healthy: Jobs, codes: Codes, clock: Clock) -> None:
    submit(healthy, make_jpeg())
    clock.advance(hours=-2)
    healthy.store.operations.beat("worker")
    assert codes()["clock_behind"] == "failed"


def test_pause_and_long_wait_are_told(healthy: Jobs, codes: Codes, clock: Clock) -> None:
    submit(healthy, make_jpeg())
    clock.advance(seconds=600)
    healthy.store.operations.beat("worker")
    assert codes() == {"long_wait": "warning"}
    healthy.store.operations.pause("")
    assert codes() == {"paused": "warning"}


def test_workers_that_are_missing_are_told(healthy: Jobs, codes: Codes, clock: Clock) -> None:
    clock.advance(seconds=60)
    assert codes() == {"no_worker": "failed"}


def test_disk_that_is_nearly_full_is_told(
    healthy: Jobs, codes: Codes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, found in ((499e6, {"disk_full": "failed"}), (900e6, {"disk_nearly_full": "warning"})):
        monkeypatch.setattr(
            shutil, "disk_usage", lambda _, free=free: type("Usage", (), {"free": free})
        )
        assert codes() == found


def test_folder_on_another_disk_is_told(healthy: Jobs, codes: Codes, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    healthy.storage.trials.rmdir()
    healthy.storage.trials.symlink_to(tmp_path / "elsewhere")
    assert codes() == {"several_file_systems": "failed"}


def found_with(instance: Path, mounts: str) -> list[str]:
    """Return what doctor says of file systems after a script that mounts, as a program."""
    ended = subprocess.run(
        in_namespaces(*DOCTOR, mounts=mounts),
        cwd=ROOT,
        env=environment(instance),
        stdout=subprocess.PIPE,
    )
    found = json.loads(ended.stdout)
    return [finding["message"] for finding in found if finding["check"] == "file_system"]


@needs_overlay
def test_overlay_of_two_file_systems_is_one(healthy: Jobs, tmp_path: Path) -> None:
    submit(healthy, make_jpeg())
    healthy.store.db.close()
    (tmp_path / "work").mkdir()
    mounts, seen = overlay(healthy.config.instance, tmp_path / "work"), tmp_path / "work/overlay"
    differ = f"test $(stat -c %d {seen}/jobs.db) != $(stat -c %d {seen})"
    assert found_with(seen, f"{mounts}\n{differ}") == []


@needs_namespaces
@pytest.mark.parametrize("name", ["trials", "secret_key"])
def test_mount_of_the_same_file_system_is_told(healthy: Jobs, tmp_path: Path, name: str) -> None:
    healthy.store.db.close()
    mounted = healthy.config.instance / name
    (said,) = found_with(healthy.config.instance, f"mount --bind {mounted} {mounted}")
    assert said == f"Links, or on other file systems: {name}."


def test_files_that_others_can_read_are_told(healthy: Jobs, codes: Codes) -> None:
    (healthy.config.instance / "secret_key").chmod(0o644)
    healthy.config.instance.chmod(0o755)
    assert codes() == {"secrets_readable": "failed", "instance_open": "warning"}


def test_files_that_the_group_can_read_are_told(healthy: Jobs, codes: Codes) -> None:
    (healthy.config.instance / "secret_key").chmod(0o640)
    assert codes() == {"secrets_of_group": "warning"}


def test_thumbnails_that_nginx_cannot_read_are_told(healthy: Jobs, codes: Codes) -> None:
    healthy.storage.thumbnails.chmod(0o700)
    assert codes() == {"closed_to_group": "warning"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_of_several_users_are_told(healthy: Jobs, codes: Codes) -> None:
    os.chown(healthy.config.instance / "secret_key", 65534, -1)
    assert codes() == {"several_owners": "failed"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_folder_that_a_volume_has_for_itself_is_no_failure(healthy: Jobs, codes: Codes) -> None:
    (healthy.config.instance / "lost+found").mkdir()
    os.chown(healthy.config.instance / "lost+found", 65534, -1)
    assert codes() == {}


def test_missing_or_old_backup_is_told(healthy: Jobs, codes: Codes) -> None:
    (healthy.config.instance / LAST).unlink()
    assert codes() == {"no_backup": "warning"}
    (healthy.config.instance / LAST).touch()
    long_ago = time.time() - 8 * 86400
    os.utime(healthy.config.instance / LAST, (long_ago, long_ago))
    assert codes() == {"old_backup": "warning"}


def test_what_a_restore_left_is_told(healthy: Jobs, codes: Codes) -> None:
    (healthy.config.instance / "restore-incoming").mkdir()
    assert codes() == {"restore_left": "warning"}


# Web


def test_web_server_that_does_not_answer_is_told(jobs: Jobs, codes: Codes) -> None:
    assert codes()["web_unreachable"] == "failed"


def test_web_server_that_hangs_is_told(
    jobs: Jobs, config: Config, codes: Codes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "WEB_SECONDS", 0.1)
    with socket.create_server((config.host, config.port)):
        assert codes()["web_unreachable"] == "failed"


def test_other_program_at_the_port_is_told(healthy: Jobs, codes: Codes, web: type[Health]) -> None:
    web.body = b"<html>"
    assert codes() == {"web_not_ours": "failed"}


def test_unhealthy_web_server_is_told(healthy: Jobs, codes: Codes, web: type[Health]) -> None:
    web.status = 503
    assert codes() == {"web_unhealthy": "failed"}


def test_server_of_another_instance_is_told(healthy: Jobs, codes: Codes) -> None:
    healthy.store.db.close()
    assert codes() == {"web_of_other_instance": "failed"}


def test_web_server_that_does_not_see_our_workers_is_of_another_instance(
    healthy: Jobs, codes: Codes, web: type[Health]
) -> None:
    web.status, web.body = 503, b'{"status": "unhealthy", "web": "ok", "workers": 0}'
    assert codes() == {"web_of_other_instance": "failed"}


def test_check_that_hangs_is_ended_and_told(
    healthy: Jobs, codes: Codes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(doctor, "check_disk", lambda config: time.sleep(60))
    assert codes() == {"timed_out": "failed"}


def test_database_that_another_process_writes_is_no_failure(healthy: Jobs, codes: Codes) -> None:
    with closing(sqlite3.connect(healthy.config.instance / "jobs.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert codes() == {}


# Settings


OPERATIONS = (ROOT / "docs/operations.md").read_text()


def found_in(config: Config, memory: float = 1e12) -> list[str]:
    return [finding.code for finding in machine.check_settings(config, int(memory))]


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, ["ok"]),
        ({"cookie_secure": True, "hsts_days": 365}, ["proxies_not_trusted"]),
        ({"trusted_proxies": 1}, ["cookies_not_secure"]),
        ({"trusted_proxies": 1, "cookie_secure": True}, ["no_hsts"]),
        ({"host": "0.0.0.0"}, ["open_to_all"]),
        ({"host": "0.0.0.0", "access_token": "x" * 16}, ["ok"]),
        ({"host": "localhost"}, ["ok"]),
    ],
)
def test_settings_that_contradict_the_machine_are_told(
    settings: dict[str, object], found: list[str]
) -> None:
    assert found_in(Config(**settings)) == found  # type: ignore[arg-type]


def test_machine_that_the_handbook_recommends_is_large_enough() -> None:
    cores, gigabytes = re.search(r"So (\w+) cores and (\d+) GB of memory suit", OPERATIONS).groups()  # type: ignore[union-attr]
    config = Config(workers={"two": 2, "four": 4}[cores] + 1)
    memory = int(gigabytes) * 1e9 * 0.95  # The kernel keeps some for itself.
    assert found_in(config, memory) == ["ok"]
    assert found_in(config, memory / 2) == ["little_memory"]


def test_memory_that_the_handbook_lists_is_what_doctor_asks_for() -> None:
    rows = re.findall(r"^  \| (\d+) \| (\d+) \| ([\d.]+) \|$", OPERATIONS, re.MULTILINE)
    assert len(rows) > 2
    for cores, workers, gigabytes in rows:
        config = Config(workers=int(workers))
        assert config.workers == int(cores) + 1
        assert found_in(config, (float(gigabytes) + 0.05) * 1e9) == ["ok"]
        assert found_in(config, (float(gigabytes) - 0.05) * 1e9) == ["little_memory"]


def test_memory_at_rest_is_as_measured() -> None:
    (workers,) = set(re.findall(r"at rest, (\d+) workers", OPERATIONS))
    (rest,) = re.findall(r"^\| All at rest, MB \| (\d+)", OPERATIONS, re.MULTILINE)
    (each,) = re.findall(r"worker, with its decode server \| (\d+)", OPERATIONS)
    assert int(each) == machine.WORKER_MB
    assert int(rest) == machine.REST_MB + int(workers) * machine.WORKER_MB


# Where a page or a file says how many workers there are, and what memory they have.
MEMORY = {
    "fly.toml": (r'THUMBNAIL_WORKERS = "(\d+)"', r'memory = "(\d+)gb"'),
    "compose.yaml": (r"THUMBNAIL_WORKERS:-(\d+)", r"mem_limit: (\d+)g"),
    "docs/deploy-docker.md": (r"THUMBNAIL_WORKERS=(\d+) ", r"--memory (\d+)g"),
    "deploy/systemd/thumbnails-consumer.service": (r"THUMBNAIL_WORKERS=(\d+)", r"MemoryMax=(\d+)G"),
    "deploy/helm/thumbnails/values.yaml": (r'THUMBNAIL_WORKERS: "?(\d+)', r"memory: (\d)500M"),
}


@pytest.mark.parametrize("file", MEMORY)
def test_memory_that_we_deploy_with_is_enough(file: str) -> None:
    text = (ROOT / file).read_text()
    workers, gigabytes = (int(re.search(one, text)[1]) for one in MEMORY[file])  # type: ignore[index]
    assert found_in(Config(workers=workers), gigabytes * 1e9) == ["ok"]
    assert found_in(Config(workers=workers), gigabytes * 1e9 / 2) == ["little_memory"]


def test_lower_limits_of_images_need_less_memory(tmp_path: Path) -> None:
    row = re.search(
        r"^\| less memory \| (.*)", (ROOT / "docs/deploy-fly.md").read_text(), re.MULTILINE
    )
    environ = dict(re.findall(r"`(THUMBNAIL_\w+)=([\d.]+)`", row[1]))  # type: ignore[index]
    config = load({**environ, "THUMBNAIL_INSTANCE": str(tmp_path)})
    memory = re.search(r'memory = "(\d+)gb"', row[1])  # type: ignore[index]
    assert found_in(config, int(memory[1]) * 1e9) == ["ok"]  # type: ignore[index]
    assert found_in(Config(workers=2), int(memory[1]) * 1e9) == ["little_memory"]  # type: ignore[index]


@needs_namespaces
@pytest.mark.parametrize("are_alive", [True, False], ids=["workers elsewhere", "no workers"])
def test_memory_of_a_container_without_workers_is_not_theirs(jobs: Jobs, are_alive: bool) -> None:
    if are_alive:
        path = jobs.config.instance / "jobs.db"
        Store(path, lambda: time.time() + 50).operations.beat("pod:17")
    ended = subprocess.run(
        in_namespaces(*DOCTOR),
        cwd=ROOT,
        env=environment(jobs.config.instance, workers=10**6),
        stdout=subprocess.PIPE,
    )
    found = {finding["code"] for finding in json.loads(ended.stdout)}
    assert found & {"few_workers", "no_worker", "little_memory"} == (
        {"few_workers"} if are_alive else {"no_worker", "little_memory"}
    )


def test_consumer_of_this_machine_is_seen() -> None:
    command = [sys.executable, "-c", "input()", "webapp.consumer.huey"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        wait_until(machine.runs_consumer)  # The kernel shows its command a moment later.
        process.communicate(b"\n")


def test_memory_is_that_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("300000000\n")
    monkeypatch.setattr(machine, "_CGROUP_LIMITS", (tmp_path / "memory.max",))
    assert machine.read_memory() == 300_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert (machine.read_memory() or 0) > 300_000_000


def test_low_limit_of_open_files_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    assert found_in(Config()) == ["few_open_files"]


def test_env_file_with_a_secret_that_all_can_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("THUMBNAIL_ACCESS_TOKEN=abc")
    (tmp_path / ".env").chmod(0o644)
    assert found_in(Config()) == ["secrets_readable"]
    (tmp_path / ".env").chmod(0o600)
    assert found_in(Config()) == ["ok"]


# Confinement


def test_tiny_image_is_decoded_in_a_confined_child(healthy: Jobs, run: Run) -> None:
    found = json.loads(run("doctor", "--json", "--quick").output)
    (decoder,) = (one for one in found if one["check"] == "decoder")
    assert decoder["status"] == "ok"


def test_decode_child_without_a_filter_is_told(
    healthy: Jobs, codes: Codes, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = {"NoNewPrivs": "1", "CapEff": "0" * 16, "Seccomp": "0"}
    monkeypatch.setattr(machine, "_status_of_decode_child", lambda config: status)
    assert codes() == {"not_confined": "failed"}


def test_kernel_without_landlock_is_told_by_the_decoder_check(
    healthy: Jobs, codes: Codes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "missing", lambda: ["Landlock"])
    assert codes() == {"no_landlock": "warning"}


def test_every_code_is_documented() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    codes = {code for module in (checks, doctor, machine) for code in codes_in(module)}
    assert len(codes) > 30
    assert [code for code in sorted(codes) if f"`{code}`" not in text] == []


def codes_in(module: ModuleType) -> Iterator[str]:
    """Read the codes in the source: the third value of a finding, the first of a warning."""
    places = {"Finding": 2, "_warning": 0}
    for call in ast.walk(ast.parse(Path(module.__file__ or "").read_text())):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            match call.args[places.get(call.func.id, len(call.args)) :]:
                case [ast.Constant(str(code)), *_]:
                    yield code
