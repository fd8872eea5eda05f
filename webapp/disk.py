"""Detect a full disk, and write through to a disk."""

import errno
import os
from pathlib import Path


def is_disk_full(error: BaseException) -> bool:
    """Return True if an error means a full disk, or a full quota."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def sync(path: Path) -> None:
    """Write a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
