"""Vendored files are pinned, and templates obey a strict content policy."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from PIL import Image

from tests.support.people import Person
from tests.support.receiver import PACKAGES
from webapp.config import ROOT

VENDOR = ROOT / "static/vendor"
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
FROM_DISK = ROOT / "templates/archives"  # Opened by no server of ours: it brings its own style.


@pytest.mark.parametrize("entry", json.loads((VENDOR / "vendor.json").read_text()))
def test_vendored_file_is_what_was_pinned(entry: dict[str, str]) -> None:
    content = (VENDOR / entry["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]


def test_every_vendored_file_is_pinned() -> None:
    pinned = {entry["file"] for entry in json.loads((VENDOR / "vendor.json").read_text())}
    assert {path.name for path in VENDOR.iterdir() if path.suffix in (".js", ".css")} == pinned


@pytest.mark.parametrize("package", json.loads((PACKAGES / "packages.json").read_text()))
def test_npm_package_of_tests_is_what_was_pinned(package: dict[str, Any]) -> None:
    folder = PACKAGES / package["name"]
    files = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "LICENSE"
    }
    assert files == package["files"]


@pytest.mark.parametrize(
    "template", [t for t in TEMPLATES if t.parent != FROM_DISK], ids=lambda path: path.name
)
def test_template_obeys_the_content_security_policy(template: Path) -> None:
    text = template.read_text()
    assert not re.search(
        r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*(?:\ssrc=|json))", text
    )
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_template_needs_no_evaluation_in_htmx(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"hx-on|hx-vars|\"js:|hx-trigger=\"[^\"]*\[", text)


def test_page_links_the_web_manifest(person: Person) -> None:
    address = person.page("/").value("link[rel=manifest]", "href")
    answer = person.get(address)
    assert answer.mimetype == "application/manifest+json"
    assert urljoin(address, json.loads(answer.text)["start_url"]) == "/"


def test_icons_have_the_sizes_of_the_manifest() -> None:
    manifest = json.loads((ROOT / "static/manifest.webmanifest").read_text())
    promised = {icon["src"]: icon["sizes"] for icon in manifest["icons"]}
    assert promised.pop("icon.svg") == "any"
    for name, size in {**promised, "icon-180.png": "180x180"}.items():
        with Image.open(ROOT / "static" / name) as icon:
            assert f"{icon.width}x{icon.height}" == size
