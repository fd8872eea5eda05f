"""Watch a folder, and make the thumbnails of each file in it.

Nothing is remembered but what is in the folder of thumbnails: a file whose thumbnails are there and
newer is left alone, so a watch that was killed goes on where it was. Thumbnails are made in a
hidden folder and renamed, so that none is ever there in part.
"""

import fcntl
import multiprocessing
import os
import re
import shutil
import signal
import stat
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import click

from webapp.cli.making import make_thumbnails
from webapp.cli.output import count
from webapp.engine import decoder as decoding
from webapp.engine.decoder import Decoder
from webapp.engine.errors import ImageError
from webapp.engine.geometry import predict_sizes
from webapp.engine.header import Header
from webapp.engine.identify import read_header
from webapp.engine.result import MadeThumbnail
from webapp.logs import escape
from webapp.recipes.outputs import Recipe
from webapp.sandbox.libc import die_with_parent
from webapp.web.formatters import filesize

DRAFTS = ".watch-"  # How the names of temporary folders begin.
MAX_BREAKS = 3  # Processes that one file may cost before it fails.
LOCK_SECONDS = 2.0  # For the processes of a killed watch to end.
STOP_SECONDS = 0.2  # Between two looks at whether to stop, while files are made.
_STOP = (signal.SIGINT, signal.SIGTERM)

# Of files that are still being written: by editors, browsers, rsync, scanners and file servers.
_TEMPORARY = re.compile(
    r"\..*|~.*|.*~|Thumbs\.db|desktop\.ini"
    r"|.*\.(tmp|temp|part|partial|filepart|crdownload|download|swp|lock)",
    re.IGNORECASE,
)


class Signature(NamedTuple):
    """What changes when a file does; times in nanoseconds."""

    size: int
    modified: int
    changed: int  # Its content or its name: a file may be replaced by an older one.

    @classmethod
    def of(cls, facts: os.stat_result) -> "Signature":
        """Read the signature of a file."""
        return cls(facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)

    @property
    def newest(self) -> int:
        """The last moment that it changed."""
        return max(self.modified, self.changed)


@dataclass(frozen=True)
class Report:
    """What became of a file."""

    photo: Path  # Below the watched folder.
    end: Literal["made", "there", "failed", "changed", "full"]  # Changed meanwhile; disk full.
    thumbnails: int = 0
    bytes: int = 0
    had_gps: bool = False
    error: str = ""


class SourceChanged(Exception):
    """A file changed while its thumbnails were made."""


# Make


@dataclass(frozen=True)
class Maker:
    """Make the thumbnails of one photo; each process has a copy."""

    source: Path
    out: Path
    recipe: Recipe
    decoder: Decoder

    def make(self, photo: Path) -> Report:
        """Make the thumbnails of a photo, unless they are there and newer."""
        path = self.source / photo
        try:
            before = Signature.of(path.stat())
            if self._is_made(photo, before, read_header(path, self.decoder.image)):
                return Report(photo, "there")
            publish = partial(self._publish, photo, before, time.time_ns())
            outcome = make_thumbnails(path, self.recipe, self.out, self.decoder, publish, DRAFTS)
            if outcome.error and before != Signature.of(path.stat()):
                return Report(photo, "changed")
        except (FileNotFoundError, SourceChanged):
            return Report(photo, "changed")
        except (ImageError, OSError) as error:  # As an upload of it is refused.
            return Report(photo, "failed", error=str(error))
        if outcome.error:
            return Report(photo, "full" if outcome.is_disk_full else "failed", error=outcome.error)
        return Report(photo, "made", len(outcome.made), outcome.bytes_made, outcome.had_gps)

    def _is_made(self, photo: Path, source: Signature, header: Header) -> bool:
        """Return whether all thumbnails of a photo are there, and newer than it."""
        size = header.width, header.height
        predicted = {one for one, _ in predict_sizes(self.recipe.outputs, header.format, size)}
        return all(
            # A header does not tell whether the photo is animated, on which the format may depend.
            any(
                self._is_newer(
                    photo, output.with_resolved_format(header.format, is_animated).file_name, source
                )
                for is_animated in (False, True)
            )
            for output in self.recipe.outputs
            if output.with_resolved_format(header.format, False) in predicted
        )

    def _is_newer(self, photo: Path, name: str, source: Signature) -> bool:
        try:
            return self._place(photo, name).stat().st_mtime_ns >= source.newest
        except OSError:
            return False

    def _place(self, photo: Path, name: str) -> Path:
        """Return where a thumbnail is.

        Its name has the whole name of its photo: without the ending, `a.jpg` and `a.png` would
        have the same, and it would depend on what else is in the folder.
        """
        return self.out / photo.parent / f"{photo.name}-{name}"

    def _publish(
        self,
        photo: Path,
        source: Signature,
        began: int,
        folder: Path,
        thumbnails: Sequence[MadeThumbnail],
    ) -> list[Path]:
        """Move finished thumbnails to their places. Raises SourceChanged.

        Their time is that when the photo began to be read: it is older than a change of the photo
        that came after. They are written to the disk first: a power cut leaves no empty file whose
        time says that it is finished.
        """
        moment = max(began, source.newest)
        paths = [self._place(photo, made.file_name) for made in thumbnails]
        for made in thumbnails:
            with (folder / made.file_name).open("rb") as file:
                os.utime(file.fileno(), ns=(moment, moment))
                os.fsync(file.fileno())
        if Signature.of((self.source / photo).stat()) != source:
            raise SourceChanged
        (self.out / photo).parent.mkdir(parents=True, exist_ok=True)
        for made, path in zip(thumbnails, paths, strict=True):
            (folder / made.file_name).rename(path)
        return paths


# Look


class Folder:
    """Find the files of a folder that are finished and new, or changed."""

    def __init__(self, source: Path, out: Path) -> None:
        self._source = source
        self._out = out
        # By paths below the folder, as text: a look at 100,000 files makes no other object of them.
        self._seen: dict[str, Signature] = {}
        self._taken: dict[str, Signature] = {}
        self._unreadable: set[str] = set()

    def look(self) -> list[Path]:
        """Return the files that are as in the last look, and were not returned as such."""
        found = dict(self._walk())
        ready = []
        for path, signature in found.items():
            if self._seen.get(path) == signature != self._taken.get(path):
                self._taken[path] = signature
                ready.append(Path(path))
        self._taken = {path: taken for path, taken in self._taken.items() if path in found}
        self._seen = found
        return sorted(ready)

    def forget(self, photo: Path) -> None:
        """Return a file again when it is as in the look before."""
        self._taken.pop(str(photo), None)

    @property
    def is_taken(self) -> bool:
        """True if all files were returned as they are."""
        return all(self._taken.get(path) == signature for path, signature in self._seen.items())

    def _walk(self) -> Iterator[tuple[str, Signature]]:
        for place, folders, files in os.walk(self._source, onerror=self._report):
            folders[:] = [
                name
                for name in folders
                if not name.startswith(".") and os.path.join(place, name) != str(self._out)
            ]
            below = place[len(str(self._source)) :].lstrip(os.sep)
            for name in files:
                if _TEMPORARY.fullmatch(name):
                    continue
                with suppress(OSError):  # It was moved or deleted meanwhile.
                    facts = os.stat(os.path.join(place, name))
                    if stat.S_ISREG(facts.st_mode):
                        yield os.path.join(below, name), Signature.of(facts)

    def _report(self, error: OSError) -> None:
        """Say once that a folder cannot be read."""
        if error.filename not in self._unreadable:
            self._unreadable.add(error.filename)
            click.echo(f"{escape(error.filename)}: {error.strerror}.", err=True)


# Watch


class Watch:
    """Make the thumbnails of a folder's files in several processes."""

    def __init__(self, maker: Maker, folder: Folder, processes: int) -> None:
        self._maker = maker
        self._folder = folder
        self._processes = processes
        self._queue: deque[Path] = deque()
        self._at_work: dict[Future[Report], Path] = {}
        self._breaks: Counter[Path] = Counter()
        self._pool = self._open_pool()
        self.ends: Counter[str] = Counter()
        self.thumbnails = self.bytes = 0
        self.full = ""  # What says that the disk is full.

    def run(self, interval: float, once: bool) -> bool:
        """Look and make until told to stop, or `once` until all present files are done.

        It also ends if the disk is `full`. Returns whether all are done.
        """
        next_look = 0.0
        has_told = False
        try:
            while not self.full:
                if (began := time.monotonic()) >= next_look:
                    self._queue.extend(self._folder.look())
                    looked = time.monotonic()  # A look at many files takes a tenth of the time.
                    next_look = looked + max(interval, 10 * (looked - began))
                self._submit()
                if not self._queue and not self._at_work and self._folder.is_taken:
                    if once:
                        return True
                    if not has_told:
                        has_told = True
                        click.echo(f"{self.summary()} Watching for more.")
                rest = max(0.0, next_look - time.monotonic())
                if _is_told_to_stop(0 if self._at_work else rest):
                    return False
                if self._at_work:
                    done, _ = wait(self._at_work, min(rest, STOP_SECONDS), FIRST_COMPLETED)
                    self._collect(done)
            return False
        finally:
            for future in [*self._at_work]:
                if future.cancel():
                    del self._at_work[future]
            self._collect(wait(self._at_work).done)
            self._pool.shutdown()

    def summary(self) -> str:
        """Say what was made, failed, and was there."""
        ends = self.ends
        words = [f"{count(ends['made'], 'photo')} made into {count(self.thumbnails, 'thumbnail')}"]
        words[0] += f", {filesize(self.bytes)}"
        words += [f"{ends['failed']:,} failed"] if ends["failed"] else []
        words += [f"{ends['there']:,} done before"] if ends["there"] else []
        return f"{'; '.join(words)}."

    def _open_pool(self) -> ProcessPoolExecutor:
        # Processes, not threads: each has a decode server, which ends with the thread that made it.
        return ProcessPoolExecutor(
            self._processes, multiprocessing.get_context("fork"), _prepare, (os.getpid(),)
        )

    def _submit(self) -> None:
        """Give each process a file, and one more that waits."""
        while self._queue and len(self._at_work) <= self._processes:
            photo = self._queue.popleft()
            try:
                self._at_work[self._pool.submit(self._maker.make, photo)] = photo
            except BrokenProcessPool:
                self._queue.appendleft(photo)
                self._mend()

    def _collect(self, done: set[Future[Report]]) -> None:
        for future in done:
            photo = self._at_work.pop(future, None)
            if photo is None:  # The pool was replaced.
                continue
            if isinstance(future.exception(), BrokenProcessPool):
                self._at_work[future] = photo
                self._mend()
            else:
                self._tell(future.result())

    def _mend(self) -> None:
        """Replace the processes where one was killed; all lost their files."""
        for photo in self._at_work.values():
            self._breaks[photo] += 1
            if self._breaks[photo] < MAX_BREAKS:
                self._folder.forget(photo)
            else:
                self._tell(Report(photo, "failed", error="Its process was killed each time."))
        self._at_work.clear()
        self._pool.shutdown()
        self._pool = self._open_pool()

    def _tell(self, report: Report) -> None:
        """Count and write what became of a file."""
        path = escape(str(report.photo))
        if report.end in ("changed", "full"):
            self._folder.forget(report.photo)
            self.full = self.full or report.error
            return
        self.ends[report.end] += 1
        self.thumbnails += report.thumbnails
        self.bytes += report.bytes
        if report.end == "failed":
            click.echo(f"{path}: {report.error}", err=True)
        elif report.end == "made":
            words = [count(report.thumbnails, "thumbnail"), filesize(report.bytes)]
            words += ["GPS removed"] if report.had_gps else []
            left = len(self._queue) + len(self._at_work)
            click.echo(f"{path}: {', '.join(words)}{f' ({left:,} left)' if left else ''}")


def _prepare(parent: int) -> None:
    """Bind the life of a process to its parent's, and start a decode server."""
    die_with_parent(parent)
    decoding.server.start()


def _is_told_to_stop(seconds: float) -> bool:
    """Wait for a signal for some seconds; return whether there was one.

    From then on, another one ends this process at once.
    """
    if signal.sigtimedwait(_STOP, seconds) is None:
        return False
    for number in _STOP:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
    return True


@contextmanager
def held_signals() -> Iterator[None]:
    """Let signals to stop wait until someone asks for them; processes inherit this."""
    handlers = {number: signal.getsignal(number) for number in _STOP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _lock(file: int, deadline: float) -> None:
    """Lock a file; the processes of a killed watch may hold the lock for a moment."""
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                sentence = "Another watch writes to this folder."
                raise click.ClickException(sentence) from None
        time.sleep(STOP_SECONDS)


@contextmanager
def only_watch(out: Path) -> Iterator[None]:
    """Keep other watches from a folder of thumbnails; remove what a killed one left.

    Raises ClickException if there is another.
    """
    lock = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(lock, time.monotonic() + LOCK_SECONDS)
        for path in out.glob(f"{DRAFTS}*"):
            shutil.rmtree(path, ignore_errors=True)
        yield
    finally:
        os.close(lock)
