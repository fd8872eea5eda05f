"""The chunks of a PNG that make up its picture."""

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

from webapp.engine.errors import Corrupt, Truncated, Unsupported
from webapp.engine.formats.png import colors
from webapp.engine.formats.png.chunks import SIGNATURE, Chunk, make_chunk, read_content

GREY, RGB, PALETTE = 0, 2, 3  # Colour types.
_CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, 4: 2, 6: 4}
_CRITICAL = (b"IHDR", b"PLTE")  # A file in which one is faulty is refused.
_MAX_CRITICAL = 4096  # Bytes. A palette has up to 768.
# The other chunks that count, and the least content of each.
_ANCILLARY = {b"tRNS": 1, b"acTL": 8, **colors.CHUNKS}
_MAX_ANCILLARY = 2 * colors.MAX_PROFILE  # Bytes of all that are read, also of faulty ones.
_READ_COST = 1 << 13  # Bytes that a chunk counts for beyond its own: at most 256 are read.
_MAX_TRANSPARENCY = 256  # Bytes, one for each colour of a palette.
_TRANSPARENCY_BYTES = {GREY: 2, RGB: 6, PALETTE: 1}  # Others have an alpha channel.
# The passes of interlaced pixels: the first column and line of each, and the steps between them.
_PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


@dataclass(frozen=True)
class Parts:
    """The parts of a PNG that make up a picture."""

    chunks: dict[bytes, bytes]  # Contents of those before the pixels, by name.
    pixels: Chunk | None  # The first of the pixels; None if there are none.

    @property
    def size(self) -> tuple[int, int]:
        width, height = struct.unpack_from(">II", self.chunks[b"IHDR"])
        return width, height

    @property
    def depth(self) -> int:
        return self.chunks[b"IHDR"][8]

    @property
    def color_type(self) -> int:
        return self.chunks[b"IHDR"][9]

    @property
    def raw_bytes(self) -> int:
        """The number of bytes that the pixels have when they are inflated."""
        width, height = self.size
        bits = self.depth * _CHANNELS[self.color_type]
        passes = _PASSES if self.chunks[b"IHDR"][12] else ((0, 0, 1, 1),)
        sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in passes]
        return sum(lines * (1 + (columns * bits + 7) // 8) for columns, lines in sizes if columns)

    def join(self, pixels: bytes = b"") -> bytes:
        """Write a PNG of nothing but a still picture."""
        has_palette = self.color_type == PALETTE
        names = (b"IHDR", b"PLTE", b"tRNS") if has_palette else (b"IHDR", b"tRNS")
        head = [make_chunk(name, self.chunks[name]) for name in names if name in self.chunks]
        return b"".join([SIGNATURE, *head, make_chunk(b"IDAT", pixels), make_chunk(b"IEND", b"")])


def read_parts(file: IO[bytes], chunks: Iterable[Chunk]) -> Parts:
    """Read the chunks before the pixels.

    Of several of a name, the first sound one counts, as in browsers. Raises Corrupt, Truncated, or
    Unsupported for what Apple's tools make of PNGs.
    """
    contents: dict[bytes, bytes] = {}
    pixels, end, unread = None, file.seek(0, os.SEEK_END), _MAX_ANCILLARY
    for chunk in chunks:
        if chunk.name in (b"IDAT", b"IEND"):
            pixels = chunk if chunk.name == b"IDAT" else None
            break
        if chunk.name == b"CgBI":
            raise Unsupported(
                "This PNG was changed for an iPhone app, and we cannot read it."
                " Export it as a plain PNG."
            )
        if not chunk.name.isalpha():
            raise Corrupt
        if chunk.end > end:
            raise Truncated
        if chunk.name in contents:
            continue
        if chunk.name in _CRITICAL:
            content = read_content(file, chunk) if chunk.length <= _MAX_CRITICAL else None
            if content is None:
                raise Corrupt
            contents[chunk.name] = content
        elif _ANCILLARY.get(chunk.name, chunk.length + 1) <= chunk.length <= unread:
            unread -= chunk.length + _READ_COST
            content = read_content(file, chunk)
            if content and (chunk.name != b"tRNS" or _fits(content, contents)):
                contents[chunk.name] = content
    if len(contents.get(b"IHDR", b"")) < 13:
        raise Corrupt
    return Parts(contents, pixels)


def _fits(transparency: bytes, chunks: dict[bytes, bytes]) -> bool:
    """Return True if a tRNS has the length that this colour type needs."""
    color_type = chunks.get(b"IHDR", bytes(13))[9]
    least = _TRANSPARENCY_BYTES.get(color_type, _MAX_TRANSPARENCY + 1)
    has_colors = color_type != PALETTE or b"PLTE" in chunks
    return has_colors and least <= len(transparency) <= _MAX_TRANSPARENCY
