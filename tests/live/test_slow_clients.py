"""Clients that stall, at the web server itself: they must not occupy it for good."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.support.images import make_jpeg
from tests.support.servers import UPLOAD_BEGINNING, Client, Servers, wait_until

pytestmark = pytest.mark.live

HEADER = b"GET / HTTP/1.1\r\nHost: x\r\n"
BODY = UPLOAD_BEGINNING + b"abc"
STALL_SECONDS = 1
THREADS = 4


@pytest.fixture(scope="module")
def settings() -> dict[str, object]:
    return {"stall_seconds": STALL_SECONDS, "web_workers": 1, "web_threads": THREADS}


def stall(servers: Servers, sent: bytes, count: int, stack: ExitStack) -> None:
    """Open connections that send so much and nothing more."""
    for _ in range(count):
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", servers.port)))
        connection.sendall(sent)


@pytest.mark.parametrize("sent", [HEADER, BODY], ids=["header", "body"])
def test_stalled_clients_are_disconnected(servers: Servers, client: Client, sent: bytes) -> None:
    with ExitStack() as stack:
        stall(servers, sent, THREADS, stack)
        started = time.monotonic()
        assert client.get("/docs").status == 200
        assert time.monotonic() - started < STALL_SECONDS + 2
    assert "Traceback" not in servers.output()


def test_stalled_upload_leaves_nothing(servers: Servers) -> None:
    with ExitStack() as stack:
        stall(servers, BODY + bytes(300_000), 1, stack)
        uploads = servers.instance / "tmp"
        wait_until(lambda: list(uploads.iterdir()), what="the upload's beginning")
        wait_until(lambda: not list(uploads.iterdir()), what="its end")


def test_stalled_upload_gets_an_error_that_allows_a_retry(servers: Servers) -> None:
    with socket.create_connection(("127.0.0.1", servers.port), timeout=10) as connection:
        connection.sendall(BODY)
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"Send it again." in answer


def test_clients_that_send_without_pause_leave_turns_to_others(
    servers: Servers, client: Client
) -> None:
    request = b"GET /healthcheck HTTP/1.1\r\nHost: x\r\n"
    requests = (request + b"\r\n") * 1000 + request + b"Connection: close\r\n\r\n"

    with ExitStack() as stack, ThreadPoolExecutor(2 * THREADS) as threads:
        busy = []
        for _ in range(THREADS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", servers.port)))
            threads.submit(connection.sendall, requests)
            busy.append(
                threads.submit(lambda one: all(iter(lambda: one.recv(100_000), b"")), connection)
            )
        assert all(client.get("/healthcheck").status for _ in range(3))
        assert not any(reading.done() for reading in busy)


def test_clients_that_send_nothing_take_no_thread(servers: Servers, client: Client) -> None:
    with ExitStack() as stack:
        stall(servers, b"", 40, stack)
        started = time.monotonic()
        assert client.get("/docs").status == 200
        assert time.monotonic() - started < 1


def test_client_that_is_slow_but_goes_on_is_served(servers: Servers) -> None:
    request = b"GET /docs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", servers.port)) as connection:
        for part in (request[:20], request[20:40], request[40:]):
            connection.sendall(part)
            time.sleep(STALL_SECONDS * 0.6)  # All of it takes longer than one stall may.
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_client_that_hangs_up_leaves_its_place_to_wait(servers: Servers, client: Client) -> None:
    head = {"Content-Type": "application/json"}
    opened = client.request("POST", "/api/v1/jobs", b'{"presets": ["square"]}', head).json
    ended = client.submit(make_jpeg())
    client.request("POST", f"/api/v1/jobs/{ended}/cancel")
    client.wait_for(ended)

    def has_place() -> bool:
        answer = client.request("GET", f"/api/v1/jobs/{ended}", headers={"Prefer": "wait=9"})
        return "Preference-Applied" in answer.headers  # At once: the job is finished.

    def take_all_places() -> bool:
        stall(servers, request.encode(), THREADS, stack)
        return not has_place()

    request = f"GET /api/v1/jobs/{opened['id']}?wait=30 HTTP/1.1\r\nHost: x\r\n\r\n"
    with ExitStack() as stack:
        wait_until(take_all_places, what="all places to be taken")
    wait_until(has_place, 5, "a place to be free")  # Not after the 30 s.
