"""Measure the engine beside other libraries, and print a Markdown table.

    make bench-peers                peers that are not installed are left out
    make bench-engine ROUNDS=15

The real `make_thumbnails` and its peers take turns at the same files, round by round, so that other
load of the machine affects all of them. Each is one process that runs on one core, reads a file
from the page cache, writes JPEG files of quality 80 and times itself. Figures are medians. In
brackets is our figure divided by theirs: below 1 we are faster, except for images a second, where
above 1 is faster. Nothing is asserted. Linux only.
"""

import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench import peers
from bench.peers import FLOOR, OPENCV, OURS, PEERS, PYVIPS, SHARP, THUMBNAIL, Peer, Worker
from bench.peers.worker import Job
from bench.photos import MP12, MP24, MP100, Size, photo
from bench.targets import Target

ROUNDS = 15
MEMORY_ROUNDS = 3
BATCH = 16  # Images for each process, to measure images a second.
QUALITY = 80
FIVE = (1024, 512, 256, 128, 64)
TWO_PROCESSES = (OURS, SHARP, PYVIPS, OPENCV, THUMBNAIL)

# What is measured


@dataclass(frozen=True)
class Work:
    """Describe a row: a photo, the sizes to make of it, and our targets."""

    title: str
    name: str
    sizes: tuple[int, ...] = (256,)
    targets: tuple[Target, ...] = ()
    size: Size = MP12
    cascade: bool = False

    def job(self, folder: Path, repeat: int = 1) -> Job:
        """Return the row as a job, with its photo created and in the page cache."""
        source = photo(self.name, self.size)
        Path(source).read_bytes()
        return {
            "source": source,
            "folder": str(folder),
            "sizes": list(self.sizes),
            "quality": QUALITY,
            "cascade": self.cascade,
            "repeat": repeat,
            "format": "jpg",
        }


def against(**limits: float) -> tuple[Target, ...]:
    """Return targets that are ratios to columns."""
    return tuple(Target(limit, column) for column, limit in limits.items())


JPEG = Work("JPEG 12 MP", "photo.jpg", targets=against(floor=1.12, sharp=0.95, pyvips=0.80))
ALONE = Work("JPEG 12 MP → 1024", "photo.jpg", (1024,), against(sharp=1.0))
TOGETHER = Work(
    "JPEG 12 MP → 1024, 512, 256, 128, 64; first bracket: to 1024 alone",
    "photo.jpg",
    FIVE,
    (Target(1.15, "floor", name="1024 alone"), *against(pyvips=0.6, sharp=0.6)),
)
WORKS = (
    JPEG,
    Work("JPEG 24 MP", "photo.jpg", size=MP24),
    Work("JPEG 100 MP", "photo.jpg", size=MP100),
    ALONE,
    TOGETHER,
    Work("the same, peers too make the small from the large", "photo.jpg", FIVE, cascade=True),
    Work("WebP 12 MP", "photo.webp", targets=against(pyvips=1.0)),
    Work("PNG RGB 12 MP", "photo.png", targets=against(pyvips=1.1)),
    Work("PNG palette 12 MP", "palette.png", targets=against(pyvips=1.1)),
    Work("AVIF 12 MP", "photo.avif", targets=against(sharp=0.5)),
)
LARGE = Work("Peak memory in MB, JPEG 100 MP", "photo.jpg", size=MP100, targets=(Target(60),))
TWO = (Target(1.9, "floor", at_least=True, name="one"), Target(1.05, "sharp", at_least=True))

# Measuring

Contest = Mapping[str, Callable[[], float]]


@dataclass
class Bench:
    """Hold the workers of a run and measure its rows."""

    folder: Path
    rounds: int
    workers: dict[Peer, Worker] = field(default_factory=dict)
    seconds: dict[Peer, Worker] = field(default_factory=dict)  # On the other core.

    def rows(self) -> Iterator[str]:
        """Measure the rows one by one."""
        for work in WORKS:
            yield self.row(work)
        if len(peers.CORES) > 1:
            yield self.row_of_two()
        yield self.row_of_memory()

    def row(self, work: Work) -> str:
        """Measure the time for one image, in milliseconds."""
        job = work.job(self.folder)
        contest = {
            peer.column: partial(milliseconds, worker, job) for peer, worker in self.workers.items()
        }
        if len(work.sizes) > 1:
            alone = ALONE.job(self.folder)
            contest[FLOOR.column] = partial(milliseconds, self.workers[OURS], alone)
        elif not work.name.endswith(".jpg"):
            del contest[FLOOR.column]  # Only JPEG can be decoded at a scale.
        return format_row(work.title, measure(contest, self.rounds), work.targets)

    def row_of_two(self) -> str:
        """Measure images a second of two processes, beside one process of ours."""
        job = JPEG.job(self.folder, BATCH)
        contest = {FLOOR.column: partial(rate, [self.workers[OURS]], job)}
        for peer, second in self.seconds.items():
            contest[peer.column] = partial(rate, [self.workers[peer], second], job)
        title = "Images/s of two processes, JPEG 12 MP; first bracket: to one"
        return format_row(title, measure(contest, self.rounds), TWO)

    def row_of_memory(self) -> str:
        """Measure the peak memory of a fresh process, in millions of bytes."""
        job = LARGE.job(self.folder)
        contest = {
            peer.column: partial(peak_memory, peer, job) for peer in self.workers if peer != FLOOR
        }
        return format_row(LARGE.title, measure(contest, MEMORY_ROUNDS), LARGE.targets)


def measure(contest: Contest, rounds: int) -> dict[str, float]:
    """Return the medians of all contestants that can do it, run in random order."""
    figures: dict[str, list[float]] = {name: [] for name in contest if _can(name, contest[name])}
    dice = random.Random(0)
    for _ in range(rounds):
        for name in dice.sample(list(figures), len(figures)):
            figures[name].append(contest[name]())
    return {name: statistics.median(figures[name]) for name in figures}


def _can(name: str, run: Callable[[], float]) -> bool:
    """Check that a contestant can do it, which also warms it up."""
    try:
        run()
    except peers.Failed as error:
        print(f"{name} left out: {error}", file=sys.stderr)
        return False
    return True


def milliseconds(worker: Worker, job: Job) -> float:
    """Return the time that the worker measured."""
    return worker.run(job) * 1000


def rate(workers: Sequence[Worker], job: Job) -> float:
    """Return the images a second of workers that do the same job at once."""
    start = time.perf_counter()
    for worker in workers:
        worker.begin(job)
    for worker in workers:
        worker.end()
    return len(workers) * job["repeat"] / (time.perf_counter() - start)


def peak_memory(peer: Peer, job: Job) -> float:
    """Return the peak memory, in 10⁶ bytes, of a process that does only this job."""
    with Worker(peer) as worker:
        worker.run(job)
        return worker.peak_memory() / 1e6


# The table

COLUMNS = [peer.column for peer in PEERS]


def format_head() -> str:
    """Return the first two lines of the table."""
    heads = ["work, → 256 px unless said", *COLUMNS, "target", "met"]
    return f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}"


def format_row(title: str, figures: Mapping[str, float], targets: Sequence[Target]) -> str:
    """Return a line of the table."""
    cells = [
        title,
        *(format_cell(figures, column) for column in COLUMNS),
        "; ".join(map(str, targets)),
        "; ".join(target.verdict(figures) for target in targets),
    ]
    return f"| {' | '.join(cells)} |"


def format_cell(figures: Mapping[str, float], column: str) -> str:
    """Return a figure and its ratio."""
    if column not in figures:
        return "–"
    figure = f"{figures[column]:.1f}"
    return (
        figure
        if column == OURS.column
        else f"{figure} ({figures[OURS.column] / figures[column]:.2f})"
    )


def start_workers(bench: Bench, stack: ExitStack) -> None:
    """Start the peers that are installed, and print which are not."""
    for peer in PEERS:
        try:
            worker = bench.workers[peer] = stack.enter_context(Worker(peer))
            if peer in TWO_PROCESSES and len(peers.CORES) > 1:
                bench.seconds[peer] = stack.enter_context(Worker(peer, 1))
            print(f"- {peer.column}: {worker.version}")
        except peers.NotInstalled as error:
            print(f"- {error}: left out (make bench-peers)")


def main() -> None:
    """Measure all rows, with the rounds of the command line."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    load = os.getloadavg()[0]
    python = platform.python_version()
    print(f"Python {python}, {len(peers.CORES)} cores, load {load:.1f}, {rounds} rounds\n")
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        bench = Bench(Path(folder), rounds)
        start_workers(bench, stack)
        print(f"\n{format_head()}")
        for row in bench.rows():
            print(row, flush=True)


if __name__ == "__main__":
    main()
