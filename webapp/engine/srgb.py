"""Bring resized pictures to sRGB, upright."""

import io
from functools import lru_cache

from PIL import Image, ImageCms

from webapp.engine.exif import TRANSPOSE
from webapp.engine.strip import drop_metadata

_PROFILE_SPACE = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
# Created at import, because the processes that decode are forked for one image each.
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def orient_and_convert(image: Image.Image, orientation: int, profile: bytes | None) -> Image.Image:
    """Return a picture in sRGB, upright and without metadata.

    Its mode is one of L, LA, RGB and RGBA.
    """
    straight = {"La": "LA", "RGBa": "RGBA"}.get(image.mode)
    if straight:
        image = image.convert(straight)
    image = _to_srgb(image, profile)
    if orientation in TRANSPOSE:
        image = image.transpose(TRANSPOSE[orientation])
    drop_metadata(image)
    return image


def needs_conversion(mode: str, profile: bytes | None) -> bool:
    """Return True unless a picture of this mode and profile is in sRGB."""
    opaque = mode.rstrip("aA")
    return opaque not in ("L", "RGB") or bool(profile and find_transform(profile, opaque))


@lru_cache(maxsize=4)
def find_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from a profile to sRGB; None if it needs none.

    Cached for all sizes and frames of an image: creating it takes 2 ms.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != _PROFILE_SPACE.get(mode) or _is_srgb(source):
            return None
        return ImageCms.ImageCmsTransform(source, _SRGB, mode, "RGB")
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None  # A broken profile counts as none.


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if image.mode in ("LA", "RGBA"):
        opaque = _to_srgb(image.convert(image.mode[:-1]), profile)
        opaque.putalpha(image.getchannel("A"))
        return opaque
    transform = find_transform(profile, image.mode) if profile else None
    if transform:
        converted = transform.apply(image)
        return converted.convert("L") if image.mode == "L" else converted
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    """Return True if a profile is sRGB by its name, which is quick to read."""
    name = profile.profile.profile_description or ""
    return name.startswith("sRGB") and "linear" not in name.lower()
