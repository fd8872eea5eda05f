"""Bring resized pictures to sRGB or Display P3, upright."""

import io
from collections.abc import Callable
from functools import lru_cache, partial
from itertools import product
from typing import cast

from PIL import Image, ImageChops, ImageCms

from webapp.engine import cicp, tone_mapping
from webapp.engine.cicp import Cicp
from webapp.engine.exif import TRANSPOSE
from webapp.engine.strip import drop_metadata

_PROFILE_SPACE = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
# Created at import, because the processes that decode are forked for one image each.
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_P3 = ImageCms.ImageCmsProfile(io.BytesIO(cicp.P3_PROFILE))
# Greys, and mixtures from black to white.
_COLORS = Image.frombytes(
    "RGB",
    (52 + 4**3, 1),
    bytes(level for level in range(0, 256, 5) for _ in range(3))
    + bytes(part for color in product(range(0, 256, 85), repeat=3) for part in color),
)
_ROUNDING = 2  # Levels of 255.

Profile = bytes | Cicp  # An ICC profile, or a tag in its place.
Convert = Callable[[Image.Image], Image.Image]


def orient_and_convert(
    image: Image.Image, orientation: int, profile: Profile | None, to_p3: bool = False
) -> Image.Image:
    """Return a picture in sRGB, upright and without metadata.

    Its mode is one of L, LA, RGB and RGBA. If `to_p3`, a picture that `is_wide` is in Display P3.
    """
    straight = {"La": "LA", "RGBa": "RGBA"}.get(image.mode)
    image = _convert(image.convert(straight) if straight else image, profile, to_p3)
    if orientation in TRANSPOSE:
        image = image.transpose(TRANSPOSE[orientation])
    drop_metadata(image)
    return image


def needs_conversion(mode: str, profile: Profile | None) -> bool:
    """Return True unless a picture of this mode and profile is in sRGB."""
    opaque = mode.rstrip("aA")
    return opaque not in ("L", "RGB") or bool(profile and find_transform(profile, opaque))


def is_wide(mode: str, profile: Profile | None) -> bool:
    """Return True if a picture is in RGB, and in another space than sRGB."""
    return mode.rstrip("aA") == "RGB" and needs_conversion(mode, profile)


def color_in_p3(color: str) -> str:
    """Return a colour of sRGB, `#rrggbb`, in the numbers of Display P3."""
    transform = ImageCms.ImageCmsTransform(_SRGB, _P3, "RGB", "RGB")
    return "#" + transform.apply(Image.new("RGB", (1, 1), color)).tobytes().hex()


@lru_cache(maxsize=4)
def find_transform(profile: Profile, mode: str, to_p3: bool = False) -> Convert | None:
    """Return the transform from a profile to sRGB or P3; None if it needs none.

    Cached for all sizes and frames of an image: creating it takes 2 ms.
    """
    if isinstance(profile, Cicp):
        return _find_tag_transform(profile, mode, to_p3)
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != _PROFILE_SPACE.get(mode):
            return None
        if not _has_white(source):
            return None
        target = _P3 if to_p3 else _SRGB
        if not _changes_colors(source, target, mode):
            return None
        return ImageCms.ImageCmsTransform(source, target, mode, "RGB").apply
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None  # A broken profile counts as none.


def _find_tag_transform(tag: Cicp, mode: str, to_p3: bool) -> Convert | None:
    if mode == "L":
        levels = tone_mapping.grey_levels(tag)
        return (lambda image: image.point(levels)) if levels else None
    if mode == "RGB" and tone_mapping.is_hdr(tag):
        return partial(tone_mapping.tone_map, tag=tag, primaries=cicp.P3 if to_p3 else cicp.BT709)
    made = cicp.make_profile(tag) if mode == "RGB" else None
    return find_transform(made, mode, to_p3) if made else None


def _convert(image: Image.Image, profile: Profile | None, to_p3: bool) -> Image.Image:
    if image.mode in ("LA", "RGBA"):
        opaque = _convert(image.convert(image.mode[:-1]), profile, to_p3)
        opaque.putalpha(image.getchannel("A"))
        return opaque
    to_p3 = to_p3 and image.mode == "RGB"
    transform = find_transform(profile, image.mode, to_p3) if profile else None
    if transform:
        converted = transform(image)
        return converted.convert("L") if image.mode == "L" else converted
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _changes_colors(
    source: ImageCms.ImageCmsProfile, target: ImageCms.ImageCmsProfile, mode: str
) -> bool:
    """Return False if a transform leaves all colours as they are, but for rounding.

    The name of a profile proves nothing: linear ones are called "sRGB-elle-V2-g10.icc". Without
    the tables for whole pictures, it takes 1 ms instead of 4.
    """
    if mode == "CMYK":
        return True
    flags = ImageCms.Flags.NOOPTIMIZE
    convert = ImageCms.ImageCmsTransform(source, target, mode, "RGB", flags=flags).apply
    colors = _COLORS.convert(mode)
    changes = ImageChops.difference(convert(colors), colors.convert("RGB")).getextrema()
    return any(most > _ROUNDING for _, most in cast(tuple[tuple[int, int], ...], changes))


def _has_white(profile: ImageCms.ImageCmsProfile) -> bool:
    """Return False if the primaries of a profile do not add up to white.

    Their luminances make 1 (ICC.1); in real files they are off by less than a thousandth.
    """
    core = profile.profile
    primaries = [core.red_colorant, core.green_colorant, core.blue_colorant]
    luminances = [primary[0][1] for primary in primaries if primary]
    return len(luminances) < 3 or abs(sum(luminances) - 1) < 0.1  # Less than 3: it has tables.
