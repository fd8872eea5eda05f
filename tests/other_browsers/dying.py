"""Tests whose browser is killed; test_dying.py runs them."""

import os
import signal
from collections import Counter
from pathlib import Path

from tests.other_browsers.driver import Driver
from tests.support.servers import descendants_of

attempts: Counter[str] = Counter()


def kill_page(window: Driver) -> None:
    """Kill the processes that WebKit runs pages in, as a crash ends them."""
    for pid in descendants_of(window.process.pid):
        if Path(f"/proc/{pid}/comm").read_text().startswith("WebKitWebProc"):
            os.kill(pid, signal.SIGKILL)


def test_dies_once(window: Driver) -> None:
    attempts["once"] += 1
    if attempts["once"] == 1:
        kill_page(window)
    window.go(-1)


def test_dies_at_its_end(window: Driver) -> None:
    attempts["end"] += 1
    if attempts["end"] == 1:
        kill_page(window)


def test_asserts_what_is_not_so(window: Driver) -> None:
    attempts["not so"] += 1
    assert attempts["not so"] == 2


def test_dies_each_time(window: Driver) -> None:
    kill_page(window)
    window.see("a heading")


def test_comes_next(window: Driver) -> None:
    window.see_heading("API")
