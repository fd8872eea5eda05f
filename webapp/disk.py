"""Detect a full disk."""

import errno


def is_disk_full(error: BaseException) -> bool:
    """Return True if an error means that the disk, or a quota on it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
