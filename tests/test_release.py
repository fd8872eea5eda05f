"""`make release-check` names what is to be done before a release."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.support.release import (
    VERSION,
    locks,
    notes,
    problems_of_changes,
    problems_of_lock,
    problems_of_names,
    problems_of_tag,
)
from webapp import config
from webapp.config import ROOT

CHANGES = """# Changelog

## Unreleased

## 1.2.0, 2026-12-31

### Added

- Alerts.

## 1.1.0, 2026-10-01

- Pages.
"""


def test_version_is_written_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" in project["dynamic"]
    assert VERSION == config.VERSION


def test_dated_section_that_is_not_empty_passes() -> None:
    assert list(problems_of_changes(CHANGES, "1.2.0")) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("## 1.2.0, 2026-12-31", "## 1.3.0, 2026-12-31", "no section for 1.2.0"),
        ("## 1.2.0, 2026-12-31", "## 1.2.0", "no date"),
        ("### Added\n\n- Alerts.\n", "", "says nothing"),
        ("## Unreleased\n", "## Unreleased\n\n- More.\n", "changes under Unreleased"),
    ],
)
def test_change_log_that_is_not_ready_is_named(old: str, new: str, problem: str) -> None:
    problems = list(problems_of_changes(CHANGES.replace(old, new), "1.2.0"))
    assert len(problems) == 1
    assert problem in problems[0]


def test_notes_are_the_section_of_the_version() -> None:
    assert notes(CHANGES, "1.2.0") == "### Added\n\n- Alerts."
    assert notes(CHANGES, "1.2") == ""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for arguments in (["init", "--quiet"], commit("first")):
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True)
    return tmp_path


def commit(message: str) -> list[str]:
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    return [*who, "commit", "--quiet", "--allow-empty", "--message", message]


def test_tag_that_is_free_or_on_this_commit_passes(repository: Path) -> None:
    assert list(problems_of_tag(repository, "1.2.0")) == []
    subprocess.run(["git", "-C", repository, "tag", "v1.2.0"], check=True)
    assert list(problems_of_tag(repository, "1.2.0")) == []


def test_tag_on_another_commit_is_named(repository: Path) -> None:
    for arguments in (["tag", "v1.2.0"], commit("second")):
        subprocess.run(["git", "-C", repository, *arguments], check=True)
    assert "v1.2.0 is on another commit" in next(problems_of_tag(repository, "1.2.0"))


@pytest.mark.parametrize(
    "text",
    [
        "docker pull ghcr.io/OWNER/thumbnails:1.1.0",
        "git checkout v1.1.0",
        'appVersion: "1.1.0"',
        'LABEL org.opencontainers.image.version="1.1.0"',
    ],
)
def test_other_version_in_a_file_is_named(text: str) -> None:
    assert list(problems_of_names("README.md", text, "1.1.0")) == []
    assert list(problems_of_names("README.md", text, "1.2.0")) == [
        "README.md names version 1.1.0. It must be 1.2.0."
    ]


LOCK = """flask==3.1.2 \\
    --hash=sha256:00
    # via thumbnail-webapp (pyproject.toml)
jinja2==3.1.6 \\
    --hash=sha256:00
    # via flask
"""


def test_lock_with_all_that_is_wanted_passes() -> None:
    assert list(problems_of_lock("lock", LOCK, ["Flask>=3.1,<4"])) == []


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (["flask>=3.1", "huey>=3"], "lock lacks huey>=3. Run make lock."),
        (["flask>=4"], "lock has flask 3.1.2, not flask>=4. Run make lock."),
        ([], "lock has flask, which pyproject.toml no longer names. Run make lock."),
    ],
)
def test_lock_that_is_out_of_date_is_named(wanted: list[str], problem: str) -> None:
    assert list(problems_of_lock("lock", LOCK, wanted)) == [problem]


def test_every_lock_is_checked_for_what_it_holds() -> None:
    found = locks((ROOT / "Makefile").read_text())
    assert set(found) == {path.name for path in ROOT.glob("requirements*.txt")}
    assert found["requirements.txt"] == [""]
    assert found["requirements-dev.txt"] == ["", "dev"]
    assert found["requirements-deploy.txt"] == ["deploy"]
