"""WebP: RIFF chunks (RFC 9649)."""

import io
import os
from collections.abc import Iterator
from typing import IO

from webapp.engine import exif
from webapp.engine.errors import Corrupt, Truncated
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size
from webapp.recipes.outputs import Size

_MAX_CHUNKS = 10_000  # A still picture has ten; an animation's EXIF may come after all frames.
_PICTURE_CHUNKS = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF")
_METADATA_FLAGS = 0x20 | 0x08 | 0x04  # Of VP8X: there is a profile, EXIF, XMP.
_ALPHA_FLAG = 0x10  # Of VP8X, too.
_DISPOSE_FLAG = 0x01  # Of ANMF: the frame is cleared before the next one.


def matches(head: bytes) -> bool:
    return head.startswith(b"RIFF") and head[8:12] == b"WEBP"


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    size = check(file, limits)
    found = {b"EXIF": b"", b"XMP ": b""}
    for name, start, length in _find_chunks(file):
        if found.get(name) == b"":
            file.seek(start + 8)
            found[name] = file.read(min(length - 8, exif.MAX_METADATA + 1))
    return Header.from_stored_size("webp", size, *exif.parse(found[b"EXIF"], found[b"XMP "]))


def check(file: IO[bytes], limits: ImageLimits) -> Size:
    """Return the size as stored.

    Raises Truncated if the file is shorter than it says, or TooManyPixels.
    """
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(30)
    if int.from_bytes(head[4:8], "little") > length - 8:
        raise Truncated
    size = _read_size(head[12:16], head[20:])
    check_size(size, "WEBP", limits)
    return size


def strip(file: IO[bytes]) -> bytes:
    """Return the file without metadata and profile."""
    stripped = bytearray(b"WEBP")
    for name, start, length in _find_chunks(file):
        if name in _PICTURE_CHUNKS:
            file.seek(start)
            chunk = bytearray(file.read(length))
            if name == b"VP8X":
                chunk[8] &= ~_METADATA_FLAGS
            stripped += chunk
    content = b"RIFF" + len(stripped).to_bytes(4, "little") + stripped
    return add_alpha_flag(io.BytesIO(content)) or content


def add_alpha_flag(file: IO[bytes]) -> bytes | None:
    """Return an animation with the flag for alpha; None if it lacks none.

    WebPMuxAssemble of libwebp sets it only if a frame has alpha, not if opaque frames leave a part
    of the canvas clear. Pillow shows that part black; browsers do not.
    """
    if not _lacks_alpha_flag(file):
        return None
    file.seek(0)
    head = bytearray(file.read(21))
    head[20] |= _ALPHA_FLAG
    return bytes(head) + file.read()


def _lacks_alpha_flag(file: IO[bytes]) -> bool:
    """Return True if frames may leave a part clear, against the flag."""
    file.seek(12)
    head = file.read(18)
    if not head.startswith(b"VP8X") or head[8] & _ALPHA_FLAG:
        return False
    whole_canvas, is_covered = bytes(6) + head[12:], False
    for name, start, _ in _find_chunks(file):
        if name == b"ANMF":
            file.seek(start + 8)
            frame = file.read(16).ljust(16, b"\0")
            is_covered |= frame[:12] == whole_canvas
            if not is_covered or frame[15] & _DISPOSE_FLAG:
                return True
    return False


def _read_size(kind: bytes, content: bytes) -> Size:
    """Read the size of the canvas, or of the frame, from the first chunk."""
    if kind == b"VP8X":
        width, height = content[4:7], content[7:10]
        return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1
    if kind == b"VP8 ":
        width, height = content[6:8], content[8:10]
        return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF
    if kind == b"VP8L":
        bits = int.from_bytes(content[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise Corrupt


def _find_chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Find the chunks of a WebP: the name, start and length of each.

    The length includes the chunk's header and padding.
    """
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
