"""Play a decode child that was taken over: it runs Python code of the test.

    python -m tests.support.attacker <process id of its caller>

The fork server and the confinement are the real ones, and the engine is loaded. The code is the
request itself, or what stands behind MARK in the source. It answers with what it calls `answer`.
"""

import ctypes
import errno
import fcntl  # noqa: F401

# For the code, which finds in memory what it wants to use: a child opens no file.
import json  # noqa: F401
import os
import resource  # noqa: F401
import signal  # noqa: F401
import socket  # noqa: F401
import stat
import sys  # noqa: F401
import threading  # noqa: F401
import time  # noqa: F401
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from webapp.engine import decode_server
from webapp.sandbox import server

MARK = b"\n# The decoder is taken over by:\n"
LIBC = ctypes.CDLL(None, use_errno=True)
SERVERS_MEMORY = ""  # The server's /proc/self/maps, which a child has copies of.


def syscall(number: int, *arguments: int) -> int:
    """Make a system call; return its answer, or minus the error's number."""
    answer = int(LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)))
    return -ctypes.get_errno() if answer == -1 else answer


def outcome(action: Any) -> str:
    """Do something, and return its outcome as text."""
    try:
        return str(action())
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def is_socket(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def run(request: Any, descriptors: Sequence[int], write: server.Write) -> Any:
    """Run the code, with the names of this module and those of its own arguments."""
    if isinstance(request, str):
        code = request
    else:
        code = os.pread(descriptors[0], 1_000_000, 0).partition(MARK)[2].decode()
    channel = next(number for number in range(3, 100) if is_socket(number))
    given = {"request": request, "descriptors": descriptors, "write": write, "channel": channel}
    names = {**globals(), **given, "answer": None}
    exec(code, names)
    return names["answer"]


if __name__ == "__main__":
    SERVERS_MEMORY = Path("/proc/self/maps").read_text()
    server.serve(run, decode_server.warm_up)
