"""A container drops root, and its port is published to this machine alone."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from webapp.config import ROOT

NOBODY = 65534


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can become another user"
)
@pytest.mark.parametrize(
    ("launcher", "drops_all"),
    [([], True), (["setpriv", "--inh-caps=-setpcap", "--bounding-set=-setpcap"], False)],
    ids=["default", "few-capabilities"],
)
def test_container_drops_root_for_good(
    tmp_path: Path, launcher: list[str], drops_all: bool
) -> None:
    entrypoint = (ROOT / "deploy/docker-entrypoint").read_text()
    # The user exists only in the container.
    script = entrypoint.replace("thumbnails:thumbnails", f"{NOBODY}:{NOBODY}")
    script = script.replace("=thumbnails", f"={NOBODY}").replace("--init-groups", "--clear-groups")
    status = subprocess.run(
        [*launcher, "sh", "-c", script, "entrypoint", "cat", "/proc/self/status"],
        env={"PATH": os.environ["PATH"], "THUMBNAIL_INSTANCE": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    facts = dict(line.split(":\t", 1) for line in status.splitlines())
    assert set(facts["Uid"].split()) == {str(NOBODY)}
    assert facts["NoNewPrivs"] == "1"
    assert int(facts["CapPrm"], 16) == int(facts["CapInh"], 16) == 0
    assert (int(facts["CapBnd"], 16) == 0) is drops_all
    assert tmp_path.stat().st_uid == NOBODY


def test_docker_port_is_published_to_this_machine_alone() -> None:
    for file in ("docs/operations.md", "Dockerfile"):
        text = (ROOT / file).read_text()
        assert text.count("docker run") == text.count("-p 127.0.0.1:8000:8000") == 1
