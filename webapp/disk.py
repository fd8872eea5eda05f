"""Detect a full disk."""

import errno


def is_disk_full(error: BaseException) -> bool:
    """Return True if an error means a full disk, or a full quota."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
