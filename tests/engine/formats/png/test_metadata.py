"""Read EXIF and XMP from the chunks of a PNG."""

import zlib

import pytest

from tests.support.engine import Engine
from tests.support.engine import png as make_output
from tests.support.hostile import png
from tests.support.images import make_exif
from webapp.engine.header import Header

EXIF = make_exif(6, gps=True)
# As ImageMagick writes it: a name, a length, and digits in lines.
TEXT = f"\nexif\n{len(EXIF):8}\n{EXIF.hex()}\n".encode()
XMP_KEY = b"XML:com.adobe.xmp"
XMP = b'<x tiff:Orientation="6" exif:GPSLatitude="51,28N"/>'
TEXTS = {
    "exif": (b"eXIf", EXIF.removeprefix(b"Exif\0\0")),
    "exif as text": (b"tEXt", b"Raw profile type exif\0" + TEXT),
    "exif as compressed text": (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(TEXT)),
    "xmp": (b"iTXt", XMP_KEY + b"\0\0\0\0\0" + XMP),
    "compressed xmp": (b"iTXt", XMP_KEY + b"\0\1\0\0\0" + zlib.compress(XMP)),
}


def header_of(chunk: tuple[bytes, bytes]) -> Header:
    """Return the header of a PNG with this chunk: XMP does not rotate it."""
    return Header("png", 64, 48, 1, True) if XMP_KEY in chunk[1] else Header("png", 48, 64, 6, True)


@pytest.mark.parametrize("chunk", TEXTS.values(), ids=TEXTS)
def test_metadata_of_every_kind_of_text_is_read(chunk: tuple[bytes, bytes], engine: Engine) -> None:
    assert engine.header(png.build(64, 48, chunks=[chunk])) == header_of(chunk)


@pytest.mark.parametrize("chunk", TEXTS.values(), ids=TEXTS)
def test_metadata_after_the_pixels_is_read_by_both(
    chunk: tuple[bytes, bytes], engine: Engine
) -> None:
    image = png.build(64, 48, late_chunks=[chunk])
    assert engine.header(image) == header_of(chunk)
    result = engine.result(image, make_output(64, 64))
    assert result.header == header_of(chunk)
    size = (result.thumbnails[0].width, result.thumbnails[0].height)
    assert size == (result.header.width, result.header.height)


BROKEN = {
    "digits": (b"tEXt", b"Raw profile type exif\0\nexif\n 4\nno digits\n"),
    "compression": (b"zTXt", b"Raw profile type exif\0\0" + b"not compressed"),
    "compressed xmp": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + b"not compressed"),
}


@pytest.mark.parametrize("chunk", BROKEN.values(), ids=BROKEN)
def test_broken_metadata_is_ignored(chunk: tuple[bytes, bytes], engine: Engine) -> None:
    image = png.build(64, 48, chunks=[chunk])
    assert engine.header(image) == Header("png", 64, 48, 1, False)
