"""Remove metadata, such as the GPS position, from images and from files."""

from typing import IO

from PIL import Image

from webapp.engine.formats import gif, jpeg, png, webp

_STRIPPERS = {"jpeg": jpeg.strip, "png": png.strip, "webp": webp.strip, "gif": gif.strip}
FORMATS = tuple(_STRIPPERS)


def drop_metadata(image: Image.Image) -> None:
    """Remove the metadata of a decoded image: encoders write what they find there."""
    image.info = {}  # EXIF with the GPS position, XMP, profile, comment.


def strip_metadata(source: IO[bytes], format: str) -> bytes:
    """Return an image file without its metadata.

    Nothing is decoded: the parts that make up the picture are copied; metadata, colour profiles and
    data behind the picture are left out. A decoder must have read the file to its end before.
    `format` is one of FORMATS. Of a JPEG or PNG that is the first picture, of a WebP or GIF all
    frames.
    """
    source.seek(0)
    return _STRIPPERS[format](source)
