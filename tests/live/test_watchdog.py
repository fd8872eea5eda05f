"""A process hangs: what started it is told nothing false, and no image is lost.

The test is the service manager, as systemd is: it has the socket that it names to
`webapp.serve`, and asks for a sign of life every few seconds.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.servers import (
    Client,
    children_of,
    decode_children_of,
    descendants_of,
    environment,
    free_port,
    is_alive,
    wait_until,
)
from webapp.config import ROOT
from webapp.liveness import ALIVE, READY, STOPPING
from webapp.serve import HUNG_EXIT_CODE, SOCKETS

pytestmark = pytest.mark.live

WATCHDOG = 6.0  # Seconds; a process hangs after half of it.
STATES = [READY, ALIVE, STOPPING]


@dataclass
class Service:
    """What the test started, and what it is told by it."""

    serve: "subprocess.Popen[bytes]"
    client: Client
    manager: socket.socket

    def next_states(self) -> set[str]:
        """Wait for the next message; return what it says but for texts."""
        return set(self.manager.recv(4096).decode().split("\n")) & set(STATES)

    def child(self, name: str) -> int:
        """Return the process id of gunicorn or huey_consumer."""
        return next(
            pid
            for pid in children_of(self.serve.pid)
            if name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        )


@contextmanager
def service(instance: Path, *names: str) -> Iterator[Service]:
    """Start `webapp.serve` as a service manager does, and wait until it is ready."""
    port, command = free_port(), [sys.executable, "-m", "webapp.serve"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0thumbnails-{port}")
        manager.settimeout(20)
        watched = {
            "NOTIFY_SOCKET": f"@thumbnails-{port}",
            "WATCHDOG_USEC": str(round(WATCHDOG * 1e6)),
        }
        serve = subprocess.Popen(
            # systemd also names the process that it means.
            ["sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh", *command, *names],
            cwd=ROOT,
            env=environment(instance, port=port, workers=2, lease_seconds=1.5) | watched,
        )
        try:
            with closing(Client("127.0.0.1", port)) as client:
                started = Service(serve, client, manager)
                assert READY in started.next_states()
                yield started
        finally:
            serve.kill()
            serve.wait()


def test_service_is_ready_when_it_is_healthy_lives_and_says_that_it_stops(tmp_path: Path) -> None:
    with service(tmp_path) as started:
        assert started.client.is_healthy()
        assert started.next_states() == {ALIVE}
        processes = descendants_of(started.serve.pid)
        started.serve.terminate()
        wait_until(lambda: STOPPING in started.next_states(), what="word of the stop")
        assert started.serve.wait(20) == 0
        assert not any(map(is_alive, processes))


def test_hung_consumer_ends_the_service_and_its_image_is_made_by_the_next(
    tmp_path: Path, scan: bytes
) -> None:
    with service(tmp_path) as started:
        job_id = started.client.submit(scan)
        consumer = started.child("huey")
        wait_until(
            lambda: any(map(decode_children_of, children_of(consumer))), what="a worker at work"
        )
        processes = descendants_of(started.serve.pid)
        for pid in [consumer, *children_of(consumer)]:
            os.kill(pid, signal.SIGSTOP)
        assert started.serve.wait(WATCHDOG * 2) == HUNG_EXIT_CODE
        wait_until(lambda: not any(map(is_alive, processes)), what="the end of all")
    with service(tmp_path) as started:
        started.client.wait_for(job_id)
        assert started.client.get(f"/download_thumbnail/{job_id}").status == 200


def test_hung_workers_are_replaced_and_their_image_is_made(tmp_path: Path, scan: bytes) -> None:
    with service(tmp_path) as started:
        job_id = started.client.submit(scan)
        consumer = started.child("huey")
        wait_until(
            lambda: any(map(decode_children_of, children_of(consumer))), what="a worker at work"
        )
        hung = children_of(consumer)
        for pid in hung:
            os.kill(pid, signal.SIGSTOP)
        started.client.wait_for(job_id)
        assert started.client.get(f"/download_thumbnail/{job_id}").status == 200
        wait_until(lambda: not set(hung) & set(children_of(consumer)), what="others for all")
        assert started.serve.poll() is None


def test_hung_web_server_ends_the_service(tmp_path: Path) -> None:
    with service(tmp_path, "web") as started:
        web = started.child("gunicorn")
        processes = [web, *descendants_of(web)]
        os.kill(web, signal.SIGSTOP)
        assert started.serve.wait(WATCHDOG * 2) == HUNG_EXIT_CODE
        wait_until(lambda: not any(map(is_alive, processes)), what="the end of all")


@pytest.fixture(scope="module")
def left_behind() -> Iterator[Path]:
    """Leave what a service leaves that was killed."""
    folder = Path(tempfile.mkdtemp(prefix=SOCKETS, dir="/dev/shm"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as killed:
        killed.bind(str(folder / "web"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def consumer_alone(
    tmp_path_factory: pytest.TempPathFactory, left_behind: Path
) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("alone"), "consumer") as started:
        yield started


def test_service_of_the_consumer_alone_answers_no_requests(consumer_alone: Service) -> None:
    assert len(children_of(consumer_alone.serve.pid)) == 1
    assert not consumer_alone.client.answers()


def test_start_removes_what_a_killed_service_left(
    consumer_alone: Service, left_behind: Path
) -> None:
    assert not left_behind.exists()


def test_processes_that_read_images_cannot_tell_anything(consumer_alone: Service) -> None:
    workers = children_of(consumer_alone.child("huey"))
    servers = [server for worker in workers for server in children_of(worker)]
    assert len(servers) == 2
    for server in servers:
        assert b"NOTIFY_SOCKET" not in Path(f"/proc/{server}/environ").read_bytes()


def test_pause_of_all_processes_is_no_hang(tmp_path: Path) -> None:
    with service(tmp_path) as started:
        processes = [started.serve.pid, *descendants_of(started.serve.pid)]
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            # Nothing is told for so long that it would be a hang.
            started.manager.settimeout(WATCHDOG * 0.6)
            with pytest.raises(TimeoutError):
                while True:
                    started.next_states()
        finally:
            for pid in reversed(processes):
                os.kill(pid, signal.SIGCONT)
        started.manager.settimeout(WATCHDOG)
        assert started.next_states() == {ALIVE}
        wait_until(started.client.is_healthy, what="healthy workers")
