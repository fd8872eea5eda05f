"""Measure the HTTP API beside thumbor, a disk, an idle and an empty server.

    make bench-api                        about four minutes; make bench-peers installs thumbor
    make bench-api ROUNDS=1 IMAGES=50000  quick
    make bench-api ONLY=PUT               measures rows of this name alone

In each round the servers are started on empty folders. What is compared takes turns, so that other
load of the machine affects both. Figures are medians over the rounds. Nothing is asserted. Linux
only.
"""

import os
import random
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.peers import NotInstalled
from bench.photos import Size, photo
from bench.scale import SETTINGS, Visitor, fill, measure_requests
from bench.service.clients import CLIENTS, at_once, one_by_one
from bench.service.connections import Body, Connection
from bench.service.contestants import (
    JOBS,
    THUMBOR,
    Api,
    Contestant,
    start_ours,
    start_thumbor,
    thumbor_version,
)
from bench.service.cpu import spent
from bench.service.polls import polling
from bench.service.reads import read
from bench.service.rows import SENT, SOURCES, Figures, Row, Source, format_table
from bench.targets import OURS, Target
from tests.support.servers import running

DISK, ALONE, EMPTY = "the disk", "undisturbed", "empty"
MP32: Size = (6520, 4890)  # As PNG: 50 MB, the most that a file may have by default.
PUTS = 4
WHOLES = 20
READ_SECONDS = 2.0
POLLERS = 1000
FOLLOWED = 20  # Jobs that they share.
UPLOADS = 200

WHOLE = {
    source: Row(f"{source.title}: `POST` that waits, to thumbnail, ms", Target(1.3, THUMBOR))
    for source in (SENT, SOURCES[1])
}
PUT = Row("`PUT` of 50 MB: answered, ms", Target(1.3, DISK))
READS = {
    200: Row("Reads of a job, a second", Target(3000, at_least=True)),
    304: Row("Reads of an unchanged job, a second", Target(4000, at_least=True)),
}
POLLED = Row(f"{CLIENTS} clients while {POLLERS} poll: images/s", Target(0.8, ALONE, at_least=True))
BESIDE = f"{JOBS} beside many images"
DIFFERENCE = 1.2  # The target of each of those.


def part(row: Row, what: str) -> Row:
    """Return a row of another figure of the same run."""
    return Row(f"– {row.title.partition(':')[0]}: {what}")


class Bench:
    """Measure rounds of all rows."""

    def __init__(self, only: str, has_thumbor: bool) -> None:
        self.figures = Figures()
        self.rows: list[Row] = []  # In the order of the table.
        self._only, self._has_thumbor = only, has_thumbor
        self._dice = random.Random(0)

    def wants(self, title: str) -> bool:
        """Return whether rows of this title are to be measured."""
        return self._only in title

    def add(self, row: Row, column: str, figure: float) -> None:
        """Add the figure of a round."""
        if row not in self.rows:
            self.rows.append(row)
        self.figures.add(row, column, figure)

    def round(self) -> None:
        """Start the servers on empty folders, and measure each row once."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            ours = stack.enter_context(start_ours(folder, Api))
            contestants: list[Contestant] = [ours]
            if self._has_thumbor and any(self.wants(row.title) for row in WHOLE.values()):
                contestants.append(stack.enter_context(start_thumbor(folder / THUMBOR)))
            for contestant in contestants:
                at_once(contestant, contestant.encode(SENT.path), 2 * CLIENTS)  # Warms up.
            for source, row in WHOLE.items():
                if self.wants(row.title):
                    for contestant in self._dice.sample(contestants, len(contestants)):
                        self._make(row, source, contestant)
            if self.wants(PUT.title):
                self._put(ours, folder / "written")
            for status, row in READS.items():
                if self.wants(row.title):
                    self._read(row, ours, status)
            if self.wants(POLLED.title):
                self._poll(ours)

    def _make(self, row: Row, source: Source, contestant: Contestant) -> None:
        """Make thumbnails of a photo, one after the other."""
        run = one_by_one(contestant, contestant.encode(source.path), WHOLES)
        self.add(row, contestant.name, run.median * 1000)
        cpu = sum(run.cpu.values()) / WHOLES
        self.add(part(row, "CPU of all processes, ms"), contestant.name, cpu * 1000)

    def _put(self, ours: Api, file: Path) -> None:
        """Put an image, or write its bytes to the disk; nothing is worked on meanwhile."""
        body = ours.encode(Path(photo("photo.png", MP32)))
        client = Connection(ours.host, ours.port)
        job = ""

        def put() -> None:
            answer = client.put(f"{job}/images", body)
            assert answer.status == 201, answer

        steps: dict[str, tuple[Callable[[], None], Callable[[], float]]] = {
            OURS: (put, lambda: ours.cpu_seconds()["web"]),
            DISK: (lambda: _write(file, body), time.process_time),
        }
        wall: dict[str, list[float]] = {column: [] for column in steps}
        work: dict[str, list[float]] = {column: [] for column in steps}
        for _ in range(PUTS):
            for column in self._dice.sample(list(steps), len(steps)):
                step, clock = steps[column]
                job = ours.open_job(client)
                before, start = clock(), time.perf_counter()
                step()
                wall[column].append(time.perf_counter() - start)
                work[column].append(clock() - before)
                ours.wait_for_images(client, job)
                file.unlink(missing_ok=True)  # That is no part of writing it.
        client.close()
        for column in steps:
            self.add(PUT, column, median(wall[column]) * 1000)
            cpu = sum(work[column]) / PUTS
            self.add(part(PUT, "CPU of the web server, or of the writer, ms"), column, cpu * 1000)

    def _read(self, row: Row, ours: Api, status: int) -> None:
        """Read a finished job."""
        path, etag = _follow(ours, 1)[0]
        headers = [f"If-None-Match: {etag}"] if status == 304 else []
        before = ours.cpu_seconds()
        reads = read(ours, path, status, READ_SECONDS, {}, *headers)
        cpu = spent(before, ours.cpu_seconds())["web"] / (reads.rate * READ_SECONDS)
        self.add(row, OURS, reads.rate)
        self.add(part(row, "CPU of the web server for each, ms"), OURS, cpu * 1000)
        self.add(part(row, "CPU of the load generator for each, ms"), OURS, reads.cost * 1000)

    def _poll(self, ours: Api) -> None:
        """Upload from several clients, undisturbed and while many others poll."""
        body, jobs = ours.encode(SENT.path), _follow(ours, FOLLOWED)
        for column in self._dice.sample((OURS, ALONE), 2):
            if column == ALONE:
                self.add(POLLED, column, at_once(ours, body, UPLOADS).rate)
                continue
            with polling(ours, POLLERS, jobs) as polls:
                run = at_once(ours, body, UPLOADS)
            self.add(POLLED, column, run.rate)
            self.add(part(POLLED, "polls a second"), OURS, polls.rate)
            self.add(part(POLLED, "99 of 100 polls, ms"), OURS, polls.slowest * 1000)
            self.add(part(POLLED, "connections closed by the server"), OURS, polls.reconnected)
            cpu = polls.cpu / len(polls.seconds)
            self.add(part(POLLED, "CPU of a poll in the load generator, ms"), OURS, cpu * 1000)

    def beside(self, images: int) -> None:
        """Measure requests on a server with many images and on an empty one."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            empty, full = folder / "empty", folder / "full"
            fill(full, images)
            servers = [stack.enter_context(running(one, **SETTINGS)) for one in (empty, full)]
            visitors = Visitor(servers[0]), Visitor(servers[1])
            requests = visitors[0].api_requests(), visitors[1].api_requests()
            for times, what in zip(measure_requests(visitors, requests), ("", "CPU "), strict=True):
                target = None if what else Target(DIFFERENCE, EMPTY)
                for name in requests[0]:
                    row = Row(f"{images:,} images: {name}, {what}ms", target)
                    for column, seconds in zip((EMPTY, OURS), times, strict=True):
                        self.add(row, column, median(seconds[name]) * 1000)


def _write(file: Path, body: Body) -> None:
    """Write a new file as one does who wants to have it after a power cut."""
    with file.open("wb") as written:
        written.write(body.content)
        written.flush()
        os.fsync(written.fileno())


def _follow(ours: Api, count: int) -> list[tuple[str, str]]:
    """Create so many finished jobs; return their paths and ETags."""
    client = Connection(ours.host, ours.port)
    body = ours.encode(SENT.path)
    jobs = [ours.finished_job(client, body) for _ in range(count)]
    client.close()
    return jobs


def main() -> None:
    """Measure the rounds of the command line."""
    parser = ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    try:
        peer = thumbor_version()
    except NotInstalled as error:
        peer = ""
        print(f"{error}: left out (make bench-peers)", file=sys.stderr)
    bench = Bench(options.only, bool(peer))
    loads, began = [os.getloadavg()[0]], time.monotonic()
    for number in range(options.rounds):
        bench.round()
        loads.append(os.getloadavg()[0])
        print(f"Round {number + 1} of {options.rounds} done.", file=sys.stderr)
    if options.images and bench.wants(BESIDE):
        bench.beside(options.images)
    print(f"- {peer or 'thumbor is not installed'}")
    print(
        f"- {options.rounds} rounds in {time.monotonic() - began:.0f} s; load average"
        f" {loads[0]:.1f} before, up to {max(loads):.1f} during"
    )
    print()
    for line in format_table(bench.figures, bench.rows, "beside"):
        print(line)


if __name__ == "__main__":
    main()
