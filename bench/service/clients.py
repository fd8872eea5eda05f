"""Measure what clients see: one on an idle server, and several at once."""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.service.connections import Body, Connection, spread
from bench.service.contestants import Contestant
from bench.service.cpu import CpuSeconds, spent

CLIENTS = 8


@dataclass
class Run:
    """What clients saw: the seconds of each image, and what all of them cost."""

    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0
    cpu: CpuSeconds = field(default_factory=dict)
    cpu_of_clients: float = 0.0

    @property
    def median(self) -> float:
        """The median seconds of an image."""
        return statistics.median(self.seconds)

    @property
    def rate(self) -> float:
        """Images a second."""
        return len(self.seconds) / self.wall


@contextmanager
def _measuring(contestant: Contestant, run: Run) -> Iterator[None]:
    """Measure the time and the CPU time of the block."""
    before, own, start = contestant.cpu_seconds(), time.process_time(), time.perf_counter()
    yield
    run.wall = time.perf_counter() - start
    run.cpu_of_clients = time.process_time() - own
    run.cpu = spent(before, contestant.cpu_seconds())


def one_by_one(contestant: Contestant, body: Body, count: int) -> Run:
    """Let one client, on one connection, make one thumbnail after the other."""
    client, run = Connection(contestant.host, contestant.port), Run()
    contestant.make(client, body)  # Connects, and warms up.
    with _measuring(contestant, run):
        for _ in range(count):
            _make(contestant, client, body, run)
    client.close()
    return run


def at_once(contestant: Contestant, body: Body, count: int) -> Run:
    """Let all clients, each on its own connection, share so many images."""
    run = Run()
    images = iter(range(count))
    with spread(contestant, CLIENTS) as clients:

        def use(client: Connection) -> None:
            for _ in images:
                _make(contestant, client, body, run)

        threads = [threading.Thread(target=use, args=(client,)) for client in clients]
        with _measuring(contestant, run):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert len(run.seconds) == count, "a client failed"
    return run


def uploads(contestant: Contestant, body: Body, count: int) -> Run:
    """Measure the upload alone; each thumbnail is made before the next upload."""
    client, run = Connection(contestant.host, contestant.port), Run()
    contestant.fetch(client, contestant.send(client, body))
    for _ in range(count):
        start = time.perf_counter()
        photo_id = contestant.send(client, body)
        run.seconds.append(time.perf_counter() - start)
        contestant.fetch(client, photo_id)
    client.close()
    return run


def _make(contestant: Contestant, client: Connection, body: Body, run: Run) -> None:
    start = time.perf_counter()
    contestant.make(client, body)
    run.seconds.append(time.perf_counter() - start)
