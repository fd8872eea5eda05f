"""PNG: chunks."""

import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from PIL import PngImagePlugin

from webapp.engine import cicp, exif
from webapp.engine.cicp import Cicp
from webapp.engine.errors import Corrupt, Truncated
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 10_000  # The largest file, in the 8 kB that libpng puts into each, has 6,000.
_MAX_EARLY_CHUNKS = 2_000  # Before the pixels: metadata, of which a file has some dozens.
_CRITICAL = (b"IHDR", b"PLTE")  # Before the pixels. A file in which one is faulty is refused.
# Others before the pixels that Pillow or we read, and the least content of each.
_ANCILLARY = {b"tRNS": 1, b"iCCP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32, b"cICP": 4, b"pHYs": 9}
_MAX_HEADER_CHUNK = 4096  # A palette has up to 768.
_MAX_PROFILE = 1 << 20  # Bytes that are inflated.
# Of colours and their brightness, and the bytes of each.
_TAG_CHUNKS = {b"cICP": 4, b"cLLI": 8, b"mDCV": 24}
_TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_GREY, _RGB, _PALETTE = 0, 2, 3  # Kinds of pixels.
_TRANSPARENCY_BYTES = {_GREY: 2, _RGB: 6}


@dataclass(frozen=True)
class _Parts:
    """The parts of a PNG that make up its still picture."""

    chunks: dict[bytes, bytes]  # Contents of those before the pixels, by name.
    pixels: list[tuple[int, int]]  # Start and length of the content of each IDAT.
    has_faults: bool  # Pillow refuses the file, or sees another picture than browsers do.

    @property
    def depth(self) -> int:
        return self.chunks[b"IHDR"][8]

    @property
    def kind(self) -> int:
        return self.chunks[b"IHDR"][9]


def matches(head: bytes) -> bool:
    return head.startswith(SIGNATURE)


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    image, content, xmp = open_header(file)
    check_size(image.size, "PNG", limits)
    return Header.from_stored_size("png", image.size, *exif.parse(content, xmp))


def open_image(file: IO[bytes]) -> PngImagePlugin.PngImageFile:
    """Open the still picture of a PNG, with its EXIF, XMP and profile; decode no pixels.

    PngImagePlugin.py refuses a file for a wrong checksum or content of any chunk before the pixels,
    and for some after them. As browsers do, we drop such chunks unless they are critical: Pillow
    gets a copy without them. Raises Corrupt or Truncated.
    """
    _, content, xmp = open_header(file)
    parts = _read_parts(file)
    file.seek(0)
    image = PngImagePlugin.PngImageFile(
        io.BytesIO(_join(file, parts)) if parts.has_faults else file
    )
    image.info |= {"exif": content, "xmp": xmp}
    image.info.pop("icc_profile", None)
    if profile := _inflate_profile(parts.chunks.get(b"iCCP", b"")):
        image.info["icc_profile"] = profile
    if parts.kind in _TRANSPARENCY_BYTES and b"tRNS" in parts.chunks:
        image.info["transparency"] = _transparent_color(parts)
    return image


def strip(file: IO[bytes]) -> bytes:
    """Return the first picture without metadata and profile.

    The copy has an end and right checksums, which Pillow does not ask of pixels but browsers do.
    """
    return _join(file, _read_parts(file))


def open_header(file: IO[bytes], at: int = 0) -> tuple[PngImagePlugin.PngImageFile, bytes, bytes]:
    """Open a copy of the critical chunks before the pixels.

    Also returns EXIF and XMP, which may follow the pixels. `at` is where the PNG starts in the
    file. The copy has no text and no profile: Pillow would inflate up to a megabyte of each, 8.7 s
    for 4000 profiles. Raises Corrupt or Truncated.
    """
    kept, found, has_pixels = [SIGNATURE], {}, False
    end = file.seek(0, os.SEEK_END)
    for count, (name, start, length) in enumerate(_find_checked_chunks(file, at)):
        if name in (b"IDAT", b"IEND"):
            kept += [] if has_pixels else [struct.pack(">I", length - 12) + name]
            has_pixels = True
        elif not has_pixels:
            if count == _MAX_EARLY_CHUNKS or not name.isalpha():
                raise Corrupt
            if start + length > end:
                raise Truncated
            if name in _CRITICAL:
                kept.append(_make_chunk(name, _read_critical(file, start, length)))
        if name == b"eXIf":
            found[name] = name, start, length
        elif name in _TEXT_CHUNKS:
            file.seek(start + 8)
            key = file.read(len(exif.PNG_EXIF) + 1).partition(b"\0")[0]
            if key in (exif.PNG_XMP, exif.PNG_EXIF):
                found[key] = name, start, length  # Of several, the last counts.
    try:
        image = PngImagePlugin.PngImageFile(io.BytesIO(b"".join(kept)))
    except OSError as error:  # Pillow reads on only if it does not know the kind of pixels.
        raise Corrupt from error
    metadata = {key: _read_metadata(file, *chunk) for key, chunk in found.items()}
    text = metadata.get(exif.PNG_EXIF, b"").decode("latin-1")
    content = metadata.get(b"eXIf") or exif.decode_hex(text)
    return image, content, metadata.get(exif.PNG_XMP, b"")


def _read_parts(file: IO[bytes]) -> _Parts:
    """Find the parts of the still picture.

    Faulty chunks are left out, and those after the pixels that belong before them.
    """
    chunks: dict[bytes, bytes] = {}
    pixels: list[tuple[int, int]] = []
    has_faults, is_after = False, False
    for name, start, length in _find_checked_chunks(file):
        if name == b"IDAT":
            pixels += [] if is_after else [(start + 8, length - 12)]
            continue
        is_after = bool(pixels)
        if name in _CRITICAL and not is_after:
            chunks[name] = _read_critical(file, start, length)
        elif name in _CRITICAL or (is_after and name in _ANCILLARY):
            has_faults = True
        elif name[0] & 0x20:  # Ancillary.
            content = _read_content(file, start, length)
            if content is None or not _is_sound(name, content, chunks):
                has_faults = True
            elif name in _ANCILLARY:
                chunks[name] = content
    if len(chunks.get(b"IHDR", b"")) < 13:
        raise Corrupt
    return _Parts(chunks, pixels, has_faults)


def _is_sound(name: bytes, content: bytes, chunks: dict[bytes, bytes]) -> bool:
    """Return whether Pillow reads an ancillary chunk, and at little cost."""
    if name in (b"zTXt", b"iTXt"):  # Pillow inflates a megabyte of each.
        return name == b"iTXt" and content.partition(b"\0")[2][:1] == b"\0"
    if len(content) < _ANCILLARY.get(name, 0):
        return False
    if name == b"tRNS":
        kind = chunks.get(b"IHDR", bytes(13))[9]
        return _TRANSPARENCY_BYTES.get(kind, 1) <= len(content) <= 256
    return name != b"iCCP" or bool(_inflate_profile(content))


def _join(file: IO[bytes], parts: _Parts) -> bytes:
    """Write a PNG of nothing but a still picture."""
    names = (b"IHDR", *([b"PLTE"] if parts.kind == _PALETTE else []), b"tRNS")
    pixels = []
    for start, length in parts.pixels:
        file.seek(start)
        pixels.append(file.read(length))
    return b"".join(
        [
            SIGNATURE,
            *(_make_chunk(name, parts.chunks[name]) for name in names if name in parts.chunks),
            _make_chunk(b"IDAT", b"".join(pixels)),
            _make_chunk(b"IEND", b""),
        ]
    )


def _make_chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def _transparent_color(parts: _Parts) -> int | tuple[int, ...]:
    """Return the transparent shade or colour, in the scale of Pillow's pixels.

    PngImagePlugin.py scales grey of 2 and 4 bits and RGB of 16 bits to 8 bits, but not what tRNS
    has. Bits above the depth do not count.
    """
    content, depth = parts.chunks[b"tRNS"], parts.depth
    most = (1 << depth) - 1
    if parts.kind == _RGB:
        return tuple((part & most) >> (depth - 8) for part in struct.unpack_from(">3H", content))
    (shade,) = struct.unpack_from(">H", content)
    return int(shade) if depth == 16 else (shade & most) * 255 // most


def _inflate_profile(content: bytes) -> bytes | None:
    """Return the ICC profile in a chunk; None if it is faulty."""
    compressed = content.partition(b"\0")[2]
    if compressed[:1] != b"\0":  # The method.
        return None
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(compressed[1:], _MAX_PROFILE)
    except zlib.error:
        return None
    return None if inflater.unconsumed_tail else profile


def read_tag(file: IO[bytes]) -> Cicp | None:
    """Read the tag of the colours, `cICP`, and how bright they are.

    Pillow does neither.
    """
    found = {}
    for name, start, length in _find_chunks(file):
        if name in (b"IDAT", b"IEND"):
            break
        if _TAG_CHUNKS.get(name) == length - 12:
            file.seek(start + 8)
            found[name] = file.read(length - 12)
    primaries, transfer, matrix, is_full = found.get(b"cICP", bytes(4))
    if (matrix, is_full) != (0, 1):
        return None
    level = int.from_bytes(found.get(b"cLLI", b"")[:4], "big") / 10_000
    display = cicp.read_display(found.get(b"mDCV", bytes(24)))
    return cicp.make_tag(primaries, transfer, level, display)


def _read_metadata(file: IO[bytes], name: bytes, start: int, length: int) -> bytes:
    """Read the EXIF or the text of a chunk; empty if it is broken."""
    if length - 12 > exif.MAX_METADATA:  # XMP is searched as far as it is read.
        file.seek(start + 8)
        content = file.read(exif.MAX_METADATA + 1)
    else:
        content = _read_content(file, start, length) or b""
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


def _read_critical(file: IO[bytes], start: int, length: int) -> bytes:
    """Read the content of a critical chunk. Raises Corrupt."""
    content = _read_content(file, start, length) if length <= _MAX_HEADER_CHUNK else None
    if content is None:
        raise Corrupt
    return content


def _read_content(file: IO[bytes], start: int, length: int) -> bytes | None:
    """Read the content of a chunk; None if it is cut or its checksum is wrong."""
    file.seek(start + 4)
    chunk = file.read(length - 4)
    is_sound = len(chunk) == length - 4 and zlib.crc32(chunk[:-4]).to_bytes(4, "big") == chunk[-4:]
    return chunk[4:-4] if is_sound else None


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
