"""Poll jobs as many clients do, each on a connection of its own.

It reads nothing but lengths, and runs in a process of its own.
"""

import selectors
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe

from bench.service.connections import READ, Connection, Server, is_whole

SECONDS = 1.0  # Between two polls of a client.
UNCHANGED = b"HTTP/1.1 304 "


@dataclass
class Polls:
    """What the clients saw: the seconds of each answer, and what asking cost."""

    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0
    cpu: float = 0.0
    reconnected: int = 0  # The server replaces its processes now and then.

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.wall

    @property
    def slowest(self) -> float:
        """The seconds within which 99 of 100 answers came."""
        return sorted(self.seconds)[len(self.seconds) * 99 // 100]


@dataclass
class _Client:
    """One client, which sends its next poll when it is due and the last is answered."""

    connection: Connection
    request: bytes
    due: float
    sent: float = 0.0
    received: bytes = b""


@contextmanager
def polling(server: Server, count: int, asked: Sequence[tuple[str, str]]) -> Iterator[Polls]:
    """Let so many clients poll during the block; they share paths and their ETags.

    The block begins after the first poll of each, and what it yields is filled at its end.
    """
    ours, theirs = get_context("fork").Pipe()
    process = get_context("fork").Process(target=_poll, args=(server, count, asked, theirs))
    process.start()
    theirs.close()
    polls = Polls()
    try:
        assert ours.recv() == "begun"
        yield polls
        ours.send("end")
        vars(polls).update(vars(ours.recv()))
    finally:
        process.terminate()  # If the block failed, it polls still.
        process.join()


def _poll(server: Server, count: int, asked: Sequence[tuple[str, str]], control: Pipe) -> None:
    """Poll until the other process says that it is the end, or is gone."""
    begin = time.perf_counter()
    clients = []
    for number in range(count):
        path, etag = asked[number % len(asked)]
        connection = Connection(server.host, server.port)
        request = connection.head("GET", path, f"If-None-Match: {etag}")
        clients.append(_Client(connection, request, begin + SECONDS * number / count))
    polls, started, cpu = Polls(), 0.0, 0.0
    due = iter(clients)  # All have the same interval, so they are due in the same order.
    following = next(due)
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            now = time.perf_counter()
            while following.due <= now:
                if not following.received and not following.sent:
                    _send(following, selector, now)
                following.due += SECONDS
                following = next(due, None) or next(due := iter(clients))
            if not started and now >= begin + 2 * SECONDS:
                polls, started, cpu = Polls(), now, time.process_time()
                control.send("begun")
            for key, _ in selector.select(max(0.0, following.due - now)):
                if key.data is None:
                    polls.wall = time.perf_counter() - started
                    polls.cpu = time.process_time() - cpu
                    control.send(polls)
                    return
                _receive(key.data, selector, polls)


def _send(client: _Client, selector: selectors.BaseSelector, now: float) -> None:
    """Send a poll, on a new connection if the client has none."""
    is_new = not client.connection.is_open
    connection = client.connection.open()
    if is_new:
        selector.register(connection, selectors.EVENT_READ, client)
    client.sent = now
    connection.send(client.request)


def _receive(client: _Client, selector: selectors.BaseSelector, polls: Polls) -> None:
    """Read what arrived, or notice that the server has closed the connection."""
    connection = client.connection.open()
    try:
        more = connection.recv(READ)
    except ConnectionResetError:
        more = b""
    if not more:
        selector.unregister(connection)
        client.connection.close()
        polls.reconnected += 1
        client.received = b""
        if client.sent:  # Its poll was not answered.
            _send(client, selector, client.sent)
        return
    client.received += more
    if is_whole(client.received):
        assert client.received.startswith(UNCHANGED), client.received
        polls.seconds.append(time.perf_counter() - client.sent)
        client.received, client.sent = b"", 0.0
