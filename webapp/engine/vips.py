"""Decode and resize with libvips, if it is faster and the result the same.

libvips is installed where it has a wheel. Without it, or for a picture of an unusual kind, each
function returns None and Pillow does the work. A size is (width, height), a region (left, top,
right, bottom), in pixels.
"""

from mmap import ACCESS_READ, mmap
from typing import IO, Any

from PIL import Image

try:
    import pyvips
except (ImportError, OSError):  # OSError: pyvips is installed, but not the library.
    libvips: Any = None
else:
    libvips = pyvips
    libvips.cache_set_max(0)  # No picture is used twice.
    libvips.concurrency_set(1)  # There is a worker process for each core.

_BANDS = {"L": 1, "RGB": 3, "P": 3}
_MAX_SHRINK = 4  # From here on, passing a picture to libvips costs more than it gains.
_LONGEST = 100_000  # Pixels; for a hundred million in one line, libvips takes up to a minute.
# How many times larger than its result a picture must be: more makes no visible difference.
_PNG_GAP, _WEBP_GAP = 2, 3


def resize(
    image: Image.Image, size: tuple[int, int], region: tuple[float, float, float, float]
) -> Image.Image | None:
    """Shrink a region of a picture, as LANCZOS with `reducing_gap=2` does.

    The edges of the region must be between pixels. Also returns None if libvips runs out of memory.
    """
    if image.mode not in ("L", "RGB") or any(edge % 1 for edge in region) or libvips is None:
        return None
    left, top, right, bottom = map(int, region)
    x, y = (right - left) / size[0], (bottom - top) / size[1]
    if not (1 <= x < _MAX_SHRINK and 1 <= y < _MAX_SHRINK):
        return None
    picture = libvips.Image.new_from_memory(
        image.tobytes(), *image.size, _BANDS[image.mode], "uchar"
    )
    if (right - left, bottom - top) != image.size:
        picture = picture.crop(left, top, right - left, bottom - top)
    try:
        return _to_pillow(picture.reduce(x, y, kernel="lanczos3", gap=2.0), image.mode, size)
    except libvips.Error:
        return None


def can_read(image: Image.Image) -> bool:
    """Return True if `read` may be able to decode an open image."""
    if image.format == "PNG":
        is_plain = image.mode in _BANDS and not image.has_transparency_data
    else:
        is_plain = (
            image.format == "WEBP"
            and image.mode == "RGB"
            and not getattr(image, "is_animated", False)
        )
    return is_plain and max(image.size) <= _LONGEST and libvips is not None


def read(
    file: IO[bytes], image: Image.Image, scale: float
) -> tuple[Image.Image, tuple[float, float]] | None:
    """Decode an image at the smallest size that can be resized to `scale`.

    Also returns its exact size: the lines of a PNG are averaged while they are read, so the last
    pixel of a line or column may stand for fewer pixels than the others. libwebp scales a WebP
    itself, row by row. A file with any fault is left to Pillow, which decides what it is.
    """
    # Mapped, because reading the descriptor would move Pillow's position in the file. It must live
    # as long as libvips reads, which keeps no reference to it.
    content = mmap(file.fileno(), 0, access=ACCESS_READ)
    source = libvips.Source.new_from_memory(content)
    try:
        if image.format == "PNG":
            return _read_png(source, image, max(1, int(1 / (scale * _PNG_GAP))))
        return _read_webp(source, scale * _WEBP_GAP)
    except libvips.Error:
        return None


def _read_png(
    source: Any, image: Image.Image, factor: int
) -> tuple[Image.Image, tuple[float, float]] | None:
    picture = libvips.Image.pngload_source(source, access="sequential", fail_on="warning")
    if picture.format != "uchar" or picture.bands != _BANDS[image.mode]:
        return None
    picture = picture.shrink(factor, factor, ceil=True)
    shrunk = (-(-image.width // factor), -(-image.height // factor))
    made = _to_pillow(picture, "L" if image.mode == "L" else "RGB", shrunk)
    return (made, (image.width / factor, image.height / factor)) if made else None


def _read_webp(source: Any, scale: float) -> tuple[Image.Image, tuple[float, float]] | None:
    if scale > 0.5:  # It would gain nothing.
        return None
    picture = libvips.Image.webpload_source(source, scale=scale, fail_on="warning")
    size = (picture.width, picture.height)
    made = _to_pillow(picture, "RGB", size) if picture.bands == 3 else None
    return (made, size) if made else None


def _to_pillow(picture: Any, mode: str, size: tuple[int, int]) -> Image.Image | None:
    """Compute a picture; return None if its size is not as expected."""
    if (picture.width, picture.height) != size:
        return None
    return Image.frombytes(mode, size, picture.write_to_memory())
