"""ICO: a table of pictures, each a PNG or a BMP."""

import io
import math
import struct
from typing import IO

from PIL import BmpImagePlugin

from webapp.engine.errors import Corrupt, Truncated
from webapp.engine.formats import bmp, png
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size
from webapp.recipes.outputs import Size

SIGNATURE = b"\0\0\1\0"
_MAX_PICTURES = 256  # An icon of every size and depth that Windows knows has some 30.


def matches(head: bytes) -> bool:
    # An AVIF or HEIC whose first box has 256 bytes begins like an icon.
    return head.startswith(SIGNATURE) and head[4:8] != b"ftyp"


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    return Header.from_stored_size("ico", check(file, limits))


def check(file: IO[bytes], limits: ImageLimits) -> Size:
    """Return the size of the picture that Pillow uses. Raises ImageError.

    It may be a PNG or BMP of any size, whatever the table says, and Pillow decodes a BMP when it
    opens the icon: 1.6 GB for a file of 1 MB.
    """
    start, is_png = _find_picture(file)
    if is_png:
        size = png.read_size(file, start)
    else:
        file.seek(start)
        image = BmpImagePlugin.DibImageFile(io.BytesIO(file.read(bmp.MAX_HEADER)))
        bmp.check_run_length(image)
        size = image.width, image.height // 2  # Half of the lines are its mask.
    check_size(size, "ICO", limits)
    return size


def open_png(file: IO[bytes]) -> png.Reader | None:
    """Open the picture of an icon if it is a PNG; decode no pixels.

    Its metadata do not count. Raises Corrupt or Truncated.
    """
    start, is_png = _find_picture(file)
    if not is_png:
        return None
    image = png.open_image(file, start)
    image.format = "ICO"
    image.info |= {"exif": b"", "xmp": b""}
    return image


def _find_picture(file: IO[bytes]) -> tuple[int, bool]:
    """Return the start of the picture, and whether it is a PNG.

    Pillow uses the largest picture; of several, the first with the fewest colours.
    """
    file.seek(4)
    (count,) = struct.unpack("<H", file.read(2))
    if count > _MAX_PICTURES:
        raise Corrupt
    table = file.read(16 * count)
    if len(table) < 16 * count:
        raise Truncated
    entries = list(struct.iter_unpack("<BBBxHHII", table))

    def rank(entry: tuple[int, ...]) -> tuple[int, int]:
        width, height, colors, _, bits, *_ = entry
        depth = bits or (colors and math.ceil(math.log2(colors))) or 256
        return (width or 256) * (height or 256), -depth

    start: int = max(entries, key=rank)[-1]
    file.seek(start)
    return start, png.matches(file.read(len(png.SIGNATURE)))
