"""Convert to sRGB, and find the dominant colour."""

import io
import math
from functools import lru_cache
from typing import cast

from PIL import Image, ImageCms, ImageStat

from webapp.engine.exif import TRANSPOSE


def _finish(image: Image.Image, orientation: int, profile: bytes | None) -> Image.Image:
    """Bring a resized picture to L, LA, RGB or RGBA in sRGB, upright, without metadata."""
    straight = {"La": "LA", "RGBa": "RGBA"}.get(image.mode)
    if straight:
        image = image.convert(straight)
    image = _to_srgb(image, profile)
    if orientation in TRANSPOSE:
        image = image.transpose(TRANSPOSE[orientation])
    image.info = {}  # Encoders write what they find here: profile, comment, transparency.
    return image


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if image.mode in ("LA", "RGBA"):
        opaque = _to_srgb(image.convert(image.mode[:-1]), profile)
        opaque.putalpha(image.getchannel("A"))
        return opaque
    transform = _transform(profile, image.mode) if profile else None
    if transform:
        converted = transform.apply(image)
        return converted.convert("L") if image.mode == "L" else converted
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _is_in_srgb(mode: str, profile: bytes | None) -> bool:
    """Say whether a picture in this mode, with or without alpha, needs no conversion."""
    opaque = mode.rstrip("aA")
    return opaque in ("L", "RGB") and not (profile and _transform(profile, opaque))


_PROFILE_SPACE = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


# Made at import, as the processes that decode are forked for one image each.
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=4)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the way from a profile to sRGB; None where there is none to go.

    Cached for all sizes and frames of an image: it takes 2 ms.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != _PROFILE_SPACE.get(mode) or _is_srgb(source):
            return None
        return ImageCms.ImageCmsTransform(source, _SRGB, mode, "RGB")
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None  # A broken profile is as good as none.


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    """Tell by its name, which costs nothing, whether a profile is sRGB."""
    name = profile.profile.profile_description or ""
    return name.startswith("sRGB") and "linear" not in name.lower()


def dominant_color(image: Image.Image) -> str:
    """Name the colour, as `#rrggbb`, that covers most of a picture.

    Pillow's octree sorts a small copy into 32 colours. The one with the most pixels like it, at
    most 48 of 255 away in RGB, wins, and their average is the answer: so a sky counts as one colour
    although it is a gradient. Pixels less than half as opaque as the most opaque one are left out.
    A picture that cannot be seen is black.
    """
    counted = _count_colors(_visible(_as_color(image).resize(_COUNTED_SIZE, Image.Resampling.BOX)))
    clusters = [
        [(count, other) for count, other in counted if math.dist(color, other) <= _ALIKE]
        for _, color in sorted(counted)[-_CENTRES:]
    ]
    cluster = max(clusters, key=lambda cluster: sum(count for count, _ in cluster))
    total = sum(count for count, _ in cluster)
    bands = [
        round(sum(count * color[band] for count, color in cluster) / total) for band in (0, 1, 2)
    ]
    return "#" + bytes(bands).hex()


def _as_color(image: Image.Image) -> Image.Image:
    """Give a picture in RGB, or in RGBA if its mode has alpha.

    Pillow resizes RGBA with its colours weighted by their opacity, as it must be.
    """
    return image.convert("RGBA" if image.mode in ("LA", "RGBA") else "RGB")


_COUNTED_SIZE = (64, 64)
_CENTRES = 8  # Shades that others may be like; rarer ones are not what covers most.
_ALIKE = 48  # Of 255: how far apart two shades of one colour may be.


def _visible(image: Image.Image) -> Image.Image:
    """Give the pixels that count as a picture of one row."""
    if image.mode == "RGB":
        return image
    alpha = image.getchannel("A").tobytes()
    least = max(alpha) / 2
    if not least:
        return Image.new("RGB", (1, 1))
    pixels = image.convert("RGB").tobytes()
    seen = [pixels[3 * i : 3 * i + 3] for i, opacity in enumerate(alpha) if opacity >= least]
    return Image.frombytes("RGB", (len(seen), 1), b"".join(seen))


def _count_colors(image: Image.Image) -> list[tuple[int, bytes]]:
    """Count the pixels of each of the 32 colours that the octree finds."""
    reduced = image.quantize(32, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette = bytes(reduced.getpalette("RGB") or ())
    counted = cast(list[tuple[int, int]], reduced.getcolors())
    return [(count, palette[3 * index : 3 * index + 3]) for count, index in counted]


def _on_its_average(image: Image.Image) -> Image.Image:
    """Lay a picture on its average colour, so that what is transparent adds no waves."""
    if image.mode == "RGB":
        return image
    *colors, alpha = ImageStat.Stat(image.convert("RGBa")).sum
    average = [_half_up(255 * color / alpha) if alpha else 0 for color in colors]
    ground = Image.new("RGB", image.size, (average[0], average[1], average[2]))
    ground.paste(image, mask=image)
    return ground


def _half_up(value: float) -> int:
    """Round as the format's other encoders do; Python's `round` goes to the even number."""
    return math.floor(value + 0.5)
