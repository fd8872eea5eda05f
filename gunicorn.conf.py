"""How gunicorn runs; it reads this file by itself."""

import contextlib
import logging
import os
import resource
import socket
import struct
import time

from gunicorn import glogging
from gunicorn.workers.gthread import ThreadWorker

from webapp import logs
from webapp.config import load
from webapp.sandbox.process import die_with_parent

_config = load()
_host = f"[{_config.host}]" if ":" in _config.host else _config.host

bind = f"{_host}:{_config.port}"
workers = _config.web_workers
threads = _config.web_threads
keepalive = 75  # Longer than nginx keeps its connections: it must be the one that closes.
graceful_timeout = 30  # Less than webapp.serve's STOP_SECONDS.
control_socket_disable = True  # We have no use for it, and it would lie in the home folder.
max_requests = 10_000  # A new process now and then bounds what memory fragments.
max_requests_jitter = 1_000

if os.path.isdir("/dev/shm"):
    worker_tmp_dir = "/dev/shm"  # The heartbeat file: never on a disk that may be busy or full.

# A form without script holds all its files open, and every thread may have one.
_, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))


class Logger(glogging.Logger):  # type: ignore[misc]
    """Write gunicorn's own lines as we write ours."""

    def setup(self, cfg):  # type: ignore[no-untyped-def]
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.addFilter(_is_no_stall)
        logs.configure(_config, "web")


logger_class = Logger


class worker_class(ThreadWorker):
    """Take leave of clients in the threads.

    Gunicorn does it where it accepts the next, and waits 2 s for each that does not hang up.
    """

    def handle(self, conn):  # type: ignore[no-untyped-def]
        """Handle a request; say whether the connection is kept."""
        is_kept = super().handle(conn)
        if is_kept is False:
            _take_leave(conn.sock)
            conn.close = lambda graceful=False: conn.sock.close()  # All that is left to do there.
        return is_kept


def _take_leave(connection: socket.socket) -> None:
    """Say that this is the end, and take what is still under way: else the answer may be lost."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(0.5)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline and connection.recv(65536):
            pass


def when_ready(server):  # type: ignore[no-untyped-def]
    """Give up clients that stall, and say where the pages are.

    Gunicorn waits for ever for the rest of a header or of a body, and for the reader of an answer.
    The kernel need not: connections inherit what is set on the socket that they come from.
    """
    seconds, fraction = divmod(_config.stall_seconds, 1)
    patience = struct.pack("ll", int(seconds), int(fraction * 1e6))
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        if hasattr(socket, "TCP_DEFER_ACCEPT"):  # One that says nothing at all is not even seen.
            wait = max(1, int(seconds))
            listener.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, wait)
    server.log.info("Thumbnails is at http://%s", bind)


def post_fork(server, worker):  # type: ignore[no-untyped-def]
    """Tie the worker's life to the server's: a stalled upload would keep it, and the port."""
    die_with_parent(server.pid)


def _is_no_stall(record: logging.LogRecord) -> bool:
    """Keep from the log the traceback of each client that stalls: whoever wants could fill it."""
    return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))
