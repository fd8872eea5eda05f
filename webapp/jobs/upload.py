"""Receive an uploaded file."""

import os
from collections.abc import Callable
from pathlib import Path

_ASKS_EVERY = 4_000_000  # Bytes of an upload between two looks at the disk.


class Upload:
    """Receive an uploaded file straight into its file system: one write, nothing in memory.

    Bytes beyond `limit` are not kept, so one file too large costs no disk and does not end the
    request, which may hold others. Nothing of it is kept once `has_space` says no: many may come at
    once. Closing it removes the file, unless it was kept as an original.
    """

    def __init__(
        self, path: Path, descriptor: int, limit: int, has_space: Callable[[], bool]
    ) -> None:
        self.path = path
        self.bytes = 0
        self.limit = limit
        self.is_without_space = False
        self._has_space = has_space
        self._asks_at = 0
        self._file = open(descriptor, "w+b")  # noqa: SIM115 - closed by close()

    @property
    def is_too_large(self) -> bool:
        """Whether more bytes came than the limit allows."""
        return self.bytes > self.limit

    def write(self, data: bytes) -> int:
        """Add bytes at the end."""
        if self.bytes >= self._asks_at:
            self._asks_at = self.bytes + _ASKS_EVERY
            if not self._has_space():
                self.is_without_space = True
                self._file.truncate(0)
        self.bytes += len(data)
        if not self.is_too_large and not self.is_without_space:
            self._file.write(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the place where the next read begins."""
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        """Read back what came."""
        return self._file.read(size)

    def sync(self) -> None:
        """Make the bytes safe from a power cut."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def flush(self) -> None:
        """Make the bytes visible to whoever opens the path."""
        self._file.flush()

    def close(self) -> None:
        """Close the file and remove it, if it still lies where it was received."""
        self._file.close()
        self.path.unlink(missing_ok=True)
