"""What a process tells what started it, and how that judges it."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from webapp.liveness import (
    ALIVE,
    READY,
    AwakeClock,
    Heart,
    Listener,
    Pulse,
    hang_seconds,
    remove_left_behind,
    tell,
)


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """Listen to this process."""
    with Listener(tmp_path / "socket", 60) as listener:
        for name, value in listener.environ.items():
            monkeypatch.setenv(name, value)
        yield listener


def test_what_is_told_is_received(listener: Listener) -> None:
    tell(READY, "STATUS=http://127.0.0.1:8000")
    tell(ALIVE)
    assert listener.receive() == [READY, "STATUS=http://127.0.0.1:8000", ALIVE]


def test_abstract_socket_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0thumbnails-test-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@thumbnails-test-{os.getpid()}")
        tell(READY)
        assert manager.recv(100) == READY.encode()


def test_without_a_socket_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    tell(READY)


def test_socket_that_is_gone_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    tell(READY)


def test_receiver_that_does_not_read_holds_up_no_one(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.liveness._SEND_SECONDS", 0.001)
    for _ in range(1000):
        tell(ALIVE)
    assert 0 < len(listener.receive()) < 1000


def test_heart_beats_no_more_than_it_needs_to(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    heart = Heart()
    now = time.monotonic()
    for passed in (0, 1, 14, 16, 17):  # Of 60 seconds.
        monkeypatch.setattr(time, "monotonic", lambda passed=passed: now + passed)
        heart.beat()
    assert listener.receive() == [ALIVE, ALIVE]


def test_stop_of_two_thirds_of_the_time_is_no_hang(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    heart = Heart()
    begun, last = time.monotonic(), 0
    for passed in (*range(20), *range(59, 80)):  # Of 60 seconds.
        monkeypatch.setattr(time, "monotonic", lambda passed=passed: begun + passed)
        heart.beat()
        if listener.receive():
            assert passed - last < 60
            last = passed
    assert last > 59


def test_heart_is_silent_where_no_one_watches(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC")
    Heart().beat()
    assert listener.receive() == []


def test_watchdog_of_another_process_is_not_ours(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hang_seconds() == 60
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
    assert hang_seconds() is None


def test_folder_of_a_killed_process_is_removed_and_no_other(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("killed", "running", "starting")]
    for folder in folders:
        folder.mkdir()
    Listener(folders[0] / "web", 60).close()
    with Listener(folders[1] / "web", 60):
        remove_left_behind(folders)
        assert [folder.exists() for folder in folders] == [False, True, True]
        assert (folders[1] / "web").exists()


def test_pulse_of_a_fork_is_felt() -> None:
    pulse = Pulse()
    assert pulse.silence(10) == 0
    assert (pulse.silence(13), pulse.has_begun) == (3, False)
    if (child := os.fork()) == 0:
        pulse.beat()
        os._exit(0)
    os.waitpid(child, 0)
    assert (pulse.silence(14), pulse.has_begun) == (0, True)
    assert pulse.silence(16) == 2


def test_clock_does_not_count_a_pause_of_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, now = AwakeClock(), time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 0.5)
    before = clock.read()
    monkeypatch.setattr(time, "monotonic", lambda: now + 3600)
    assert clock.read() - before <= 1
