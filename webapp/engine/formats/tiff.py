"""TIFF."""

from typing import IO

from PIL import ExifTags, TiffImagePlugin

from webapp.engine import ifd
from webapp.engine.errors import Corrupt, Unsupported
from webapp.engine.exif import _read_tiff_metadata
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, _check_size

_STRIPS, _TILES = 273, 324  # Where the pixels are.
_TIFF_TAGS = (
    *(256, 257, 258, 259, 262, 266, _STRIPS, 277, 278, 282, 283, 284, 296, 320, 322, 323, _TILES),
    *(338, 339, 530, 0xBC01, ExifTags.Base.Orientation),
)
_MAX_STRIPS = 200_000  # A strip for each line of a picture needs some ten thousand.
_MAX_TAG = 4096  # Bytes of one of these that are read; a palette of 256 colours has 1536.


def _read_tiff_header(file: IO[bytes], limits: ImageLimits) -> Header:
    """Read the header of a TIFF.

    Pillow opens a copy without the offsets of the strips, because it makes an object of each strip:
    88 ms for 65,535 of them.
    """
    directory = ifd.read_directory(file, dict.fromkeys(_TIFF_TAGS, _MAX_TAG))
    for tag in (_STRIPS, _TILES):
        if directory.sizes.get(tag, 0) > 4 * _MAX_STRIPS:
            raise Corrupt
        if tag in directory.tags:
            directory.tags[tag] = (4, bytes(4))
    try:
        image = TiffImagePlugin.TiffImageFile(ifd.write_directory(directory))
    except SyntaxError as error:
        raise (_rare_tiff() if _RARE in str(error) else Corrupt()) from error
    _check_size(image.size, "TIFF", limits)
    orientation, had_gps = _read_tiff_metadata(file)
    # Pillow has applied the orientation to the size.
    return Header("tiff", *image.size, orientation, had_gps)


_RARE = "unknown pixel mode"


def _rare_tiff() -> Unsupported:
    return Unsupported(
        "This kind of TIFF has channels that we cannot read. Export it as 8 or 16 bit RGB."
    )


def _is_rare_tiff(file: IO[bytes], head: bytes) -> bool:
    """Say whether a file that Pillow does not open is a whole TIFF of channels it does not know."""
    if head[:4] not in TiffImagePlugin.PREFIXES:
        return False
    file.seek(0)
    try:
        TiffImagePlugin.TiffImageFile(file)
    except SyntaxError as error:
        return _RARE in str(error)
    return False
