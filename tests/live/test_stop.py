"""Stopping all of it, and starting it again."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from werkzeug.datastructures import FileStorage

from tests.support.forms import encode_form
from tests.support.images import make_jpeg
from tests.support.servers import (
    Client,
    children_of,
    descendants_of,
    environment,
    free_port,
    is_alive,
    wait_until,
)
from webapp.config import ROOT, SECRETS

pytestmark = pytest.mark.live

PHOTO = make_jpeg() + bytes(500_000)  # Decoders ignore what follows its end.
HALF = 300_000


@contextmanager
def serving(
    instance: Path, **settings: object
) -> Iterator[tuple["subprocess.Popen[bytes]", Client]]:
    """Run what `make run` runs."""
    port = free_port()
    environ = environment(instance, port=port, **settings)
    serve = subprocess.Popen([sys.executable, "-m", "webapp.serve"], cwd=ROOT, env=environ)
    try:
        with closing(Client("127.0.0.1", port)) as client:
            wait_until(client.is_healthy, what="a healthy server")
            yield serve, client
    finally:
        serve.terminate()
        serve.wait(60)


def test_upload_in_progress_survives_a_stop_and_a_start(
    tmp_path: Path,
) -> None:
    content_type, body = encode_form({"file": FileStorage(BytesIO(PHOTO), "a.jpg")})
    head = (
        "POST /upload_image HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with serving(tmp_path) as (serve, client):
        with socket.create_connection((client.host, client.port)) as upload:
            upload.sendall(head.encode() + body[:HALF])
            wait_until(lambda: any((tmp_path / "tmp").iterdir()), what="the upload's file")
            serve.send_signal(signal.SIGTERM)
            # All end but the web server and the process that receives the upload.
            wait_until(
                lambda: sum(map(is_alive, descendants_of(serve.pid))) == 2,
                what="the end of the others",
            )
            upload.sendall(body[HALF:])
            answer = b"".join(iter(lambda: upload.recv(10_000), b"")).decode()
        assert answer.startswith("HTTP/1.1 202"), answer
        assert serve.wait(20) == 0
    job_id = answer.split("/check_job_status/")[1][:36]
    with serving(tmp_path) as (_, client):
        client.wait_for(job_id)
        assert client.get(f"/download_thumbnail/{job_id}").status == 200


def test_nothing_outlives_a_killed_server(tmp_path: Path) -> None:
    with serving(tmp_path) as (serve, client):
        processes = descendants_of(serve.pid)
        assert len(processes) >= 6  # Of each kind a master, and its workers.
        serve.kill()
        serve.wait()
        wait_until(lambda: not any(map(is_alive, processes)), 2.0, "the end of all")
        assert not client.is_healthy()


def test_end_of_one_process_ends_all(tmp_path: Path) -> None:
    with serving(tmp_path) as (serve, _):
        consumer = next(pid for pid in children_of(serve.pid) if b"huey" in command_of(pid))
        os.kill(consumer, signal.SIGKILL)
        assert serve.wait(20) == 128 + signal.SIGKILL


def test_consumer_starts_without_the_secrets_of_the_web_server(
    tmp_path: Path,
) -> None:
    secrets = {name: f"{name}-that-is-hard-to-guess" for name in SECRETS}
    with serving(tmp_path, **secrets) as (serve, _):
        web, consumer = sorted(children_of(serve.pid), key=lambda pid: b"huey" in command_of(pid))
        wait_until(lambda: len(descendants_of(consumer)) > 3, what="decode servers")
        assert environment_has(web, secrets.values())
        assert not any(
            environment_has(pid, secrets.values()) for pid in [consumer, *descendants_of(consumer)]
        )


def environment_has(pid: int, texts: Iterable[str]) -> bool:
    environ = Path(f"/proc/{pid}/environ").read_bytes()
    return any(text.encode() in environ for text in texts)


def test_start_warns_of_root_and_of_no_other_user(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "webapp.serve"]
    environ = environment(tmp_path, port=free_port())
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True
    ) as serve:
        assert serve.stderr
        first = serve.stderr.readline()
        serve.terminate()
    assert ("runs as root" in first) is (os.geteuid() == 0), first


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
