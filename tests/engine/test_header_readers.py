"""Read all headers of the tests without C code, and as the decoders do."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.support.read_headers import SLOW_TO_OPEN

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the output of tests.support.read_headers: answers and times by file."""
    command = [
        sys.executable,
        "-m",
        "tests.support.read_headers",
        str(tmp_path_factory.mktemp("headers")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return answers


def is_header(answer: object) -> bool:
    """Return whether this is a header; the code of an error is text."""
    return isinstance(answer, dict)


def test_no_header_is_read_by_c_code(answers: dict[str, dict[str, Any]]) -> None:
    headers = {name: answer["header"] for name, answer in answers.items()}
    assert {name for name, header in headers.items() if "used" in header} == set()
    assert {header["format"] for name, header in headers.items() if name.startswith("sample.")} == {
        *("jpeg", "png", "webp", "gif", "tiff", "bmp", "avif", "heic", "ico", "jp2")
    }


def test_no_header_takes_the_web_server_long(answers: dict[str, dict[str, Any]]) -> None:
    assert len(answers) > 500
    assert {name: a["seconds"] for name, a in answers.items() if a["seconds"] > 0.05} == {}


def test_header_is_the_decoders_where_both_read_the_file(
    answers: dict[str, dict[str, Any]],
) -> None:
    both = {
        name: (answer["header"], answer["decoder"])
        for name, answer in answers.items()
        if is_header(answer["header"]) and is_header(answer["decoder"])
    }
    assert len(both) > 300
    assert {name: pair for name, pair in both.items() if pair[0] != pair[1]} == {}


# Files that the web server takes and the decode child refuses: the web server does not look there.
REFUSED_LATER = {
    # Frames: libwebp and libavif read them as they open a file.
    *("webp-canvas-smaller-than-its-frame.webp", "webp-canvas-larger-than-its-frame.webp"),
    *("webp-shorter-than-it-is.webp", "webp-chunk-beyond-the-end.webp"),
    *("webp-alpha-without-a-picture.webp", "moving-webp-without-frames.webp"),
    *("flipped-2.webp", "flipped-4.webp", "moving-avif-of-2-billion-frames.avif"),
    # Boxes and segments that the web server skips.
    "flipped-0.jpg",
    "avif-2400-references-to-4900-properties.avif",
    "heic-2400-references-to-4900-properties.heic",
}
# Files that the web server refuses, and Pillow opens.
REFUSED_EARLY = {
    # More parts than an honest file has.
    *("avif-200000-boxes.avif", "heic-200000-boxes.heic", "avif-400000-inner-boxes.avif"),
    # No pixels, or not all: the decode child sees that as it decodes.
    *("jpeg-without-a-scan.jpg", "cut-at-97-percent.avif", "cut-by-one-byte.avif"),
    *(f"cut-at-{share}-percent.heic" for share in (50, 75, 97)),
    "cut-by-one-byte.heic",
}


def test_files_that_only_one_reader_refuses_are_known(answers: dict[str, dict[str, Any]]) -> None:
    headers = {name for name, answer in answers.items() if is_header(answer["header"])}
    decoded = {name for name, answer in answers.items() if is_header(answer["decoder"])}
    assert headers - decoded == REFUSED_LATER | SLOW_TO_OPEN & headers
    assert decoded - headers == REFUSED_EARLY
