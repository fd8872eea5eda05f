"""Open a stranger's image file: tell what it is, refuse what would cost too much.

Headers only, until a caller loads the image that `open_image` returns. A size is (width, height)
in pixels.

The web server calls only `read_header`, in which no C code of Pillow or pillow-heif parses a file.
Headers are read here, in `webapp.isobmff` and in `webapp.tiff`. Pillow gets only a short copy of
the header of a PNG, BMP or TIFF, because it alone knows which kinds of these it decodes; its
readers of these are pure Python until pixels are loaded. Its other readers stay out of the web
server. Those of AVIF, HEIC and WebP pass the whole file to libavif, libheif and libwebp as they
open it; that of ICO decodes the image; that of GIF allocates the first frame (4 GB for 44 bytes);
those of JPEG and JPEG 2000 are Python, but take seconds for what repeats. The only C code left is
zlib: it inflates up to a megabyte of EXIF and one of XMP from the text chunks of a PNG.

A header takes at most 50 ms of CPU time, whatever the file: each loop has a bound, with a comment
that says what honest files have. `tests/hostile.py` has the files that come closest.
"""

import io
import math
import os
import re
import struct
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

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
    UnidentifiedImageError,
    WebPImagePlugin,
)
from pillow_heif import register_heif_opener

from webapp import isobmff, tiff
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
    """Bound what a source and its thumbnails may cost; megapixels are 10⁶ pixels."""

    max_megapixels: float = 100  # JPEG and PNG, whose decoders are frugal.
    max_megapixels_other: float = 50
    max_jpeg_scans: int = 50
    max_frames: int = 200  # Of an animation, if its movement is asked for.
    max_output_megapixels: float = 64  # Of all thumbnails of a source together.


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
        if not head:
            raise Empty
        return _header_reader(head)(file, limits)


_HeaderReader = Callable[[IO[bytes], ImageLimits], Header]


def _header_reader(head: bytes) -> _HeaderReader:
    """Return the reader for a file that begins with `head`.

    Raises ImageError if there is none.
    """
    if _is_webp(head):
        return _read_webp_header
    if isobmff.is_isobmff(head):
        return _read_isobmff_header
    for signature, reader in _HEADER_READERS.items():
        if head.startswith(signature):
            return reader
    raise _explain(head)


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
    if head.startswith(_JPEG_SIGNATURE):
        for _ in _checked_jpeg_segments(file, limits.max_jpeg_scans):
            pass
    if _is_webp(head):
        _check_webp(file, limits)
    if head.startswith(_ICO_SIGNATURE):
        _check_ico(file, limits)
    if head.startswith(PNG_SIGNATURE):
        for _ in _checked_png_chunks(file):
            pass
    if head.startswith(_GIF_SIGNATURES):
        _check_gif(file, limits)
    if head.startswith(_JP2_SIGNATURES):
        _check_jp2(file, limits)
    try:
        image = Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError as error:
        if _is_rare_tiff(file, head):
            raise _rare_tiff() from error
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


# WebP headers: RFC 9649

_MAX_CHUNKS = 10_000  # A still picture has ten; an animation's EXIF may come after all frames.


def _is_webp(head: bytes) -> bool:
    return head.startswith(b"RIFF") and head[8:12] == b"WEBP"


def _read_webp_header(file: IO[bytes], limits: ImageLimits) -> Header:
    size = _check_webp(file, limits)
    found = {b"EXIF": b"", b"XMP ": b""}
    for name, start, length in webp_chunks(file):
        if found.get(name) == b"":
            file.seek(start + 8)
            found[name] = file.read(min(length - 8, _MAX_METADATA + 1))
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


# ISO base media files: AVIF and HEIC


def _read_isobmff_header(file: IO[bytes], limits: ImageLimits) -> Header:
    found = isobmff.read_container(file)
    _check_size(found.size, found.format.upper(), limits)
    orientation, had_gps = _read_metadata(found.exif, found.xmp)
    if found.format == "heic" or found.orientation != 1 or _has_orientation(found.exif):
        orientation = found.orientation  # It overrides EXIF; XMP counts where there is neither.
    return _header(found.format, found.size, orientation, had_gps)


# GIF blocks

_GIF_SIGNATURES = (b"GIF87a", b"GIF89a")
# Before the first frame. A megabyte of XMP, of which letters are taken for lengths, has 12,000.
_MAX_GIF_BLOCKS = 40_000


def _read_gif_header(file: IO[bytes], limits: ImageLimits) -> Header:
    return _header("gif", _check_gif(file, limits))


def _check_gif(file: IO[bytes], limits: ImageLimits) -> Size:
    """Refuse a GIF that is too large; return the size that holds its first frame."""
    file.seek(0)
    width, height, flags = struct.unpack_from("<HHB", file.read(13), 6)
    if flags & 0x80:
        file.seek(3 << (flags & 7) + 1, os.SEEK_CUR)  # The palette.
    for introducer in _gif_blocks(file):
        if introducer == b",":
            left, top, frame_width, frame_height = struct.unpack("<HHHH", file.read(8))
            size = max(width, left + frame_width), max(height, top + frame_height)
            _check_size(size, "GIF", limits)
            return size
    raise Corrupt


def _gif_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Walk the blocks of a GIF; yield the byte that each begins with."""
    in_extension = False
    for _ in range(_MAX_GIF_BLOCKS):
        first = file.read(1)
        if in_extension:  # Its content comes in pieces, each after its length, the last empty.
            in_extension = first not in (b"", b"\0")
            file.seek(int.from_bytes(first, "big"), os.SEEK_CUR)
        elif first in (b"", b";"):
            return
        else:
            yield first
            in_extension = first == b"!"
            file.seek(in_extension, os.SEEK_CUR)  # Its label.


# JPEG 2000 boxes

_JP2_SIGNATURES = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")


def _read_jp2_header(file: IO[bytes], limits: ImageLimits) -> Header:
    return _header("jp2", _check_jp2(file, limits))


def _check_jp2(file: IO[bytes], limits: ImageLimits) -> Size:
    """Refuse a JPEG 2000 that is too large, or has too many boxes; return its size.

    Pillow takes 60 ms for each palette, of which there can be hundreds.
    """
    file.seek(0)
    head = file.read(42)
    if head.startswith(_JP2_SIGNATURES[0]):  # A stream without boxes.
        right, bottom, left, top = struct.unpack_from(">IIII", head, 8)
        width, height = right - left, bottom - top
        (channels,) = struct.unpack_from(">H", head, 40)
    else:
        reader = isobmff.BoxReader(file)
        place = next(place for kind, *place in reader.file_boxes() if kind == b"jp2h")
        header = reader.read_box(*place)
        height, width, channels = struct.unpack_from(">IIH", reader.child(header, b"ihdr"))
    if not 1 <= channels <= 4 or min(width, height) < 0:
        raise Corrupt
    _check_size((width, height), "JP2", limits)
    return width, height


# BMP

_MAX_BMP_HEADER = 14 + 124 + 4 * 65_536  # Bytes: the longest, with the largest palette.


def _read_bmp_header(file: IO[bytes], limits: ImageLimits) -> Header:
    file.seek(0)
    image = BmpImagePlugin.BmpImageFile(io.BytesIO(file.read(_MAX_BMP_HEADER)))
    _check_size(image.size, "BMP", limits)
    _check_runs(image)
    return _header("bmp", image.size)


# ICO pictures

_ICO_SIGNATURE = b"\0\0\1\0"
_MAX_ICO_PICTURES = 256  # An icon of every size and depth that Windows knows has some 30.


def _read_ico_header(file: IO[bytes], limits: ImageLimits) -> Header:
    return _header("ico", _check_ico(file, limits))


def _check_ico(file: IO[bytes], limits: ImageLimits) -> Size:
    """Refuse an icon whose picture is too large; give the size of the picture.

    It may be a PNG or BMP of any size, whatever the icon says, and Pillow decodes it while it opens
    the icon: 1.6 GB for a file of 1 MB.
    """
    start, is_png = _find_ico_picture(file)
    if is_png:
        size = _open_png_header(file, start)[0].size
    else:
        file.seek(start)
        image = BmpImagePlugin.DibImageFile(io.BytesIO(file.read(_MAX_BMP_HEADER)))
        _check_runs(image)
        size = image.width, image.height // 2  # Half the lines are its mask.
    _check_size(size, "ICO", limits)
    return size


def _find_ico_picture(file: IO[bytes]) -> tuple[int, bool]:
    """Find the image of an icon that Pillow opens.

    Returns its start, and whether it is a PNG. It is the largest one; of several, the first with
    the fewest colours.
    """
    file.seek(4)
    (count,) = struct.unpack("<H", file.read(2))
    if count > _MAX_ICO_PICTURES:
        raise Corrupt
    entries = list(struct.iter_unpack("<BBBxHHII", file.read(16 * count)))
    if len(entries) < count:
        raise Truncated

    def rank(entry: tuple[int, ...]) -> tuple[int, int]:
        width, height, colors, _, bits, *_ = entry
        depth = bits or (colors and math.ceil(math.log2(colors))) or 256
        return (width or 256) * (height or 256), -depth

    start: int = max(entries, key=rank)[-1]
    file.seek(start)
    return start, file.read(len(PNG_SIGNATURE)) == PNG_SIGNATURE


# TIFF tags

_XMP_TAG = 700
_STRIPS, _TILES = 273, 324  # Where the pixels are.
_TIFF_TAGS = (
    *(256, 257, 258, 259, 262, 266, _STRIPS, 277, 278, 282, 283, 284, 296, 320, 322, 323, _TILES),
    *(338, 339, 530, 0xBC01, ExifTags.Base.Orientation),
)
_MAX_STRIPS = 200_000  # A strip for each line of a picture needs some ten thousand.
_MAX_TAG = 4096  # Bytes of one of these that are read; a palette of 256 colours has 1536.


def _read_tiff_header(file: IO[bytes], limits: ImageLimits) -> Header:
    """Read the header of a TIFF.

    Pillow opens a copy without the offsets of the strips, because it makes an object of each strip:
    88 ms for 65,535 of them.
    """
    directory = tiff.read_directory(file, dict.fromkeys(_TIFF_TAGS, _MAX_TAG))
    for tag in (_STRIPS, _TILES):
        if directory.sizes.get(tag, 0) > 4 * _MAX_STRIPS:
            raise Corrupt
        if tag in directory.tags:
            directory.tags[tag] = (4, bytes(4))
    try:
        image = TiffImagePlugin.TiffImageFile(tiff.write_directory(directory))
    except SyntaxError as error:
        raise (_rare_tiff() if _RARE in str(error) else Corrupt()) from error
    _check_size(image.size, "TIFF", limits)
    orientation, had_gps = _read_tiff_metadata(file)
    # Pillow has applied the orientation to the size.
    return Header("tiff", *image.size, orientation, had_gps)


_RARE = "unknown pixel mode"


def _rare_tiff() -> Unsupported:
    return Unsupported(
        "This kind of TIFF has channels that we cannot read. Export it as 8 or 16 bit RGB."
    )


def _is_rare_tiff(file: IO[bytes], head: bytes) -> bool:
    """Say whether a file that Pillow does not open is a whole TIFF of channels it does not know."""
    if head[:4] not in TiffImagePlugin.PREFIXES:
        return False
    file.seek(0)
    try:
        TiffImagePlugin.TiffImageFile(file)
    except SyntaxError as error:
        return _RARE in str(error)
    return False


# PNG chunks

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_PNG_CHUNKS = 10_000  # The largest file, in the 8 kB that libpng puts into each, has 6,000.
_MAX_EARLY_CHUNKS = 2_000  # Before the pixels: metadata, of which a file has some dozens.
# Chunks that say of what kind the picture is, and how many bytes of each are read. Not the profile.
_PNG_HEADER = (b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"acTL", b"fcTL")
_MAX_HEADER_CHUNK = 4096  # A palette has up to 768.
_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_PNG_XMP, _PNG_EXIF = b"XML:com.adobe.xmp", b"Raw profile type exif"


def _read_png_header(file: IO[bytes], limits: ImageLimits) -> Header:
    image, found = _open_png_header(file)
    _check_size(image.size, "PNG", limits)
    exif = found.get(b"eXIf") or _read_hex(found.get(_PNG_EXIF, b"").decode("latin-1"))
    return _header("png", image.size, *_read_metadata(exif, found.get(_PNG_XMP, b"")))


def _open_png_header(
    file: IO[bytes], at: int = 0
) -> tuple[PngImagePlugin.PngImageFile, dict[bytes, bytes]]:
    """Open a copy of the chunks that describe the pixels.

    Also returns EXIF and XMP, by the names of their chunks or texts. The copy has no text and no
    profile, of each of which Pillow inflates up to a megabyte: 8.7 s for 4000 profiles.
    """
    kept, metadata, has_pixels = [PNG_SIGNATURE], {}, False
    end = file.seek(0, os.SEEK_END)
    for count, (name, start, length) in enumerate(_checked_png_chunks(file, at)):
        if has_pixels:  # What follows is counted only.
            continue
        if name in (b"IDAT", b"fdAT", b"IEND"):
            kept.append(struct.pack(">I", length - 12) + name)
            has_pixels = True
            continue
        if count == _MAX_EARLY_CHUNKS or not name.isalpha():
            raise Corrupt
        if name in _PNG_HEADER and length > _MAX_HEADER_CHUNK:
            raise Corrupt
        if start + length > end:
            raise Truncated
        if name in _PNG_HEADER:
            file.seek(start)
            kept.append(file.read(length))
        elif name == b"eXIf":
            metadata[name] = name, start, length
        elif name in _PNG_TEXTS:
            key = file.read(len(_PNG_EXIF) + 1).partition(b"\0")[0]
            if key in (_PNG_XMP, _PNG_EXIF):
                metadata[key] = name, start, length  # Of several, the last counts.
    try:
        image = PngImagePlugin.PngImageFile(io.BytesIO(b"".join(kept)))
    except OSError as error:  # Pillow reads on only where it does not know the kind of pixels.
        raise Corrupt from error
    return image, {key: _read_png_metadata(file, *place) for key, place in metadata.items()}


def _read_png_metadata(file: IO[bytes], name: bytes, start: int, length: int) -> bytes:
    """Read the EXIF or the text of a chunk; empty if it is broken."""
    file.seek(start + 8)
    content = file.read(min(length - 12, _MAX_METADATA + 1))
    if name == b"eXIf":
        return content
    text = content.partition(b"\0")[2]
    if name == b"iTXt":
        is_compressed = text[:1] == b"\1"
        text = text[2:].split(b"\0", 2)[-1]
    else:
        is_compressed, text = name == b"zTXt", text[1:] if name == b"zTXt" else text
    try:
        return zlib.decompressobj().decompress(text, _MAX_METADATA) if is_compressed else text
    except zlib.error:
        return b""


def _checked_png_chunks(file: IO[bytes], at: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Find the chunks of a PNG, and check how many there are.

    Raises Corrupt at one too many, or at a second colour profile. Pillow takes 19 s for millions of
    chunks after the pixels, and 9 s for 4000 profiles.
    """
    profiles = 0
    for count, (name, start, length) in enumerate(png_chunks(file, at), 1):
        profiles += name == b"iCCP"
        if count > _MAX_PNG_CHUNKS or profiles > 1:
            raise Corrupt
        yield name, start, length


def has_late_metadata(image: Image.Image, source: IO[bytes]) -> bool:
    """Say whether a PNG tells more of itself behind its pixels, or is not in order.

    Of any other image, opening has read all that it tells.
    """
    if image.format != "PNG":
        return False
    names = [name for name, _, _ in png_chunks(source)]
    return b"IDAT" not in names or set(names[names.index(b"IDAT") :]) != {b"IDAT", b"IEND"}


def png_chunks(file: IO[bytes], at: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Find the chunks of a PNG: name, start, and length with all around it.

    `at` is where the PNG starts in the file.
    """
    start = at + len(PNG_SIGNATURE)
    file.seek(start)
    while len(head := file.read(8)) == 8:
        name, length = head[4:], int.from_bytes(head[:4], "big") + 12
        yield name, start, length
        if name == b"IEND":
            break
        start += length
        file.seek(start)


# JPEG segments

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
            if content.startswith(_EXIF_WORD) and exif_bytes <= _MAX_METADATA:
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


# Orientation and place

TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


_MAX_METADATA = isobmff.MAX_METADATA  # Bytes of EXIF or XMP; JPEG allows 64 kB.
_METADATA_TAGS = {ExifTags.Base.Orientation: 8, ExifTags.IFD.GPSInfo: 8, _XMP_TAG: _MAX_METADATA}
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


def read_exif(image: Image.Image) -> tuple[int, bool]:
    """Read the orientation, and whether there is a place; broken EXIF is as good as none.

    XMP may tell both too.
    """
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.fp:
        return _read_tiff_metadata(image.fp)
    exif, told = image.info.get("exif"), image.info.get(_PNG_EXIF.decode(), "")
    xmp = image.info.get("xmp") or image.info.get(_PNG_XMP.decode()) or b""
    return _read_metadata(
        exif if exif is not None else _read_hex(told),
        xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp,
    )


def _read_hex(profile: str) -> bytes:
    """Read EXIF from the text that ImageMagick writes: three lines, then digits."""
    try:
        return bytes.fromhex("".join(profile.split("\n", 3)[3:]))
    except ValueError:
        return b""


def _read_metadata(exif: bytes, xmp: bytes) -> tuple[int, bool]:
    """Read the orientation, and whether there is a place, from EXIF and XMP."""
    if len(exif) > _MAX_METADATA:
        return 1, False
    return _read_tiff_metadata(io.BytesIO(_EXIF_PREFIX.sub(b"", exif)), xmp)


_EXIF_PREFIX = re.compile(rb"\A(?:Exif\0\0){1,2}")


def _read_tiff_metadata(file: IO[bytes], xmp: bytes = b"") -> tuple[int, bool]:
    """Read the orientation, and whether there is a place, from a TIFF and XMP."""
    try:
        directory = tiff.read_directory(file, _METADATA_TAGS)
        orientation = directory.number(ExifTags.Base.Orientation)
        xmp = xmp or directory.tags.get(_XMP_TAG, (0, b""))[1]
        had_gps = _has_latitude(file, directory)
    except Exception:
        orientation, had_gps = None, False
    told = _XMP_ORIENTATION.search(xmp, 0, _MAX_METADATA)
    if orientation is None and told:
        orientation = int(told[1])
    had_gps = had_gps or xmp.find(b"GPSLatitude", 0, _MAX_METADATA) >= 0
    return (int(orientation) if orientation in TRANSPOSE else 1), had_gps


def _has_latitude(file: IO[bytes], directory: tiff.Directory) -> bool:
    """Return whether there is a place.

    Cameras without a fix write a directory that has only its version.
    """
    start = directory.number(ExifTags.IFD.GPSInfo)
    if not isinstance(start, int):
        return False
    latitude = ExifTags.GPS.GPSLatitude
    return latitude in tiff.read_directory(file, {latitude: 1}, start).tags


def _has_orientation(exif: bytes) -> bool:
    try:
        file = io.BytesIO(_EXIF_PREFIX.sub(b"", exif))
        return bool(tiff.read_directory(file, {ExifTags.Base.Orientation: 8}).tags)
    except Exception:
        return False


def _header(format: str, size: Size, orientation: int = 1, had_gps: bool = False) -> Header:
    """Make the header of an image from its size as stored."""
    width, height = size[::-1] if orientation >= 5 else size
    return Header(format, width, height, orientation, had_gps)


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


_HEADER_READERS: dict[bytes | tuple[bytes, ...], _HeaderReader] = {
    _JPEG_SIGNATURE: _read_jpeg_header,
    PNG_SIGNATURE: _read_png_header,
    _GIF_SIGNATURES: _read_gif_header,
    tuple(TiffImagePlugin.PREFIXES): _read_tiff_header,
    b"BM": _read_bmp_header,
    _ICO_SIGNATURE: _read_ico_header,
    _JP2_SIGNATURES: _read_jp2_header,
}
