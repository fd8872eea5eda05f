"""The metadata of a PNG: EXIF and XMP, before or after the pixels."""

import zlib
from collections.abc import Iterable
from typing import IO

from webapp.engine import exif
from webapp.engine.formats.png.chunks import Chunk, read_content

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_MAX_TEXTS = 1_000  # That are searched. Photo editors write some tens.
_XMP_KEY, _EXIF_KEY = b"XML:com.adobe.xmp", b"Raw profile type exif"  # ImageMagick's EXIF.


def read_metadata(file: IO[bytes], chunks: Iterable[Chunk]) -> tuple[bytes, bytes]:
    """Return EXIF and XMP; of several, the last.

    Nothing else is inflated: Pillow would inflate a megabyte of each text.
    """
    found, texts = {}, 0
    for chunk in chunks:
        if chunk.name == b"eXIf":
            found[chunk.name] = chunk
        elif chunk.name in _TEXTS and texts < _MAX_TEXTS:
            texts += 1
            file.seek(chunk.start)
            key = file.read(len(_EXIF_KEY) + 1).partition(b"\0")[0]
            if key in (_XMP_KEY, _EXIF_KEY):
                found[key] = chunk
    contents = {key: _read(file, chunk) for key, chunk in found.items()}
    content = contents.get(b"eXIf") or _decode_hex(contents.get(_EXIF_KEY, b""))
    return content, contents.get(_XMP_KEY, b"")


def _read(file: IO[bytes], chunk: Chunk) -> bytes:
    """Read the EXIF or the text of a chunk; empty if it is broken."""
    if chunk.length > exif.MAX_METADATA:  # XMP is searched as far as it is read.
        file.seek(chunk.start)
        content = file.read(exif.MAX_METADATA + 1)
    else:
        content = read_content(file, chunk) or b""
    if chunk.name == b"eXIf":
        return content
    text = content.partition(b"\0")[2]
    is_compressed = chunk.name == b"zTXt"
    if chunk.name == b"iTXt":
        is_compressed = text[:1] == b"\1"
        text = text[2:].split(b"\0", 2)[-1]
    elif is_compressed:
        text = text[1:]  # After its method.
    try:
        return zlib.decompressobj().decompress(text, exif.MAX_METADATA) if is_compressed else text
    except zlib.error:
        return b""


def _decode_hex(text: bytes) -> bytes:
    """Return the EXIF in ImageMagick's text: three lines, then digits."""
    try:
        return bytes.fromhex(b"".join(text.split(b"\n", 3)[3:]).decode("latin-1"))
    except ValueError:
        return b""
