"""BMP: the device-independent bitmap of Windows."""

import io
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import IO, cast

from PIL import BmpImagePlugin, Image, ImageChops, ImageFile, ImagePalette

from webapp.engine.errors import Unsupported
from webapp.engine.formats import runs
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size

SIGNATURE = b"BM"
MAX_HEADER = 14 + 124 + 4 * 65_536  # Bytes: the longest header, with the largest palette.
_MAX_PROFILE = 1 << 20  # Bytes. Of RGB, the longest in use have half a megabyte.

_HEADER_START = 14
_OLDEST_HEADER, _WINDOWS_HEADERS, _OS2_HEADER = 12, (40, 52, 56, 108, 124), 64
UNCOMPRESSED, _BIT_FIELDS, _JPEG, _PNG, _ALPHA_BIT_FIELDS = 0, 3, 4, 5, 6
_CMYK = (11, 12, 13)
# The modes in which Pillow stores each byte of a pixel in a band of its own, by the bytes.
_BYTE_MODES = {2: "LA", 3: "RGB", 4: "RGBA"}
_PROFILE_EMBEDDED = b"DEBM"  # The number "MBED", least significant byte first.

# The bit fields that Pillow decodes right: bits of a pixel, and masks. Of 16 bits it ignores alpha.
_PILLOW_FIELDS = {
    (16, (0xF800, 0x7E0, 0x1F, 0)),
    (16, (0x7C00, 0x3E0, 0x1F, 0)),
    (32, (0xFF0000, 0xFF00, 0xFF, 0)),
    (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    (32, (0, 0, 0, 0)),
}

# Pillow can unpack two bits, but does not know that a BMP may have them.
BmpImagePlugin.BIT2MODE[2] = ("P", "P;2")


@dataclass(frozen=True)
class _InfoHeader:
    """The fields of a Windows header (BITMAPINFOHEADER and its successors)."""

    pixels_start: int
    width: int
    height: int  # Negative if the lines are stored from the top.
    bits: int
    compression: int
    masks: tuple[int, int, int, int]  # Of red, green, blue and alpha.


class Reader(BmpImagePlugin.BmpImageFile):
    """Open a BMP with Pillow, and decode what Pillow gets wrong or refuses.

    Raises Unsupported for a kind that cannot be decoded.
    """

    masks: tuple[int, ...] = ()
    # What runs draw, if they skip pixels: those are black, as in Chromium.
    _drawn: Sequence[Image.Image] = ()

    def _open(self) -> None:
        file = cast(IO[bytes], self.fp)
        head = file.read(_HEADER_START + 124)
        file.seek(0)
        info = _read_info(head)
        if info and _has_unusual_fields(info):
            self._open_fields(info)
        else:
            super()._open()
            bits_at = 24 if head[_HEADER_START] == _OLDEST_HEADER else 28
            self._correct_greys(head[bits_at])
            self._shorten_palette()
            self._drawn = runs.expect(self)
        profile = _read_profile(file, head)
        if profile:
            self.info["icc_profile"] = profile

    def load_end(self) -> None:
        if self.masks:
            picture = _join_fields(self.split(), self.masks)
            self.im, self._mode = picture.im, picture.mode
        elif self._drawn:
            picture = Image.new("RGB", self.size)
            picture.paste(self.convert("RGB"), mask=self._drawn[0])
            self.im, self._mode, self.palette = picture.im, picture.mode, None

    def _open_fields(self, info: _InfoHeader) -> None:
        """Prepare to decode bit fields: the bytes of each pixel as bands."""
        pixel_bytes = info.bits // 8
        self._size, self._mode = (info.width, abs(info.height)), _BYTE_MODES[pixel_bytes]
        self.masks = info.masks
        line = (info.width * pixel_bytes + 3) // 4 * 4
        direction = 1 if info.height < 0 else -1
        self.tile = [
            ImageFile._Tile(
                "raw", (0, 0, *self._size), info.pixels_start, (self._mode, line, direction)
            )
        ]

    def _correct_greys(self, bits: int) -> None:
        """Read the indexes of a grey palette as what they are.

        BmpImageFile._bitmap takes indexes for pixels if the palette is grey: of 8 bits if it has
        more than two colours, else of one bit. It does not look at their real number of bits.
        """
        if self.mode not in ("1", "L") or bits == {"1": 1, "L": 8}[self.mode]:
            return
        greys = (0, 255) if self.mode == "1" else range(1 << bits)
        self.palette = ImagePalette.raw("RGB", bytes(grey for grey in greys for _ in "RGB"))
        self._mode = "P"
        unpacked = BmpImagePlugin.BIT2MODE[bits][1]
        self.tile = [
            tile._replace(args=(unpacked, *cast(tuple[object, ...], tile.args)[1:]))
            for tile in self.tile
        ]

    def _shorten_palette(self) -> None:
        """Drop colours that no index reaches: Pillow takes 256 at most."""
        palette = self.palette
        if palette and palette.rawmode:
            most = 256 * len(palette.rawmode)
            self.palette = ImagePalette.raw(palette.rawmode, bytes(palette.palette[:most]))


def matches(head: bytes) -> bool:
    return head.startswith(SIGNATURE)


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    file.seek(0)
    image = Reader(io.BytesIO(file.read(MAX_HEADER)))
    check_size(image.size, "BMP", limits)
    runs.check(image)
    return Header.from_stored_size("bmp", image.size)


def _read_info(head: bytes) -> _InfoHeader | None:
    """Read a Windows header; return None for an older or a damaged one.

    Raises Unsupported for a kind that cannot be decoded.
    """
    (size,) = struct.unpack_from("<I", head, _HEADER_START)
    # OS/2 leaves out the end of its header.
    if 16 <= size <= _OS2_HEADER and size not in _WINDOWS_HEADERS:
        _, _, _, bits, compression = struct.unpack_from("<IiHHI", head.ljust(34, b"\0"), 18)
        if size != _OS2_HEADER or compression >= _BIT_FIELDS or bits > 32:
            raise _unsupported()
    if size not in _WINDOWS_HEADERS:
        return None
    # The width is without a sign for Pillow too: a negative one is too large.
    start, width, height, bits, compression = struct.unpack_from("<10xI4xIi2xHI", head)
    if compression in (_JPEG, _PNG):
        kind = "JPEG" if compression == _JPEG else "PNG"
        raise Unsupported(
            f"This BMP has a {kind} inside, which we cannot read. Save it as {kind} instead."
        )
    if compression in _CMYK or bits == 64:
        raise _unsupported()
    has_alpha = size >= 56 or compression == _ALPHA_BIT_FIELDS
    masks = struct.unpack_from("<4I", head.ljust(70, b"\0"), 54)
    end = _HEADER_START + max(size, 40 + (16 if has_alpha else 12))
    return _InfoHeader(
        start or end,
        width,
        height,
        bits,
        compression,
        (*masks[:3], masks[3] if has_alpha else 0),
    )


def _has_unusual_fields(info: _InfoHeader) -> bool:
    """Return True for bit fields that are not left to Pillow.

    Raises Unsupported for fields with gaps, and for empty ones.
    """
    if (
        info.compression not in (_BIT_FIELDS, _ALPHA_BIT_FIELDS)
        or info.bits // 8 not in _BYTE_MODES
    ):
        return False
    if info.compression == _BIT_FIELDS and (info.bits, info.masks) in _PILLOW_FIELDS:
        return False
    if not all(map(_is_field, info.masks)) or not any(info.masks[:3]):
        raise _unsupported()
    return True


def _is_field(mask: int) -> bool:
    """Return True if the bits of a mask follow each other."""
    filled = mask | (mask - 1)  # With all bits below its lowest.
    return mask == 0 or filled & (filled + 1) == 0


def _join_fields(bands: Sequence[Image.Image], masks: Iterable[int]) -> Image.Image:
    """Return the picture of bit fields, given the bytes of its pixels."""
    red, green, blue, alpha = masks
    channels = [
        _join_field(bands, mask) for mask in (red, green, blue, *([alpha] if alpha else []))
    ]
    return Image.merge("RGBA" if alpha else "RGB", channels)


def _join_field(bands: Sequence[Image.Image], mask: int) -> Image.Image:
    """Return one channel, in 8 bits: the highest of a field that has more.

    Each byte contributes other bits, so that their sum has no carry.
    """
    lowest = (mask & -mask).bit_length() - 1
    bits = (mask >> lowest).bit_length() if mask else 0
    dropped = lowest + max(bits - 8, 0)
    channel = Image.new("L", bands[0].size)
    for number, band in enumerate(bands):
        if mask >> 8 * number & 255:
            table = [((byte << 8 * number) & mask) >> dropped for byte in range(256)]
            channel = ImageChops.add(channel, band.point(table))
    most = (1 << min(bits, 8)) - 1
    return channel.point([min(round(value * 255 / (most or 1)), 255) for value in range(256)])


def _read_profile(file: IO[bytes], head: bytes) -> bytes:
    """Return the colour profile in the file; empty if there is none.

    Only the longest header has one. Instead of a profile it may name a file, which we do not have.
    """
    if not head.startswith(struct.pack("<I", 124), _HEADER_START) or len(head) < 138:
        return b""
    start, size = struct.unpack_from("<II", head, 126)
    if head[70:74] != _PROFILE_EMBEDDED or size > _MAX_PROFILE:
        return b""
    file.seek(_HEADER_START + start)
    profile = file.read(size)
    return profile if len(profile) == size else b""


def _unsupported() -> Unsupported:
    return Unsupported(
        "This kind of BMP is rare, and we cannot read it. Save it as a BMP of 24 bits, or as PNG."
    )
