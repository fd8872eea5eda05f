"""The documents agree with the code."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from flask import Flask
from packaging.requirements import Requirement

from tests.support.documents import PAGES, anchors
from tests.support.third_party import locked
from webapp.config import ROOT, Config, environment_name
from webapp.web.api.operations import OPERATIONS
from webapp.web.errors import STATUS

HTTP_API = (ROOT / "docs/http-api.md").read_text()
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()

# In the same document, with the answers instead of what a request does.
THUMBNAIL_API = {
    "/upload_image",
    "/check_job_status/<id>",
    "/download_thumbnail/<id>",
    "/healthcheck",
}


def documented(default: object) -> str:
    """Return a default as the documents write it."""
    if isinstance(default, bool):
        return f"`{int(default)}`"
    if isinstance(default, float):
        return f"`{default:g}`"
    return f"`{default}`" if str(default) else ""


def test_every_setting_is_documented_with_default_and_reason() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|$", CONFIGURATION, re.MULTILINE)
    expected = [
        (
            environment_name(item.name),
            "`cores + 1`" if item.name == "workers" else documented(item.default),
            item.metadata["why"],
        )
        for item in fields(Config)
    ]
    assert rows == expected


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_settings_that_a_page_names_exist(document: Path) -> None:
    known = {environment_name(item.name) for item in fields(Config)}
    assert set(re.findall(r"\bTHUMBNAIL_[A-Z_]+[A-Z]\b", document.read_text())) <= known


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_make_verbs_that_a_page_names_exist(document: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", document.read_text(), re.MULTILINE))
    assert [verb for verb in named if not re.search(rf"^{verb}:", makefile, re.MULTILINE)] == []


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_files_that_a_page_links_to_exist(document: Path) -> None:
    for path in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / path).is_file(), path


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_parts_of_pages_that_a_page_links_to_exist(document: Path) -> None:
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", document.read_text()):
        assert anchor in anchors(document.parent / path if path else document), (path, anchor)


def test_modules_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    named = set(re.findall(r"`((?:\w+/)*\w+\.py|(?:\w+/)+)`", text))
    folders = (ROOT, ROOT / "webapp")
    assert [name for name in sorted(named) if not any((at / name).exists() for at in folders)] == []


def test_readme_fits_on_a_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 100


def test_security_page_names_tests_that_exist() -> None:
    named = set(re.findall(r"`((?:\w+/)*test_\w+\.py)`", (ROOT / "SECURITY.md").read_text()))
    assert len(named) > 15
    assert [name for name in sorted(named) if not (ROOT / "tests" / name).is_file()] == []


def test_third_party_page_names_every_package_that_we_ship() -> None:
    page = (ROOT / "THIRD_PARTY.md").read_text()
    rows = re.findall(r"^\| ([\w.-]+) \| ([\w.]+) \| \S", page, re.MULTILINE)
    named = {(name.lower().replace("_", "-"), version) for name, version in rows}
    assert set(locked().items()) <= named


def test_tools_of_check_deploy_change_no_package_of_the_tests() -> None:
    tools, tests = locked("requirements-deploy.txt"), locked("requirements-dev.txt")
    assert {name: tests[name] for name in tools if name in tests}.items() <= tools.items()


def test_libvips_is_installed_where_it_has_a_wheel() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    needs = [Requirement(line.removesuffix(" \\")) for line in lines if "==" in line]

    def installed(machine: str) -> set[str]:
        system = {"sys_platform": "linux", "platform_machine": machine}
        return {need.name for need in needs if not need.marker or need.marker.evaluate(system)}

    extra = {"pyvips", "pyvips-binary", "cffi", "pycparser"}
    assert extra <= installed("x86_64") & installed("aarch64")
    assert not extra & installed("riscv64")


def test_every_operation_of_the_api_is_documented(app: Flask) -> None:
    rows = re.findall(r"^\| `([A-Z]+) (/\S*)` \|", HTTP_API, re.MULTILINE)
    documented = {(method, path) for method, path in rows if path not in THUMBNAIL_API}
    known = {
        (one.method, re.sub(r"\{\w+\}", "<id>", one.path.removeprefix("/api/v1")))
        for one in OPERATIONS
        if one.path.startswith("/api/v1")
    }
    assert documented == known


def test_every_code_of_an_error_is_documented() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", HTTP_API, re.MULTILINE)
    known = {(str(status), code) for error in STATUS for status, code in codes_of(error)}
    assert known - set(rows) == set()


def test_codes_that_troubleshooting_names_exist() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text()
    rows = re.findall(r"^\| (?:\d+, code )?(`\w+`(?:, `\w+`)*) \|", page, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join(rows)))
    source = "".join(path.read_text() for path in (ROOT / "webapp").rglob("*.py"))
    source += (ROOT / "deploy/nginx/thumbnails.conf").read_text()
    assert len(named) > 20
    assert [code for code in named if not re.search(rf'["\s]{code}["; ]', source)] == []


def codes_of(error: type[Exception]) -> Iterator[tuple[int, str]]:
    """List the status and the code of an error and of those that derive from it."""
    if code := getattr(error, "code", None):
        yield next(status for known, status in STATUS.items() if issubclass(error, known)), code
    for derived in error.__subclasses__():
        yield from codes_of(derived)
