"""Lines between a browser and a server that are slow, or die, as lines do."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Event, Thread
from time import sleep
from urllib.parse import urlsplit

ENCODINGS = re.compile(rb"^Accept-Encoding:[^\n]*\n", re.IGNORECASE | re.MULTILINE)


class Line(ThreadingTCPServer):
    """A line to a server that can stop as lines do: it is there, and nothing gets through."""

    daemon_threads = True

    def __init__(self, server_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        parts = urlsplit(server_url)
        self.far_end = (parts.hostname, parts.port)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.stops_at: Callable[[bytes], bool] = lambda data: False
        self.is_plain = False  # Whether answers come without compression, as they are written.
        self.stops = re.compile(b"(?!)")  # Where an answer pauses on its way,
        self.pause = 0.0  # for how many seconds,
        self.pauses = 0  # and how often it did so.
        self.is_over = Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: whoever hangs up in the middle is what this is for."""


class _Connection(BaseRequestHandler):
    server: Line

    def handle(self) -> None:
        with socket.create_connection(self.server.far_end) as far:
            Thread(target=self.answer, args=(far,), daemon=True).start()
            while data := self.request.recv(65536):
                if self.server.stops_at(data):
                    self.server.is_over.wait()
                    return
                far.sendall(ENCODINGS.sub(b"", data) if self.server.is_plain else data)

    def answer(self, far: socket.socket) -> None:
        try:
            while data := far.recv(65536):
                sent = 0
                for found in self.server.stops.finditer(data):
                    self.request.sendall(data[sent : found.end()])
                    sent = found.end()
                    self.server.pauses += 1
                    sleep(self.server.pause)
                self.request.sendall(data[sent:])
        except OSError:
            pass  # One of them is gone.


@contextmanager
def line_to(server_url: str) -> Iterator[Line]:
    with Line(server_url) as line:
        Thread(target=line.serve_forever, daemon=True).start()
        try:
            yield line
        finally:
            line.is_over.set()
            line.shutdown()
