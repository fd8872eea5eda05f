"""The README says what is true."""

import re
from dataclasses import fields
from pathlib import Path

from webapp.config import Config, environment_name

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def documented(default: object) -> str:
    """Write a default as the README does."""
    if isinstance(default, bool):
        return f"`{int(default)}`"
    if isinstance(default, float):
        return f"`{default:g}`"
    return f"`{default}`" if str(default) else ""


def test_every_setting_is_documented_with_its_default_and_reason() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|$", README, re.MULTILINE)
    expected = [
        (
            environment_name(item.name),
            "`cores + 1`" if item.name == "workers" else documented(item.default),
            item.metadata["why"],
        )
        for item in fields(Config)
    ]
    assert rows == expected


def test_every_verb_of_make_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"make ([a-z-]+)", README + (ROOT / "CONTRIBUTING.md").read_text()))
    missing = {verb for verb in named if not re.search(rf"^{verb}:", makefile, re.MULTILINE)}
    assert missing <= {"and"}


def test_every_picture_that_is_shown_exists() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).is_file()


def test_security_page_names_tests_that_exist() -> None:
    named = set(re.findall(r"`((?:\w+/)?test_\w+\.py)`", (ROOT / "SECURITY.md").read_text()))
    assert len(named) > 15
    assert [name for name in sorted(named) if not (ROOT / "tests" / name).is_file()] == []
