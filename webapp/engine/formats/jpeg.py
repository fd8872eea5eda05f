"""JPEG: segments, each after a marker, and scans between them."""

import hashlib
import io
import os
import re
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

from PIL import Image, JpegImagePlugin

from webapp.engine import exif
from webapp.engine.errors import Corrupt, TooManyScans, Truncated, Unsupported
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size, divide
from webapp.recipes.outputs import Size

SIGNATURE, END = b"\xff\xd8\xff", b"\xff\xd9"

_EOI, _SOS, _APP0, _APP1, _APP14, _COM = 0xD9, 0xDA, 0xE0, 0xE1, 0xEE, 0xFE
_APPLICATION = range(0xE0, 0xF0)
_WITHOUT_CONTENT = (0x01, 0xD8, _EOI)  # TEM, SOI and EOI are markers alone.
_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)  # Sequential and progressive.
# Lossless, hierarchical and JPEG-LS. libjpeg-turbo reads lossless ones, but not reduced.
_UNREAD_FRAMES = frozenset({*range(0xC0, 0xD0), 0xDE, 0xF7} - {*_FRAMES, 0xC4, 0xC8, 0xCC})
_SEQUENTIAL = (0xC0, 0xC1, 0xC9)  # Frames whose scans each hold whole components.
# Inside a scan, 0xFF before anything but a stuffed zero, a restart or a fill byte.
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_EXIF_WORD, _XMP_WORD = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
# A JFIF segment without its thumbnail. If it is missing, a decoder may mistake the colours.
_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"

_PROFILE_HEAD = 14  # Bytes of a segment before its part of a profile: a word and two numbers.
_MAX_DESCRIPTION = 18  # Bytes of a frame or scan of four channels that describe these.
_CHUNK = 1 << 13  # Read at a time between segments, and again for each: 64 kB took 9 µs more.
_MAX_MARKERS = 3_000  # A 100 MP photo with every kind of metadata has some hundreds.
_MAX_GAPS = 1_000  # Bytes between two segments: the data of a scan, of which files have up to 50.
# 0xFF bytes between segments, most of them stuffed. A scan of 50 MB has 200,000.
_MAX_STUFFED = 1_000_000
_MAX_WALK = 8 << 20  # Bytes in which the web server counts scans; the decode child counts all.

# What may follow in a scan: blocks, and each of the eight restart markers before more of them.
# Long, because in a damaged scan, some hundred bits may change nothing. The first bits are ones,
# because libjpeg fills the block in which a scan is cut with zeros.
_NOISE = b"".join(
    bytes(n * n % 251 for n in range(50, 4_050)) + bytes((0xFF, 0xD0 + number))
    for number in range(8)
)


def _read_application(self: JpegImagePlugin.JpegImageFile, marker: int) -> None:
    """Read an application segment; one that is too short counts as none.

    JpegImagePlugin.py refuses the file for it. Other decoders do not.
    """
    with suppress(struct.error, IndexError):
        JpegImagePlugin.APP(self, marker)
    self.icclist = [part for part in self.icclist if len(part) > _PROFILE_HEAD]


for _code in _APPLICATION:
    JpegImagePlugin.MARKER[0xFF00 | _code] = ("APP", "Application segment", _read_application)


def matches(head: bytes) -> bool:
    return head.startswith(SIGNATURE)


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    frame, xmp, exif_parts, exif_bytes = b"", b"", [], 0
    end_of_file, scans = file.seek(0, os.SEEK_END), 0
    for marker, start, end in _find_checked_segments(file, limits.max_jpeg_scans, _MAX_WALK):
        scans += marker == _SOS
        if scans:  # Count the rest only.
            continue
        if marker == _EOI or end > end_of_file:
            raise Truncated
        file.seek(start + 4)
        if marker in _FRAMES:
            frame = file.read(6)
        elif marker == _APP1:
            content = file.read(end - start - 4)
            if content.startswith(_EXIF_WORD) and exif_bytes <= exif.MAX_METADATA:
                exif_parts.append(content[len(_EXIF_WORD) :])  # It may be in several segments.
                exif_bytes += len(content)
            elif content.startswith(_XMP_WORD):
                xmp = content[len(_XMP_WORD) :]
    bits, height, width, channels = struct.unpack(">BHHB", frame)
    if bits != 8 or channels not in (1, 3, 4):
        raise Corrupt
    check_size((width, height), "JPEG", limits)
    metadata = exif.parse(b"".join(exif_parts), xmp)
    return Header.from_stored_size("jpeg", (width, height), *metadata, scans)


def check(file: IO[bytes], limits: ImageLimits) -> None:
    """Raise TooManyScans, Unsupported, or Corrupt if there are too many segments."""
    for _ in _find_checked_segments(file, limits.max_jpeg_scans):
        pass


def load_without_end(source: IO[bytes], wanted: Size) -> Image.Image:
    """Load a JPEG that lacks only its end marker; raise Truncated if it lacks pixels.

    Pillow waits for more bytes then (`load` in ImageFile.py), and drops libjpeg's warning of pixels
    that it made up. So it is decoded twice, with two ends: what is behind the last block changes
    nothing, and where blocks are missing it becomes pixels.
    """
    if not _has_all_scans(source):
        raise Truncated
    source.seek(0)
    content = source.read().rstrip(b"\xff")  # Half of a marker, or of a stuffed byte.
    expected = _hash_pixels(_load_jpeg(content + END, wanted))  # Two pictures need much memory.
    image = _load_jpeg(content + _NOISE + END, wanted)
    if _hash_pixels(image) != expected:
        raise Truncated
    return image


def strip(file: IO[bytes]) -> bytes:
    """Return the first picture without comments and application segments.

    The application segments that say how colours are stored are kept.
    """
    stripped, end, is_scan = bytearray(b"\xff\xd8"), 2, False
    for marker, start, next_end in _find_segments(file):
        file.seek(end)
        between = file.read(start - end)
        # Elsewhere they belong to nothing, and would become the content of what is before them.
        stripped += between if is_scan else b""
        segment, end, is_scan = file.read(next_end - start), next_end, marker == _SOS
        if marker == _APP0 and segment[4:9] == b"JFIF\0":
            stripped += _JFIF
        elif marker == _EOI:  # A file may lack its own.
            stripped += END
        elif marker == _APP14 or marker not in (*_APPLICATION, _COM):
            stripped += segment
    return bytes(stripped)


def _has_all_scans(file: IO[bytes]) -> bool:
    """Return True if the scans hold every coefficient of every component.

    A block has 64. A progressive JPEG stores them in parts, down to the last bit.
    """
    missing: set[tuple[int, int]] = set()
    is_sequential = False
    for marker, start, end in _find_segments(file):
        file.seek(start + 4)
        body = file.read(max(0, min(end - start - 4, _MAX_DESCRIPTION)))
        if marker in _FRAMES:
            missing = {(component, number) for component in body[6::3] for number in range(64)}
            is_sequential = marker in _SEQUENTIAL
        elif marker == _SOS:
            count = int.from_bytes(body[:1])
            components, spectrum = body[1 : 2 * count + 1 : 2], body[2 * count + 1 :]
            if len(spectrum) < 3:
                continue
            # Some encoders write 0, 0, 0; libjpeg only warns (JWRN_NOT_SEQUENTIAL in jdhuff.c).
            first, last, bits = (0, 63, 0) if is_sequential else spectrum[:3]
            if bits & 15 == 0:  # The lower half counts the bits that later scans add.
                numbers = range(first, last + 1)
                missing -= {(component, number) for component in components for number in numbers}
    return not missing


def _load_jpeg(content: bytes, wanted: Size) -> Image.Image:
    image = Image.open(io.BytesIO(content), formats=["JPEG"])
    image.draft(None, wanted)
    image.load()
    return image


def _hash_pixels(image: Image.Image) -> bytes:
    digest = hashlib.sha256()
    for box in divide(image.size):
        digest.update(image.crop(box).tobytes())
    return digest.digest()


def _find_checked_segments(
    file: IO[bytes], limit: int, stop: int = sys.maxsize
) -> Iterator[tuple[int, int, int]]:
    """Find the segments as _find_segments does, and count the scans.

    Raises TooManyScans if there are more than `limit`, and Unsupported for a frame that no decoder
    of ours reads. Ends at the scan of a JPEG that has only one, or at byte `stop`.
    """
    scans, components = 0, b""
    for marker, start, end in _find_segments(file, stop):
        yield marker, start, end
        file.seek(start + 4)
        body = file.read(6)
        if marker in _UNREAD_FRAMES or (marker in _FRAMES and body.startswith(b"\x0c")):  # 12 bits.
            raise Unsupported(
                "This kind of JPEG is rare, and we cannot read it."
                " Save it as a JPEG of 8 bits a channel, or as PNG."
            )
        if marker in _SEQUENTIAL:
            components = body[5:6]
        if marker == _SOS:
            # One scan has it all: libjpeg raises at a second one (JERR_EOI_EXPECTED in jdinput.c).
            if not scans and body[:1] == components:
                return
            scans += 1
        if scans > limit:
            raise TooManyScans(limit)


def _find_segments(file: IO[bytes], stop: int = sys.maxsize) -> Iterator[tuple[int, int, int]]:
    """Find the segments of a JPEG: the marker, start and end of each.

    Follows the markers as libjpeg does, up to the end of the first picture: the thumbnail in the
    EXIF and the video that a phone appends have bytes that only look like scans. The bytes between
    two segments belong to a scan. Raises Corrupt if there are too many segments. Byte `stop` counts
    as the end of the file.
    """
    end, stuffed, gaps = 2, 0, 0
    for _ in range(_MAX_MARKERS):
        file.seek(end)
        marker, start, skipped = _next_marker(file, _MAX_STUFFED - stuffed, stop)
        stuffed += skipped
        gaps += start > end
        if gaps > _MAX_GAPS:
            break
        end = file.tell()
        if marker not in _WITHOUT_CONTENT:
            end += max(int.from_bytes(file.read(2), "big"), 2)
        yield marker, start, end
        if marker == _EOI:
            return
    raise Corrupt


def _next_marker(file: IO[bytes], limit: int, stop: int) -> tuple[int, int, int]:
    """Read up to the end of the next marker; return its code and its start.

    At the end of the file, that is EOI. Also returns how many bytes were skipped that could begin
    a marker, and raises Corrupt if these are more than `limit`.
    """
    head = file.read(2)  # Between segments, the marker is right here.
    if _MARKER.match(head):
        return head[1], file.tell() - 2, 0
    file.seek(-len(head), os.SEEK_CUR)
    stuffed, is_cut = 0, False
    while file.tell() < stop and (chunk := file.read(_CHUNK)):
        # Half of a marker can be in the chunk before.
        found = _MARKER.match(b"\xff" + chunk[:1]) if is_cut else None
        end = 1 if found else 0
        if not found and (found := _MARKER.search(chunk)):
            end = found.end()
        stuffed += chunk.count(b"\xff", 0, end if found else len(chunk))
        if stuffed > limit:
            raise Corrupt
        if found:
            after = file.seek(end - len(chunk), os.SEEK_CUR)
            return found[1][0], after - 2, stuffed
        is_cut = chunk.endswith(b"\xff")
    return _EOI, file.tell(), stuffed
