"""Take from this process, for good, all that decoding an image never needs.

Landlock denies every path, the network and signals to others. seccomp allows the few system calls
of a decoder. Capabilities are dropped. Open descriptors stay usable. A kernel without Landlock or
seccomp denies less: `missing` lists what.
"""

import platform
import struct

from webapp.sandbox import landlock, seccomp
from webapp.sandbox.libc import LIBC, PR_SET_NO_NEW_PRIVS, check

# From <linux/capability.h>. The C library has no function for capset, so we call it by number.
_CAPABILITY_VERSION_3 = 0x20080522
_CAPSET = {"x86_64": 126, "aarch64": 91}


def confine() -> None:
    """Leave this process only its memory and its open descriptors.

    The process must have a single thread. Raises OSError if the kernel refuses a step.
    """
    check(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _drop_capabilities()
    if landlock.VERSION:
        landlock.restrict()
    if seccomp.PROGRAM and seccomp.IS_SUPPORTED:
        seccomp.install(seccomp.PROGRAM)


def missing() -> list[str]:
    """List the means of confinement that this machine lacks."""
    found = {"Landlock": landlock.VERSION, "seccomp": seccomp.PROGRAM and seccomp.IS_SUPPORTED}
    return [name for name, is_there in found.items() if not is_there]


def _drop_capabilities() -> None:
    """Drop the capabilities of root, for good."""
    number = _CAPSET.get(platform.machine())
    if number:
        header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
        check(LIBC.syscall(number, header, bytes(24)))
