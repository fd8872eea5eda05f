"""The chunks of a PNG: each has a length, a name, content and a checksum."""

import os
import struct
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIECE = 1 << 16  # Bytes that are read or inflated at a time.


class Chunk(NamedTuple):
    """The name of a chunk, and where its content is."""

    name: bytes
    start: int
    length: int

    @property
    def end(self) -> int:
        """The end of its checksum, where the next chunk begins."""
        return self.start + self.length + 4


def find_chunks(file: IO[bytes], at: int = 0) -> Iterator[Chunk]:
    """Find the chunks of a PNG that begins at `at`."""
    return find_more_chunks(file, at + len(SIGNATURE))


def find_more_chunks(file: IO[bytes], at: int) -> Iterator[Chunk]:
    """Find a chunk that begins at `at`, and those after it."""
    file.seek(at)
    while len(head := file.read(8)) == 8:
        chunk = Chunk(head[4:], at + 8, int.from_bytes(head[:4], "big"))
        yield chunk
        if chunk.name == b"IEND":
            break
        at = file.seek(chunk.end)


def read_content(file: IO[bytes], chunk: Chunk) -> bytes | None:
    """Return the content of a chunk; None if it is cut or its checksum is wrong."""
    if chunk.end > file.seek(0, os.SEEK_END):  # Reading 4 GB would allocate them first.
        return None
    file.seek(chunk.start)
    content, checksum = file.read(chunk.length), file.read(4)
    return content if checksum == _checksum(chunk.name, content) else None


def read_pixels(file: IO[bytes], first: Chunk) -> Iterator[bytes]:
    """Read the compressed pixels that begin in an IDAT or fdAT, in pieces.

    No other chunk may be between those of IDAT. An fdAT has a number before its pixels.
    """
    skipped = 4 if first.name == b"fdAT" else 0
    for name, start, length in find_more_chunks(file, first.start - 8):
        if name == first.name:
            for at in range(start + skipped, start + length, _PIECE):
                file.seek(at)
                piece = file.read(min(_PIECE, start + length - at))
                if not piece:
                    return
                yield piece
        elif first.name == b"IDAT" or name == b"fcTL":
            return


def inflate(inflater: "zlib._Decompress", piece: bytes) -> Iterator[bytes]:
    """Inflate one more piece, a part at a time. Raises zlib.error."""
    # Without more to read, there may still be the end of a match.
    while inflated := inflater.decompress(piece, _PIECE):
        piece = inflater.unconsumed_tail
        yield inflated


def make_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + _checksum(name, content)


def _checksum(name: bytes, content: bytes) -> bytes:
    return zlib.crc32(content, zlib.crc32(name)).to_bytes(4, "big")
