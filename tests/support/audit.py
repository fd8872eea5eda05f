"""Look up the locked dependencies among known vulnerabilities.

    python -m tests.support.audit

Ends with 1 where one is found. Where pip-audit or its service cannot be reached, it says so in one
line and ends with 0: nothing is known then, and CI must not depend on a service of others.
"""

import json
import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]  # Without webapp.config: no package is installed here.
# An environment of its own: pip-audit brings thirty packages that nothing else here needs.
ENVIRONMENT = ROOT / ".venv-audit"
# The first has what we ship, too.
LOCKS = ("requirements-dev.txt", "requirements-deploy.txt", "requirements-build.txt")
PIP_AUDIT = "pip-audit==2.10.1"
SECONDS = 120  # For all of the installation, and for all of the look-up.
# How a traceback names what was raised, and the one such error that pip-audit prints without a
# traceback. Nothing else counts: a package may have "ssl" or "proxy" in its name.
NOT_REACHED = re.compile(
    r"^(?:[\w.]+\.)?"
    r"(?:ConnectionError|ConnectTimeout|ReadTimeout|ServiceError|ProxyError|SSLError)\b"
    r"|^ERROR:pip_audit\._cli:Tip: your network may be blocking this service",
    re.MULTILINE,
)


def main() -> int:
    """Install and run pip-audit, print its findings, and return the exit code."""
    try:
        _install()
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        print("No audit: pip-audit cannot be installed from here.")
        return 0
    try:
        asked = _ask()
    except subprocess.TimeoutExpired:
        print("No audit: the advisory service does not answer.")
        return 0
    words, exit_code = judge(asked.stdout, asked.stderr)
    print(words)
    return exit_code


def _install() -> None:
    venv.create(ENVIRONMENT, with_pip=True)
    command = ["bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    few = ["--retries", "1", "--timeout", "10"]
    _run([*command, *few, PIP_AUDIT], check=True)


def _ask() -> "subprocess.CompletedProcess[str]":
    options = ["--disable-pip", "--require-hashes", "--progress-spinner=off", "--timeout=10"]
    locks = [f"--requirement={ROOT / lock}" for lock in LOCKS]
    return _run(["bin/pip-audit", *options, "--format=json", *locks])


def _run(command: list[str], *, check: bool = False) -> "subprocess.CompletedProcess[str]":
    program = str(ENVIRONMENT / command[0])
    return subprocess.run(
        [program, *command[1:]], check=check, capture_output=True, text=True, timeout=SECONDS
    )


def judge(report: str, errors: str) -> tuple[str, int]:
    """Read pip-audit's JSON report, and return a message and the exit code.

    A dependency that the service does not know fails, unless it knows none: a mirror of the
    package index has no advisories.
    """
    try:
        dependencies = json.loads(report)["dependencies"]
    except ValueError:
        if NOT_REACHED.search(errors):
            return "No audit: the advisory service cannot be reached from here.", 0
        return errors, 1
    skipped = [each["skip_reason"] for each in dependencies if "skip_reason" in each]
    if len(skipped) == len(dependencies):
        return "No audit: the advisory service cannot be reached from here.", 0
    found = [
        f"{each['name']} {each['version']}: {flaw['id']}, fixed in"
        f" {', '.join(flaw['fix_versions']) or 'no version'}"
        for each in dependencies
        for flaw in each.get("vulns", [])
    ]
    if found or skipped:
        return "\n".join(found + skipped), 1
    return f"{len(dependencies)} dependencies have no known vulnerability.", 0


if __name__ == "__main__":
    sys.exit(main())
