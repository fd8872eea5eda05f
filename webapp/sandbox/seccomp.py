"""Allow this process the few system calls of a decoder: <linux/seccomp.h>."""

import ctypes
import errno
import platform
import struct
from collections.abc import Sequence

from webapp.sandbox.libc import (
    _PR_GET_SECCOMP,
    _PR_SET_SECCOMP,
    _SECCOMP_MODE_FILTER,
    _checked,
    _libc,
)

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _SECOND_ARGUMENT = 0, 4, 16, 24  # In struct seccomp_data.
_ALLOW, _FAIL, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_DENY = _FAIL | errno.EPERM

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # <linux/audit.h>

# What the engine calls while it works through the images of the tests (test_confinement.py has a
# decode child killed at any other call), and what the C library may call for the same on other
# machines. <asm/unistd.h>: the numbers of x86_64 and of aarch64.
_ALLOWED_CALLS = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "lseek": (8, 62), "fstat": (5, 80), "dup": (32, 23), "close": (3, 57), "recvmsg": (47, 212),
    "mmap": (9, 222), "munmap": (11, 215), "mremap": (25, 216), "mprotect": (10, 226),
    "madvise": (28, 233), "brk": (12, 214),
    "futex": (202, 98), "set_robust_list": (273, 99), "rseq": (334, 293),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "getpid": (39, 172),
    "gettid": (186, 178), "exit": (60, 93), "exit_group": (231, 94),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "restart_syscall": (219, 128), "getrandom": (318, 278),
    "clock_gettime": (228, 113), "clock_nanosleep": (230, 115), "gettimeofday": (96, 169),
}  # fmt: skip
# Before version 2.39, the C library's fstat() is this call with an empty path. It takes others too,
# and Landlock does not keep anybody from asking whether a path is there.
_FSTAT_BY_PATH = {"newfstatat": (262, 79)}
_CLONE_THREAD = 0x00010000
_F_DUPFD, _F_GETFD, _F_SETFD, _F_GETFL, _F_DUPFD_CLOEXEC = 0, 1, 2, 3, 1030
_PR_SET_NAME = 15  # Of a thread: libvips names its own.
# Allowed where an argument, by its offset, is one of these values.
_ALLOWED_WITH = {
    "fcntl": (
        (72, 25),
        _SECOND_ARGUMENT,
        (_F_DUPFD, _F_GETFD, _F_SETFD, _F_GETFL, _F_DUPFD_CLOEXEC),
    ),
    "prctl": ((157, 167), _FIRST_ARGUMENT, (_PR_SET_NAME,)),
    "prlimit64": ((302, 261), _FIRST_ARGUMENT, (0,)),  # Of this process.
}
_CLONE, _CLONE3 = (56, 220), (435, 435)
_OF_ANOTHER_ABI = 0x40000000  # From here on: x32, whose numbers are others.

_Line = tuple[
    int, int, int, int
]  # Operation, operand, instructions to skip if it holds, and if not.


def _assemble(machine: str, deny: int = _DENY) -> bytes:
    """Write the filter: it allows what is listed, and threads, and denies all else."""
    column = list(_ARCHITECTURES).index(machine)
    allowed = _ALLOWED_CALLS | ({} if _has_fstat() else _FSTAT_BY_PATH)
    lines: list[_Line] = [
        (_LOAD, _ARCHITECTURE, 0, 0),
        (_EQUAL, _ARCHITECTURES[machine], 1, 0),
        (_RETURN, _KILL, 0, 0),
        (_LOAD, _NUMBER, 0, 0),
        (_AT_LEAST, _OF_ANOTHER_ABI, 0, 1),
        (_RETURN, deny, 0, 0),
        (_EQUAL, _CLONE3[column], 0, 1),  # Its flags lie in memory, where no filter can look.
        (_RETURN, _FAIL | errno.ENOSYS, 0, 0),  # Threads are then started with clone.
    ]
    for numbers in allowed.values():
        lines += [(_EQUAL, numbers[column], 0, 1), (_RETURN, _ALLOW, 0, 0)]
    for numbers, argument, values in _ALLOWED_WITH.values():
        tests = [(_EQUAL, value) for value in values]
        lines += _if_call(numbers[column], argument, tests, deny)
    lines += _if_call(_CLONE[column], _FIRST_ARGUMENT, [(_ANY_BIT, _CLONE_THREAD)], deny)
    lines.append((_RETURN, deny, 0, 0))
    return b"".join(struct.pack("HBBI", code, yes, no, value) for code, value, yes, no in lines)


def _if_call(
    number: int, argument: int, tests: Sequence[tuple[int, int]], deny: int
) -> list[_Line]:
    """Allow a call where one of the tests holds of an argument, and deny it otherwise."""
    checks = [(code, value, len(tests) - place, 0) for place, (code, value) in enumerate(tests)]
    return [
        (_EQUAL, number, 0, len(tests) + 3),
        (_LOAD, argument, 0, 0),
        *checks,
        (_RETURN, deny, 0, 0),
        (_RETURN, _ALLOW, 0, 0),
    ]


def _has_fstat() -> bool:
    """Return whether the C library asks for the state of a descriptor with fstat."""
    name, version = platform.libc_ver()
    return name == "glibc" and tuple(map(int, version.split("."))) >= (2, 39)


_PROGRAM = (
    ctypes.create_string_buffer(_assemble(platform.machine()))
    if platform.machine() in _ARCHITECTURES
    else None
)

_HAS_SECCOMP = _libc.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) >= 0


def _filter_calls(program: "ctypes.Array[ctypes.c_char]") -> None:
    """Let the kernel refuse all calls but those that are allowed."""
    header = struct.pack("HP", len(program) // 8, ctypes.addressof(program))
    _checked(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0))
