"""Find a Chromium for the browser tests, or install one.

python -m tests.browser.chromium
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

CANDIDATES = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")
ADVICE = "No Chromium was found. Install one (Debian: apt-get install chromium) or set CHROMIUM=."


def find_chromium() -> str | None:
    """Give the path of a browser: $CHROMIUM, the system's, or Playwright's own."""
    chosen = os.environ.get("CHROMIUM")
    if chosen:
        return chosen
    for candidate in CANDIDATES:
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
    if os.geteuid() == 0 and shutil.which("apt-get"):
        attempts.insert(0, ["apt-get", "update", "--quiet"])
        attempts.insert(1, ["apt-get", "install", "--yes", "--quiet", "chromium"])
    for command in attempts:
        subprocess.run(command, check=False, stdout=sys.stderr)
        if find_chromium():
            return


def main() -> None:
    """Make sure that there is a browser, or end with advice."""
    if not find_chromium():
        _install()
    if not find_chromium():
        sys.exit(ADVICE)


if __name__ == "__main__":
    main()
