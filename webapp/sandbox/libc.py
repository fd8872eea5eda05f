"""Calls to the C library that Python does not have."""

import ctypes
import os

# Loaded before any fork: the child must not need to open a library.
_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_NO_NEW_PRIVS, _PR_GET_SECCOMP, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 21, 22, 2


def _checked(answer: int) -> int:
    """Return the answer of a call to the C library; raise OSError where it failed."""
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer
