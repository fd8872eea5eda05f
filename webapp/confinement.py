"""Take from this process, for good, what decoding an image never needs: what the kernel can take.

Landlock takes files, TCP and signals to others; seccomp takes other programs, processes of its own,
every new socket, and what changes another process or outlives this one. A kernel without one of
them takes less: the caller goes on all the same.
"""

import ctypes
import errno
import os
import platform
import stat
import struct
import sysconfig
from collections.abc import Iterable
from pathlib import Path

# Loaded before any fork: the child must not need to open a library.
_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2

# What an interpreter may still open: a module that is imported late, the source of a traceback.
_LIBRARIES = [
    Path(__file__).parent,
    *{Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
]


def confine(readable: Iterable[Path] = (), writable: Iterable[Path] = ()) -> None:
    """Leave this process only these files and folders, no other process and no network.

    What is writable is readable too. The process must have a single thread.
    """
    if platform.system() != "Linux":
        return
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _restrict_files([*readable, *_LIBRARIES], writable)
    _filter_calls()


# Landlock: <linux/landlock.h>

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # The same on every architecture.
_RULE_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_WRITE_FILE, _REMOVE_FILE, _MAKE_FILE, _TRUNCATE = 1 << 1, 1 << 5, 1 << 8, 1 << 14
_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _REMOVE_FILE | _MAKE_FILE | _TRUNCATE
_OF_FILES = _READ_FILE | _WRITE_FILE | _TRUNCATE  # What can be allowed for a single file.


def _landlock_version() -> int:
    """Ask the kernel for its version of Landlock; 0 where it has none."""
    if platform.system() != "Linux":
        return 0
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)))


LANDLOCK = _landlock_version()

# All that a version knows is denied, but for what a rule allows.
_FILES = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(LANDLOCK, 16)) - 1
_TCP = 0b11 if LANDLOCK >= 4 else 0  # To listen, to connect.
_OTHERS = 0b11 if LANDLOCK >= 6 else 0  # Abstract sockets, signals.
_DENIED = struct.pack("QQQ", _FILES, _TCP, _OTHERS)


def _restrict_files(readable: Iterable[Path], writable: Iterable[Path]) -> None:
    ruleset = _libc.syscall(_CREATE_RULESET, _DENIED, ctypes.c_size_t(len(_DENIED)), 0)
    if ruleset < 0:  # Not built in, or switched off.
        return
    for paths, access in ((readable, _READ), (writable, _WRITE)):
        for path in paths:
            _allow(ruleset, path, access & _FILES)
    _libc.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _allow(ruleset: int, path: Path, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH)
    except OSError:
        return  # What is not there need not be allowed.
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        access &= _OF_FILES
    rule = struct.pack("=Qi", access, descriptor)
    _libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    os.close(descriptor)


# seccomp: <linux/seccomp.h>, <linux/bpf_common.h>

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # Offsets in struct seccomp_data.
_ALLOW, _FAIL, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_CLONE_THREAD = 0x00010000

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # <linux/audit.h>

# <asm/unistd.h>: the numbers of x86_64 and of aarch64, which has no fork but clone.
_CLONE = {"x86_64": 56, "aarch64": 220}
# What starts or touches another process, talks to one, or makes what outlives this one.
_DENIED_CALLS = {
    "x86_64": {
        "fork": 57, "vfork": 58, "execve": 59, "execveat": 322,
        "socket": 41, "socketpair": 53, "io_uring_setup": 425,
        "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "pidfd_getfd": 438,
        "setpriority": 141, "ioprio_set": 251,
        "shmget": 29, "semget": 64, "msgget": 68, "mq_open": 240, "add_key": 248,
    },
    "aarch64": {
        "execve": 221, "execveat": 281,
        "socket": 198, "socketpair": 199, "io_uring_setup": 425,
        "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "pidfd_getfd": 438,
        "setpriority": 140, "ioprio_set": 30,
        "shmget": 194, "semget": 190, "msgget": 186, "mq_open": 180, "add_key": 217,
    },
}  # fmt: skip
# What may be done to oneself, where the first argument is 0, and to no other process.
_OWN_CALLS = {
    "x86_64": {
        "prlimit64": 302, "sched_setaffinity": 203, "sched_setscheduler": 144,
        "sched_setparam": 142, "sched_setattr": 314,
    },
    "aarch64": {
        "prlimit64": 261, "sched_setaffinity": 122, "sched_setscheduler": 119,
        "sched_setparam": 118, "sched_setattr": 274,
    },
}  # fmt: skip
_CLONE3 = 435  # Its flags lie in memory, where no filter can look.
_OF_ANOTHER_ABI = 0x40000000  # From here on: x32, whose numbers are others.


def _filter_calls() -> None:
    """Let threads start, for decoders have them, and nothing else."""
    if _PROGRAM:
        header = struct.pack("HP", len(_PROGRAM) // 8, ctypes.addressof(_PROGRAM))
        _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0)


def _assemble(machine: str) -> bytes:
    """Write the filter: (operation, operand, instructions to skip if it holds, and if not)."""
    deny = _FAIL | errno.EPERM
    lines = [
        (_LOAD, _ARCHITECTURE, 0, 0),
        (_EQUAL, _ARCHITECTURES[machine], 1, 0),
        (_RETURN, _KILL, 0, 0),
        (_LOAD, _NUMBER, 0, 0),
        (_AT_LEAST, _OF_ANOTHER_ABI, 0, 1),
        (_RETURN, deny, 0, 0),
        (_EQUAL, _CLONE3, 0, 1),
        (_RETURN, _FAIL | errno.ENOSYS, 0, 0),  # Threads are then started with clone.
    ]
    for number in _DENIED_CALLS[machine].values():
        lines += [(_EQUAL, number, 0, 1), (_RETURN, deny, 0, 0)]
    for number in _OWN_CALLS[machine].values():
        lines += [
            (_EQUAL, number, 0, 4),
            (_LOAD, _FIRST_ARGUMENT, 0, 0),
            (_EQUAL, 0, 1, 0),
            (_RETURN, deny, 0, 0),
            (_RETURN, _ALLOW, 0, 0),
        ]
    lines += [
        (_EQUAL, _CLONE[machine], 0, 3),
        (_LOAD, _FIRST_ARGUMENT, 0, 0),
        (_ANY_BIT, _CLONE_THREAD, 1, 0),
        (_RETURN, deny, 0, 0),
        (_RETURN, _ALLOW, 0, 0),
    ]
    return b"".join(struct.pack("HBBI", code, yes, no, value) for code, value, yes, no in lines)


_PROGRAM = (
    ctypes.create_string_buffer(_assemble(platform.machine()))
    if platform.machine() in _ARCHITECTURES
    else None
)
