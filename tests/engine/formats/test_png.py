"""Read the header of a PNG, with the metadata in its texts."""

import zlib

import pytest

from tests.support.engine import Engine
from tests.support.hostile import png
from tests.support.images import make_exif
from webapp.engine.errors import Corrupt, Truncated
from webapp.engine.header import Header

EXIF = make_exif(6, gps=True)
# As ImageMagick writes it: a name, a length, and digits in lines.
TEXT = f"\nexif\n{len(EXIF):8}\n{EXIF.hex()}\n".encode()
XMP = b'<x tiff:Orientation="6" exif:GPSLatitude="51,28N"/>'
TEXTS = {
    "exif": (b"eXIf", EXIF.removeprefix(b"Exif\0\0")),
    "exif as text": (b"tEXt", b"Raw profile type exif\0" + TEXT),
    "exif as compressed text": (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(TEXT)),
    "xmp": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
    "compressed xmp": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)),
}


@pytest.mark.parametrize("chunk", TEXTS.values(), ids=TEXTS)
def test_metadata_of_every_kind_of_text_is_read(chunk: tuple[bytes, bytes], engine: Engine) -> None:
    image = png.build(64, 48, chunks=[chunk])
    assert engine.header(image) == Header("png", 48, 64, 6, True)


BROKEN = {
    "digits": (b"tEXt", b"Raw profile type exif\0\nexif\n 4\nno digits\n"),
    "compression": (b"zTXt", b"Raw profile type exif\0\0" + b"not compressed"),
    "compressed xmp": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + b"not compressed"),
}


@pytest.mark.parametrize("chunk", BROKEN.values(), ids=BROKEN)
def test_broken_metadata_is_ignored(chunk: tuple[bytes, bytes], engine: Engine) -> None:
    image = png.build(64, 48, chunks=[chunk])
    assert engine.header(image) == Header("png", 64, 48, 1, False)


@pytest.mark.parametrize(
    "chunks",
    [[(b"gAMA", bytes(5000))], [(b"\0\1\2\3", b"")], [(b"teXt", b"")] * 2001],
    ids=["too long", "not of letters", "too many"],
)
def test_chunks_of_no_honest_file_are_refused(
    chunks: list[tuple[bytes, bytes]], engine: Engine
) -> None:
    with pytest.raises(Corrupt):
        engine.header(png.build(64, 48, chunks=chunks))


def test_png_cut_within_a_chunk_of_its_header_is_truncated(engine: Engine) -> None:
    image = png.build(64, 48, chunks=[(b"gAMA", bytes(4))])
    with pytest.raises(Truncated):
        engine.header(image[: image.index(b"gAMA") + 6])
