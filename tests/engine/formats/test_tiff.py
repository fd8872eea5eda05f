"""Read the header of a TIFF."""

import struct

import pytest
from PIL import Image

from tests.support.engine import Engine, assert_near, png
from tests.support.hostile import tiff
from tests.support.images import encode
from webapp.engine.errors import Corrupt, Unsupported
from webapp.engine.header import Header


def test_kind_of_tiff_that_no_decoder_reads_is_named(engine: Engine) -> None:
    bits = struct.pack("<3H", 32, 32, 32)
    more = [(258, 3, 3, bits), (262, 3, 1, b"\2\0"), (277, 3, 1, b"\3\0")]
    with pytest.raises(Unsupported, match="This kind of TIFF has channels"):
        engine.header(tiff.grey(4, 4, bytes(192), more=more))


def test_big_endian_tiff_is_read(engine: Engine) -> None:
    image = encode(Image.new("I;16B", (120, 80), 0x8000), "tiff", tiffinfo={274: 6})
    assert image.startswith(b"MM")
    assert engine.header(image) == Header("tiff", 80, 120, 6, False)
    assert_near(engine.picture(image, png(60, 60)).convert("RGB").getpixel((20, 20)), (128,) * 3)


def test_more_strips_than_an_honest_file_has_are_refused(engine: Engine) -> None:
    count = 200_001
    strips = [(number, 4, count, bytes(4 * count)) for number in (273, 279)]
    with pytest.raises(Corrupt):
        engine.header(tiff.grey(4, count, b"", more=[*strips, (278, 4, 1, b"\1\0\0\0")]))
