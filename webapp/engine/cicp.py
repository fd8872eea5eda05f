"""Name the colours of a picture by two numbers, and make ICC profiles of these (ITU-T H.273).

PNG has such a tag as `cICP`, AVIF and HEIC as `nclx`. Pillow and pillow-heif leave it to their
caller.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple


class Cicp(NamedTuple):
    """The numbers of H.273 for a picture's primaries and its curve.

    `peak` is the light of the brightest pixel of an HDR picture in nits.
    """

    primaries: int
    transfer: int
    peak: float = 1000


Row = Sequence[float]
Matrix = Sequence[Row]

_D50 = (0.3457, 0.3585)  # The white of ICC profiles.
_D65 = (0.3127, 0.3290)
_BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
BT709, P3 = 1, 12
# The chromaticities (x, y) of red, green, blue and white.
SPACES: dict[int, Matrix] = {
    BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    5: ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), _D65),  # PAL.
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),  # NTSC.
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),  # BT.2020.
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),  # Cinemas.
    P3: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
}
_UNSPECIFIED = 2
SRGB = 13
VIDEO = (1, 6, 14, 15)  # BT.709, BT.601 and BT.2020, shown as BT.1886 says.
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, **dict.fromkeys(VIDEO, 2.4)}


def make_profile(tag: Cicp) -> bytes | None:
    """Make the ICC profile of a tag.

    None for sRGB, for unknown numbers, and for PQ and HLG.
    """
    tag = specify(tag)
    is_known = tag.primaries in SPACES and (tag.transfer == SRGB or tag.transfer in GAMMAS)
    if not is_known or tag[:2] == (BT709, SRGB):
        return None
    return _make_profile(f"CICP {tag.primaries}/{tag.transfer}", tag)


def make_tag(primaries: int, transfer: int, *peaks: float) -> Cicp:
    """Make a tag with the first of these peaks that is not 0, which means unknown."""
    return Cicp(primaries, transfer, *[peak for peak in peaks if peak][:1])


def read_display(content: bytes) -> float:
    """Return the peak of the display that a picture was made on, in nits."""
    (peak,) = struct.unpack_from(">I", content, 16)  # After its primaries and its white.
    return float(peak / 10_000)


def specify(tag: Cicp) -> Cicp:
    """Return a tag whose unspecified numbers are those of sRGB."""
    return Cicp(
        BT709 if tag.primaries == _UNSPECIFIED else tag.primaries,
        SRGB if tag.transfer == _UNSPECIFIED else tag.transfer,
        tag.peak,
    )


def _make_profile(name: str, tag: Cicp) -> bytes:
    """Put together an ICC profile of version 4.3 with three primaries and a curve."""
    if tag.transfer == SRGB:
        numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
        curve = struct.pack(">4s4xH2x", b"para", 3) + _fixed(*numbers)
    else:
        curve = struct.pack(">4s4xH2x", b"para", 0) + _fixed(GAMMAS[tag.transfer])
    columns = zip(*to_d50(tag.primaries), strict=True)
    white = SPACES[tag.primaries][3]
    tags = {
        b"desc": _text(name),
        b"cprt": _text("CC0"),
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(*_xyz(_D50)),
        b"chad": b"sf32\0\0\0\0" + _fixed(*(part for row in _adapt(white) for part in row)),
        **{
            letter + b"XYZ": b"XYZ \0\0\0\0" + _fixed(*column)
            for letter, column in zip((b"r", b"g", b"b"), columns, strict=True)
        },
        b"rTRC": curve,
    }
    start = 128 + 4 + 12 * (len(tags) + 2)
    table, content = b"", b""
    for key, data in tags.items():
        place = struct.pack(">II", start + len(content), len(data))
        for same in (b"rTRC", b"gTRC", b"bTRC") if key == b"rTRC" else (key,):
            table += same + place
        content += data + bytes(-len(data) % 4)
    head = struct.pack(">I4xI4s4s4s", start + len(content), 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(*_xyz(_D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags) + 2) + table + content


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


# Matrices


@lru_cache
def to_d50(primaries: int) -> Matrix:
    """Return the matrix from linear RGB to XYZ under D50."""
    return multiply(_adapt(SPACES[primaries][3]), to_xyz(primaries))


@lru_cache
def to_xyz(primaries: int) -> Matrix:
    """Return the matrix from linear RGB to XYZ under the white of the space."""
    *colors, white = (_xyz(point) for point in SPACES[primaries])
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
    columns = list(zip(*right, strict=True))
    return [
        [sum(a * b for a, b in zip(row, column, strict=True)) for column in columns] for row in left
    ]


def invert(matrix: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    scale = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    adjugate = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    return [[part / scale for part in row] for row in adjugate]


P3_PROFILE = _make_profile("Display P3", Cicp(P3, SRGB))
