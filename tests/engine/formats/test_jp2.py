"""Read JPEG 2000, with and without boxes."""

import struct

import pytest
from PIL import Image

from tests.support.engine import Engine, assert_corners, png
from tests.support.images import CORNERS, convert, delta_e, encode, make_corners
from tests.support.isobmff import box
from tests.support.jp2 import (
    SRGB,
    add_boxes,
    change_channel,
    define,
    make_codestream,
    make_palette_image,
)
from tests.support.profiles import make_wide_gamut_profile
from webapp.engine.errors import Corrupt, TooManyPixels
from webapp.engine.header import Header


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


def split_tiles(codestream: bytes, said: int) -> bytes:
    """Add an empty part to each tile, and say how many parts each has."""
    head, *tiles = codestream[:-2].split(b"\xff\x90\0\x0a")
    parts = [b"\xff\x90\0\x0a" + tile[:7] + bytes([said]) + tile[8:] for tile in tiles]
    empty = [part[:6] + struct.pack(">IBB", 14, 1, said) + b"\xff\x93" for part in parts]
    return head + b"".join((*parts, *empty, codestream[-2:]))


@pytest.mark.parametrize("said", [0, 1, 2])
def test_tiles_of_more_parts_than_they_say_are_read(said: int, engine: Engine) -> None:
    image = encode(make_corners(), "jp2", tile_size=(60, 80), no_jp2=True)
    assert image.count(b"\xff\x90\0\x0a") == 2
    assert_corners(engine.picture(split_tiles(image, said), png(60, 40)))


@pytest.mark.parametrize("corners", [(10, 80, 120, 0), (120, 10, 0, 80)])
def test_codestream_of_negative_size_is_damaged(
    corners: tuple[int, int, int, int], engine: Engine
) -> None:
    with pytest.raises(Corrupt):
        engine.header(change_size(make_codestream(), *corners))


def test_codestream_without_channels_is_damaged(engine: Engine) -> None:
    image = make_codestream()
    with pytest.raises(Corrupt):
        engine.header(image[:40] + struct.pack(">H", 0) + image[42:])


def test_grey_of_sixteen_bits_keeps_black_and_white(engine: Engine) -> None:
    ends = Image.new("L", (80, 40))
    ends.paste(255, (40, 0, 80, 40))
    made = engine.picture(encode(convert(ends, "I;16"), "jp2"), png(80, 40)).convert("L")
    assert (made.getpixel((5, 20)), made.getpixel((75, 20))) == (0, 255)


def test_subsampling_that_divides_the_sides_is_read(engine: Engine) -> None:
    image = change_channel(encode(make_corners(), "jp2"), 1, step=2)
    assert engine.header(image) == Header("jp2", 120, 80, 1, False)


def test_profile_is_converted_to_srgb(engine: Engine) -> None:
    profile = make_wide_gamut_profile()
    image = add_boxes(encode(make_corners(), "jp2"), box(b"colr", b"\2\0\0", profile))
    made = engine.picture(image, png(120, 80)).convert("RGB")
    assert delta_e(made, engine.picture(encode(make_corners(), "jp2"), png(120, 80)))[0] > 3
    expected = engine.picture(
        encode(make_corners(), "png", icc_profile=profile), png(120, 80)
    ).convert("RGB")
    assert delta_e(made, expected)[0] < 0.5


def test_first_colour_space_that_decoders_know_counts(engine: Engine) -> None:
    profile = box(b"colr", b"\2\0\0", make_wide_gamut_profile())
    plain = encode(make_corners(), "jp2")
    made = engine.picture(add_boxes(plain, SRGB, profile), png(120, 80))
    assert made.tobytes() == engine.picture(plain, png(120, 80)).tobytes()


def test_channels_in_their_usual_order_are_read(engine: Engine) -> None:
    usual = define((0, 0, 1), (1, 0, 2), (2, 0, 3))
    assert_corners(
        engine.picture(add_boxes(encode(make_corners(), "jp2"), SRGB, usual), png(60, 40))
    )


def test_palette_gives_its_colours(engine: Engine) -> None:
    assert_corners(engine.picture(make_palette_image(CORNERS), png(60, 40)))
