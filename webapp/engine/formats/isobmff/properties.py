"""The properties of an item: size, crop, orientation and colours of its picture."""

import math
import struct
from collections import Counter
from contextlib import suppress
from fractions import Fraction

from webapp.engine import cicp
from webapp.engine.cicp import Cicp
from webapp.engine.formats.isobmff.brands import Format
from webapp.recipes.outputs import Size

Properties = list[tuple[bytes, bytes]]  # The kind and the content of each, in their order.
Crop = tuple[int, int, int, int]  # Left, top, right, bottom.

_HALF = Fraction(1, 2)

# The EXIF orientation of a rotation (quarter turns anticlockwise) and the mirroring after it: None,
# 0 for top and bottom, 1 for left and right.
_ORIENTATIONS: dict[tuple[int, int | None], int] = {
    **{(0, None): 1, (0, 0): 4, (0, 1): 2, (1, None): 8, (1, 0): 5, (1, 1): 7},
    **{(2, None): 3, (2, 0): 2, (2, 1): 4, (3, None): 6, (3, 0): 7, (3, 1): 5},
}


def read_size(properties: Properties, format: Format) -> tuple[Size, Size, int]:
    """Return the sizes as stored and as decoded, and the orientation.

    libavif uses the first property of a kind. libheif applies them in their order, and refuses a
    second of a kind.
    """
    sizes = [struct.unpack_from(">II", body, 4) for kind, body in properties if kind == b"ispe"]
    if format == "avif":
        width, height = sizes[0]
        return (width, height), (width, height), read_orientation(properties)
    width, height = sizes[-1]
    stored = width, height
    kinds = Counter(kind for kind, _ in properties)
    if any(kinds[kind] > 1 for kind in (b"clap", b"irot", b"imir")):
        raise ValueError("more than one crop, rotation or mirroring of an image")
    for kind, body in properties:
        if kind == b"clap":
            width, height = _crop_as_libheif(body, (width, height))
        if kind == b"irot" and body[0] & 1:
            width, height = height, width
    return stored, (width, height), 1


def read_orientation(properties: Properties) -> int:
    """Return the EXIF orientation of an AVIF."""
    angles = [body[0] & 3 for kind, body in properties if kind == b"irot"]
    axes = [body[0] & 1 for kind, body in properties if kind == b"imir"]
    return _ORIENTATIONS[angles[0] if angles else 0, axes[0] if axes else None]


def read_crop(properties: Properties, size: Size) -> Crop | None:
    """Return the clean aperture of an AVIF, rounded to pixels as in libheif.

    One that is not inside the picture does not count. libavif does not check it for Pillow.
    """
    for kind, body in properties:
        if kind == b"clap":
            with suppress(ValueError, ZeroDivisionError, struct.error):
                return _place_aperture(body, size)
    return None


def _place_aperture(body: bytes, size: Size) -> Crop | None:
    width, height = _read_aperture_size(body)
    # The aperture's centre, from that of the picture.
    x, x_parts, y, y_parts = struct.unpack_from(">iiii", body, 16)
    left = math.floor(Fraction(size[0] - width, 2) + Fraction(x, x_parts) + Fraction(1, 2))
    top = math.floor(Fraction(size[1] - height, 2) + Fraction(y, y_parts) + Fraction(1, 2))
    is_inside = 0 <= left <= size[0] - width and 0 <= top <= size[1] - height
    return (left, top, left + width, top + height) if is_inside else None


def _crop_as_libheif(body: bytes, size: Size) -> Size:
    """Return the size of what a clean aperture leaves of a picture of a HEIC.

    libheif cuts the aperture off at the edges of the picture. It rounds down the left edge
    (Box_clap::left_rounded) and rounds the others, towards 0.
    """
    _read_aperture_size(body)  # It must have one.
    values = struct.unpack_from(">8i", body)
    width, height, x, y = (Fraction(*values[at : at + 2]) for at in (0, 2, 4, 6))
    left = int(x + (size[0] - width) / 2)
    top = int(y + (size[1] - height) / 2 + _HALF)
    return _count_inside(left, width, size[0]), _count_inside(top, height, size[1])


def _count_inside(start: int, length: Fraction, side: int) -> int:
    """Return how many pixels of a line libheif keeps.

    An end before the line counts as that of the line: it is a number without a sign.
    """
    last = int(start + length - _HALF)
    last = side - 1 if last < 0 else min(last, side - 1)
    if start > last:
        raise ValueError("nothing is left of a cropped image")
    return last - max(start, 0) + 1


def _read_aperture_size(body: bytes) -> Size:
    """Read the size of a clean aperture: two fractions, rounded.

    Raises ValueError if it is empty.
    """
    width, width_parts, height, height_parts = struct.unpack_from(">iiii", body)
    if min(width, width_parts, height, height_parts) <= 0:
        raise ValueError("nothing is left of a cropped image")
    return (width + width_parts // 2) // width_parts, (height + height_parts // 2) // height_parts


def read_color(properties: Properties) -> Cicp | None:
    """Return the tag of the colours, with the peak of an HDR picture."""
    tags = [body for kind, body in properties if kind == b"colr" and body[:4] == b"nclx"]
    if not tags:
        return None
    primaries, transfer = struct.unpack_from(">HH", tags[0], 4)
    levels = [struct.unpack_from(">H", body)[0] for kind, body in properties if kind == b"clli"]
    # libavif does not read `mdcv`, so it opens a file in which that is too short.
    displays = [
        cicp.read_display_peak(body)
        for kind, body in properties
        if kind == b"mdcv" and len(body) >= cicp.DISPLAY_BYTES
    ]
    # Browsers take the curves of video for that of sRGB here, though not in a PNG.
    transfer = cicp.SRGB if transfer in cicp.VIDEO else transfer
    return cicp.make_tag(primaries, transfer, *levels[:1], *displays[:1])
