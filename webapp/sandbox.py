"""Run one function in a child process that can be killed, with limits on what it may use.

Knows nothing of images. The caller must have a single thread: a lock that another one holds at
the fork stays locked in the child for ever.
"""

import ctypes
import gc
import json
import math
import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from webapp.confinement import confine

MAX_RESULT = 1_000_000  # Bytes of JSON. More than any honest result; the sender is not trusted.
_WAIT_SECONDS = 1.0  # Between two calls of on_wait.

# From <linux/prctl.h>. Loaded before any fork: the child must not need to open a library.
_PR_SET_PDEATHSIG = 1
_prctl = getattr(ctypes.CDLL(None), "prctl", None)


@dataclass(frozen=True)
class Limits:
    """Bound what one run may use. Memory is address space; a file is any one it writes."""

    memory_bytes: int
    wall_seconds: float
    cpu_seconds: float
    file_bytes: int


@dataclass(frozen=True)
class _Run:
    """Hold what the child is to do, and within what."""

    function: Callable[[], Any]
    limits: Limits
    readable: Iterable[Path]
    writable: Iterable[Path]


class SandboxError(Exception):
    """The function did not come to its end; the message says why."""

    code: str


class TimedOut(SandboxError):
    """The run exceeded its limit of time."""

    code = "timed_out"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"It took longer than {seconds:g} s.")
        self.seconds = seconds


class OutOfMemory(SandboxError):
    """The run exceeded its limit of memory."""

    code = "out_of_memory"

    def __init__(self, memory_bytes: int) -> None:
        super().__init__(f"It needed more than {memory_bytes / 1e6:,.0f} MB of memory.")
        self.memory_bytes = memory_bytes


class Crashed(SandboxError):
    """The child ended without an answer: with exit code `status`, or by signal -`status`."""

    code = "crashed"

    def __init__(self, status: int) -> None:
        how = f"by signal {-status}" if status < 0 else f"with exit code {status}"
        super().__init__(f"It ended unexpectedly, {how}.")
        self.status = status


class Failed(Exception):
    """The function raised; the message is the child's traceback, for the log.

    No SandboxError: it tells of a fault in the program or the machine, such as a full disk, and
    passes no verdict on the work.
    """


def run(
    function: Callable[[], Any],
    limits: Limits,
    on_wait: Callable[[], None] | None = None,
    *,
    readable: Iterable[Path] = (),
    writable: Iterable[Path] = (),
) -> Any:
    """Call the function in a child process and return its result, which JSON must be able to say.

    Where the kernel can hold it to that, the child opens no files but those that are `readable` or
    `writable` or lie below them, and reaches neither other processes nor the network. `on_wait` is
    called about once a second meanwhile. The child is gone when this returns, also when `on_wait`
    raises or an interrupt arrives. Its result is only as trustworthy as the bytes it worked on.
    Raises SandboxError, or Failed with the traceback if the function raised.
    """
    outlet, inlet = os.pipe()
    child = 0
    try:
        with _signals_held():
            child = _fork(_Run(function, limits, readable, writable), inlet)
        answer = _read_answer(outlet, limits, on_wait)
    finally:
        with _signals_held():
            os.close(outlet)
            status = _reap(child)
    return _verdict(answer, status, limits)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, if the kernel can."""
    if _prctl:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # It died before the kernel was told.
        os._exit(1)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Hold signals back where one would lose track of the child."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


# The parent


def _fork(run: _Run, inlet: int) -> int:
    """Start the child, which alone keeps the pipe's inlet; give its process id."""
    parent = os.getpid()
    try:
        child = os.fork()
        if child == 0:
            _be_the_child(run, inlet, parent)
        return child
    finally:
        os.close(inlet)


def _read_answer(outlet: int, limits: Limits, on_wait: Callable[[], None] | None) -> bytes:
    """Read what the child sends until it ends or its time is up.

    Raises TimedOut; Crashed if it sends more than an honest child would.
    """
    answer = bytearray()
    deadline = time.monotonic() + limits.wall_seconds
    next_wait = time.monotonic() + _WAIT_SECONDS
    poll = select.poll()
    poll.register(outlet, select.POLLIN)
    while True:
        now = time.monotonic()
        if now >= deadline:
            raise TimedOut(limits.wall_seconds)
        if now >= next_wait:
            next_wait = now + _WAIT_SECONDS
            if on_wait:
                on_wait()
        if poll.poll(math.ceil((min(deadline, next_wait) - now) * 1000)):
            chunk = os.read(outlet, 65536)
            if not chunk:
                return bytes(answer)
            answer += chunk
        if len(answer) > MAX_RESULT:
            raise Crashed(-signal.SIGKILL)


def _reap(child: int) -> int:
    """Kill the child, unless it is ending already, and give its exit code or minus its signal.

    Also after its end of the pipe is closed: it may have closed that and gone on.
    """
    if not child:
        return 0
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _verdict(answer: bytes, status: int, limits: Limits) -> Any:
    if status == -signal.SIGXCPU:
        raise TimedOut(limits.cpu_seconds)
    try:
        # JSON and never pickle: a pickle from a child that hostile bytes took over is their code.
        kind, value = json.loads(answer)
    except (ValueError, TypeError, RecursionError):
        if status == -signal.SIGKILL:  # The kernel ran out of memory and chose this process.
            raise OutOfMemory(limits.memory_bytes) from None
        raise Crashed(status) from None
    if kind == "result":
        return value
    if kind == "memory":
        raise OutOfMemory(limits.memory_bytes)
    raise Failed(value)


# The child


def _be_the_child(run: _Run, inlet: int, parent: int) -> NoReturn:
    """Confine this process, run the function, send its answer; never return to the caller."""
    exit_code = 1
    try:
        _isolate(inlet, parent)
        _limit(run.limits)
        confine(run.readable, run.writable)
        _send(_answer(run.function), inlet)
        exit_code = 0
    finally:
        # No clean-up and no flush: both belong to the parent, of whom this is a copy.
        os._exit(exit_code)


def _isolate(inlet: int, parent: int) -> None:
    """Let go of what was the parent's: descriptors, signals, and life beyond its own."""
    die_with_parent(parent)
    gc.freeze()  # Collecting the parent's garbage would close descriptors that are ours by now.
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):  # Nothing to read; and hostile bytes write no line into our logs.
        os.dup2(nothing, standard)
    os.closerange(3, inlet)
    os.closerange(inlet + 1, os.sysconf("SC_OPEN_MAX"))
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    # A service manager or a terminal sends these to the whole group. What they mean for the work
    # in hand is the parent's to say; it ends us with SIGKILL.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _limit(limits: Limits) -> None:
    _set_limit(resource.RLIMIT_CORE, 0)
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


def _answer(function: Callable[[], Any]) -> bytes:
    """Call the function; give JSON of what became of it."""
    try:
        return json.dumps(["result", function()]).encode()
    except MemoryError:
        return b'["memory", null]'
    except BaseException:
        return json.dumps(["failed", traceback.format_exc()[-MAX_RESULT // 10 :]]).encode()


def _send(answer: bytes, inlet: int) -> None:
    while answer:
        answer = answer[os.write(inlet, answer) :]
