"""JPEG 2000: a codestream, alone or in boxes as an AVIF has."""

import struct
from typing import IO

from webapp.engine.errors import Corrupt
from webapp.engine.formats import isobmff
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size
from webapp.recipes.outputs import Size

_CODESTREAM, _BOXES = b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"


def matches(head: bytes) -> bool:
    return head.startswith((_CODESTREAM, _BOXES))


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    return Header.from_stored_size("jp2", check(file, limits))


def check(file: IO[bytes], limits: ImageLimits) -> Size:
    """Return the size. Raises ImageError.

    It is rejected if it has too many boxes: Pillow takes 60 ms for each palette, of which there can
    be hundreds.
    """
    file.seek(0)
    head = file.read(42)
    if head.startswith(_CODESTREAM):
        right, bottom, left, top = struct.unpack_from(">IIII", head, 8)
        width, height = right - left, bottom - top
        (channels,) = struct.unpack_from(">H", head, 40)
    else:
        reader = isobmff.BoxReader(file)
        place = next(place for kind, *place in reader.file_boxes() if kind == b"jp2h")
        header = reader.read_box(*place)
        height, width, channels = struct.unpack_from(">IIH", reader.child(header, b"ihdr"))
    if not 1 <= channels <= 4 or min(width, height) < 0:
        raise Corrupt
    check_size((width, height), "JP2", limits)
    return width, height
