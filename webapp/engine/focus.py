"""Find where the subject of a picture is, so that a crop keeps it."""

from functools import reduce
from typing import cast

from PIL import Image, ImageChops, ImageFilter, ImageOps, ImageStat

from webapp.recipes.outputs import CENTRE, Point

_SIDE = 64  # Pixels of the longer side that are looked at.
_FINE = 2  # Radius in these pixels of the surroundings that a detail stands out from.
_LEAST_DETAIL = 6  # Of 255. Less is noise, or what a JPEG makes of a plain ground.
_SKIN_WEIGHT = 4
_SPAN = 1 / 8  # Radius over which detail is added up, as a part of the shorter side.
_CENTRE_BIAS = 0.25  # The part of their weight that the corners lose.


def find_focus(image: Image.Image) -> Point:
    """Find the point around which most is to be seen, as fractions of the width and the height.

    The picture is upright, in sRGB and in one of the modes L, LA, RGB and RGBA; a thumbnail of 64
    pixels is enough. The focus of a plain picture, or of one that cannot be seen, is its centre.

    The method is our own. Each pixel counts for as much as it differs from its surroundings, and
    up to five times as much where it has a colour of skin and most of the picture has not. A wide
    blur adds this up around each point, the middle gains a little on the rim, and the best point
    wins. It is a point rather than a region because one then serves crops of every shape, and
    whoever crops need not know whether a person or this function has chosen it.
    """
    small = _shrink(image)
    alpha = small.getchannel("A")
    seen = _on_its_average(small, alpha)
    detail = ImageChops.multiply(_detail(seen), alpha)
    if _highest(detail) < _LEAST_DETAIL:
        return CENTRE
    interest = _gather(_favour(detail, _skin(seen, alpha)))
    levels = ImageChops.multiply(interest, _centre_bias(interest)).tobytes()
    y, x = divmod(levels.index(max(levels)), interest.width)
    return (x + 0.5) / interest.width, (y + 0.5) / interest.height


def _shrink(image: Image.Image) -> Image.Image:
    """Give a copy in RGBA; Pillow weighs its colours by their opacity as it resizes."""
    scale = _SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.convert("RGBA").resize(size, Image.Resampling.BOX)


def _on_its_average(image: Image.Image, alpha: Image.Image) -> Image.Image:
    """Lay a picture on its average colour, so that its outline does not pass for detail."""
    if not _highest(alpha):
        return Image.new("RGB", image.size)
    red, green, blue = (round(band) for band in ImageStat.Stat(image.convert("RGB"), alpha).mean)
    ground = Image.new("RGB", image.size, (red, green, blue))
    ground.paste(image, mask=alpha)
    return ground


def _detail(image: Image.Image) -> Image.Image:
    """Tell how much each pixel differs from its surroundings, in the band where it does most."""
    blurred = image.filter(ImageFilter.GaussianBlur(_FINE))
    return reduce(ImageChops.lighter, ImageChops.difference(image, blurred).split())


def _between(low: int, high: int) -> list[int]:
    """Make the table for `point` that picks the levels from one to the other, with soft edges."""
    return [round(255 * max(0, min(1, (v - low) / 6 + 1, (high - v) / 6 + 1))) for v in range(256)]


# Skin of every shade has about these two levels of colour in YCbCr, where lightness is the third:
# D. Chai and K. N. Ngan, "Face segmentation using skin-color map in videophone applications", 1999.
_SKIN_BLUE, _SKIN_RED = _between(85, 125), _between(137, 170)


def _skin(image: Image.Image, alpha: Image.Image) -> Image.Image:
    """Tell where there is a colour of skin, as far as that is unusual in this picture."""
    _, blue, red = image.convert("YCbCr").split()
    skin = ImageChops.multiply(blue.point(_SKIN_BLUE), red.point(_SKIN_RED))
    usual = round(ImageStat.Stat(skin, alpha).mean[0])
    return skin.point([max(0, value - usual) for value in range(256)])


def _favour(detail: Image.Image, skin: Image.Image) -> Image.Image:
    """Weigh detail from 1, where there is no skin, to 1 + _SKIN_WEIGHT, and use the full range."""
    on_skin = ImageChops.multiply(detail, skin)
    scale = 255 / _highest(detail) / (1 + _SKIN_WEIGHT)
    return ImageChops.add(
        detail.point([min(255, round(value * scale)) for value in range(256)]),
        on_skin.point([min(255, round(value * scale * _SKIN_WEIGHT)) for value in range(256)]),
    )


def _gather(interest: Image.Image) -> Image.Image:
    """Add up what surrounds each point, with nothing beyond the rim, and use the full range."""
    radius = max(1, min(interest.size) * _SPAN)
    margin = round(3 * radius)
    around = ImageOps.expand(interest, margin).filter(ImageFilter.GaussianBlur(radius))
    return ImageOps.autocontrast(ImageOps.crop(around, margin))


def _centre_bias(image: Image.Image) -> Image.Image:
    distance = Image.radial_gradient("L").resize(image.size)
    return distance.point([round(255 - _CENTRE_BIAS * value) for value in range(256)])


def _highest(band: Image.Image) -> float:
    return cast(tuple[float, float], band.getextrema())[1]
