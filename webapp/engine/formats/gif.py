"""GIF: a row of blocks, each an extension or a frame."""

import os
import struct
from collections.abc import Iterator
from typing import IO

from webapp.engine.errors import Corrupt
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size
from webapp.recipes.outputs import Size

SIGNATURES = (b"GIF87a", b"GIF89a")
_EXTENSION, _FRAME, _END = b"!", b",", b";"
_GRAPHIC_CONTROL = b"\xf9"  # The label of an extension.
# Before the first frame. A megabyte of XMP, of which letters are taken for lengths, has 12,000.
_MAX_BLOCKS = 40_000


def matches(head: bytes) -> bool:
    return head.startswith(SIGNATURES)


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    return Header.from_stored_size("gif", check(file, limits))


def check(file: IO[bytes], limits: ImageLimits) -> Size:
    """Return the size that holds the first frame.

    Raises TooManyPixels, or Corrupt if there is no frame.
    """
    file.seek(0)
    width, height, flags = struct.unpack_from("<HHB", file.read(13), 6)
    _read_palette(file, flags)
    for kind in _find_blocks(file):
        if kind == _FRAME:
            left, top, frame_width, frame_height = struct.unpack("<HHHH", file.read(8))
            size = max(width, left + frame_width), max(height, top + frame_height)
            check_size(size, "GIF", limits)
            return size
    raise Corrupt


def strip(file: IO[bytes]) -> bytes:
    """Return the file without metadata.

    Of the extensions, only the durations of frames and the number of repeats are kept.
    """
    stripped = bytearray(file.read(13))
    stripped += _read_palette(file, stripped[10])
    while (kind := file.read(1)) in (_EXTENSION, _FRAME):
        if kind == _FRAME:
            if len(fields := file.read(9)) < 9:
                break
            stripped += kind + fields + _read_palette(file, fields[8]) + file.read(1)
            stripped += _read_data(file)
        else:
            label, data = file.read(1), _read_data(file)
            if label == _GRAPHIC_CONTROL or data[1:12] == b"NETSCAPE2.0":
                stripped += kind + label + data
    return bytes(stripped) + _END


def _find_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Find the blocks of a GIF; yield the byte that each begins with."""
    in_extension = False
    for _ in range(_MAX_BLOCKS):
        first = file.read(1)
        if in_extension:  # Its data come in pieces, each after its length, the last empty.
            in_extension = first not in (b"", b"\0")
            file.seek(int.from_bytes(first, "big"), os.SEEK_CUR)
        elif first in (b"", _END):
            return
        else:
            yield first
            in_extension = first == _EXTENSION
            file.seek(in_extension, os.SEEK_CUR)  # Its label.


def _read_palette(file: IO[bytes], flags: int) -> bytes:
    return file.read(3 << (flags & 7) + 1 if flags & 0x80 else 0)


def _read_data(file: IO[bytes]) -> bytes:
    """Read the data of a block: pieces up to an empty one or the end."""
    data = bytearray()
    while length := file.read(1):
        data += length + file.read(length[0])
        if length == b"\0":
            break
    return bytes(data)
