import io
import json
import struct
import subprocess
import sys
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
    make_png,
    make_png_header,
    make_too_many_scans,
    make_truncated,
    turn,
)
from tests.support.read_headers import SLOW_TO_OPEN
from webapp.engine import opening
from webapp.engine.errors import (
    Corrupt,
    Empty,
    ImageError,
    TooManyPixels,
    TooManyScans,
    Truncated,
    Unsupported,
)
from webapp.engine.formats import jpeg
from webapp.engine.header import Header
from webapp.engine.identify import read_header
from webapp.recipes.outputs import Output

# What Pillow has to say about odd metadata; webapp.engine.identify silences it, pytest undoes that.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

# What a header says


def test_name_decides_nothing(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("picture", [{}, {"bitmap_format": "bmp"}], ids=["png", "bmp"])
def test_header_of_an_icon_says_what_pillow_says(picture: dict[str, Any], engine: Engine) -> None:
    icon = encode(make_picture("RGBA", (90, 60)), "ICO", **picture)
    assert engine.header(icon) == Header("ico", 90, 60, 1, False)
    assert engine.result(icon, png(60, 60)).header == engine.header(icon)


def test_icon_larger_than_it_says_is_refused_unread(engine: Engine) -> None:
    icon = hostile.ico.build(make_png_header((20_000, 20_000)))
    with pytest.raises(TooManyPixels, match="400 megapixels"):
        engine.header(icon)
    with pytest.raises(TooManyPixels, match="400 megapixels"):
        engine.make(icon, png(60, 60))


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


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff", "avif", "heic"])
@pytest.mark.parametrize(("metadata", "has_place"), PLACES.values(), ids=PLACES)
def test_header_and_result_tell_of_a_place(
    metadata: dict[str, bytes], has_place: bool, format: str, engine: Engine
) -> None:
    options = put_xmp(format, metadata["xmp"]) if "xmp" in metadata else metadata
    image = encode(make_picture(), format, **options)
    assert engine.header(image).had_gps is has_place
    assert engine.result(image, png(60, 60)).header.had_gps is has_place


BY_XMP = {"xmp": b'<x tiff:Orientation="6"/>'}
BOTH = {"exif": make_exif(6), "xmp": b'<x tiff:Orientation="8"/>'}
ORIENTED: dict[str, tuple[str, dict[str, bytes]]] = {
    "jpeg": ("jpeg", {"exif": make_exif(6)}),
    "jpeg by xmp": ("jpeg", BY_XMP),
    "jpeg by both": ("jpeg", BOTH),
    "webp": ("webp", {"exif": make_exif(6)}),
    "webp by xmp": ("webp", BY_XMP),
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


def test_photo_followed_by_another_counts_as_jpeg(engine: Engine) -> None:
    photo = encode(make_corners(), "mpo", save_all=True, append_images=[make_picture()])
    assert engine.header(photo).format == "jpeg"
    assert_corners(engine.picture(photo, png(60, 40)))


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0", b"Exif\0\0garbage", make_exif(6)[:20], make_exif(6).replace(b"\x06", b"\x09")],
    ids=["empty", "garbage", "cut", "nine"],
)
def test_broken_exif_is_as_good_as_none(exif: bytes, engine: Engine) -> None:
    photo = encode(make_corners(), "jpeg", exif=exif)
    assert engine.header(photo) == Header("jpeg", 120, 80, 1, False)
    assert_corners(engine.picture(photo, png(60, 40)))


# Refusals

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
    "webm": (b"\x1a\x45\xdf\xa3" + bytes(100), Unsupported, "This is a video"),
    "zip": (b"PK\x03\x04" + bytes(100), Unsupported, "This is an archive"),
    "ppm": (
        b"P6 1 1 255\n\0\0\0",
        Unsupported,
        "Upload a JPEG, PNG, WebP, AVIF, HEIC, GIF or TIFF",
    ),
    "random": (bytes(range(256)), Unsupported, "This is not an image that we can read"),
    "gif of nothing": (b"GIF89a", Corrupt, "This image is damaged"),
    "png without pixels": (make_png_header((10, 10)), Truncated, "its end is missing"),
    "cut jpeg": (make_truncated(make_jpeg()), Truncated, "its end is missing"),
    "cut in the header": (make_jpeg()[:100], Truncated, "its end is missing"),
    "cut png": (make_truncated(make_png()), Truncated, "its end is missing"),
    "cut webp": (make_truncated(make_image(format="webp")), Truncated, "its end is missing"),
    "cut gif": (make_truncated(make_image("P", format="gif")), Truncated, "its end is missing"),
    "cut tiff": (make_truncated(make_image(format="tiff")), Truncated, "its end is missing"),
    "cut bmp": (make_truncated(make_image(format="bmp")), Truncated, "its end is missing"),
    "cut avif": (make_truncated(make_image(format="avif"), 0.95), Truncated, "its end is missing"),
    "damaged png": (make_png()[:60] + b"\0" * 200 + make_png()[260:], Corrupt, "damaged"),
    "png of more transparent colours than colours": (
        hostile.png.build(10, 10, color=3, chunks=[(b"PLTE", bytes(30)), (b"tRNS", bytes(300))]),
        Corrupt,
        "damaged",
    ),
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


def test_missing_source_is_no_fault_of_an_image(tmp_path: Path) -> None:
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
def test_millions_of_numbers_in_a_header_are_not_listed(
    make: Callable[[], dict[str, bytes]], name: str, engine: Engine
) -> None:
    image = make()[name]
    tracemalloc.start()
    with suppress(ImageError):
        engine.header(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000_000


def test_limits_are_those_given(engine: Engine) -> None:
    limits = replace(LIMITS, max_megapixels=0.01, max_megapixels_other=0.005, max_jpeg_scans=20)
    assert engine.header(make_jpeg((100, 100)), limits).width == 100
    with pytest.raises(TooManyPixels):
        engine.header(make_jpeg((101, 100)), limits)
    with pytest.raises(TooManyPixels, match=r"limit is 0\.005"):
        engine.header(make_image("RGB", (100, 51), "webp"), limits)
    assert engine.header(make_jpeg((90, 60), progressive_scans=20), limits)
    with pytest.raises(TooManyScans, match="more than 20 scans"):
        engine.header(make_jpeg((90, 60), progressive_scans=21), limits)


# Scans of a JPEG


def test_bytes_that_look_like_scans_do_not_count(engine: Engine) -> None:
    scans = b"\xff\xda\0\x08" * 100
    commented = make_jpeg(comment=scans, progressive=True)
    assert engine.header(commented).format == "jpeg"
    assert engine.header(make_jpeg(progressive=True) + scans).format == "jpeg"
    assert engine.header(make_jpeg() + scans).format == "jpeg"


def test_scans_are_counted_across_chunks(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg, "_CHUNK", 1)
    assert engine.header(make_jpeg((60, 40), progressive_scans=50)).format == "jpeg"
    with pytest.raises(TooManyScans):
        engine.header(make_jpeg((60, 40), progressive_scans=51))


def test_scans_far_back_are_counted_where_they_are_decoded(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jpeg, "_CHUNK", 100)
    monkeypatch.setattr(jpeg, "_MAX_WALK", 2_000)
    image = make_too_many_scans(60)
    assert engine.header(image).format == "jpeg"
    with pytest.raises(TooManyScans):
        engine.make(image, png(60, 60))


def test_picture_far_behind_junk_is_not_searched(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jpeg, "_CHUNK", 100)
    monkeypatch.setattr(jpeg, "_MAX_WALK", 2_000)
    comment = hostile.jpeg.segment(0xFE, b"")
    near, far = (hostile.jpeg.after_soi(make_jpeg(), comment + bytes(n)) for n in (1_000, 3_000))
    assert engine.header(near).format == "jpeg"
    with pytest.raises(Truncated):
        engine.header(far)


def test_photo_of_one_scan_is_not_read_to_its_end() -> None:
    photo = io.BytesIO(make_jpeg((1600, 1200)))
    opening.open_image(photo, LIMITS)
    assert photo.tell() < 2000


def test_endless_segments_are_refused_fast(engine: Engine) -> None:
    with pytest.raises(Corrupt):
        engine.header(b"\xff\xd8" + b"\xff\xfe\0\x02" * 1_000_000)


# Headers of WebP

WEBP_KINDS: dict[str, dict[str, Any]] = {
    "lossy": {},
    "lossless": {"lossless": True},
    "extended": {"exif": make_exif(orientation=6, gps=True)},
}


@pytest.mark.parametrize("options", WEBP_KINDS.values(), ids=WEBP_KINDS.keys())
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp_header_says_what_pillow_says(
    mode: str, options: dict[str, Any], tmp_path: Path
) -> None:
    source = tmp_path / "a.webp"
    source.write_bytes(encode(make_picture(mode, (121, 83)), "WEBP", **options))
    header = read_header(source, LIMITS)
    with Image.open(source) as image:
        exif = image.getexif()
        size = image.size[::-1] if exif else image.size
        assert (header.width, header.height) == size
        assert header.orientation == exif.get(ExifTags.Base.Orientation, 1)
        assert header.had_gps == bool(exif.get_ifd(ExifTags.IFD.GPSInfo))


def test_huge_webp_is_refused_before_it_costs_memory(tmp_path: Path) -> None:
    source = tmp_path / "bomb.webp"
    bits = (15_999 | 15_999 << 14).to_bytes(4, "little")
    source.write_bytes(b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f" + bits + bytes(9))
    tracemalloc.start()
    with pytest.raises(TooManyPixels, match="256 megapixels"):
        read_header(source, LIMITS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("end", [12, 16, 20, 25, 29])
def test_webp_that_ends_in_its_header_is_refused(end: int, tmp_path: Path) -> None:
    source = tmp_path / "cut.webp"
    source.write_bytes(encode(make_picture(), "WEBP")[:end])
    with pytest.raises(Truncated):
        read_header(source, LIMITS)


# The web server: no C code, no long wait


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the output of tests.support.read_headers: answers and times by file."""
    command = [
        sys.executable,
        "-m",
        "tests.support.read_headers",
        str(tmp_path_factory.mktemp("headers")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return answers


def is_header(answer: object) -> bool:
    """Return whether this is a header; the code of an error is text."""
    return isinstance(answer, dict)


def test_no_header_is_read_by_c_code(answers: dict[str, dict[str, Any]]) -> None:
    headers = {name: answer["header"] for name, answer in answers.items()}
    assert {name for name, header in headers.items() if "used" in header} == set()
    assert {header["format"] for name, header in headers.items() if name.startswith("sample.")} == {
        *("jpeg", "png", "webp", "gif", "tiff", "bmp", "avif", "heic", "ico", "jp2")
    }


def test_no_header_takes_the_web_server_long(answers: dict[str, dict[str, Any]]) -> None:
    assert len(answers) > 500
    assert {name: a["seconds"] for name, a in answers.items() if a["seconds"] > 0.05} == {}


def test_header_is_the_decoders_where_both_read_the_file(
    answers: dict[str, dict[str, Any]],
) -> None:
    both = {
        name: (answer["header"], answer["decoder"])
        for name, answer in answers.items()
        if is_header(answer["header"]) and is_header(answer["decoder"])
    }
    assert len(both) > 300
    assert {name: pair for name, pair in both.items() if pair[0] != pair[1]} == {}


# Files that the web server takes and the decode child refuses: the web server does not look there.
REFUSED_LATER = {
    # Metadata: Pillow inflates up to a megabyte of each text, and the profile.
    *("png-ztxt-bomb.png", "png-itxt-bomb.png", "png-iccp-bomb.png", "png-300-texts.png"),
    "ico-of-a-text-bomb.ico",
    # Frames: libwebp and libavif read them as they open a file.
    *("webp-canvas-smaller-than-its-frame.webp", "webp-canvas-larger-than-its-frame.webp"),
    *("webp-shorter-than-it-is.webp", "webp-chunk-beyond-the-end.webp"),
    *("webp-alpha-without-a-picture.webp", "moving-webp-without-frames.webp"),
    *("flipped-2.webp", "flipped-4.webp", "moving-avif-of-2-billion-frames.avif"),
    # Pixels: Pillow decodes an icon as it opens it.
    *(f"cut-at-{share}-percent.ico" for share in (3, 10, 25, 50, 75, 97)),
    *(f"flipped-{number}.ico" for number in (0, 1, 3, 6)),
    # Boxes, segments and chunks that the web server skips.
    *("jp2-65535-components.jp2", "jp2-box-without-end.jp2", "flipped-1.jp2"),
    *("flipped-0.jpg", "flipped-5.png"),
    "avif-2400-references-to-4900-properties.avif",
    "heic-2400-references-to-4900-properties.heic",
}
# Files that the web server refuses, and Pillow opens.
REFUSED_EARLY = {
    # More parts than an honest file has.
    "png-palette-of-a-megabyte.png",
    *("avif-200000-boxes.avif", "heic-200000-boxes.heic", "avif-400000-inner-boxes.avif"),
    # No pixels, or not all: the decode child sees that as it decodes.
    *("jpeg-without-a-scan.jpg", "cut-at-97-percent.avif", "cut-by-one-byte.avif"),
    *(f"cut-at-{share}-percent.heic" for share in (50, 75, 97)),
    "cut-by-one-byte.heic",
}


def test_files_that_only_one_reader_refuses_are_known(answers: dict[str, dict[str, Any]]) -> None:
    headers = {name for name, answer in answers.items() if is_header(answer["header"])}
    decoded = {name for name, answer in answers.items() if is_header(answer["decoder"])}
    assert headers - decoded == REFUSED_LATER | SLOW_TO_OPEN & headers
    assert decoded - headers == REFUSED_EARLY


def test_bytes_of_a_scan_do_not_count_for_earlier_scans(tmp_path: Path) -> None:
    # Half of such a scan is 0xFF, and many lie in what is read at a time.
    source = tmp_path / "scans.jpg"
    source.write_bytes(make_jpeg(image=Image.new("RGB", (6000, 4000)), progressive_scans=490))
    assert read_header(source, replace(LIMITS, max_jpeg_scans=500)).format == "jpeg"
