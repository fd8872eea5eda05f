"""The compose files are valid, and start the server as safely as their comments say."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from webapp.config import ROOT

FILES = ("compose.yaml", "deploy/compose.tls.yaml")
# Debian's package has it as a plugin of docker, without docker.
FOLDERS = f"{os.environ['PATH']}:/usr/libexec/docker/cli-plugins:/usr/lib/docker/cli-plugins"
COMPOSE = shutil.which("docker-compose", path=FOLDERS)


def merged(*files: str, settings: str = "", **environ: str) -> dict[str, Any]:
    """Return what Docker Compose makes of these files, without a daemon.

    It reads a copy of them, so that the developer's own .env does not count.
    """
    assert COMPOSE, "This test needs Docker Compose. On Debian: apt-get install docker-compose"
    chosen = [part for file in files for part in ("--file", file)]
    with TemporaryDirectory() as folder:
        for file in FILES:
            copy = Path(folder, file)
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / file, copy)
        if settings:
            Path(folder, ".env").write_text(settings)
        read = subprocess.run(
            [COMPOSE, *chosen, "config", "--format", "json"],
            cwd=folder,
            env={"PATH": os.environ["PATH"], **environ},
            capture_output=True,
            text=True,
        )
    assert read.returncode == 0, read.stderr
    return json.loads(read.stdout)["services"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return merged(FILES[0])


@pytest.fixture(scope="module")
def behind_tls() -> dict[str, Any]:
    return merged(*FILES, DOMAIN="thumbnails.example.com")


@pytest.mark.parametrize("file", FILES)
def test_file_follows_the_specification_of_compose_files(file: str, tmp_path: Path) -> None:
    text = (ROOT / file).read_text()
    # The schema is of values, and does not know the tags for merging them.
    (tmp_path / "compose.yaml").write_text(text.replace("!reset []", "[]"))
    command = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_server_is_published_to_this_machine_alone(alone: dict[str, Any]) -> None:
    [port] = alone["thumbnails"]["ports"]
    assert (port["host_ip"], port["target"]) == ("127.0.0.1", 8000)


def test_with_tls_only_caddy_is_published(behind_tls: dict[str, Any]) -> None:
    assert not behind_tls["thumbnails"].get("ports")
    ports = {(port["published"], port["protocol"]) for port in behind_tls["caddy"]["ports"]}
    assert ports == {("80", "tcp"), ("443", "tcp"), ("443", "udp")}


def test_server_behind_tls_trusts_caddy_and_protects_cookies(behind_tls: dict[str, Any]) -> None:
    environ = behind_tls["thumbnails"]["environment"]
    assert environ["THUMBNAIL_TRUSTED_PROXIES"] == "1"
    assert environ["THUMBNAIL_COOKIE_SECURE"] == "1"
    assert int(environ["THUMBNAIL_HSTS_DAYS"]) >= 180
    assert environ["THUMBNAIL_ALLOWED_HOSTS"] == behind_tls["caddy"]["environment"]["DOMAIN"]


def test_caddy_reads_the_shipped_file_and_keeps_its_certificates(
    behind_tls: dict[str, Any],
) -> None:
    volumes = {volume["target"]: volume for volume in behind_tls["caddy"]["volumes"]}
    assert volumes["/etc/caddy/Caddyfile"]["source"].endswith("/deploy/Caddyfile")
    assert volumes["/etc/caddy/Caddyfile"]["read_only"] is True
    assert volumes["/data"]["source"] == "caddy-data"


def test_caddy_starts_when_the_server_is_healthy(behind_tls: dict[str, Any]) -> None:
    assert behind_tls["caddy"]["depends_on"]["thumbnails"]["condition"] == "service_healthy"


def test_site_without_its_name_is_refused_in_a_sentence() -> None:
    with pytest.raises(AssertionError, match="Set DOMAIN to the name of your site"):
        merged(*FILES)


def test_server_alone_trusts_no_proxy(alone: dict[str, Any]) -> None:
    assert "THUMBNAIL_TRUSTED_PROXIES" not in alone["thumbnails"]["environment"]


@pytest.mark.parametrize("service", ["thumbnails", "caddy"])
def test_container_has_a_read_only_root_and_no_rights(
    behind_tls: dict[str, Any], service: str
) -> None:
    container = behind_tls[service]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container.get("cap_add", []) == (["NET_BIND_SERVICE"] if service == "caddy" else [])
    assert container["security_opt"] == ["no-new-privileges:true"]


def test_server_has_the_user_of_the_image(alone: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE) == [alone["thumbnails"]["user"]]


@pytest.mark.parametrize("service", ["thumbnails", "caddy"])
def test_container_is_started_again_and_takes_no_more_than_its_share(
    behind_tls: dict[str, Any], service: str
) -> None:
    container = behind_tls[service]
    assert container["restart"] == "unless-stopped"
    assert int(container["mem_limit"]) > 0
    assert container["logging"]["driver"] == "local"


def test_processes_are_bounded_and_reaped(alone: dict[str, Any]) -> None:
    assert alone["thumbnails"]["pids_limit"] <= 1024
    assert alone["thumbnails"]["init"] is True


def test_commands_in_the_container_have_a_temporary_folder(alone: dict[str, Any]) -> None:
    [folder] = alone["thumbnails"]["tmpfs"]
    assert folder.startswith("/tmp:size=")


def test_changed_code_is_built_again(alone: dict[str, Any]) -> None:
    assert alone["thumbnails"]["pull_policy"] == "build"


def test_data_is_on_a_volume_of_its_name(alone: dict[str, Any]) -> None:
    server = alone["thumbnails"]
    [volume] = server["volumes"]
    assert (volume["type"], volume["source"], volume["target"]) == ("volume", "data", "/data")
    assert server["environment"]["THUMBNAIL_INSTANCE"] == "/data"


def test_server_has_time_to_stop(alone: dict[str, Any]) -> None:
    assert alone["thumbnails"]["stop_grace_period"] == "45s"


def test_memory_is_enough_for_the_workers_that_are_set(alone: dict[str, Any]) -> None:
    server = alone["thumbnails"]
    workers = int(server["environment"]["THUMBNAIL_WORKERS"])
    assert int(server["mem_limit"]) >= workers * 1_500_000_000 + 500_000_000


def test_health_check_is_that_of_the_image(alone: dict[str, Any]) -> None:
    check = alone["thumbnails"]["healthcheck"]
    dockerfile = (ROOT / "Dockerfile").read_text()
    [times] = re.findall(r"^HEALTHCHECK (.*) \\$", dockerfile, re.MULTILINE)
    assert dict(re.findall(r"--([\w-]+)=(\w+)", times)) == {
        name.replace("_", "-"): value for name, value in check.items() if name != "test"
    }
    assert "/healthcheck" in check["test"][-1]


def test_settings_in_the_file_env_do_not_move_the_server() -> None:
    settings = "HOST=127.0.0.1\nPORT=9000\nTHUMBNAIL_INSTANCE=here\nTHUMBNAIL_MAX_FILE_MB=9\n"
    server = merged(FILES[0], settings=settings)["thumbnails"]
    environ = server["environment"]
    assert environ["THUMBNAIL_MAX_FILE_MB"] == "9"
    assert (environ["HOST"], environ["PORT"], environ["THUMBNAIL_INSTANCE"]) == (
        "0.0.0.0",
        "8000",
        "/data",
    )
    assert server["ports"][0]["published"] == "9000"


def test_documented_docker_run_is_as_safe(alone: dict[str, Any]) -> None:
    page = (ROOT / "docs/deploy-docker.md").read_text().replace("\\\n", "")
    [command] = re.findall(r"^docker run .*$", page, re.MULTILINE)
    words = " ".join(command.split())
    for option in (
        "-p 127.0.0.1:8000:8000",
        "--volume thumbnails:/data",
        "--read-only",
        "--init",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        f"--stop-timeout {alone['thumbnails']['stop_grace_period'].removesuffix('s')}",
        f"--env THUMBNAIL_WORKERS={alone['thumbnails']['environment']['THUMBNAIL_WORKERS']}",
    ):
        assert option in words
