"""Read the header of a GIF, and compose its frames."""

import io
import struct

import pytest
from PIL import Image

from tests.support.engine import LIMITS, Engine
from tests.support.engine import png as make_output
from tests.support.files import CountingFile
from tests.support.hostile import gif
from webapp.engine.errors import Corrupt, TooManyFrames, TooManyPixels, Truncated
from webapp.engine.formats.gif import find_animation
from webapp.engine.header import Header
from webapp.engine.strip import strip_metadata
from webapp.recipes.outputs import Output


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


UNSPECIFIED, KEEP, CLEAR, RESTORE, RESTORE_TOO = 0, 1, 2, 3, 4
BLACK, WHITE, HIDDEN = 0, 1, 2  # The last is transparent.
ALL, RIGHT = (40, 40), (20, 40)


def make_frame(color: int, size: tuple[int, int], disposal: int = KEEP) -> bytes:
    """Make a frame of one colour that ends at the right edge of 40 pixels.

    Its pixels are codes of 8 bits; the table of codes is cleared before these need 9.
    """
    transparent = color == HIDDEN
    control = struct.pack("<BHBB", disposal << 2 | transparent, 8, HIDDEN, 0)
    pixels = bytes((color,)) * (size[0] * size[1])
    data = b"".join(b"\x80" + pixels[n : n + 100] for n in range(0, len(pixels), 100)) + b"\x81"
    frame = gif.frame(*size, left=40 - size[0], data=data)
    return b"!\xf9\x04" + control + frame[:10] + b"\x07" + frame[11:]


def seen(picture: Image.Image) -> tuple[int, ...]:
    """Return what is seen left and right."""
    colors = (picture.convert("RGBA").getpixel((x, picture.height // 2)) for x in (4, 16))
    return tuple(HIDDEN if not color[3] else color[0] // 255 for color in colors)  # type: ignore[index]


def test_canvas_that_no_frame_covers_is_transparent(engine: Engine) -> None:
    image = gif.build(40, 40, make_frame(WHITE, RIGHT))
    assert seen(engine.picture(image, make_output(20, 20))) == (HIDDEN, WHITE)


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
@pytest.mark.parametrize("more", [b"", make_frame(WHITE, ALL)], ids=["alone", "before another"])
def test_first_frame_without_pixels_shows_nothing(
    more: bytes, size: tuple[int, int], engine: Engine
) -> None:
    image = gif.build(40, 40, gif.frame(*size) + more)
    assert engine.header(image) == Header("gif", 40, 40, 1, False)
    assert seen(engine.picture(image, make_output(40, 40))) == (HIDDEN, HIDDEN)


MOVING = {
    "not covered": (
        [(WHITE, RIGHT, KEEP), (BLACK, RIGHT, KEEP)],
        [(HIDDEN, WHITE), (HIDDEN, BLACK)],
    ),
    "cleared": (
        [(WHITE, ALL, KEEP), (BLACK, RIGHT, CLEAR), (HIDDEN, ALL, KEEP)],
        [(WHITE, WHITE), (WHITE, BLACK), (WHITE, HIDDEN)],
    ),
    "restored": (
        [(WHITE, ALL, KEEP), (BLACK, RIGHT, RESTORE), (HIDDEN, ALL, KEEP)],
        [(WHITE, WHITE), (WHITE, BLACK), (WHITE, WHITE)],
    ),
    "restored by its other number": (
        [(WHITE, ALL, KEEP), (BLACK, RIGHT, RESTORE_TOO), (HIDDEN, ALL, KEEP)],
        [(WHITE, WHITE), (WHITE, BLACK), (WHITE, WHITE)],
    ),
    "kept if unspecified": (
        [(WHITE, RIGHT, CLEAR), (BLACK, (10, 40), UNSPECIFIED), (WHITE, (4, 40), KEEP)],
        [(HIDDEN, WHITE), (HIDDEN, BLACK), (HIDDEN, BLACK)],
    ),
    "beyond the canvas": (
        [(WHITE, ALL, KEEP), (BLACK, (40, 90), CLEAR), (HIDDEN, ALL, KEEP)],
        [(WHITE, WHITE), (BLACK, BLACK), (HIDDEN, HIDDEN)],
    ),
    "without pixels first": (
        [(BLACK, (0, 0), KEEP), (WHITE, RIGHT, KEEP)],
        [(HIDDEN, HIDDEN), (HIDDEN, WHITE)],
    ),
    "without pixels": (
        [(WHITE, ALL, KEEP), (BLACK, (0, 0), CLEAR), (BLACK, RIGHT, KEEP)],
        [(WHITE, WHITE), (WHITE, BLACK)],  # WebP makes one of two frames that are equal.
    ),
}


@pytest.mark.parametrize(("frames", "expected"), MOVING.values(), ids=MOVING)
def test_moving_gif_is_composed_as_in_browsers(
    frames: list[tuple[int, tuple[int, int], int]],
    expected: list[tuple[int, int]],
    engine: Engine,
) -> None:
    image = gif.build(40, 40, b"".join(make_frame(*frame) for frame in frames))
    (made,) = engine.make(image, Output("a", 20, 20, format="webp", animated=True, quality=100))
    with Image.open(engine.folder / made.file_name) as animation:
        assert animation.n_frames == len(expected)  # type: ignore[attr-defined]
        for number, wanted in enumerate(expected):
            animation.seek(number)
            assert seen(animation) == wanted


# Bytes of a second frame with a palette: what describes it takes 18, the palette 768.
@pytest.mark.parametrize("kept", [9, 17, 18, 500, 785, 786, 800])
def test_moving_gif_that_is_cut_in_a_frame_is_truncated(kept: int, engine: Engine) -> None:
    frame = make_frame(BLACK, ALL)
    frame = frame[:17] + b"\x87" + bytes(768) + frame[18:]
    image = gif.build(40, 40, make_frame(WHITE, ALL) + frame[:kept])[:-1]
    with pytest.raises(Truncated):
        engine.make(image, Output("a", 40, 40, format="webp", animated=True))
    assert engine.picture(image, make_output(40, 40)).size == (40, 40)


def test_frames_beyond_the_limit_are_not_read(engine: Engine) -> None:
    frames = gif.frame(1, 1) * 100_000
    file = CountingFile(gif.build(64, 64, frames))
    found = find_animation(file, LIMITS.max_frames + 1)
    assert found
    assert found.count > LIMITS.max_frames
    assert file.bytes_read < len(frames) / 100
    with pytest.raises(TooManyFrames, match="more than 200 frames"):
        engine.make(file.getvalue(), Output("a", 64, 64, format="webp", animated=True))


@pytest.mark.parametrize("filler", [b"!\xfe%b\0" % (b"\1x" * 2_000), b"!\xfe\0" * 2_000])
def test_pieces_without_end_between_frames_are_refused(
    filler: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = gif.build(64, 64, gif.frame(1, 1) + filler + gif.frame(1, 1))
    assert find_animation(io.BytesIO(image), 10)
    monkeypatch.setattr("webapp.engine.formats.gif._MAX_PIECES", 1_000)
    with pytest.raises(Corrupt):
        find_animation(io.BytesIO(image), 10)


@pytest.mark.parametrize("kept", [7, 15, 21, 30])
def test_gif_cut_before_its_first_frame_is_truncated(kept: int, engine: Engine) -> None:
    image = gif.build(40, 40, b"!\xfe\x04text\0" + make_frame(WHITE, ALL))[:kept]
    with pytest.raises(Truncated):
        engine.header(image)
    with pytest.raises(Truncated):
        engine.make(image, make_output(40, 40))


def test_copy_of_a_gif_without_its_end_is_sound(engine: Engine) -> None:
    whole = gif.build(40, 40, make_frame(WHITE, ALL) + make_frame(BLACK, ALL))
    (made,) = engine.make(whole[:-2], Output("a", 40, 40, format="gif", animated=True))
    with Image.open(engine.folder / made.file_name) as animation:
        assert animation.n_frames == 2  # type: ignore[attr-defined]
    assert strip_metadata(io.BytesIO(whole[:-2]), "gif") == whole


def test_copy_has_no_data_behind_what_an_extension_needs() -> None:
    repeats, control = b"!\xff\x0bNETSCAPE2.0\3\1\0\0%b\0", b"!\xf9\4\0\x08\0\0%b\0"
    plain, hidden = (
        gif.build(40, 40, repeats % more + control % more + gif.frame(40, 40) * 2)
        for more in (b"", b"\6secret")
    )
    assert strip_metadata(io.BytesIO(hidden), "gif") == strip_metadata(io.BytesIO(plain), "gif")
    assert strip_metadata(io.BytesIO(plain), "gif") == plain
