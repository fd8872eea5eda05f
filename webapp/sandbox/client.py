"""Run a function in a confined child process: the caller's side.

Each caller starts a fork server of its own, `python -m <module>`, where the module calls
`server.serve`. The server has an empty environment and nothing of the caller's memory. It forks a
child ahead, which confines itself and waits. They exchange packets

    on the server's standard input, a socket:
        caller   FORK; END and the process id of a child that it killed
        server   the process id of a new child, with a socket to it
                 or of one that ended, its exit code or minus its signal, and its processor time
    on the socket to a child:
        child    READY
        caller   JSON of [request, limits], with the descriptors that the function gets
        child    CONTENT, the number of a file in 4 bytes, and what comes next in it; repeated
        child    ANSWER and JSON of [kind, value]; nothing if it ends without an answer

A child that answered may be kept for the next request of its group. Bytes that it worked on may
have taken it over, and it goes on while the caller reads. So it gets no file to write: the caller
writes what it sends. It may also leave requests unread, or answer before it is asked: it has
crashed then, and no call on its socket blocks the caller.
"""

import atexit
import fcntl
import json
import logging
import math
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

logger = logging.getLogger(__name__)

# Both sides keep these.
MAX_REQUEST = 100_000  # Bytes of JSON. The longest recipe of 200 outputs has 74,000.
MAX_DESCRIPTORS = 2  # An original, and what one trial composed for the next.
MAX_ANSWER = 100_000  # Bytes of JSON. More than any honest answer; the sender is not trusted.
MAX_CONTENT = 1 << 16  # Bytes of a file in one packet.
MAX_TRACEBACK = 10_000  # Characters.
FORK, END = b"f", b"e"  # The first byte of the caller's packets to the server.
READY, CONTENT, ANSWER = b"r", b"c", b"a"  # And of a child's to the caller.
FILE_NUMBER = struct.Struct(">I")

# A child is kept for so many runs, and for so long. A new one costs 5 ms of a processor more than
# a kept one, so a higher number would save little; and a child that was taken over ends sooner.
MAX_RUNS = 50
MAX_LIFE_SECONDS = 60.0
IDLE_SECONDS = 2.0  # While it waits, it holds the memory of its largest image.

_TRIES = 3  # To find a server or a child that was not killed meanwhile.
# From the end of a child's socket to its own, while the kernel frees its memory.
_EXIT_SECONDS = 1.0
_EXIT_STEP_SECONDS = 0.002  # Between two looks whether it ended.
_WAIT_SECONDS = 1.0  # Between two calls of on_wait.
_SERVER_SECONDS = 20.0  # For a server to start or to answer; these take 0.2 s and 0.001 s.
_LARGEST_PACKET = max(1 + MAX_ANSWER, 1 + FILE_NUMBER.size + MAX_CONTENT)
# All but the real-time ones, for which Python has no names and nothing here a handler.
_SIGNALS = [number for number in signal.valid_signals() if isinstance(number, signal.Signals)]
_ROOT = Path(__file__).parents[2]  # Where `python -m` finds the module.
# The variables that the server inherits: how the C library allocates memory.
_ALLOCATOR = ("MALLOC_", "GLIBC_TUNABLES")


@dataclass(frozen=True)
class RunLimits:
    """Limit a child and its runs."""

    memory_bytes: int  # The address space of the child, in all its runs.
    wall_seconds: float  # Of each run.
    cpu_seconds: float  # Of all its runs together.
    file_bytes: int  # What a run sends for each file.


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
    """The function raised, the server ended, or the child was killed.

    The message is for the log. Not a SandboxError: the fault is in the program or the machine, not
    in the request.
    """


@dataclass
class _Child:
    """A child: its process id, the socket to it, and what it did."""

    pid: int
    channel: socket.socket
    group: str | None = None
    limits: RunLimits | None = None
    runs: int = 0
    first_use: float = 0.0  # By time.monotonic().
    last_use: float = 0.0
    end: tuple[int, float] | None = None  # Its exit code or minus its signal; processor time.

    @property
    def is_worn(self) -> bool:
        """True if it had enough runs or time."""
        age = time.monotonic() - self.first_use
        return self.runs >= MAX_RUNS or age >= MAX_LIFE_SECONDS


class _Waits:
    """The waits of one run, which call its `on_wait` about once a second.

    They share a clock: a child that sends something now and then holds up no call.
    """

    def __init__(self, on_wait: Callable[[], None] | None) -> None:
        self._on_wait = on_wait
        self._next_call = time.monotonic() + _WAIT_SECONDS

    def wait(self, source: socket.socket, deadline: float) -> None:
        """Wait until there is something to read, or the other side ended.

        Raises TimeoutError.
        """
        poll = select.poll()
        poll.register(source, select.POLLIN)
        while True:
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError
            if now >= self._next_call:
                self._next_call = now + _WAIT_SECONDS
                if self._on_wait:
                    self._on_wait()
            if poll.poll(math.ceil((min(deadline, self._next_call) - now) * 1000)):
                return


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
        self._spare: _Child | None = None  # Received while another message was awaited.
        self._kept: _Child | None = None
        self._control.send(FORK)
        atexit.register(self.stop)

    def stop(self) -> None:
        """Kill the server; its children end with it."""
        if self._pid != os.getpid():
            return
        self._pid = 0
        atexit.unregister(self.stop)
        for child in (self._spare, self._kept):
            if child:
                child.channel.close()
        self._control.close()
        self._process.kill()
        self._process.wait()

    def kept_status(self) -> dict[str, str]:
        """Return what the kernel says of the kept child, or nothing if there is none.

        The fields are those of /proc/<pid>/status.
        """
        if self._pid != os.getpid() or not self._kept:
            return {}
        lines = Path(f"/proc/{self._kept.pid}/status").read_text(errors="replace").splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)

    def end_idle(self) -> None:
        """End the kept child if its group had no work for a while.

        Call this now and then.
        """
        if self._pid == os.getpid() and self._kept:
            is_idle = time.monotonic() - self._kept.last_use >= IDLE_SECONDS
            if is_idle or self._kept.is_worn:
                with _signals_held():
                    self._end_kept()

    def run(
        self,
        request: Any,
        descriptors: Sequence[int],
        limits: RunLimits,
        on_wait: Callable[[], None] | None = None,
        *,
        files: Mapping[int, IO[bytes]] = MappingProxyType({}),
        read: Callable[[Any], Any] = lambda result: result,
        group: str | None = None,
    ) -> Any:
        """Call the server's function in a child process, and return `read` of its result.

        The function gets the request, which must be JSON, and the open descriptors. What it writes
        into a file by its number, this process writes into `files`. If the kernel supports it, the
        function reaches no other file, process or network. `on_wait` is called about once a second
        meanwhile.

        The result is only as trustworthy as the bytes that the child worked on. Without a group,
        the child is new, and is killed afterwards. With one, it may have worked for the group
        before, and all its runs together have the processor time and the memory of `limits`. If it
        fails then, or `read` raises, a new child repeats the request: no error comes of an earlier
        run. Raises SandboxError, Failed (with the traceback if the function raised), what `read` or
        `on_wait` raises, or OSError if a file cannot be written.
        """
        message = json.dumps([request, asdict(limits)]).encode()
        if len(message) > MAX_REQUEST:
            raise ValueError(f"A request of {len(message)} bytes is too long.")
        if len(descriptors) > MAX_DESCRIPTORS:
            raise ValueError(f"{len(descriptors)} descriptors are too many.")
        waits = _Waits(on_wait)
        for _ in range(_TRIES):
            with self._child_at_work(group, limits, waits) as child:
                error: Exception | None = None
                try:
                    if not child.runs:
                        self._await_ready(child, waits)
                    _send_request(child.channel, message, descriptors)
                    result = self._receive(child, limits, files, waits)
                    _check_all_read(child.channel)
                except ConnectionError:  # The child ended before it read the request.
                    pass
                except (SandboxError, Failed) as caught:
                    error = caught
                else:
                    try:
                        result = read(result)
                    except Exception as caught:
                        error = caught
                    else:
                        child.runs += 1
                        child.last_use = time.monotonic()
                        return result
                if error and not child.runs:
                    raise error
                if child.runs:
                    if isinstance(error, ChildCrashed):  # It may have been taken over.
                        logger.warning("replaced a child after run %d: %r", child.runs, error)
                    # The next one reads from the same place of the files. A look at a message takes
                    # its descriptors but leaves it unread.
                    with suppress(Failed):  # Its server ended, and so did the child.
                        self._end(child)
            _rewind(descriptors, files)
        raise Failed("Each child ended before it read its request.")

    @contextmanager
    def _child_at_work(
        self, group: str | None, limits: RunLimits, waits: _Waits
    ) -> Iterator[_Child]:
        """Give the block a child; keep it if it did a run, and end it otherwise.

        A new one is replaced when it ends its run, not while the processor is busy with that.
        """
        with _signals_held():
            child = self._take_kept(group, limits)
        is_new = child is None
        try:
            if child is None:
                self._wait_for_child(waits)
                with _signals_held():
                    child = self._take_child()
                    child.group, child.limits, child.first_use = group, limits, time.monotonic()
            runs = child.runs
            yield child
        finally:
            with _signals_held():
                if child and is_new and self._pid == os.getpid():
                    with suppress(OSError):
                        self._control.send(FORK)
                if child and child.runs > runs and group is not None and not child.is_worn:
                    self._kept = child
                elif child:
                    self._kill(child)

    def _take_kept(self, group: str | None, limits: RunLimits) -> _Child | None:
        """Return the kept child if it may work for a group; end it otherwise."""
        if self._pid != os.getpid() or not self._kept:
            return None
        child = self._kept
        is_same = group is not None and (child.group, child.limits) == (group, limits)
        if is_same and not child.is_worn:
            self._kept = None
            return child
        self._end_kept()
        return None

    def _end_kept(self) -> None:
        child, self._kept = self._kept, None
        if child:
            self._kill(child)

    def _wait_for_child(self, waits: _Waits) -> None:
        """Wait until the next child is there or the server ended.

        Raises Failed if neither happens in time.
        """
        with _signals_held():
            self.start()
        if self._spare:
            return
        try:
            waits.wait(self._control, time.monotonic() + _SERVER_SECONDS)
        except TimeoutError:
            self.stop()
            raise Failed(f"python -m {self._module} hangs.") from None

    def _take_child(self) -> _Child:
        """Receive the next child.

        Starts the server again if it was killed. Raises Failed if it does not start.
        """
        for _ in range(_TRIES):
            self.start()
            if self._process.poll() is None:  # Else its children ended with it.
                with suppress(OSError):
                    while not self._spare and self._hear():
                        pass
                    if child := self._spare:
                        self._spare = None
                        return child
            self.stop()
        raise Failed(f"python -m {self._module} ended without a child.")

    def _await_ready(self, child: _Child, waits: _Waits) -> None:
        """Wait until a child is confined.

        Raises Failed, or ConnectionError if it was killed.
        """
        try:
            waits.wait(child.channel, time.monotonic() + _SERVER_SECONDS)
        except TimeoutError:
            self.stop()
            raise Failed("A child hangs before its request.") from None
        message = child.channel.recv(MAX_ANSWER)
        if not message:
            raise ConnectionError
        if message != READY:
            raise Failed(f"A child was not ready. {message.decode()}")

    def _receive(
        self,
        child: _Child,
        limits: RunLimits,
        files: Mapping[int, IO[bytes]],
        waits: _Waits,
    ) -> Any:
        """Write the files that a child sends, and return the result that it answers.

        Raises SandboxError or Failed, ConnectionError if it ended before it read its request,
        or OSError of a file.
        """
        deadline = time.monotonic() + limits.wall_seconds
        sizes = dict.fromkeys(files, 0)
        while True:
            try:
                waits.wait(child.channel, deadline)
            except TimeoutError:
                raise ChildTimedOut(limits.wall_seconds) from None
            packet = child.channel.recv(_LARGEST_PACKET + 1)
            if packet[:1] == ANSWER and len(packet) <= _LARGEST_PACKET:
                for file in files.values():
                    file.flush()
                return _read_answer(packet[1:], limits)
            if not packet:
                raise self._explain(child, limits)
            number, content = _read_content(packet)
            if number not in sizes or sizes[number] + len(content) > limits.file_bytes:
                raise ChildCrashed(-signal.SIGKILL)
            sizes[number] += len(content)
            files[number].write(content)

    def _explain(self, child: _Child, limits: RunLimits) -> Exception:
        """Return the error of a child that ended without an answer."""
        # A child that goes on closed its socket, which our program never does.
        has_ended = _has_ended(child.pid)
        status, cpu_seconds = self._end(child)
        if status == -signal.SIGXCPU or (
            status == -signal.SIGKILL and cpu_seconds >= limits.cpu_seconds
        ):
            return ChildTimedOut(limits.cpu_seconds)
        if status == -signal.SIGKILL and has_ended:
            return Failed("A child was killed, by the kernel for want of memory or by an operator.")
        if status < 0 and status != -signal.SIGKILL:
            # All children share one memory layout. Replace it, or crashes would reveal it.
            self.stop()
        return ChildCrashed(status)

    def _end(self, child: _Child) -> tuple[int, float]:
        """End a child; return its exit code or minus its signal, and its processor time."""
        with _signals_held():
            self._kill(child)
            with suppress(OSError):
                while not child.end and (message := self._hear()):
                    pid, *end = message.split()
                    if end and int(pid) == child.pid:
                        child.end = int(end[0]), float(end[1])
            if child.end:
                return child.end
            self.stop()  # Its children end with it.
        raise Failed(f"python -m {self._module} ended.")

    def _kill(self, child: _Child) -> None:
        """Kill a child, unless that was done; its server will reap it.

        The server has not reaped it yet, so no other process has its number.
        """
        if child.channel.fileno() < 0:
            return
        child.channel.close()
        if self._pid == os.getpid() and self._process.poll() is None:  # Else it ended with it.
            os.kill(child.pid, signal.SIGKILL)
            with suppress(OSError):
                self._control.send(END + str(child.pid).encode())

    def _hear(self) -> bytes:
        """Receive a packet of the server, and keep the child in it; empty if it ended."""
        message, descriptors, _, _ = socket.recv_fds(self._control, 100, 1)
        if descriptors:
            channel = socket.socket(fileno=descriptors[0])
            channel.setblocking(False)  # Only `_Waits` waits for a child: within its limits.
            self._spare = _Child(int(message), channel)
        return message


@contextmanager
def _signals_held() -> Iterator[None]:
    """Block signals while one would make us lose track of the child."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # It may raise what arrived before.
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _has_ended(pid: int) -> bool:
    """Wait for a child whose socket is closed; return whether it ended.

    Reads its status: old kernels, and the filters of some containers, refuse pidfd_open.
    """
    deadline = time.monotonic() + _EXIT_SECONDS
    while True:
        try:
            status = Path(f"/proc/{pid}/status").read_bytes()
        except (FileNotFoundError, ProcessLookupError):  # Its server ended too: it was reaped.
            return True
        # The first thread of a process is a zombie while others go on.
        if b"\nState:\tZ" in status and b"\nThreads:\t1\n" in status:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_EXIT_STEP_SECONDS)


def _send_request(channel: socket.socket, message: bytes, descriptors: Sequence[int]) -> None:
    """Send a request to a child that waits for it.

    Raises ChildCrashed if it sent something before, or this request has no room; ConnectionError
    if it ended.
    """
    with suppress(BlockingIOError):  # There is nothing to read.
        if channel.recv(1, socket.MSG_PEEK):
            raise ChildCrashed(-signal.SIGKILL)
        raise ConnectionError
    try:
        socket.send_fds(channel, [message], descriptors)
    except BlockingIOError:
        raise ChildCrashed(-signal.SIGKILL) from None


def _check_all_read(channel: socket.socket) -> None:
    """Raise ChildCrashed if a child answered without reading its request."""
    (unread,) = struct.unpack("i", fcntl.ioctl(channel, termios.TIOCOUTQ, bytes(4)))
    if unread:
        raise ChildCrashed(-signal.SIGKILL)


def _read_content(packet: bytes) -> tuple[int, bytes]:
    """Return the number of a file and what comes next in it. Raises ChildCrashed."""
    start = 1 + FILE_NUMBER.size
    if packet[:1] != CONTENT or not start < len(packet) <= start + MAX_CONTENT:
        raise ChildCrashed(-signal.SIGKILL)
    return FILE_NUMBER.unpack(packet[1:start])[0], packet[start:]


def _read_answer(answer: bytes, limits: RunLimits) -> Any:
    """Return the result in an answer, or raise the error in it."""
    try:
        # JSON, never pickle: a child that hostile bytes took over could send code in a pickle.
        kind, value = json.loads(answer)
    except (ValueError, TypeError, RecursionError):
        raise ChildCrashed(-signal.SIGKILL) from None
    if kind == "result":
        return value
    if kind == "memory":
        raise ChildOutOfMemory(limits.memory_bytes)
    if kind != "failed" or not isinstance(value, str) or len(value) > MAX_TRACEBACK:
        raise ChildCrashed(-signal.SIGKILL)
    raise Failed(value)


def _rewind(descriptors: Iterable[int], files: Mapping[int, IO[bytes]]) -> None:
    """Undo what a child did to its files: it read from some, and sent for others."""
    for descriptor in descriptors:
        os.lseek(descriptor, 0, os.SEEK_SET)
    for file in files.values():
        file.seek(0)
        file.truncate()
