"""Read the header of an image: its format, size, orientation and place."""

import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageFile
from PIL.PngImagePlugin import PngInfo

from tests.support import hostile
from tests.support.engine import LIMITS, Engine, assert_corners, png
from tests.support.images import (
    encode,
    make_corners,
    make_exif,
    make_image,
    make_jpeg,
    make_picture,
    make_png_header,
    turn,
)
from webapp.engine.errors import ImageError, TooManyPixels, TooManyScans
from webapp.engine.header import Header
from webapp.engine.identify import read_header

# What Pillow has to say about odd metadata; webapp.engine.identify silences it, pytest undoes that.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def test_file_name_does_not_decide_the_format(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(make_jpeg())
    assert read_header(path, LIMITS).format == "jpeg"


@pytest.mark.parametrize(
    "format", ["jpeg", "png", "webp", "gif", "tiff", "bmp", "avif", "heic", "ico", "jp2"]
)
def test_header_is_read_without_pixels(
    format: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image("RGB", (90, 60), format)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("it decodes pixels"))
    assert engine.header(image).width == 90


def test_header_of_any_size_is_read_fast(engine: Engine) -> None:
    started = time.process_time()
    assert engine.header(make_png_header((9000, 9000))) == Header("png", 9000, 9000, 1, False)
    with pytest.raises(TooManyPixels):
        engine.header(make_png_header((2_000_000_000, 2_000_000_000)))
    assert time.process_time() - started < 0.1


NO_PLACE = Image.Exif()
NO_PLACE.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSVersionID] = b"\2\3\0\0"
PLACES: dict[str, tuple[dict[str, bytes], bool]] = {
    "none": ({}, False),
    "exif": ({"exif": make_exif(gps=True)}, True),
    "exif without one": ({"exif": make_exif()}, False),
    "no fix": ({"exif": NO_PLACE.tobytes()}, False),
    "xmp": ({"xmp": b'<x exif:GPSLatitude="51,28N"/>'}, True),
    "xmp without one": ({"xmp": b'<x dc:title="GPS"/>'}, False),
}


def put_xmp(format: str, xmp: bytes) -> dict[str, Any]:
    """Return the option of `save` that puts XMP into a file."""
    if format == "tiff":
        return {"tiffinfo": {700: xmp}}
    if format == "png":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
        return {"pnginfo": text}
    return {"xmp": xmp}


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff", "avif"])
@pytest.mark.parametrize(("metadata", "has_place"), PLACES.values(), ids=PLACES)
def test_header_and_result_report_a_gps_location(
    metadata: dict[str, bytes], has_place: bool, format: str, engine: Engine
) -> None:
    options = put_xmp(format, metadata["xmp"]) if "xmp" in metadata else metadata
    image = encode(make_picture(), format, **options)
    assert engine.header(image).had_gps is has_place
    assert engine.result(image, png(60, 60)).header.had_gps is has_place


BOTH = {"exif": make_exif(6), "xmp": b'<x tiff:Orientation="8"/>'}
ORIENTED: dict[str, tuple[str, dict[str, bytes]]] = {
    "jpeg": ("jpeg", {"exif": make_exif(6)}),
    "jpeg by both": ("jpeg", BOTH),
    "webp": ("webp", {"exif": make_exif(6)}),
    "webp by both": ("webp", BOTH),
    "tiff": ("tiff", {"exif": make_exif(6)}),
}


@pytest.mark.parametrize(("format", "options"), ORIENTED.values(), ids=ORIENTED)
def test_header_and_result_agree_on_the_orientation(
    format: str, options: dict[str, bytes], engine: Engine
) -> None:
    image = encode(turn(make_corners(), 6), format, **options)
    assert engine.header(image) == Header(format, 120, 80, 6, False)
    assert engine.result(image, png(60, 60)).header == engine.header(image)
    assert_corners(engine.picture(image, png(60, 40)), tolerance=16)


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff", "avif"])
def test_orientation_in_xmp_alone_does_not_count(format: str, engine: Engine) -> None:
    options = put_xmp(format, b'<x tiff:Orientation="6"/>')
    image = encode(make_corners(), format, **options)
    assert b'tiff:Orientation="6"' in image
    assert engine.header(image) == Header(format, 120, 80, 1, False)
    assert engine.result(image, png(60, 60)).header == engine.header(image)
    assert_corners(engine.picture(image, png(60, 40)), tolerance=16)


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0", b"Exif\0\0garbage", make_exif(6)[:20], make_exif(6).replace(b"\x06", b"\x09")],
    ids=["empty", "garbage", "cut", "nine"],
)
def test_broken_exif_is_ignored(exif: bytes, engine: Engine) -> None:
    photo = encode(make_corners(), "jpeg", exif=exif)
    assert engine.header(photo) == Header("jpeg", 120, 80, 1, False)
    assert_corners(engine.picture(photo, png(60, 40)))


def test_missing_source_is_not_blamed_on_the_image(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_header(tmp_path / "nothing", LIMITS)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (hostile.tiff.bombs, "tiff-5-million-strips.tiff"),
        (hostile.tiff.lies, "tiff-photo-with-place-of-4-million-numbers.tiff"),
        (hostile.exif.files, "exif-of-24-megabytes.png"),
    ],
)
def test_millions_of_numbers_in_a_header_use_little_memory(
    make: Callable[[], dict[str, bytes]], name: str, engine: Engine
) -> None:
    image = make()[name]
    tracemalloc.start()
    with suppress(ImageError):
        engine.header(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000_000


def test_given_limits_apply(engine: Engine) -> None:
    limits = replace(LIMITS, max_megapixels=0.01, max_megapixels_other=0.005, max_jpeg_scans=20)
    assert engine.header(make_jpeg((100, 100)), limits).width == 100
    with pytest.raises(TooManyPixels):
        engine.header(make_jpeg((101, 100)), limits)
    with pytest.raises(TooManyPixels, match=r"limit is 0\.005"):
        engine.header(make_image("RGB", (100, 51), "webp"), limits)
    assert engine.header(make_jpeg((90, 60), progressive_scans=20), limits)
    with pytest.raises(TooManyScans, match="more than 20 scans"):
        engine.header(make_jpeg((90, 60), progressive_scans=21), limits)
