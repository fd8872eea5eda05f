"""Check that this commit can be released, and print what its release changes.

python -m tests.support.release check    a sentence for each thing to do first
python -m tests.support.release notes    the section of CHANGELOG.md for this version
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Read as text: no package is installed where the notes are printed.
VERSION = re.findall(r'^VERSION = "([^"]+)"', (ROOT / "webapp/config.py").read_text(), re.M)[0]
# Where a file names a version of ours.
_NAMED = re.compile(
    r"(?:/thumbnails:v?|\bthumbnails-|refs/tags/v|\bcheckout v|\bappVersion: \"?|--version[ =]v?"
    r"|image\.version[\"']?[=:] ?\"?|\bARG VERSION=\"?)(\d+\.\d+\.\d+[\w.+-]*)"
)
# Not the change log, which names all versions; not tests, which name those that are wrong.
_NAMES_OURS = ("*.md", "*.yaml", "*.yml", "*.toml", "*Dockerfile", ":!CHANGELOG.md", ":!tests")


def check() -> Iterator[str]:
    """Say what is to be done before this commit can be released."""
    changes = (ROOT / "CHANGELOG.md").read_text()
    yield from problems_of_changes(changes, VERSION)
    yield from problems_of_tag(ROOT, VERSION)
    for name in _git(ROOT, "ls-files", "--", *_NAMES_OURS):
        yield from problems_of_names(name, (ROOT / name).read_text(), VERSION)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for lock, groups in locks((ROOT / "Makefile").read_text()).items():
        wanted = [one for group in groups for one in _wanted(project, group)]
        yield from problems_of_lock(lock, (ROOT / lock).read_text(), wanted)
    yield from _problems_of_schema()
    if _git(ROOT, "status", "--porcelain"):
        yield "The working tree has changes. Commit them, or put them away."
    for line in _git(ROOT, "grep", "-nIwE", "TODO|FIXME|XXX", "--", *_OURS):
        yield f"Something is left to do: {line}"


_OURS = (":!static/vendor", ":!tests/support/npm", ":!tests/support/release.py", ":!*.txt")


def notes(changes: str, version: str) -> str:
    """Return the section of a version in the change log, without its title."""
    found = re.search(
        rf"^## {re.escape(version)}(?![\w.])[^\n]*\n(.*?)(?=^## |\Z)", changes, re.M | re.S
    )
    return found[1].strip() if found else ""


def problems_of_changes(changes: str, version: str) -> Iterator[str]:
    """Check the change log's section of a version."""
    title = re.search(rf"^## {re.escape(version)}(?![\w.])(.*)$", changes, re.M)
    if not title:
        yield f"CHANGELOG.md has no section for {version}. Rename Unreleased to it, with the date."
        return
    if not re.fullmatch(r", \d{4}-\d\d-\d\d", title[1]):
        yield f"CHANGELOG.md has no date of {version}. Write its title as: ## {version}, 2026-12-31"
    if not notes(changes, version):
        yield f"CHANGELOG.md says nothing about {version}."
    if notes(changes, "Unreleased"):
        yield f"CHANGELOG.md has changes under Unreleased. Move them to {version}."


def problems_of_tag(repository: Path, version: str) -> Iterator[str]:
    """Check that the tag of a version is free, or is on this commit."""
    tagged = _git(
        repository, "rev-parse", "--quiet", "--verify", f"refs/tags/v{version}^{{commit}}"
    )
    if tagged and tagged != _git(repository, "rev-parse", "HEAD"):
        yield f"The tag v{version} is on another commit. Raise VERSION in webapp/config.py."


def problems_of_names(name: str, text: str, version: str) -> Iterator[str]:
    """Check that a file names no other version of ours."""
    for other in sorted(set(_NAMED.findall(text)) - {version}):
        yield f"{name} names version {other}. It must be {version}."


def locks(makefile: str) -> dict[str, list[str]]:
    """Return the groups that each lock of `make lock` holds; "" is the project."""
    found = {}
    for command in re.findall(r"^\t@?uv pip compile (.+)$", makefile, re.M):
        groups = re.findall(r"--group (?:pyproject\.toml:)?(\S+)", command)
        is_whole = re.search(r"(?:^| )pyproject\.toml(?: |$)", command)
        found[re.findall(r"-o (\S+)", command)[0]] = [""] * bool(is_whole) + groups
    return found


def problems_of_lock(lock: str, text: str, wanted: list[str]) -> Iterator[str]:
    """Check that a lock holds what is wanted, and nothing for the project that no longer is."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pinned = dict(re.findall(r"^([\w.-]+)==([\w.+!-]+)", text, re.M))
    needs = {canonicalize_name(need.name): need for need in map(Requirement, wanted)}
    for name, need in needs.items():
        if name not in pinned:
            yield f"{lock} lacks {need}. Run make lock."
        elif not need.specifier.contains(pinned[name], prereleases=True):
            yield f"{lock} has {name} {pinned[name]}, not {need}. Run make lock."
    for entry in re.findall(r"^[\w.-]+==.*\n(?:    .*\n?)*", text, re.M):
        name = entry.partition("==")[0]
        if "thumbnail-webapp (pyproject.toml" in entry and name not in needs:
            yield f"{lock} has {name}, which pyproject.toml no longer names. Run make lock."


def _wanted(project: dict[str, dict[str, list[str]]], group: str) -> list[str]:
    return project["dependency-groups"][group] if group else project["project"]["dependencies"]


def _problems_of_schema() -> Iterator[str]:
    from tests.support.schema import SCHEMA, current_schema

    if SCHEMA.read_text() != current_schema():
        yield f"{SCHEMA.relative_to(ROOT)} is not what the migrations amount to. Run make schema."


def _git(repository: Path, *arguments: str) -> list[str]:
    """Return the lines that git prints; none where it finds nothing."""
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()


def _print_problems() -> int:
    problems = list(check())
    print("\n".join(problems) or f"{VERSION} can be released: git tag --sign v{VERSION}")
    return min(len(problems), 1)


def _print_notes() -> int:
    found = notes((ROOT / "CHANGELOG.md").read_text(), VERSION)
    print(found)
    return 0 if found else 1


if __name__ == "__main__":
    verbs: dict[str, Callable[[], int]] = {"check": _print_problems, "notes": _print_notes}
    sys.exit(verbs[sys.argv[1]]())
