"""Fork confined children, one for each run of a function.

This is the other side of `sandbox.ForkServer`. A module calls `serve` where it is run by
`python -m`. Its function must find all that it needs in memory, for a child opens no file: modules
are to be imported before.
"""

import contextlib
import gc
import json
import math
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from webapp.sandbox.confinement import confine
from webapp.sandbox.process import (
    MAX_ANSWER,
    MAX_DESCRIPTORS,
    MAX_REQUEST,
    MAX_TRACEBACK,
    NEXT,
    Limits,
    die_with_parent,
)

Function = Callable[[Any, Sequence[int]], Any]

_READY = b"ready"
# Threads of a child's user, beside those that were there as the server started. The kernel counts
# them by user: a desktop may start hundreds meanwhile.
_MORE_THREADS = 1000
_MAX_OPEN_FILES = 512
_NOBODY = 65534  # The user and the group without rights.


def serve(function: Function) -> None:
    """Fork one child after another until the caller ends."""
    die_with_parent(int(sys.argv[1]))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # The caller decides.
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # The caller holds all back while it starts us.
    os.chdir("/")
    max_threads = _count_threads(_user_of_child()) + _MORE_THREADS
    gc.freeze()  # Collecting it in the children would copy its pages.
    with socket.socket(fileno=sys.stdin.fileno()) as control:
        try:
            while True:
                child = _start_child(control, function, max_threads)
                if control.recv(len(NEXT)) != NEXT:
                    break
                control.send(str(_reap(child)).encode())
        except ConnectionError:
            pass  # The caller is gone.


def _count_threads(user: int) -> int:
    """Count the threads of a user, which the kernel's limit is for."""
    count = 0
    for process in Path("/proc").glob("[0-9]*/status"):
        try:
            # Bytes: the name of a process may be any.
            facts = dict(line.split(b":", 1) for line in process.read_bytes().split(b"\n") if line)
        except OSError:
            continue  # It ended.
        if int(facts[b"Uid"].split()[0]) == user:
            count += int(facts[b"Threads"])
    return count


def _start_child(control: socket.socket, function: Function, max_threads: int) -> int:
    """Fork a child, tell the caller once it is ready, and return its process id."""
    parent = os.getpid()
    callers, childs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with callers, childs:
        child = os.fork()
        if child == 0:
            _be_the_child(childs, parent, function, max_threads)
        childs.close()
        said = callers.recv(MAX_ANSWER)
        if said != _READY:
            sys.exit(f"A child ended with {_reap(child)} before it was ready. {said.decode()}")
        socket.send_fds(control, [str(child).encode()], [callers.fileno()])
    return child


def _reap(child: int) -> int:
    """Wait for the end of a child; return its exit code or minus its signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _be_the_child(
    channel: socket.socket, parent: int, function: Function, max_threads: int
) -> NoReturn:
    """Confine this process, call the function, send its answer, and end."""
    exit_code = 1
    try:
        os.write(channel.fileno(), _confine(channel.fileno(), parent, max_threads))
        message, descriptors, _, _ = socket.recv_fds(channel, MAX_REQUEST, MAX_DESCRIPTORS)
        if message:  # Else the caller is gone.
            request, limits = json.loads(message)
            _limit(Limits(**limits))
            os.write(channel.fileno(), _answer(function, request, descriptors))
        exit_code = 0
    finally:
        # No clean-up and no flush: both belong to the server, of which this is a copy.
        os._exit(exit_code)


def _confine(channel: int, parent: int, max_threads: int) -> bytes:
    """Confine this process; return _READY, or the traceback of what went wrong."""
    try:
        _leave_root()
        die_with_parent(parent)  # After that, for a change of user undoes it.
        _isolate(channel)
        _set_limit(resource.RLIMIT_NPROC, max_threads)
        confine()
    except BaseException:
        return traceback.format_exc().encode()
    return _READY


def _user_of_child() -> int:
    return os.getuid() or _NOBODY


def _leave_root() -> None:
    """Change to the user nobody if this process runs as root.

    No limit of threads is binding on root.
    """
    if os.getuid() == 0:
        with contextlib.suppress(OSError):  # A container may not have that user.
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _isolate(channel: int) -> None:
    """Let go of what is the server's: descriptors and standard streams."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):  # Nothing to read; and hostile bytes write no line into our logs.
        os.dup2(nothing, standard)
    os.closerange(3, channel)
    os.closerange(channel + 1, os.sysconf("SC_OPEN_MAX"))


def _limit(limits: Limits) -> None:
    _set_limit(resource.RLIMIT_CORE, 0)
    _set_limit(resource.RLIMIT_NOFILE, _MAX_OPEN_FILES)
    # Writing beyond it raises OSError (EFBIG): Python ignores SIGXFSZ.
    _set_limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    _set_limit(resource.RLIMIT_CPU, math.ceil(limits.cpu_seconds))
    _set_limit(resource.RLIMIT_AS, limits.memory_bytes)


def _set_limit(which: int, value: int) -> None:
    """Set the soft limit, whose signal tells what happened, and the hard one a little above."""
    _, hard = resource.getrlimit(which)
    ceiling = value + 1 if which == resource.RLIMIT_CPU else value
    if hard != resource.RLIM_INFINITY:
        value, ceiling = min(value, hard), min(ceiling, hard)
    resource.setrlimit(which, (value, ceiling))


def _answer(function: Function, request: Any, descriptors: Sequence[int]) -> bytes:
    """Call the function and return JSON of what became of it."""
    try:
        return json.dumps(["result", function(request, descriptors)]).encode()
    except MemoryError:
        return b'["memory", null]'
    except BaseException:
        return json.dumps(["failed", traceback.format_exc()[-MAX_TRACEBACK:]]).encode()
