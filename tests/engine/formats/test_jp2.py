"""Read the header of a JPEG 2000, with and without boxes."""

import struct

import pytest

from tests.support.engine import Engine, assert_corners, png
from tests.support.images import encode, make_corners
from webapp.engine.errors import Corrupt, TooManyPixels
from webapp.engine.header import Header

START = b"\xff\x4f\xff\x51"


def make_codestream() -> bytes:
    """Make a JPEG 2000 without boxes, as digital cinema has."""
    image = encode(make_corners(), "jp2")
    return image[image.index(START) :]


def change_size(codestream: bytes, right: int, bottom: int, left: int, top: int) -> bytes:
    """Change the corners of the picture in the header of a codestream."""
    return codestream[:8] + struct.pack(">4I", right, bottom, left, top) + codestream[24:]


def test_codestream_alone_is_an_image(engine: Engine) -> None:
    image = make_codestream()
    assert engine.header(image) == Header("jp2", 120, 80, 1, False)
    assert_corners(engine.picture(image, png(60, 40)))


def test_size_is_without_the_offset(engine: Engine) -> None:
    image = change_size(make_codestream(), 1120, 2080, 1000, 2000)
    assert engine.header(image) == Header("jp2", 120, 80, 1, False)


def test_codestream_over_the_limit_is_refused(engine: Engine) -> None:
    with pytest.raises(TooManyPixels, match="100 megapixels"):
        engine.header(change_size(make_codestream(), 10_000, 10_000, 0, 0))


@pytest.mark.parametrize("corners", [(10, 80, 120, 0), (120, 10, 0, 80)])
def test_codestream_of_negative_size_is_damaged(
    corners: tuple[int, int, int, int], engine: Engine
) -> None:
    with pytest.raises(Corrupt):
        engine.header(change_size(make_codestream(), *corners))


@pytest.mark.parametrize("channels", [0, 5])
def test_number_of_channels_must_be_one_to_four(channels: int, engine: Engine) -> None:
    image = make_codestream()
    with pytest.raises(Corrupt):
        engine.header(image[:40] + struct.pack(">H", channels) + image[42:])
