"""TIFF: a directory of tags, and pixels in strips or tiles."""

from typing import IO

from PIL import ExifTags, TiffImagePlugin

from webapp.engine import exif, ifd
from webapp.engine.errors import Corrupt, Unsupported
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size

SIGNATURES = tuple(TiffImagePlugin.PREFIXES)
_STRIPS, _TILES = 273, 324  # Where the pixels are.
# The tags that describe the pixels.
_TAGS = (
    *(256, 257, 258, 259, 262, 266, _STRIPS, 277, 278, 282, 283, 284, 296, 320, 322, 323, _TILES),
    *(338, 339, 530, 0xBC01, ExifTags.Base.Orientation),
)
_MAX_STRIPS = 200_000  # A strip for each line of a picture needs some ten thousand.
_MAX_TAG = 4096  # Bytes of one of these that are read; a palette of 256 colours has 1536.
_UNKNOWN_MODE = "unknown pixel mode"  # In Pillow's message for channels that it does not know.


def matches(head: bytes) -> bool:
    return head.startswith(SIGNATURES)


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    """Read the header of a TIFF.

    Pillow opens a copy without the offsets of the strips, because it creates an object for each:
    88 ms for 65,535 strips.
    """
    directory = ifd.read_directory(file, dict.fromkeys(_TAGS, _MAX_TAG))
    for tag in (_STRIPS, _TILES):
        if directory.sizes.get(tag, 0) > 4 * _MAX_STRIPS:
            raise Corrupt
        if tag in directory.tags:
            directory.tags[tag] = (4, bytes(4))
    try:
        image = TiffImagePlugin.TiffImageFile(ifd.write_directory(directory))
    except SyntaxError as error:
        raise (_unsupported() if _UNKNOWN_MODE in str(error) else Corrupt()) from error
    check_size(image.size, "TIFF", limits)
    orientation, had_gps = exif.parse_tiff(file)
    # Pillow has applied the orientation to the size.
    return Header("tiff", *image.size, orientation, had_gps)


def explain(file: IO[bytes], head: bytes) -> Unsupported | None:
    """Return the error for a TIFF with channels that Pillow does not know.

    None for any other file that Pillow cannot open.
    """
    if not matches(head):
        return None
    file.seek(0)
    try:
        TiffImagePlugin.TiffImageFile(file)
    except SyntaxError as error:
        return _unsupported() if _UNKNOWN_MODE in str(error) else None
    return None


def _unsupported() -> Unsupported:
    return Unsupported(
        "This kind of TIFF has channels that we cannot read. Export it as 8 or 16 bit RGB."
    )
