"""Decode images of the largest size within the default memory of a decode child."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.support.engine import png
from tests.support.hostile.png import build
from tests.support.images import encode
from webapp.config import Config
from webapp.engine.decoder import Decoder
from webapp.recipes.outputs import Output, Recipe

pytestmark = pytest.mark.slow

SIDE = 10_000  # 100 megapixels.


def make_deep_png() -> bytes:
    transparent = [(b"tRNS", struct.pack(">3H", 1, 2, 3))]
    return build(SIDE, SIDE, depth=16, color=2, chunks=transparent)


def make_jpeg_without_end() -> bytes:
    return encode(Image.new("RGB", (SIDE, SIDE), (40, 90, 160)), "jpeg")[:-2]


@pytest.mark.parametrize(
    ("image", "output"),
    [
        (make_deep_png, png(256, 256)),
        (make_jpeg_without_end, Output("made", 4000, 4000, format="jpeg")),
    ],
    ids=["deep PNG with a transparent colour", "JPEG without its end marker"],
)
def test_largest_image_fits_into_the_memory_limit(
    image: Callable[[], bytes], output: Output, tmp_path: Path
) -> None:
    source, folder = tmp_path / "source", tmp_path / "made"
    source.write_bytes(image())
    folder.mkdir()
    decoder = Decoder.from_config(Config(instance=tmp_path))
    made = decoder.make_thumbnails(source, Recipe((output,)), folder)
    assert made.header.width == SIDE
