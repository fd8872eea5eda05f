"""Do with libvips what it does faster than Pillow, to the same picture.

It is optional (`pip install thumbnail-webapp[vips]`): each function answers None where libvips is
not there or the picture is not of the plain kind that it takes here, and Pillow does the work then.
A size is (width, height), a region (left, top, right, bottom), in pixels.
"""

import os
from pathlib import Path
from typing import Any

from PIL import Image

try:
    import pyvips
except (ImportError, OSError):  # Or pyvips is there, but not the library that it calls.
    libvips: Any = None
else:
    libvips = pyvips
    libvips.cache_set_max(0)  # No picture comes twice.
    libvips.concurrency_set(1)  # One worker process a core is enough.

_process: int | None = None  # The one that used libvips first.
_FAR = 4  # From here on, handing the picture over costs more than libvips gains.
_BANDS = {"L": 1, "RGB": 3}
_PNG_BANDS = {**_BANDS, "P": 3}


def resize(
    image: Image.Image, size: tuple[int, int], region: tuple[float, float, float, float]
) -> Image.Image | None:
    """Make a region of a picture smaller, as Pillow's LANCZOS with a `reducing_gap` of 2 does.

    The edges of the region must fall between pixels.
    """
    bands = _BANDS.get(image.mode)
    if bands is None or any(edge % 1 for edge in region) or not _is_usable():
        return None
    left, top, right, bottom = map(int, region)
    x, y = (right - left) / size[0], (bottom - top) / size[1]
    if not (1 <= x < _FAR and 1 <= y < _FAR):
        return None
    picture = libvips.Image.new_from_memory(image.tobytes(), *image.size, bands, "uchar")
    if (right - left, bottom - top) != image.size:
        picture = picture.crop(left, top, right - left, bottom - top)
    return _to_pillow(picture.reduce(x, y, kernel="lanczos3", gap=2.0), image.mode, size)


def can_read(image: Image.Image) -> bool:
    """Say whether `read_png` may know what to do with an image of which the header is read."""
    return (
        image.format == "PNG"
        and image.mode in _PNG_BANDS
        and not image.has_transparency_data
        and _is_usable()
    )


def read_png(source: Path, size: tuple[int, int], mode: str, factor: int) -> Image.Image | None:
    """Decode a PNG, averaging squares of `factor` × `factor` pixels while its lines come in.

    The last of a line or column may have less to average. A file with any fault is left to Pillow,
    whose verdict counts.
    """
    try:
        picture = libvips.Image.pngload(str(source), access="sequential", fail_on="warning")
        if picture.format != "uchar" or picture.bands != _PNG_BANDS[mode]:
            return None
        picture = picture.shrink(factor, factor, ceil=True)
        shrunk = (-(-size[0] // factor), -(-size[1] // factor))
        return _to_pillow(picture, "L" if mode == "L" else "RGB", shrunk)
    except libvips.Error:
        return None


def _is_usable() -> bool:
    """Say whether libvips is here, with its threads: a process forked from its user has none."""
    global _process
    _process = _process or os.getpid()
    return libvips is not None and _process == os.getpid()


def _to_pillow(picture: Any, mode: str, size: tuple[int, int]) -> Image.Image | None:
    """Compute a picture; None if its size is not the one expected."""
    if (picture.width, picture.height) != size:
        return None
    return Image.frombytes(mode, size, picture.write_to_memory())
