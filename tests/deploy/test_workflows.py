"""The workflow files are what the service that runs them understands."""

import subprocess
from pathlib import Path

import pytest

from webapp.config import ROOT


@pytest.mark.parametrize(
    "workflow", sorted((ROOT / ".github/workflows").iterdir()), ids=lambda path: path.name
)
def test_workflow_follows_the_schema_of_its_kind(workflow: Path) -> None:
    command = ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(workflow)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
