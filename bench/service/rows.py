"""The rows of the table, with our targets, and how they are written."""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.photos import MP12, MP48, Size, photo
from bench.service.clients import CLIENTS
from bench.service.contestants import THUMBOR
from bench.targets import OURS, Target

ENGINE = "engine"
DROPPED = 30


@dataclass(frozen=True)
class Source:
    """A photo, how often it is sent in a round, and our targets beside thumbor."""

    title: str
    name: str
    size: Size = MP12
    alone: int = 4  # Images of one client, on an idle server.
    together: int = 24  # Images of all clients.
    latency: float = 0.0  # 0: no target.
    throughput: float = 0.0

    @property
    def path(self) -> Path:
        """The file, created the first time."""
        return Path(photo(self.name, self.size))

    @property
    def rows(self) -> tuple["Row", "Row"]:
        """The two rows of the table."""
        at_most = Target(self.latency, THUMBOR) if self.latency else None
        at_least = Target(self.throughput, THUMBOR, at_least=True) if self.throughput else None
        return (
            Row(f"{self.title}: upload to thumbnail, idle, ms", at_most),
            Row(f"{self.title}: {CLIENTS} clients, images/s", at_least),
        )


@dataclass(frozen=True)
class Row:
    """A row of a table."""

    title: str
    target: Target | None = None


SENT = Source("JPEG 12 MP", "sent.jpg", MP12, 20, 120, latency=1.4, throughput=1.0)
LARGE = Source("JPEG 48 MP", "photo.jpg", MP48, latency=1.1, throughput=1.0)
SOURCES = (
    SENT,
    Source("JPEG 12 MP of a camera", "photo.jpg"),
    LARGE,
    Source("PNG 12 MP", "photo.png", latency=0.7, throughput=1.3),
    Source("WebP 12 MP", "photo.webp", latency=0.5, throughput=1.3),
    Source("AVIF 12 MP", "photo.avif", latency=0.5, throughput=1.4),
)
UPLOAD = Row("JPEG 48 MP: upload answered, ms", Target(1.3, THUMBOR))
ALONE, TOGETHER = "idle", f"{CLIENTS} clients"
CPU = {
    when: Row(f"JPEG 12 MP: CPU of all processes, {when}, ms", Target(1.1, THUMBOR))
    for when in (ALONE, TOGETHER)
}
PARTS = {
    (part, when): Row(f"– {name}, {when}")
    for when in (ALONE, TOGETHER)
    for part, name in (
        ("web", "of these the web server"),
        ("consumer", "the consumer and its workers"),
        ("decode", "decode servers and their children"),
    )
}
CLIENT = Row(f"JPEG 12 MP: CPU of the {CLIENTS} clients of the benchmark, ms")
FIRST = Row(f"{DROPPED} photos dropped: the first thumbnail after its upload, ms", Target(150))
ALL = Row(
    f"{DROPPED} photos dropped: images/s; beside the engine alone, two processes",
    Target(0.9, ENGINE, at_least=True),
)
STATUS = Row(
    f"Reads of a finished job's status, {CLIENTS} connections, a second",
    Target(3000, at_least=True),
)
READER = Row("CPU of the load generator for a status read, ms")
ROWS = (
    *SENT.rows,
    *(row for source in SOURCES[1:] for row in source.rows),
    UPLOAD,
    *(row for when in CPU for row in (CPU[when], *(PARTS[key] for key in PARTS if key[1] == when))),
    CLIENT,
    FIRST,
    ALL,
    STATUS,
    READER,
)

# Figures


class Figures:
    """The figures of all rounds, by row and column."""

    def __init__(self) -> None:
        self._all: dict[Row, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, row: Row, column: str, figure: float) -> None:
        """Add the figure of a round."""
        self._all[row][column].append(figure)

    def medians(self, row: Row) -> dict[str, float]:
        """Return the median of each column of a row."""
        return {column: statistics.median(figures) for column, figures in self._all[row].items()}


def format_table(figures: Figures, rows: Sequence[Row], peer: str) -> Iterator[str]:
    """Yield the lines of a Markdown table, with ours and a peer."""
    yield f"| | ours | {peer} | ratio | target | met |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        medians = figures.medians(row)
        if medians:
            yield format_row(row, medians)


def format_row(row: Row, medians: Mapping[str, float]) -> str:
    """Return a line of the table."""
    ours = medians.get(OURS)
    theirs = next((figure for column, figure in medians.items() if column != OURS), None)
    cells = [
        row.title,
        _format(ours),
        _format(theirs),
        f"{ours / theirs:.2f}" if ours and theirs else "",
        str(row.target or ""),
        row.target.verdict(medians) if row.target else "",
    ]
    return f"| {' | '.join(cells)} |"


def _format(figure: float | None) -> str:
    if figure is None:
        return "–"
    return f"{figure:.2f}" if figure < 1 else f"{figure:.1f}" if figure < 1000 else f"{figure:.0f}"
