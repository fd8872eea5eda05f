"""Find a Chromium for the browser tests, or install one.

python -m tests.browser.chromium
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# Chromium without its windows, which Playwright also prefers where it is not seen: a page
# takes 0.1 s of CPU there, and 0.5 s in the whole browser.
SHELL = "chromium-headless-shell"
BROWSERS = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")
ADVICE = f"No Chromium was found. Install one (Debian: apt-get install {SHELL}) or set CHROMIUM=."


def find_chromium() -> str | None:
    """Return the path of $CHROMIUM, or of a browser of the system or of Playwright."""
    chosen = os.environ.get("CHROMIUM")
    if chosen:
        return chosen
    for candidate in (SHELL, *BROWSERS):
        path = shutil.which(candidate)
        if path:
            return path
    return _playwright_chromium()


def _playwright_chromium() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def _install() -> None:
    """Try what may work here: Debian's package as root, else Playwright's download."""
    attempts = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if _may_install_packages():
        attempts.insert(0, ["apt-get", "update", "--quiet"])
        attempts.insert(1, _install_package())
    for command in attempts:
        subprocess.run(command, check=False, stdout=sys.stderr)
        if find_chromium():
            return


def _may_install_packages() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _install_package() -> list[str]:
    return ["apt-get", "install", "--yes", "--quiet", SHELL]


def main() -> None:
    """Make sure that there is a browser, or end with advice."""
    if not find_chromium():
        _install()
    elif "CHROMIUM" not in os.environ and not shutil.which(SHELL) and _may_install_packages():
        # Without it the tests take longer, no more: an attempt is enough.
        subprocess.run(_install_package(), check=False, stdout=sys.stderr)
    if not find_chromium():
        sys.exit(ADVICE)


if __name__ == "__main__":
    main()
