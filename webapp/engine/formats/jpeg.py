"""JPEG."""

import os
import re
import struct
import sys
from collections.abc import Iterator
from typing import IO

from webapp.engine.errors import Corrupt, TooManyScans, Truncated
from webapp.engine.exif import MAX_METADATA, _read_metadata
from webapp.engine.header import Header, _header
from webapp.engine.limits import ImageLimits, _check_size

_JPEG_SIGNATURE = b"\xff\xd8\xff"
_EOI, _SOS, _APP1 = 0xD9, 0xDA, 0xE1
_BARE_MARKERS = (0x01, 0xD8, _EOI)  # TEM, SOI and EOI have no segment.
_SEQUENTIAL = (0xC0, 0xC1, 0xC9)  # Frames whose scans each hold whole components.
# 0xFF before anything that, inside a scan, is not a stuffed zero, a restart or a fill byte.
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_CHUNK = 1 << 13  # Read at a time between segments, and again for each: 64 kB took 9 µs more.
_MAX_MARKERS = 3_000  # A 100 MP photo with every kind of metadata has some hundreds.
# 0xFF in what lies between segments, most of them stuffed. A scan of 50 MB has 200,000.
_MAX_STUFFED = 1_000_000
_MAX_WALK = 8 << 20  # Bytes in which the web server counts scans; the decode child counts all.
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xDE} - {0xC4, 0xC8, 0xCC})
_EXIF_WORD, _XMP_WORD = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


def _read_jpeg_header(file: IO[bytes], limits: ImageLimits) -> Header:
    frame, xmp, exif, exif_bytes = b"", b"", [], 0
    end_of_file, has_scan = file.seek(0, os.SEEK_END), False
    for marker, start, end in _checked_jpeg_segments(file, limits.max_jpeg_scans, _MAX_WALK):
        has_scan = has_scan or marker == _SOS
        if has_scan:  # What follows is counted only.
            continue
        if marker == _EOI or end > end_of_file:
            raise Truncated
        file.seek(start + 4)
        if marker in _FRAMES:
            frame = file.read(6)
        elif marker == _APP1:
            content = file.read(end - start - 4)
            if content.startswith(_EXIF_WORD) and exif_bytes <= MAX_METADATA:
                exif.append(content[len(_EXIF_WORD) :])  # It may be in several segments.
                exif_bytes += len(content)
            elif content.startswith(_XMP_WORD):
                xmp = content[len(_XMP_WORD) :]
    bits, height, width, channels = struct.unpack(">BHHB", frame)
    if bits != 8 or channels not in (1, 3, 4):
        raise Corrupt
    _check_size((width, height), "JPEG", limits)
    return _header("jpeg", (width, height), *_read_metadata(b"".join(exif), xmp))


def _checked_jpeg_segments(
    file: IO[bytes], limit: int, stop: int = sys.maxsize
) -> Iterator[tuple[int, int, int]]:
    """Find the segments of a JPEG, and count its scans.

    Raises TooManyScans where there are more than `limit`. Ends at the scan of a JPEG that has only
    one, or at byte `stop`.
    """
    scans, components = 0, b""
    for marker, start, end in jpeg_segments(file, stop):
        yield marker, start, end
        file.seek(start + 4)
        body = file.read(6)
        if marker in _SEQUENTIAL:
            components = body[5:6]
        if marker == _SOS:
            # One scan has it all: libjpeg raises at a second one (JERR_EOI_EXPECTED in jdinput.c).
            if not scans and body[:1] == components:
                return
            scans += 1
        if scans > limit:
            raise TooManyScans(limit)


def jpeg_segments(file: IO[bytes], stop: int = sys.maxsize) -> Iterator[tuple[int, int, int]]:
    """Find the segments of a JPEG: the code of each one's marker, its start and its end.

    Follows the markers as libjpeg does, up to the end of the first picture: the thumbnail in the
    EXIF, or the film that a phone appends, has bytes that only look like scans. What lies between
    two segments belongs to a scan. Raises Corrupt where there is no end to them. Byte `stop` counts
    as the end of the file.
    """
    end, stuffed = 2, 0
    for _ in range(_MAX_MARKERS):
        file.seek(end)
        marker, start, skipped = _next_marker(file, _MAX_STUFFED - stuffed, stop)
        stuffed += skipped
        end = file.tell()
        if marker not in _BARE_MARKERS:
            end += max(int.from_bytes(file.read(2), "big"), 2)
        yield marker, start, end
        if marker == _EOI:
            return
    raise Corrupt


def _next_marker(file: IO[bytes], limit: int, stop: int) -> tuple[int, int, int]:
    """Read up to the end of the next marker; return its code and its start.

    At the end of the file, that is EOI. Also returns how many bytes were skipped that could begin
    a marker, and raises Corrupt where these are more than `limit`.
    """
    head = file.read(2)  # Between segments, the marker is right here.
    if _MARKER.match(head):
        return head[1], file.tell() - 2, 0
    file.seek(-len(head), os.SEEK_CUR)
    stuffed, is_cut = 0, False
    while file.tell() < stop and (chunk := file.read(_CHUNK)):
        # A marker can lie half in the chunk before.
        found = _MARKER.match(b"\xff" + chunk[:1]) if is_cut else None
        end = 1 if found else 0
        if not found and (found := _MARKER.search(chunk)):
            end = found.end()
        stuffed += chunk.count(b"\xff", 0, end if found else len(chunk))
        if stuffed > limit:
            raise Corrupt
        if found:
            place = file.seek(end - len(chunk), os.SEEK_CUR)
            return found[1][0], place - 2, stuffed
        is_cut = chunk.endswith(b"\xff")
    return _EOI, file.tell(), stuffed


_APP0, _APP14, _COM = 0xE0, 0xEE, 0xFE
_APPLICATION = range(0xE0, 0xF0)
# Without its small picture. Where it is missing, a decoder may take the colours for others.
_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"


def _read_jpeg(file: IO[bytes]) -> bytes:
    """Leave out comments and the segments of applications, but for what tells of the colours."""
    bare, end = bytearray(b"\xff\xd8"), 2
    for marker, start, next_end in jpeg_segments(file):
        file.seek(end)
        bare += file.read(start - end)
        segment, end = file.read(next_end - start), next_end
        if marker == _APP0 and segment[4:9] == b"JFIF\0":
            bare += _JFIF
        elif marker == _APP14 or marker not in (*_APPLICATION, _COM):
            bare += segment
    return bytes(bare)
