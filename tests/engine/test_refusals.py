"""Refuse images that are damaged, too large or no images."""

import struct

import pytest

from tests.support import hostile
from tests.support.engine import Engine, png
from tests.support.images import (
    make_image,
    make_jpeg,
    make_png,
    make_png_chunk,
    make_png_header,
    make_too_many_scans,
    make_truncated,
)
from webapp.engine.errors import (
    Corrupt,
    Empty,
    ImageError,
    TooManyPixels,
    TooManyScans,
    Truncated,
    Unsupported,
)
from webapp.recipes.outputs import Output

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)

REFUSED: dict[str, tuple[bytes, type[ImageError], str]] = {
    "empty": (b"", Empty, "This file is empty"),
    "text": (b"Just some words.\n\tAnd more \xc3\xa4.\n", Unsupported, "This is text"),
    "long text": ("äöü ".encode() * 500, Unsupported, "This is text"),
    "html": (b"\n<!DOCTYPE html><html></html>", Unsupported, "This is a web page"),
    "svg": (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', Unsupported, "This is an SVG drawing"),
    "svg with a doctype": (b"<!DOCTYPE svg>\n<svg/>", Unsupported, "This is an SVG drawing"),
    "pdf": (b"%PDF-1.7\n\xff\xfe", Unsupported, "This is a PDF"),
    "damaged heic": (HEIC, Corrupt, "This image is damaged"),
    "jpeg xl": (b"\xff\x0a" + bytes(100), Unsupported, "This is a JPEG XL image"),
    # Pillow's readers of these do not tell a missing end from another fault.
    "cut heic": (make_truncated(make_image(format="heic"), 0.8), Corrupt, "damaged"),
    "cut jp2": (make_truncated(make_image(format="jp2"), 0.3), Corrupt, "damaged"),
    "mp4": (b"\0\0\0\x18ftypisom\0\0\0\0" + bytes(100), Unsupported, "This is a video"),
    "camera raw": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", Unsupported, "is a raw photo"),
    "m4a": (b"\0\0\0\x18ftypM4A \0\0\0\0M4A isom", Unsupported, "This is a sound file"),
    "png for an iphone app": (
        make_png()[:8] + make_png_chunk(b"CgBI", b"\x50\0\x20\6") + make_png()[8:],
        Unsupported,
        "changed for an iPhone app",
    ),
    "webm": (b"\x1a\x45\xdf\xa3" + bytes(100), Unsupported, "This is a video"),
    "zip": (b"PK\x03\x04" + bytes(100), Unsupported, "This is an archive"),
    "ppm": (
        b"P6 1 1 255\n\0\0\0",
        Unsupported,
        "Upload a JPEG, PNG, WebP, AVIF, HEIC, GIF or TIFF",
    ),
    "random": (bytes(range(256)), Unsupported, "This is not an image that we can read"),
    "gif of nothing": (b"GIF89a" + bytes(7) + b";", Corrupt, "This image is damaged"),
    "png without pixels": (make_png_header((10, 10)), Truncated, "its end was cut off"),
    "cut jpeg": (make_truncated(make_jpeg()), Truncated, "its end was cut off"),
    "cut in the header": (make_jpeg()[:100], Truncated, "its end was cut off"),
    "cut png": (make_truncated(make_png()), Truncated, "its end was cut off"),
    "cut webp": (make_truncated(make_image(format="webp")), Truncated, "its end was cut off"),
    "cut gif": (make_truncated(make_image("P", format="gif")), Truncated, "its end was cut off"),
    "cut tiff": (make_truncated(make_image(format="tiff")), Truncated, "its end was cut off"),
    "cut bmp": (make_truncated(make_image(format="bmp")), Truncated, "its end was cut off"),
    "cut avif": (make_truncated(make_image(format="avif"), 0.95), Truncated, "its end was cut off"),
    "damaged png": (make_png()[:60] + b"\0" * 200 + make_png()[260:], Corrupt, "damaged"),
    "png of a palette without colours": (hostile.png.build(color=3, chunks=[]), Corrupt, "damaged"),
    "tiff of floats in colour": (
        hostile.tiff.grey(
            4,
            4,
            bytes(192),
            more=[
                (258, 3, 3, struct.pack("<3H", 32, 32, 32)),
                (262, 3, 1, struct.pack("<H", 2)),
                (277, 3, 1, struct.pack("<H", 3)),
                (339, 3, 3, struct.pack("<3H", 3, 3, 3)),
            ],
        ),
        Unsupported,
        r"This kind of TIFF .* Export it as 8 or 16 bit RGB\.",
    ),
    "many scans": (make_too_many_scans(60), TooManyScans, "more than 50 scans"),
    "many pixels": (
        make_png_header((12_000, 12_000)),
        TooManyPixels,
        r"This image has 144 megapixels; the limit is 100\. Export it smaller\.",
    ),
    "a few too many pixels": (
        make_png_header((10_000_001, 10)),
        TooManyPixels,
        r"has 100\.1 megapixels; the limit is 100\.",
    ),
    "many pixels in runs": (
        hostile.bmp.build(5000, 1100, b"\0\1", bits=8, compression=1, colors=256),
        TooManyPixels,
        r"has 5\.5 megapixels; the limit is 5\.",
    ),
    "many pixels of another format": (
        b"GIF89a" + struct.pack("<HHBBB", 10_000, 6000, 0, 0, 0) + b"," + bytes(20),
        TooManyPixels,
        r"has 60 megapixels; the limit is 50\.",
    ),
}


@pytest.mark.parametrize(("image", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_refusal_gives_the_reason(
    image: bytes, error: type[ImageError], words: str, engine: Engine
) -> None:
    with pytest.raises(error, match=words) as caught:
        engine.make(image, png(60, 60), Output("other", 60, 60))
    assert type(caught.value) is error
    assert str(caught.value).endswith(".")
    assert list(engine.folder.iterdir()) == []
