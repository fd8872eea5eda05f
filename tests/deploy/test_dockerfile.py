"""The Dockerfile is what its linter expects, and says the truth about what it ships."""

import re
import subprocess
from pathlib import Path

from tests.support.third_party import LIBRARIES
from webapp.config import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()


def test_linter_finds_nothing_in_the_dockerfile() -> None:
    linted = subprocess.run(["hadolint", ROOT / "Dockerfile"], capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_label_has_every_licence_of_what_is_shipped() -> None:
    [label] = re.findall(r'image\.licenses="(.*)"', DOCKERFILE)
    page = (ROOT / "THIRD_PARTY.md").read_text()
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE)
    named = {part for row in rows for part in re.split(r" AND |, with .*", row)}
    # Packages that name their licence without an identifier of SPDX; those follow.
    spellings = {
        "MIT License": "MIT",
        "BSD License": "BSD-3-Clause",
        "Apache License, Version 2.0": "Apache-2.0",
    }
    # What has no identifier: the heading of the tables, lines below it, and what anyone may use.
    others = {"", "licence", "---", "Public Domain"}
    ours = {"MIT", "blessing"}  # Of the code itself, and of SQLite in pysqlite3.
    shipped = {spellings.get(name, name) for name in named} - others | ours
    assert set(label.split(" AND ")) == shipped


def test_licence_of_each_known_library_is_in_the_label() -> None:
    [label] = re.findall(r'image\.licenses="(.*)"', DOCKERFILE)
    for licence in LIBRARIES.values():
        assert set(re.split(r" AND |, with .*", licence)) - {""} <= set(label.split(" AND "))


def test_build_sees_nothing_but_what_it_copies() -> None:
    assert "*" in IGNORED
    allowed = {line.removeprefix("!") for line in IGNORED if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert allowed == {source for line in copies for source in line.split()}
    assert all((ROOT / source).exists() for source in allowed)
    assert "**/__pycache__" in IGNORED  # Bytecode of another Python, and with other times.
    for private in (".git", ".venv", "instance", ".env", "tests"):
        assert not any(Path(source).parts[0] == private for source in allowed)


def test_user_is_a_number_so_that_kubernetes_can_see_that_it_is_not_root() -> None:
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]


def test_every_command_is_run_without_a_shell() -> None:
    commands = re.findall(r"^(?:    )?CMD (.)", DOCKERFILE, re.MULTILINE)
    assert commands == ["[", "["]  # The health check, and the server.


def test_other_commands_can_be_run_instead_of_the_server() -> None:
    assert "ENTRYPOINT" not in DOCKERFILE


def test_nothing_is_installed_without_its_hash() -> None:
    text = DOCKERFILE + (ROOT / "deploy/build-pysqlite3").read_text()
    installs = re.findall(r"pip (?:install|download) .*", text)
    assert len(installs) == 4
    for install in installs:
        assert "--require-hashes" in install or "--no-index" in install
    assert "sha256sum --check --strict" in text


def test_image_says_where_it_listens_writes_and_how_it_is_stopped() -> None:
    for line in ("EXPOSE 8000", "VOLUME /data", "STOPSIGNAL SIGTERM"):
        assert f"\n{line}\n" in DOCKERFILE
    for variable in ("HOST=0.0.0.0", "PORT=8000", "THUMBNAIL_INSTANCE=/data"):
        assert variable in DOCKERFILE.partition("\nFROM ")[2].rpartition("\nFROM ")[2]
