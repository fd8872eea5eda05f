"""Make the ICC profile of a display from its chromaticities and its curve."""

import struct

from webapp.engine.matrices import D50, Points, Row, adapt_to_d50, to_d50, xyz

_HEADER_BYTES = 128


def make_profile(name: str, curve: bytes, points: Points | None) -> bytes:
    """Make an ICC profile of version 4.3; one of grey if there are no chromaticities.

    Raises ZeroDivisionError or struct.error for impossible chromaticities.
    """
    tags = {b"desc": _text(name), b"cprt": _text("CC0"), b"wtpt": _xyz_tag(xyz(D50))}
    if points is None:
        return _assemble(b"GRAY", {**tags, b"kTRC": curve})
    adaptation = (part for row in adapt_to_d50(points[3]) for part in row)
    tags[b"chad"] = b"sf32\0\0\0\0" + _fixed(*adaptation)
    for letter, column in zip("rgb", zip(*to_d50(points), strict=True), strict=True):
        tags[f"{letter}XYZ".encode()] = _xyz_tag(column)
    return _assemble(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def _assemble(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Put together a profile; tags of the same content share it."""
    start = _HEADER_BYTES + 4 + 12 * len(tags)
    places: dict[bytes, int] = {}
    table, contents = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        if content not in places:
            places[content] = start + len(contents)
            contents += content + bytes(-len(content) % 4)
        table += struct.pack(">4sII", name, places[content], len(content))
    header = struct.pack(">I4xI4s4s4s", start + len(contents), 0x04300000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(*xyz(D50))
    return header.ljust(_HEADER_BYTES, b"\0") + table + contents


def gamma_curve(gamma: float) -> bytes:
    """Return the curve of a profile whose light is the value to the power of gamma."""
    return struct.pack(">4s4xH2x", b"para", 0) + _fixed(gamma)


def _fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


SRGB_CURVE = struct.pack(">4s4xH2x", b"para", 3) + _fixed(
    2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045
)


def _xyz_tag(color: Row) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*color)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(encoded), 28) + encoded
