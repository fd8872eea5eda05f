"""Hostile files, through the reader of headers and the decoder.

Those of SENT are decoded by live/test_hostile.py, which sends them over HTTP.
"""

from pathlib import Path

import pytest

from tests.support.hostile import SENT, hostile_files
from webapp.config import Config
from webapp.engine.decoder import Decoder
from webapp.engine.errors import ImageError
from webapp.engine.identify import read_header
from webapp.recipes.outputs import Output, Recipe
from webapp.recipes.presets import PRESETS

pytestmark = pytest.mark.slow

STILL = PRESETS["square"].recipe
MOVING = Recipe((*STILL.outputs, Output("moving", 64, 64, format="webp", animated=True)))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Decode each file; return *done* or the code of its error."""
    folder = tmp_path_factory.mktemp("hostile")
    decoder = Decoder.from_config(Config(instance=folder / "instance"))
    files = {name: file for name, file in hostile_files().items() if name not in SENT}
    return {name: outcome(decoder, name, file, folder) for name, file in files.items()}


def outcome(decoder: Decoder, name: str, file: bytes, folder: Path) -> str:
    source, made = folder / "source", folder / "made"
    source.write_bytes(file)
    made.mkdir(exist_ok=True)
    try:
        read_header(source, decoder.image)
        result = decoder.make_thumbnails(
            source, MOVING if name.startswith("moving") else STILL, made
        )
    except ImageError as error:
        assert list(made.iterdir()) == []
        return error.code
    for thumbnail in result.thumbnails:
        (made / thumbnail.file_name).unlink()
    return "done"


def test_each_file_is_decoded_or_refused_for_a_reason(outcomes: dict[str, str]) -> None:
    assert len(outcomes) > 400
    assert set(outcomes.values()) == {
        *("done", "corrupt", "truncated", "unsupported_format"),
        *("too_many_pixels", "too_many_scans", "too_many_frames"),
    }


def test_signatures_without_an_image_are_refused(outcomes: dict[str, str]) -> None:
    assert "done" not in {code for name, code in outcomes.items() if name.startswith("magic-")}
