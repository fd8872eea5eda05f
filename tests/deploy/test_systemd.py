"""The units of systemd are valid, hardened, and agree with the program."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from webapp.config import ROOT, SECRETS, Config, environment_name
from webapp.sandbox import seccomp
from webapp.serve import HANG_SECONDS, STOP_SECONDS

UNITS = ROOT / "deploy/systemd"
SERVICES = ["thumbnails-web.service", "thumbnails-consumer.service"]
MOST_EXPOSED = 1.5  # Of 10, as `systemd-analyze security` counts. Most of it is the network.

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed"
)
each_service = pytest.mark.parametrize("name", SERVICES)


def read_service(name: str) -> dict[str, list[str]]:
    """Return the values of each directive of a service."""
    values: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", (UNITS / name).read_text(), re.MULTILINE):
        values.setdefault(key, []).append(value)
    return values


def seconds(span: str) -> int:
    """Read a time span of systemd."""
    number, unit = re.fullmatch(r"(\d+)(s|min)", span).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "min": 60}[unit]


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--no-pager", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@needs_systemd
def test_units_are_valid(tmp_path: Path) -> None:
    for unit in UNITS.iterdir():  # It checks that programs and folders are there.
        text = unit.read_text().replace("/srv/thumbnails/.venv/bin/python", sys.executable)
        (tmp_path / unit.name).write_text(text.replace("/srv/thumbnails", str(ROOT)))
    answer = analyze("verify", "--man=no", *sorted(tmp_path.iterdir()))
    assert (answer.returncode, answer.stderr) == (0, "")


@needs_systemd
@each_service
def test_service_is_exposed_to_little(name: str) -> None:
    most = round(MOST_EXPOSED * 10)
    answer = analyze("security", "--offline=true", f"--threshold={most}", UNITS / name)
    assert answer.returncode == 0, answer.stdout


@needs_systemd
def test_decoder_may_make_the_calls_that_it_needs() -> None:
    groups: dict[str, list[str]] = {}
    for line in analyze("syscall-filter").stdout.splitlines():
        if line.startswith("@"):
            members = groups[line] = []
        elif line.startswith("    ") and not line.startswith("    #"):
            members.append(line.strip())

    def calls_of(entry: str) -> set[str]:
        """Return the calls of a group, or the one that is named."""
        if entry not in groups:
            return {entry}
        return set().union(*map(calls_of, groups[entry]))

    allowed: set[str] = set()
    for line in read_service("thumbnails-consumer.service")["SystemCallFilter"]:
        calls = set().union(*map(calls_of, line.removeprefix("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    needed = {*seccomp.ALLOWED_CALLS, *seccomp.ALLOWED_WITH, "clone", "capset", "setrlimit"}
    needed |= {"seccomp", "landlock_create_ruleset", "landlock_restrict_self", "memfd_create"}
    assert needed <= allowed


@each_service
def test_service_has_time_to_stop_gracefully(name: str) -> None:
    assert seconds(read_service(name)["TimeoutStopSec"][0]) > STOP_SECONDS


@each_service
def test_hang_is_found_by_serve_and_not_by_systemd(name: str) -> None:
    assert seconds(read_service(name)["WatchdogSec"][0]) == 2 * HANG_SECONDS


def test_consumer_gets_none_of_the_secrets() -> None:
    unset = read_service("thumbnails-consumer.service")["UnsetEnvironment"][0].split()
    assert set(unset) == {environment_name(name) for name in SECRETS}


def test_consumer_has_memory_for_two_decoders() -> None:
    gigabytes = int(read_service("thumbnails-consumer.service")["MemoryMax"][0].rstrip("G"))
    assert gigabytes * 2**30 > 2 * Config().decode_memory_mb * 1_000_000 + 500_000_000
