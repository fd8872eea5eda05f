"""Run a function in a confined child process: the caller's side.

Each caller starts a fork server of its own, `python -m <module>`, where the module calls
`server.serve`. The server has an empty environment and nothing of the caller's memory, and keeps
one child ready. The two exchange

    on the server's standard input, a socket of packets:
        server   the process id of a child that is ready, with a socket to it
        caller   NEXT: it has killed the child
        server   the child's exit code or minus its signal; then the next child
    on the socket to a child:
        caller   JSON of [request, limits], with the descriptors that the function gets
        child    JSON of [kind, value]; nothing if it ends without an answer
"""

import atexit
import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Both sides keep these.
MAX_REQUEST = 100_000  # Bytes of JSON. A recipe of 200 outputs has half of that.
MAX_DESCRIPTORS = 250  # The kernel passes 253 at a time.
MAX_ANSWER = 100_000  # Bytes of JSON. More than any honest answer; the sender is not trusted.
MAX_TRACEBACK = 10_000  # Characters.
NEXT = b"next"

_TRIES = 3  # To find a server or a child that was not killed meanwhile.
_WAIT_SECONDS = 1.0  # Between two calls of on_wait.
_SERVER_SECONDS = 20.0  # For a server to start or to answer; these take 0.2 s and 0.001 s.
_ROOT = Path(__file__).parents[2]  # Where `python -m` finds the module.
# The variables that the server inherits: how the C library allocates memory.
_ALLOCATOR = ("MALLOC_", "GLIBC_TUNABLES")


@dataclass(frozen=True)
class RunLimits:
    """Limit one run: its address space, time, and each file it writes."""

    memory_bytes: int
    wall_seconds: float
    cpu_seconds: float
    file_bytes: int


class SandboxError(Exception):
    """The function was stopped before it returned; the message says why."""

    code: str


class ChildTimedOut(SandboxError):
    """The child exceeded its time limit."""

    code = "timed_out"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"It took longer than {seconds:g} s.")
        self.seconds = seconds


class ChildOutOfMemory(SandboxError):
    """The child exceeded its memory limit."""

    code = "out_of_memory"

    def __init__(self, memory_bytes: int) -> None:
        super().__init__(f"It needed more than {memory_bytes / 1e6:,.0f} MB of memory.")
        self.memory_bytes = memory_bytes


class ChildCrashed(SandboxError):
    """The child ended without a valid answer.

    `status` is its exit code or minus its signal.
    """

    code = "crashed"

    def __init__(self, status: int) -> None:
        how = f"by signal {-status}" if status < 0 else f"with exit code {status}"
        super().__init__(f"It ended unexpectedly, {how}.")
        self.status = status


class Failed(Exception):
    """The function raised, or the server ended; the message is for the log.

    Not a SandboxError: the fault is in the program or the machine, not in the request.
    """


class ForkServer:
    """Start the fork server of a module, and run its function in children.

    Each process that calls `run` starts a server of its own. It must have a single thread: the
    children end with the thread that started the server.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._pid = 0  # Of the process that started the server; a fork of it has no server.

    def start(self) -> None:
        """Start the server, unless it is running."""
        if self._pid == os.getpid():
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, str(os.getpid())],
                cwd=_ROOT,
                env={k: v for k, v in os.environ.items() if k.startswith(_ALLOCATOR)},
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
            )
        ours.settimeout(_SERVER_SECONDS)
        self._control, self._pid = ours, os.getpid()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Kill the server; its child ends with it."""
        if self._pid != os.getpid():
            return
        self._pid = 0
        atexit.unregister(self.stop)
        self._control.close()
        self._process.kill()
        self._process.wait()

    def run(
        self,
        request: Any,
        descriptors: Iterable[int],
        limits: RunLimits,
        on_wait: Callable[[], None] | None = None,
    ) -> Any:
        """Call the server's function in a child process and return its result.

        The function gets the request, which must be JSON, and the open descriptors. If the kernel
        supports it, it reaches no other file, process or network. `on_wait` is called about once a
        second meanwhile. The child has ended when this returns, also when `on_wait` raises or an
        interrupt arrives. The result is only as trustworthy as the bytes that the child worked on.
        Raises SandboxError, or Failed with the traceback if the function raised.
        """
        message = json.dumps([request, asdict(limits)]).encode()
        if len(message) > MAX_REQUEST:
            raise ValueError(f"A request of {len(message)} bytes is too long.")
        for _ in range(_TRIES):
            run: _Run | None = None
            try:
                self._wait_for_child(on_wait)
                with _signals_held():
                    run = self._take_child()
                socket.send_fds(run.channel, [message], list(descriptors))
                answer = _read_answer(run.channel, limits, on_wait)
            except ConnectionError:  # The child was killed before it read the request.
                continue
            finally:
                with _signals_held():
                    status = self._end(run) if run else 0
            if status < 0 and status != -signal.SIGKILL:
                # All children share one memory layout. Replace it, or crashes would reveal it.
                self.stop()
            return _read_result(answer, status, limits)
        raise Failed("Each child was killed before it read its request.")

    def _wait_for_child(self, on_wait: Callable[[], None] | None) -> None:
        """Wait until the next child is ready or the server ended.

        Raises Failed if neither happens in time.
        """
        with _signals_held():
            self.start()
        try:
            _wait(self._control, _SERVER_SECONDS, on_wait)
        except ChildTimedOut:
            self.stop()
            raise Failed(f"python -m {self._module} hangs.") from None

    def _take_child(self) -> "_Run":
        """Receive the next child; start the server again if it was killed.

        Raises Failed if the server does not start.
        """
        for _ in range(_TRIES):
            self.start()
            message: bytes = b""
            descriptors: list[int] = []
            if self._process.poll() is None:  # Else its child ended with it.
                with suppress(OSError):
                    message, descriptors, _, _ = socket.recv_fds(self._control, 20, 1)
            if message:
                return _Run(int(message), socket.socket(fileno=descriptors[0]))
            self.stop()
        raise Failed(f"python -m {self._module} ended without a child.")

    def _end(self, run: "_Run") -> int:
        """Kill a child and return its exit code or minus its signal.

        A child that answered is killed too: it may have threads that go on. The server has not
        reaped it yet, so no other process has its number.
        """
        run.channel.close()
        status = b""
        if self._process.poll() is None:  # Else its child ended with it.
            os.kill(run.child, signal.SIGKILL)
            with suppress(OSError):
                self._control.send(NEXT)
                status = self._control.recv(20)
        if not status:
            self.stop()  # Its children end with it.
            raise Failed(f"python -m {self._module} ended.")
        return int(status)


@dataclass(frozen=True)
class _Run:
    """A working child: its process id and the socket to it."""

    child: int
    channel: socket.socket


@contextmanager
def _signals_held() -> Iterator[None]:
    """Block signals while one would make us lose track of the child."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _read_answer(
    channel: socket.socket, limits: RunLimits, on_wait: Callable[[], None] | None
) -> bytes:
    """Read what the child sends; empty if it ends without an answer.

    Raises ChildTimedOut, or ChildCrashed if it sends more than an honest child would.
    """
    _wait(channel, limits.wall_seconds, on_wait)
    answer = channel.recv(MAX_ANSWER + 1)
    if len(answer) > MAX_ANSWER:
        raise ChildCrashed(-signal.SIGKILL)
    return answer


def _wait(source: socket.socket, seconds: float, on_wait: Callable[[], None] | None) -> None:
    """Wait until there is something to read or the other side ended.

    Raises ChildTimedOut.
    """
    deadline = time.monotonic() + seconds
    next_wait = time.monotonic() + _WAIT_SECONDS
    poll = select.poll()
    poll.register(source, select.POLLIN)
    while True:
        now = time.monotonic()
        if now >= deadline:
            raise ChildTimedOut(seconds)
        if now >= next_wait:
            next_wait = now + _WAIT_SECONDS
            if on_wait:
                on_wait()
        if poll.poll(math.ceil((min(deadline, next_wait) - now) * 1000)):
            return


def _read_result(answer: bytes, status: int, limits: RunLimits) -> Any:
    """Return the result in an answer, or raise the error in it."""
    if status == -signal.SIGXCPU:
        raise ChildTimedOut(limits.cpu_seconds)
    try:
        # JSON, never pickle: a child that hostile bytes took over could send code in a pickle.
        kind, value = json.loads(answer)
    except (ValueError, TypeError, RecursionError):
        if status == -signal.SIGKILL and not answer:  # The kernel ran out of memory and killed it.
            raise ChildOutOfMemory(limits.memory_bytes) from None
        raise ChildCrashed(status) from None
    if kind == "result":
        return value
    if kind == "memory":
        raise ChildOutOfMemory(limits.memory_bytes)
    if kind != "failed" or not isinstance(value, str) or len(value) > MAX_TRACEBACK:
        raise ChildCrashed(status)
    raise Failed(value)
