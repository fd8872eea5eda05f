"""Take from this process, for good, all that decoding an image never needs.

Landlock takes every path, the network and signals to others. seccomp allows the few system calls
of a decoder. Capabilities go. Descriptors that are open stay usable. A kernel without Landlock or
seccomp takes less: `missing` says what.
"""

import platform
import struct

from webapp.sandbox.landlock import LANDLOCK, _restrict_paths
from webapp.sandbox.libc import _PR_SET_NO_NEW_PRIVS, _checked, _libc
from webapp.sandbox.seccomp import _HAS_SECCOMP, _PROGRAM, _filter_calls


def confine() -> None:
    """Leave this process its memory and its open descriptors, and nothing else.

    The process must have a single thread. Raises OSError where the kernel refuses a step.
    """
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _drop_capabilities()
    if LANDLOCK:
        _restrict_paths()
    if _PROGRAM and _HAS_SECCOMP:
        _filter_calls(_PROGRAM)


def missing() -> list[str]:
    """List what this machine cannot confine a process with."""
    found = {"Landlock": LANDLOCK, "seccomp": _PROGRAM and _HAS_SECCOMP}
    return [name for name, is_there in found.items() if not is_there]


# Capabilities: <linux/capability.h>

_CAPABILITY_VERSION_3 = 0x20080522
_CAPSET = {"x86_64": 126, "aarch64": 91}  # The C library has no function for it.


def _drop_capabilities() -> None:
    """Drop what a process of root has; with no new privileges, none comes back."""
    number = _CAPSET.get(platform.machine())
    if number:
        header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
        _checked(_libc.syscall(number, header, bytes(24)))


# Landlock: <linux/landlock.h>


# seccomp: <linux/seccomp.h>, <linux/bpf_common.h>
