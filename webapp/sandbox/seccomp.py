"""Allow this process only the few system calls of a decoder.

The kernel's interface is <linux/seccomp.h> and <linux/bpf_common.h>.
"""

import ctypes
import errno
import platform
import struct
from collections.abc import Sequence

from webapp.sandbox.libc import LIBC, PR_GET_SECCOMP, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, check

KILL = 0x80000000  # Kill the process at a call that is not allowed.

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _SECOND_ARGUMENT = 0, 4, 16, 24  # In struct seccomp_data.
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_DENY = _FAIL | errno.EPERM
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # <linux/audit.h>

# The calls that the engine makes for the images of the tests (in test_confinement.py, the kernel
# kills a decode child at any other call), and those that the C library may make instead on other
# machines. The numbers of x86_64 and aarch64 are from <asm/unistd.h>.
ALLOWED_CALLS = {
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
# Before version 2.39, the C library's fstat() is this call with an empty path. It takes other paths
# too, and Landlock does not hide whether a path exists.
_FSTAT_BY_PATH = {"newfstatat": (262, 79)}
_CLONE_THREAD = 0x00010000
_F_DUPFD, _F_GETFD, _F_SETFD, _F_GETFL, _F_DUPFD_CLOEXEC = 0, 1, 2, 3, 1030
_PR_SET_NAME = 15  # Of a thread: libvips names its own.
# Allowed if an argument, by its offset, is one of these values.
ALLOWED_WITH = {
    "fcntl": (
        (72, 25),
        _SECOND_ARGUMENT,
        (_F_DUPFD, _F_GETFD, _F_SETFD, _F_GETFL, _F_DUPFD_CLOEXEC),
    ),
    "prctl": ((157, 167), _FIRST_ARGUMENT, (_PR_SET_NAME,)),
    "prlimit64": ((302, 261), _FIRST_ARGUMENT, (0,)),  # Of this process.
}
CLONE = (56, 220)  # Allowed for threads.
CLONE3 = (435, 435)
_OF_ANOTHER_ABI = 0x40000000  # From here on: x32, which numbers the calls differently.

# Operation, operand, and how many instructions to skip if it holds and if it does not.
_Line = tuple[int, int, int, int]


def assemble(machine: str, deny: int = _DENY) -> bytes:
    """Assemble the filter: it allows the calls listed above and threads.

    `deny` is what happens at any other call.
    """
    column = list(_ARCHITECTURES).index(machine)
    allowed = ALLOWED_CALLS | ({} if _has_fstat() else _FSTAT_BY_PATH)
    lines: list[_Line] = [
        (_LOAD, _ARCHITECTURE, 0, 0),
        (_EQUAL, _ARCHITECTURES[machine], 1, 0),
        (_RETURN, KILL, 0, 0),
        (_LOAD, _NUMBER, 0, 0),
        (_AT_LEAST, _OF_ANOTHER_ABI, 0, 1),
        (_RETURN, deny, 0, 0),
        (_EQUAL, CLONE3[column], 0, 1),  # Its flags are in memory, which a filter cannot read.
        (_RETURN, _FAIL | errno.ENOSYS, 0, 0),  # The C library then starts threads with clone.
    ]
    for numbers in allowed.values():
        lines += [(_EQUAL, numbers[column], 0, 1), (_RETURN, _ALLOW, 0, 0)]
    for numbers, argument, values in ALLOWED_WITH.values():
        tests = [(_EQUAL, value) for value in values]
        lines += _if_call(numbers[column], argument, tests, deny)
    lines += _if_call(CLONE[column], _FIRST_ARGUMENT, [(_ANY_BIT, _CLONE_THREAD)], deny)
    lines.append((_RETURN, deny, 0, 0))
    return b"".join(struct.pack("HBBI", code, yes, no, value) for code, value, yes, no in lines)


def _if_call(
    number: int, argument: int, tests: Sequence[tuple[int, int]], deny: int
) -> list[_Line]:
    """Return the lines that allow a call if an argument passes a test."""
    checks = [(code, value, len(tests) - place, 0) for place, (code, value) in enumerate(tests)]
    return [
        (_EQUAL, number, 0, len(tests) + 3),
        (_LOAD, argument, 0, 0),
        *checks,
        (_RETURN, deny, 0, 0),
        (_RETURN, _ALLOW, 0, 0),
    ]


def _has_fstat() -> bool:
    """Return True if the C library's fstat() makes the call of that name."""
    name, version = platform.libc_ver()
    return name == "glibc" and tuple(map(int, version.split("."))) >= (2, 39)


# None on an architecture that the filter is not written for.
PROGRAM = (
    ctypes.create_string_buffer(assemble(platform.machine()))
    if platform.machine() in _ARCHITECTURES
    else None
)
IS_SUPPORTED = LIBC.prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0  # By the kernel.


def install(program: "ctypes.Array[ctypes.c_char]") -> None:
    """Have the kernel refuse all calls that a filter does not allow."""
    header = struct.pack("HP", len(program) // 8, ctypes.addressof(program))
    check(LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0))
