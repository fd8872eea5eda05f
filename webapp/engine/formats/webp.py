"""WebP: RFC 9649."""

import os
from collections.abc import Iterator
from typing import IO

from webapp.engine.errors import Corrupt, Truncated
from webapp.engine.exif import MAX_METADATA, _read_metadata
from webapp.engine.header import Header, _header
from webapp.engine.limits import ImageLimits, _check_size
from webapp.recipes.outputs import Size

_MAX_CHUNKS = 10_000  # A still picture has ten; an animation's EXIF may come after all frames.


def _is_webp(head: bytes) -> bool:
    return head.startswith(b"RIFF") and head[8:12] == b"WEBP"


def _read_webp_header(file: IO[bytes], limits: ImageLimits) -> Header:
    size = _check_webp(file, limits)
    found = {b"EXIF": b"", b"XMP ": b""}
    for name, start, length in webp_chunks(file):
        if found.get(name) == b"":
            file.seek(start + 8)
            found[name] = file.read(min(length - 8, MAX_METADATA + 1))
    return _header("webp", size, *_read_metadata(found[b"EXIF"], found[b"XMP "]))


def _check_webp(file: IO[bytes], limits: ImageLimits) -> Size:
    """Refuse a WebP that is too short or too large; give its size as stored."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(30)
    if int.from_bytes(head[4:8], "little") > length - 8:
        raise Truncated
    size = _read_webp_size(head[12:16], head[20:])
    _check_size(size, "WEBP", limits)
    return size


def _read_webp_size(kind: bytes, content: bytes) -> Size:
    """Read the size from the first chunk: of the canvas, or of a lossy or lossless frame."""
    if kind == b"VP8X":
        return int.from_bytes(content[4:7], "little") + 1, int.from_bytes(
            content[7:10], "little"
        ) + 1
    if kind == b"VP8 ":
        width, height = content[6:8], content[8:10]
        return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF
    if kind == b"VP8L":
        bits = int.from_bytes(content[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise Corrupt


def webp_chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Find the chunks of a WebP: each one's name, its start, and its length with all around it."""
    file.seek(4)
    start, end = 12, int.from_bytes(file.read(4), "little") + 8
    for _ in range(_MAX_CHUNKS):
        file.seek(start)
        head = file.read(8)
        if start >= end or len(head) < 8:
            break
        content = int.from_bytes(head[4:], "little")
        length = 8 + content + content % 2
        yield head[:4], start, length
        start += length


_WEBP_PICTURE = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF")
_WEBP_METADATA = 0x20 | 0x08 | 0x04  # Flags of VP8X: there is a profile, EXIF, XMP.


def _read_webp(file: IO[bytes]) -> bytes:
    bare = bytearray(b"WEBP")
    for name, start, length in webp_chunks(file):
        if name in _WEBP_PICTURE:
            file.seek(start)
            chunk = bytearray(file.read(length))
            if name == b"VP8X":
                chunk[8] &= ~_WEBP_METADATA
            bare += chunk
    return b"RIFF" + len(bare).to_bytes(4, "little") + bare
