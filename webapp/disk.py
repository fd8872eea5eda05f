"""What "disk full" means."""

import errno


def is_disk_full(error: BaseException) -> bool:
    """Say whether an error means that the disk, or a quota on it, is full: it may pass."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
