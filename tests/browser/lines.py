"""Lines between a browser and a server, which hold uploads, pause or die."""

import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import inf
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Condition, Event, Thread
from time import sleep
from typing import Any
from urllib.parse import urlsplit

# A browser counts as sent what the kernel took: 3 MB on a loopback, 1 MB with these two. By default
# Linux takes 4 MB at most (net.ipv4.tcp_wmem); actions.LARGE has twice as much.
BUFFER_BYTES = 16_384  # At the line's end of a connection.
SEGMENT_BYTES = 1460  # As on an Ethernet.
CHUNK_BYTES = 16_384
ENCODINGS = re.compile(rb"^Accept-Encoding:[^\n]*\n", re.IGNORECASE | re.MULTILINE)
LENGTH = re.compile(rb"^Content-Length: *(\d+)", re.IGNORECASE | re.MULTILINE)
UPLOAD = re.compile(rb"POST \S+/images HTTP")
POSITION = re.compile(rb'name="position"\r\n\r\n(\d+)')
POSITION_ENDS = 200  # The form's first field ends before this byte.


class Line(ThreadingTCPServer):
    """A line to a server that can stop: it stays open, and nothing gets through."""

    daemon_threads = True

    def __init__(self, server_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        # Connections inherit both options.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
        parts = urlsplit(server_url)
        self.far_end = (parts.hostname, parts.port)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.stops_at: Callable[[bytes], bool] = lambda data: False
        self.is_plain = False  # Whether answers come without compression, as they are written.
        self.stops = re.compile(b"(?!)")  # Where an answer pauses on its way,
        self.pause = 0.0  # for how many seconds,
        self.pauses = 0  # and how often it did so.
        self.is_over = Event()
        self.change = Condition()  # Of the three below, and of connections that end meanwhile.
        self.whole_files: float = inf
        self.part = 1.0
        self.is_cut = False

    def hold(self, *, after: int = 0, part: float = 0.4) -> None:
        """Hold the uploads of a job, after its first files, until they are released.

        Of each upload that is held, the line takes this part from the browser. With 1 it takes
        everything, but the server does not get the last bytes and cannot answer.
        """
        self._set(after, part)

    def release(self) -> None:
        """Pass all uploads on."""
        self._set(inf, 1)

    def cut(self) -> None:
        """Break off all uploads, until the line is released."""
        self._set(0, 0, is_cut=True)

    def _set(self, whole_files: float, part: float, *, is_cut: bool = False) -> None:
        with self.change:
            self.whole_files, self.part, self.is_cut = whole_files, part, is_cut
            self.change.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore connections that end in the middle: that is what lines are for."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Connection(StreamRequestHandler):
    server: Line
    disable_nagle_algorithm = True

    def handle(self) -> None:
        self.is_stuck = False
        self.has_ended = False
        with socket.create_connection(self.server.far_end) as self.far:
            self.far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            Thread(target=self.answer, daemon=True).start()
            while head := self.read_head():
                self.pass_on(ENCODINGS.sub(b"", head) if self.server.is_plain else head)
                length = LENGTH.search(head)
                if length:
                    self.pass_body(int(length[1]), is_upload=UPLOAD.match(head) is not None)

    def read_head(self) -> bytes:
        """Read a request up to its body, or nothing where there is no other request."""
        lines = []
        while line := self.rfile.readline():
            lines.append(line)
            if line == b"\r\n":
                break
        return b"".join(lines)

    def pass_body(self, length: int, *, is_upload: bool) -> None:
        data = self.rfile.read(min(length, POSITION_ENDS))
        found = POSITION.search(data) if is_upload else None
        position = int(found[1]) if found else 0  # Other bodies are never held.
        taken = 0
        while data:
            taken += len(data)
            self.wait(position, taken / length)
            self.pass_on(data)
            data = self.rfile.read1(min(CHUNK_BYTES, length - taken))

    def wait(self, position: int, part: float) -> None:
        """Wait until this part of the upload of a file may pass."""
        line = self.server

        def may_pass() -> bool:
            return position <= line.whole_files or part < line.part

        with line.change:
            line.change.wait_for(lambda: may_pass() or line.is_cut or self.has_ended)
            if not may_pass() or self.has_ended:
                raise ConnectionAbortedError

    def pass_on(self, data: bytes) -> None:
        if self.server.stops_at(data):
            self.is_stuck = True
            self.server.is_over.wait()
            raise ConnectionAbortedError
        self.far.sendall(data)

    def answer(self) -> None:
        with suppress(OSError):  # One of them is gone.
            while (data := self.far.recv(65536)) and not self.is_stuck:
                sent = 0
                for found in self.server.stops.finditer(data):
                    self.request.sendall(data[sent : found.end()])
                    sent = found.end()
                    self.server.pauses += 1
                    sleep(self.server.pause)
                self.request.sendall(data[sent:])
        if not self.is_stuck:
            self.hang_up()

    def hang_up(self) -> None:
        """End the connection as the server did, also while an upload is held."""
        with self.server.change:
            self.has_ended = True
            self.server.change.notify_all()
        with suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)


@contextmanager
def line_to(server_url: str) -> Iterator[Line]:
    with Line(server_url) as line:
        Thread(target=line.serve_forever, daemon=True).start()
        try:
            yield line
        finally:
            line.is_over.set()
            line.release()
            line.shutdown()
