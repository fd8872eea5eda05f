"""Read the header of an icon."""

import zlib
from typing import Any

import pytest

from tests.support import hostile
from tests.support.engine import Engine, assert_corners, png
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
