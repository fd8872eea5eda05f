"""Waking processes that wait."""

import os
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from webapp.jobs.wake_up import WakeUp, WakeUps

LONG = 30.0  # Seconds; no test waits that long.


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.wake"


@pytest.fixture
def worker(path: Path) -> Iterator[WakeUp]:
    worker = WakeUp(path)
    worker.wait(0)  # It creates the pipe.
    yield worker
    worker.close()


@pytest.fixture
def sender(path: Path) -> WakeUp:
    return WakeUp(path)


def test_worker_is_not_woken_without_a_reason(worker: WakeUp) -> None:
    assert not worker.wait(0.01)


def test_sleeping_worker_is_woken(worker: WakeUp, sender: WakeUp) -> None:
    with ThreadPoolExecutor(1) as thread:
        woken = thread.submit(worker.wait, LONG)
        sender.send()
        assert woken.result(LONG)


def test_busy_worker_is_woken_when_it_waits(worker: WakeUp, sender: WakeUp) -> None:
    sender.send()
    assert worker.wait(LONG)
    assert not worker.wait(0)


def test_each_message_wakes_one_of_two_workers(path: Path, worker: WakeUp, sender: WakeUp) -> None:
    other = WakeUp(path)
    assert not other.wait(0)
    sender.send()
    sender.send()
    assert worker.wait(LONG)
    assert other.wait(LONG)
    assert not worker.wait(0)
    other.close()


def test_message_without_a_worker_is_no_error(sender: WakeUp, path: Path) -> None:
    sender.send()
    os.mkfifo(path)
    sender.send()


def test_messages_that_no_worker_reads_are_no_error(worker: WakeUp, sender: WakeUp) -> None:
    for _ in range(70_000):  # More than a pipe holds.
        sender.send()
    assert worker.wait(LONG)


def test_worker_is_woken_after_its_pipe_was_deleted(
    path: Path, worker: WakeUp, sender: WakeUp
) -> None:
    path.unlink()
    assert not worker.wait(0)
    sender.send()
    assert worker.wait(LONG)


def test_worker_polls_where_there_are_no_pipes(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    worker = WakeUp(tmp_path / "file" / "queue.wake")
    assert worker.wait(LONG)


def test_process_with_many_open_files_is_woken(path: Path, sender: WakeUp) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    worker = WakeUp(path)
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        while stack.enter_context(path.parent.joinpath("file").open("w")).fileno() < 1024:
            pass
        assert not worker.wait(0)
        stack.callback(worker.close)
        sender.send()
        assert worker.wait(LONG)


def test_all_who_joined_are_woken(tmp_path: Path) -> None:
    folder = tmp_path / "watchers"
    mine, other = WakeUps(folder).join(), WakeUp(folder / "1")
    assert not mine.wait(0)
    assert not other.wait(0)
    WakeUps(folder).send()
    assert mine.wait(LONG)
    assert other.wait(LONG)
    mine.close()
    other.close()


def test_pipe_of_a_process_that_ended_is_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "watchers"
    ended = WakeUps(folder).join()
    ended.wait(0)
    ended.close()
    WakeUps(folder).send()
    assert not list(folder.iterdir())


def test_pipe_that_another_process_deletes_first_keeps_no_one_asleep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "watchers"
    mine = WakeUps(folder).join()
    assert not mine.wait(0)
    os.mkfifo(folder / "0")  # Of a process that ended.
    unlink = Path.unlink

    def unlink_second(path: Path, **options: bool) -> None:
        unlink(path)
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", unlink_second)
    monkeypatch.setattr(
        Path, "iterdir", lambda folder: map(folder.joinpath, ["0", str(os.getpid())])
    )
    WakeUps(folder).send()
    assert mine.wait(0)
    mine.close()


def test_wake_up_without_anyone_is_no_error(tmp_path: Path) -> None:
    WakeUps(tmp_path / "watchers").send()
