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
# As `systemd-analyze security` counts, of 100. The consumer reaches the network too.
EXPOSED = {"thumbnails-web.service": 10, "thumbnails-consumer.service": 13}
SERVICES = list(EXPOSED)

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
    threshold = f"--threshold={EXPOSED[name]}"
    answer = analyze("security", "--offline=true", threshold, UNITS / name)
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


def test_services_differ_only_where_their_work_does() -> None:
    web, consumer = map(read_service, SERVICES)
    differ = {key for key in web.keys() | consumer.keys() if web.get(key) != consumer.get(key)}
    assert differ == {
        *("Description", "ExecStart", "UnsetEnvironment", "SystemCallFilter"),
        *("MemoryMax", "TasksMax", "CPUWeight", "IOWeight", "IPAddressDeny", "IPAddressAllow"),
    }
    calls, more_calls = (service["SystemCallFilter"] for service in (web, consumer))
    assert more_calls[:2] == [f"{calls[0]} @sandbox", calls[1]]


def test_web_server_cannot_take_the_memory_of_the_machine() -> None:
    assert read_service("thumbnails-web.service")["MemoryMax"] == ["1G"]


@each_service
def test_service_runs_its_part_and_is_started_again_however_it_ends(name: str) -> None:
    service = read_service(name)
    part = name.removesuffix(".service").removeprefix("thumbnails-")
    assert service["ExecStart"][0].endswith(f" -m webapp.serve {part}")
    assert service["Type"] == ["notify"]
    assert (service["Restart"], service["StartLimitIntervalSec"]) == (["always"], ["0"])
    assert service["PartOf"] == ["thumbnails.target"]


def test_target_starts_both_services_with_the_machine() -> None:
    target = (UNITS / "thumbnails.target").read_text()
    assert f"\nWants={' '.join(SERVICES)}\n" in target
    assert "\nWantedBy=multi-user.target\n" in target


@each_service
def test_service_writes_to_its_data_alone_and_runs_nothing_there(name: str) -> None:
    service = read_service(name)
    assert service["ProtectSystem"] == ["strict"]
    assert service["ReadWritePaths"] == ["/srv/thumbnails/instance"]
    assert service["ReadWritePaths"][0] in service["NoExecPaths"][0].split()
    assert service["UMask"] == ["0027"]


@each_service
def test_only_the_main_process_is_asked_to_stop(name: str) -> None:
    assert read_service(name)["KillMode"] == ["mixed"]


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
