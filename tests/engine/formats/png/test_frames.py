"""Compose the frames of an animated PNG."""

import struct
import zlib
from typing import cast

import pytest
from PIL import Image

from tests.support.engine import Engine, assert_near
from tests.support.hostile import png
from webapp.engine.errors import Truncated
from webapp.recipes.outputs import Output

Color = tuple[int, int, int, int]
Chunk = tuple[bytes, bytes]
Place = tuple[int, int, int, int]  # Width, height, left and top.
KEEP, CLEAR, RESTORE = 0, 1, 2
REPLACE, OVER = 0, 1
ALL, RIGHT = (40, 40, 0, 0), (20, 40, 20, 0)
NOTHING = (0, 0, 0, 0)
RED, GREEN, BLUE = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)
FAINT = (255, 0, 0, 128)


def control(number: int, place: Place, disposal: int = KEEP, blend: int = OVER) -> Chunk:
    """Make what describes a frame; chunks of frames are numbered."""
    return b"fcTL", struct.pack(">5IHHBB", number, *place, 8, 100, disposal, blend)


def pixels(number: int, content: bytes) -> Chunk:
    return b"fdAT", number.to_bytes(4, "big") + content


def build(frames: int, early: list[Chunk], late: list[Chunk], depth: int = 8) -> bytes:
    """Make an animated PNG whose still picture is red, with chunks around that."""
    count = (b"acTL", struct.pack(">II", frames, 0))
    data = fill(RED, ALL, depth)
    return png.build(
        40, 40, color=6, depth=depth, data=data, chunks=[count, *early], late_chunks=late
    )


def make_moving(*frames: tuple[Color, Place, int, int], depth: int = 8) -> bytes:
    """Make an animated PNG of frames of one colour each.

    Each has a place, a disposal and a blending. The still picture is no frame.
    """
    late: list[Chunk] = []
    for color, place, disposal, blend in frames:
        late.append(control(len(late), place, disposal, blend))
        late.append(pixels(len(late), fill(color, place, depth)))
    return build(len(frames), [], late, depth)


def fill(color: Color, place: Place, depth: int = 8) -> bytes:
    pixel = b"".join(bytes((part,)) * (depth // 8) for part in color)
    return zlib.compress((b"\0" + pixel * place[0]) * place[1])


def seen(image: bytes, engine: Engine) -> list[tuple[Color, Color]]:
    """List what is seen in each frame, left and right."""
    (made,) = engine.make(image, Output("a", 40, 40, format="webp", animated=True, quality=100))
    colors = []
    with Image.open(engine.folder / made.file_name) as animation:
        for number in range(animation.n_frames):  # type: ignore[attr-defined]
            animation.seek(number)
            frame = animation.convert("RGBA")
            colors.append((frame.getpixel((8, 20)), frame.getpixel((32, 20))))
    return cast(list[tuple[Color, Color]], colors)


MOVING = {
    "restored": (
        [(GREEN, ALL, KEEP, REPLACE), (RED, ALL, RESTORE, OVER), (BLUE, RIGHT, KEEP, OVER)],
        [(GREEN, GREEN), (RED, RED), (GREEN, BLUE)],
    ),
    "restored in part": (
        [(GREEN, ALL, KEEP, OVER), (RED, RIGHT, RESTORE, OVER), (NOTHING, ALL, KEEP, OVER)],
        [(GREEN, GREEN), (GREEN, RED), (GREEN, GREEN)],
    ),
    "restored to nothing": (
        [(GREEN, RIGHT, RESTORE, OVER), (NOTHING, ALL, KEEP, OVER)],
        [(NOTHING, GREEN), (NOTHING, NOTHING)],
    ),
    "cleared": (
        [(GREEN, ALL, KEEP, OVER), (BLUE, RIGHT, CLEAR, OVER), (FAINT, RIGHT, KEEP, OVER)],
        [(GREEN, GREEN), (GREEN, BLUE), (GREEN, FAINT)],
    ),
    "translucent over opaque": (
        [(BLUE, ALL, KEEP, REPLACE), (FAINT, RIGHT, KEEP, OVER)],
        [(BLUE, BLUE), (BLUE, (128, 0, 127, 255))],
    ),
    "translucent over translucent": (
        [(FAINT, ALL, KEEP, REPLACE), (FAINT, RIGHT, KEEP, OVER)],
        [(FAINT,) * 2, (FAINT, (255, 0, 0, 192))],
    ),
    "translucent in place of opaque": (
        [(BLUE, ALL, KEEP, REPLACE), (FAINT, RIGHT, KEEP, REPLACE)],
        [(BLUE, BLUE), (BLUE, FAINT)],
    ),
}


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("frames", "expected"), MOVING.values(), ids=MOVING)
def test_moving_png_is_composed_as_in_browsers(
    frames: list[tuple[Color, Place, int, int]],
    expected: list[tuple[Color, Color]],
    depth: int,
    engine: Engine,
) -> None:
    colors = seen(make_moving(*frames, depth=depth), engine)
    assert len(colors) == len(expected)
    for pair, wanted in zip(colors, expected, strict=True):
        for color, other in zip(pair, wanted, strict=True):
            assert abs(color[3] - other[3]) <= 1
            if other[3]:
                assert_near(color, other, 12)


def test_frame_may_be_in_pieces_with_texts_between(engine: Engine) -> None:
    blue = fill(BLUE, ALL)
    late = [control(1, ALL), pixels(2, blue[:9]), (b"tEXt", b"a\0b"), pixels(3, blue[9:])]
    (first, _), (second, _) = seen(build(2, [control(0, ALL)], late), engine)
    assert_near(first, RED, 12)
    assert_near(second, BLUE, 12)


SOUND_FRAMES = make_moving((GREEN, ALL, KEEP, OVER), (BLUE, ALL, KEEP, OVER))
FAULTY_FRAMES = {
    "count": png.spoil(SOUND_FRAMES, b"acTL"),
    "frame": png.spoil(SOUND_FRAMES, b"fcTL"),
    "order": SOUND_FRAMES.replace(b"fdAT\0\0\0\1", b"fdAT\0\0\0\7"),
    "beyond the picture": make_moving((GREEN, ALL, KEEP, OVER), (BLUE, (40, 40, 1, 0), KEEP, OVER)),
    "no size": make_moving((GREEN, ALL, KEEP, OVER), (BLUE, (0, 40, 0, 0), KEEP, OVER)),
    "no such disposal": make_moving((GREEN, ALL, 3, OVER), (BLUE, ALL, KEEP, OVER)),
    "smaller first frame": build(
        2, [control(0, (20, 40, 0, 0))], [control(1, ALL), pixels(2, fill(BLUE, ALL))]
    ),
    "no number": build(2, [], [control(0, ALL), (b"fdAT", b"\0\0\0")]),
    "no pixels": build(2, [control(0, ALL)], [control(1, ALL)]),
}


@pytest.mark.parametrize("image", FAULTY_FRAMES.values(), ids=FAULTY_FRAMES)
def test_png_of_a_faulty_frame_is_still(image: bytes, engine: Engine) -> None:
    (made,) = engine.make(image, Output("a", 40, 40, format="source", animated=True))
    picture = engine.load(made)
    assert (made.format, picture.convert("RGBA").getpixel((20, 20))) == ("png", RED)


def test_moving_png_that_is_cut_is_truncated(engine: Engine) -> None:
    output = Output("a", 40, 40, format="webp", animated=True)
    for end in (SOUND_FRAMES.rindex(b"fdAT") + 20, SOUND_FRAMES.rindex(b"fcTL")):
        with pytest.raises(Truncated):
            engine.make(SOUND_FRAMES[:end], output)
