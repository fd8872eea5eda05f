import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.servers import wait_until
from webapp import sandbox
from webapp.sandbox import Crashed, Failed, Limits, OutOfMemory, SandboxError, TimedOut, run

ROOMY = Limits(
    memory_bytes=1_000_000_000, wall_seconds=30.0, cpu_seconds=30.0, file_bytes=10_000_000
)
HASTY = Limits(
    memory_bytes=1_000_000_000, wall_seconds=0.2, cpu_seconds=30.0, file_bytes=10_000_000
)


PROC = Path("/proc")


def wait_for_ever() -> None:
    while True:
        signal.pause()


def spin() -> None:
    while True:
        pass


def open_files() -> dict[int, str]:
    """Tell what each open descriptor leads to; that of the listing itself is closed by then."""
    paths = list(Path("/proc/self/fd").iterdir())
    return {int(path.name): os.readlink(path) for path in paths if path.is_symlink()}


def children() -> list[str]:
    """List the children that are ours: other tests' servers may run."""
    everybody = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [child for child in everybody if child not in OTHERS]


@pytest.fixture(autouse=True)
def others() -> Iterator[None]:
    OTHERS.update(children())
    yield
    OTHERS.clear()


OTHERS: set[str] = set()


@pytest.mark.parametrize(
    "value", [None, 0, "Käse", [1, 2.5, True], {"a": {"b": [None]}}, "x" * 500_000]
)
def test_result_comes_back(value: Any) -> None:
    assert run(lambda: value, ROOMY) == value


def test_function_runs_in_another_process() -> None:
    seen: list[int] = []

    def work() -> int:
        seen.append(1)
        return os.getpid()

    assert run(work, ROOMY) != os.getpid()
    assert seen == []


def test_wall_limit_kills() -> None:
    with pytest.raises(TimedOut, match=r"It took longer than 0\.2 s\.") as caught:
        run(wait_for_ever, HASTY)
    assert caught.value.seconds == 0.2
    assert children() == []


def test_cpu_limit_kills() -> None:
    limits = Limits(1_000_000_000, wall_seconds=20.0, cpu_seconds=1, file_bytes=0)
    with pytest.raises(TimedOut, match="It took longer than 1 s"):
        run(spin, limits)


def test_memory_limit_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemory, match="more than 1,000 MB"):
        run(lambda: len(bytearray(1_100_000_000)), ROOMY)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_death_by_signal_is_a_crash(number: int) -> None:
    with pytest.raises(Crashed, match=f"by signal {number:d}") as caught:
        run(lambda: os.kill(os.getpid(), number), ROOMY)
    assert caught.value.status == -number


def test_death_by_the_kernels_hand_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemory):
        run(lambda: os.kill(os.getpid(), signal.SIGKILL), ROOMY)


def test_exit_without_an_answer_is_a_crash() -> None:
    with pytest.raises(Crashed, match="with exit code 3"):
        run(lambda: os._exit(3), ROOMY)


def write_to_the_pipe(answer: bytes) -> Callable[[], None]:
    """Do what a child that hostile bytes took over could do: send anything."""

    def work() -> None:
        sandbox._send(answer, max(open_files()))
        os._exit(0)

    return work


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[",
        b"[]",
        b"7",
        b"\xff",
        b'{"result": 1}',
        b"[" * 100_000,
        b'["result", "' + b"x" * 2_000_000 + b'"]',
    ],
    ids=lambda answer: f"{answer[:15]!r}",
)
def test_forged_answer_is_a_crash(answer: bytes) -> None:
    with pytest.raises(Crashed):
        run(write_to_the_pipe(answer), ROOMY, readable=[PROC])


def test_child_that_hides_its_end_is_killed() -> None:
    def close_the_pipe_and_stay() -> None:
        os.closerange(3, 100)
        wait_for_ever()

    with pytest.raises(SandboxError):
        run(close_the_pipe_and_stay, ROOMY)
    assert children() == []


def test_file_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    def write(size: int) -> int:
        return (tmp_path / "file").write_bytes(bytes(size))

    assert run(lambda: write(10_000_000), ROOMY, writable=[tmp_path]) == 10_000_000
    with pytest.raises(Failed, match=r"OSError: .*File too large"):
        run(lambda: write(10_000_001), ROOMY, writable=[tmp_path])


def test_exception_is_a_failure_with_its_traceback() -> None:
    with pytest.raises(Failed, match=r"(?s)Traceback.*ZeroDivisionError"):
        run(lambda: 1 / 0, ROOMY)


def test_result_that_json_cannot_say_is_a_failure() -> None:
    with pytest.raises(Failed, match="not JSON serializable"):
        run(lambda: {1, 2}, ROOMY)


def test_every_verdict_has_its_code() -> None:
    codes = {error.code for error in SandboxError.__subclasses__()}
    assert codes == {"timed_out", "out_of_memory", "crashed"}
    assert not issubclass(Failed, SandboxError)


def test_on_wait_is_called_while_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_WAIT_SECONDS", 0.02)
    calls: list[int] = []
    with pytest.raises(TimedOut):
        run(wait_for_ever, HASTY, on_wait=lambda: calls.append(1))
    assert 1 <= len(calls) <= 10


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_no_child_is_left_when_on_wait_raises(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_WAIT_SECONDS", 0.02)

    def give_up() -> None:
        raise error

    with pytest.raises(error):
        run(wait_for_ever, ROOMY, on_wait=give_up)
    assert children() == []


def test_signal_in_the_parent_ends_the_child() -> None:
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(wait_for_ever, ROOMY)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert children() == []


def test_nothing_leaks_after_many_runs() -> None:
    before = len(open_files())
    for number in range(200):
        assert run(partial(abs, number), ROOMY) == number
    assert len(open_files()) == before
    assert children() == []


def test_descriptors_of_the_parent_are_closed_in_the_child(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w"), socket.socket():
        files = run(lambda: sorted(open_files().values()), ROOMY, readable=[PROC])
    assert files[:3] == ["/dev/null"] * 3
    assert [file.split(":")[0] for file in files[3:]] == ["pipe"]


def test_limits_are_set_in_the_child() -> None:
    def limits() -> list[int]:
        names = (resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU)
        return [resource.getrlimit(name)[0] for name in (*names, resource.RLIMIT_CORE)]

    assert run(limits, ROOMY) == [1_000_000_000, 10_000_000, 30, 0]


def test_signals_are_set_back_in_the_child() -> None:
    def state() -> list[bool]:
        return [
            signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL,
            signal.getsignal(signal.SIGTERM) == signal.SIG_IGN,
            signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set(),
        ]

    previous = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        assert run(state, ROOMY) == [True, True, True]
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def lives(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False


def test_child_dies_with_its_parent(tmp_path: Path) -> None:
    told = tmp_path / "process"
    script = f"""
import os, pathlib, signal
from webapp.sandbox import Limits, run
def work():
    pathlib.Path({str(told)!r}).write_text(str(os.getpid()))
    signal.pause()
run(work, Limits(10**9, 30, 30, 10**6), writable=[pathlib.Path({str(tmp_path)!r})])
"""
    parent = subprocess.Popen([sys.executable, "-c", script])
    wait_until(lambda: told.exists() and told.read_text() != "")
    child = int(told.read_text())
    assert lives(child)
    parent.kill()
    parent.wait()
    wait_until(lambda: not lives(child))
