"""GIF."""

import os
import struct
from collections.abc import Iterator
from typing import IO

from webapp.engine.errors import Corrupt
from webapp.engine.header import Header, _header
from webapp.engine.limits import ImageLimits, _check_size
from webapp.recipes.outputs import Size

_GIF_SIGNATURES = (b"GIF87a", b"GIF89a")
# Before the first frame. A megabyte of XMP, of which letters are taken for lengths, has 12,000.
_MAX_GIF_BLOCKS = 40_000


def _read_gif_header(file: IO[bytes], limits: ImageLimits) -> Header:
    return _header("gif", _check_gif(file, limits))


def _check_gif(file: IO[bytes], limits: ImageLimits) -> Size:
    """Refuse a GIF that is too large; return the size that holds its first frame."""
    file.seek(0)
    width, height, flags = struct.unpack_from("<HHB", file.read(13), 6)
    if flags & 0x80:
        file.seek(3 << (flags & 7) + 1, os.SEEK_CUR)  # The palette.
    for introducer in _gif_blocks(file):
        if introducer == b",":
            left, top, frame_width, frame_height = struct.unpack("<HHHH", file.read(8))
            size = max(width, left + frame_width), max(height, top + frame_height)
            _check_size(size, "GIF", limits)
            return size
    raise Corrupt


def _gif_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Walk the blocks of a GIF; yield the byte that each begins with."""
    in_extension = False
    for _ in range(_MAX_GIF_BLOCKS):
        first = file.read(1)
        if in_extension:  # Its content comes in pieces, each after its length, the last empty.
            in_extension = first not in (b"", b"\0")
            file.seek(int.from_bytes(first, "big"), os.SEEK_CUR)
        elif first in (b"", b";"):
            return
        else:
            yield first
            in_extension = first == b"!"
            file.seek(in_extension, os.SEEK_CUR)  # Its label.


_GIF_EXTENSION, _GIF_PICTURE, _GIF_END = b"!", b",", b";"
_GRAPHIC_CONTROL = b"\xf9"


def _read_gif(file: IO[bytes]) -> bytes:
    """Keep of the extensions how long a frame is shown, and how often all are."""
    bare = bytearray(file.read(13))
    bare += _read_gif_colors(file, bare[10])
    while (kind := file.read(1)) in (_GIF_EXTENSION, _GIF_PICTURE):
        if kind == _GIF_PICTURE:
            if len(place := file.read(9)) < 9:
                break
            bare += kind + place + _read_gif_colors(file, place[8]) + file.read(1)
            bare += _read_gif_blocks(file)
        else:
            label, blocks = file.read(1), _read_gif_blocks(file)
            if label == _GRAPHIC_CONTROL or blocks[1:12] == b"NETSCAPE2.0":
                bare += kind + label + blocks
    return bytes(bare) + _GIF_END


def _read_gif_colors(file: IO[bytes], flags: int) -> bytes:
    return file.read(3 << (flags & 7) + 1 if flags & 0x80 else 0)


def _read_gif_blocks(file: IO[bytes]) -> bytes:
    """Read on to the empty block that ends a row of them, or to the end of the file."""
    blocks = bytearray()
    while length := file.read(1):
        blocks += length + file.read(length[0])
        if length == b"\0":
            break
    return bytes(blocks)
