"""Start the peers of the engine, each in its own process and environment."""

import json
import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, cast

from bench.peers.worker import Job

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CORES = sorted(os.sched_getaffinity(0))


class NotInstalled(Exception):
    """Report that a peer is not installed; the message says what is missing."""


class Failed(Exception):
    """Report that a peer cannot do a job, such as reading a format."""


@dataclass(frozen=True)
class Peer:
    """Name one way to make thumbnails; `column` is its heading in the table."""

    name: str
    column: str
    program: str

    @property
    def command(self) -> list[str]:
        """Return the command that starts a worker of this kind."""
        if self.name == "sharp":
            return [self.program, str(HERE / "sharp.mjs")]
        return [self.program, "-m", "bench.peers.worker", self.name]

    @property
    def environment(self) -> dict[str, str]:
        """Return variables to add: those of our consumer, except for sharp.

        They help all but sharp, which takes a tenth longer for WebP with them.
        """
        return {} if self.name == "sharp" else consumer_environment()


ENVIRONMENT = HERE / ".venv"  # Of the peers that are written in Python.
_PYTHON = str(ENVIRONMENT / "bin" / "python")
OURS = Peer("ours", "ours", sys.executable)
PILLOW = Peer("pillow", "ours, Pillow alone", sys.executable)
FLOOR = Peer("floor", "floor", sys.executable)
SHARP = Peer("sharp", "sharp", "node")
PYVIPS = Peer("pyvips", "pyvips", _PYTHON)
OPENCV = Peer("opencv", "OpenCV", _PYTHON)
THUMBNAIL = Peer("thumbnail", "`thumbnail()`", sys.executable)
PEERS = (OURS, PILLOW, FLOOR, SHARP, PYVIPS, OPENCV, THUMBNAIL)


class Worker:
    """Run a process that makes thumbnails on one core, for the length of the `with`.

    One core each: a server has as many workers as cores, so threads find none idle.
    """

    def __init__(self, peer: Peer, core: int = 0) -> None:
        with _pinned_to(CORES[-1 - core]):
            self._process = _start(peer)
        try:
            self.version = str(self._read()["version"])
        except (Failed, ValueError) as error:
            self.__exit__(None, None, None)
            raise NotInstalled(f"{peer.name} does not start") from error

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        cast(IO[str], self._process.stdin).close()
        self._process.wait(60)
        cast(IO[str], self._process.stdout).close()

    def begin(self, job: Job) -> None:
        """Send a job without waiting for it."""
        stdin = cast(IO[str], self._process.stdin)
        stdin.write(json.dumps(job) + "\n")
        stdin.flush()

    def end(self, limit: float | None = None) -> float:
        """Wait for the job that began; return its seconds, measured by the worker.

        Raises Failed, also if it takes longer than the limit; then the worker is killed.
        """
        stdout = cast(IO[str], self._process.stdout)
        if limit and not select.select([stdout], [], [], limit)[0]:
            self._process.kill()
            raise Failed(f"It took longer than {limit:g} s.")
        return float(str(self._read()["seconds"]))

    def run(self, job: Job, limit: float | None = None) -> float:
        """Do a job and return its seconds."""
        self.begin(job)
        return self.end(limit)

    def is_running(self) -> bool:
        """Return False if the process ended."""
        return self._process.poll() is None

    def peak_memory(self) -> int:
        """Return the peak memory of the process, in bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0]) * 1024

    def _read(self) -> dict[str, object]:
        line = cast(IO[str], self._process.stdout).readline()
        if not line:
            raise Failed("It ended.")
        answer: dict[str, object] = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer


def _start(peer: Peer) -> "subprocess.Popen[str]":
    """Start a worker without its error output: libraries warn while they load."""
    try:
        return subprocess.Popen(
            peer.command,
            cwd=ROOT,
            env={**os.environ, **peer.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except OSError as error:
        raise NotInstalled(f"{peer.name}: {Path(peer.program).name} is not installed") from error


@contextmanager
def _pinned_to(core: int) -> Iterator[None]:
    """Pin processes that start meanwhile to one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def consumer_environment() -> dict[str, str]:
    """Return the variables that the Procfile sets for the consumer."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    consumer = next(line for line in lines if line.startswith("consumer:"))
    return dict(word.split("=", 1) for word in consumer.split() if "=" in word)
