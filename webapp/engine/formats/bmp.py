"""BMP."""

import io
from typing import IO

from PIL import BmpImagePlugin, ImageFile

from webapp.engine.errors import TooManyPixels
from webapp.engine.header import Header, _header
from webapp.engine.limits import ImageLimits, _check_size

_MAX_MEGAPIXELS_OF_RUNS = 5


def _check_runs(image: ImageFile.ImageFile) -> None:
    """Refuse a large BMP of runs: Pillow expands those in Python, a megapixel in 0.2 to 0.6 s."""
    is_run = any(tile.codec_name == "bmp_rle" for tile in image.tile)
    if is_run and image.width * image.height > _MAX_MEGAPIXELS_OF_RUNS * 1e6:
        raise TooManyPixels(image.size, _MAX_MEGAPIXELS_OF_RUNS)


_MAX_BMP_HEADER = 14 + 124 + 4 * 65_536  # Bytes: the longest, with the largest palette.


def _read_bmp_header(file: IO[bytes], limits: ImageLimits) -> Header:
    file.seek(0)
    image = BmpImagePlugin.BmpImageFile(io.BytesIO(file.read(_MAX_BMP_HEADER)))
    _check_size(image.size, "BMP", limits)
    _check_runs(image)
    return _header("bmp", image.size)
