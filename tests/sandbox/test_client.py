import os
import platform
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import wait_until
from webapp.config import ROOT
from webapp.sandbox import client, seccomp
from webapp.sandbox.client import (
    ChildCrashed,
    ChildOutOfMemory,
    ChildTimedOut,
    Failed,
    ForkServer,
    RunLimits,
    SandboxError,
)
from webapp.sandbox.libc import LIBC

pytestmark = pytest.mark.slow

PR_SET_CHILD_SUBREAPER = 36  # From <linux/prctl.h>.

ROOMY = RunLimits(
    memory_bytes=1_000_000_000, wall_seconds=30.0, cpu_seconds=30.0, file_bytes=10_000_000
)
BRIEF = RunLimits(
    memory_bytes=1_000_000_000, wall_seconds=0.2, cpu_seconds=30.0, file_bytes=10_000_000
)
FOR_EVER = "while True: time.sleep(60)"
SENDING = "while True: write(0, b'x')"


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    """Start a server whose children run the code that they get."""
    server = ForkServer("tests.support.attacker")
    yield server
    server.stop()


def children_of(server: ForkServer) -> list[int]:
    pid = server._process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def next_child(server: ForkServer) -> int:
    """Return the child that waits for the next request, once it is the only one."""
    server.start()
    while not server._spare:
        assert server._hear()
    child = server._spare.pid
    wait_until(lambda: children_of(server) == [child], what="the end of all others")
    return child


class Interrupted(BaseException):
    """A signal arrived."""


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Raise Interrupted in the block if it takes longer."""

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def lives(process: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False


def descriptors_of(process: int | str) -> list[str]:
    """List what the open descriptors of a process lead to."""
    links = Path(f"/proc/{process}/fd").iterdir()
    return sorted(os.readlink(link) for link in links if link.is_symlink())


@pytest.mark.parametrize(
    "value", [None, 0, "Käse", [1, 2.5, True], {"a": {"b": [None]}}, "x" * 90_000]
)
def test_result_is_returned(server: ForkServer, value: Any) -> None:
    assert server.run(f"answer = {value!r}", [], ROOMY) == value


def test_each_run_has_a_process_of_its_own(server: ForkServer) -> None:
    first, second = (server.run("answer = os.getpid()", [], ROOMY) for _ in range(2))
    assert len({first, second, os.getpid(), server._process.pid}) == 4


def test_child_reads_descriptors_and_its_caller_writes_its_files(
    server: ForkServer, tmp_path: Path
) -> None:
    (tmp_path / "source").write_text("source")
    with (tmp_path / "source").open() as source, (tmp_path / "made").open("wb") as made:
        code = """
write(7, b"made of ")
write(7, os.read(descriptors[0], 100) * 100_000)
"""
        server.run(code, [source.fileno()], ROOMY, files={7: made})
        assert (tmp_path / "made").read_text() == "made of " + "source" * 100_000


def test_wall_limit_kills(server: ForkServer) -> None:
    with pytest.raises(ChildTimedOut, match=r"It took longer than 0\.2 s\.") as caught:
        server.run(FOR_EVER, [], BRIEF)
    assert caught.value.seconds == 0.2
    assert next_child(server)


def test_wall_limit_kills_a_child_that_sends(server: ForkServer, tmp_path: Path) -> None:
    with (tmp_path / "made").open("wb") as made, pytest.raises(ChildTimedOut):
        server.run(SENDING, [], BRIEF, files={0: made})


def test_cpu_limit_kills(server: ForkServer) -> None:
    limits = RunLimits(1_000_000_000, wall_seconds=20.0, cpu_seconds=1, file_bytes=0)
    with pytest.raises(ChildTimedOut, match="It took longer than 1 s"):
        server.run("while True: pass", [], limits)


def test_memory_limit_is_out_of_memory(server: ForkServer) -> None:
    with pytest.raises(ChildOutOfMemory, match="more than 1,000 MB"):
        server.run("bytearray(1_100_000_000)", [], ROOMY)


def test_child_killed_by_a_signal_has_crashed(server: ForkServer) -> None:
    with pytest.raises(ChildCrashed, match="by signal 11") as caught:
        server.run("ctypes.string_at(0)", [], ROOMY)
    assert caught.value.status == -signal.SIGSEGV


def test_server_is_replaced_after_a_crash(server: ForkServer) -> None:
    # All its children share a memory layout, which a crash may reveal.
    server.run("", [], ROOMY)
    before = server._process.pid
    with pytest.raises(ChildCrashed):
        server.run("ctypes.string_at(0)", [], ROOMY)
    server.run("", [], ROOMY)
    assert server._process.pid != before


def test_kill_from_outside_is_no_verdict(server: ForkServer) -> None:
    # By an operator, or by the kernel for want of memory: another process may be the cause of that.
    child = next_child(server)
    with pytest.raises(Failed, match="was killed"):
        server.run(FOR_EVER, [], ROOMY, on_wait=lambda: os.kill(child, signal.SIGKILL))


def test_kill_at_the_end_of_the_cpu_limit_is_a_timeout(server: ForkServer) -> None:
    # SIGXCPU comes a second before, and can be ignored.
    limits = RunLimits(1_000_000_000, wall_seconds=20.0, cpu_seconds=1, file_bytes=0)
    code = "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    with pytest.raises(ChildTimedOut, match="It took longer than 1 s"):
        server.run(code, [], limits)


def test_exit_without_an_answer_is_a_crash(server: ForkServer) -> None:
    with pytest.raises(ChildCrashed, match="with exit code 3"):
        server.run("os._exit(3)", [], ROOMY)


@pytest.mark.parametrize(
    "answer",
    [
        *('b"["', 'b"[]"', 'b"7"', r'b"\xff"', """b'{"result": 1}'""", 'b"[" * 90_000'),
        *('b"a"', 'b"a[]"', r'b"a\xff"', """b'a{"result": 1}'""", 'b"a" + b"[" * 90_000'),
        *('b"c"', r'b"c\0\0\0\1"', r'b"c\0\0\0\1x"', r'b"c\0\0\0\0" + bytes(65_537)', 'b"r"'),
    ],
)
def test_forged_answer_is_a_crash(server: ForkServer, answer: str) -> None:
    with pytest.raises(ChildCrashed):
        server.run(f"os.write(channel, {answer}); os._exit(0)", [], ROOMY)


def test_answer_that_is_too_long_is_a_crash(server: ForkServer) -> None:
    with pytest.raises(ChildCrashed):
        server.run("os.write(channel, b'7' * 100_001)", [], ROOMY)


def test_child_that_hides_its_end_is_killed(server: ForkServer) -> None:
    with pytest.raises(SandboxError):
        server.run(f"os.closerange(3, 100)\n{FOR_EVER}", [], ROOMY)
    assert next_child(server)


def test_child_that_hides_behind_the_end_of_its_first_thread_has_crashed(
    server: ForkServer,
) -> None:
    number = seccomp.ALLOWED_CALLS["exit"][["x86_64", "aarch64"].index(platform.machine())]
    code = f"""
def hide():
    os.closerange(3, 100)
    time.sleep(60)

threading.Thread(target=hide).start()
syscall({number}, 0)
"""
    with pytest.raises(ChildCrashed):
        server.run(code, [], ROOMY)


def test_file_beyond_the_limit_is_refused(server: ForkServer, tmp_path: Path) -> None:
    with (tmp_path / "made").open("wb") as made:
        server.run("write(0, bytes(10_000_000))", [], ROOMY, files={0: made})
        assert made.tell() == 10_000_000
        with pytest.raises(Failed, match=r"OSError: .*File too large"):
            server.run("write(0, bytes(10_000_001))", [], ROOMY, files={0: made})


def test_child_that_sends_beyond_the_limit_has_crashed(server: ForkServer, tmp_path: Path) -> None:
    code = r"while True: os.write(channel, b'c\0\0\0\0' + bytes(65_536))"
    with (tmp_path / "made").open("wb") as made, pytest.raises(ChildCrashed):
        server.run(code, [], ROOMY, files={0: made})
    assert (tmp_path / "made").stat().st_size <= 10_000_000


def test_full_disk_is_an_error_of_the_file(server: ForkServer) -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space"):
        server.run("write(0, b'x')", [], ROOMY, files={0: full})


def test_exception_is_a_failure_with_its_traceback(server: ForkServer) -> None:
    with pytest.raises(Failed, match=r"(?s)Traceback.*ZeroDivisionError"):
        server.run("1 / 0", [], ROOMY)


def test_result_without_json_form_is_a_failure(server: ForkServer) -> None:
    with pytest.raises(Failed, match="not JSON serializable"):
        server.run("answer = {1, 2}", [], ROOMY)


def test_every_verdict_has_its_code() -> None:
    codes = {error.code for error in SandboxError.__subclasses__()}
    assert codes == {"timed_out", "out_of_memory", "crashed"}
    assert not issubclass(Failed, SandboxError)


def test_on_wait_is_called_repeatedly(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_WAIT_SECONDS", 0.02)
    calls: list[int] = []

    def give_up_at_the_third() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        server.run(FOR_EVER, [], ROOMY, on_wait=give_up_at_the_third)


def test_on_wait_is_called_while_a_child_sends(
    server: ForkServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(client, "_WAIT_SECONDS", 0.2)

    def give_up() -> None:
        raise RuntimeError

    limits = RunLimits(1_000_000_000, wall_seconds=2.0, cpu_seconds=30.0, file_bytes=10_000_000)
    with (tmp_path / "made").open("wb") as made, pytest.raises(RuntimeError):
        server.run(SENDING, [], limits, files={0: made}, on_wait=give_up)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_no_child_is_left_when_on_wait_raises(
    server: ForkServer, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_WAIT_SECONDS", 0.02)

    def give_up() -> None:
        raise error

    child = next_child(server)
    with pytest.raises(error):
        server.run(FOR_EVER, [], ROOMY, on_wait=give_up)
    wait_until(lambda: not lives(child))


def test_signal_in_the_caller_ends_the_child(server: ForkServer) -> None:
    child = next_child(server)
    with interrupted_after(0.1), pytest.raises(Interrupted):
        server.run(FOR_EVER, [], ROOMY)
    wait_until(lambda: not lives(child))


def test_nothing_leaks_after_many_runs(server: ForkServer) -> None:
    def open_files() -> tuple[int, int]:
        return len(descriptors_of(os.getpid())), len(descriptors_of(server._process.pid))

    server.run("", [], ROOMY)
    before = open_files()
    for number in range(50):
        assert server.run(f"answer = {number}", [0], ROOMY) == number
    for one, other in zip(before, open_files(), strict=True):
        assert other < one + 10  # Some are on their way; a leak would be one a run.
    assert next_child(server)


def test_limits_are_set_in_the_child(server: ForkServer) -> None:
    names = ("AS", "FSIZE", "CPU", "CORE", "NOFILE")
    code = f"answer = [resource.getrlimit(getattr(resource, 'RLIMIT_' + n))[0] for n in {names}]"
    assert server.run(code, [], ROOMY) == [1_000_000_000, 0, 30, 0, 32]


def test_server_that_was_killed_is_replaced(server: ForkServer) -> None:
    server.start()
    server._process.kill()
    server._process.wait()
    assert server.run("answer = 1", [], ROOMY) == 1


def test_child_that_was_killed_before_it_was_ready_is_replaced(server: ForkServer) -> None:
    child = next_child(server)
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: not lives(child))
    assert server._spare
    server._spare.channel.recv(1)  # As if it had not sent READY.
    assert server.run("answer = 1", [], ROOMY) == 1


def test_child_that_was_killed_while_it_waited_is_replaced(server: ForkServer) -> None:
    child = next_child(server)
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: not lives(child))
    assert server.run("answer = 1", [], ROOMY) == 1


def test_end_of_the_server_is_not_blamed_on_the_child(server: ForkServer) -> None:
    with pytest.raises(Failed, match="ended"):
        server.run(FOR_EVER, [], ROOMY, on_wait=lambda: server._process.kill())
    assert server.run("answer = 1", [], ROOMY) == 1


def test_end_of_the_server_is_told_after_its_children_are_reaped(server: ForkServer) -> None:
    child = next_child(server)

    def end_both() -> None:
        server._process.kill()
        server._process.wait()
        os.waitpid(child, 0)

    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)  # It is ours then, and not that of process 1.
    try:
        with pytest.raises(Failed, match="ended"):
            server.run(FOR_EVER, [], ROOMY, on_wait=end_both)
    finally:
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 0)


def test_server_that_hangs_is_replaced(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.run("", [], ROOMY)
    child = next_child(server)
    os.kill(server._process.pid, signal.SIGSTOP)
    server._control.settimeout(0.2)
    with pytest.raises(Failed, match="ended"):  # It does not say how its child ended.
        server.run("os._exit(3)", [], ROOMY)
    assert server.run("answer = 1", [], ROOMY) == 1
    wait_until(lambda: not lives(child))


def test_request_that_is_too_long_is_refused(server: ForkServer) -> None:
    with pytest.raises(ValueError, match="too long"):
        server.run("#" * 100_000, [], ROOMY)


def test_request_with_too_many_descriptors_is_refused(server: ForkServer) -> None:
    with pytest.raises(ValueError, match="3 descriptors are too many"):
        server.run("", [0, 0, 0], ROOMY)


def test_server_starts_beside_threads_of_any_name() -> None:
    # The kernel accepts any bytes as the name of a thread, and shows it in /proc.
    script = """
import ctypes, sys
ctypes.CDLL(None).prctl(15, b"\\xff\\x1c:", 0, 0, 0)
from webapp.sandbox.server import count_threads
import os
print(count_threads(os.getuid()))
"""
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(run.stdout) > 0


def test_module_that_does_not_start_is_a_failure() -> None:
    with pytest.raises(Failed, match=r"webapp\.nothing ended without a child"):
        ForkServer("webapp.nothing").run("", [], ROOMY)


def test_server_and_child_die_with_their_caller() -> None:
    script = f"""
from webapp.sandbox.client import ForkServer, RunLimits
server = ForkServer("tests.support.attacker")
server.run("", [], RunLimits(10**9, 30, 30, 10**6))
print(server._process.pid, flush=True)
server.run({FOR_EVER!r}, [], RunLimits(10**9, 30, 30, 10**6))
"""
    caller = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with caller:
        assert caller.stdout
        process = int(caller.stdout.readline())
        assert lives(process)
        caller.kill()
    wait_until(lambda: not lives(process))


# Children that are kept for their group

PID = "answer = os.getpid()"


def test_runs_of_a_group_share_a_child(server: ForkServer) -> None:
    first, second = (server.run(PID, [], ROOMY, group="one") for _ in range(2))
    assert first == second


@pytest.mark.parametrize("group", ["two", None])
def test_child_of_a_group_gets_no_other_request(server: ForkServer, group: str | None) -> None:
    first = server.run(PID, [], ROOMY, group="one")
    assert server.run(PID, [], ROOMY, group=group) != first
    wait_until(lambda: not lives(first))


def test_run_without_a_group_has_a_new_child(server: ForkServer) -> None:
    first, second = (server.run(PID, [], ROOMY) for _ in range(2))
    assert first != second


def test_other_limits_need_another_child(server: ForkServer) -> None:
    first, second = (server.run(PID, [], limits, group="one") for limits in (ROOMY, BRIEF))
    assert first != second


def test_child_ends_after_its_last_run(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_RUNS", 3)
    pids = [server.run(PID, [], ROOMY, group="many") for _ in range(7)]
    assert [pids.index(pid) for pid in pids] == [0, 0, 0, 3, 3, 3, 6]


def test_child_ends_after_its_time(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    first = server.run(PID, [], ROOMY, group="old")
    monkeypatch.setattr(client, "MAX_LIFE_SECONDS", 0.0)
    assert server.run(PID, [], ROOMY, group="old") != first


def test_idle_child_ends(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    child = server.run(PID, [], ROOMY, group="idle")
    server.end_idle()
    assert server.run(PID, [], ROOMY, group="idle") == child
    monkeypatch.setattr(client, "IDLE_SECONDS", 0.0)
    server.end_idle()
    wait_until(lambda: not lives(child))


# What an earlier run left in a child, and what it does to the next one.
POISONED = "sys.is_poisoned = True"
POISONS = {
    "crashes it": "ctypes.string_at(0)",
    "kills it": "os._exit(3)",
    "hides its end": "os.closerange(3, 100); time.sleep(60)",
    "fills its memory": "bytearray(1_100_000_000)",
    "raises in it": "1 / 0",
    "makes it hang": "time.sleep(60)",
    "forges its answer": "os.write(channel, b'a[]'); time.sleep(60)",
    "answers what is wrong": "answer = 'wrong'",
}


def read_sound(answer: Any) -> Any:
    if answer == "wrong":
        raise LookupError
    return answer


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
def test_run_never_fails_for_an_earlier_one(
    server: ForkServer, poison: str, tmp_path: Path
) -> None:
    limits = RunLimits(1_000_000_000, wall_seconds=1.0, cpu_seconds=30.0, file_bytes=100)
    (tmp_path / "source").write_text("source")
    with (tmp_path / "source").open("rb") as source, (tmp_path / "made").open("wb") as made:
        code = f"""
content = os.read(descriptors[0], 100)
if hasattr(sys, "is_poisoned"):
    write(0, b"forged by an earlier run")
    {poison}
else:
    write(0, content)
    answer = "sound"
"""
        server.run(POISONED, [], limits, group="poisoned")
        answer = server.run(
            code,
            [source.fileno()],
            limits,
            files={0: made},
            read=read_sound,
            group="poisoned",
        )
    assert (answer, (tmp_path / "made").read_text()) == ("sound", "source")


def test_what_a_child_sent_before_its_request_is_undone(server: ForkServer, tmp_path: Path) -> None:
    # It answers, waits until the next request lies in its socket, and ends without a look at it.
    # Most of what it sends is written before it ends: the socket holds a few of these packets.
    code = """
os.write(channel, b'a["result", "first"]')
waiting = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, os.dup(channel))
waiting.recvmsg(1, 0, socket.MSG_PEEK)
for _ in range(20):
    write(0, bytes(65_536))
os._exit(0)
"""
    with (tmp_path / "made").open("wb") as made:
        server.run(code, [], ROOMY, files={0: made}, group="poisoned")
        server.run("write(0, b'sound')", [], ROOMY, files={0: made}, group="poisoned")
    assert (tmp_path / "made").read_bytes() == b"sound"


# A child that was taken over answers without reading the requests of the next runs.
UNREAD = 'while True: {pause}; os.write(channel, b\'a["result", "forged"]\')'


@pytest.mark.parametrize("pause", ["pass", "time.sleep(0.02)"], ids=["at once", "now and then"])
def test_child_that_reads_no_request_is_replaced(server: ForkServer, pause: str) -> None:
    padding = "#" * 90_000  # Two such requests fill its socket.
    with interrupted_after(20):
        for _ in range(8):
            server.run(f"{UNREAD.format(pause=pause)}{padding}", [], ROOMY, group="deaf")


def test_answer_to_a_short_request_that_was_not_read_is_not_taken(
    server: ForkServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.run(UNREAD.format(pause="time.sleep(0.02)"), [], ROOMY, group="deaf")
    assert server.run("answer = 'sound'", [], ROOMY, group="deaf") == "sound"
    assert "replaced a child after run 1: ChildCrashed" in caplog.text


def test_answer_before_its_request_is_not_taken(server: ForkServer) -> None:
    forged = 'os.write(channel, b\'a["result", "forged"]\');' * 2
    server.run(forged, [], ROOMY, group="hasty")
    assert server._kept
    channel = server._kept.channel
    wait_until(lambda: select.select([channel], [], [], 0)[0])
    assert server.run("answer = 'sound'", [], ROOMY, group="hasty") == "sound"


def test_kept_child_whose_server_was_killed_is_replaced(server: ForkServer) -> None:
    child = server.run(PID, [], ROOMY, group="kept")
    server._process.kill()
    server._process.wait()
    assert server.run(PID, [], ROOMY, group="kept") != child


@pytest.mark.parametrize("error", ["crashed", "wrong"])
def test_child_that_failed_is_not_kept(server: ForkServer, error: str) -> None:
    code = {"crashed": "os._exit(3)", "wrong": "answer = 'wrong'"}[error]
    child = server.run(PID, [], ROOMY, group="failing")
    with pytest.raises((ChildCrashed, LookupError)):
        server.run(code, [], ROOMY, read=read_sound, group="failing")
    assert server.run(PID, [], ROOMY, group="failing") != child


def test_runs_of_a_child_share_its_limit_of_processor_time(server: ForkServer) -> None:
    # So a child that was taken over gets no more than one run may have; an honest one is repeated.
    limits = RunLimits(1_000_000_000, wall_seconds=20.0, cpu_seconds=1, file_bytes=0)
    code = """
while time.process_time() < 0.7 * (1 + getattr(sys, "runs", 0)):
    pass
sys.runs = 1
answer = os.getpid()
"""
    first, second = (server.run(code, [], limits, group="busy") for _ in range(2))
    assert first != second
