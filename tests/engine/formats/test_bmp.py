"""Read the header of a BMP."""

import pytest

from tests.support.engine import Engine, assert_corners, png
from tests.support.hostile import bmp
from tests.support.images import encode, make_corners
from webapp.engine.errors import TooManyPixels
from webapp.engine.header import Header


def test_bmp_stored_from_the_top_is_upright(engine: Engine) -> None:
    stored = bytearray(encode(make_corners(), "bmp"))
    width, height, start = 120, 80, int.from_bytes(stored[10:14], "little")
    line = 3 * width
    lines = [stored[start + n * line : start + (n + 1) * line] for n in range(height)]
    stored[start:] = b"".join(reversed(lines))
    stored[22:26] = (-height).to_bytes(4, "little", signed=True)
    image = bytes(stored)
    assert engine.header(image) == Header("bmp", width, height, 1, False)
    assert_corners(engine.picture(image, png(60, 40)))


def test_limit_of_a_bmp_in_runs_is_lower(engine: Engine) -> None:
    size = (3000, 2000)
    assert engine.header(bmp.build(*size, b"")).width == 3000
    with pytest.raises(TooManyPixels, match="has 6 megapixels; the limit is 5"):
        engine.header(bmp.build(*size, b"", bits=8, compression=1, colors=256))
