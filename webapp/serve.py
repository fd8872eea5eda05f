"""Start both processes of the Procfile, and stop them gracefully.

    python -m webapp.serve

Ends when one of them ends, with its exit code. A wrong setting ends it at once with a sentence.
"""

import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from functools import partial

from webapp import logs
from webapp.config import ROOT, load, without_secrets
from webapp.sandbox.libc import die_with_parent

# gunicorn waits 30 s for an upload to end, and the consumer 20 s for an image.
STOP_SECONDS = 40.0

logger = logging.getLogger(__name__)

Process = subprocess.Popen[bytes]


def main() -> int:
    """Run both until SIGTERM, Ctrl-C or the end of one, then stop both.

    Return the exit code of the first that ended by itself, or 0.
    """
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: signals.append(number))
    config = load()
    logs.configure(config, "serve")
    if os.geteuid() == 0:
        logger.warning("Thumbnails runs as root and does not need to. Run it as another user.")
    environ = {**os.environ, "PORT": str(config.port)}
    lines = (ROOT / "Procfile").read_text().splitlines()
    commands = [line.split(": ", 1) for line in lines if line and not line.startswith("#")]
    processes = [
        _start(command, environ if name == "web" else without_secrets(environ))
        for name, command in commands
    ]
    while not signals and all(process.poll() is None for process in processes):
        time.sleep(0.1)
    exit_code = next((code for process in processes if (code := process.poll())), 0)
    _stop(processes)
    return exit_code if exit_code >= 0 else 128 - exit_code  # As a shell reports a signal.


def _start(command: str, environ: dict[str, str]) -> Process:
    """Start a process that ends with this one; Ctrl-C does not reach it."""
    return subprocess.Popen(
        shlex.split(command),
        cwd=ROOT,
        env=environ,
        start_new_session=True,
        preexec_fn=partial(die_with_parent, os.getpid()),
    )


def _stop(processes: list[Process]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
