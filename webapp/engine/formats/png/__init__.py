"""PNG: its header, its still picture and its frames."""

import zlib
from collections.abc import Iterator
from itertools import islice
from typing import IO

from webapp.engine import exif
from webapp.engine.errors import Corrupt, Truncated
from webapp.engine.formats.png import colors
from webapp.engine.formats.png.chunks import SIGNATURE, Chunk, find_chunks, inflate, read_pixels
from webapp.engine.formats.png.frames import find_animation
from webapp.engine.formats.png.metadata import read_metadata
from webapp.engine.formats.png.parts import read_parts
from webapp.engine.formats.png.reader import Reader
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size
from webapp.recipes.outputs import Size

__all__ = [
    "SIGNATURE",
    "Reader",
    "find_animation",
    "matches",
    "open_image",
    "read_header",
    "read_size",
    "strip",
]

_SEARCHED = 7_000  # Chunks. libpng puts 8 kB into each: a file of 50 MB has 6,000.


def matches(head: bytes) -> bool:
    return head.startswith(SIGNATURE)


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    chunks = list(_find_searched_chunks(file))
    parts = read_parts(file, chunks)
    if parts.pixels is None and len(chunks) < _SEARCHED:  # Else they may be behind those.
        raise Truncated
    size = Reader(file, parts).size
    check_size(size, "PNG", limits)
    return Header.from_stored_size("png", size, *exif.parse(*read_metadata(file, chunks)))


def read_size(file: IO[bytes], at: int) -> Size:
    """Return the size of a PNG that begins at `at`. Raises Corrupt or Truncated."""
    return Reader(file, read_parts(file, _find_searched_chunks(file, at))).size


def open_image(file: IO[bytes], at: int = 0) -> Reader:
    """Open the still picture of a PNG that begins at `at`; decode no pixels.

    It has EXIF and XMP, and its colours as a profile or a tag. Raises Corrupt or Truncated.
    """
    parts = read_parts(file, find_chunks(file, at))
    if parts.pixels is None:
        raise Truncated
    image = Reader(file, parts)
    content, xmp = read_metadata(file, _find_searched_chunks(file, at))
    tag, profile = colors.read_colors(parts.chunks, is_grey=image.mode[0] in "1LI")
    image.info |= {"exif": content, "xmp": xmp, "cicp": tag, "icc_profile": profile}
    return image


def strip(file: IO[bytes]) -> bytes:
    """Return the first picture without metadata and profile.

    The copy has an end and right checksums. Raises Corrupt or zlib.error if the compressed data are
    not just the pixels: what is behind or among them may be hidden there.
    """
    parts = read_parts(file, find_chunks(file))
    pieces = list(read_pixels(file, parts.pixels)) if parts.pixels else []
    inflater, missing = zlib.decompressobj(), parts.raw_bytes
    for piece in pieces:
        for inflated in inflate(inflater, piece):
            missing -= len(inflated)
            if missing < 0:  # Whatever follows could take minutes.
                raise Corrupt
        if inflater.unused_data:
            raise Corrupt
    if missing or not inflater.eof:
        raise Corrupt
    return parts.join(b"".join(pieces))


def _find_searched_chunks(file: IO[bytes], at: int = 0) -> Iterator[Chunk]:
    """Find the chunks in which the web server looks for the size, and for metadata."""
    return islice(find_chunks(file, at), _SEARCHED)
