"""What we change in gunicorn: logs, answers, stopping, connections.

Written for gunicorn 27. `tests/web/test_gunicorn_worker.py` fails once gunicorn no longer needs it.
"""

import contextlib
import logging
import math
import re
import select
import socket
import struct
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from gunicorn import glogging, http, systemd, util
from gunicorn.http import errors, message, parser
from gunicorn.sock import BaseSocket
from gunicorn.workers import base, gthread, workertmp
from werkzeug.exceptions import default_exceptions
from werkzeug.test import create_environ, run_wsgi_app

from webapp import logs
from webapp.config import load
from webapp.liveness import Heart
from webapp.web.limits import UNREADABLE

NEXT_REQUEST_MS = 2  # For how long a thread waits for the next request of its client.
REQUESTS_IN_A_ROW = 10
DRAIN_SECONDS = 2.0  # As long as gunicorn's own close_graceful.
DRAIN_PAUSE_SECONDS = 0.5  # Between two packets of a client that still sends.

# As gunicorn answers requests that it cannot read; all others with 400.
_STATUS = {
    errors.LimitRequestLine: 414,
    errors.ExpectationFailed: 417,
    errors.LimitRequestHeaders: 431,
    errors.UnsupportedTransferCoding: 501,
}
# Errors in the headers of answers: the fault is ours.
_OF_ANSWERS = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)
# The path, in what was read of a request; of a long one the beginning, which is logged.
_PATH = re.compile(rb"\S+ (?:https?://[^/\s]*)?(/[^\s?]{0,199})")
_ACCEPT = re.compile(rb"^accept:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_PREFIX = re.compile(rb"^x-forwarded-prefix:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


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


class HeartbeatFile(workertmp.WorkerTmp):  # type: ignore[misc]
    """Tell what started gunicorn that its main loop turns, in which it ends hung workers.

    The loop looks at the file of each worker once a second.
    """

    _heart = Heart()

    def last_update(self):  # type: ignore[no-untyped-def]
        self._heart.beat()
        return super().last_update()


base.WorkerTmp = HeartbeatFile
# Gunicorn tells that it is ready before a worker has loaded the application.
systemd.sd_notify = lambda *_: None


class Body(http.body.Body):  # type: ignore[misc]
    """Receive a body of known length straight into the buffer of the reader.

    Gunicorn's own copies each byte some five times: two thirds of the CPU time of an upload.
    """

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer, unless the body ends or the client leaves before."""
        view = memoryview(buffer)[: self.reader.length]
        if self.buf.tell():  # Left by another method.
            data = self.read(len(view))
            view[: len(data)] = data
            return len(data)
        received = self._take_buffered(view)
        try:
            while received < len(view):
                count = self.reader.unreader.sock.recv_into(view[received:])
                if not count:
                    break
                received += count
        except BaseException:
            self.failed = True
            raise
        finally:
            self.reader.length -= received
        return received

    def _take_buffered(self, view: memoryview) -> int:
        """Take what came with the head of the request."""
        data = self.reader.unreader.take_buffered()
        count = min(len(data), len(view))
        view[:count] = data[:count]
        if count < len(data):
            self.reader.unreader.unread(data[count:])
        return count


class Request(message.Request):  # type: ignore[misc]
    """Leave what could be read of a request in the error that ended its reading."""

    start = b""  # All that was read before the headers were.
    head = b""
    body: Any

    def __init__(self, *args):  # type: ignore[no-untyped-def]
        try:
            super().__init__(*args)
        except errors.ParseException as error:
            error.request = self
            raise
        # A body in chunks is refused, so it is not read: what follows it is not found.
        if any(name == "TRANSFER-ENCODING" for name, _ in self.headers):
            self.force_close()

    def set_body_reader(self):  # type: ignore[no-untyped-def]
        super().set_body_reader()
        if isinstance(self.body.reader, http.body.LengthReader):
            self.body = Body(self.body.reader)

    def read_line(self, unreader, buf, limit=0):  # type: ignore[no-untyped-def]
        self.start = buf  # It grows meanwhile.
        return super().read_line(unreader, buf, limit)

    def parse_headers(self, data, from_trailer=False):  # type: ignore[no-untyped-def]
        if not from_trailer:
            self.head = data
        return super().parse_headers(data, from_trailer)


parser.RequestParser.mesg_class = Request


class Worker(gthread.ThreadWorker):  # type: ignore[misc]
    """Let the application answer what gunicorn cannot read."""

    def handle_error(self, req, client, addr, exc):  # type: ignore[no-untyped-def]
        """Answer with the headers and the page of the application.

        A program gets JSON; if its headers could not be read, only from the API, else the page too.
        """
        client_name = addr[0] if addr else ""  # None of a Unix socket.
        if isinstance(exc, errors.ParseException) and not isinstance(exc, _OF_ANSWERS):
            if not hasattr(exc, "request"):  # Of what is left of a body, after the answer.
                return
            # Not its text: that has what the client sent.
            self.log.warning("Cannot read a request of %s: %s", client_name, type(exc).__name__)
            environ = _environ_of(exc.request)
            environ[UNREADABLE] = default_exceptions[_STATUS.get(type(exc), 400)]()
        else:
            environ = _environ_of(req) if req else create_environ(headers={"Accept": "text/html"})
            environ[UNREADABLE] = exc
        environ["REMOTE_ADDR"] = client_name
        body, status, headers = run_wsgi_app(self.wsgi, environ, buffered=True)
        headers.extend({"Date": util.http_date(), "Connection": "close"})
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        with contextlib.suppress(OSError):  # The client is gone.
            util.write_nonblock(client, head + b"".join(body))

    def handle_exit(self, sig, frame):  # type: ignore[no-untyped-def]
        """Answer at once the requests that wait for a change of a job."""
        super().handle_exit(sig, frame)
        if self.booted:
            self.wsgi.extensions["jobs"].watch.stop()

    # `finish_request` runs in the accept loop. Since
    # https://github.com/benoitc/gunicorn/pull/3590 it waits there up to 2 s for each client that
    # does not hang up, and nothing is accepted meanwhile.
    def handle(self, conn):  # type: ignore[no-untyped-def]
        """Handle requests that follow each other; return if the client is kept.

        A client that has read an answer often sends its next request at once. Gunicorn passes the
        connection to its accept loop and back before, for a fifth of the time of a small request.
        No thread waits for one that paused before its request, as a client that polls does.
        """
        pause = time.monotonic() - getattr(conn, "answered", math.inf)  # None before its first one.
        is_quick = pause < NEXT_REQUEST_MS / 1000
        for _ in range(REQUESTS_IN_A_ROW):  # Then it is the turn of other clients.
            is_kept = super().handle(conn)
            if is_kept is not True or not self.alive:
                break
            conn.answered = time.monotonic()
            if not is_quick or not _sends_more(conn):
                break
        if is_kept is False:
            _drain(conn.sock)
            conn.close = lambda graceful=False: conn.sock.close()  # All that is left to do there.
        return is_kept


def _environ_of(request: Request) -> dict[str, Any]:
    """Create the environment of a request from the little that could be read of it."""
    environ = create_environ(method="GET" if request.path is None else request.method)
    found = _PATH.match(request.start)
    environ["PATH_INFO"] = unquote_to_bytes(found[1] if found else b"/").decode("latin-1")
    accepted = b",".join(_ACCEPT.findall(request.head)) if request.head else b"text/html"
    environ["HTTP_ACCEPT"] = accepted.decode("latin-1")
    if prefixes := _PREFIX.findall(request.head):
        environ["HTTP_X_FORWARDED_PREFIX"] = b",".join(prefixes).decode("latin-1")
    return environ


def _sends_more(conn) -> bool:  # type: ignore[no-untyped-def]
    """Return whether a client sends its next request within a moment."""
    if conn.parser.unreader.buf.getvalue():  # It came with the request before.
        return True
    poll = select.poll()
    poll.register(conn.sock, select.POLLIN)
    return bool(poll.poll(NEXT_REQUEST_MS))


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
