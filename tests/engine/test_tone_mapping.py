"""Show pictures of PQ and HLG."""

import struct
from itertools import pairwise

import pytest
from PIL import Image

from tests.support.engine import Engine, assert_near, png
from tests.support.tags import (
    HLG,
    PQ,
    Color,
    Make,
    Tag,
    flat,
    insert_chunk,
    tag_avif,
    tag_heic,
    tag_png,
)

BT709_PQ, P3_PQ, BT709_HLG = (1, 16), (12, 16), (1, 18)
# What Chromium 156 shows on a screen without HDR, read from a canvas.
IN_CHROMIUM: dict[Tag, dict[Color, Color]] = {
    PQ: {
        (60, 60, 60): (26, 26, 26),
        (120, 120, 120): (114, 114, 114),
        (150, 150, 150): (193, 193, 193),
        (165, 165, 165): (221, 221, 221),
        (180, 180, 180): (242, 242, 242),
        (210, 210, 210): (255, 255, 255),
        (180, 110, 90): (255, 0, 19),
        (150, 100, 100): (236, 33, 72),
        (120, 140, 100): (68, 169, 58),
    },
    BT709_PQ: {
        (120, 120, 120): (114, 114, 114),
        (180, 110, 90): (255, 80, 52),
        (120, 140, 100): (114, 163, 76),
        (200, 120, 160): (255, 77, 159),
        (110, 120, 190): (64, 78, 255),
        (190, 185, 120): (255, 242, 78),
    },
    P3_PQ: {
        (120, 120, 120): (114, 114, 114),
        (180, 110, 90): (255, 50, 20),
        (120, 140, 100): (99, 165, 62),
        (200, 120, 160): (255, 31, 149),
        (110, 120, 190): (58, 77, 255),
        (190, 185, 120): (255, 239, 0),
    },
    HLG: {
        (60, 60, 60): (39, 39, 39),
        (120, 120, 120): (92, 92, 92),
        (180, 180, 180): (166, 166, 166),
        (195, 195, 195): (194, 194, 194),
        (240, 240, 240): (243, 243, 243),
        (180, 110, 90): (185, 74, 67),
        (150, 100, 100): (135, 70, 76),
        (120, 140, 100): (85, 112, 75),
    },
    BT709_HLG: {
        (120, 120, 120): (92, 92, 92),
        (180, 110, 90): (154, 87, 71),
        (235, 120, 160): (255, 94, 130),
        (250, 200, 120): (255, 169, 86),
        (120, 130, 245): (80, 87, 242),
    },
}
HDR = [(tag, *pair) for tag, pairs in IN_CHROMIUM.items() for pair in pairs.items()]


@pytest.mark.parametrize(("tag", "color", "expected"), HDR)
def test_hdr_is_tone_mapped_as_in_chromium(
    tag: Tag, color: Color, expected: Color, engine: Engine
) -> None:
    made = engine.picture(tag_png(flat(color), tag), png(32, 32))
    assert_near(made.getpixel((16, 16)), expected, 1)


# What Chromium shows of these shades of PQ, by the peak that a PNG names.
SHADES_OF_PQ = (60, 105, 120, 135, 150, 180, 225, 240)
BY_PEAK = {
    100: (39, 118, 157, 205, 255, 255, 255, 255),
    203: (39, 118, 157, 205, 255, 255, 255, 255),
    400: (34, 106, 141, 184, 235, 255, 255, 255),
    600: (31, 97, 130, 170, 218, 255, 255, 255),
    1000: (26, 85, 114, 150, 193, 242, 255, 255),
    4000: (26, 85, 114, 150, 193, 217, 251, 255),
}


def name_peak(image: bytes, level: int, display: int) -> bytes:
    """Add the peak of a picture and that of its display to a PNG; 0 is unknown."""
    image = insert_chunk(image, b"cLLI", struct.pack(">II", level * 10_000, 0))
    display_color = struct.pack(">8HII", *[0] * 8, display * 10_000, 1)
    return insert_chunk(image, b"mDCV", display_color)


@pytest.mark.parametrize("peak", BY_PEAK)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_tone_map_depends_on_the_brightness_of_the_picture(
    mode: str, peak: int, engine: Engine
) -> None:
    for shade, expected in zip(SHADES_OF_PQ, BY_PEAK[peak], strict=True):
        picture = Image.new("L", (16, 16), shade).convert(mode)
        for peaks in ((peak, 0), (0, peak), (peak, 9999)):
            made = engine.picture(name_peak(tag_png(picture, PQ), *peaks), png(8, 8))
            assert_near(made.convert("RGB").getpixel((4, 4)), (expected,) * 3, 1)


@pytest.mark.parametrize("make", [tag_avif, tag_heic])
@pytest.mark.parametrize("tag", IN_CHROMIUM)
def test_hdr_photo_is_tone_mapped(tag: Tag, make: Make, engine: Engine) -> None:
    made = engine.picture(make(flat((120, 120, 120)), tag), png(32, 32))
    assert_near(made.getpixel((16, 16)), IN_CHROMIUM[tag][120, 120, 120], 4)


@pytest.mark.parametrize("tag", IN_CHROMIUM)
def test_grey_hdr_stays_grey(tag: Tag, engine: Engine) -> None:
    for color, expected in IN_CHROMIUM[tag].items():
        if len(set(color)) == 1:
            image = tag_png(Image.new("L", (64, 64), color[0]), tag)
            made = engine.picture(image, png(32, 32))
            assert (made.mode, made.getpixel((16, 16))) == ("L", expected[0])


def test_transparent_hdr_keeps_its_alpha(engine: Engine) -> None:
    picture = Image.new("RGBA", (64, 64), (150, 100, 100, 128))
    made = engine.picture(tag_png(picture, PQ), png(64, 64))
    assert_near(made.getpixel((16, 16)), (236, 33, 72, 128), 4)  # Premultiplied: rounded.


@pytest.mark.parametrize("tag", [PQ, HLG])
def test_tone_map_of_all_shades_has_no_steps_back(tag: Tag, engine: Engine) -> None:
    ramp = Image.linear_gradient("L").rotate(90).convert("RGB")
    made = engine.picture(tag_png(ramp, tag), png(256, 256)).convert("L")
    row = made.crop((0, 128, 256, 129)).tobytes()
    assert all(one <= other for one, other in pairwise(row))
    assert (row[0], row[-1]) == (0, 255)


def test_large_hdr_picture_has_no_seams_between_strips(engine: Engine) -> None:
    picture = Image.new("RGB", (1500, 1500), (150, 100, 100))
    made = engine.picture(tag_png(picture, PQ), png(1500, 1500))
    assert made.getcolors() == [(1500 * 1500, (236, 33, 72))]
