"""Read orientation, place and rights from EXIF and XMP."""

import io
import re
from typing import IO

from PIL import ExifTags, Image, TiffImagePlugin

from webapp.engine import ifd
from webapp.recipes.outputs import Size

_XMP_TAG = 700
_PNG_XMP, _PNG_EXIF = b"XML:com.adobe.xmp", b"Raw profile type exif"

TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


MAX_METADATA = 1 << 20  # Bytes of EXIF or XMP that are read; JPEG allows 64 kB.
_METADATA_TAGS = {ExifTags.Base.Orientation: 8, ExifTags.IFD.GPSInfo: 8, _XMP_TAG: MAX_METADATA}
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


def read_exif(image: Image.Image) -> tuple[int, bool]:
    """Read the orientation, and whether there is a place; broken EXIF is as good as none.

    XMP may tell both too.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.fp:
        return _read_tiff_metadata(image.fp)
    exif, told = image.info.get("exif"), image.info.get(_PNG_EXIF.decode(), "")
    xmp = image.info.get("xmp") or image.info.get(_PNG_XMP.decode()) or b""
    return _read_metadata(
        exif if exif is not None else _read_hex(told),
        xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp,
    )


def _read_hex(profile: str) -> bytes:
    """Read EXIF from the text that ImageMagick writes: three lines, then digits."""
    try:
        return bytes.fromhex("".join(profile.split("\n", 3)[3:]))
    except ValueError:
        return b""


def _read_metadata(exif: bytes, xmp: bytes) -> tuple[int, bool]:
    """Read the orientation, and whether there is a place, from EXIF and XMP."""
    if len(exif) > MAX_METADATA:
        return 1, False
    return _read_tiff_metadata(io.BytesIO(_EXIF_PREFIX.sub(b"", exif)), xmp)


_EXIF_PREFIX = re.compile(rb"\A(?:Exif\0\0){1,2}")


def _read_tiff_metadata(file: IO[bytes], xmp: bytes = b"") -> tuple[int, bool]:
    """Read the orientation, and whether there is a place, from a TIFF and XMP."""
    try:
        directory = ifd.read_directory(file, _METADATA_TAGS)
        orientation = directory.number(ExifTags.Base.Orientation)
        xmp = xmp or directory.tags.get(_XMP_TAG, (0, b""))[1]
        had_gps = _has_latitude(file, directory)
    except Exception:
        orientation, had_gps = None, False
    told = _XMP_ORIENTATION.search(xmp, 0, MAX_METADATA)
    if orientation is None and told:
        orientation = int(told[1])
    had_gps = had_gps or xmp.find(b"GPSLatitude", 0, MAX_METADATA) >= 0
    return (int(orientation) if orientation in TRANSPOSE else 1), had_gps


def _has_latitude(file: IO[bytes], directory: ifd.Directory) -> bool:
    """Return whether there is a place.

    Cameras without a fix write a directory that has only its version.
    """
    start = directory.number(ExifTags.IFD.GPSInfo)
    if not isinstance(start, int):
        return False
    latitude = ExifTags.GPS.GPSLatitude
    return latitude in ifd.read_directory(file, {latitude: 1}, start).tags


def _has_orientation(exif: bytes) -> bool:
    try:
        file = io.BytesIO(_EXIF_PREFIX.sub(b"", exif))
        return bool(ifd.read_directory(file, {ExifTags.Base.Orientation: 8}).tags)
    except Exception:
        return False


_RIGHTS = (ExifTags.Base.Artist, ExifTags.Base.Copyright)


def read_rights(image: Image.Image) -> bytes:
    """Give EXIF with nothing but the author and the copyright notice; empty without either."""
    try:
        exif = Image.Image.getexif(image)
        rights = Image.Exif()
        for tag in _RIGHTS:
            if tag in exif:
                # Pillow reads Latin-1, whatever it is, but writes ASCII: it gets the bytes back.
                rights[tag] = exif[tag].encode("latin-1")
        return rights.tobytes() if rights else b""
    except Exception:
        return b""  # Broken EXIF is as good as none.


def seen_size(image: Image.Image, orientation: int) -> Size:
    """Give the size after orientation; of a TIFF, Pillow has turned it already."""
    if orientation >= 5 and image.format != "TIFF":
        return image.height, image.width
    return image.size
