"""Scripts hold no words and no rules of their own: the server renders both."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.support.people import Person
from webapp.config import Config
from webapp.web import static_files

SCRIPTS = {path.name: path.read_text() for path in (static_files.FOLDER / "js").glob("*.js")}
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`')
COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"'`\\\[])//[^\n]*", re.DOTALL)
# Two words after each other, or one that begins a sentence. Selectors, cookies and values of SVG
# have signs that sentences lack; "Files" is a name of the browser's.
SENTENCE = re.compile(r"[A-Za-z]{2,}[,.:;]? [A-Za-z]{2,}|^[A-Z][a-z]+[ .:]*$")
NO_SENTENCE = re.compile(r"^[.#]|[\[#>]|:is\(|; path=|^xM|^Files$")
NUMBER = re.compile(r"(?<![\w.$#-])\d[\d_]*(?:\.\d+)?(?:e\d+)?\b")
# The statuses of HTTP, and the times of the page itself, of which the server knows nothing.
STATUS_OR_TIME = re.compile(r"status [<>=]+ \d+|_(?:MS|SECONDS) = [^;]+;")
COMMON = {100, 1000}  # Percents and milliseconds. Numbers up to 10 are common, too.


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_holds_no_sentence(name: str) -> None:
    literals = [plain or template for plain, template in LITERAL.findall(code_of(name))]
    parts = [re.sub(r"\$\{[^}]*\}", "", literal) for literal in literals]
    assert [one for one in parts if SENTENCE.search(one) and not NO_SENTENCE.search(one)] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_holds_no_number_that_is_a_rule(name: str, config: Config, person: Person) -> None:
    rules = json.loads(person.page("/").one("#rules").text())
    del rules["head"]  # Bytes of a file that are read: as many as a preview has pixels.
    known = {*numbers_in(rules), config.retention_hours, config.max_retention_hours}
    code = STATUS_OR_TIME.sub("", code_of(name))
    held = {float(number.replace("_", "")) for number in NUMBER.findall(code)}
    assert {one for one in held & known if one > 10} <= COMMON


def test_every_word_of_a_script_is_in_the_template(person: Person) -> None:
    words = json.loads(person.page("/").one("#words").text())
    code = "".join(SCRIPTS.values())
    asked = set(re.findall(r'\bsay\("(\w+)"', code))
    assert len(asked) > 10
    assert asked <= words.keys()
    assert [key for key in words if f'"{key}"' not in code] == []


def code_of(name: str) -> str:
    """Return a script without its comments."""
    return COMMENT.sub("", SCRIPTS[name])


def numbers_in(value: object) -> Iterator[float]:
    """Find all numbers in what was JSON."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from numbers_in(one)
    elif isinstance(value, int | float):
        yield value
