"""Bring decoded pixels into a mode that resizes well."""

from typing import cast

from PIL import Image, TiffImagePlugin

from webapp.engine.errors import translate_decoder_errors

# Float and 32-bit files do not declare their white point. We assume the smallest of these that no
# pixel exceeds; highlights of floats may be up to twice as bright.
_WHITES = (1.0, 255.0, 65535.0)
_HIGHLIGHTS = 2
_FLOAT = 3  # SampleFormat of a TIFF.


def to_resizable_mode(image: Image.Image) -> Image.Image:
    """Return a decoded image in a mode that resizes well.

    It has 8 bits a channel and premultiplied alpha: straight alpha would blend the colour of
    invisible pixels into the visible edge.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return _to_eight_bits(image)
    if image.mode not in ("La", "RGBa"):
        with translate_decoder_errors():  # Pillow checks the palette only here.
            has_alpha = image.has_transparency_data
            straight = "LA" if image.mode in ("1", "L", "LA") else "RGBA"
            if has_alpha and image.mode != straight:  # convert() would copy it.
                image = image.convert(straight)
        if has_alpha:
            return image.convert({"LA": "La", "RGBA": "RGBa"}[straight])
    simple = {"1": "L", "P": "RGB", "RGBX": "RGB", "YCbCr": "RGB"}.get(image.mode)
    return image.convert(simple) if simple else image


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale grey of 12, 16 or 32 bits, or of floats, to 8 bits.

    Pillow's `convert` would clip it.
    """
    if image.mode.startswith("I;16"):
        return _from_sixteen_bits(image)
    _, brightest = cast(tuple[float, float], image.getextrema())
    is_float = _read_tag_of_tiff(image, TiffImagePlugin.SAMPLEFORMAT, 1) == _FLOAT
    most = brightest / _HIGHLIGHTS if is_float else brightest
    scale = 255 / next((white for white in _WHITES if most <= white), brightest)
    black = 0
    if _is_white_zero(image):
        scale, black = -scale, 255
    half = 0.5 if image.mode == "I" else 0
    return image.point(lambda value: value * scale + (black + half)).convert("L")


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    """Scale grey to 8 bits; make a PNG's transparent shade its alpha."""
    # Pillow leaves the depth of a TIFF to us.
    scale = 255 / (2 ** _read_tag_of_tiff(image, TiffImagePlugin.BITSPERSAMPLE, 16) - 1)
    black = 0
    if _is_white_zero(image):
        scale, black = -scale, 255
    wide = image.convert("I")
    grey = wide.point(lambda value: value * scale + (black + 0.5)).convert("L")
    transparent = image.info.get("transparency")
    if transparent is None:
        return grey
    alpha = wide.point([255 * (value != transparent) for value in range(65536)], "L")
    return Image.merge("LA", (grey, alpha)).convert("La")


def _is_white_zero(image: Image.Image) -> bool:
    """Return True for a TIFF whose shades are inverted, if Pillow leaves that to us."""
    return _read_tag_of_tiff(image, TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 1) == 0


def _read_tag_of_tiff(image: Image.Image, tag: int, default: int) -> int:
    """Return the first number of a tag, or the default, also if it is no TIFF."""
    value = getattr(image, "tag_v2", {}).get(tag, default)
    return cast(int, value[0] if isinstance(value, tuple) else value)
