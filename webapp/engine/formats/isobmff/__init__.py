"""AVIF and HEIC, read in pure Python.

Both are ISO base media files: boxes in boxes (ISO/IEC 14496-12), of which `meta` describes images
as items with properties (ISO/IEC 23008-12), and `moov` describes sequences as tracks. The web
server reads headers with this module, so that libavif and libheif never parse a file there. It
reads only the boxes that describe the main image, and limits what it reads.

The result is that of Pillow for an AVIF (libavif) and that of pillow-heif for a HEIC (libheif),
even where these two differ. libheif crops (`clap`), rotates and mirrors while it decodes. libavif
leaves that to its caller: Pillow turns rotation and mirroring into an EXIF orientation, and leaves
the crop to us.

A broken file raises ValueError, LookupError, StopIteration or struct.error.
"""

from contextlib import suppress
from typing import IO

from webapp.engine import exif
from webapp.engine.cicp import Cicp
from webapp.engine.formats.isobmff.associations import join_associations
from webapp.engine.formats.isobmff.boxes import FAULTS, BoxReader
from webapp.engine.formats.isobmff.brands import BRANDS, matches
from webapp.engine.formats.isobmff.main_image import read_main_image
from webapp.engine.formats.isobmff.properties import Crop
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size

__all__ = [
    "BRANDS",
    "FAULTS",
    "BoxReader",
    "Crop",
    "check",
    "join_associations",
    "matches",
    "read_header",
    "read_tags",
]


def check(file: IO[bytes], limits: ImageLimits) -> None:
    """Raise Unsupported if none of our decoders reads the main image."""
    with suppress(*FAULTS):  # The decoder decides what it is.
        read_main_image(file)


def read_tags(file: IO[bytes]) -> tuple[Cicp | None, Crop | None]:
    """Read the tag of the main image's colours, and the crop of an AVIF."""
    with suppress(*FAULTS):
        image = read_main_image(file)
        return image.color, image.crop
    return None, None


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    image = read_main_image(file)
    check_size(image.size, image.format.upper(), limits)
    _, had_gps = exif.parse(image.exif, image.xmp)  # Its orientation does not count.
    left, top, right, bottom = image.crop or (0, 0, *image.size)
    size = right - left, bottom - top
    return Header.from_stored_size(image.format, size, image.orientation, had_gps)
