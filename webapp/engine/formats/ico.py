"""ICO: a table of pictures, each a PNG or a BMP."""

import io
import struct
from typing import IO, Any, cast

from PIL import Image, ImageFile

from webapp.engine.errors import Corrupt, Truncated
from webapp.engine.formats import bmp, png, runs
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size
from webapp.recipes.outputs import Size

SIGNATURE = b"\0\0\1\0"
_MAX_PICTURES = 256  # An icon of every size and depth that Windows knows has some 30.
_OLDEST_BMP_HEADER = 12


class _BmpReader(bmp.Reader):
    """Open a picture of an icon that is a BMP, and hide what its mask hides.

    It has no file header, and its height counts the lines of the mask, which follow the pixels. As
    in Windows and browsers, the mask counts only if no alpha shows any pixel. IcoImagePlugin.py
    ignores it for all pictures of 32 bits, and opens only some bit fields.
    """

    format = "ICO"

    def __init__(self, content: bytes) -> None:
        place, field = (6, "<H") if content[0] == _OLDEST_BMP_HEADER else (8, "<i")
        (lines,) = struct.unpack_from(field, content, place)
        whole = bytearray(bmp.SIGNATURE + bytes(12) + content)
        struct.pack_into(field, whole, 14 + place, int(lines / 2))
        super().__init__(io.BytesIO(whole))

    def _open(self) -> None:
        super()._open()
        tile = self.tile[0]
        raw_mode, *more = cast(tuple[Any, ...], tile.args)
        if raw_mode == "BGRX" and self.info.get("compression") == bmp.UNCOMPRESSED:
            self._mode = "RGBA"  # In a BMP file the fourth byte means nothing.
            self.tile = [tile._replace(args=("BGRA", *more))]
        self._pixels = tile._replace(args=tuple(more))

    def load_end(self) -> None:
        super().load_end()
        if self.mode == "RGBA" and self.getchannel("A").getextrema() != (0, 0):
            return
        picture = self.convert("RGB")
        picture.putalpha(self._read_mask())
        self.im, self._mode, self.palette = picture.im, picture.mode, None

    def _read_mask(self) -> Image.Image:
        """Read what the mask shows; all if it is missing, or comes after runs."""
        if self._pixels.codec_name != "raw":
            return Image.new("1", self.size, 1)
        pixels_line, direction = cast(tuple[int, int], self._pixels.args)
        line = (self.width + 31) // 32 * 4
        file = cast(IO[bytes], self.fp)
        file.seek(self._pixels.offset + pixels_line * self.height)
        mask = file.read(line * self.height).ljust(line * self.height, b"\0")
        return Image.frombytes("1", self.size, mask, "raw", "1;I", line, direction)


def matches(head: bytes) -> bool:
    # An AVIF or HEIC whose first box has 256 bytes begins like an icon.
    return head.startswith(SIGNATURE) and head[4:8] != b"ftyp"


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    return Header.from_stored_size("ico", check(file, limits))


def check(file: IO[bytes], limits: ImageLimits) -> Size:
    """Return the size of the picture that is used. Raises ImageError.

    It may be a PNG or BMP of any size, whatever the table says.
    """
    start, is_png = _find_picture(file)
    if is_png:
        size = png.read_size(file, start)
    else:
        file.seek(start)
        image = _BmpReader(file.read(bmp.MAX_HEADER))
        runs.check(image)
        size = image.size
    check_size(size, "ICO", limits)
    return size


def open_image(file: IO[bytes]) -> ImageFile.ImageFile:
    """Open the picture of an icon; decode no pixels.

    Its metadata do not count. Raises ImageError.
    """
    start, is_png = _find_picture(file)
    if not is_png:
        file.seek(start)
        return _BmpReader(file.read())
    image = png.open_image(file, start)
    image.format = "ICO"
    image.info |= {"exif": b"", "xmp": b""}
    return image


def _find_picture(file: IO[bytes]) -> tuple[int, bool]:
    """Return the start of the picture that is used, and whether it is a PNG.

    As in browsers, it is the largest; of several, the first with the most bits a pixel.
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
        return (width or 256) * (height or 256), bits or ((colors or 256) - 1).bit_length()

    start: int = max(entries, key=rank)[-1]
    file.seek(start)
    return start, png.matches(file.read(len(png.SIGNATURE)))
