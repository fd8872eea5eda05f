"""Detect a full disk, move folders on a disk, and write through to it."""

import errno
import os
import stat
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


def move(source: Path, target: Path) -> None:
    """Rename a file or folder.

    A folder of a lower layer of an overlay cannot be renamed. All that is in it is moved instead; a
    kill may leave it in both places, and another call goes on.
    """
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV or source.is_symlink() or not source.is_dir():
            raise
        target.mkdir(exist_ok=True)
        target.chmod(stat.S_IMODE(source.stat().st_mode))
        for path in source.iterdir():
            move(path, target / path.name)
        source.rmdir()
