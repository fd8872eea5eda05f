"""What a browser that dies does to the tests: it is no verdict on our pages."""

import os
import re
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.other_browsers import dying
from tests.other_browsers.driver import Died
from tests.other_browsers.firefox import Firefox
from tests.other_browsers.webkit import WebKit
from tests.support.servers import children_of, descendants_of, is_alive, wait_until
from webapp.config import ROOT


def test_test_whose_browser_died_is_run_once_more() -> None:
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-k", "webkit"]
    run = subprocess.run(
        [*command, dying.__file__], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert re.findall(r"::test_(\w+)\[webkit\] (\w+)", run.stdout) == [
        ("dies_once", "DIED"),
        ("dies_once", "PASSED"),
        ("dies_at_its_end", "DIED"),
        ("dies_at_its_end", "PASSED"),
        ("asserts_what_is_not_so", "FAILED"),
        ("dies_each_time", "DIED"),
        ("dies_each_time", "FAILED"),
        ("comes_next", "PASSED"),
    ], run.stdout
    assert run.returncode == 1
    assert "2 failed, 3 passed" in run.stdout
    assert "3 died" in run.stdout


@pytest.mark.parametrize("name", ["firefox", "webkit"])
def test_browser_that_dies_leaves_no_process(name: str, tmp_path: Path) -> None:
    with closing(Firefox(tmp_path / "profile") if name == "firefox" else WebKit()) as window:
        first = window.process.pid
        started = [first, *descendants_of(first)]
        os.kill(first if name == "firefox" else children_of(first)[0], signal.SIGKILL)
        with pytest.raises(Died):
            window.reload()
    wait_until(lambda: not any(map(is_alive, started)), what="their end")
