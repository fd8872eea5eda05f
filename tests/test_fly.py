"""fly.toml has only keys that Fly knows, and fits the image and the server.

No network of Fly is reached. The keys are those of https://fly.io/docs/reference/configuration/ and
of the structures that flyctl reads the file into, as of 2026-08:
https://github.com/superfly/flyctl/blob/master/internal/appconfig/config.go.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from webapp.config import ROOT, UNPREFIXED, Config, load
from webapp.serve import STOP_SECONDS

# What a table may have: types, tables, or in a list the one kind of its items. `str` is any key.
MACHINE_CHECK = {"command": [str], "image": str, "entrypoint": [str]}
MACHINE_CHECK |= {"kill_signal": str, "kill_timeout": (int, str)}
CHECK: dict[Any, Any] = {"interval": (int, str), "timeout": (int, str), "grace_period": (int, str)}
HTTP_CHECK = CHECK | {"method": str, "path": str, "protocol": str, "headers": {str: str}}
HTTP_CHECK |= {"tls_skip_verify": bool, "tls_server_name": str}
COMPUTE = {"size": str, "memory": (int, str), "memory_mb": int, "cpus": int, "cpu_kind": str}
COMPUTE |= {"kernel_args": [str], "host_dedication_id": str, "persist_rootfs": str}
COMPUTE |= {"gpus": int, "gpu_kind": str, "processes": [str]}
KNOWN: dict[Any, Any] = {
    "app": str,
    "primary_region": str,
    "kill_signal": str,
    "kill_timeout": (int, str),
    "swap_size_mb": int,
    "console_command": str,
    "build": {
        "args": {str: str},
        "build-target": str,
        "dockerfile": str,
        "ignorefile": str,
        "image": str,
    },
    "deploy": {
        "strategy": str,
        "max_unavailable": (int, float),
        "wait_timeout": (int, str),
        "release_command": str,
        "release_command_timeout": (int, str),
        "release_command_vm": COMPUTE,
        "seed_command": str,
    },
    "env": {str: str},
    "processes": {str: str},
    "mounts": {
        "source": str,
        "destination": str,
        "initial_size": (int, str),
        "snapshot_retention": int,
        "scheduled_snapshots": bool,
        "auto_extend_size_threshold": int,
        "auto_extend_size_increment": str,
        "auto_extend_size_limit": str,
        "processes": [str],
    },
    "http_service": {
        "internal_port": int,
        "force_https": bool,
        "auto_stop_machines": str,
        "auto_start_machines": bool,
        "min_machines_running": int,
        "processes": [str],
        "concurrency": {"type": str, "soft_limit": int, "hard_limit": int},
        "tls_options": {"alpn": [str], "versions": [str], "default_self_signed": bool},
        "http_options": {
            "compress": bool,
            "h2_backend": bool,
            "idle_timeout": int,
            "response": {"headers": {str: (bool, str, list)}, "pristine": bool},
        },
        "checks": [HTTP_CHECK],
        "machine_checks": [MACHINE_CHECK],
    },
    "checks": {str: HTTP_CHECK | {"port": int, "type": str, "processes": [str]}},
    "restart": [{"policy": str, "retries": int, "processes": [str]}],
    "vm": [COMPUTE],
    "metrics": [{"port": int, "path": str, "https": bool, "processes": [str]}],
}
SIGNALS = {"SIGINT", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGSTOP"}
AT_REST_MB = (
    500  # 220 were measured, 255 with eight clients; the rest is for the kernel and its cache.
)


@pytest.fixture(scope="module")
def fly() -> dict[str, Any]:
    return tomllib.loads((ROOT / "fly.toml").read_text())


@pytest.fixture(scope="module")
def image() -> dict[str, str]:
    """Return what the Dockerfile sets in the environment."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = re.findall(r"^ENV (.+)$", text, re.MULTILINE)
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(lines)))


@pytest.fixture
def settings(fly: dict[str, Any], tmp_path: Path) -> Config:
    """Read the settings as the server on Fly does, but for the folder."""
    return load({**fly["env"], "THUMBNAIL_INSTANCE": str(tmp_path)})


def unknown(found: Any, known: Any, path: str) -> list[str]:
    """List the keys and values that Fly would not understand."""
    if isinstance(known, dict):
        if not isinstance(found, dict):
            return [f"{path} is no table"]
        return [
            line
            for key, value in found.items()
            for line in (
                unknown(value, known.get(key, known.get(str)), f"{path}.{key}")
                if key in known or str in known
                else [f"{path}.{key} is unknown"]
            )
        ]
    if isinstance(known, list):
        if not isinstance(found, list):
            return [f"{path} is no list"]
        return [line for item in found for line in unknown(item, known[0], path)]
    # A bool is an int for Python and not for Fly.
    kinds = known if isinstance(known, tuple) else (known,)
    return [] if type(found) in kinds else [f"{path} is of the wrong type"]


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60}[unit]


def gigabytes(text: str) -> int:
    return int(re.fullmatch(r"(\d+)gb", text)[1])  # type: ignore[index]


def test_all_keys_are_known_to_fly(fly: dict[str, Any]) -> None:
    assert unknown(fly, KNOWN, "fly") == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("kill_timout = 45", "fly.kill_timout is unknown"),
        ("kill_signal = 15", "fly.kill_signal is of the wrong type"),
        ("env = {PORT = 8000}", "fly.env.PORT is of the wrong type"),
        ("http_service = {internal_port = true}", "fly.http_service.internal_port is of the wrong"),
        ("vm = {size = 'shared-cpu-1x'}", "fly.vm is no list"),
        ("[[vm]]\nsizes = 'shared-cpu-1x'", "fly.vm.sizes is unknown"),
    ],
)
def test_wrong_keys_would_be_found(line: str, complaint: str) -> None:
    found = unknown(tomllib.loads(line), KNOWN, "fly")
    assert len(found) == 1
    assert found[0].startswith(complaint)


def test_settings_are_read_by_the_server(settings: Config) -> None:
    assert settings.cookie_secure
    assert settings.hsts_days
    assert (settings.client_header, settings.trusted_proxies) == ("Fly-Client-IP", 2)


def test_volume_is_the_instance_folder_of_the_image(
    fly: dict[str, Any], image: dict[str, str]
) -> None:
    assert fly["mounts"]["destination"] == image["THUMBNAIL_INSTANCE"]
    assert "THUMBNAIL_INSTANCE" not in fly["env"]
    assert fly["env"]["TMPDIR"].startswith(image["THUMBNAIL_INSTANCE"] + "/")


def test_commands_find_the_application_from_any_folder(fly: dict[str, Any], tmp_path: Path) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    code = re.findall(r"^WORKDIR (\S+)$", dockerfile, re.MULTILINE)[-1]  # Of the last stage.
    flask_app = ROOT / Path(fly["env"]["FLASK_APP"]).relative_to(code)
    environ = {"FLASK_APP": str(flask_app), "THUMBNAIL_INSTANCE": str(tmp_path / "instance")}
    command = [sys.executable, "-P", "-m", "flask", "jobs", "stats"]
    ended = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Queue" in ended.stdout


def test_temporary_folder_is_one_that_the_server_creates(fly: dict[str, Any], app: Flask) -> None:
    folder = Path(fly["env"]["TMPDIR"]).relative_to(fly["mounts"]["destination"])
    assert (Path(app.instance_path) / folder).is_dir()


def test_fly_connects_to_the_port_of_the_server(
    fly: dict[str, Any], settings: Config, image: dict[str, str]
) -> None:
    assert fly["http_service"]["internal_port"] == settings.port == int(image["PORT"])
    assert image[UNPREFIXED["host"]] in {"0.0.0.0", "::"}


def test_stop_is_waited_for(fly: dict[str, Any]) -> None:
    assert fly["kill_signal"] == "SIGTERM"
    assert fly["kill_signal"] in SIGNALS
    assert STOP_SECONDS < seconds(fly["kill_timeout"]) <= 300  # Fly allows no more.


def test_checks_ask_for_a_page_that_exists(fly: dict[str, Any], app: Flask) -> None:
    adapter = app.url_map.bind("localhost")
    checks = fly["http_service"]["checks"]
    assert checks
    for check in checks:
        assert adapter.match(check["path"], method=check["method"])
        assert seconds(check["timeout"]) < seconds(check["interval"]) <= 60
        assert 1 <= seconds(check["grace_period"]) <= 60


def test_one_machine_runs_both_processes_all_the_time(fly: dict[str, Any]) -> None:
    assert len(fly.get("processes", {})) <= 1
    assert fly["http_service"]["auto_stop_machines"] == "off"
    assert fly["http_service"]["min_machines_running"] == 1
    assert [restart["policy"] for restart in fly["restart"]] == ["always"]
    assert len(fly["vm"]) == 1


def test_deploy_needs_no_second_machine_and_no_command_without_the_volume(
    fly: dict[str, Any],
) -> None:
    assert fly["deploy"]["strategy"] == "rolling"  # Waits for the checks, unlike "immediate".
    assert "release_command" not in fly["deploy"]


def test_pages_come_by_https_alone(fly: dict[str, Any]) -> None:
    assert fly["http_service"]["force_https"]


def test_requests_in_hand_are_as_many_as_there_are_threads(
    fly: dict[str, Any], settings: Config
) -> None:
    limits = fly["http_service"]["concurrency"]
    assert limits["type"] == "requests"
    assert limits["soft_limit"] == settings.web_workers * settings.web_threads
    assert limits["hard_limit"] >= 2 * limits["soft_limit"]  # Too close, says Fly, and it retries.


def test_workers_fit_the_memory(fly: dict[str, Any], settings: Config) -> None:
    needed = settings.workers * settings.decode_memory_mb + AT_REST_MB
    assert needed <= gigabytes(fly["vm"][0]["memory"]) * 1024


def test_memory_is_what_the_size_may_have(fly: dict[str, Any]) -> None:
    kind, cpus = re.fullmatch(
        r"(shared|performance)-(?:cpu-)?(\d+)x", fly["vm"][0]["size"]
    ).groups()  # type: ignore[union-attr]
    most = int(cpus) * {"shared": 2, "performance": 8}[kind]
    assert gigabytes(fly["vm"][0]["memory"]) <= most


def test_volume_grows_before_uploads_are_refused(fly: dict[str, Any], settings: Config) -> None:
    mounts = fly["mounts"]
    size, threshold = gigabytes(mounts["initial_size"]), mounts["auto_extend_size_threshold"]
    assert 50 <= threshold <= 99
    assert size * 1000 * (100 - threshold) / 100 > settings.min_free_mb + settings.max_request_mb
    assert 1 <= gigabytes(mounts["auto_extend_size_increment"]) <= 100
    assert size < gigabytes(mounts["auto_extend_size_limit"]) <= 500


def test_snapshots_are_made_and_kept(fly: dict[str, Any]) -> None:
    assert fly["mounts"]["scheduled_snapshots"]
    assert 5 <= fly["mounts"]["snapshot_retention"] <= 60


def test_secrets_are_not_in_the_file(fly: dict[str, Any]) -> None:
    assert not any(re.search("TOKEN|KEY", name) for name in fly["env"])
