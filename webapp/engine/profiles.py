"""Make ICC profiles of displays from the chromaticities of their colours and a curve."""

import struct
from collections.abc import Sequence
from functools import lru_cache

Row = Sequence[float]
Matrix = Sequence[Row]
Points = tuple[tuple[float, float], ...]  # Chromaticities (x, y) of red, green, blue and white.

_D50 = (0.3457, 0.3585)  # The white of ICC profiles.
# From XYZ to the responses of the eye, in which colours are adapted to another white.
_BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))


def make_profile(name: str, curve: bytes, points: Points | None) -> bytes:
    """Put together an ICC profile of version 4.3; one of grey if there are no chromaticities.

    Raises ZeroDivisionError or struct.error for chromaticities that no light has.
    """
    tags = {
        b"desc": _text(name),
        b"cprt": _text("CC0"),
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(*_xyz(_D50)),
    }
    curves: tuple[bytes, ...] = (b"kTRC",)
    if points:
        curves = (b"rTRC", b"gTRC", b"bTRC")
        tags[b"chad"] = b"sf32\0\0\0\0" + _fixed(
            *(part for row in _adapt(points[3]) for part in row)
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
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(*_xyz(_D50))
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


# Matrices


@lru_cache
def to_d50(points: Points) -> Matrix:
    """Return the matrix from linear RGB to XYZ under D50."""
    return multiply(_adapt(points[3]), to_xyz(points))


@lru_cache
def to_xyz(points: Points) -> Matrix:
    """Return the matrix from linear RGB to XYZ under the white of the space."""
    *colors, white = (_xyz(point) for point in points)
    columns = list(zip(*colors, strict=True))
    ((red,), (green,), (blue,)) = multiply(invert(columns), [[part] for part in white])
    return [[row[0] * red, row[1] * green, row[2] * blue] for row in columns]


def _adapt(white: Row) -> Matrix:
    """Return Bradford's matrix from XYZ under a white to XYZ under D50."""
    ratios = [
        to[0] / of[0]
        for to, of in zip(
            multiply(_BRADFORD, [[part] for part in _xyz(_D50)]),
            multiply(_BRADFORD, [[part] for part in _xyz(white)]),
            strict=True,
        )
    ]
    scaled = [[ratio * part for part in row] for ratio, row in zip(ratios, _BRADFORD, strict=True)]
    return multiply(invert(_BRADFORD), scaled)


def _xyz(point: Row) -> Row:
    x, y = point
    return x / y, 1.0, (1 - x - y) / y


def multiply(left: Matrix, right: Matrix) -> Matrix:
    """Return the product of two matrices."""
    columns = list(zip(*right, strict=True))
    return [
        [sum(a * b for a, b in zip(row, column, strict=True)) for column in columns] for row in left
    ]


def invert(matrix: Matrix) -> Matrix:
    """Invert a matrix of 3 by 3. Raises ZeroDivisionError."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    scale = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    adjugate = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    return [[part / scale for part in row] for row in adjugate]
