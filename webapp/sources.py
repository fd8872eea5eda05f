"""Open a stranger's image file: tell what it is, refuse what would cost too much.

Pillow only, and headers only, until a caller loads what it was given. A size is (width, height) in
pixels. The web server comes no nearer to an image than this module.
"""

import math
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    TiffTags,
    UnidentifiedImageError,
    WebPImagePlugin,
)
from pillow_heif import register_heif_opener

from webapp.recipes import Size

# The only readers that untrusted bytes may reach. Imported here, so that no fork imports them.
_READERS = (
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    WebPImagePlugin.WebPImageFile,
    GifImagePlugin.GifImageFile,
    TiffImagePlugin.TiffImageFile,
    BmpImagePlugin.BmpImageFile,
    AvifImagePlugin.AvifImageFile,
    IcoImagePlugin.IcoImageFile,
    Jpeg2KImagePlugin.Jpeg2KImageFile,
)
_FORMATS = [*(str(reader.format) for reader in _READERS), "HEIF"]
_SAME_FORMAT = {
    str(MpoImagePlugin.MpoImageFile.format): "JPEG",  # One followed by more pictures.
    "JPEG2000": "JP2",
    "HEIF": "HEIC",  # As people know it.
}
# The formats that a header may tell.
READ_FORMATS = frozenset(_SAME_FORMAT.get(name, name).lower() for name in _FORMATS)
# Of these, those that every browser shows, by their names in `image/*`.
SHOWN_BY_BROWSERS = frozenset({"jpeg", "png", "webp", "avif", "gif"})

Image.preinit()
Image.MAX_IMAGE_PIXELS = None  # Our limits are per format, as the decoders' appetites are.
# Each thread of the AVIF decoder maps 70 MB, which on a large machine exceeds the memory limit.
AvifImagePlugin.DEFAULT_MAX_THREADS = 2
# Of the pictures in a HEIC, its main one alone.
register_heif_opener(decode_threads=2, thumbnails=False, depth_images=False, aux_images=False)
# What is odd about a stranger's metadata is no news to the operator.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@dataclass(frozen=True)
class ImageLimits:
    """Bound what a source may cost; megapixels are 10⁶ pixels."""

    max_megapixels: float = 100  # JPEG and PNG, whose decoders are frugal.
    max_megapixels_other: float = 50
    max_jpeg_scans: int = 50
    max_frames: int = 200  # Of an animation, if its movement is asked for.


class ImageError(Exception):
    """No thumbnails can be made of this file; the message tells a person why and what to do."""

    code: str


class Unsupported(ImageError):
    """The file is not an image, or in a format that we do not read."""

    code = "unsupported_format"


class Empty(ImageError):
    """The file has no bytes."""

    code = "empty"

    def __init__(self) -> None:
        super().__init__("This file is empty. Choose it again, or export it anew.")


class Corrupt(ImageError):
    """The decoder rejects the file."""

    code = "corrupt"

    def __init__(self) -> None:
        super().__init__("This image is damaged. Open it in another program and save it anew.")


class Truncated(ImageError):
    """The file ends before its picture does."""

    code = "truncated"

    def __init__(self) -> None:
        super().__init__("This image is incomplete: its end is missing. Copy or export it again.")


class TooManyPixels(ImageError):
    """Decoding would take too much memory."""

    code = "too_many_pixels"

    def __init__(self, size: Size, limit: float) -> None:
        # Rounded up, so that the number shown is above the limit even if only just.
        megapixels = math.ceil(size[0] * size[1] / 1e5) / 10
        super().__init__(
            f"This image has {megapixels:,.10g} megapixels; the limit is {limit:g}."
            " Export it smaller."
        )


class TooManyScans(ImageError):
    """Decoding would take too much time: each scan of a JPEG passes over the whole picture."""

    code = "too_many_scans"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"This JPEG is stored in more than {limit} scans, where 10 are usual."
            " Save it again as a plain JPEG, not a progressive one."
        )


@dataclass(frozen=True)
class Header:
    """Tell what an image's header says.

    `format` is in lower case; width and height are those of the picture as it is seen, after
    `orientation` (EXIF, 1 to 8).
    """

    format: str
    width: int
    height: int
    orientation: int
    had_gps: bool


def read_header(source: Path, limits: ImageLimits) -> Header:
    """Read what an image is, without decoding its pixels.

    The content decides, never the name. Raises ImageError.
    """
    with source.open("rb") as file, decoder_faults():
        head = file.read(_HEAD)
        if _is_webp(head):
            return _read_webp_header(file, limits)
        if head.startswith(_ICO_SIGNATURE):
            return Header("ico", *_check_ico(_bounded(file), limits), 1, False)
        if head[:4] in TiffImagePlugin.PREFIXES:
            _check_tiff(_bounded(file), head)
        image = open_image(_bounded(file), limits)
        orientation, had_gps = read_exif(image)
        width, height = seen_size(image, orientation)
        return Header(format_of(image).lower(), width, height, orientation, had_gps)


# Opening

_HEAD = 512  # Bytes that tell what a file is.


@contextmanager
def decoder_faults() -> Iterator[None]:
    """Turn whatever a decoder raises at a file into the ImageError that it means."""
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        text = str(error).lower()
        if "out of memory" in text:
            raise MemoryError(str(error)) from error
        if isinstance(error, EOFError) or "truncated" in text:
            raise Truncated from error
        raise Corrupt from error


def open_image(file: IO[bytes], limits: ImageLimits) -> Image.Image:
    """Open an image of an allowed format and size; its pixels are not decoded yet."""
    head = file.read(_HEAD)
    if not head:
        raise Empty
    if head.startswith(b"\xff\xd8\xff"):
        _check_jpeg_scans(file, limits.max_jpeg_scans)
    if _is_webp(head):
        _check_webp(file, limits)
    if head.startswith(_ICO_SIGNATURE):
        _check_ico(file, limits)
    if head.startswith(PNG_SIGNATURE):
        _check_png(file)
    try:
        image = Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError as error:
        if _is_rare_tiff(file, head):
            raise Unsupported(
                "This kind of TIFF has channels that we cannot read. Export it as 8 or 16 bit RGB."
            ) from error
        raise _explain(head) from error
    _check_size(image.size, format_of(image), limits)
    _check_runs(image)
    return image


_MAX_MEGAPIXELS_OF_RUNS = 5


def _check_runs(image: ImageFile.ImageFile) -> None:
    """Refuse a large BMP of runs: Pillow expands those in Python, a megapixel in 0.2 to 0.6 s."""
    is_run = any(tile.codec_name == "bmp_rle" for tile in image.tile)
    if is_run and image.width * image.height > _MAX_MEGAPIXELS_OF_RUNS * 1e6:
        raise TooManyPixels(image.size, _MAX_MEGAPIXELS_OF_RUNS)


def _check_size(size: Size, format: str, limits: ImageLimits) -> None:
    """Refuse an image with more pixels than its format may have, or with none."""
    frugal = format in ("JPEG", "PNG")
    limit = limits.max_megapixels if frugal else limits.max_megapixels_other
    if size[0] * size[1] > limit * 1e6:
        raise TooManyPixels(size, limit)
    if not size[0] * size[1]:
        raise Corrupt


class _HeaderFile:
    """Bound what reading a header may take: millions of empty chunks would hold up everybody.

    No header needs to read a file more than once, or in more pieces than this.
    """

    _MAX_READS = 50_000

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._bytes = file.seek(0, os.SEEK_END) + (1 << 20)
        self._reads = self._MAX_READS
        self.seek, self.tell = file.seek, file.tell
        file.seek(0)

    def read(self, size: int = -1) -> bytes:
        """Read on, as long as it is within the bounds."""
        data = self._file.read(size)
        self._bytes -= len(data)
        self._reads -= 1
        if self._bytes < 0 or self._reads < 0:
            raise Corrupt
        return data


def _bounded(file: IO[bytes]) -> IO[bytes]:
    return cast(IO[bytes], _HeaderFile(file))


def format_of(image: Image.Image) -> str:
    return _SAME_FORMAT.get(str(image.format), str(image.format))


_UNSUPPORTED = tuple(
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), sentence)
    for pattern, sentence in (
        (
            rb".{4}ftyp(?!avi|hei|hev|m[is]f1)|\x1a\x45\xdf\xa3|RIFF....AVI |\0\0\x01[\xb3\xba]",
            "This is a video, not a picture. Upload a picture.",
        ),
        (rb"%PDF", "This is a PDF. Export the page as PNG or JPEG."),
        (
            rb"(\xef\xbb\xbf)?\s*<(!doctype html|html)",
            "This is a web page, not a picture. Save the picture itself and upload that.",
        ),
        (
            rb"(\xef\xbb\xbf)?\s*(<[?!].{0,400}?)?<svg",
            "This is an SVG drawing, which we cannot read. Export it as PNG.",
        ),
        (rb"PK\x03\x04|Rar!|7z\xbc\xaf", "This is an archive. Unpack it and upload the pictures."),
        (rb"8BPS", "This is a Photoshop document. Export it as PNG or JPEG."),
        (
            rb"\xff\x0a|\0\0\0\x0cJXL ",
            "This is a JPEG XL image, which we cannot read. Export it as JPEG.",
        ),
    )
)


def _explain(head: bytes) -> ImageError:
    """Tell why no reader wants a file that begins with `head`."""
    for pattern, sentence in _UNSUPPORTED:
        if pattern.match(head):
            return Unsupported(sentence)
    accepts = [accept for _, accept in map(Image.OPEN.__getitem__, _FORMATS) if accept]
    if any(accept(head[:16]) for accept in accepts):
        return Corrupt()
    if _is_text(head):
        return Unsupported("This is text, not an image. Upload the picture itself.")
    return Unsupported(
        "This is no image that we can read. Upload a JPEG, PNG, WebP, AVIF, HEIC, GIF or TIFF file."
    )


def _is_text(head: bytes) -> bool:
    """Whether bytes look like text in UTF-8, perhaps cut inside its last character."""
    text = head.decode("utf-8", "replace")[:-1]
    return "\ufffd" not in text and "".join(text.split()).isprintable()


# WebP headers
#
# Read here, for Pillow reads a whole WebP and allocates the whole picture before it tells the size:
# 100 MB of file, or 1.8 GB for a file of 34 bytes, in the web server. The format is RFC 9649's.

_MAX_CHUNKS = 10_000  # A still picture has ten; an animation's EXIF may come after all frames.
_MAX_EXIF = 1 << 20  # Bytes; JPEG allows 64 kB.


def _is_webp(head: bytes) -> bool:
    return head.startswith(b"RIFF") and head[8:12] == b"WEBP"


def _read_webp_header(file: IO[bytes], limits: ImageLimits) -> Header:
    width, height = _check_webp(file, limits)
    orientation, had_gps = read_exif(_read_webp_metadata(file))
    if orientation >= 5:
        width, height = height, width
    return Header("webp", width, height, orientation, had_gps)


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


def _read_webp_metadata(file: IO[bytes]) -> Image.Image:
    """Make an image of no pixels that has the EXIF and XMP of a WebP, where Pillow has them."""
    image = Image.Image()
    for name, start, length in webp_chunks(file):
        key = {b"EXIF": "exif", b"XMP ": "xmp"}.get(name)
        if key and key not in image.info:
            file.seek(start + 8)
            image.info[key] = file.read(min(length - 8, _MAX_EXIF + 1))
    return image


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


# ICO pictures

_ICO_SIGNATURE = b"\0\0\1\0"


def _check_ico(file: IO[bytes], limits: ImageLimits) -> Size:
    """Refuse an icon whose picture is too large; give the size of the picture.

    It may be a PNG or BMP of any size, whatever the icon says, and Pillow decodes it while it opens
    the icon: 1.6 GB for a file of 1 MB, in the web server.
    """
    file.seek(0)
    start = IcoImagePlugin.IcoFile(file).entry[0].offset
    file.seek(start)
    is_png = file.read(len(PNG_SIGNATURE)) == PNG_SIGNATURE
    file.seek(start)
    reader = PngImagePlugin.PngImageFile if is_png else BmpImagePlugin.DibImageFile
    image = reader(file)
    _check_runs(image)
    width, height = image.size
    size = (width, height if is_png else height // 2)  # Half the lines of a BMP are its mask.
    _check_size(size, "ICO", limits)
    return size


# TIFF tags

_MAX_NUMBERS = 200_000  # Of one tag. A strip for each line of a picture needs some ten thousand.
_OPAQUE_TYPES = (TiffTags.BYTE, TiffTags.ASCII, TiffTags.UNDEFINED)


def _check_tiff(file: IO[bytes], head: bytes) -> None:
    """Refuse a TIFF with a tag of more numbers than a picture can need.

    Pillow makes an object of each: 1.3 GB and 14 s for a file of 50 MB, in the web server.
    """
    is_big = head[2] == 43  # BigTIFF, whose offsets have 8 bytes.
    directory = TiffImagePlugin.ImageFileDirectory_v2(head[: 16 if is_big else 8])
    _check_directory(file, directory, directory.next)
    place = directory.get(ExifTags.IFD.GPSInfo)
    if isinstance(place, int):
        _check_directory(file, directory, place)


def _is_rare_tiff(file: IO[bytes], head: bytes) -> bool:
    """Say whether a file that Pillow does not open is a whole TIFF of channels it does not know."""
    if head[:4] not in TiffImagePlugin.PREFIXES:
        return False
    file.seek(0)
    try:
        TiffImagePlugin.TiffImageFile(file)
    except SyntaxError as error:
        return "unknown pixel mode" in str(error)
    return False


def _check_directory(
    file: IO[bytes], directory: TiffImagePlugin.ImageFileDirectory_v2, start: int
) -> None:
    file.seek(start)
    directory.load(file)
    for tag, data in directory._tagdata.items():  # Read, but nothing is made of it yet.
        if directory.tagtype[tag] not in _OPAQUE_TYPES and len(data) > 4 * _MAX_NUMBERS:
            raise Corrupt


# PNG chunks

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_PNG_CHUNKS = 20_000  # The largest file, in the 8 kB that libpng puts into each, has 6,000.


def _check_png(file: IO[bytes]) -> None:
    """Refuse a PNG of more chunks than encoders make: millions behind the pixels took 19 s."""
    if any(count > _MAX_PNG_CHUNKS for count, _ in enumerate(png_chunks(file), 1)):
        raise Corrupt


def has_late_metadata(image: Image.Image, source: IO[bytes]) -> bool:
    """Say whether a PNG tells more of itself behind its pixels, or is not in order.

    Of any other image, opening has read all that it tells.
    """
    if image.format != "PNG":
        return False
    names = [name for name, _, _ in png_chunks(source)]
    return b"IDAT" not in names or set(names[names.index(b"IDAT") :]) != {b"IDAT", b"IEND"}


def png_chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Find the chunks of a PNG: each one's name, its start, and its length with all around it."""
    start = len(PNG_SIGNATURE)
    file.seek(start)
    while len(head := file.read(8)) == 8:
        name, length = head[4:], int.from_bytes(head[:4], "big") + 12
        yield name, start, length
        if name == b"IEND":
            break
        start += length
        file.seek(start)


# JPEG scans

_EOI, _SOS = 0xD9, 0xDA
_BARE_MARKERS = (0x01, 0xD8, _EOI)  # TEM, SOI and EOI have no segment.
_SEQUENTIAL = (0xC0, 0xC1, 0xC9)  # Frames whose scans each hold whole components.
# 0xFF before anything that, inside a scan, is not a stuffed zero, a restart or a fill byte.
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_CHUNK = 1 << 14
_MAX_MARKERS = 10_000  # A 100 MP photo with every kind of metadata has some hundreds.


def _check_jpeg_scans(file: IO[bytes], limit: int) -> None:
    """Refuse a JPEG with more scans than `limit`, reading no more of it than it takes."""
    scans, components = 0, b""
    for marker, start, _ in jpeg_segments(file):
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


def jpeg_segments(file: IO[bytes]) -> Iterator[tuple[int, int, int]]:
    """Find the segments of a JPEG: the code of each one's marker, its start and its end.

    Follows the markers as libjpeg does, up to the end of the first picture: the thumbnail in the
    EXIF, or the film that a phone appends, has bytes that only look like scans. What lies between
    two segments belongs to a scan. Raises Corrupt where there is no end to them.
    """
    end = 2
    for _ in range(_MAX_MARKERS):
        file.seek(end)
        marker, start = _next_marker(file)
        end = file.tell()
        if marker not in _BARE_MARKERS:
            end += max(int.from_bytes(file.read(2), "big"), 2)
        yield marker, start, end
        if marker == _EOI:
            return
    raise Corrupt


def _next_marker(file: IO[bytes]) -> tuple[int, int]:
    """Read on to behind the next marker; give its code and its start, or EOI's where all ends."""
    last = b""
    while chunk := file.read(_CHUNK):
        found = _MARKER.search(last + chunk)
        if found:
            end = file.seek(found.end() - len(last + chunk), os.SEEK_CUR)
            return found[1][0], end - 2
        last = chunk[-1:]
    return _EOI, file.tell()


# Orientation

TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_exif(image: Image.Image) -> tuple[int, bool]:
    """Read the orientation, and whether there is a place; broken EXIF is as good as none.

    XMP may tell both too.
    """
    kept = (image.info.get(name) or b"" for name in ("exif", "Raw profile type exif"))
    if any(len(exif) > _MAX_EXIF for exif in kept):
        return 1, False
    try:
        # Not the method of PngImageFile: it decodes all pixels in search of EXIF behind them.
        exif = Image.Image.getexif(image)
        orientation = exif.get(ExifTags.Base.Orientation)
        # Cameras without a fix write the version of this directory and nothing else.
        had_gps = ExifTags.GPS.GPSLatitude in exif.get_ifd(ExifTags.IFD.GPSInfo)
        had_gps = had_gps or b"GPSLatitude" in image.info.get("xmp", b"")
        return (int(orientation) if orientation in TRANSPOSE else 1), had_gps
    except Exception:
        return 1, False


_RIGHTS = (ExifTags.Base.Artist, ExifTags.Base.Copyright)


def read_rights(image: Image.Image) -> bytes:
    """Give EXIF with nothing but the author and the copyright notice; empty without either."""
    try:
        exif = Image.Image.getexif(image)
        rights = Image.Exif()
        for tag in _RIGHTS:
            if tag in exif:
                # Pillow reads Latin-1, whatever it is, but writes ASCII: it gets the bytes back.
                rights[tag] = exif[tag].encode("latin-1")
        return rights.tobytes() if rights else b""
    except Exception:
        return b""  # Broken EXIF is as good as none.


def seen_size(image: Image.Image, orientation: int) -> Size:
    """Give the size after orientation; of a TIFF, Pillow has turned it already."""
    if orientation >= 5 and image.format != "TIFF":
        return image.height, image.width
    return image.size
