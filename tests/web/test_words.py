"""Pages have people's words, and none of those that only the code needs."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from tests.support.app import running_app
from tests.support.clock import Clock
from tests.support.errors import ERRORS
from tests.support.images import make_jpeg, make_truncated
from tests.support.jobs import job_at, work
from tests.support.pages import Page, read_zip
from tests.support.people import Person
from webapp.config import ROOT, Config
from webapp.jobs.lifecycle import Jobs

WORDS = re.compile(r"\b(outputs?|recipes?|missing|refused?|rejected|address(es)?)\b", re.IGNORECASE)
# What is read or heard beside the text.
ATTRIBUTES = ("alt", "title", "placeholder", "aria-label", "data-title", "data-relative", "content")
# A sentence, or the part of one before a value.
SENTENCE = re.compile(r"[A-Z][a-z']* [a-z]")
# For operators and programs: descriptions of metrics, and what has no page.
NOT_ON_PAGES = ("metrics.py",)


def said(html: str) -> str:
    """Return all words of a page; codes of errors and commands are for programs."""
    page = Page(html)
    for part in page.all("script, style, textarea, #command, .refusal .facts"):
        part.decompose()
    heard = [
        element.attributes[name] or ""
        for name in ATTRIBUTES
        for element in page.all(f"[{name}]:not([name=viewport])")
    ]
    return " · ".join([page.text("html"), *heard])


def words_of_code(html: str) -> list[str]:
    return [found[0] for found in WORDS.finditer(said(html))]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(instance=tmp_path / "instance", max_kept_mb=1)


@pytest.fixture
def path(person: Person, jobs: Jobs) -> str:
    """Make a job with something done, failed, skipped and too small for its size."""
    files = [(make_jpeg(), "a.jpg"), (make_truncated(), "b.jpg"), (b"words", "notes.txt")]
    path = person.upload(*files, presets=["social", "web-set"]).headers["Location"]
    work(jobs)
    return path


def test_first_page(person: Person) -> None:
    page = person.get("/").text
    assert words_of_code(page) == []
    of_scripts = json.loads(Page(page).one("#words").text()).values()
    assert [one for one in of_scripts if WORDS.search(one)] == []


def test_form_with_every_error(person: Person) -> None:
    for fields in (
        {"presets": ""},
        {"outputs-0-width": "0", "outputs-0-height": "x"},
        {"outputs-0-width": "9999"},
        {"outputs-0-width": "90", "outputs-0-fit": "cover"},
        {"responsive-widths": "many"},
        {"keep_hours": "never"},
    ):
        answer = person.upload((make_jpeg(), "a.jpg"), **fields)
        assert answer.status_code == 422
        assert words_of_code(answer.text) == []
    assert words_of_code(person.get("/?preset=nonsense&w=x&widths=many").text) == []


def test_form_whose_files_are_all_skipped(person: Person) -> None:
    skipped = person.upload((b"words", "notes.txt"), (b"", "empty.jpg"))
    assert "2 skipped" in said(skipped.text)
    assert words_of_code(skipped.text) == []


@pytest.mark.parametrize("page", ["", "/remake", "/delete"])
def test_job(person: Person, path: str, page: str) -> None:
    assert words_of_code(person.get(f"{path}{page}").text) == []


def test_job_that_waits_or_is_cancelled(person: Person) -> None:
    path = person.submit(make_jpeg(), make_jpeg())
    assert words_of_code(person.get(path).text) == []
    person.post(f"{path}/cancel")
    assert words_of_code(person.get(path).text) == []


def test_list_of_jobs(person: Person, path: str) -> None:
    assert words_of_code(person.get("/jobs").text) == []
    person.post(f"{path}/delete")
    assert words_of_code(person.get("/jobs").text) == []
    assert words_of_code(person.get(path).text) == []


def test_guests_pages(stranger: Person, jobs: Jobs, path: str) -> None:
    assert words_of_code(stranger.get(path).text) == []
    image = job_at(jobs, path).images[0].id
    assert words_of_code(stranger.get(f"{path}/images/{image}").text) == []


def test_image(person: Person, jobs: Jobs, path: str) -> None:
    for image in job_at(jobs, path).images:
        assert words_of_code(person.get(f"{path}/images/{image.id}").text) == []


def test_page_of_the_zip(person: Person, path: str) -> None:
    with read_zip(person.get(f"{path}/zip")) as archive:
        assert words_of_code(archive.read("index.html").decode()) == []
        assert not WORDS.search(archive.read("errors.txt").decode())


@pytest.mark.parametrize("status", ERRORS)
def test_error(app: Flask, config: Config, status: int) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule(f"/error/{status}", f"error_{status}", ERRORS[status])
    answer = Person(app.test_client()).get(f"/error/{status}")
    assert answer.status_code == status
    assert words_of_code(answer.text) == []


def test_sign_in(config: Config, clock: Clock) -> None:
    with running_app(replace(config, access_token="long-and-very-secret"), clock) as app:
        assert words_of_code(Person(app.test_client()).get("/sign-in").text) == []


def sentences(module: Path) -> Iterator[str]:
    """List the literals of a module that may be parts of sentences; no docstrings."""
    tree = list(ast.walk(ast.parse(module.read_text())))
    alone = {id(node.value) for node in tree if isinstance(node, ast.Expr)}
    for node in tree:
        match node:
            case ast.Constant(value=str(text)) if id(node) not in alone and SENTENCE.match(text):
                yield text


@pytest.mark.parametrize("package", ["engine", "jobs", "recipes", "web"])
def test_sentences_of_errors(package: str) -> None:
    modules = (ROOT / "webapp" / package).rglob("*.py")
    modules = (one for one in modules if one.parent.name != "api")  # Of that, programs read.
    read = [
        one for module in modules if module.name not in NOT_ON_PAGES for one in sentences(module)
    ]
    assert len(read) > 5
    assert [one for one in read if WORDS.search(one)] == []
