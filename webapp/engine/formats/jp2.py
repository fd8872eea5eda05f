"""JPEG 2000."""

import struct
from typing import IO

from webapp.engine.errors import Corrupt
from webapp.engine.formats import isobmff
from webapp.engine.header import Header, _header
from webapp.engine.limits import ImageLimits, _check_size
from webapp.recipes.outputs import Size

_JP2_SIGNATURES = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")


def _read_jp2_header(file: IO[bytes], limits: ImageLimits) -> Header:
    return _header("jp2", _check_jp2(file, limits))


def _check_jp2(file: IO[bytes], limits: ImageLimits) -> Size:
    """Refuse a JPEG 2000 that is too large, or has too many boxes; return its size.

    Pillow takes 60 ms for each palette, of which there can be hundreds.
    """
    file.seek(0)
    head = file.read(42)
    if head.startswith(_JP2_SIGNATURES[0]):  # A stream without boxes.
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
    _check_size((width, height), "JP2", limits)
    return width, height
