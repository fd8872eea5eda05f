"""Make the ICC profiles that tests need: wide gamut, grey and CMYK."""

import itertools
import struct
from functools import cache

from PIL import ImageCms

Color = tuple[int, int, int]

# What each ink makes of white paper, in sRGB; one over the other, each takes its share.
INKS = ((70, 150, 200), (190, 70, 130), (235, 215, 80), (50, 50, 50))


def make_wide_gamut_profile() -> bytes:
    """Make a profile with the curve of sRGB and the primaries of Display P3."""
    return _make_matrix_profile(
        (0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)
    )


def make_profile_without_white() -> bytes:
    """Make a profile whose primaries are all black."""
    return _make_matrix_profile((0, 0, 0), (0, 0, 0), (0, 0, 0))


def _make_matrix_profile(*primaries: tuple[float, float, float]) -> bytes:
    """Make a profile with the curve of sRGB and other primaries, in XYZ."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for tag, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True):
        entry = profile.index(tag)
        (offset,) = struct.unpack_from(">I", profile, entry + 4)
        struct.pack_into(">iii", profile, offset + 8, *(round(part * 65536) for part in xyz))
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "Wide".encode("utf-16-be"))


def make_grey_profile(gamma: float) -> bytes:
    """Make a profile of grey with any gamma."""
    curve = struct.pack(">4s4xIHxx", b"curv", 1, round(gamma * 256))
    return _make_profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": curve})


def make_ink_profile() -> bytes:
    """Make a profile of CMYK with the inks above."""
    corners = itertools.product((False, True), repeat=4)  # Without and with each ink.
    table = b"".join(_lab_bytes(overprint(*corner)) for corner in corners)
    identity = struct.pack(">9i", *(65536 * (index % 4 == 0) for index in range(9)))
    line = bytes(range(256))
    table = struct.pack(">4s4x4B", b"mft1", 4, 3, 2, 0) + identity + line * 4 + table + line * 3
    return _make_profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table})


def overprint(*printed: bool) -> Color:
    """Return the colour of some of the four inks, one over the other."""
    color = [255.0, 255.0, 255.0]
    for ink, is_printed in zip(INKS, printed, strict=True):
        if is_printed:
            color = [part * share / 255 for part, share in zip(color, ink, strict=True)]
    return round(color[0]), round(color[1]), round(color[2])


def _lab_bytes(color: Color) -> bytes:
    lightness, a, b = to_lab(color)
    return bytes((round(lightness * 2.55), round(a + 128), round(b + 128)))


_WHITE = (0.9642, 1.0, 0.8249)  # D50, as in all profiles.


def _make_profile(kind: bytes, space: bytes, target: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Put together a profile of version 2.1 that says what it must and no more."""
    white = struct.pack(">3i", *(round(part * 65536) for part in _WHITE))
    tags = {b"wtpt": b"XYZ \0\0\0\0" + white, **tags}
    table, content, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, tag in tags.items():
        table += name + struct.pack(">II", start + len(content), len(tag))
        content += tag
    kinds = struct.pack(">I4s4s4s", 0x02100000, kind, space, target)
    head = struct.pack(">I4x", start + len(content)) + kinds + bytes(12) + b"acsp" + bytes(28)
    return (head + white).ljust(128, b"\0") + table + content


# From linear sRGB to XYZ under D50.
_XYZ = (
    (0.4360747, 0.3850649, 0.1430804),
    (0.2225045, 0.7168786, 0.0606169),
    (0.0139322, 0.0971045, 0.7141733),
)


@cache
def to_lab(color: Color) -> tuple[float, float, float]:
    """Convert an sRGB colour to CIE L*a*b* by the formulas of the standard."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in color)
    ]
    shares = [
        sum(weight * part for weight, part in zip(row, linear, strict=True)) / white
        for row, white in zip(_XYZ, _WHITE, strict=True)
    ]
    x, y, z = (
        share ** (1 / 3) if share > 216 / 24389 else (share * 24389 / 27 + 16) / 116
        for share in shares
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)
