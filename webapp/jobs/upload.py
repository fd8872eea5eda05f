"""Receive an uploaded file."""

import hashlib
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Self

from webapp.sandbox.libc import start_writing

# Bytes of an upload between two looks at the disk.
_LOOKS_EVERY = 4_000_000


class Upload:
    """Receive an uploaded file on its final file system, without a copy in memory.

    Bytes beyond `limit` are dropped, so that a file too large costs no disk and does not end the
    request, which may contain others. All are dropped once `has_space` returns False: many uploads
    may run at the same time. Closing deletes the file, unless it was kept as an original.
    """

    def __init__(
        self, path: Path, descriptor: int, limit: int, has_space: Callable[[], bool]
    ) -> None:
        self.path = path
        self.bytes = 0
        self.limit = limit
        self.is_without_space = False
        self._has_space = has_space
        self._looks_at = 0
        self._file = open(descriptor, "w+b")  # noqa: SIM115 - closed by close()

    @property
    def is_too_large(self) -> bool:
        """True if more bytes were received than the limit allows."""
        return self.bytes > self.limit

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes."""
        if self.bytes >= self._looks_at:
            self._looks_at = self.bytes + _LOOKS_EVERY
            if self._has_space():
                # The sync at the end has less to wait for: of 50 MB, 26 of 82 ms.
                start_writing(self._file.fileno())
            else:
                self.is_without_space = True
                self._file.truncate(0)
        self.bytes += len(data)
        if not self.is_too_large and not self.is_without_space:
            self._file.write(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position of the next read."""
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        """Read received bytes."""
        return self._file.read(size)

    @cached_property
    def sha256(self) -> str:
        """The hash of all received bytes, for those who ask.

        It takes 0.5 ms for 1 MB, and 29 ms for 50 MB. Read back from the memory of the system, they
        cost no more than while they arrive.
        """
        self._file.seek(0)
        return hashlib.file_digest(self._file, "sha256").hexdigest()

    def sync(self) -> None:
        """Sync the file, so that it survives a power cut."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def flush(self) -> None:
        """Flush the buffer, so that opening the path shows all bytes.

        The disk begins to write them: of 3 MB, a millisecond of the 9 until the answer.
        """
        self._file.flush()
        start_writing(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, and delete it unless it was kept as an original."""
        self._file.close()
        self.path.unlink(missing_ok=True)
