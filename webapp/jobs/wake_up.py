"""Wake a process that waits, from any other."""

import os
import select
import time
from contextlib import suppress
from pathlib import Path

POLL_SECONDS = 0.01  # Where there is no pipe to wait for.


class WakeUp:
    """Wait for a byte in a named pipe, or write one.

    Each byte wakes one process. What none reads is left for the next that waits.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = -1
        self._pid = 0  # Of the process that opened the reader.

    def send(self) -> bool:
        """Wake one process that waits, or else the next that would.

        Returns False if no process has opened the pipe.
        """
        try:
            writer = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            with suppress(BlockingIOError):  # It is full of bytes that none has read.
                os.write(writer, b"\0")
        finally:
            os.close(writer)
        return True

    def wait(self, seconds: float) -> bool:
        """Wait for a byte for some seconds at most; return whether there was one.

        Where the file system has no named pipes, returns True after a short time.
        """
        try:
            reader = self._open()
        except OSError:
            time.sleep(min(seconds, POLL_SECONDS))
            return True
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return False
        with suppress(BlockingIOError):  # Another process was faster.
            os.read(reader, 1)
        return True

    def close(self) -> None:
        """Close the pipe, if this process opened it."""
        if self._pid == os.getpid():
            os.close(self._reader)
            self._pid = 0

    def _open(self) -> int:
        """Open the pipe once in each process, and again where its file was deleted."""
        if self._pid != os.getpid() or not os.fstat(self._reader).st_nlink:
            self.close()
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            with suppress(FileExistsError):
                os.mkfifo(self._path, 0o600)
            # For writing too: a pipe without a writer is always ready to read.
            self._reader = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)
            self._pid = os.getpid()
        return self._reader


class WakeUps:
    """Wake all processes that wait in a folder, each with a pipe of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def join(self) -> WakeUp:
        """Return the pipe of this process."""
        return WakeUp(self._folder / str(os.getpid()))

    def send(self) -> None:
        """Wake each process, and delete the pipes of those that ended."""
        with suppress(OSError):  # None has joined.
            for path in self._folder.iterdir():
                with suppress(OSError):  # It ends just now, or another process deletes its pipe.
                    if not WakeUp(path).send():
                        path.unlink()
