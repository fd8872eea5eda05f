"""What a child that hostile bytes took over can still ask of the kernel: next to nothing."""

import errno
import platform
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from webapp import ROOT, confinement
from webapp.confinement import LANDLOCK
from webapp.sandbox import ForkServer, Limits

LIMITS = Limits(
    memory_bytes=1_000_000_000, wall_seconds=10.0, cpu_seconds=10.0, file_bytes=1_000_000
)

needs_seccomp = pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="the filter is written for x86_64 and aarch64",
)

# uretprobe and uprobe of x86_64, which the kernel never filters: only its own code may call them.
PROBES = {335, 336}

Attack = Callable[[str], Any]


@pytest.fixture(scope="module")
def attack() -> Iterator[Attack]:
    """Run code in a child that was taken over; give what it answers."""
    server = ForkServer("tests.attacker")
    yield lambda code: server.run(code, [], LIMITS)
    server.stop()


def numbers_of(calls: dict[str, tuple[int, int]]) -> dict[str, int]:
    column = ["x86_64", "aarch64"].index(platform.machine())
    return {name: numbers[column] for name, numbers in calls.items()}


def allowed_numbers() -> set[int]:
    """List the calls that the filter allows, whatever their arguments are or with some of them."""
    column = ["x86_64", "aarch64"].index(platform.machine())
    some = [call[0] for call in confinement._ALLOWED_WITH.values()]
    every = [*confinement._ALLOWED_CALLS.values(), *some, confinement._CLONE]
    return {call[column] for call in every}


@needs_seccomp
def test_every_other_system_call_is_refused(attack: Attack) -> None:
    others = sorted(set(range(600)) - allowed_numbers() - PROBES)
    answers = attack(f"answer = [[n, -syscall(n, 0, 0, 0, 0, 0, 0)] for n in {others}]")
    refused = {number: errno.errorcode[answer] for number, answer in answers}
    assert refused.pop(confinement._CLONE3[0]) == "ENOSYS"  # The C library takes clone then.
    assert set(refused.values()) == {"EPERM"}
    assert len(refused) > 500


@needs_seccomp
@pytest.mark.parametrize(
    "name",
    [
        *("openat", "stat", "newfstatat", "statx", "chmod", "fchmod", "fchmodat", "chown"),
        *("utimensat", "setxattr", "link", "symlink", "mkdir", "rename", "unlink", "mknod"),
        *("execve", "fork", "vfork", "kill", "tgkill", "ptrace", "process_vm_readv", "pidfd_open"),
        *("socket", "socketpair", "connect", "sendmsg", "sendto", "io_uring_setup"),
        *("inotify_init1", "fanotify_init", "keyctl", "add_key", "request_key", "unshare", "setns"),
        *("userfaultfd", "bpf", "perf_event_open", "memfd_create", "shmget", "msgget", "semget"),
        *("mq_open", "mount", "chroot", "sethostname", "setpriority", "sched_setaffinity", "ioctl"),
        *("ioprio_set", "personality", "ftruncate", "fallocate", "setuid", "capset", "seccomp"),
    ],
)
def test_call_is_not_on_the_list(name: str) -> None:
    assert name not in confinement._ALLOWED_CALLS | confinement._ALLOWED_WITH


@needs_seccomp
@pytest.mark.skipif(platform.machine() != "x86_64", reason="it has a second ABI")
def test_calls_of_another_abi_are_refused(attack: Attack) -> None:
    assert attack("answer = syscall(0x40000000, 0, 0, 0)") == -1


@needs_seccomp
@pytest.mark.parametrize(
    "code",
    [
        "syscall({clone}, signal.SIGCHLD)",  # A process, not a thread.
        "syscall({prlimit64}, os.getppid(), resource.RLIMIT_CORE)",
        "syscall({prctl}, 1, 0)",  # PR_SET_PDEATHSIG: to outlive the server.
        "syscall({prctl}, 4, 1)",  # PR_SET_DUMPABLE
        "syscall({fcntl}, channel, 8, os.getppid())",  # F_SETOWN: whom a signal goes to.
        "syscall({fcntl}, channel, 1026, 1)",  # F_NOTIFY
    ],
)
def test_argument_that_reaches_others_is_refused(attack: Attack, code: str) -> None:
    numbers = {
        "clone": confinement._CLONE,
        **{name: call[0] for name, call in confinement._ALLOWED_WITH.items()},
    }
    assert attack(f"answer = {code.format(**numbers_of(numbers))}") == -1


def test_decoders_may_start_threads(attack: Attack) -> None:
    code = """
ran = threading.Event()
thread = threading.Thread(target=ran.set)
thread.start()
thread.join()
answer = ran.is_set()
"""
    assert attack(code) is True


def test_threads_are_not_endless(attack: Attack) -> None:
    code = """
threading.stack_size(65536)
answer = 0
try:
    while answer < 3000:
        threading._start_new_thread(time.sleep, (60,))
        answer += 1
except RuntimeError:
    pass
"""
    assert attack(code) < 1100


def test_limits_can_be_lowered_and_not_raised(attack: Attack) -> None:
    code = """
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
try:
    resource.setrlimit(resource.RLIMIT_NOFILE, (21, 21))
except ValueError as error:
    answer = str(error)
"""
    assert attack(code) == "not allowed to raise maximum limit"


@pytest.mark.skipif(LANDLOCK < 1, reason="needs a kernel with Landlock")
def test_landlock_alone_denies_every_path() -> None:
    """It stands behind the filter, for architectures that the filter is not written for."""
    script = """
import os, sys
from webapp import ROOT, confinement
confinement._PROGRAM = None
confinement.confine()
for action in (lambda: open("/etc/hostname"), lambda: os.listdir("/"), lambda: open("/tmp/x", "w")):
    try:
        action()
    except PermissionError:
        print("denied")
"""
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["denied"] * 3


def test_child_of_root_is_nobody_and_has_no_capability() -> None:
    """As its status says in the eyes of its server: the child itself can no longer ask."""
    server = ForkServer("tests.attacker")
    server.run("", [], LIMITS)
    select.select([server._control], [], [], 20)
    pid = server._process.pid
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    status = dict(
        line.split(":\t") for line in Path(f"/proc/{child}/status").read_text().splitlines()
    )
    server.stop()
    assert {status[name] for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert "0" not in status["Uid"].split()
