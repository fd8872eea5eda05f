"""What we change in gunicorn: log lines, closing connections, stopping, timeouts.

Written for gunicorn 27. `tests/web/test_gunicorn_worker.py` fails once gunicorn no longer needs it.
"""

import contextlib
import logging
import socket
import struct
import time
from collections.abc import Iterable

from gunicorn import glogging
from gunicorn.sock import BaseSocket
from gunicorn.workers import gthread

from webapp import logs
from webapp.config import load

DRAIN_SECONDS = 2.0  # As long as gunicorn's own close_graceful.
DRAIN_PAUSE_SECONDS = 0.5  # Between two packets of a client that still sends.


class Logger(glogging.Logger):  # type: ignore[misc]
    """Write gunicorn's log lines in our format.

    Gunicorn installs handlers of its own here, after it read its configuration file:
    https://gunicorn.org/reference/settings/#logger_class
    """

    def setup(self, cfg):  # type: ignore[no-untyped-def]
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.addFilter(_is_not_a_stall)
        logs.configure(load(), "web")


def _is_not_a_stall(record: logging.LogRecord) -> bool:
    """Drop tracebacks of clients that timed out: anyone could fill the log.

    Gunicorn logs every OSError but EPIPE, ECONNRESET and ENOTCONN, in `ThreadWorker.handle` of
    https://github.com/benoitc/gunicorn/blob/master/gunicorn/workers/gthread.py
    """
    return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))


class Worker(gthread.ThreadWorker):  # type: ignore[misc]
    """Close connections in the thread that served them, not in the accept loop.

    `finish_request` runs in the accept loop. Since https://github.com/benoitc/gunicorn/pull/3590 it
    waits there up to 2 s for each client that does not hang up, and nothing is accepted meanwhile.
    """

    def handle_exit(self, sig, frame):  # type: ignore[no-untyped-def]
        """Answer at once the requests that wait for a change of a job."""
        super().handle_exit(sig, frame)
        self.wsgi.extensions["jobs"].watch.stop()

    def handle(self, conn):  # type: ignore[no-untyped-def]
        """Handle a request and return whether its connection is kept."""
        is_kept = super().handle(conn)
        if is_kept is False:
            _drain(conn.sock)
            conn.close = lambda graceful=False: conn.sock.close()  # All that is left to do there.
        return is_kept


def _drain(connection: socket.socket) -> None:
    """End our side, then read what the client still sends.

    Closing with unread data makes the kernel send RST, and the client may lose the answer
    (RFC 9112, section 9.6).
    """
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(DRAIN_PAUSE_SECONDS)
        deadline = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < deadline and connection.recv(65536):
            pass


def time_out_stalled_clients(listeners: Iterable[BaseSocket], seconds: float) -> None:
    """Set kernel timeouts on reads and writes of all future connections.

    Gunicorn's `timeout` is not one of requests (https://github.com/benoitc/gunicorn/issues/2086):
    a thread waits for the rest of a header or a body, and for the reader of an answer, for as long
    as it takes. Connections inherit these options from the socket that accepts them.
    """
    whole, fraction = divmod(seconds, 1)
    timeval = struct.pack("ll", int(whole), int(fraction * 1e6))
    for listener in listeners:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
        # A client that sends nothing holds a thread for 5 s, since
        # https://github.com/benoitc/gunicorn/pull/3519. With this it is not accepted at all.
        if hasattr(socket, "TCP_DEFER_ACCEPT"):
            wait = max(1, int(whole))
            listener.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, wait)
