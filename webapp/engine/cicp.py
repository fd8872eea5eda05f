"""The tag that names the colours of a picture by two numbers (ITU-T H.273).

PNG has such a tag as `cICP`, AVIF and HEIC as `nclx`. Pillow and pillow-heif leave it to their
caller.
"""

import struct
from typing import NamedTuple

from webapp.engine.matrices import Points
from webapp.engine.profiles import SRGB_CURVE, gamma_curve
from webapp.engine.profiles import make_profile as make_icc_profile


class Cicp(NamedTuple):
    """The numbers of H.273 for a picture's primaries and its curve.

    `peak` is the light of the brightest pixel of an HDR picture in nits.
    """

    primaries: int
    transfer: int
    peak: float = 1000


_D65, _C = (0.3127, 0.3290), (0.310, 0.316)  # White.
BT709, BT2020, P3 = 1, 9, 12
# The chromaticities (x, y) of red, green, blue and white.
SPACES: dict[int, Points] = {
    BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    4: ((0.670, 0.330), (0.210, 0.710), (0.140, 0.080), _C),  # NTSC of 1953.
    5: ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), _D65),  # PAL.
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),  # NTSC.
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),  # Film.
    BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),  # Cinemas.
    P3: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),  # EBU.
}
_UNSPECIFIED = 2
DISPLAY_BYTES = 24  # Of `mDCV` and `mdcv`.
SRGB, PQ, HLG = 13, 16, 18
VIDEO = (1, 6, 14, 15)  # BT.709, BT.601 and BT.2020, shown as BT.1886 says.
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, **dict.fromkeys(VIDEO, 2.4)}


def is_known(tag: Cicp) -> bool:
    return tag.primaries in SPACES and tag.transfer in (SRGB, PQ, HLG, *GAMMAS)


def make_profile(tag: Cicp) -> bytes | None:
    """Make the ICC profile of a tag.

    None for sRGB, for unknown numbers, and for PQ and HLG.
    """
    tag = specify(tag)
    if not is_known(tag) or tag.transfer in (PQ, HLG) or tag[:2] == (BT709, SRGB):
        return None
    curve = SRGB_CURVE if tag.transfer == SRGB else gamma_curve(GAMMAS[tag.transfer])
    return make_icc_profile(f"CICP {tag.primaries}/{tag.transfer}", curve, SPACES[tag.primaries])


def make_tag(primaries: int, transfer: int, *peaks: float) -> Cicp:
    """Make a tag with the first peak that is known, which 0 is not."""
    return Cicp(primaries, transfer, *[peak for peak in peaks if peak][:1])


def read_display_peak(content: bytes) -> float:
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


P3_PROFILE = make_icc_profile("Display P3", SRGB_CURVE, SPACES[P3])
