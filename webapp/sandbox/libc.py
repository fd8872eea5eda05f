"""Calls to the C library that Python does not have."""

import ctypes
import os
import signal

# Loaded before any fork: the child must not need to open a library.
LIBC = ctypes.CDLL(None, use_errno=True)

# From <linux/prctl.h> and <linux/seccomp.h>.
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_GET_SECCOMP, PR_SET_SECCOMP = 1, 38, 21, 22
SECCOMP_MODE_FILTER = 2

SYNC_FILE_RANGE_WRITE = 2  # From <linux/fs.h>.

# Only Linux has them.
_prctl = getattr(LIBC, "prctl", None)
_sync_file_range = getattr(LIBC, "sync_file_range", None)


def check(result: int) -> int:
    """Return the result of a C library call; raise OSError if it failed."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def start_writing(file: int) -> None:
    """Have the kernel begin to write a file to its disk, without waiting for it.

    Only where Linux does it. What goes wrong is told by the next fsync: it waits for all pages.
    """
    if _sync_file_range:
        _sync_file_range(file, ctypes.c_int64(0), ctypes.c_int64(0), SYNC_FILE_RANGE_WRITE)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies."""
    if _prctl:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # The parent died before the kernel knew.
        os._exit(1)
