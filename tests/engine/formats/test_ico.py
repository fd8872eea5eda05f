"""Read the header of an icon."""

from typing import Any

import pytest

from tests.support import hostile
from tests.support.engine import Engine, png
from tests.support.images import encode, make_picture, make_png_header
from webapp.engine.errors import TooManyPixels
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
