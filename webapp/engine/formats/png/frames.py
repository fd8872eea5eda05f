"""The frames of an animated PNG.

Each has a place, a duration, and pixels as those of the still picture.
"""

import struct
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import IO, NamedTuple

from webapp.engine.errors import Corrupt, Truncated
from webapp.engine.formats.frames import DEFAULT_DURATION, Disposal, StoredAnimation, StoredFrame
from webapp.engine.formats.png.chunks import Chunk, find_chunks, read_content
from webapp.engine.formats.png.parts import Parts, read_parts
from webapp.engine.formats.png.reader import Reader
from webapp.recipes.outputs import Size

_DISPOSALS = (Disposal.KEEP, Disposal.CLEAR, Disposal.RESTORE)
_CONTROL = struct.Struct(">4xIIIIHHBB")


class _FrameControl(NamedTuple):
    """The content of a fcTL, and the first chunk of the frame's pixels."""

    width: int
    height: int
    left: int
    top: int
    delay_numerator: int  # Of a fraction of a second.
    delay_denominator: int  # 0 means 100.
    disposal: int
    blend: int
    pixels: Chunk

    @property
    def duration(self) -> int:
        return 1000 * self.delay_numerator // (self.delay_denominator or 100) or DEFAULT_DURATION

    def fits(self, canvas: Size) -> bool:
        """Return True if this is sound and a canvas has room for the frame.

        If the still picture is a frame, it is as large as the canvas.
        """
        width, height = canvas
        is_still = self.pixels.name == b"IDAT"
        return (
            0 < self.width <= width - self.left
            and 0 < self.height <= height - self.top
            and self.disposal < len(_DISPOSALS)
            and self.blend < 2
            and (not is_still or (self.width, self.height) == canvas)
        )


def find_animation(file: IO[bytes], most: int) -> StoredAnimation | None:
    """Find the frames of an animated PNG, at most so many.

    None if there is only one, or one is faulty. Raises Truncated if the file ends before its last
    frame.
    """
    parts = read_parts(file, find_chunks(file))
    if b"acTL" not in parts.chunks:
        return None
    declared, plays = struct.unpack_from(">II", parts.chunks[b"acTL"])
    count = pixels = 0
    try:
        for control in islice(_find_controls(file), min(declared, most)):
            if not control.fits(parts.size):
                return None
            count, pixels = count + 1, pixels + control.width * control.height
    except Corrupt:
        return None
    if count < 2:
        return None
    return StoredAnimation(count, pixels, plays, _find_frames(file, parts, count))


def _find_controls(file: IO[bytes]) -> Iterator[_FrameControl]:
    """Find the control chunk of each frame, and where its pixels begin.

    The pixels before the first fcTL are only for readers that do not animate. Raises Corrupt if the
    next frame is faulty, Truncated if the file ends before it.
    """
    fields: tuple[int, ...] = ()  # Of a frame whose pixels follow.
    number = 0
    for chunk in find_chunks(file):
        if chunk.name in (b"fcTL", b"fdAT"):
            file.seek(chunk.start)
            if chunk.length < 4 or int.from_bytes(file.read(4), "big") != number:
                raise Corrupt
            number += 1
        if chunk.name == b"fcTL":
            content = read_content(file, chunk) if chunk.length == _CONTROL.size else None
            if content is None or fields:
                raise Corrupt
            fields = _CONTROL.unpack(content)
        elif chunk.name in (b"IDAT", b"fdAT") and fields:
            yield _FrameControl._make((*fields, chunk))
            fields = ()
        elif chunk.name == b"IEND":
            if fields:
                raise Corrupt
            return
    raise Truncated


def _find_frames(file: IO[bytes], parts: Parts, count: int) -> Iterator[StoredFrame]:
    """Open each frame as a PNG of its own."""
    for control in islice(_find_controls(file), count):
        size = struct.pack(">II", control.width, control.height)
        header = {b"IHDR": size + parts.chunks[b"IHDR"][8:]}
        frame = replace(parts, chunks=parts.chunks | header, pixels=control.pixels)
        yield StoredFrame(
            Reader(file, frame),
            (control.left, control.top),
            control.duration,
            _DISPOSALS[control.disposal],
            is_over=control.blend == 1,
        )
