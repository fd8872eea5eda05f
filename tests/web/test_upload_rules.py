"""What scripts of the upload page know, and that they hold no words of their own."""

import json
import re
from pathlib import Path

import pytest

from tests.support.images import make_image
from tests.support.pages import Page
from tests.support.people import Person
from webapp.engine.identify import FORMAT_PATTERN, HEAD, UNSUPPORTED_PATTERNS, explain
from webapp.web import static_files

SCRIPTS = static_files.FOLDER / "js"
# Of the upload page. Its sentences are in templates and in the modules that reject files.
OF_THE_UPLOAD_PAGE = (
    *("contacts", "files", "preview_worker", "previews", "queue", "recipe_form"),
    *("rows", "rules", "sizes", "upload", "upload_page"),
)
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`')
COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"'`\\\[])//[^\n]*", re.DOTALL)
# Two words after each other. Selectors and values of SVG are told by signs that sentences have not.
SENTENCE = re.compile(r"[A-Za-z]{2,}[,.:;]? [A-Za-z]{2,}")
SELECTOR = re.compile(r"^[.#]|[\[#>]|:is\(|^xM")


@pytest.mark.parametrize("name", OF_THE_UPLOAD_PAGE)
def test_script_holds_no_sentence(name: str) -> None:
    code = COMMENT.sub("", (SCRIPTS / f"{name}.js").read_text())
    literals = [plain or template for plain, template in LITERAL.findall(code)]
    parts = [re.sub(r"\$\{[^}]*\}", "", literal) for literal in literals]
    assert [one for one in parts if SENTENCE.search(one) and not SELECTOR.search(one)] == []


def test_every_word_of_a_script_is_in_the_template(person: Person) -> None:
    words = json.loads(person.page("/").one("#words").text())
    code = "".join((SCRIPTS / f"{name}.js").read_text() for name in OF_THE_UPLOAD_PAGE)
    asked = set(re.findall(r'\bsay\("(\w+)"', code))
    assert len(asked) > 10
    assert asked <= words.keys()
    assert [key for key in words if f'"{key}"' not in code and not key.endswith("_short")] == []


@pytest.mark.parametrize(
    "format", ["jpeg", "png", "webp", "gif", "tiff", "bmp", "avif", "heic", "ico", "jp2"]
)
def test_browsers_know_every_format_by_its_beginning(format: str) -> None:
    head = make_image("RGB", (90, 60), format)[:HEAD]
    assert re.match(FORMAT_PATTERN, head, re.DOTALL)


@pytest.mark.parametrize(
    "head",
    [
        b"%PDF-1.7",
        b"<svg xmlns=",
        b"<!doctype html>",
        b"just words",
        b"\0\0",
        b"PK\x03\x04",
        b"8BPS",
    ],
)
def test_browsers_say_what_the_server_says_of_other_files(head: bytes) -> None:
    assert not re.match(FORMAT_PATTERN, head, re.DOTALL)
    said = next(
        words
        for pattern, words in UNSUPPORTED_PATTERNS
        if re.match(pattern, head, re.DOTALL | re.IGNORECASE)
    )
    assert said == str(explain(head))


def test_page_draws_every_preset_and_says_what_it_does(person: Person) -> None:
    page = person.page("/")
    assert len(page.all(".preset .glyph")) == 5
    for words in ("Whole photo on white", "Cropped square", "Cropped to 16:9", "four widths"):
        assert words in page.text("#presets")
    rules = json.loads(page.one("#rules").text())
    assert [len(outputs) for outputs in rules["presets"].values()] == [1, 1, 1, 1, 8]


def test_page_uses_none_of_the_words_of_the_code(person: Person) -> None:
    skipped = person.upload((b"words", "notes.txt"), (b"", "empty.jpg"))
    shown = Page(skipped.text)
    for part in shown.all("script, style, template"):
        part.decompose()
    said = shown.text().lower()
    for word in ("output", "recipe", "missing", "refused", "rejected", "address"):
        assert word not in said
    assert "2 skipped" in said


def test_small_picture_of_every_sample_is_small(person: Person) -> None:
    page = person.page("/")
    for source, width, height in zip(
        page.values(".sample img", "src"),
        page.values(".sample img", "width"),
        page.values(".sample img", "height"),
        strict=True,
    ):
        answer = person.client.get(source)
        assert len(answer.data) < 8000, Path(source).name
        assert int(width) <= 480
        assert int(height) <= 320
