"""A trial is the file that would be made, also from a composed picture."""

from pathlib import Path

import pytest
from PIL import Image

from tests.support.engine import LIMITS, Engine
from tests.support.images import encode, make_image, make_jpeg
from tests.support.tags import P3, flat, tag_png
from webapp.engine.trials import try_output
from webapp.recipes.outputs import Output, Recipe

EXIF = Image.Exif()
EXIF[0x8298] = "© Ada"

SOURCES = {
    "jpeg": make_jpeg(),
    "rotated jpeg": make_jpeg(orientation=6),
    "transparent png": make_image("RGBA"),
    "grey png": make_image("L"),
    "palette png": make_image("P"),
    "display p3": tag_png(flat((180, 110, 90)), P3),
    "copyright": encode(flat((180, 110, 90)), "jpeg", exif=EXIF),
}
OUTPUTS = (
    Output("contain", 60, 40),
    Output("crop", 20, 20, "cover", "webp", focus="smart"),
    Output("bars", 70, 70, "pad", "webp", background="transparent"),
    Output("flat", 70, 70, "pad", background="#ff8800"),
    Output("kept", 40, 40, format="webp", color="keep", keep_copyright=True),
    Output("whole", 500, 500, quality=100),  # May be a copy of the source.
    Output("modern", 30, None, format="avif"),
)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_trial_is_the_file_that_is_made(engine: Engine, tmp_path: Path, source: bytes) -> None:
    engine.make(source, *OUTPUTS)
    recipe = Recipe(OUTPUTS)
    for number, output in enumerate(OUTPUTS):
        composed = tmp_path / output.name
        composed.touch()
        for mode in ("wb", "rb"):
            with engine.source.open("rb") as original, composed.open(mode) as file:
                tried = try_output(original, recipe, number, file, LIMITS)
            assert tried == (engine.folder / output.file_name).read_bytes(), (output.name, mode)
