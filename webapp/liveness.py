"""How a process tells what started it that it is ready and alive.

The protocol is that of sd_notify(3): lines of `NAME=value` in a datagram to the socket that the
environment names. systemd speaks it to `webapp.serve`, and that to the processes it starts.
"""

import contextlib
import errno
import mmap
import os
import socket
import time
from collections.abc import Iterable
from pathlib import Path

READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"
STATUS = "STATUS="

_SEND_SECONDS = 1.0  # For a receiver that is too busy to read. The next beat is not far.
# Beats in the time in which silence is a hang: a stop of less than three quarters of it is none,
# and a beat that is late or lost does no harm.
_BEATS = 4
_LARGEST = 4096  # Bytes of a datagram, as in systemd.
# A clock that is read every 0.1 s goes on by so much at most. More passed only where its process
# was stopped too, as by `docker pause` or while its machine was moved.
_LONGEST_STEP = 1.0


def tell(*states: str) -> None:
    """Tell what started this process how it is; do nothing if it does not ask.

    A state that cannot be sent is lost: no process may fail or hang because of that.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # In Linux's abstract namespace, where no file is.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(_SEND_SECONDS)
        sender.sendto("\n".join(states).encode(), address)


def hang_seconds() -> float | None:
    """Return after how many silent seconds this process is ended; None if never."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # Another process is meant.
    return int(os.environ.get("WATCHDOG_USEC", 0)) / 1e6 or None


class Heart:
    """Tell now and then that this process is alive, often enough."""

    def __init__(self) -> None:
        seconds = hang_seconds()
        self._pause = seconds / _BEATS if seconds else None
        self._next = 0.0

    def beat(self, *states: str) -> None:
        """Tell it, with other states, if it is time; call this in a main loop."""
        if self._pause is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + self._pause
            tell(*states, ALIVE)


class Listener(socket.socket):
    """Receive what a process tells."""

    def __init__(self, path: Path, hang_seconds: float) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.bind(str(path))
        self.setblocking(False)
        # What the process has to find in its environment.
        self.environ = {
            "NOTIFY_SOCKET": str(path),
            "WATCHDOG_USEC": str(round(hang_seconds * 1e6)),
        }

    def receive(self) -> list[str]:
        """Return all states that have come."""
        states: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                states += self.recv(_LARGEST).decode(errors="replace").split("\n")
        return states


def remove_left_behind(folders: Iterable[Path]) -> None:
    """Remove folders of sockets whose listener was killed.

    A folder without a socket is left: it may be that of a process that just starts.
    """
    for folder in folders:
        with contextlib.suppress(OSError):  # Of another user, or of a process that runs.
            sockets = list(folder.iterdir())
            for path in sockets:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                    if sender.connect_ex(str(path)) == errno.ECONNREFUSED:
                        path.unlink()
            if sockets:
                folder.rmdir()


class Pulse:
    """Let a process see that one which it forked goes on.

    It is in memory that both share: no full disk and no lock can stop it.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1)
        self._last: float | None = None
        self.has_begun = False

    def beat(self) -> None:
        """Show that this process goes on."""
        self._memory[0] = 1

    def silence(self, now: float) -> float:
        """Return for how many seconds the other process has not gone on.

        Before its first beat, since the first look.
        """
        if self._memory[0]:
            self._memory[0] = 0
            self.has_begun = True
            self._last = now
        if self._last is None:
            self._last = now
        return now - self._last

    def restart(self) -> None:
        """Begin to count at the next look."""
        self._last = None


class AwakeClock:
    """Count the seconds in which this process ran, to judge others that ran beside it.

    Neither a suspended machine nor a paused container makes all of them look hung.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._last = time.monotonic()

    def read(self) -> float:
        """Return the time; call this in a main loop."""
        now = time.monotonic()
        self._seconds += min(now - self._last, _LONGEST_STEP)
        self._last = now
        return self._seconds
