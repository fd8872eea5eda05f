"""What the upload page's scripts know, and what it shows before sending."""

import re
from pathlib import Path

import pytest

from tests.support.images import make_image
from tests.support.people import Person
from webapp.engine.identify import FORMAT_PATTERN, HEAD, UNSUPPORTED_PATTERNS, explain


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
