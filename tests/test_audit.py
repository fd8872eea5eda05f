"""`make audit` fails for known vulnerabilities, and passes without the service."""

import json
import re

import pytest

from tests.support.audit import LOCKS, ROOT, judge
from tests.support.release import locks

SOUND = {"name": "flask", "version": "3.1.2", "vulns": []}
FLAWED = {
    "name": "pillow",
    "version": "13.0.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["13.0.1"], "aliases": [], "description": ""}],
}
UNKNOWN = {"name": "huey", "skip_reason": "Dependency not found: huey (3.5.4)"}
NOT_REACHED = "No audit: the advisory service cannot be reached from here."


def report(*dependencies: object) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


def test_vulnerability_fails_the_audit_and_names_its_fix() -> None:
    message, exit_code = judge(report(SOUND, FLAWED), "Found 1 known vulnerability in 1 package")
    assert (message, exit_code) == ("pillow 13.0.0: PYSEC-1, fixed in 13.0.1", 1)


def test_vulnerability_fails_beside_unknown_dependencies() -> None:
    assert judge(report(UNKNOWN, FLAWED), "")[1] == 1


def test_single_unknown_dependency_fails_the_audit() -> None:
    assert judge(report(SOUND, UNKNOWN), "") == ("Dependency not found: huey (3.5.4)", 1)


def test_dependencies_without_vulnerabilities_pass() -> None:
    assert judge(report(SOUND), "") == ("1 dependencies have no known vulnerability.", 0)


def test_index_without_advisories_passes_with_a_message() -> None:
    assert judge(report(UNKNOWN, UNKNOWN), "") == (NOT_REACHED, 0)


@pytest.mark.parametrize(
    "error",
    [  # How pip-audit 2.10.1 ends without a name server, behind a closed proxy, and so on.
        "requests.exceptions.ConnectionError: HTTPSConnectionPool(…): Max retries exceeded",
        "requests.exceptions.ProxyError: HTTPSConnectionPool(…): Max retries exceeded",
        "requests.exceptions.SSLError: HTTPSConnectionPool(…): Max retries exceeded",
        "requests.exceptions.ReadTimeout: HTTPSConnectionPool(…): Read timed out.",
        "pip_audit._service.interface.ServiceError",
        "ERROR:pip_audit._cli:Could not connect to the vulnerability feed\n"
        "ERROR:pip_audit._cli:Tip: your network may be blocking this service.",
    ],
)
def test_unreachable_service_passes_with_a_message(error: str) -> None:
    errors = f"Traceback (most recent call last):\n  …\n{error}\n"
    assert judge("", errors) == (NOT_REACHED, 0)


@pytest.mark.parametrize("name", ["flask", "pyopenssl", "requests-proxy", "psycopg-connect"])
def test_unreadable_lock_fails_the_audit(name: str) -> None:
    words = f"ERROR:pip_audit._cli:requirement {name} does not contain a hash"
    assert judge("", words) == (words, 1)


def test_crash_of_pip_audit_fails_despite_words_about_a_connection() -> None:
    errors = '  File "requests/ssl.py", line 1, in connect\nTypeError: no ConnectionError\n'
    assert judge("", errors) == (errors, 1)


def test_every_locked_package_is_looked_up() -> None:
    pinned = {
        lock: set(re.findall(r"^\S+==\S+", (ROOT / lock).read_text(), re.MULTILINE))
        for lock in locks((ROOT / "Makefile").read_text())
    }
    looked_up = set().union(*(pinned[lock] for lock in LOCKS))
    assert set().union(*pinned.values()) <= looked_up
