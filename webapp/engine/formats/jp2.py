"""JPEG 2000: a codestream, alone or in boxes as an AVIF has."""

import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

from webapp.engine.errors import Corrupt, Unsupported
from webapp.engine.formats import isobmff
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size
from webapp.recipes.outputs import Size

_CODESTREAM, _BOXES = b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"
SIGNATURES = (_CODESTREAM, _BOXES)
_START_OF_TILE_PART = b"\xff\x90"
# A part's tile, its length, and the number of parts of the tile.
_TILE_PART = struct.Struct(">4xHIxB")
_PARTS_AT, _MAX_PARTS = 11, 255  # Where that number is in a part, and the most it can be.
_CHANNELS_AT = 42  # Byte of a codestream where channels are described: Ssiz, XRsiz and YRsiz.
_MAX_CHANNELS = 4
_MAX_GREY_BITS, _MAX_COLOR_BITS = 16, 8
_ENUMERATED, _RESTRICTED_ICC = 1, 2  # Methods of `colr`; OpenJPEG skips a `colr` of another.
# Numbers of `colr`: black and white, CMYK, white and black, sRGB, grey, sYCC.
_KNOWN_SPACES = (0, 12, 15, 16, 17, 18)
_SRGB = 16
_COLOR, _OPACITY, _PREMULTIPLIED_OPACITY = 0, 1, 2  # Types of `cdef`.
_EIGHT_BITS = 7  # Depths are stored less one, with a bit for signed numbers.


def matches(head: bytes) -> bool:
    return head.startswith(SIGNATURES)


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    return Header.from_stored_size("jp2", check(file, limits))


def check(file: IO[bytes], limits: ImageLimits) -> Size:
    """Return the size. Raises ImageError.

    It is rejected if it has too many boxes: Pillow takes 60 ms for each palette, of which there can
    be hundreds.
    """
    file.seek(0)
    head = file.read(_CHANNELS_AT + 3 * _MAX_CHANNELS)
    boxes = b""
    if head.startswith(_CODESTREAM):
        codestream = head
        right, bottom, left, top = struct.unpack_from(">IIII", head, 8)
        width, height = right - left, bottom - top
        (channels,) = struct.unpack_from(">H", head, 40)
    else:
        reader = isobmff.BoxReader(file)
        boxes, codestream = _read_boxes(reader, len(head))
        height, width, channels = struct.unpack_from(">IIH", reader.child(boxes, b"ihdr"))
    if not channels or min(width, height) < 0:
        raise Corrupt
    if channels > _MAX_CHANNELS:
        raise Unsupported(
            f"This JPEG 2000 has more than {_MAX_CHANNELS} channels, which we cannot read."
            " Export it in RGB, or as JPEG or PNG."
        )
    check_size((width, height), "JP2", limits)
    _check_channels(codestream)
    if boxes:
        _check_colors(reader, boxes, channels)
    return width, height


def read_profile(file: IO[bytes]) -> bytes | None:
    """Return the colour profile of a checked file, which Pillow does not read."""
    file.seek(0)
    if not file.read(len(_BOXES)).startswith(_BOXES):
        return None
    reader = isobmff.BoxReader(file)
    method, content = _read_color(reader, _read_boxes(reader, 0)[0])
    return content if method == _RESTRICTED_ICC else None


def correct_part_counts(file: IO[bytes]) -> bytes | None:
    """Return a file whose tiles have as many parts as they say; None if they do.

    Apple's old encoder says one too few. OpenJPEG corrects that only if it can seek
    (opj_j2k_need_nb_tile_parts_correction in j2k.c), which Jpeg2KDecode.c does not let it.
    """
    with suppress(*isobmff.FAULTS):
        parts = list(_find_tile_parts(isobmff.BoxReader(file)))
        counts = Counter(tile for _, tile, _ in parts)
        wrong = [(at, counts[tile]) for at, tile, said in parts if 0 < said < counts[tile]]
        if not wrong or max(counts.values()) > _MAX_PARTS:
            return None
        file.seek(0)
        content = bytearray(file.read())
        for at, count in wrong:
            content[at + _PARTS_AT] = count
        return bytes(content)
    return None


def _find_tile_parts(reader: isobmff.BoxReader) -> Iterator[tuple[int, int, int]]:
    """Find the parts of tiles: the start, the tile, and its number of parts."""
    at = 0
    if not reader.read(0, len(_CODESTREAM)).startswith(_CODESTREAM):
        at = next(start for kind, start, _ in reader.file_boxes() if kind == b"jp2c")
    at += 2  # After the marker that starts the codestream.
    while reader.read(at, 2) != _START_OF_TILE_PART:
        reader.spend(1)
        (length,) = struct.unpack(">H", reader.read(at + 2, 2))
        at += 2 + length
    while reader.read(at, 2) == _START_OF_TILE_PART:
        reader.spend(1)
        tile, length, count = _TILE_PART.unpack(reader.read(at, _TILE_PART.size))
        yield at, tile, count
        if not length:  # The rest of the codestream.
            break
        at += length


def _read_boxes(reader: isobmff.BoxReader, most: int) -> tuple[bytes, bytes]:
    """Read the header boxes and the first bytes of the codestream behind them."""
    boxes = None
    for kind, start, length in reader.file_boxes():
        if kind == b"jp2h" and boxes is None:
            boxes = reader.read_box(start, length)
        elif kind == b"jp2c" and boxes is not None:
            return boxes, reader.read(start, most)
    raise Corrupt


def _check_channels(codestream: bytes) -> None:
    """Raise Unsupported if Pillow would decode the channels to wrong colours.

    Its functions j2ku_*, in Jpeg2KDecode.c, add half a step before they shift samples to 8 bits,
    and do not clamp: white of 12 bits, 4095, becomes 256 and so black. Grey alone is decoded to 16
    bits. They round down the sides of subsampled channels, which OpenJPEG rounds up; grey they do
    not read then, and of four channels they take the first three for YCbCr.
    """
    *sides, channels = struct.unpack_from(">8IH", codestream, 8)
    described = codestream[_CHANNELS_AT : _CHANNELS_AT + 3 * min(channels, _MAX_CHANNELS)]
    bits, *steps = (described[field::3] for field in range(3))
    is_grey = channels == 1
    if max((depth & 0x7F) + 1 for depth in bits) > (_MAX_GREY_BITS if is_grey else _MAX_COLOR_BITS):
        most = f"{_MAX_GREY_BITS} bits" if is_grey else f"{_MAX_COLOR_BITS} bits a colour channel"
        raise Unsupported(
            f"This JPEG 2000 has more than {most}, which we cannot read."
            " Export it with 8 bits a channel, or as PNG or TIFF."
        )
    is_subsampled = max(map(max, steps)) > 1
    # Of the picture and of its tiles: width and height, left and top.
    is_even = all(not n % step for axis in (0, 1) for n in sides[axis::2] for step in steps[axis])
    if is_subsampled and not (channels == 3 and is_even):
        raise Unsupported(
            "This JPEG 2000 stores channels at a lower resolution than its own, in a form that we"
            " cannot read. Export it without subsampling, or as JPEG or PNG."
        )


def _check_colors(reader: isobmff.BoxReader, boxes: bytes, channels: int) -> None:
    """Raise Unsupported if Pillow would take channels for others."""
    if not (_is_known_space(reader, boxes) and _is_usual_order(reader, boxes, channels)):
        raise Unsupported(
            "This JPEG 2000 stores its colours in an order or colour space that we cannot read."
            " Export it in RGB, or as JPEG or PNG."
        )
    kinds = {kind for _, kind, _ in _read_definitions(reader, boxes)}
    if _PREMULTIPLIED_OPACITY in kinds:
        raise Unsupported(
            "This JPEG 2000 has premultiplied alpha, which we cannot read."
            " Export it without alpha, or as PNG."
        )
    if (palette := reader.child(boxes, b"pclr")) and not _is_usual_palette(reader, boxes, palette):
        raise Unsupported(
            "This JPEG 2000 has a kind of palette that we cannot read."
            " Export it in RGB, or as JPEG or PNG."
        )


def _is_known_space(reader: isobmff.BoxReader, boxes: bytes) -> bool:
    """Return False for colours that OpenJPEG would take for RGB."""
    method, content = _read_color(reader, boxes)
    if method == _ENUMERATED:
        return struct.unpack_from(">I", content)[0] in _KNOWN_SPACES
    return content[16:20] != b"CMYK"


def _is_usual_order(reader: isobmff.BoxReader, boxes: bytes, channels: int) -> bool:
    """Return True if `cdef` leaves colours in order, and alpha the last.

    Pillow decodes tile by tile (j2k_decode_entry in Jpeg2KDecode.c), and OpenJPEG applies `cdef` to
    whole pictures only.
    """
    has_palette = bool(reader.child(boxes, b"pclr"))
    for channel, kind, place in _read_definitions(reader, boxes):
        if kind == _COLOR and place not in (0, channel + 1):
            return False
        if kind == _OPACITY and channel != channels - 1 and not has_palette:
            return False
    return True


def _is_usual_palette(reader: isobmff.BoxReader, boxes: bytes, palette: bytes) -> bool:
    """Return True for a palette of RGB, perhaps with alpha, in 8 bits.

    Jpeg2KImagePlugin.py takes all columns for these, in their order, and ignores palettes of more
    bits, and of grey. j2ku_gray_l, in Jpeg2KDecode.c, shifts indexes of fewer bits as if they were
    shades.
    """
    columns = palette[2]
    method, content = _read_color(reader, boxes)
    is_rgb = method != _ENUMERATED or struct.unpack_from(">I", content)[0] == _SRGB
    has_eight_bits = {reader.child(boxes, b"ihdr")[10], *palette[3 : 3 + columns]} == {_EIGHT_BITS}
    order = reader.child(boxes, b"cmap")[3 : 4 * columns : 4]
    return columns in (3, 4) and is_rgb and has_eight_bits and list(order) == sorted(order)


def _read_definitions(reader: isobmff.BoxReader, boxes: bytes) -> list[tuple[int, int, int]]:
    """Read `cdef`: each channel with its kind and place."""
    definitions = reader.child(boxes, b"cdef")[2:]
    return list(struct.iter_unpack(">HHH", definitions[: 6 * _MAX_CHANNELS]))


def _read_color(reader: isobmff.BoxReader, boxes: bytes) -> tuple[int, bytes]:
    """Return the method and the content of the first `colr` that OpenJPEG knows."""
    for kind, body in reader.boxes(boxes):
        if kind == b"colr" and body[0] in (_ENUMERATED, _RESTRICTED_ICC):
            return body[0], body[3:]
    return 0, b""
