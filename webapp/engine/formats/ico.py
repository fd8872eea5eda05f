"""ICO."""

import io
import math
import struct
from typing import IO

from PIL import BmpImagePlugin

from webapp.engine.errors import Corrupt, Truncated
from webapp.engine.formats.bmp import _MAX_BMP_HEADER, _check_runs
from webapp.engine.formats.png import PNG_SIGNATURE, _open_png_header
from webapp.engine.header import Header, _header
from webapp.engine.limits import ImageLimits, _check_size
from webapp.recipes.outputs import Size

_ICO_SIGNATURE = b"\0\0\1\0"
_MAX_ICO_PICTURES = 256  # An icon of every size and depth that Windows knows has some 30.


def _read_ico_header(file: IO[bytes], limits: ImageLimits) -> Header:
    return _header("ico", _check_ico(file, limits))


def _check_ico(file: IO[bytes], limits: ImageLimits) -> Size:
    """Refuse an icon whose picture is too large; give the size of the picture.

    It may be a PNG or BMP of any size, whatever the icon says, and Pillow decodes it while it opens
    the icon: 1.6 GB for a file of 1 MB.
    """
    start, is_png = _find_ico_picture(file)
    if is_png:
        size = _open_png_header(file, start)[0].size
    else:
        file.seek(start)
        image = BmpImagePlugin.DibImageFile(io.BytesIO(file.read(_MAX_BMP_HEADER)))
        _check_runs(image)
        size = image.width, image.height // 2  # Half the lines are its mask.
    _check_size(size, "ICO", limits)
    return size


def _find_ico_picture(file: IO[bytes]) -> tuple[int, bool]:
    """Find the image of an icon that Pillow opens.

    Returns its start, and whether it is a PNG. It is the largest one; of several, the first with
    the fewest colours.
    """
    file.seek(4)
    (count,) = struct.unpack("<H", file.read(2))
    if count > _MAX_ICO_PICTURES:
        raise Corrupt
    entries = list(struct.iter_unpack("<BBBxHHII", file.read(16 * count)))
    if len(entries) < count:
        raise Truncated

    def rank(entry: tuple[int, ...]) -> tuple[int, int]:
        width, height, colors, _, bits, *_ = entry
        depth = bits or (colors and math.ceil(math.log2(colors))) or 256
        return (width or 256) * (height or 256), -depth

    start: int = max(entries, key=rank)[-1]
    file.seek(start)
    return start, file.read(len(PNG_SIGNATURE)) == PNG_SIGNATURE
