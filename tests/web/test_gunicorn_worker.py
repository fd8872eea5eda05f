"""Our changes to gunicorn are still needed: fails once it does the same."""

import logging
import math
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from flask import Flask
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http.body import Body
from gunicorn.workers import gthread
from werkzeug.wsgi import LimitedStream

from tests.support.images import make_jpeg
from webapp.web import gunicorn_worker

HALF_A_HEADER = b"GET / HTTP/1.1\r\nHost: x\r\n"
NOT_HTTP = b"hello\r\n\r\n"


@pytest.fixture
def connection() -> Iterator[gthread.TConn]:
    """Return the server's end of a connection; the other one is `client`."""
    server, other = socket.socketpair()
    with server, other:
        connection = gthread.TConn(Config(), server, ("127.0.0.1", 1), ("127.0.0.1", 2))
        connection.other = other
        yield connection


@pytest.fixture
def client(connection: gthread.TConn) -> socket.socket:
    other: socket.socket = connection.other
    return other


@contextmanager
def worker_of(kind: type[gthread.ThreadWorker]) -> Iterator[gthread.ThreadWorker]:
    config = Config()
    worker = kind(1, os.getpid(), [], None, 30, config, Logger(config))
    try:
        yield worker
    finally:
        worker.tmp.close()


@pytest.fixture
def gunicorns_worker() -> Iterator[gthread.ThreadWorker]:
    with worker_of(gthread.ThreadWorker) as worker:
        yield worker


@pytest.fixture
def our_worker() -> Iterator[gthread.ThreadWorker]:
    with worker_of(gunicorn_worker.Worker) as worker:
        yield worker


def waits_for_client(work: Callable[[], object], client: socket.socket) -> bool:
    """Check that `work` does not return before the client hangs up."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(0.2)
    waited = thread.is_alive()
    client.close()
    thread.join(5)
    assert not thread.is_alive()
    return waited


def served(*, is_kept: bool) -> "Future[bool]":
    """Return the outcome of a request that was handled."""
    future: Future[bool] = Future()
    future.set_result(is_kept)
    return future


def test_gunicorn_waits_in_its_accept_loop(
    gunicorns_worker: gthread.ThreadWorker, connection: gthread.TConn, client: socket.socket
) -> None:
    finish = partial(gunicorns_worker.finish_request, connection, served(is_kept=False))
    assert waits_for_client(finish, client)


def test_our_accept_loop_does_not_wait(
    our_worker: gthread.ThreadWorker, connection: gthread.TConn, client: socket.socket, app: Flask
) -> None:
    our_worker.wsgi = app
    client.sendall(NOT_HTTP)
    assert our_worker.handle(connection) is False
    assert client.recv(100).startswith(b"HTTP/1.1 400 ")
    finish = partial(our_worker.finish_request, connection, served(is_kept=False))
    assert not waits_for_client(finish, client)


def test_gunicorn_sets_no_timeout_on_connections(connection: gthread.TConn) -> None:
    connection.init()
    assert connection.sock.gettimeout() is None


def test_gunicorn_gives_a_thread_to_clients_that_send_nothing(
    gunicorns_worker: gthread.ThreadWorker, connection: gthread.TConn, client: socket.socket
) -> None:
    assert waits_for_client(partial(gunicorns_worker.handle, connection), client)


def test_gunicorn_logs_a_traceback_for_a_timeout(
    gunicorns_worker: gthread.ThreadWorker,
    connection: gthread.TConn,
    client: socket.socket,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gunicorns_worker.log.error_log.addHandler(caplog.handler)
    one_microsecond = struct.pack("ll", 0, 1)
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, one_microsecond)
    client.sendall(HALF_A_HEADER)
    gunicorns_worker.handle(connection)
    gunicorns_worker.log.error_log.removeHandler(caplog.handler)
    (error,) = (record.exc_info for record in caplog.records if record.levelno == logging.ERROR)
    assert error is not None
    assert isinstance(error[1], BlockingIOError)


def test_gunicorn_cannot_receive_into_a_buffer() -> None:
    assert not hasattr(Body, "readinto")


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with the body, received as an image is: into a buffer, again and again."""
    stream = LimitedStream(environ["wsgi.input"], int(environ.get("CONTENT_LENGTH") or 0))
    body, buffer = b"", bytearray(1000)
    while count := stream.readinto(buffer):
        body += buffer[:count]
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


@pytest.mark.parametrize("at_once", [0, 10, 1500, 4000])
def test_body_arrives_whole_however_it_is_cut(
    our_worker: gthread.ThreadWorker,
    connection: gthread.TConn,
    client: socket.socket,
    at_once: int,
) -> None:
    our_worker.wsgi, sent = echo, os.urandom(4000)
    head = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n"
    client.sendall(head + sent[:at_once])  # So much comes with the head.
    later = threading.Timer(0.05, client.sendall, [sent[at_once:] + HALF_A_HEADER + b"\r\n"])
    later.start()
    assert our_worker.handle(connection) is True
    later.join()
    answers = b""
    while answers.count(b"HTTP/1.1 200") < 2:  # That of the next request, whose body is empty.
        answers += client.recv(10_000)
        if answers.endswith(sent):
            our_worker.handle(connection)
    assert answers.partition(b"\r\n\r\n")[2].startswith(sent)


def test_half_an_image_of_a_client_that_leaves_is_no_image(
    our_worker: gthread.ThreadWorker, connection: gthread.TConn, client: socket.socket, app: Flask
) -> None:
    our_worker.wsgi, image = app, make_jpeg()
    head = (
        "POST /api/v1/jobs?preset=square HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n\r\n"
    )
    client.sendall(head.encode() + image[:-10])
    client.shutdown(socket.SHUT_WR)
    assert our_worker.handle(connection) is False
    assert client.recv(100).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("is_quick", [True, False])
def test_thread_waits_for_a_quick_client_alone(
    our_worker: gthread.ThreadWorker,
    connection: gthread.TConn,
    client: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    is_quick: bool,
) -> None:
    monkeypatch.setattr(gunicorn_worker, "NEXT_REQUEST_MS", 60_000)
    our_worker.wsgi = echo
    connection.answered = time.monotonic() if is_quick else -math.inf
    client.sendall(HALF_A_HEADER + b"\r\n")
    assert waits_for_client(partial(our_worker.handle, connection), client) is is_quick
