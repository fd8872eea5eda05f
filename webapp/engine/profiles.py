"""Make ICC profiles of displays from the chromaticities of their colours and a curve."""

import struct

from webapp.engine.matrices import D50, Points, adapt, to_d50, xyz


def make_profile(name: str, curve: bytes, points: Points | None) -> bytes:
    """Put together an ICC profile of version 4.3; one of grey if there are no chromaticities.

    Raises ZeroDivisionError or struct.error for chromaticities that no light has.
    """
    tags = {
        b"desc": _text(name),
        b"cprt": _text("CC0"),
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(*xyz(D50)),
    }
    curves: tuple[bytes, ...] = (b"kTRC",)
    if points:
        curves = (b"rTRC", b"gTRC", b"bTRC")
        tags[b"chad"] = b"sf32\0\0\0\0" + _fixed(
            *(part for row in adapt(points[3]) for part in row)
        )
        columns = zip(*to_d50(points), strict=True)
        for letter, column in zip((b"r", b"g", b"b"), columns, strict=True):
            tags[letter + b"XYZ"] = b"XYZ \0\0\0\0" + _fixed(*column)
    tags[curves[0]] = curve
    count = len(tags) + len(curves) - 1
    table, content = struct.pack(">I", count), b""
    for key, data in tags.items():
        place = struct.pack(">II", 132 + 12 * count + len(content), len(data))
        for same in curves if key == curves[0] else (key,):
            table += same + place
        content += data + bytes(-len(data) % 4)
    size, space = 128 + len(table) + len(content), b"RGB " if points else b"GRAY"
    head = struct.pack(">I4xI4s4s4s", size, 0x04300000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(*xyz(D50))
    return head.ljust(128, b"\0") + table + content


def gamma_curve(gamma: float) -> bytes:
    """Return the curve of a profile whose light is the value to the power of gamma."""
    return struct.pack(">4s4xH2x", b"para", 0) + _fixed(gamma)


def _fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


SRGB_CURVE = struct.pack(">4s4xH2x", b"para", 3) + _fixed(
    2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045
)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(encoded), 28) + encoded
