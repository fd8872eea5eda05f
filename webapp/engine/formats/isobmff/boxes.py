"""Boxes in boxes (ISO/IEC 14496-12), and what is read of them at most."""

import os
import struct
from collections.abc import Iterator
from typing import IO

FAULTS = (ValueError, LookupError, StopIteration, EOFError, struct.error)  # Of broken files.
# Boxes, entries and references, in all. A photo of 48 megapixels in 200 tiles has some 1000, and
# one of 1000 items, the most that libheif accepts, 5000. Each takes 1 to 2 µs.
_MAX_PARTS = 10_000
_FILE_BOX_PARTS = 5  # A box of the file counts as this many: it takes a read.
_MAX_BOX_BYTES = 4 << 20  # Of `meta` or `moov`: some kilobytes are usual.


class BoxReader:
    """Read boxes; raise ValueError if there are more than an image needs.

    A JPEG 2000 (ISO/IEC 15444-1) has boxes of the same form.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._parts = _MAX_PARTS
        self.length = file.seek(0, os.SEEK_END)

    def spend(self, parts: int) -> None:
        self._parts -= parts
        if self._parts < 0:
            raise ValueError("more parts than an image needs")

    def read(self, start: int, length: int) -> bytes:
        self._file.seek(min(start, self.length))
        return self._file.read(length)

    def file_boxes(self) -> Iterator[tuple[bytes, int, int]]:
        """Find the boxes of the file: kind, and content's start and length."""
        at = 0
        while len(head := self.read(at, 16)) >= 8:
            self.spend(_FILE_BOX_PARTS)
            length, start = _read_length(head, 0, self.length - at)
            yield head[4:8], at + start, length - start
            at += length

    def read_box(self, start: int, length: int) -> bytes:
        if length > _MAX_BOX_BYTES:
            raise ValueError("a box of more bytes than an image needs")
        content = self.read(start, length)
        if len(content) < length:
            raise EOFError
        return content

    def boxes(self, content: bytes, at: int = 0) -> Iterator[tuple[bytes, bytes]]:
        """Find the boxes in a box: kind and content.

        `at` is the byte of the content where the first one begins.
        """
        return ((kind, content[start:end]) for kind, start, end in self.spans(content, at))

    def spans(self, content: bytes, at: int = 0) -> Iterator[tuple[bytes, int, int]]:
        """Find the boxes in a box: kind, and where the content starts and ends."""
        while at < len(content):
            self.spend(1)
            length, start = _read_length(content, at, len(content) - at)
            if at + length > len(content):
                raise ValueError("a box that is larger than the one around it")
            yield content[at + 4 : at + 8], at + start, at + length
            at += length

    def child(self, content: bytes, wanted: bytes) -> bytes:
        """Return the content of the first box of a kind, or nothing."""
        return next((body for kind, body in self.boxes(content) if kind == wanted), b"")


def _read_length(data: bytes, at: int, rest: int) -> tuple[int, int]:
    """Return the length of a box and the length of its head."""
    (length,) = struct.unpack_from(">I", data, at)
    start = 8
    if length == 1:
        (length,) = struct.unpack_from(">Q", data, at + 8)
        start = 16
    elif length == 0:  # The rest of what is around it.
        length = rest
    if length < start:
        raise ValueError("a box that is smaller than its head")
    return length, start


class Fields:
    """Read one big-endian number after another from a box."""

    def __init__(self, reader: BoxReader, data: bytes, at: int) -> None:
        self._reader, self._data, self._at = reader, data, at

    def take(self, size: int) -> int:
        self._reader.spend(1)
        end = self._at + size
        if end > len(self._data):
            raise ValueError("a box that ends inside a number")
        value = int.from_bytes(self._data[self._at : end], "big")
        self._at = end
        return value


def make_box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content
