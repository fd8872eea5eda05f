"""An HTTP client with a kept connection, which takes little CPU time.

A small request takes it 60 microseconds, nearly all in the kernel; http.client takes 300.
"""

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from werkzeug.test import encode_multipart

_ATTEMPTS = 25  # Connections to open for one that is used.
READ = 16_384  # Bytes at a time.
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_COOKIE = re.compile(rb"\r\nset-cookie: ([^=\r]+)=([^;\r]*)", re.IGNORECASE)
_ETAG = re.compile(rb"\r\netag: ([^\r]*)", re.IGNORECASE)
_LOCATION = re.compile(rb"\r\nlocation: ([^\r]*)", re.IGNORECASE)


class Server(Protocol):
    """Where to connect to, and the processes that share the port, if they run here."""

    host: str
    port: int

    def acceptors(self) -> list[int]:
        """List their ids."""
        ...


def is_whole(answer: bytes) -> bool:
    """Return whether all of an answer has arrived.

    Its length is told, or it has no body.
    """
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = _LENGTH.search(answer, 0, end + 2)
    return len(answer) >= end + 4 + (int(length[1]) if length else 0)


@dataclass(frozen=True)
class Body:
    """The body of an upload: encoded before the clock starts."""

    content: bytes
    type: str


def encode_form(**fields: Any) -> Body:
    """Encode a form with files, as browsers do."""
    boundary, content = encode_multipart(fields)
    return Body(content, f"multipart/form-data; boundary={boundary}")


def encode_image(photo: Path) -> Body:
    """Encode a file as a body of its own."""
    kind = photo.suffix.replace(".jpg", ".jpeg")[1:]
    return Body(photo.read_bytes(), f"image/{kind}")


@dataclass(frozen=True)
class Answer:
    """The response of a server."""

    status: int
    head: bytes
    body: bytes

    @property
    def location(self) -> str:
        """The header Location."""
        found = _LOCATION.search(self.head)
        return found[1].decode() if found else ""

    @property
    def etag(self) -> str:
        """The header ETag."""
        found = _ETAG.search(self.head)
        return found[1].decode() if found else ""


@dataclass
class Connection:
    """One client on one connection, which is opened again if the server closes it."""

    host: str
    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    _socket: socket.socket | None = None

    @property
    def is_open(self) -> bool:
        """True if it is connected, as far as is known."""
        return self._socket is not None

    def open(self) -> socket.socket:
        """Connect, if it is not."""
        if self._socket is None:
            self._socket = socket.create_connection((self.host, self.port), timeout=60)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def get(self, path: str, *headers: str) -> Answer:
        """Get a path."""
        return self.request(self.head("GET", path, *headers))

    def post(self, path: str, body: Body, *headers: str) -> Answer:
        """Post a body."""
        return self._send_body("POST", path, body, *headers)

    def put(self, path: str, body: Body, *headers: str) -> Answer:
        """Put a body."""
        return self._send_body("PUT", path, body, *headers)

    def _send_body(self, method: str, path: str, body: Body, *headers: str) -> Answer:
        facts = (f"Content-Type: {body.type}", f"Content-Length: {len(body.content)}")
        return self.request(self.head(method, path, *facts, *headers), body.content)

    def head(self, method: str, path: str, *headers: str) -> bytes:
        """Return the head of a request."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}", *headers]
        lines += [f"Cookie: {cookies}"] * bool(cookies)
        return "\r\n".join([*lines, "", ""]).encode()

    def request(self, head: bytes, body: bytes = b"") -> Answer:
        """Send a request; once more if the server has closed the connection."""
        try:
            answer = self._send(head, body)
        except ConnectionError:
            self.close()
            answer = self._send(head, body)
        head, _, content = answer.partition(b"\r\n\r\n")
        for name, value in _COOKIE.findall(head):
            self.cookies[name.decode()] = value.decode()
        return Answer(int(head[9:12]), head, content)

    def _send(self, head: bytes, body: bytes) -> bytes:
        connection = self.open()
        connection.sendall(head)
        if body:
            connection.sendall(body)
        answer = b""
        while not is_whole(answer):
            received = connection.recv(READ)
            if not received:
                raise ConnectionResetError
            answer += received
        return answer


@contextmanager
def spread(server: Server, count: int) -> Iterator[list[Connection]]:
    """Open so many connections, as many to each process that shares the port.

    Otherwise one process may by chance accept them all, and a core is idle: others are opened and
    left unused until each process has its share.
    """
    processes = server.acceptors()
    shares = dict.fromkeys(processes, -(-count // len(processes))) if processes else {}
    with ExitStack() as stack:

        def connect(_: int) -> Connection:
            connection = Connection(server.host, server.port)
            stack.callback(connection.close)
            assert connection.get("/healthcheck").status == 200, "not healthy"
            return connection

        def opened() -> Iterator[Connection]:
            with ThreadPoolExecutor(count) as threads:
                for _ in range(_ATTEMPTS):
                    # At the same time: of several that come one by one, a process may take all.
                    for connection in threads.map(connect, range(count)):
                        holder = _holder(server, connection) if shares else None
                        if holder is None or shares[holder]:
                            if holder is not None:
                                shares[holder] -= 1
                            yield connection

        used = list(islice(opened(), count))
        assert len(used) == count, "one process accepts all connections"
        yield used


def _holder(server: Server, connection: Connection) -> int | None:
    """Return which process has accepted a connection."""
    port = connection.open().getsockname()[1]
    wanted = (f"0100007F:{server.port:04X}", f"0100007F:{port:04X}")
    lines = map(str.split, Path("/proc/net/tcp").read_text().splitlines())
    inodes = {f"socket:[{line[9]}]" for line in lines if (line[1], line[2]) == wanted}
    for pid in server.acceptors():
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # Closed in this moment.
                if str(link.readlink()) in inodes:
                    return pid
    return None
