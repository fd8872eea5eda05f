"""Fork confined children, one for each run: the server's side.

A module that `client.ForkServer` starts with `python -m` calls `serve`. A child cannot open a file,
so its function must find everything in memory: the module imports all that it needs beforehand.
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

from webapp.sandbox.client import (
    MAX_ANSWER,
    MAX_DESCRIPTORS,
    MAX_REQUEST,
    MAX_TRACEBACK,
    NEXT,
    RunLimits,
)
from webapp.sandbox.confinement import confine
from webapp.sandbox.libc import die_with_parent

Function = Callable[[Any, Sequence[int]], Any]

_READY = b"ready"
# How many threads a child's user may have beyond those that it had when the server started. The
# kernel counts them by user: a desktop may start hundreds meanwhile.
_MORE_THREADS = 1000
_MAX_OPEN_FILES = 512
_UNPRIVILEGED = 65534  # The id of the user and the group without rights.


def serve(function: Function) -> None:
    """Fork one child after another until the caller ends.

    The caller's process id is the first argument of this program.
    """
    die_with_parent(int(sys.argv[1]))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # The caller stops us.
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # The caller blocked all when it started us.
    os.chdir("/")
    max_threads = count_threads(_user_of_child()) + _MORE_THREADS
    gc.freeze()  # Garbage collection in the children would copy these pages.
    with socket.socket(fileno=sys.stdin.fileno()) as control:
        try:
            while True:
                child = _start_child(control, function, max_threads)
                if control.recv(len(NEXT)) != NEXT:
                    break
                control.send(str(_reap(child)).encode())
        except ConnectionError:
            pass  # The caller ended.


def count_threads(user: int) -> int:
    """Return the number of threads of a user."""
    count = 0
    for process in Path("/proc").glob("[0-9]*/status"):
        try:
            # Read as bytes: a process can have any name.
            facts = dict(line.split(b":", 1) for line in process.read_bytes().split(b"\n") if line)
        except OSError:
            continue  # The process ended.
        if int(facts[b"Uid"].split()[0]) == user:
            count += int(facts[b"Threads"])
    return count


def _start_child(control: socket.socket, function: Function, max_threads: int) -> int:
    """Fork a child and send it to the caller; return its process id."""
    parent = os.getpid()
    callers, childs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with callers, childs:
        child = os.fork()
        if child == 0:
            _run_child(childs, parent, function, max_threads)
        childs.close()
        message = callers.recv(MAX_ANSWER)
        if message != _READY:
            sys.exit(f"A child ended with {_reap(child)} before it was ready. {message.decode()}")
        socket.send_fds(control, [str(child).encode()], [callers.fileno()])
    return child


def _reap(child: int) -> int:
    """Wait until a child ends; return its exit code or minus its signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run_child(
    channel: socket.socket, parent: int, function: Function, max_threads: int
) -> NoReturn:
    """Confine this process, call the function, send its answer and exit."""
    exit_code = 1
    try:
        os.write(channel.fileno(), _confine(channel.fileno(), parent, max_threads))
        message, descriptors, _, _ = socket.recv_fds(channel, MAX_REQUEST, MAX_DESCRIPTORS)
        if message:  # Else the caller ended.
            request, limits = json.loads(message)
            _set_limits(RunLimits(**limits))
            os.write(channel.fileno(), _answer(function, request, descriptors))
        exit_code = 0
    finally:
        # Skip clean-up and flushing: those are the server's, and this is a copy of it.
        os._exit(exit_code)


def _confine(channel: int, parent: int, max_threads: int) -> bytes:
    """Confine this process; return _READY or the traceback of a failure."""
    try:
        _drop_root()
        die_with_parent(parent)  # Only now: a change of user would undo it.
        _close_descriptors(channel)
        _set_limit(resource.RLIMIT_NPROC, max_threads)
        confine()
    except BaseException:
        return traceback.format_exc().encode()
    return _READY


def _user_of_child() -> int:
    return os.getuid() or _UNPRIVILEGED


def _drop_root() -> None:
    """Change to the unprivileged user if this process runs as root.

    The limit of threads does not bind root.
    """
    if os.getuid() == 0:
        with contextlib.suppress(OSError):  # A container may not have that user.
            os.setgroups([])
            os.setresgid(_UNPRIVILEGED, _UNPRIVILEGED, _UNPRIVILEGED)
            os.setresuid(_UNPRIVILEGED, _UNPRIVILEGED, _UNPRIVILEGED)


def _close_descriptors(channel: int) -> None:
    """Close the descriptors that were the server's, except for the channel.

    The standard streams become /dev/null, so that a hostile image cannot write into our logs.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    os.closerange(3, channel)
    os.closerange(channel + 1, os.sysconf("SC_OPEN_MAX"))


def _set_limits(limits: RunLimits) -> None:
    _set_limit(resource.RLIMIT_CORE, 0)
    _set_limit(resource.RLIMIT_NOFILE, _MAX_OPEN_FILES)
    # Writing beyond this one raises OSError (EFBIG): Python ignores SIGXFSZ.
    _set_limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    _set_limit(resource.RLIMIT_CPU, math.ceil(limits.cpu_seconds))
    _set_limit(resource.RLIMIT_AS, limits.memory_bytes)


def _set_limit(which: int, value: int) -> None:
    """Set the soft limit of a resource, and the hard one.

    The hard limit of processor time is a second higher: only the signal of the soft limit is
    SIGXCPU, which tells a timeout from a crash.
    """
    _, hard = resource.getrlimit(which)
    ceiling = value + 1 if which == resource.RLIMIT_CPU else value
    if hard != resource.RLIM_INFINITY:
        value, ceiling = min(value, hard), min(ceiling, hard)
    resource.setrlimit(which, (value, ceiling))


def _answer(function: Function, request: Any, descriptors: Sequence[int]) -> bytes:
    """Call the function; return JSON of its result or its failure."""
    try:
        return json.dumps(["result", function(request, descriptors)]).encode()
    except MemoryError:
        return b'["memory", null]'
    except BaseException:
        return json.dumps(["failed", traceback.format_exc()[-MAX_TRACEBACK:]]).encode()
