"""PNG."""

import io
import os
import struct
import zlib
from collections.abc import Iterator
from typing import IO

from PIL import Image, PngImagePlugin

from webapp.engine.errors import Corrupt, Truncated
from webapp.engine.exif import _PNG_EXIF, _PNG_XMP, MAX_METADATA, _read_hex, _read_metadata
from webapp.engine.header import Header, _header
from webapp.engine.limits import ImageLimits, _check_size

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_PNG_CHUNKS = 10_000  # The largest file, in the 8 kB that libpng puts into each, has 6,000.
_MAX_EARLY_CHUNKS = 2_000  # Before the pixels: metadata, of which a file has some dozens.
# Chunks that say of what kind the picture is, and how many bytes of each are read. Not the profile.
_PNG_HEADER = (b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"acTL", b"fcTL")
_MAX_HEADER_CHUNK = 4096  # A palette has up to 768.
_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")


def _read_png_header(file: IO[bytes], limits: ImageLimits) -> Header:
    image, found = _open_png_header(file)
    _check_size(image.size, "PNG", limits)
    exif = found.get(b"eXIf") or _read_hex(found.get(_PNG_EXIF, b"").decode("latin-1"))
    return _header("png", image.size, *_read_metadata(exif, found.get(_PNG_XMP, b"")))


def _open_png_header(
    file: IO[bytes], at: int = 0
) -> tuple[PngImagePlugin.PngImageFile, dict[bytes, bytes]]:
    """Open a copy of the chunks that describe the pixels.

    Also returns EXIF and XMP, by the names of their chunks or texts. The copy has no text and no
    profile, of each of which Pillow inflates up to a megabyte: 8.7 s for 4000 profiles.
    """
    kept, metadata, has_pixels = [PNG_SIGNATURE], {}, False
    end = file.seek(0, os.SEEK_END)
    for count, (name, start, length) in enumerate(_checked_png_chunks(file, at)):
        if has_pixels:  # What follows is counted only.
            continue
        if name in (b"IDAT", b"fdAT", b"IEND"):
            kept.append(struct.pack(">I", length - 12) + name)
            has_pixels = True
            continue
        if count == _MAX_EARLY_CHUNKS or not name.isalpha():
            raise Corrupt
        if name in _PNG_HEADER and length > _MAX_HEADER_CHUNK:
            raise Corrupt
        if start + length > end:
            raise Truncated
        if name in _PNG_HEADER:
            file.seek(start)
            kept.append(file.read(length))
        elif name == b"eXIf":
            metadata[name] = name, start, length
        elif name in _PNG_TEXTS:
            key = file.read(len(_PNG_EXIF) + 1).partition(b"\0")[0]
            if key in (_PNG_XMP, _PNG_EXIF):
                metadata[key] = name, start, length  # Of several, the last counts.
    try:
        image = PngImagePlugin.PngImageFile(io.BytesIO(b"".join(kept)))
    except OSError as error:  # Pillow reads on only where it does not know the kind of pixels.
        raise Corrupt from error
    return image, {key: _read_png_metadata(file, *place) for key, place in metadata.items()}


def _read_png_metadata(file: IO[bytes], name: bytes, start: int, length: int) -> bytes:
    """Read the EXIF or the text of a chunk; empty if it is broken."""
    file.seek(start + 8)
    content = file.read(min(length - 12, MAX_METADATA + 1))
    if name == b"eXIf":
        return content
    text = content.partition(b"\0")[2]
    if name == b"iTXt":
        is_compressed = text[:1] == b"\1"
        text = text[2:].split(b"\0", 2)[-1]
    else:
        is_compressed, text = name == b"zTXt", text[1:] if name == b"zTXt" else text
    try:
        return zlib.decompressobj().decompress(text, MAX_METADATA) if is_compressed else text
    except zlib.error:
        return b""


def _checked_png_chunks(file: IO[bytes], at: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Find the chunks of a PNG, and check how many there are.

    Raises Corrupt at one too many, or at a second colour profile. Pillow takes 19 s for millions of
    chunks after the pixels, and 9 s for 4000 profiles.
    """
    profiles = 0
    for count, (name, start, length) in enumerate(png_chunks(file, at), 1):
        profiles += name == b"iCCP"
        if count > _MAX_PNG_CHUNKS or profiles > 1:
            raise Corrupt
        yield name, start, length


def has_late_metadata(image: Image.Image, source: IO[bytes]) -> bool:
    """Say whether a PNG tells more of itself behind its pixels, or is not in order.

    Of any other image, opening has read all that it tells.
    """
    if image.format != "PNG":
        return False
    names = [name for name, _, _ in png_chunks(source)]
    return b"IDAT" not in names or set(names[names.index(b"IDAT") :]) != {b"IDAT", b"IEND"}


def png_chunks(file: IO[bytes], at: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Find the chunks of a PNG: name, start, and length with all around it.

    `at` is where the PNG starts in the file.
    """
    start = at + len(PNG_SIGNATURE)
    file.seek(start)
    while len(head := file.read(8)) == 8:
        name, length = head[4:], int.from_bytes(head[:4], "big") + 12
        yield name, start, length
        if name == b"IEND":
            break
        start += length
        file.seek(start)


_PNG_PICTURE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
_PNG_END = b"\0\0\0\0IEND\xae\x42\x60\x82"  # It may be missing.


def _read_png(file: IO[bytes]) -> bytes:
    bare = bytearray(PNG_SIGNATURE)
    for name, start, length in png_chunks(file):
        if name in _PNG_PICTURE:
            file.seek(start)
            bare += file.read(length)
    return bytes(bare) + _PNG_END
