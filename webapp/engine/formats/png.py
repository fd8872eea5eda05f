"""PNG: chunks."""

import io
import os
import struct
import zlib
from collections.abc import Iterator
from typing import IO

from PIL import Image, PngImagePlugin

from webapp.engine import exif
from webapp.engine.errors import Corrupt, Truncated
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 10_000  # The largest file, in the 8 kB that libpng puts into each, has 6,000.
_MAX_EARLY_CHUNKS = 2_000  # Before the pixels: metadata, of which a file has some dozens.
# The chunks that describe the pixels, except for the profile, and the bytes of each that are read.
_HEADER_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"acTL", b"fcTL")
_MAX_HEADER_CHUNK = 4096  # A palette has up to 768.
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_PICTURE_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
_END = b"\0\0\0\0IEND\xae\x42\x60\x82"


def matches(head: bytes) -> bool:
    return head.startswith(SIGNATURE)


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    image, found = open_header(file)
    check_size(image.size, "PNG", limits)
    text = found.get(exif.PNG_EXIF, b"").decode("latin-1")
    content = found.get(b"eXIf") or exif.decode_hex(text)
    metadata = exif.parse(content, found.get(exif.PNG_XMP, b""))
    return Header.from_stored_size("png", image.size, *metadata)


def check(file: IO[bytes], limits: ImageLimits) -> None:
    """Raise Corrupt if there are more chunks than an honest file has."""
    for _ in _find_checked_chunks(file):
        pass


def strip(file: IO[bytes]) -> bytes:
    """Return the first picture without metadata and profile."""
    stripped = bytearray(SIGNATURE)
    for name, start, length in _find_chunks(file):
        if name in _PICTURE_CHUNKS:
            file.seek(start)
            stripped += file.read(length)
    return bytes(stripped) + _END  # The file's own end may be missing.


def open_header(
    file: IO[bytes], at: int = 0
) -> tuple[PngImagePlugin.PngImageFile, dict[bytes, bytes]]:
    """Open a copy of the chunks that describe the pixels.

    Also returns EXIF and XMP, by the names of their chunks or texts. `at` is where the PNG starts
    in the file. The copy has no text and no profile: Pillow would inflate up to a megabyte of each,
    8.7 s for 4000 profiles.
    """
    kept, metadata, has_pixels = [SIGNATURE], {}, False
    end = file.seek(0, os.SEEK_END)
    for count, (name, start, length) in enumerate(_find_checked_chunks(file, at)):
        if has_pixels:  # Count the rest only.
            continue
        if name in (b"IDAT", b"fdAT", b"IEND"):
            kept.append(struct.pack(">I", length - 12) + name)
            has_pixels = True
            continue
        if count == _MAX_EARLY_CHUNKS or not name.isalpha():
            raise Corrupt
        if name in _HEADER_CHUNKS and length > _MAX_HEADER_CHUNK:
            raise Corrupt
        if start + length > end:
            raise Truncated
        if name in _HEADER_CHUNKS:
            file.seek(start)
            kept.append(file.read(length))
        elif name == b"eXIf":
            metadata[name] = name, start, length
        elif name in _TEXT_CHUNKS:
            key = file.read(len(exif.PNG_EXIF) + 1).partition(b"\0")[0]
            if key in (exif.PNG_XMP, exif.PNG_EXIF):
                metadata[key] = name, start, length  # Of several, the last counts.
    try:
        image = PngImagePlugin.PngImageFile(io.BytesIO(b"".join(kept)))
    except OSError as error:  # Pillow reads on only if it does not know the kind of pixels.
        raise Corrupt from error
    return image, {key: _read_metadata(file, *chunk) for key, chunk in metadata.items()}


def has_late_metadata(image: Image.Image, source: IO[bytes]) -> bool:
    """Return True for a PNG with chunks after its pixels, or out of order.

    When it opens any other image, Pillow has read all metadata.
    """
    if image.format != "PNG":
        return False
    names = [name for name, _, _ in _find_chunks(source)]
    return b"IDAT" not in names or set(names[names.index(b"IDAT") :]) != {b"IDAT", b"IEND"}


def _read_metadata(file: IO[bytes], name: bytes, start: int, length: int) -> bytes:
    """Read the EXIF or the text of a chunk; empty if it is broken."""
    file.seek(start + 8)
    content = file.read(min(length - 12, exif.MAX_METADATA + 1))
    if name == b"eXIf":
        return content
    text = content.partition(b"\0")[2]
    if name == b"iTXt":
        is_compressed = text[:1] == b"\1"
        text = text[2:].split(b"\0", 2)[-1]
    else:
        is_compressed, text = name == b"zTXt", text[1:] if name == b"zTXt" else text
    try:
        return zlib.decompressobj().decompress(text, exif.MAX_METADATA) if is_compressed else text
    except zlib.error:
        return b""


def _find_checked_chunks(file: IO[bytes], at: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Find the chunks as _find_chunks does.

    Raises Corrupt at one too many, or at a second colour profile. Pillow takes 19 s for millions of
    chunks after the pixels, and 9 s for 4000 profiles.
    """
    profiles = 0
    for count, (name, start, length) in enumerate(_find_chunks(file, at), 1):
        profiles += name == b"iCCP"
        if count > _MAX_CHUNKS or profiles > 1:
            raise Corrupt
        yield name, start, length


def _find_chunks(file: IO[bytes], at: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Find the chunks of a PNG: the name, start and length of each.

    The length includes the chunk's header and checksum.
    """
    start = at + len(SIGNATURE)
    file.seek(start)
    while len(head := file.read(8)) == 8:
        name, length = head[4:], int.from_bytes(head[:4], "big") + 12
        yield name, start, length
        if name == b"IEND":
            break
        start += length
        file.seek(start)
