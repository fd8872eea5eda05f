"""Measure upload to thumbnail of the whole application beside thumbor.

    make bench                                  starts both here; make bench-peers installs thumbor
    make bench ROUNDS=1                         quick
    make bench ONLY=dropped                     measures rows of this name alone
    make bench BASE_URL=http://127.0.0.1:9000   measures another server with thumbnail-api's routes

In each round both are started on empty folders and take turns, so that other load of the machine
affects both; only one is loaded at a time. Figures are medians over the rounds. Nothing is
asserted. Linux only.
"""

import os
import platform
import random
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

from PIL import Image

from bench import peers
from bench.engine import rate
from bench.peers import CORES, NotInstalled, Worker
from bench.peers.worker import Job
from bench.service import rows
from bench.service.clients import CLIENTS, Run, at_once, one_by_one, uploads
from bench.service.connections import Connection
from bench.service.contestants import (
    THUMBOR,
    Contestant,
    Ours,
    at,
    start_ours,
    start_thumbor,
    thumbor_version,
)
from bench.service.drop import drop
from bench.service.reads import read
from bench.targets import OURS

UPLOADS = 8
READ_SECONDS = 2.0


class Bench:
    """Measure rounds of all rows."""

    def __init__(
        self, engine: Sequence[Worker], base_url: str, only: str, has_thumbor: bool
    ) -> None:
        self.figures, self._only = rows.Figures(), only
        self._engine, self._base_url, self._has_thumbor = engine, base_url, has_thumbor
        self._dice = random.Random(0)

    def round(self) -> None:
        """Start the contestants on empty folders, and measure each row once."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            contestants: list[Contestant] = [
                at(self._base_url)
                if self._base_url
                else stack.enter_context(start_ours(folder, Ours))
            ]
            if self._has_thumbor:
                contestants.append(stack.enter_context(start_thumbor(folder / THUMBOR)))
            for contestant in contestants:
                _warm_up(contestant)
            for source in filter(self._is_wanted, rows.SOURCES):
                for contestant in self._in_turn(contestants):
                    self._measure(source, contestant)
            if self._is_wanted(rows.UPLOAD):
                for contestant in self._in_turn(contestants):
                    seconds = uploads(
                        contestant, contestant.encode(rows.LARGE.path), UPLOADS
                    ).median
                    self.figures.add(rows.UPLOAD, contestant.name, seconds * 1000)
            ours = contestants[0]
            if self._is_wanted(rows.STATUS):
                self._read_status(ours)
            if isinstance(ours, Ours) and self._is_wanted(rows.ALL):
                self._drop(ours, folder)

    def _is_wanted(self, part: rows.Source | rows.Row) -> bool:
        return self._only in part.title

    def _in_turn(self, contestants: Sequence[Contestant]) -> list[Contestant]:
        return self._dice.sample(contestants, len(contestants))

    def _measure(self, source: rows.Source, contestant: Contestant) -> None:
        """Measure both rows of a source, and the CPU time for the one that counts."""
        body = contestant.encode(source.path)
        alone = one_by_one(contestant, body, source.alone)
        together = at_once(contestant, body, source.together)
        latency, throughput = source.rows
        self.figures.add(latency, contestant.name, alone.median * 1000)
        self.figures.add(throughput, contestant.name, together.rate)
        if source is rows.SENT:
            self._add_cpu(rows.ALONE, contestant.name, alone)
            self._add_cpu(rows.TOGETHER, contestant.name, together)
            cost = together.cpu_of_clients / len(together.seconds)
            self.figures.add(rows.CLIENT, contestant.name, cost * 1000)

    def _add_cpu(self, when: str, column: str, run: Run) -> None:
        """Add the CPU time for an image of each part, and of all parts."""
        each = {part: seconds / len(run.seconds) * 1000 for part, seconds in run.cpu.items()}
        if each:
            self.figures.add(rows.CPU[when], column, sum(each.values()))
        for part, milliseconds in each.items():
            if (part, when) in rows.PARTS:
                self.figures.add(rows.PARTS[part, when], column, milliseconds)

    def _read_status(self, contestant: Contestant) -> None:
        """Read the status of a job whose thumbnail is there."""
        client = Connection(contestant.host, contestant.port)
        photo_id = contestant.send(client, contestant.encode(rows.SENT.path))
        contestant.fetch(client, photo_id)
        client.close()
        reads = read(contestant, f"/check_job_status/{photo_id}", 303, READ_SECONDS, {})
        self.figures.add(rows.STATUS, OURS, reads.rate)
        self.figures.add(rows.READER, OURS, reads.cost * 1000)

    def _drop(self, contestant: Contestant, folder: Path) -> None:
        seen = drop(contestant.host, contestant.port, rows.SENT.path, rows.DROPPED)
        self.figures.add(rows.FIRST, OURS, seen.first * 1000)
        self.figures.add(rows.ALL, OURS, rows.DROPPED / seen.last)
        if len(self._engine) > 1:
            job: Job = {
                "source": str(rows.SENT.path),
                "folder": str(folder),
                "sizes": [100],
                "quality": 80,
                "cascade": False,
                "repeat": rows.DROPPED // len(self._engine),
                "format": "jpg",
            }
            self.figures.add(rows.ALL, rows.ENGINE, rate(self._engine, job))


def _warm_up(contestant: Contestant) -> None:
    """Let every process make a thumbnail; check that it is what is asked for."""
    body = contestant.encode(rows.SENT.path)
    at_once(contestant, body, 2 * CLIENTS)
    connection = Connection(contestant.host, contestant.port)
    thumbnail = contestant.fetch(connection, contestant.send(connection, body))
    connection.close()
    with Image.open(BytesIO(thumbnail)) as image:
        assert (image.format, image.size) == ("JPEG", (100, 100)), image


def main() -> None:
    """Measure the rounds of the command line."""
    parser = ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--base-url", default="")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    with ExitStack() as stack:
        try:
            peer = thumbor_version()
        except NotInstalled as error:
            peer = ""
            print(f"{error}: left out (make bench-peers)", file=sys.stderr)
        engine = [stack.enter_context(Worker(peers.OURS, core)) for core in range(len(CORES[:2]))]
        bench = Bench(engine, options.base_url, options.only, bool(peer))
        loads = [os.getloadavg()[0]]
        began = time.monotonic()
        for number in range(options.rounds):
            bench.round()
            loads.append(os.getloadavg()[0])
            print(f"Round {number + 1} of {options.rounds} done.", file=sys.stderr)
    python = platform.python_version()
    print(f"- {len(CORES)} cores, Python {python}, ours with {engine[0].version}")
    print(f"- {peer or 'thumbor is not installed'}")
    print(
        f"- {options.rounds} rounds in {time.monotonic() - began:.0f} s; load average"
        f" {loads[0]:.1f} before, up to {max(loads):.1f} during"
    )
    sizes = (f"{source.title} {source.path.stat().st_size / 1e6:.1f}" for source in rows.SOURCES)
    print(f"- MB: {', '.join(sizes)}")
    print()
    for line in rows.format_table(bench.figures, rows.ROWS, THUMBOR):
        print(line)


if __name__ == "__main__":
    main()
