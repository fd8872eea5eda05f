"""Identify an image file and read its header, without decoding it.

This is all that the web server runs of the engine. No C code of Pillow or pillow-heif parses a file
here: each module of `formats` reads the header of its container in Python. Pillow gets only a short
copy of the header of a PNG, BMP or TIFF, because it alone knows which kinds of these it decodes;
its readers of these are pure Python until pixels are loaded. Its other readers are not used here.
Those of AVIF, HEIC and WebP pass the whole file to libavif, libheif and libwebp as they open it;
that of ICO decodes the image; that of GIF allocates the first frame (4 GB for 44 bytes); those of
JPEG and JPEG 2000 are Python, but take seconds for repeated segments. The only C code left is zlib:
it inflates up to a megabyte of EXIF and one of XMP from the text chunks of a PNG.

A header takes at most 50 ms of CPU time, whatever the file: each loop has a bound, with a comment
that says what honest files have. `tests/support/hostile/` has the files that come closest.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import IO

from PIL import TiffImagePlugin

from webapp.engine.errors import Corrupt, Empty, ImageError, Unsupported, decoder_faults
from webapp.engine.formats import isobmff
from webapp.engine.formats.bmp import _read_bmp_header
from webapp.engine.formats.gif import _GIF_SIGNATURES, _read_gif_header
from webapp.engine.formats.ico import _ICO_SIGNATURE, _read_ico_header
from webapp.engine.formats.isobmff import _read_isobmff_header
from webapp.engine.formats.jp2 import _JP2_SIGNATURES, _read_jp2_header
from webapp.engine.formats.jpeg import _JPEG_SIGNATURE, _read_jpeg_header
from webapp.engine.formats.png import PNG_SIGNATURE, _read_png_header
from webapp.engine.formats.tiff import _read_tiff_header
from webapp.engine.formats.webp import _is_webp, _read_webp_header
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits


def read_header(source: Path, limits: ImageLimits) -> Header:
    """Read what an image is, without decoding its pixels.

    The content decides, never the name. Raises ImageError.
    """
    with source.open("rb") as file, decoder_faults():
        head = file.read(_HEAD)
        if not head:
            raise Empty
        reader = _header_reader(head)
        if reader is None:
            raise _explain(head)
        return reader(file, limits)


_HeaderReader = Callable[[IO[bytes], ImageLimits], Header]


def _header_reader(head: bytes) -> _HeaderReader | None:
    """Return the reader for a file that begins with `head`; None if there is none."""
    if _is_webp(head):
        return _read_webp_header
    if isobmff.is_isobmff(head):
        return _read_isobmff_header
    for signature, reader in _HEADER_READERS.items():
        if head.startswith(signature):
            return reader
    return None


_HEAD = 512  # Bytes that tell what a file is.


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
    if _header_reader(head):
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


_HEADER_READERS: dict[bytes | tuple[bytes, ...], _HeaderReader] = {
    _JPEG_SIGNATURE: _read_jpeg_header,
    PNG_SIGNATURE: _read_png_header,
    _GIF_SIGNATURES: _read_gif_header,
    tuple(TiffImagePlugin.PREFIXES): _read_tiff_header,
    b"BM": _read_bmp_header,
    _ICO_SIGNATURE: _read_ico_header,
    _JP2_SIGNATURES: _read_jp2_header,
}
