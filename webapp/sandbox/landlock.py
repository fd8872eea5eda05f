"""Deny this process paths, the network and signals to others.

The kernel's interface is <linux/landlock.h>.
"""

import ctypes
import os
import struct

from webapp.sandbox.libc import LIBC, check

_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # The same on every architecture.

# The number of rights from a version on. All are denied: no rule allows any.
_PATH_RIGHTS = {
    1: 13,  # To execute, read, write, list, remove and create.
    2: 14,  # To link and rename between folders.
    3: 15,  # To truncate.
    5: 16,  # To control devices.
    9: 17,  # To reach a UNIX socket by its path.
}
_NETWORK_RIGHTS = {
    4: 2,  # To bind and to connect TCP.
    10: 4,  # To bind UDP, and to connect it or send.
}
_SCOPES = {6: 2}  # Abstract UNIX sockets and signals, to processes outside.


def _read_version() -> int:
    """Return the kernel's version of Landlock; 0 if it has none."""
    return max(0, int(LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)))


def _all_of(rights: dict[int, int]) -> int:
    """Return the bits of all rights that this kernel knows."""
    return (1 << max((n for version, n in rights.items() if version <= VERSION), default=0)) - 1


VERSION = _read_version()
_DENIED = struct.pack("QQQ", *map(_all_of, (_PATH_RIGHTS, _NETWORK_RIGHTS, _SCOPES)))


def restrict() -> None:
    """Deny this process, for good, every right that the kernel knows."""
    size = ctypes.c_size_t(len(_DENIED))
    ruleset = check(LIBC.syscall(_CREATE_RULESET, _DENIED, size, 0))
    check(LIBC.syscall(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)
