"""What a decoder that hostile bytes took over can still do: nothing to others."""

import ctypes
import importlib
import os
import platform
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from webapp.confinement import LANDLOCK
from webapp.sandbox import Limits, run

LIMITS = Limits(
    memory_bytes=1_000_000_000, wall_seconds=10.0, cpu_seconds=10.0, file_bytes=1_000_000
)


def needs_landlock(version: int) -> pytest.MarkDecorator:
    return pytest.mark.skipif(version > LANDLOCK, reason=f"needs a kernel with Landlock {version}")


needs_seccomp = pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="the filter is written for x86_64 and aarch64",
)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A source, a folder for what is made of it, and somebody else's secret."""
    source, folder, secret = tmp_path / "source", tmp_path / "folder", tmp_path / "secret"
    source.write_text("source")
    folder.mkdir()
    secret.write_text("secret")
    return source, folder, secret


def outcome(action: Callable[[], Any]) -> str:
    """Do something; say what came of it."""
    try:
        return str(action())
    except OSError as error:
        return type(error).__name__


LIBC = ctypes.CDLL(None, use_errno=True)
IO_URING_SETUP = 425  # The same on every architecture; the C library has no function for it.


def checked(answer: int) -> int:
    """Raise what Python raises where a function of the C library fails."""
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer


def confined(action: Callable[[], Any], source: Path, folder: Path) -> Any:
    return run(lambda: outcome(action), LIMITS, readable=[source], writable=[folder])


def test_source_is_read_and_folder_is_written(files: tuple[Path, Path, Path]) -> None:
    source, folder, _ = files

    def work() -> str:
        (folder / "made").write_text(source.read_text())
        (folder / "draft").touch()
        (folder / "draft").unlink()
        return (folder / "made").read_text()

    assert confined(work, source, folder) == "source"


def test_decoders_may_start_threads(files: tuple[Path, Path, Path]) -> None:
    def work() -> str:
        ran = threading.Event()
        thread = threading.Thread(target=ran.set)
        thread.start()
        thread.join()
        return str(ran.is_set())

    assert confined(work, *files[:2]) == "True"


def test_module_that_is_imported_late_is_found(files: tuple[Path, Path, Path]) -> None:
    late = "wave"  # Which nothing here has any use for.
    assert late not in sys.modules
    assert confined(lambda: importlib.import_module(late).__name__, *files[:2]) == late


@needs_landlock(1)
@pytest.mark.parametrize(
    "action",
    [
        lambda source, folder, secret: secret.read_text(),
        lambda source, folder, secret: (folder / ".." / "secret").read_text(),
        lambda source, folder, secret: os.listdir(secret.parent),
        lambda source, folder, secret: source.write_text("other"),
        lambda source, folder, secret: source.unlink(),
        lambda source, folder, secret: (secret.parent / "new").touch(),
        lambda source, folder, secret: (folder / "link").symlink_to(secret),
        lambda source, folder, secret: Path(f"/proc/{os.getppid()}/environ").read_text(),
        lambda source, folder, secret: Path("/etc/passwd").read_text(),
        lambda source, folder, secret: os.execv("/bin/true", ["true"]),
    ],
    ids=["read", "climb", "list", "write", "remove", "create", "link", "environ", "system", "run"],
)
def test_no_other_file_is_within_reach(
    files: tuple[Path, Path, Path], action: Callable[[Path, Path, Path], Any]
) -> None:
    source, folder, secret = files
    assert confined(lambda: action(source, folder, secret), source, folder) == "PermissionError"
    assert (source.read_text(), secret.read_text()) == ("source", "secret")


@needs_landlock(6)
def test_no_other_process_gets_a_signal(files: tuple[Path, Path, Path]) -> None:
    kill = lambda: os.kill(os.getppid(), signal.SIGUSR2)  # noqa: E731
    assert confined(kill, *files[:2]) == "PermissionError"


@needs_seccomp
@pytest.mark.parametrize(
    "action",
    [
        os.fork,
        lambda: subprocess.run(["/bin/true"]),
        lambda: os.execv("/bin/true", ["true"]),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        lambda: socket.socket(socket.AF_UNIX),
        socket.socketpair,
        lambda: checked(LIBC.syscall(IO_URING_SETUP, 1, bytes(120))),
    ],
    ids=["fork", "spawn", "exec", "tcp", "udp", "unix", "pair", "io_uring"],
)
def test_no_process_and_no_socket_is_made(
    files: tuple[Path, Path, Path], action: Callable[[], Any]
) -> None:
    assert confined(action, *files[:2]) == "PermissionError"


CORE = resource.RLIMIT_CORE


# What its user may do to the worker unconfined. Each would change nothing.
@needs_seccomp
@pytest.mark.parametrize(
    "action",
    [
        lambda pid: resource.prlimit(pid, CORE, resource.prlimit(pid, CORE)),
        lambda pid: os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid)),
        lambda pid: os.sched_setaffinity(pid, os.sched_getaffinity(pid)),
        lambda pid: os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0)),
        lambda pid: os.sched_setparam(pid, os.sched_param(0)),
    ],
    ids=["limits", "priority", "cores", "scheduler", "parameters"],
)
def test_worker_is_not_changed(
    files: tuple[Path, Path, Path], action: Callable[[int], Any]
) -> None:
    assert outcome(lambda: action(os.getpid())) != "PermissionError"
    assert confined(lambda: action(os.getppid()), *files[:2]) == "PermissionError"


@needs_seccomp
def test_own_limits_can_be_read_and_lowered(files: tuple[Path, Path, Path]) -> None:
    def work() -> tuple[int, int]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
        return resource.getrlimit(resource.RLIMIT_NOFILE)

    assert confined(work, *files[:2]) == "(20, 20)"


@needs_seccomp
@pytest.mark.parametrize("name", ["shmget", "msgget", "semget"])
def test_nothing_is_made_that_outlives_the_process(
    files: tuple[Path, Path, Path], name: str
) -> None:
    size = {"shmget": [4096], "semget": [1]}.get(name, [])

    def make() -> int:
        return checked(getattr(LIBC, name)(0, *size, 0o600))  # IPC_PRIVATE: always a new one.

    assert confined(make, *files[:2]) == "PermissionError"
