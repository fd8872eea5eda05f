"""Find the focal point of a picture, so that crops keep its subject."""

from functools import reduce
from typing import cast

from PIL import Image, ImageChops, ImageFilter, ImageOps, ImageStat

from webapp.recipes.outputs import CENTRE, Point

_SIDE = 64  # Pixels of the longer side of the copy that is examined.
_DETAIL_RADIUS = 2  # Pixels of that copy: the surroundings that a detail stands out from.
_LEAST_DETAIL = 6  # Of 255. Less is noise, or the artefacts of a JPEG of a plain background.
_SKIN_WEIGHT = 4
_SUM_RADIUS = 1 / 8  # The radius over which detail is summed, as a part of the shorter side.
_CENTRE_BIAS = 0.25  # The part of their weight that the corners lose.


def _between(low: int, high: int) -> list[int]:
    """Return a table for `point` that selects levels, with soft edges."""
    return [round(255 * max(0, min(1, (v - low) / 6 + 1, (high - v) / 6 + 1))) for v in range(256)]


# Skin of every shade has about these two levels of colour in YCbCr, where lightness is the third:
# D. Chai and K. N. Ngan, "Face segmentation using skin-color map in videophone applications", 1999.
_SKIN_BLUE, _SKIN_RED = _between(85, 125), _between(137, 170)


def find_focal_point(image: Image.Image) -> Point:
    """Return the point with most detail around, in fractions of the sides.

    The picture is upright, in sRGB and in one of the modes L, LA, RGB and RGBA; a thumbnail of 64
    pixels is enough. The centre is returned for a plain or fully transparent picture.

    The method is our own. The weight of a pixel is its difference from its surroundings, up to five
    times as much if it has the colour of skin and most of the picture has not. A wide blur sums the
    weights around each point, the corners lose a little, and the point with the largest sum wins.
    It is a point rather than a region because one point serves crops of every shape, and is used
    like a point that a person has chosen.
    """
    small = _shrink(image)
    alpha = small.getchannel("A")
    opaque = _on_average_color(small, alpha)
    detail = ImageChops.multiply(_detail(opaque), alpha)
    if _highest(detail) < _LEAST_DETAIL:
        return CENTRE
    interest = _sum_around(_weight(detail, _skin(opaque, alpha)))
    levels = ImageChops.multiply(interest, _centre_bias(interest)).tobytes()
    y, x = divmod(levels.index(max(levels)), interest.width)
    return (x + 0.5) / interest.width, (y + 0.5) / interest.height


def _shrink(image: Image.Image) -> Image.Image:
    """Return a small copy in RGBA, with colours weighted by opacity."""
    scale = _SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.convert("RGBA").resize(size, Image.Resampling.BOX)


def _on_average_color(image: Image.Image, alpha: Image.Image) -> Image.Image:
    """Return a picture on its average colour: outlines are not detail."""
    if not _highest(alpha):
        return Image.new("RGB", image.size)
    red, green, blue = (round(band) for band in ImageStat.Stat(image.convert("RGB"), alpha).mean)
    background = Image.new("RGB", image.size, (red, green, blue))
    background.paste(image, mask=alpha)
    return background


def _detail(image: Image.Image) -> Image.Image:
    """Return how much each pixel differs from its surroundings."""
    blurred = image.filter(ImageFilter.GaussianBlur(_DETAIL_RADIUS))
    return reduce(ImageChops.lighter, ImageChops.difference(image, blurred).split())


def _skin(image: Image.Image, alpha: Image.Image) -> Image.Image:
    """Return how much more each pixel looks like skin than the average."""
    _, blue, red = image.convert("YCbCr").split()
    skin = ImageChops.multiply(blue.point(_SKIN_BLUE), red.point(_SKIN_RED))
    usual = round(ImageStat.Stat(skin, alpha).mean[0])
    return skin.point([max(0, value - usual) for value in range(256)])


def _weight(detail: Image.Image, skin: Image.Image) -> Image.Image:
    """Return detail with weights from 1 to 1 + _SKIN_WEIGHT, full range."""
    on_skin = ImageChops.multiply(detail, skin)
    scale = 255 / _highest(detail) / (1 + _SKIN_WEIGHT)
    return ImageChops.add(
        detail.point([min(255, round(value * scale)) for value in range(256)]),
        on_skin.point([min(255, round(value * scale * _SKIN_WEIGHT)) for value in range(256)]),
    )


def _sum_around(interest: Image.Image) -> Image.Image:
    """Return the sum around each point, full range."""
    radius = max(1, min(interest.size) * _SUM_RADIUS)
    margin = round(3 * radius)
    around = ImageOps.expand(interest, margin).filter(ImageFilter.GaussianBlur(radius))
    return ImageOps.autocontrast(ImageOps.crop(around, margin))


def _centre_bias(image: Image.Image) -> Image.Image:
    distance = Image.radial_gradient("L").resize(image.size)
    return distance.point([round(255 - _CENTRE_BIAS * value) for value in range(256)])


def _highest(band: Image.Image) -> float:
    return cast(tuple[float, float], band.getextrema())[1]
