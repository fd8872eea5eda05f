"""Show the colours that a tag names: Display P3, BT.2020 and the curves of video."""

import io

import pytest
from PIL import Image

from tests.support.engine import Engine, assert_near, png
from tests.support.images import encode
from tests.support.profiles import make_wide_gamut_profile
from tests.support.tags import (
    BT2020,
    BT2020_VIDEO,
    P3,
    PQ,
    Color,
    Make,
    Tag,
    flat,
    insert_chunk,
    tag_avif,
    tag_heic,
    tag_png,
    to_srgb,
)

SHADES: list[Color] = [(180, 110, 90), (150, 100, 100), (120, 140, 100), (60, 61, 66), (200, 0, 0)]


@pytest.mark.parametrize("color", SHADES)
@pytest.mark.parametrize("make", [tag_png, tag_avif, tag_heic])
@pytest.mark.parametrize("tag", [P3, BT2020])
def test_tag_of_a_wide_space_is_converted_to_srgb(
    tag: Tag, make: Make, color: Color, engine: Engine
) -> None:
    image = make(flat(color), tag)
    with Image.open(io.BytesIO(image)) as opened:
        stored = opened.convert("RGB").getpixel((32, 32))  # A lossy encoder may change it.
    assert isinstance(stored, tuple)
    assert_near(stored, color, 2)
    expected = to_srgb((int(stored[0]), int(stored[1]), int(stored[2])), tag[0])
    assert_near(engine.picture(image, png(32, 32)).getpixel((16, 16)), expected, 1)


# What Chromium 156 shows of two shades.
PRIMARIES: dict[int, tuple[Color, Color]] = {
    4: ((204, 106, 85), (112, 138, 97)),
    5: ((182, 110, 90), (119, 140, 101)),
    6: ((177, 111, 90), (121, 139, 100)),
    8: ((197, 106, 85), (112, 141, 96)),
    11: ((188, 106, 85), (117, 141, 96)),
    22: ((181, 111, 90), (119, 139, 100)),
}


@pytest.mark.parametrize("primaries", PRIMARIES)
def test_primaries_of_video_and_film_are_those_of_browsers(primaries: int, engine: Engine) -> None:
    for shade, expected in zip(
        ((180, 110, 90), (120, 140, 100)), PRIMARIES[primaries], strict=True
    ):
        made = engine.picture(tag_png(flat(shade), (primaries, 13)), png(32, 32))
        assert_near(made.getpixel((16, 16)), expected, 1)


@pytest.mark.parametrize("color", SHADES)
def test_curve_of_video_in_a_png_is_that_of_browsers(color: Color, engine: Engine) -> None:
    made = engine.picture(tag_png(flat(color), BT2020_VIDEO), png(32, 32))
    assert_near(made.getpixel((16, 16)), to_srgb(color, 9, gamma=2.4), 1)


def test_curve_of_video_in_an_avif_is_that_of_srgb(engine: Engine) -> None:
    plain = encode(flat((180, 110, 90)), "avif", quality=100, subsampling="4:4:4")
    tagged = tag_avif(flat((180, 110, 90)), (1, 1))
    expected = engine.picture(plain, png(32, 32)).tobytes()
    assert engine.picture(tagged, png(32, 32)).tobytes() == expected


@pytest.mark.parametrize("tag", [(2, 2), (2, 16), (1, 13), (3, 13), (200, 200), (23, 16)])
def test_tag_of_srgb_or_of_unknown_numbers_changes_nothing(tag: Tag, engine: Engine) -> None:
    made = engine.picture(tag_png(flat((180, 110, 90)), tag), png(32, 32))
    assert made.getpixel((16, 16)) == (180, 110, 90)


@pytest.mark.parametrize("content", [b"", b"\x0c\x0d\0"], ids=["empty", "short"])
def test_broken_tag_changes_nothing(content: bytes, engine: Engine) -> None:
    image = insert_chunk(encode(flat((180, 110, 90)), "png"), b"cICP", content)
    assert engine.picture(image, png(32, 32)).getpixel((16, 16)) == (180, 110, 90)


def test_tag_with_a_wrong_checksum_changes_nothing(engine: Engine) -> None:
    image = bytearray(tag_png(flat((180, 110, 90)), PQ))
    image[33 + 12] ^= 1  # A checksum follows a length, a name and four numbers.
    assert engine.picture(bytes(image), png(32, 32)).getpixel((16, 16)) == (180, 110, 90)


def test_profile_of_an_avif_counts_more_than_its_tag(engine: Engine) -> None:
    image = tag_avif(flat((180, 110, 90)), PQ, icc_profile=make_wide_gamut_profile())
    expected = to_srgb((180, 110, 90), 12)
    assert_near(engine.picture(image, png(32, 32)).getpixel((16, 16)), expected, 2)
