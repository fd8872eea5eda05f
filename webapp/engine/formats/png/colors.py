"""The colours of a PNG: its tag, its profile, or its gamma and primaries."""

import struct
import zlib
from collections.abc import Sequence

from webapp.engine import cicp, profiles
from webapp.engine.cicp import Cicp

# The chunks of colours and of their brightness, and the bytes of each that count.
CHUNKS = {
    **{b"cICP": 4, b"iCCP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32},
    **{b"cLLI": 8, b"mDCV": 24},
}
MAX_PROFILE = 1 << 20  # Bytes. Of RGB, the longest in use have half a megabyte.
# x and y of white, red, green and blue, in hundred-thousandths as in the chunk.
_SRGB_POINTS = struct.pack(">8I", 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)


def read_colors(chunks: dict[bytes, bytes], *, is_grey: bool) -> tuple[Cicp | None, bytes | None]:
    """Return the tag or the profile of the colours; neither means sRGB.

    The first usable one of cICP, iCCP, sRGB, and gAMA with cHRM counts (PNG, 3rd edition, 4.3).
    """
    tag = _read_tag(chunks)
    if tag:
        return tag, None
    profile = _inflate_profile(chunks.get(b"iCCP", b""))
    if profile or b"sRGB" in chunks:
        return None, profile
    return None, _make_profile(chunks, is_grey=is_grey)


def _read_tag(chunks: dict[bytes, bytes]) -> Cicp | None:
    """Return the tag of the colours with their brightness; None if we cannot use it."""
    primaries, transfer, matrix, is_full = chunks.get(b"cICP", bytes(4))[:4]
    level = int.from_bytes(chunks.get(b"cLLI", b"")[:4], "big") / 10_000
    display = cicp.read_display_peak(chunks.get(b"mDCV", bytes(24)))
    tag = cicp.make_tag(primaries, transfer, level, display)
    return tag if cicp.is_known(tag) and (matrix, is_full) == (0, 1) else None


def _inflate_profile(content: bytes) -> bytes | None:
    """Return the ICC profile in a chunk; None if it is faulty."""
    compressed = content.partition(b"\0")[2]
    if compressed[:1] != b"\0":  # The method.
        return None
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(compressed[1:], MAX_PROFILE)
    except zlib.error:
        return None
    return None if inflater.unconsumed_tail else profile


def _make_profile(chunks: dict[bytes, bytes], *, is_grey: bool) -> bytes | None:
    """Make an ICC profile from gAMA and cHRM.

    None if they mean sRGB or cannot be used. Browsers ignore primaries without a gamma, and take
    missing primaries for those of sRGB. A gamma of about 1 / 2.2 means sRGB: encoders write it for
    that, and libpng and Firefox take it so. Chromium takes it for exactly 2.2, which would be up to
    7 levels darker in shadows.
    """
    if b"gAMA" not in chunks:
        return None
    (gamma,) = struct.unpack_from(">I", chunks[b"gAMA"])
    points = struct.unpack_from(">8I", chunks.get(b"cHRM", _SRGB_POINTS))
    srgb_points = struct.unpack(">8I", _SRGB_POINTS)
    has_points = any(abs(a - b) > 1000 for a, b in zip(points, srgb_points, strict=True))
    curve = profiles.SRGB_CURVE
    if not 43_182 <= gamma <= 47_728:  # 1 / 2.2, give or take 5 %.
        if not 10_000 <= gamma <= 1_000_000:
            return None
        curve = profiles.gamma_curve(100_000 / gamma)
    if curve == profiles.SRGB_CURVE and (is_grey or not has_points):
        return None
    white, *primaries = _pairs(points if has_points else srgb_points)
    try:
        return profiles.make_profile("PNG", curve, None if is_grey else (*primaries, white))
    except (ZeroDivisionError, struct.error):  # No primaries that light could have.
        return None


def _pairs(numbers: Sequence[int]) -> list[tuple[float, float]]:
    """Return chromaticities in hundred-thousandths as fractions."""
    return [(x / 100_000, y / 100_000) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
