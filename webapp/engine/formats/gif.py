"""GIF: a row of blocks, each an extension or a frame."""

import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from PIL import Image

from webapp.engine.errors import Corrupt, Truncated
from webapp.engine.formats.frames import DEFAULT_DURATION, Disposal, StoredAnimation, StoredFrame
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size
from webapp.recipes.outputs import Size

SIGNATURES = (b"GIF87a", b"GIF89a")
_EXTENSION, _FRAME, _END = b"!", b",", b";"
_GRAPHIC_CONTROL = b"\xf9"  # The label of an extension.
_TWO_COLORS = b"\x80\0\0" + bytes(6)  # The end of a screen, and its palette.
_HIDE_FIRST_COLOR = b"\4\1\0\0\0\0"
_ONE_PIXEL = struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"  # Of the first colour.
# Before the first frame. A megabyte of XMP, of which letters are taken for lengths, has 12,000.
_MAX_BLOCKS = 40_000
# In a whole file: blocks, and pieces of their data. A file of 50 MB has 200,000.
_MAX_PIECES = 500_000
# How the data of the extension of repeats begin, under its two names.
_LOOPS = (b"\x0bNETSCAPE2.0", b"\x0bANIMEXTS1.0")
# By the number in the graphic control extension. Some encoders write 4 for 3, and browsers take it.
_DISPOSALS = {2: Disposal.CLEAR, 3: Disposal.RESTORE, 4: Disposal.RESTORE}


@dataclass(frozen=True)
class _Block:
    """An extension, or a frame with the extension that describes it."""

    head: bytes  # Of an extension its label, of a frame its place, size, flags and palette.
    data: bytes
    is_frame: bool
    control: bytes = b""  # Of a frame: flags, duration and transparent index.


def matches(head: bytes) -> bool:
    return head.startswith(SIGNATURES)


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    return Header.from_stored_size("gif", check(file, limits))


def check(file: IO[bytes], limits: ImageLimits) -> Size:
    """Return the size that holds the first frame.

    Raises TooManyPixels, Truncated, or Corrupt if there is no frame.
    """
    size, _ = _read_sizes(file)
    check_size(size, "GIF", limits)
    return size


def clear_canvas(file: IO[bytes]) -> bytes | None:
    """Return a GIF of a clear canvas if the first frame has no pixels.

    Browsers show it so; Pillow refuses such a frame. Returns None if it has pixels.
    """
    size, frame_size = _read_sizes(file)
    if all(frame_size):
        return None
    screen = SIGNATURES[1] + struct.pack("<HH", *size) + _TWO_COLORS
    return screen + _EXTENSION + _GRAPHIC_CONTROL + _HIDE_FIRST_COLOR + _FRAME + _ONE_PIXEL + _END


def strip(file: IO[bytes]) -> bytes:
    """Return the file without metadata.

    Of the extensions, only the durations of frames and the number of repeats are kept.
    """
    stripped = bytearray(_read_screen(file))
    for block in _read_blocks(file):
        if block.is_frame:
            stripped += _FRAME + block.head + block.data
        elif block.head == _GRAPHIC_CONTROL and block.data.startswith(b"\4"):
            stripped += _EXTENSION + block.head + block.data[:5] + b"\0"
        elif _has_repeats(block):
            stripped += _EXTENSION + block.head + block.data[:16] + b"\0"
    return bytes(stripped) + _END


def find_animation(file: IO[bytes], most: int) -> StoredAnimation | None:
    """Find the frames of a GIF, at most so many; None if there is only one."""
    count = pixels = 0
    plays = 1
    file.seek(0)
    _read_screen(file)
    for block in _read_blocks(file):
        if block.is_frame:
            width, height = struct.unpack_from("<HH", block.head, 4)
            count, pixels = count + 1, pixels + width * height
            if count == most:
                break
        elif _has_repeats(block):
            (repeats,) = struct.unpack_from("<H", block.data, 14)
            plays = repeats and repeats + 1
    if count < 2:
        return None
    return StoredAnimation(count, pixels, plays, _find_frames(file))


def clear_uncovered(image: Image.Image) -> Image.Image:
    """Return the first frame of a decoded GIF on a transparent canvas.

    GifImagePlugin.py fills the rest with the first colour if there is no transparent one. Browsers
    ignore the background colour.
    """
    extent = getattr(image, "dispose_extent", None)
    has_color = "transparency" in image.info
    if image.format != "GIF" or has_color or extent in (None, (0, 0, *image.size)):
        return image
    canvas = Image.new("RGBA", image.size)
    canvas.paste(image.crop(extent).convert("RGB"), extent[:2])
    return canvas


def _find_frames(file: IO[bytes]) -> Iterator[StoredFrame]:
    """Open each frame as a GIF of its own."""
    file.seek(0)
    screen = _read_screen(file)
    for block in _read_blocks(file):
        if not block.is_frame:
            continue
        left, top, *size = struct.unpack_from("<HHHH", block.head)
        flags, duration, transparent = struct.unpack_from("<xBHB", block.control.ljust(5, b"\0"))
        control = _EXTENSION + _GRAPHIC_CONTROL + bytes((4, flags & 1, 0, 0, transparent, 0))
        place = struct.pack("<HHHH", 0, 0, *size)
        parts = (SIGNATURES[1], place[4:], screen[10:], control, _FRAME, place)
        content = b"".join((*parts, block.head[8:], block.data, _END))
        yield StoredFrame(
            Image.open(io.BytesIO(content), formats=("GIF",))
            if all(size)
            else Image.new("P", size),
            (left, top),
            10 * duration or DEFAULT_DURATION,
            _DISPOSALS.get(flags >> 2 & 7, Disposal.KEEP),
        )


def _read_screen(file: IO[bytes]) -> bytes:
    """Read what comes before the blocks: size, flags and palette."""
    screen = _read(file, 13)
    return screen + _read_palette(file, screen[10])


def _read_blocks(file: IO[bytes]) -> Iterator[_Block]:
    """Read the blocks of a GIF, after its screen.

    Raises Truncated if the file ends before the pixels of a frame; else its end may be missing.
    Raises Corrupt if there are too many pieces of data.
    """
    control, budget = b"", iter(range(_MAX_PIECES))
    while (kind := file.read(1)) in (_EXTENSION, _FRAME):
        if kind == _EXTENSION:
            label, data = file.read(1), _read_data(file, budget)
            control = data if label == _GRAPHIC_CONTROL else control
            yield _Block(label, data, is_frame=False)
        else:
            fields = _read(file, 9)
            head = fields + _read_palette(file, fields[8])
            data = file.read(1) + _read_data(file, budget)
            yield _Block(head, data, is_frame=True, control=control)
            control = b""


def _has_repeats(block: _Block) -> bool:
    """Return True if the data of an extension have the number of repeats."""
    return block.data.startswith(_LOOPS) and block.data[12:14] == b"\3\1"


def _find_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Find the blocks of a GIF; yield the byte that each begins with.

    Raises Truncated if the file ends before they do.
    """
    in_extension = False
    for _ in range(_MAX_BLOCKS):
        first = file.read(1)
        if in_extension:  # Its data come in pieces, each after its length, the last empty.
            in_extension = first not in (b"", b"\0")
            file.seek(int.from_bytes(first, "big"), os.SEEK_CUR)
        elif not first:
            raise Truncated
        elif first == _END:
            return
        else:
            yield first
            in_extension = first == _EXTENSION
            file.seek(in_extension, os.SEEK_CUR)  # Its label.


def _read_sizes(file: IO[bytes]) -> tuple[Size, Size]:
    """Return the size that holds the first frame, and that of the frame.

    Raises Truncated, or Corrupt if there is no frame.
    """
    file.seek(0)
    width, height, flags = struct.unpack_from("<HHB", _read(file, 13), 6)
    _read_palette(file, flags)
    for kind in _find_blocks(file):
        if kind == _FRAME:
            left, top, *frame = struct.unpack("<HHHH", _read(file, 8))
            return (max(width, left + frame[0]), max(height, top + frame[1])), (frame[0], frame[1])
    raise Corrupt


def _read_palette(file: IO[bytes], flags: int) -> bytes:
    return _read(file, 3 << (flags & 7) + 1 if flags & 0x80 else 0)


def _read(file: IO[bytes], length: int) -> bytes:
    """Read so many bytes. Raises Truncated."""
    content = file.read(length)
    if len(content) < length:
        raise Truncated
    return content


def _read_data(file: IO[bytes], budget: Iterator[int]) -> bytes:
    """Read the data of a block: pieces up to an empty one.

    That is added if it is missing. Each piece takes one of the budget; Corrupt is raised after it.
    """
    data = bytearray()
    for _ in budget:
        length = file.read(1)
        piece = file.read(length[0]) if length else b""
        if not piece:
            return bytes(data) + b"\0"
        data += bytes((len(piece),)) + piece
    raise Corrupt
