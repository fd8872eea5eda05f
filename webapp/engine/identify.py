"""Identify an image file and read its header, without decoding it.

This is the only part of the engine that the web server runs on uploads. No C code of Pillow or
pillow-heif parses a file here: each module of `formats` reads the header of its container in
Python. Pillow gets only a short copy of the header of a PNG, BMP or TIFF, because only Pillow knows
which kinds of these it decodes; its readers of these are pure Python until pixels are loaded. Its
other readers are not used here. Those of AVIF, HEIC and WebP pass the whole file to libavif,
libheif and libwebp when they open it; that of ICO decodes the image; that of GIF allocates the
first frame (4 GB for 44 bytes); those of JPEG and JPEG 2000 are Python, but take seconds for
repeated segments. The only C code left is zlib: it inflates up to a megabyte of EXIF and one of XMP
from the text chunks of a PNG.

Reading a header takes at most 50 ms of CPU time, whatever the file: each loop has a bound, with a
comment that says what honest files have. The files of `tests/support/hostile/` come closest.
"""

import re
import warnings
from pathlib import Path
from typing import IO, Protocol

from webapp.engine.errors import (
    Corrupt,
    Empty,
    ImageError,
    Unsupported,
    translate_decoder_errors,
)
from webapp.engine.formats import bmp, gif, ico, isobmff, jp2, jpeg, png, tiff, webp
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits

# Pillow warns about malformed metadata; that is noise in our logs.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

HEAD = 512  # Bytes that identify a file.


class Container(Protocol):
    """A module of `formats`."""

    def matches(self, head: bytes) -> bool: ...

    def read_header(self, file: IO[bytes], limits: ImageLimits) -> Header: ...


_CONTAINERS: tuple[Container, ...] = (webp, isobmff, jpeg, png, gif, tiff, bmp, ico, jp2)

# The same as a regular expression, for browsers.
FORMAT_PATTERN = b"|".join(
    (
        *(
            b"".join(b"\\x%02x" % byte for byte in signature)
            for signature in (
                *(jpeg.SIGNATURE, png.SIGNATURE, bmp.SIGNATURE, ico.SIGNATURE),
                *(*gif.SIGNATURES, *tiff.SIGNATURES, *jp2.SIGNATURES),
            )
        ),
        rb"RIFF.{4}WEBP",
        rb".{4}ftyp(" + b"|".join(isobmff.BRANDS) + rb")",
    )
)

_TEXT = "This is text, not an image. Upload the picture itself."
_UNKNOWN = (
    "This is not an image that we can read. Upload a JPEG, PNG, WebP, AVIF, HEIC, GIF or TIFF file."
)
_PATTERNS = (
    (
        rb".{4}ftyp(mif[23]|miaf|1pic|avc[is]|j2k[is]|jpe?g[s ]|jpeg|vvi[cs]|evbi|unif)",
        "This HEIF image is not coded as HEIC or AVIF. Export it as JPEG or PNG.",
    ),
    (
        rb".{4}ftypcrx ",
        "This is a raw photo of a camera, which we cannot read. Export it as JPEG.",
    ),
    (rb".{4}ftyp(M4[ABP]|F4[AB]) ", "This is a sound file. Upload a picture."),
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
_UNSUPPORTED = tuple(
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), sentence) for pattern, sentence in _PATTERNS
)
# For browsers: what is wrong with a file of no format, by how it begins. The first pattern counts.
UNSUPPORTED_PATTERNS = (
    *_PATTERNS,
    (rb"[\t\n\r\x20-\x7e\x80-\xff]*$", _TEXT),
    (b"", _UNKNOWN),
)


def read_header(source: Path, limits: ImageLimits) -> Header:
    """Read the header of an image file, without decoding its pixels.

    The content counts, never the name of the file. Raises ImageError.
    """
    with source.open("rb") as file, translate_decoder_errors():
        head = file.read(HEAD)
        if not head:
            raise Empty
        container = _find_container(head)
        if container is None:
            raise explain(head)
        return container.read_header(file, limits)


def explain(head: bytes) -> ImageError:
    """Return the error for an unreadable file that begins with `head`."""
    for pattern, sentence in _UNSUPPORTED:
        if pattern.match(head):
            return Unsupported(sentence)
    if _find_container(head):
        return Corrupt()
    if _is_text(head):
        return Unsupported(_TEXT)
    return Unsupported(_UNKNOWN)


def _find_container(head: bytes) -> Container | None:
    return next((container for container in _CONTAINERS if container.matches(head)), None)


def _is_text(head: bytes) -> bool:
    """Return True for UTF-8 text, even if its last character is cut."""
    text = head.decode("utf-8", "replace")[:-1]
    return "\ufffd" not in text and "".join(text.split()).isprintable()
