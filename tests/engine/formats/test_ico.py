"""Read icons, of PNGs and of BMPs with masks."""

import struct
import zlib
from typing import Any

import pytest

from tests.support import bmp, hostile
from tests.support.engine import Engine, assert_corners, assert_near, png
from tests.support.images import encode, make_corners, make_picture, make_png_header
from webapp.engine.errors import Corrupt, TooManyPixels, Truncated
from webapp.engine.header import Header


@pytest.mark.parametrize("picture", [{}, {"bitmap_format": "bmp"}], ids=["png", "bmp"])
def test_header_of_an_icon_agrees_with_pillow(picture: dict[str, Any], engine: Engine) -> None:
    icon = encode(make_picture("RGBA", (90, 60)), "ICO", **picture)
    assert engine.header(icon) == Header("ico", 90, 60, 1, False)
    assert engine.result(icon, png(60, 60)).header == engine.header(icon)


def test_icon_with_a_false_size_is_refused_unread(engine: Engine) -> None:
    icon = hostile.ico.build(make_png_header((20_000, 20_000)))
    with pytest.raises(TooManyPixels, match="400 megapixels"):
        engine.header(icon)
    with pytest.raises(TooManyPixels, match="400 megapixels"):
        engine.make(icon, png(60, 60))


def test_largest_picture_of_an_icon_is_used(engine: Engine) -> None:
    icon = encode(make_corners((256, 256)), "ICO", sizes=[(16, 16), (256, 256), (48, 48)])
    assert engine.header(icon) == Header("ico", 256, 256, 1, False)
    assert_corners(engine.picture(icon, png(60, 60)))


@pytest.mark.parametrize(
    ("entries", "used"),
    [
        ([(0, 4), (0, 32), (0, 8)], 1),
        ([(16, 0), (0, 0), (2, 0)], 1),
        ([(0, 32), (16, 0), (0, 32)], 0),
    ],
    ids=["bits", "colours without bits", "first of two"],
)
def test_picture_of_most_colours_is_used(
    entries: list[tuple[int, int]], used: int, engine: Engine
) -> None:
    shades = [b"\x20", b"\x80", b"\xe0"]
    pictures = [hostile.png.build(data=zlib.compress((b"\0" + s * 64) * 64)) for s in shades]
    table, place = struct.pack("<HHH", 0, 1, 3), 6 + 3 * 16
    for picture, (colors, bits) in zip(pictures, entries, strict=True):
        table += struct.pack("<4B2H2I", 64, 64, colors, 0, 1, bits, len(picture), place)
        place += len(picture)
    made = engine.picture(table + b"".join(pictures), png(64, 64))
    assert made.convert("L").getcolors() == [(64 * 64, shades[used][0])]


def test_icon_with_too_many_pictures_is_refused(engine: Engine) -> None:
    small = hostile.png.build(64, 64, color=6)
    assert engine.header(hostile.ico.build(small, 256)).width == 64
    with pytest.raises(Corrupt):
        engine.header(hostile.ico.build(small, 257))


@pytest.mark.parametrize("more", [0, 7], ids=["between entries", "in an entry"])
def test_icon_cut_within_its_table_is_truncated(more: int, engine: Engine) -> None:
    cut = hostile.ico.build(b"", 9)[: 6 + 16 * 4 + more]
    with pytest.raises(Truncated):
        engine.header(cut)
    with pytest.raises(Truncated):
        engine.make(cut, png(60, 60))


def test_icon_of_a_png_with_faulty_metadata_is_shown(engine: Engine) -> None:
    chunks = [(b"gAMA", b"\0"), (b"iCCP", b"icc\0\1profile"), (b"tIME", bytes(7))]
    data = zlib.compress((b"\0" + b"\x80" * 64) * 64)
    picture = hostile.png.spoil(hostile.png.build(data=data, chunks=chunks), b"tIME")
    icon = hostile.ico.build(picture)
    assert engine.header(icon) == Header("ico", 64, 64, 1, False)
    assert engine.picture(icon, png(64, 64)).convert("L").getcolors() == [(64 * 64, 128)]


GREEN = bytes(4) + bytes([0, 200, 0, 0])  # A palette; blue comes first.
# All pixels are green. Those of 32 bits have alpha, which is empty.
BITMAPS = {
    "1 bit": bmp.write([1] * 65, 1, palette=GREEN),
    "8 bits": bmp.write([1] * 65, 8, palette=GREEN + bytes(4 * 254)),
    "16 bits, 4 a colour": bmp.write(
        [0x0C0] * 65, 16, compression=bmp.FIELDS, masks=(0xF00, 0xF0, 0xF)
    ),
    "24 bits": bmp.write([0xC800] * 65, 24),
    "32 bits": bmp.write([0xC800] * 65, 32),
    "32 bits, red first": bmp.write(
        [0xC800] * 65, 32, compression=bmp.FIELDS, masks=(0xFF, 0xFF00, 0xFF0000)
    ),
    "32 bits, alpha field": bmp.write(
        [0xC800] * 65,
        32,
        compression=bmp.FIELDS,
        masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000),
        header=124,
    ),
}


@pytest.mark.parametrize("bits", [0, 32], ids=["depth unknown", "depth of 32 bits"])
@pytest.mark.parametrize("bitmap", BITMAPS.values(), ids=BITMAPS)
def test_mask_hides_pixels_of_an_icon_without_alpha(
    bitmap: bytes, bits: int, engine: Engine
) -> None:
    icon = hostile.ico.build(bmp.to_icon_picture(bitmap, hidden=6), bits=bits)
    assert engine.header(icon) == Header("ico", *bmp.SIZE, 1, False)
    made = engine.picture(icon, png(*bmp.SIZE))
    assert made.crop((0, 0, 6, 5)).getchannel("A").getextrema() == (0, 0)
    assert made.crop((6, 0, 13, 5)).getchannel("A").getextrema() == (255, 255)
    assert_near(made.getpixel((9, 2)), (0, 200, 0, 255), tolerance=4)


def test_alpha_of_an_icon_counts_instead_of_its_mask(engine: Engine) -> None:
    bitmap = bmp.write([0x8000C800] * 64 + [0], 32)
    icon = hostile.ico.build(bmp.to_icon_picture(bitmap, hidden=6))
    made = engine.picture(icon, png(*bmp.SIZE))
    assert_near(made.getpixel((2, 2)), (0, 200, 0, 128))


def test_icon_of_runs_shows_them(engine: Engine) -> None:
    bitmap = bmp.write_runs(b"\x0d\1\0\0" * 5 + b"\0\1", GREEN)
    made = engine.picture(hostile.ico.build(bmp.to_icon_picture(bitmap, 0)), png(*bmp.SIZE))
    assert made.getpixel((2, 2)) == (0, 200, 0, 255)
