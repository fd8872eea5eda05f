"""The workflow files are what the service that runs them understands, and may do little."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from webapp.config import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").iterdir())
RELEASE = ROOT / ".github/workflows/release.yml"
DOCKERFILE = ROOT / "Dockerfile"
each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)


def read(workflow: Path) -> Any:
    return yaml.safe_load(workflow.read_text())


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in read(workflow)["jobs"].values() for step in job["steps"]]


def check_schema(name: str, file: Path) -> None:
    """Compare a file with a schema that check-jsonschema has built in."""
    command = ["check-jsonschema", "--builtin-schema", name, str(file)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@each_workflow
def test_workflow_follows_the_schema_of_its_kind(workflow: Path) -> None:
    check_schema("vendor.github-workflows", workflow)


def test_updates_of_dependencies_follow_the_schema_of_their_kind() -> None:
    check_schema("vendor.dependabot", ROOT / ".github/dependabot.yml")


def test_actions_and_the_base_image_are_updated() -> None:
    updates = read(ROOT / ".github/dependabot.yml")["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"github-actions", "docker"}


@each_workflow
def test_actions_are_pinned_by_their_commits(workflow: Path) -> None:
    used = re.findall(r"uses: (.+)", workflow.read_text())
    pinned = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [action for action in used if not pinned.fullmatch(action)] == []


def test_an_action_is_pinned_by_one_commit_everywhere() -> None:
    text = "".join(workflow.read_text() for workflow in WORKFLOWS)
    pins = set(re.findall(r"uses: (\S+)@(\w+) # (\S+)", text))
    assert len({action for action, _, _ in pins}) == len(pins)


@each_workflow
def test_workflow_may_write_nothing_unless_a_job_says_so(workflow: Path) -> None:
    assert read(workflow)["permissions"] in ({}, {"contents": "read"})


@each_workflow
def test_code_of_a_stranger_runs_without_secrets_and_leaves_no_credentials(workflow: Path) -> None:
    # YAML reads the key `on` as true.
    assert set(read(workflow)[True]) <= {"push", "pull_request"}
    checkouts = [step for step in steps(workflow) if "actions/checkout@" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"] == {"persist-credentials": False} for step in checkouts)


@each_workflow
def test_job_that_hangs_is_ended(workflow: Path) -> None:
    assert all(job["timeout-minutes"] <= 30 for job in read(workflow)["jobs"].values())


def test_image_is_tested_and_built_on_a_machine_of_each_architecture() -> None:
    image = read(RELEASE)["jobs"]["image"]
    machines = {one["arch"]: one["runner"] for one in image["strategy"]["matrix"]["include"]}
    assert machines == {"amd64": "ubuntu-24.04", "arm64": "ubuntu-24.04-arm"}
    assert image["runs-on"] == "${{ matrix.runner }}"
    tested = next(place for place, step in enumerate(image["steps"]) if "docker run" in str(step))
    pushed = next(place for place, step in enumerate(image["steps"]) if "push=true" in str(step))
    assert "make test-acceptance" in image["steps"][tested]["run"]
    assert tested < pushed


def test_image_says_how_it_was_built_and_of_what_and_is_signed() -> None:
    (pushed,) = (step["with"] for step in steps(RELEASE) if "push=true" in str(step))
    assert (pushed["provenance"], pushed["sbom"]) == ("mode=max", True)
    published = read(RELEASE)["jobs"]["publish"]["steps"]
    assert any("cosign sign --yes --recursive" in step.get("run", "") for step in published)
    assert any("actions/attest@" in step.get("uses", "") for step in published)


def test_nothing_is_published_before_it_is_checked() -> None:
    jobs = read(RELEASE)["jobs"]
    checked = [step.get("run") for step in jobs["check"]["steps"]]
    assert {"make check", "make release-check", "make audit", "make test-fast"} <= set(checked)
    assert jobs["image"]["needs"] == "check"
    assert "image" in jobs["publish"]["needs"]
    assert "publish" in jobs["release"]["needs"]


def test_jobs_of_a_release_write_only_what_they_make() -> None:
    jobs = read(RELEASE)["jobs"]
    writes = {
        name: {what for what, access in job["permissions"].items() if access == "write"}
        for name, job in jobs.items()
    }
    assert writes == {
        "check": set(),
        "image": {"packages"},
        "publish": {"packages", "id-token", "attestations"},
        "release": {"contents"},
    }


@each_workflow
def test_scripts_read_no_expression_that_a_stranger_could_write(workflow: Path) -> None:
    assert [step for step in steps(workflow) if "${{" in step.get("run", "")] == []


@each_workflow
def test_verbs_that_a_workflow_runs_exist(workflow: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"\bmake ([a-z-]+)$", workflow.read_text(), re.MULTILINE))
    named |= set(re.findall(r"\bmake ([a-z-]+) [A-Z_]+=", workflow.read_text()))
    assert [verb for verb in named if not re.search(rf"^{verb}:", makefile, re.MULTILINE)] == []


def test_image_compose_file_and_chart_are_tried_on_each_change() -> None:
    runs = [step.get("run", "") for step in steps(ROOT / ".github/workflows/ci.yml")]
    for command in ("docker compose up", "make test-acceptance BASE_URL=", "make kind-deploy"):
        assert any(run.startswith(command) for run in runs)


def test_python_of_the_docker_image_is_tested() -> None:
    (version,) = re.findall(r"^ARG BASE=python:(\d+\.\d+)", DOCKERFILE.read_text(), re.MULTILINE)
    jobs = read(ROOT / ".github/workflows/ci.yml")["jobs"]
    assert version in jobs["test"]["strategy"]["matrix"]["python"]
