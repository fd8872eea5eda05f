"""Measure what a machine needs: memory, images a second, and disk for a thousand jobs.

    make bench-sizing             about two minutes, on an idle machine
    make bench-sizing IMAGES=50   quick

Prints the table of docs/operations.md, "Size the machine". Memory is PSS: pages that processes
share count once. Nothing is asserted. Linux only.
"""

import os
import platform
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.photos import MP12, photo
from bench.service.clients import CLIENTS, Run, at_once
from bench.service.connections import Connection
from bench.service.contestants import JOBS, WAIT, Api
from tests.support.servers import Servers, descendants_of, running
from webapp.config import MB, count_cores

LIMITS = ("max_jobs_per_hour", "max_mb_per_hour", "max_work_seconds_per_hour")
STARTS = 5
JOBS_ON_DISK = 50
SAMPLE_SECONDS = 0.01  # A decode child lives for 30 ms.
PARTS = ("web server", "consumer", "workers", "decode servers")
# A camera's photo, and one that a messenger sent on: each a job, with a responsive set.
TYPICAL = ("photo.jpg", "sent.jpg")
PRESET = "web-set"
Memory = Counter[str]  # Bytes by part.


@dataclass
class Peak:
    """The memory at the moment when all processes together had the most."""

    memory: Memory = field(default_factory=Counter)

    def add(self, memory: Memory) -> None:
        """Take a sample, if it is the highest."""
        if memory.total() > self.memory.total():
            self.memory = memory


def read_memory(servers: Servers, of: str = "Pss") -> Memory:
    """Read the memory of all processes, by part."""
    memory: Memory = Counter()
    for name, process in servers.processes.items():
        for pid in (process.pid, *descendants_of(process.pid)):
            with suppress(OSError):  # It has just ended.
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                memory[_part(name, pid, process.pid)] += _bytes(rollup, of)
    return memory


def _part(name: str, pid: int, root: int) -> str:
    if name == "web":
        return "web server"
    if b"decode_server" in Path(f"/proc/{pid}/cmdline").read_bytes():
        return "decode servers"  # And their children, which have the same command.
    return "consumer" if pid == root else "workers"


def _bytes(rollup: str, of: str) -> int:
    return int(rollup.partition(f"\n{of}:")[2].split(maxsplit=1)[0]) * 1024


@contextmanager
def sampling(servers: Servers) -> Iterator[Peak]:
    """Sample the memory during the block."""
    peak, is_over = Peak(), threading.Event()

    def sample() -> None:
        while not is_over.wait(SAMPLE_SECONDS):
            peak.add(read_memory(servers))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        is_over.set()
        thread.join()


def measure_starts(folder: Path) -> float:
    """Return the median seconds from the start of both processes to a healthy answer."""
    seconds = []
    for number in range(STARTS):
        began = time.perf_counter()
        with running(folder / f"start-{number}"):
            seconds.append(time.perf_counter() - began)
    return median(seconds)


@dataclass
class Load:
    """What so many workers need, at rest and while all clients upload."""

    rest: Memory
    rest_rss: Memory
    peak: Memory
    run: Run

    @property
    def cpu(self) -> float:
        """Seconds of a core for each image, of all processes."""
        return sum(self.run.cpu.values()) / len(self.run.seconds)


def measure_load(folder: Path, workers: int, images: int, name: str = "photo.jpg") -> Load:
    """Measure a server with so many workers that make thumbnails of a photo."""
    settings = {"workers": workers, **dict.fromkeys(LIMITS, 1_000_000)}
    with running(folder / f"{workers}-{name}", **settings) as servers:
        ours = Api(servers)
        body = ours.encode(Path(photo(name)))
        at_once(ours, body, 2 * CLIENTS)  # Every worker has its decode server afterwards.
        time.sleep(2)  # The decode children of those images end.
        rest, rest_rss = read_memory(servers), read_memory(servers, "Rss")
        with sampling(servers) as peak:
            run = at_once(ours, body, images)
    return Load(rest, rest_rss, peak.memory, run)


@dataclass
class Disk:
    """The bytes of a thousand jobs."""

    originals: float
    thumbnails: float
    database: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.originals + self.thumbnails + self.database


def measure_disk(folder: Path) -> Disk:
    """Make jobs of typical photos, and return what a thousand would need."""
    with running(folder / "disk", **dict.fromkeys(LIMITS, 1_000_000)) as servers:
        ours = Api(servers)
        client = Connection(ours.host, ours.port)
        before = _database(servers)
        for number in range(JOBS_ON_DISK):
            client.cookies.clear()  # Each is another person.
            body = ours.encode(Path(photo(TYPICAL[number % len(TYPICAL)])))
            answer = client.post(f"{JOBS}?preset={PRESET}", body, WAIT)
            assert answer.status in (201, 202), answer
            ours.wait_for_images(client, answer.location.removeprefix(servers.url))
        client.close()
        each = 1000 / JOBS_ON_DISK
        return Disk(
            _occupied(servers.instance / "originals") * each,
            _occupied(servers.instance / "thumbnails") * each,
            (_database(servers) - before) * each,
        )


def _occupied(folder: Path) -> int:
    """Return what files and folders occupy on the disk."""
    return sum(path.lstat().st_blocks * 512 for path in (folder, *folder.rglob("*")))


def _database(servers: Servers) -> int:
    (pages,), (free,), (size,) = (
        servers.rows(f"PRAGMA {name}")[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def rows(
    start: float, one: Load, every: Load, png: Load, workers: int, disk: Disk
) -> Iterator[tuple[str, str]]:
    """Return the rows of the table, of one worker and of as many as the default."""

    def of_each(figure: str) -> str:
        memories = (getattr(load, figure).total() for load in (every, one))
        return _mb((next(memories) - next(memories)) / (workers - 1))

    yield "From the start to the first healthy answer, s", f"{start:.1f}"
    for part in PARTS:
        title = f"{part.capitalize()} at rest, {workers} workers, MB (RSS)"
        yield title, f"{_mb(every.rest[part])} ({_mb(every.rest_rss[part])})"
    yield "All at rest, MB", _mb(every.rest.total())
    yield "– of it each worker, with its decode server", of_each("rest")
    for part in PARTS:
        yield f"{part.capitalize()} at the peak, {CLIENTS} clients, JPEG, MB", _mb(every.peak[part])
    yield "All at the peak, JPEG, MB", _mb(every.peak.total())
    yield "– of it each worker, with its image", of_each("peak")
    yield "All at the peak, PNG, which is decoded whole, MB", _mb(png.peak.total())
    yield f"Images/s, {CLIENTS} clients, JPEG", f"{every.run.rate:.1f}"
    yield "Images/s of one core that is always busy, JPEG", f"{1 / every.cpu:.1f}"
    yield "Disk for 1000 jobs of a photo: originals, MB", _mb(disk.originals)
    yield f"– its thumbnails, preset {PRESET}", _mb(disk.thumbnails)
    share = disk.database / disk.total
    yield "– its rows in the database, MB (share)", f"{disk.database / MB:.1f} ({share:.2%})"
    yield "– all", _mb(disk.total)


def _mb(count: float) -> str:
    return f"{count / MB:,.0f}"


def main() -> None:
    """Measure, and print the table."""
    parser = ArgumentParser()
    parser.add_argument("--images", type=int, default=300)
    options = parser.parse_args()
    for name in TYPICAL:
        photo(name, MP12)
    workers = count_cores() + 1
    loads = [os.getloadavg()[0]]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        start = measure_starts(folder)
        one, every = (measure_load(folder, count, options.images) for count in (1, workers))
        png = measure_load(folder, workers, options.images // 5, "photo.png")
        loads.append(os.getloadavg()[0])
        disk = measure_disk(folder)
    print("<!-- sizing -->\n| photos of 12 megapixels | |\n|---|---|")
    for title, figure in rows(start, one, every, png, workers, disk):
        print(f"| {title} | {figure} |")
    print("<!-- /sizing -->")
    versions = f"Python {platform.python_version()}, {count_cores()} cores"
    print(
        f"\n{versions}; load average {loads[0]:.1f} before, {loads[1]:.1f} after", file=sys.stderr
    )


if __name__ == "__main__":
    main()
