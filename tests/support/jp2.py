"""Change how JPEG 2000 files describe their channels and colours."""

import struct
from collections.abc import Sequence

from PIL import Image

from tests.support.images import encode, make_corners
from tests.support.isobmff import box, inside

START = b"\xff\x4f\xff\x51"


def make_codestream() -> bytes:
    """Make a JPEG 2000 without boxes, as digital cinema has."""
    image = encode(make_corners(), "jp2")
    return image[image.index(START) :]


def change_channel(image: bytes, channel: int, bits: int = 8, step: int = 1) -> bytes:
    """Change how a codestream describes one of its channels."""
    at = image.index(START) + 42 + 3 * channel
    return image[:at] + bytes((bits - 1, step, step)) + image[at + 3 :]


def add_boxes(image: bytes, *boxes: bytes) -> bytes:
    """Put boxes into the header in place of its colour space."""
    header = inside(image, b"jp2h")
    old = header.index(b"colr") - 4
    kept = header[:old] + header[old + int.from_bytes(header[old : old + 4], "big") :]
    return image.replace(box(b"jp2h", header), box(b"jp2h", kept, *boxes))


SRGB = box(b"colr", struct.pack(">3BI", 1, 0, 0, 16))


def define(*channels: tuple[int, int, int]) -> bytes:
    """Make a box that says what each channel is: its number, kind and place."""
    entries = b"".join(struct.pack(">3H", *channel) for channel in channels)
    return box(b"cdef", struct.pack(">H", len(channels)), entries)


def make_palette_image(
    colors: Sequence[tuple[int, ...]], bits: int = 8, *, space: int = 16, order: Sequence[int] = ()
) -> bytes:
    """Make an image of four quarters in the colours of a palette."""
    quarters = Image.new("L", (2, 2))
    quarters.putdata(range(4))
    indexes = encode(
        quarters.resize((120, 80), Image.Resampling.NEAREST), "jp2", irreversible=False
    )
    columns, number_bytes = len(colors[0]), (bits + 7) // 8
    numbers = b"".join(number.to_bytes(number_bytes, "big") for color in colors for number in color)
    head = struct.pack(">HB", len(colors), columns) + bytes([bits - 1] * columns)
    mapping = b"".join(struct.pack(">HBB", 0, 1, column) for column in order or range(columns))
    colr = box(b"colr", struct.pack(">3BI", 1, 0, 0, space))
    return add_boxes(indexes, box(b"pclr", head, numbers), box(b"cmap", mapping), colr)
