"""Read the header of a GIF."""

import pytest

from tests.support.engine import Engine
from tests.support.hostile import gif
from webapp.engine.errors import Corrupt, TooManyPixels
from webapp.engine.header import Header


def test_size_holds_the_whole_first_frame(engine: Engine) -> None:
    image = gif.build(64, 64, gif.frame(30, 20, left=50, top=10) + gif.frame(1, 1, left=200))
    assert engine.header(image) == Header("gif", 80, 64, 1, False)


def test_bytes_of_an_extension_are_no_frame(engine: Engine) -> None:
    comment = b"!\xfe\x0c" + gif.frame(9999, 9999)[:12] + b"\0"
    image = gif.build(64, 48, comment + gif.frame(64, 48))
    assert engine.header(image) == Header("gif", 64, 48, 1, False)


def test_frame_over_the_limit_is_refused(engine: Engine) -> None:
    with pytest.raises(TooManyPixels, match="3,600 megapixels"):
        engine.header(gif.build(1, 1, gif.frame(60_000, 60_000)))


def test_gif_of_comments_alone_is_damaged(engine: Engine) -> None:
    with pytest.raises(Corrupt):
        engine.header(gif.build(64, 64, b"!\xfe\1x\0"))
