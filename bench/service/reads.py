"""Generate load: repeat one small request on several connections.

It reads nothing but lengths, and runs in a process of its own.
"""

import selectors
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe

from bench.service.clients import CLIENTS
from bench.service.connections import READ, Connection, Server, is_whole, spread


@dataclass(frozen=True)
class Reads:
    """The answers a second, and the CPU seconds that asking for one took."""

    rate: float
    cost: float


def read(
    server: Server,
    path: str,
    status: int,
    seconds: float,
    cookies: Mapping[str, str],
    *headers: str,
) -> Reads:
    """Read a path on all connections for so long; each answer must have this status."""
    context = get_context("fork")
    with spread(server, CLIENTS) as connections:
        for connection in connections:
            connection.cookies = dict(cookies)
            answer = connection.get(path, *headers)
            assert answer.status == status, answer
        ours, theirs = context.Pipe()
        request = connections[0].head("GET", path, *headers)
        arguments = (connections, request, b"HTTP/1.1 %d " % status, seconds, theirs)
        process = context.Process(target=_repeat, args=arguments)
        process.start()
        theirs.close()
        reads: Reads = ours.recv()
        process.join()
    return reads


def _repeat(
    connections: list[Connection], request: bytes, wanted: bytes, seconds: float, result: Pipe
) -> None:
    """Send the request again on each connection as soon as it has its answer."""
    received = [b""] * len(connections)
    count, cpu, start = 0, time.process_time(), time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for number, connection in enumerate(connections):
            selector.register(connection.open(), selectors.EVENT_READ, number)
            connection.open().send(request)
        while (now := time.perf_counter()) < start + seconds:
            for key, _ in selector.select():
                number, connection = key.data, connections[key.data]
                more = connection.open().recv(READ)
                received[number] += more
                if not more:  # The server replaces its processes now and then.
                    selector.unregister(connection.open())
                    connection.close()
                    selector.register(connection.open(), selectors.EVENT_READ, number)
                elif not is_whole(received[number]):
                    continue
                else:
                    assert received[number].startswith(wanted), received[number]
                    count += 1
                received[number] = b""
                connection.open().send(request)
    result.send(Reads(count / (now - start), (time.process_time() - cpu) / count))
