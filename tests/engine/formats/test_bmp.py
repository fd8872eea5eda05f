"""Read BMPs, also those that Pillow alone shows wrong or refuses."""

import random
import struct
from collections.abc import Callable
from typing import Any, cast

import pytest
from PIL import Image

from tests.support.bmp import ALPHA_FIELDS, EMBEDDED, FIELDS, SIZE, write, write_runs
from tests.support.engine import Engine, assert_corners, assert_near, png
from tests.support.hostile import bmp as hostile
from tests.support.images import encode, make_corners, make_picture
from tests.support.profiles import make_wide_gamut_profile
from webapp.engine.errors import TooManyPixels, Truncated
from webapp.engine.header import Header

SAME = png(*SIZE)
Color = tuple[int, int, int]


def field(number: int, mask: int) -> int:
    """Return what a mask selects, scaled to 8 bits."""
    shift = (mask & -mask).bit_length() - 1
    return round(255 * ((number & mask) >> shift) / (mask >> shift))


def pixels_of(picture: Image.Image) -> list[tuple[int, ...]]:
    return list(cast(Any, picture).get_flattened_data())


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
    assert engine.header(hostile.build(*size, b"")).width == 3000
    with pytest.raises(TooManyPixels, match="has 6 megapixels; the limit is 5"):
        engine.header(hostile.build(*size, b"", bits=8, compression=1, colors=256))


RARE_FIELDS = {
    "A4R4G4B4": (16, (0xF00, 0xF0, 0xF, 0xF000)),
    "X4R4G4B4": (16, (0xF00, 0xF0, 0xF)),
    "A1R5G5B5": (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    "R2G3B1": (16, (0x6000, 0x0E00, 0x0001)),
    "B8G8R8 of 24 bits": (24, (0xFF, 0xFF00, 0xFF0000)),
    "A2R10G10B10": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
    "R11G11B10": (32, (0xFFE00000, 0x1FFC00, 0x3FF)),
    "R8B8 without green": (32, (0xFF0000, 0, 0xFF)),
    "X1R8G8B8X7": (32, (0x7F800000, 0x7F8000, 0x7F80)),
}


@pytest.mark.parametrize("from_top", [False, True], ids=["from the bottom", "from the top"])
@pytest.mark.parametrize(("bits", "masks"), RARE_FIELDS.values(), ids=RARE_FIELDS)
def test_rare_bit_fields_of_a_bmp_are_read(
    bits: int, masks: tuple[int, ...], from_top: bool, engine: Engine
) -> None:
    numbers = [random.Random(index).getrandbits(bits) for index in range(65)]
    for header, compression in ((124, FIELDS), (40, ALPHA_FIELDS if len(masks) == 4 else FIELDS)):
        image = write(
            numbers, bits, compression=compression, masks=masks, header=header, from_top=from_top
        )
        assert engine.header(image) == Header("bmp", *SIZE, 1, False)
        made = engine.picture(image, SAME)
        for number, color in zip(numbers, pixels_of(made), strict=True):
            expected = tuple(field(number, mask) if mask else 0 for mask in masks)
            if len(expected) < 4 or expected[3]:  # The colour of an invisible pixel is lost.
                # Premultiplying loses more of the colour the less of it is seen.
                tolerance = 2 if len(expected) < 4 else 2 + 255 // expected[3]
                assert_near(color, expected, tolerance)


@pytest.mark.parametrize(
    ("bits", "masks"),
    [(16, (0xF00, 0xF0, 0xF, 0xF000)), (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000))],
    ids=["rare", "common"],
)
def test_alpha_of_a_bmp_hides_all_if_it_is_empty(
    bits: int, masks: tuple[int, ...], engine: Engine
) -> None:
    image = write([masks[1]] * 65, bits, compression=FIELDS, masks=masks, header=124)
    assert engine.picture(image, SAME).getchannel("A").getextrema() == (0, 0)


# By the bits of an index. Pillow takes the first two for grey pixels, whatever the bits are.
PALETTES: dict[str, Callable[[int], list[Color]]] = {
    "black and white": lambda bits: [(0, 0, 0), (255, 255, 255)],
    "greys": lambda bits: [(number, number, number) for number in range(1 << bits)],
    "colours": lambda bits: [(20, 30, 40), (200, 100, 0), (0, 90, 250), (255, 255, 255)],
}


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("make_colors", PALETTES.values(), ids=PALETTES)
def test_palette_of_any_depth_gives_its_colours(
    make_colors: Callable[[int], list[Color]], bits: int, engine: Engine
) -> None:
    colors = make_colors(bits)
    numbers = [index * index % len(colors) for index in range(65)]
    palette = b"".join(bytes([*reversed(color), 0]) for color in colors)
    made = engine.picture(write(numbers, bits, palette=palette), SAME)
    assert pixels_of(made.convert("RGB")) == [colors[number] for number in numbers]


def test_palette_of_a_bmp_may_have_more_colours_than_used(engine: Engine) -> None:
    palette = bytes([1, 2, 3, 0]) * 299 + bytes(4)
    assert engine.picture(write([7] * 65, 8, palette=palette), SAME).getpixel((1, 1)) == (3, 2, 1)


def test_profile_of_a_bmp_is_converted(engine: Engine) -> None:
    profile, color = make_wide_gamut_profile(), (200, 60, 40)
    image = write([0xC83C28] * 65, 24, header=124, profile=profile)
    source = Image.new("RGB", SIZE, color)
    expected = engine.picture(encode(source, "png", icc_profile=profile), SAME)
    assert expected.getpixel((2, 2)) != color
    assert pixels_of(engine.picture(image, SAME)) == pixels_of(expected)
    # A profile that is cut off, or a file that it should be in, counts as none.
    for broken in (image[:-1], image.replace(struct.pack("<I", EMBEDDED), b"KNIL")):
        assert engine.picture(broken, SAME).getpixel((2, 2)) == color


def test_every_pixel_of_a_plain_bmp_is_kept(engine: Engine) -> None:
    picture = make_picture("RGB", SIZE)
    made = engine.picture(encode(picture, "bmp"), SAME)
    assert made.tobytes() == picture.tobytes()


COLORS = bytes([40, 30, 20, 0, 0, 200, 0, 0])  # Blue comes first.


BLACK, FIRST, SECOND = (0, 0, 0), (20, 30, 40), (0, 200, 0)
# Runs, and the lines that they draw, from the bottom.
RUNS = {
    "early end": (b"\2\1\0\1", [[SECOND] * 2]),
    "short line": (b"\2\1\0\0\3\1\0\1", [[SECOND] * 2, [SECOND] * 3]),
    "skipped lines": (b"\2\1\0\0\0\0\0\0\3\1\0\1", [[SECOND] * 2, [], [], [SECOND] * 3]),
    "jump": (b"\1\1\0\2\2\1\1\0\0\1", [[SECOND], [BLACK] * 3 + [FIRST]]),
    "long run": (b"\xff\1\0\0\1\0\0\1", [[SECOND] * 13, [FIRST]]),
    "pixels": (b"\0\3\0\1\1\0\1\0\0\1", [[FIRST, SECOND, SECOND, FIRST]]),
}


@pytest.mark.parametrize(("runs", "drawn"), RUNS.values(), ids=RUNS)
def test_pixels_that_runs_skip_are_black(
    runs: bytes, drawn: list[list[tuple[int, ...]]], engine: Engine
) -> None:
    width, height = SIZE
    lines = [line + [BLACK] * (width - len(line)) for line in drawn]
    lines += [[BLACK] * width] * (height - len(lines))
    made = engine.picture(write_runs(runs, COLORS), SAME)
    assert pixels_of(made) == [pixel for line in reversed(lines) for pixel in line]


@pytest.mark.parametrize("end", [b"", b"\0\1"], ids=["without an end", "with an end"])
def test_runs_need_no_end_behind_the_last_pixel(end: bytes, engine: Engine) -> None:
    made = engine.picture(write_runs(b"\x0d\1\0\0" * 4 + b"\x0d\0" + end, COLORS), SAME)
    assert pixels_of(made) == [FIRST] * 13 + [SECOND] * 52


@pytest.mark.parametrize("runs", [b"\2\1", b"\2", b"\0\5\1\1", b"\0\2\1"])
def test_bmp_that_ends_within_its_runs_is_incomplete(runs: bytes, engine: Engine) -> None:
    with pytest.raises(Truncated):
        engine.make(write_runs(runs, COLORS), SAME)


def test_runs_of_four_bits_alternate_between_two_colours(engine: Engine) -> None:
    runs = b"\5\x01\0\3\x10\x10\0\1"
    image = write([0] * 65, 4, compression=2, palette=COLORS.ljust(64, b"\0"))
    made = engine.picture(image[: 14 + 40 + 64] + runs, SAME)
    expected = [FIRST, SECOND] * 2 + [FIRST] + [SECOND, FIRST, SECOND]
    assert pixels_of(made)[-13:] == expected + [BLACK] * 5
