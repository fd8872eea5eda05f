"""Show pictures of PQ and HLG on screens without HDR.

Their colours are brighter than sRGB has. The curve is the one that SMPTE ST 2094-50 defines for
pictures without a curve of their own, which Chromium 156 uses: results differ by at most one level
from its, for peaks of up to 4000 nits. It depends on how bright the picture is, if the file says so
(`clli` or `mdcv`). A gain map is not used: the main image of a file that has one is complete
without it.
"""

from functools import lru_cache, partial
from math import exp, log
from typing import Any

from PIL import Image, ImageMath

from webapp.engine import matrices
from webapp.engine.cicp import BT2020, GAMMAS, HLG, PQ, SPACES, Cicp, specify
from webapp.engine.matrices import Row

_WHITE_NITS = 203  # The light of white paper in HDR (BT.2408).
_USUAL_PEAK = 1000  # Nits. HLG always has it here.
_DARKENING = 0.5  # What scales white and all that is darker, at the usual peak and above.
# The control point of the Bézier curve, on the straight line: 0 is white, 1 the screen's brightest.
_BEND = 0.65
_SYSTEM_GAMMA = 1.2  # Of HLG at this peak (BT.2100).
_STRIP = 1 << 18  # Pixels that are tone-mapped at once.


def is_hdr(tag: Cicp) -> bool:
    return tag.transfer in (PQ, HLG) and specify(tag).primaries in SPACES


def tone_map(image: Image.Image, tag: Cicp, primaries: int) -> Image.Image:
    """Convert an RGB picture of PQ or HLG to sRGB's curve with these primaries.

    It does so in strips, because a pixel takes some 60 bytes while it is converted.
    """
    tag, made = specify(tag), Image.new("RGB", image.size)
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        made.paste(_tone_map_strip(image.crop(box), tag, primaries), box)
    return made


def _tone_map_strip(image: Image.Image, tag: Cicp, primaries: int) -> Image.Image:
    curve = _pq_light if tag.transfer == PQ else _hlg_light
    lights = [curve(level / 255) for level in range(256)]
    colors = {
        letter: band.point(lights, "F") for letter, band in zip("rgb", image.split(), strict=True)
    }
    factor = ImageMath.lambda_eval(partial(_factor_of, tag=tag), **colors)
    bands = [
        ImageMath.lambda_eval(partial(_mix, row=row), factor=factor, **colors)
        for row in matrices.between(SPACES[tag.primaries], SPACES[primaries])
    ]
    return Image.merge("RGB", [band.point(_encoded_levels(), "L") for band in bands])


def _factor_of(on: dict[str, Any], tag: Cicp) -> Any:
    """Return the factor by which tone mapping scales each colour.

    That of HLG includes the system gamma. It depends on the brightest channel in BT.2020, whatever
    the colour's own space is.
    """
    space = SPACES[tag.primaries]
    red, green, blue = (_weigh(on, row) for row in matrices.between(space, SPACES[BT2020]))
    brightest = on["max"](on["max"](red, green), blue)
    if tag.transfer == PQ:
        return _scale_of(brightest, tag.peak, on["min"], on["max"])
    system = _weigh(on, matrices.to_xyz(space)[1]) ** (_SYSTEM_GAMMA - 1)
    return system * _scale_of(brightest * system, _USUAL_PEAK, on["min"], on["max"])


def _mix(on: dict[str, Any], row: Row) -> Any:
    """Return a channel of the target as 65536 levels of light."""
    light = on["min"](on["max"](_weigh(on, row) * on["factor"], 0), 1)
    return on["convert"](light * 65535 + 0.5, "I")


def _weigh(on: dict[str, Any], row: Row) -> Any:
    return on["r"] * row[0] + on["g"] * row[1] + on["b"] * row[2]


@lru_cache
def _encoded_levels() -> list[int]:
    """Return the level of sRGB for each of 65536 levels of light."""
    levels: list[int] = []
    for level in range(256):
        share = min((level + 0.5) / 255, 1)
        light = share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        levels += [level] * (int(65535 * light) + 1 - len(levels))
    return levels


def grey_levels(tag: Cicp) -> list[int] | None:
    """Return the grey of sRGB for each of 256 levels; None if it is the same."""
    tag = specify(tag)
    shares = [level / 255 for level in range(256)]
    if tag.transfer in GAMMAS:
        lights = [share ** GAMMAS[tag.transfer] for share in shares]
    elif tag.transfer == PQ:
        lights = [light * _scale_of(light, tag.peak) for light in map(_pq_light, shares)]
    elif tag.transfer == HLG:
        lights = [_hlg_light(share) ** _SYSTEM_GAMMA for share in shares]
        lights = [light * _scale_of(light, _USUAL_PEAK) for light in lights]
    else:
        return None
    return [round(255 * min(_encode(light), 1)) for light in lights]


# Below, a light of 1 is that of white paper.


def _pq_light(share: float) -> float:
    """Return the light of a share of PQ's range (BT.2100)."""
    root = share ** (32 / 2523)
    ratio = max(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
    return float(10_000 / _WHITE_NITS * ratio ** (16384 / 2610))


def _hlg_light(share: float) -> float:
    """Return the light of a share of HLG's range (BT.2100).

    Raised to the power of the system gamma, it is the light of a screen with the usual peak.
    """
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = share * share / 3 if share <= 0.5 else (exp((share - c) / a) + b) / 12
    return float(scene * (_USUAL_PEAK / _WHITE_NITS) ** (1 / _SYSTEM_GAMMA))


def _scale_of(light: Any, peak_nits: float, least: Any = min, most: Any = max) -> Any:
    """Return by how much to scale a colour whose brightest channel has this light.

    Up to white, the curve is a straight line, which is flatter for a higher peak. From white to the
    peak, it is a Bézier curve that ends at the brightest light of the screen; light beyond the peak
    is limited to that. `light` is a number; or it is an image of ImageMath, with the functions of
    ImageMath as `least` and `most`.
    """
    peak = peak_nits / _WHITE_NITS
    if peak < 1.01:
        return 1 / most(light, 1)
    steepness = 1 - (1 - _DARKENING) * min(log(peak) / log(_USUAL_PEAK / _WHITE_NITS), 1)
    bend_x = 1 - _BEND + _BEND / steepness
    bend_y = (1 - _BEND) * steepness + _BEND
    # Where the curve has this light: x(t) and y(t) are quadratic.
    a, b = 1 - 2 * bend_x + peak, bend_x - 1
    t = ((most(least(light, peak), 1) - 1) * a + b * b) ** 0.5 * (1 / a) - b / a
    mapped = steepness + t * (2 * (bend_y - steepness) + t * (steepness - 2 * bend_y + 1))
    return mapped / most(light, 1)


def _encode(light: float) -> float:
    """Return the share of sRGB's range for light from 0 to 1."""
    return 12.92 * light if light <= 0.0031308 else 1.055 * float(light ** (1 / 2.4)) - 0.055
