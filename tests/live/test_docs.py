"""The lines for curl on the page of the API work when they are pasted."""

import os
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.images import make_jpeg, make_truncated
from tests.support.pages import Page
from tests.support.people import part
from tests.support.servers import Client, running

pytestmark = pytest.mark.live

JOBS = "/api/v1/jobs"
SUCCESS = {200, 201, 202, 204, 303}


def test_every_line_for_curl_works(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(make_jpeg())
    with (
        running(tmp_path / "instance", workers=1) as servers,
        closing(servers.client()) as owner,
    ):
        page = Page(owner.get("/docs", accept="text/html").body.decode())
        # No webhook was sent, and the server fetches nothing.
        lines = [
            code.text()
            for code in page.all("pre code")
            if code.text().startswith("curl ") and "$DELIVERY" not in code.text()
            if "https://example.com" not in code.text()
        ]
        assert len(lines) > 30
        refused = {line: status for line in lines if (status := paste(line, owner, tmp_path))}
        assert refused == {}


def paste(line: str, owner: Client, folder: Path) -> int:
    """Run a line for a new job; return the status of the answer if it is an error."""
    job = open_job(owner) if "-T photo.jpg" in line else create_job(owner)
    cookie = (owner.host, "FALSE", "/", "FALSE", "0", "session", owner.cookies["session"])
    (folder / "cookies.txt").write_text("\t".join(cookie) + "\n")
    ended = subprocess.run(
        ["sh", "-c", f"{line} --silent --show-error --write-out '\\n%{{http_code}}'"],
        cwd=folder,
        env={**os.environ, "JOB": job["id"], "IMAGE": job["images"][0]["id"]},
        capture_output=True,
        check=True,
    )
    status = int(ended.stdout.rpartition(b"\n")[2])
    return 0 if status in SUCCESS else status


def create_job(owner: Client) -> Any:
    """Create a job of one image, and wait for its thumbnail."""
    image = part(make_jpeg(), "a.jpg")
    return owner.post(f"{JOBS}?wait=10", files=image, preset="square").json


def open_job(owner: Client) -> Any:
    """Create a job of one image that fails, and open it for more."""
    image = part(make_truncated(), "a.jpg")
    job = owner.post(f"{JOBS}?wait=10", files=image, preset="square").json
    return owner.request("POST", f"{JOBS}/{job['id']}/reopen").json
