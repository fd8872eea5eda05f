"""Start the processes of the Procfile, watch them, and stop them gracefully.

    python -m webapp.serve [web | consumer]

Ends when one of them ends, with its exit code, or hangs, with another; what started this starts it
again. A wrong setting ends it at once with a sentence. Where systemd asks for it, it is told when
all are ready and alive.
"""

import argparse
import logging
import os
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from webapp import logs
from webapp.config import ROOT, load, without_secrets
from webapp.jobs import instance
from webapp.liveness import (
    ALIVE,
    READY,
    STATUS,
    STOPPING,
    AwakeClock,
    Heart,
    Listener,
    hang_seconds,
    remove_left_behind,
    tell,
)
from webapp.sandbox.libc import die_with_parent

# gunicorn waits 30 s for an upload to end, and the consumer 20 s for an image.
STOP_SECONDS = 40.0
# A main loop turns once a second or more often; it waits for no disk, database or image. So two
# minutes are long for a busy machine, and nothing is lost meanwhile: the workers go on. systemd's
# WatchdogSec replaces it: half of that, so that a hang is found here and not by systemd.
HANG_SECONDS = 120.0
HUNG_STOP_SECONDS = 2.0  # A process that hung is asked to stop, but would not wake up for it.
HUNG_EXIT_CODE = os.EX_SOFTWARE
SOCKETS = "thumbnails-"  # The beginning of the name of their folder.

logger = logging.getLogger(__name__)

Process = subprocess.Popen[bytes]


@dataclass
class Child:
    """A process that was started here, and what it told."""

    name: str
    process: Process
    listener: Listener
    is_ready: bool = False
    status: str = ""
    last_beat: float = 0.0  # By the clock of this process.

    def hear(self, now: float) -> None:
        """Remember what it told since the last time."""
        for state in self.listener.receive():
            if state == READY:
                self.is_ready = True
            if state in (READY, ALIVE):
                self.last_beat = now
            if state.startswith(STATUS):
                self.status = state.removeprefix(STATUS)

    def hangs(self, now: float, seconds: float) -> bool:
        """Return whether it was silent for too long.

        Not before it is ready: the start migrates the database, which may take long.
        """
        return self.is_ready and now - self.last_beat > seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM, Ctrl-C or the end of a process, then stop all.

    Return the exit code of the first that ended by itself, or 0.
    """
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: signals.append(number))
    commands = _read_procfile()
    parser = argparse.ArgumentParser("python -m webapp.serve", description="Start Thumbnails.")
    parser.add_argument("name", nargs="?", choices=commands, help="only this process")
    chosen = parser.parse_args(arguments).name
    config = load()
    instance.refuse_read_only(config.instance)
    logs.configure(config, "serve")
    if os.geteuid() == 0:
        logger.warning("Thumbnails runs as root and does not need to. Run it as another user.")
    environ = {**os.environ, "PORT": str(config.port)}
    # Sockets in memory, as gunicorn's heartbeat file: a full disk stops no start.
    memory = Path("/dev/shm")
    shared = memory if memory.is_dir() else Path(tempfile.gettempdir())
    remove_left_behind(shared.glob(f"{SOCKETS}*"))
    with tempfile.TemporaryDirectory(prefix=SOCKETS, dir=shared) as folder:  # For this user alone.
        limit = (hang_seconds() or 2 * HANG_SECONDS) / 2
        children = [
            _start(
                name,
                command,
                environ if name == "web" else without_secrets(environ),
                Listener(Path(folder, name), limit),
            )
            for name, command in commands.items()
            if chosen in (None, name)
        ]
        hung = _watch(children, signals, limit)
        exit_code = next((code for child in children if (code := child.process.poll())), 0)
        tell(STOPPING, STATUS + "Stopping.")
        _stop(children, hung)
    if hung:
        return HUNG_EXIT_CODE
    return exit_code if exit_code >= 0 else 128 - exit_code  # As a shell reports a signal.


def _read_procfile() -> dict[str, str]:
    """Return the commands by their names."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if line and not line.startswith("#"))


def _start(name: str, command: str, environ: Mapping[str, str], listener: Listener) -> Child:
    """Start a process that ends with this one; Ctrl-C does not reach it."""
    inherited = {key: value for key, value in environ.items() if key != "WATCHDOG_PID"}
    # The commands are where this Python is.
    path = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
    process = subprocess.Popen(
        shlex.split(command),
        cwd=ROOT,
        env={**inherited, **listener.environ, "PATH": path},
        start_new_session=True,
        preexec_fn=partial(die_with_parent, os.getpid()),
    )
    return Child(name, process, listener)


def _watch(children: Sequence[Child], signals: Sequence[int], limit: float) -> list[Child]:
    """Wait for a signal, or for the end of a process; return those that hang."""
    clock, heart, told = AwakeClock(), Heart(), ""
    while not signals and all(child.process.poll() is None for child in children):
        select.select([child.listener for child in children], [], [], 0.1)
        now = clock.read()
        for child in children:
            child.hear(now)
        if hung := [child for child in children if child.hangs(now, limit)]:
            for child in hung:
                logger.error("%s has not shown for %g s that it is alive.", child.name, limit)
            return hung
        if all(child.is_ready for child in children):
            status = ", ".join(f"{child.name}: {child.status}" for child in children)
            if status != told:
                told = status
                tell(READY, STATUS + status)
            heart.beat()
    return []


def _stop(children: Sequence[Child], hung: Sequence[Child]) -> None:
    """Ask all to stop, and kill those that do not."""
    for child in children:
        child.process.terminate()
    now = time.monotonic()
    for child in [*hung, *children]:
        seconds = HUNG_STOP_SECONDS if child in hung else STOP_SECONDS
        try:
            child.process.wait(max(0, now + seconds - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()


if __name__ == "__main__":
    sys.exit(main())
