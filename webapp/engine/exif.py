"""Read orientation, GPS position and rights from EXIF, and the position from XMP.

Broken metadata count as none.
"""

import io
import re
from typing import IO

from PIL import ExifTags, Image, TiffImagePlugin

from webapp.engine import ifd
from webapp.recipes.outputs import Size

MAX_METADATA = 1 << 20  # Bytes of EXIF or XMP that are read; JPEG allows 64 kB.

TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_XMP_TAG = 700
_METADATA_TAGS = {ExifTags.Base.Orientation: 8, ExifTags.IFD.GPSInfo: 8, _XMP_TAG: MAX_METADATA}
_RIGHTS_TAGS = (ExifTags.Base.Artist, ExifTags.Base.Copyright)
_EXIF_PREFIX = re.compile(rb"\A(?:Exif\0\0){1,2}")


def read_exif(image: Image.Image) -> tuple[int, bool]:
    """Return the orientation of an image and whether it has a GPS position.

    XMP can have a position too. Its orientation does not count: browsers and other decoders ignore
    it, whereas Pillow's `Image.getexif` takes it if EXIF has none.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.fp:
        return parse_tiff(image.fp)
    return parse(image.info.get("exif") or b"", image.info.get("xmp") or b"")


def parse(exif: bytes, xmp: bytes) -> tuple[int, bool]:
    """Return the orientation in EXIF, and whether it or XMP has a GPS position."""
    if len(exif) > MAX_METADATA:
        return 1, False
    return parse_tiff(io.BytesIO(_EXIF_PREFIX.sub(b"", exif)), xmp)


def parse_tiff(file: IO[bytes], xmp: bytes = b"") -> tuple[int, bool]:
    """Return the orientation in a TIFF, and whether it or XMP has a position."""
    try:
        directory = ifd.read_directory(file, _METADATA_TAGS)
        orientation = directory.number(ExifTags.Base.Orientation)
        xmp = xmp or directory.tags.get(_XMP_TAG, (0, b""))[1]
        had_gps = _has_latitude(file, directory)
    except Exception:
        orientation, had_gps = None, False
    had_gps = had_gps or xmp.find(b"GPSLatitude", 0, MAX_METADATA) >= 0
    return (int(orientation) if orientation in TRANSPOSE else 1), had_gps


def read_rights(image: Image.Image) -> bytes:
    """Return EXIF with only author and copyright; empty without them."""
    try:
        exif = Image.Image.getexif(image)
        rights = Image.Exif()
        for tag in _RIGHTS_TAGS:
            if tag in exif:
                # Pillow always decodes as Latin-1 but encodes as ASCII: pass the original bytes.
                rights[tag] = exif[tag].encode("latin-1")
        return rights.tobytes() if rights else b""
    except Exception:
        return b""


def oriented_size(image: Image.Image, orientation: int) -> Size:
    """Return the size of an open image after its orientation is applied.

    Pillow has oriented a TIFF already.
    """
    if orientation >= 5 and image.format != "TIFF":
        return image.height, image.width
    return image.size


def _has_latitude(file: IO[bytes], directory: ifd.Directory) -> bool:
    """Return True if the GPS directory has a position.

    Cameras without a fix write a directory with nothing but its version.
    """
    start = directory.number(ExifTags.IFD.GPSInfo)
    if not isinstance(start, int):
        return False
    latitude = ExifTags.GPS.GPSLatitude
    return latitude in ifd.read_directory(file, {latitude: 1}, start).tags
