"""How `webapp.serve` judges what its processes tell."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from webapp.liveness import ALIVE, READY, Listener, tell
from webapp.serve import Child


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Child]:
    """Listen to this process as if it were started there."""
    with Listener(tmp_path / "socket", 60) as listener, subprocess.Popen(["true"]) as process:
        for name, value in listener.environ.items():
            monkeypatch.setenv(name, value)
        yield Child("web", process, listener)


def test_slow_start_is_no_hang(child: Child) -> None:
    child.hear(1000)
    assert not child.hangs(1000, 60)


def test_silence_after_it_was_ready_is_a_hang(child: Child) -> None:
    tell(READY)
    child.hear(1000)
    assert [child.hangs(now, 60) for now in (1000, 1060, 1061)] == [False, False, True]


def test_sign_of_life_ends_the_silence(child: Child) -> None:
    tell(READY)
    child.hear(1000)
    tell(ALIVE)
    child.hear(1050)
    assert not child.hangs(1061, 60)


def test_other_states_are_no_sign_of_life(child: Child) -> None:
    tell(READY)
    child.hear(1000)
    tell("STATUS=2 workers")
    child.hear(1050)
    assert child.status == "2 workers"
    assert child.hangs(1061, 60)
