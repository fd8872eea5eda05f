"""BMP: the device-independent bitmap of Windows."""

import io
from typing import IO

from PIL import BmpImagePlugin, ImageFile

from webapp.engine.errors import TooManyPixels
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size

SIGNATURE = b"BM"
MAX_HEADER = 14 + 124 + 4 * 65_536  # Bytes: the longest header, with the largest palette.
_MAX_RUN_LENGTH_MEGAPIXELS = 5


def matches(head: bytes) -> bool:
    return head.startswith(SIGNATURE)


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    file.seek(0)
    image = BmpImagePlugin.BmpImageFile(io.BytesIO(file.read(MAX_HEADER)))
    check_size(image.size, "BMP", limits)
    check_run_length(image)
    return Header.from_stored_size("bmp", image.size)


def check_run_length(image: ImageFile.ImageFile) -> None:
    """Raise TooManyPixels for a large run-length encoded BMP.

    Pillow decodes those in Python: a megapixel in 0.2 to 0.6 s.
    """
    is_encoded = any(tile.codec_name == "bmp_rle" for tile in image.tile)
    if is_encoded and image.width * image.height > _MAX_RUN_LENGTH_MEGAPIXELS * 1e6:
        raise TooManyPixels(image.size, _MAX_RUN_LENGTH_MEGAPIXELS)
