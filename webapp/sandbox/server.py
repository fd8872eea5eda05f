"""Fork confined children: the server's side.

A module that `client.ForkServer` starts with `python -m` calls `serve`. A child cannot open a file,
so its function must find everything in memory: the module imports all that it needs beforehand.
"""

import contextlib
import errno
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
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from webapp.sandbox.client import (
    ANSWER,
    CONTENT,
    END,
    FILE_NUMBER,
    FORK,
    MAX_CONTENT,
    MAX_DESCRIPTORS,
    MAX_REQUEST,
    MAX_TRACEBACK,
    READY,
    RunLimits,
)
from webapp.sandbox.confinement import confine
from webapp.sandbox.libc import LIBC, die_with_parent
from webapp.sandbox.pages import Ranges, copy_pages, find_written_pages

# It gets the request and the open descriptors, which it closes, and a function that writes into a
# file of the caller. What it returns must be JSON.
Write = Callable[[int, bytes], None]
Function = Callable[[Any, Sequence[int], Write], Any]

# How many threads a child's user may have beyond those that it had when the server started. The
# kernel counts them by user: a desktop may start hundreds meanwhile.
_MORE_THREADS = 1000
# A decoder has 7 at most: standard streams, its socket, two sources, a mapped one.
_MAX_OPEN_FILES = 32
_WARM_UPS = 10  # From the ninth on, Python 3.11 runs code that it adapted: it writes to it no more.
_UNPRIVILEGED = 65534  # The id of the user and the group without rights.


def serve(function: Function, warm_up: Callable[[], None]) -> None:
    """Fork children until the caller ends.

    `warm_up` does what the function does, on something small. It must start no threads: the
    children would miss them. The caller's process id is the first argument of this program.
    """
    die_with_parent(int(sys.argv[1]))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # The caller stops us.
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # The caller blocked all when it started us.
    os.chdir("/")
    max_threads = count_threads(_user_of_child()) + _MORE_THREADS
    written = _warm_up(warm_up)
    with socket.socket(fileno=sys.stdin.fileno()) as control, contextlib.suppress(ConnectionError):
        while message := control.recv(100):  # Else the caller ended.
            if message == FORK:
                _start_child(control, function, max_threads, written)
            else:
                _reap(control, int(message.removeprefix(END)))


def _warm_up(warm_up: Callable[[], None]) -> Ranges:
    """Do once what each child would repeat; return the pages it still writes."""
    for _ in range(_WARM_UPS):
        warm_up()
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("The warm-up left a thread.")
    _settle_memory()
    written = find_written_pages(warm_up)
    _settle_memory()
    return written


def _settle_memory() -> None:
    """Leave as little as possible that a child would copy."""
    gc.collect()
    gc.freeze()  # Garbage collection in the children would copy these pages.
    if hasattr(LIBC, "malloc_trim"):  # Only glibc has it.
        # A child gets new memory from the kernel for less than a copy of what is free here.
        LIBC.malloc_trim(0)


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


def _start_child(
    control: socket.socket, function: Function, max_threads: int, written: Ranges
) -> None:
    """Fork a child and send it to the caller."""
    parent = os.getpid()
    callers, childs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with callers, childs:
        child = os.fork()
        if child == 0:
            _run_child(childs, parent, function, max_threads, written)
        socket.send_fds(control, [str(child).encode()], [callers.fileno()])


def _reap(control: socket.socket, child: int) -> None:
    """Wait until a child ends; tell the caller how."""
    _, status, used = os.wait4(child, 0)
    cpu_seconds = used.ru_utime + used.ru_stime
    control.send(f"{child} {os.waitstatus_to_exitcode(status)} {cpu_seconds}".encode())


def _run_child(
    channel: socket.socket, parent: int, function: Function, max_threads: int, written: Ranges
) -> NoReturn:
    """Confine this process, and call the function for each request until the end."""
    exit_code = 1
    try:
        ready = _confine(channel.fileno(), parent, max_threads)
        copy_pages(written)
        os.write(channel.fileno(), ready)
        has_limits = False
        while ready == READY:
            message, descriptors, _, _ = socket.recv_fds(channel, MAX_REQUEST, MAX_DESCRIPTORS)
            if not message:  # The caller ended.
                break
            request, values = json.loads(message)
            limits = RunLimits(**values)
            if not has_limits:  # All its requests have the same, and share them.
                _set_limits(limits)
                has_limits = True
            write = partial(_send, channel.fileno(), limits.file_bytes, {})
            os.write(channel.fileno(), ANSWER + _answer(function, request, descriptors, write))
        exit_code = 0
    finally:
        # Skip clean-up and flushing: those are the server's, and this is a copy of it.
        os._exit(exit_code)


def _confine(channel: int, parent: int, max_threads: int) -> bytes:
    """Confine this process; return READY or the traceback of a failure."""
    try:
        _drop_root()
        die_with_parent(parent)  # Only now: a change of user would undo it.
        _close_descriptors(channel)
        _set_limit(resource.RLIMIT_NPROC, max_threads)
        confine()
    except BaseException:
        return traceback.format_exc().encode()
    return READY


def _send(channel: int, limit: int, sizes: dict[int, int], number: int, content: bytes) -> None:
    """Send what comes next in a file of the caller.

    `sizes` has what was sent of each file.
    """
    sizes[number] = sizes.get(number, 0) + len(content)
    if sizes[number] > limit:  # The caller would refuse it.
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    head = CONTENT + FILE_NUMBER.pack(number)
    rest = memoryview(content)
    while rest:
        os.write(channel, head + rest[:MAX_CONTENT])
        rest = rest[MAX_CONTENT:]


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
    _set_limit(resource.RLIMIT_FSIZE, 0)  # It has no file to write.
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


def _answer(function: Function, request: Any, descriptors: Sequence[int], write: Write) -> bytes:
    """Call the function; return JSON of its result or its failure."""
    try:
        return json.dumps(["result", function(request, descriptors, write)]).encode()
    except MemoryError:
        return b'["memory", null]'
    except BaseException:
        return json.dumps(["failed", traceback.format_exc()[-MAX_TRACEBACK:]]).encode()
