"""Do with libvips what it does faster than Pillow, to the same picture.

It is optional (`pip install thumbnail-webapp[vips]`): a function answers None where libvips is not
there or the picture is not of the plain kind that it takes here, and Pillow does the work then. A
size is (width, height), a region (left, top, right, bottom), in pixels.
"""

from mmap import ACCESS_READ, mmap
from typing import IO, Any

from PIL import Image

try:
    import pyvips
except (ImportError, OSError):  # Or pyvips is there, but not the library that it calls.
    libvips: Any = None
else:
    libvips = pyvips
    libvips.cache_set_max(0)  # No picture comes twice.
    libvips.concurrency_set(1)  # One worker process a core is enough.

_BANDS = {"L": 1, "RGB": 3, "P": 3}
_FAR = 4  # From here on, handing a picture over costs more than libvips gains.
_LONGEST = 100_000  # Pixels; of a hundred million in one line, libvips takes up to a minute.
_PNG_GAP, _WEBP_GAP = 2, 3  # How many times its result a picture is that nobody tells from more.


def resize(
    image: Image.Image, size: tuple[int, int], region: tuple[float, float, float, float]
) -> Image.Image | None:
    """Make a region of a picture smaller, as Pillow's LANCZOS with a `reducing_gap` of 2 does.

    The edges of the region must fall between pixels. None too where libvips is out of memory.
    """
    if image.mode not in ("L", "RGB") or any(edge % 1 for edge in region) or libvips is None:
        return None
    left, top, right, bottom = map(int, region)
    x, y = (right - left) / size[0], (bottom - top) / size[1]
    if not (1 <= x < _FAR and 1 <= y < _FAR):
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
    """Say whether `read` may know what to do with an image of which the header is read."""
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
    """Decode an image as small as it may be to be resized to `scale`; give its exact size too.

    A PNG is averaged while its lines come in, so that the last of a line or column may stand for
    less; libwebp scales a WebP itself, a row at a time. A file with any fault is left to Pillow,
    whose verdict counts.
    """
    # Mapped, for reading by its descriptor would move Pillow's place in the file. It must live as
    # long as libvips reads: that has no reference to it.
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
    if scale > 0.5:  # Nothing is gained.
        return None
    picture = libvips.Image.webpload_source(source, scale=scale, fail_on="warning")
    size = (picture.width, picture.height)
    made = _to_pillow(picture, "RGB", size) if picture.bands == 3 else None
    return (made, size) if made else None


def _to_pillow(picture: Any, mode: str, size: tuple[int, int]) -> Image.Image | None:
    """Compute a picture; None if its size is not the one expected."""
    if (picture.width, picture.height) != size:
        return None
    return Image.frombytes(mode, size, picture.write_to_memory())
