"""Open a picture of a PNG with Pillow."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import IO

from PIL import Image, ImageChops, PngImagePlugin

from webapp.engine.errors import Truncated
from webapp.engine.formats.png.chunks import inflate, read_pixels
from webapp.engine.formats.png.parts import GREY, RGB, Parts
from webapp.engine.limits import divide

_CHECKSUM = 4  # Bytes at the end of compressed data.
_COMPARED = 1 << 16  # Pixels at the end of the last line that show whether it was read.
_UNREAD = 1  # The colour of the last line before it is read: one that is rarely all of it.


class Reader(PngImagePlugin.PngImageFile):
    """Open a picture of a PNG with Pillow, and correct what Pillow gets wrong.

    PngImagePlugin.py refuses a file for a wrong checksum or content of any chunk before the pixels,
    and for some after them. For browsers, only critical chunks count: Pillow sees no others.
    """

    def __init__(self, file: IO[bytes], parts: Parts) -> None:
        super().__init__(io.BytesIO(parts.join()))
        self._parts, self._file = parts, file
        self._pieces = self._read_pieces()
        if parts.color_type in (GREY, RGB) and b"tRNS" in parts.chunks:
            self.info["transparency"] = _transparent_color(parts)

    def load_read(self, _: int) -> bytes:
        return next(self._pieces, b"")

    def load_prepare(self) -> None:
        super().load_prepare()
        self.im.paste(_UNREAD, self._last_line())

    def load_end(self) -> None:
        self._check_end()
        if self.mode == "RGB" and self._parts.depth == 16 and "transparency" in self.info:
            del self.info["transparency"]
            self.putalpha(self._match_transparent())

    def _read_pieces(self) -> Iterator[bytes]:
        """Read the compressed pixels in pieces; their checksum begins a new one.

        Browsers ignore a wrong checksum. ZipDecode.c asks for its first byte if it still has lines
        to write, and for the rest only if lines are missing.
        """
        held = b""
        for piece in read_pixels(self._file, self._parts.pixels) if self._parts.pixels else ():
            held += piece
            if len(held) > _CHECKSUM:
                yield held[:-_CHECKSUM]
                held = held[-_CHECKSUM:]
        yield held[:1]
        yield held[1:]

    def _last_line(self) -> tuple[int, int, int, int]:
        """Return the place of the pixels that are compared."""
        return max(self.width - _COMPARED, 0), self.height - 1, self.width, self.height

    def _check_end(self) -> None:
        """Raise Truncated if the compressed pixels are sound but too few.

        ZipDecode.c takes their end for that of the picture, and leaves the last lines as they were.
        Interlaced pixels are always counted: their last line may be any.
        """
        last = self.crop(self._last_line())
        unread = Image.new(self.mode, last.size)
        unread.paste(_UNREAD, (0, 0, *last.size))
        if "interlace" not in self.info and last.tobytes() != unread.tobytes():
            return
        inflater, missing = zlib.decompressobj(), self._parts.raw_bytes
        for piece in self._read_pieces():
            for inflated in inflate(inflater, piece):
                missing -= len(inflated)
                if missing <= 0:
                    return
        raise Truncated

    def _match_transparent(self) -> Image.Image:
        """Return the opacity of RGB of 16 bits, of which Pillow keeps the high bytes.

        The low bytes are the high ones if the pixels are read as little-endian.
        """
        chunks = dict(self._parts.chunks)
        content = chunks.pop(b"tRNS")
        low = Reader(self._file, replace(self._parts, chunks=chunks))
        low.tile = [low.tile[0]._replace(args="RGB;16L")]
        opaque = Image.new("L", self.size)
        for box in divide(self.size):
            opaque.paste(_find_opaque(self.crop(box), low.crop(box), content), box)
        return opaque


def _find_opaque(high: Image.Image, low: Image.Image, transparent: bytes) -> Image.Image:
    """Return the opacity of RGB whose high and low bytes are two pictures."""
    opaque = Image.new("L", high.size)
    bands = zip(high.split(), low.split(), strict=True)
    for byte, band in zip(transparent, (band for pair in bands for band in pair), strict=False):
        opaque = ImageChops.lighter(opaque, band.point([255 * (n != byte) for n in range(256)]))
    return opaque


def _transparent_color(parts: Parts) -> int | tuple[int, ...]:
    """Return the transparent shade or colour, in the scale of Pillow's pixels.

    PngImagePlugin.py scales grey of 2 and 4 bits and RGB of 16 bits to 8 bits, but not what tRNS
    has. Bits above the depth do not count.
    """
    content, depth = parts.chunks[b"tRNS"], parts.depth
    most = (1 << depth) - 1
    if parts.color_type == RGB:
        return tuple((part & most) >> (depth - 8) for part in struct.unpack_from(">3H", content))
    (shade,) = struct.unpack_from(">H", content)
    return int(shade) if depth == 16 else (shade & most) * 255 // most
