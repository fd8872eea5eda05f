"""Servers on the loopback address that answer requests of ours, well or badly."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Connection = socket.socket
Behaviour = Callable[[Connection, bytes], None]


@dataclass
class Origin:
    """A server, and the requests that it was sent."""

    port: int
    requests: list[bytes] = field(default_factory=list)

    @property
    def host(self) -> str:
        """Its address and port, as settings and URLs have them."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The URL of a file there."""
        return f"http://{self.host}/photos/cat.jpg"


@contextmanager
def origin(*behaviours: Behaviour, context: ssl.SSLContext | None = None) -> Iterator[Origin]:
    """Start a server that answers its first request in the first way, and so on."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        server = Origin(listener.getsockname()[1])
        stopped = threading.Event()

        def serve(connection: Connection) -> None:
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                stack.enter_context(connection)
                if context:
                    options: dict[str, Any] = {
                        "server_side": True,
                        "do_handshake_on_connect": False,
                    }
                    connection = stack.enter_context(context.wrap_socket(connection, **options))
                request = _read_request(connection)
                if not request:  # The client left, perhaps for our certificate.
                    return
                server.requests.append(request)
                number = min(len(server.requests), len(behaviours)) - 1
                behaviours[number](connection, request)

        def accept() -> None:
            while not stopped.is_set():
                with contextlib.suppress(OSError):
                    connection, _ = listener.accept()
                    connection.settimeout(10)
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            stopped.set()
            with contextlib.suppress(OSError):  # It wakes the thread.
                socket.create_connection(listener.getsockname()).close()
            thread.join()


def _read_request(connection: Connection) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request and (data := connection.recv(65536)):
        request += data
    return request


def answer(
    body: bytes = b"", status: str = "200 OK", length: int | None = None, **headers: str
) -> Behaviour:
    """Answer with a body; underscores in names of headers become hyphens."""
    lines = {"Content_Length": str(len(body) if length is None else length), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())

    def behave(connection: Connection, _: bytes) -> None:
        connection.sendall(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)

    return behave


def redirect(target: str) -> Behaviour:
    """Redirect to another URL."""
    return answer(status="302 Found", Location=target)


def drip(head: bytes, piece: bytes = b"x", seconds: float = 0.02) -> Behaviour:
    """Send a head, then a small piece again and again, until the client leaves."""

    def behave(connection: Connection, _: bytes) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)
            time.sleep(seconds)

    return behave


def flood(head: bytes, piece: bytes = b"x" * 65536) -> Behaviour:
    """Send a head, then pieces without an end."""
    return drip(head, piece, 0)


def say_nothing(connection: Connection, _: bytes) -> None:
    """Wait until the client leaves."""
    connection.recv(1)


def hang_up(_: Connection, __: bytes) -> None:
    """Close the connection."""
