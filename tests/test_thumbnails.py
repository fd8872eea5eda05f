import io
import os
import struct
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageColor, ImageFile
from PIL.PngImagePlugin import PngInfo

from tests.images import (
    BLUE,
    CORNERS,
    GREEN,
    RED,
    encode,
    make_animation,
    make_corners,
    make_exif,
    make_grey_profile,
    make_image,
    make_jpeg,
    make_picture,
    make_png,
    make_png_chunk,
    make_png_header,
    make_too_many_scans,
    make_truncated,
    make_wide_gamut_profile,
    psnr,
)
from webapp import decoder, sources, thumbnails
from webapp.placeholders import thumbhash_to_png
from webapp.recipes import FITS, FORMATS, MAX_SIDE, Fit, Format, Output, Recipe
from webapp.sources import (
    Corrupt,
    Empty,
    Header,
    ImageError,
    ImageLimits,
    TooManyPixels,
    TooManyScans,
    Truncated,
    Unsupported,
    read_header,
)
from webapp.thumbnails import (
    ByteBudget,
    Result,
    Thumbnail,
    TooManyFrames,
    make_thumbnails,
)

# What Pillow has to say about odd metadata; webapp.thumbnails silences it, pytest undoes that.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

Size = tuple[int, int]


class Engine:
    """Make thumbnails of bytes in a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.folder = folder / "made"
        self.folder.mkdir()

    def make(self, image: bytes, *outputs: Output) -> list[Thumbnail]:
        return self.result(image, *outputs).thumbnails

    def result(self, image: bytes, *outputs: Output) -> Result:
        self.source.write_bytes(image)
        return make_thumbnails(self.source, Recipe(outputs), self.folder, ImageLimits())

    def picture(self, image: bytes, output: Output) -> Image.Image:
        """Make one thumbnail and load it."""
        (made,) = self.make(image, output)
        return self.load(made)

    def load(self, made: Thumbnail) -> Image.Image:
        """Load a thumbnail, after a look whether it is what it claims to be."""
        path = self.folder / made.file_name
        with Image.open(path) as picture:
            picture.load()
        assert (picture.size, picture.format) == ((made.width, made.height), made.format.upper())
        assert path.stat().st_size == made.bytes
        return picture

    def header(self, image: bytes, limits: ImageLimits | None = None) -> Header:
        self.source.write_bytes(image)
        return read_header(self.source, limits or ImageLimits())


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def png(width: int | None, height: int | None, fit: Fit = "contain", **options: Any) -> Output:
    """Ask for a lossless thumbnail, whose pixels can be compared."""
    return Output("made", width, height, fit, "png", **options)


def assert_near(color: object, expected: tuple[int, ...], tolerance: int = 3) -> None:
    assert isinstance(color, tuple)
    assert len(color) == len(expected)
    assert all(abs(a - b) <= tolerance for a, b in zip(color, expected, strict=True)), color


# Every kind of source

SOURCES = {
    "1 png": ("1", "png"),
    "L png": ("L", "png"),
    "L jpeg": ("L", "jpeg"),
    "LA png": ("LA", "png"),
    "P png": ("P", "png"),
    "P gif": ("P", "gif"),
    "I;16 png": ("I;16", "png"),
    "I;16 tiff": ("I;16", "tiff"),
    "I tiff": ("I", "tiff"),
    "F tiff": ("F", "tiff"),
    "RGB jpeg": ("RGB", "jpeg"),
    "RGB png": ("RGB", "png"),
    "RGB webp": ("RGB", "webp"),
    "RGB bmp": ("RGB", "bmp"),
    "RGB tiff": ("RGB", "tiff"),
    "RGB avif": ("RGB", "avif"),
    "RGBA png": ("RGBA", "png"),
    "RGBA webp": ("RGBA", "webp"),
    "RGBA avif": ("RGBA", "avif"),
    "RGBA tiff": ("RGBA", "tiff"),
    "CMYK jpeg": ("CMYK", "jpeg"),
    "CMYK tiff": ("CMYK", "tiff"),
    "YCbCr tiff": ("YCbCr", "tiff"),
    "LAB tiff": ("LAB", "tiff"),
    "RGB heic": ("RGB", "heic"),
    "RGBA heic": ("RGBA", "heic"),
    "L heic": ("L", "heic"),
    "RGB jp2": ("RGB", "jp2"),
    "RGBA jp2": ("RGBA", "jp2"),
    "LA jp2": ("LA", "jp2"),
    "RGBA ico": ("RGBA", "ico"),
    "P ico": ("P", "ico"),
}


@pytest.mark.parametrize("size", [(120, 80), (80, 120), (90, 90)], ids=str)
@pytest.mark.parametrize(("mode", "format"), SOURCES.values(), ids=SOURCES)
def test_every_kind_of_source_becomes_a_thumbnail(
    mode: str, format: str, size: Size, engine: Engine
) -> None:
    image = make_image(mode, size, format)
    padded, contained = engine.make(image, Output("padded", 60, 60, "pad"), png(60, 60))
    assert engine.header(image).format == format
    assert engine.load(padded).size == (60, 60)
    made = engine.load(contained)
    assert max(made.size) == 60
    expected = on_black(make_expected(mode, size)).resize(made.size, Image.Resampling.LANCZOS)
    # Pillow dithers to 1 bit and to a palette of few colours: blurred, these are near enough.
    assert psnr(on_black(made), expected) > {"1": 15, "P": 24}.get(mode, 30)


def make_expected(mode: str, size: Size) -> Image.Image:
    """Make the picture that make_image put into a file of this mode."""
    if mode in ("I", "I;16", "F"):
        return make_picture("RGB", size).getchannel("R")
    return make_picture({"1": "L", "L": "L", "LA": "LA", "RGBA": "RGBA"}.get(mode, "RGB"), size)


def on_black(picture: Image.Image) -> Image.Image:
    black = Image.new("RGBA", picture.size, "black")
    return Image.alpha_composite(black, picture.convert("RGBA")).convert("RGB")


def test_widths_beyond_a_small_source_come_out_once(engine: Engine) -> None:
    widths = [Output(f"{w}w", w, None, format=f) for w in (40, 200, 300) for f in ("webp", "jpeg")]
    made = engine.make(make_jpeg(size=(120, 80)), *widths)
    assert [thumbnail.file_name for thumbnail in made] == [
        "40w.webp",
        "40w.jpg",
        "200w.webp",
        "200w.jpg",
    ]


def test_equal_sizes_that_look_different_are_all_made(engine: Engine) -> None:
    outputs = (
        Output("contain", 300, 200),
        Output("pad", 300, 200, "pad"),
        Output("black", 300, 200, "pad", background="#000000"),
        Output("poor", 300, 200, quality=10),
    )
    assert len(engine.make(make_jpeg(size=(120, 80)), *outputs)) == 4


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_best_quality_within_the_limit_is_found_and_told(format: Format, engine: Engine) -> None:
    photo = make_jpeg(size=(600, 400))
    (free,) = engine.make(photo, Output("free", 300, 200, format=format))
    limit = free.bytes * 2 // 3
    (made,) = engine.make(photo, Output("fits", 300, 200, format=format, max_bytes=limit))
    assert made.quality
    better = Output("better", 300, 200, format=format, quality=made.quality + 1)
    assert made.bytes <= limit < engine.make(photo, better)[0].bytes


def test_result_tells_what_the_image_was(engine: Engine) -> None:
    photo = make_jpeg(size=(300, 200), orientation=6, gps=True)
    result = engine.result(photo, png(60, 60))
    assert result.header == engine.header(photo)
    assert result.header.had_gps


def test_placeholder_shows_the_picture_and_its_colour(engine: Engine) -> None:
    result = engine.result(encode(Image.new("RGB", (90, 60), RED), "PNG"), png(60, 60))
    assert_near(ImageColor.getrgb(result.color), RED)
    with Image.open(io.BytesIO(thumbhash_to_png(result.thumbhash))) as placeholder:
        assert_near(placeholder.convert("RGB").getpixel((5, 5)), RED, 12)


def test_size_told_late_by_a_png_is_the_one_in_the_result(engine: Engine) -> None:
    exif = make_exif(orientation=6).removeprefix(b"Exif\0\0")
    plain = make_png(size=(120, 80))
    late = plain[:-12] + make_png_chunk(b"eXIf", exif) + plain[-12:]
    header = engine.result(late, png(60, 60)).header
    assert (header.width, header.height, header.orientation) == (80, 120, 6)


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif"])
def test_copyright_and_author_are_kept_if_asked_and_nothing_else(
    format: Format, engine: Engine
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Copyright] = "Ada", "© Ada 2026"
    exif[ExifTags.Base.Make] = "Camera"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    photo = encode(make_picture(), "JPEG", exif=exif)
    kept, bare = engine.make(
        photo,
        Output("kept", 50, 50, format=format, keep_copyright=True),
        Output("bare", 50, 50, format=format),
    )
    with Image.open(engine.folder / kept.file_name) as image:
        assert set(image.getexif()) == {ExifTags.Base.Artist, ExifTags.Base.Copyright}
    with Image.open(engine.folder / bare.file_name) as image:
        assert dict(image.getexif()) == {}


@pytest.mark.parametrize("format", ["png", "webp", "avif"])
def test_padding_may_be_transparent(format: Format, engine: Engine) -> None:
    output = Output("a", 60, 60, "pad", format, background="transparent")
    made = engine.picture(make_jpeg(size=(60, 30)), output).convert("RGBA")
    assert made.getpixel((30, 5))[3] == 0  # type: ignore[index]
    assert made.getpixel((30, 30))[3] == 255  # type: ignore[index]


def test_transparent_padding_is_white_in_jpeg(engine: Engine) -> None:
    output = Output("a", 60, 60, "pad", background="transparent")
    made = engine.picture(make_jpeg(size=(60, 30)), output)
    assert_near(made.getpixel((30, 5)), (255, 255, 255))


def test_file_within_its_limit_keeps_its_quality(engine: Engine) -> None:
    (made,) = engine.make(make_jpeg(), Output("a", 60, 60, max_bytes=1_000_000))
    assert made.quality == 80


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_limit_that_cannot_be_met_is_an_error_that_leaves_nothing(
    format: Format, engine: Engine
) -> None:
    output = Output("a", 1000, 800, format=format, max_bytes=1000, enlarge=True)
    with pytest.raises(ByteBudget, match=r"does not fit into 1 kB: at its worst it has \d+ kB"):
        engine.make(make_jpeg(size=(1000, 800)), output)
    assert list(engine.folder.iterdir()) == []


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_copy_of_the_same_size_is_not_larger_than_the_source(
    format: Format, engine: Engine
) -> None:
    source = encode(make_picture(size=(300, 200)), format, quality=30)
    (made,) = engine.make(source, Output("a", 300, 200, format=format, quality=95))
    assert made.bytes <= len(source)


def test_copy_of_a_png_is_not_larger_than_the_source(engine: Engine) -> None:
    text = PngInfo()
    text.add_text("Comment", "Nobody's business" * 10)
    source = encode(make_picture("P", (300, 200)), "png", pnginfo=text)
    (made,) = engine.make(source, Output("a", 300, 200, format="source"))
    picture = engine.load(made)
    assert made.bytes <= len(source)
    assert not picture.info
    assert psnr(picture.convert("RGB"), make_picture("P", (300, 200)).convert("RGB")) == 100


SOURCE_FORMATS = {
    "jpeg": "jpeg", "png": "png", "webp": "webp", "avif": "avif", "heic": "jpeg", "jp2": "jpeg",
    "gif": "png", "tiff": "png", "bmp": "png", "ico": "png",
}  # fmt: skip


@pytest.mark.parametrize(("source", "made_as"), SOURCE_FORMATS.items())
def test_format_of_the_source_is_kept_or_nearly(source: str, made_as: str, engine: Engine) -> None:
    (made,) = engine.make(make_image("RGB", format=source), Output("a", 40, 40, format="source"))
    assert engine.load(made).format == made_as.upper()


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_16_bits_are_scaled_and_not_clipped(mode: str, engine: Engine) -> None:
    image = Image.new("I", (40, 20), 32896)
    image.paste(65535, (20, 0, 40, 20))
    format = "png" if mode == "I;16" else "tiff"
    made = engine.picture(encode(image.convert(mode), format), png(40, 20))
    assert (made.mode, made.getpixel((5, 5)), made.getpixel((35, 5))) == ("L", 128, 255)


def test_dark_16_bits_stay_dark(engine: Engine) -> None:
    made = engine.picture(encode(Image.new("I;16", (40, 20), 200), "png"), png(40, 20))
    assert made.getpixel((5, 5)) == 1


@pytest.mark.parametrize(
    ("white", "grey"), [(1.0, 0.5), (255.0, 127.5), (65535.0, 32767.5), (1e6, 5e5)]
)
def test_floats_are_scaled_by_the_white_they_suggest(
    white: float, grey: float, engine: Engine
) -> None:
    image = Image.new("F", (40, 20), grey)
    image.paste(white, (20, 0, 40, 20))
    made = engine.picture(encode(image, "tiff"), png(40, 20))
    assert (made.getpixel((5, 5)), made.getpixel((35, 5))) == (127, 255)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 0.0, -5.0])
def test_odd_floats_do_not_fail(value: float, engine: Engine) -> None:
    assert engine.picture(encode(Image.new("F", (40, 20), value), "tiff"), png(20, 20)).size


def test_grey_stays_grey(engine: Engine) -> None:
    for format in ("jpeg", "png"):
        assert engine.picture(make_image("L"), Output("made", 60, 60, format=format)).mode == "L"


def test_only_the_first_frame_is_used(engine: Engine) -> None:
    frames = [Image.new("RGB", (40, 20), color) for color in (RED, GREEN, BLUE)]
    for format in ("gif", "webp", "png", "avif", "tiff"):
        animation = encode(frames[0], format, save_all=True, append_images=frames[1:])
        made = engine.picture(animation, png(20, 10))
        assert_near(made.convert("RGB").getpixel((10, 5)), RED, 6)


def test_photo_followed_by_another_counts_as_jpeg(engine: Engine) -> None:
    photo = encode(make_corners(), "mpo", save_all=True, append_images=[make_picture()])
    assert engine.header(photo).format == "jpeg"
    assert_corners(engine.picture(photo, png(60, 40)))


# Orientation


def assert_corners(picture: Image.Image, tolerance: int = 12) -> None:
    """Assert that the four corners have their colours."""
    width, height = picture.size
    points = [(2, 2), (width - 3, 2), (2, height - 3), (width - 3, height - 3)]
    for point, color in zip(points, CORNERS, strict=True):
        assert_near(picture.convert("RGB").getpixel(point), color, tolerance)


@pytest.mark.parametrize("fit", ["contain", "cover", "pad"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int, fit: Fit, engine: Engine) -> None:
    photo = make_jpeg(image=make_corners((1200, 800)), orientation=orientation)
    header = engine.header(photo)
    assert (header.width, header.height, header.orientation) == (1200, 800, orientation)
    made = engine.picture(photo, png(90, 60, fit))
    assert made.size == (90, 60)
    assert_corners(made)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["png", "webp", "tiff", "avif"])
def test_orientation_is_applied_in_other_formats(
    format: str, orientation: int, engine: Engine
) -> None:
    turn = sources.TRANSPOSE.get(orientation)
    upright = make_corners((64, 48))
    image = encode(upright, format, exif=make_exif(orientation))
    expected = upright.transpose(turn) if turn is not None else upright
    made = engine.picture(image, png(100, 100))
    header = engine.header(image)
    assert made.size == expected.size == (header.width, header.height)
    assert psnr(made, expected) > 25  # Of another orientation: 10.


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("size", "focus", "corners"),
    [
        ((20, 80), (0.0, 0.5), (0, 2)),
        ((20, 80), (1.0, 0.5), (1, 3)),
        ((90, 20), (0.5, 0.0), (0, 1)),
        ((90, 20), (0.5, 1.0), (2, 3)),
    ],
    ids=["left", "right", "top", "bottom"],
)
def test_focus_is_kept_in_every_orientation(
    size: Size,
    focus: tuple[float, float],
    corners: tuple[int, int],
    orientation: int,
    engine: Engine,
) -> None:
    photo = make_jpeg(image=make_corners((360, 240)), orientation=orientation)
    made = engine.picture(photo, png(*size, "cover", focus=focus))
    assert made.size == size
    ends = ((size[0] // 2, 8), (size[0] // 2, size[1] - 9)) if size[0] < size[1] else None
    first, last = ends or ((8, size[1] // 2), (size[0] - 9, size[1] // 2))
    assert_near(made.getpixel(first), CORNERS[corners[0]], 12)
    assert_near(made.getpixel(last), CORNERS[corners[1]], 12)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_smart_crop_keeps_the_detail(orientation: int, engine: Engine) -> None:
    picture = Image.new("RGB", (900, 300), (120, 130, 140))
    picture.paste(make_corners((120, 120)).resize((120, 120)), (740, 90))
    photo = make_jpeg(image=picture, orientation=orientation)
    smart = engine.picture(photo, png(100, 100, "cover", focus="smart"))
    centred = engine.picture(photo, png(100, 100, "cover"))
    assert len(smart.getcolors(100_000) or ()) > 100 > len(centred.getcolors(100_000) or ())


def test_smart_crop_of_a_plain_picture_is_centred(engine: Engine) -> None:
    source = encode(Image.new("RGB", (300, 100), "navy"), "PNG")
    assert engine.picture(source, png(50, 50, "cover", focus="smart")).size == (50, 50)


def test_orientation_behind_the_pixels_of_a_png_is_applied(engine: Engine) -> None:
    exif = make_png_chunk(b"eXIf", make_exif(6)[6:])
    plain = encode(make_corners((120, 80)).transpose(Image.Transpose.ROTATE_90), "png")
    made = engine.picture(plain[:-12] + exif + plain[-12:], png(60, 60))
    assert made.size == (60, 40)
    assert_corners(made)


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0", b"Exif\0\0garbage", make_exif(6)[:20], make_exif(6).replace(b"\x06", b"\x09")],
    ids=["empty", "garbage", "cut", "nine"],
)
def test_broken_exif_is_as_good_as_none(exif: bytes, engine: Engine) -> None:
    photo = encode(make_corners(), "jpeg", exif=exif)
    assert engine.header(photo) == Header("jpeg", 120, 80, 1, False)
    assert_corners(engine.picture(photo, png(60, 40)))


# Fit

FIT_CASES: dict[str, tuple[Size, Output, Size]] = {
    "contain, wide": ((400, 200), png(100, 100), (100, 50)),
    "contain, tall": ((200, 400), png(100, 100), (50, 100)),
    "contain, rounded": ((300, 199), png(100, 100), (100, 66)),
    "contain, width free": ((400, 200), png(None, 100), (200, 100)),
    "contain, height free": ((400, 200), png(100, None), (100, 50)),
    "contain, not enlarged": ((40, 20), png(100, 100), (40, 20)),
    "contain, enlarged": ((40, 20), png(100, 100, enlarge=True), (100, 50)),
    "contain, a line": ((1, 10_000), png(100, 100), (1, 100)),
    "contain, a lying line": ((10_000, 1), png(100, 100), (100, 1)),
    "contain, a line of free height": ((1, 10_000), png(1, None), (1, 4096)),
    "cover, wide": ((400, 200), png(100, 100, "cover"), (100, 100)),
    "cover, tall": ((200, 400), png(90, 60, "cover"), (90, 60)),
    "cover, lower than the box": ((400, 50), png(200, 100, "cover"), (100, 50)),
    "cover, narrower than the box": ((50, 400), png(100, 100, "cover"), (50, 50)),
    "cover, not enlarged": ((40, 20), png(100, 100, "cover"), (20, 20)),
    "cover, enlarged": ((40, 20), png(100, 100, "cover", enlarge=True), (100, 100)),
    "cover, a line": ((1, 10_000), png(100, 100, "cover"), (1, 1)),
    "pad, wide": ((400, 200), png(100, 100, "pad"), (100, 100)),
    "pad, small": ((40, 20), png(100, 100, "pad"), (100, 100)),
    "pad, enlarged": ((40, 20), png(100, 100, "pad", enlarge=True), (100, 100)),
    "pad, a line": ((1, 10_000), png(100, 100, "pad"), (100, 100)),
}


@pytest.mark.parametrize("as_jpeg", [True, False], ids=["jpeg", "png"])
@pytest.mark.parametrize(("source", "output", "expected"), FIT_CASES.values(), ids=FIT_CASES)
def test_fit_gives_the_size(
    source: Size, output: Output, expected: Size, as_jpeg: bool, engine: Engine
) -> None:
    image = make_jpeg(source) if as_jpeg else make_png("RGB", source)
    assert engine.picture(image, output).size == expected


def test_contain_is_never_off_by_more_than_rounding(engine: Engine) -> None:
    for source in ((1001, 667), (997, 13), (3, 1000), (2000, 1999)):
        outputs = [Output(f"{side}", side, side, format="png") for side in range(16, 300, 15)]
        for output, made in zip(outputs, engine.make(make_jpeg(source), *outputs), strict=True):
            scale = min((output.width or 0) / source[0], (output.height or 0) / source[1], 1)
            assert made.width == max(1, round(source[0] * scale))
            assert made.height == max(1, round(source[1] * scale))


def test_cover_keeps_the_middle(engine: Engine) -> None:
    image = Image.new("RGB", (300, 100), RED)
    image.paste(GREEN, (100, 0, 200, 100))
    made = engine.picture(encode(image, "png"), png(50, 50, "cover"))
    assert_near(made.getpixel((0, 25)), GREEN, 30)
    assert_near(made.getpixel((25, 25)), GREEN)
    assert_near(made.getpixel((49, 25)), GREEN, 30)


def test_cover_of_a_turned_photo_keeps_the_middle(engine: Engine) -> None:
    image = Image.new("RGB", (3000, 1000), RED)
    image.paste(GREEN, (1000, 0, 2000, 1000))
    made = engine.picture(make_jpeg(image=image, orientation=6), png(50, 50, "cover"))
    for x in (2, 25, 47):
        assert_near(made.getpixel((x, 25)), GREEN, 5)


def test_cover_does_not_stretch(engine: Engine) -> None:
    picture = make_picture("RGB", (400, 300))
    made = engine.picture(encode(picture, "png"), png(120, 120, "cover"))
    expected = picture.resize((120, 120), Image.Resampling.LANCZOS, (50, 0, 350, 300))
    assert psnr(made, expected) > 45


def test_pad_centres_on_the_background(engine: Engine) -> None:
    image = encode(Image.new("RGB", (40, 20), RED), "png")
    made = engine.picture(image, png(100, 100, "pad", background="#102030"))
    inside = made.point(lambda value: 255 * (value > 200)).getchannel("R").getbbox()
    assert inside == (30, 40, 70, 60)
    for corner in ((0, 0), (99, 0), (0, 99), (99, 99), (50, 39), (29, 50), (70, 50)):
        assert made.getpixel(corner) == (0x10, 0x20, 0x30)


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1)], ids=str)
def test_smallest_sides_can_be_encoded(size: Size, format: Format, engine: Engine) -> None:
    for mode in ("RGB", "RGBA", "L", "LA"):
        made = engine.picture(make_png(mode, size), Output("made", 300, 300, format=format))
        assert made.size == size


# Colour


def test_wide_gamut_is_converted_to_srgb(engine: Engine) -> None:
    # By the matrices and the curve of both spaces: Display P3's 180, 110, 90 in sRGB.
    photo = make_jpeg(
        image=Image.new("RGB", (64, 64), (180, 110, 90)),
        icc=make_wide_gamut_profile(),
        quality=100,
        subsampling=0,
    )
    made = engine.picture(photo, png(32, 32))
    assert_near(made.getpixel((16, 16)), (191, 106, 85), 2)
    assert "icc_profile" not in made.info


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_profile_of_grey_is_converted_and_grey_stays_grey(mode: str, engine: Engine) -> None:
    picture = Image.new("L", (40, 40), 55).convert(mode)
    made = engine.picture(encode(picture, "png", icc_profile=make_grey_profile(1.0)), png(20, 20))
    assert made.mode == mode
    assert made.getchannel("L").getpixel((10, 10)) == 128  # 55 / 255 of the light.


def test_profile_leaves_alpha_alone(engine: Engine) -> None:
    image = Image.new("RGBA", (40, 40), (180, 110, 90, 77))
    image.paste((180, 110, 90, 255), (0, 0, 40, 20))
    profile = make_wide_gamut_profile()
    made = engine.picture(encode(image, "png", icc_profile=profile), png(40, 40))
    assert_near(made.getpixel((20, 5)), (191, 106, 85, 255), 2)
    assert_near(made.getpixel((20, 35)), (191, 106, 85, 77), 2)


def test_srgb_needs_no_conversion() -> None:
    profile = make_wide_gamut_profile()
    assert thumbnails._transform(profile, "RGB")
    srgb = profile.replace("Wide".encode("utf-16-be"), "sRGB".encode("utf-16-be"))
    assert thumbnails._transform(srgb, "RGB") is None


def test_transform_is_built_once_for_each_profile() -> None:
    first = thumbnails._transform(make_wide_gamut_profile(), "RGB")
    assert thumbnails._transform(make_wide_gamut_profile(), "RGB") is first


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "CMYK", "P"])
def test_profile_of_another_space_or_alpha_does_no_harm(mode: str, engine: Engine) -> None:
    format = "tiff" if mode == "CMYK" else "png"
    image = encode(make_picture(mode), format, icc_profile=make_wide_gamut_profile())
    made = engine.picture(image, png(60, 40))
    assert made.mode == {"CMYK": "RGB", "P": "RGB"}.get(mode, mode)


@pytest.mark.parametrize("profile", [b"nonsense", b"\0" * 200])
def test_broken_profile_is_as_good_as_none(profile: bytes, engine: Engine) -> None:
    assert_corners(engine.picture(make_jpeg(image=make_corners(), icc=profile), png(60, 40)))


@pytest.mark.parametrize("format", ["jpeg", "tiff"])
def test_white_of_cmyk_stays_white(format: str, engine: Engine) -> None:
    image = encode(Image.new("CMYK", (60, 20), (0, 0, 0, 0)), format)
    made = engine.picture(image, png(50, 50, "pad", background="#ffffff"))
    assert made.getcolors() == [(2500, (255, 255, 255))]


# Transparency


def make_half_transparent() -> Image.Image:
    """Make a picture whose left half is opaque red and whose right half is nothing."""
    picture = Image.new("RGBA", (80, 40), (0, 0, 0, 0))
    picture.paste((*RED, 255), (0, 0, 40, 40))
    return picture


TRANSPARENT: dict[str, Callable[[], bytes]] = {
    "RGBA png": lambda: encode(make_half_transparent(), "png"),
    "RGBA webp": lambda: encode(make_half_transparent(), "webp", lossless=True),
    "RGBA tiff": lambda: encode(make_half_transparent(), "tiff"),
    "P png": lambda: encode(make_half_transparent().quantize(), "png"),
    "P gif": lambda: encode(make_half_transparent(), "gif"),
    "RGB png with a transparent colour": lambda: encode(
        make_half_transparent().convert("RGB"), "png", transparency=(0, 0, 0)
    ),
}


@pytest.mark.parametrize("make", TRANSPARENT.values(), ids=TRANSPARENT)
def test_transparency_is_flattened_on_the_background(
    make: Callable[[], bytes], engine: Engine
) -> None:
    output = Output("made", 40, 40, background="#00c8ff", quality=95)
    made = engine.picture(make(), output)
    assert made.mode == "RGB"
    assert_near(made.getpixel((5, 10)), RED, 8)
    assert_near(made.getpixel((35, 10)), (0, 0xC8, 0xFF), 8)


@pytest.mark.parametrize("format", ["png", "webp", "avif"])
@pytest.mark.parametrize("make", TRANSPARENT.values(), ids=TRANSPARENT)
def test_transparency_is_kept_where_the_format_has_it(
    make: Callable[[], bytes], format: Format, engine: Engine
) -> None:
    made = engine.picture(make(), Output("made", 40, 40, format=format, quality=None))
    assert made.mode == "RGBA"
    assert_near(made.getpixel((5, 10)), (*RED, 255), 12)
    alpha = made.getchannel("A").getpixel((35, 10))
    assert isinstance(alpha, int)
    assert alpha <= 2


def test_transparent_grey_is_flattened(engine: Engine) -> None:
    image = Image.new("LA", (80, 40), (200, 0))
    made = engine.picture(encode(image, "png"), Output("made", 40, 40, background="#336699"))
    assert_near(made.getpixel((20, 10)), (0x33, 0x66, 0x99), 4)


def test_transparent_shade_of_grey_is_transparent(engine: Engine) -> None:
    grey = Image.new("L", (40, 40), 90)
    grey.paste(200, (0, 0, 40, 20))
    made = engine.picture(encode(grey, "png", transparency=90), png(40, 40))
    assert (made.getpixel((20, 5)), made.getpixel((20, 35))) == ((200, 255), (0, 0))


def test_padding_is_opaque_around_a_transparent_picture(engine: Engine) -> None:
    output = png(40, 40, "pad", background="#336699")
    made = engine.picture(encode(make_half_transparent(), "png"), output)
    assert made.getpixel((20, 2)) == (0x33, 0x66, 0x99, 255)
    assert made.getchannel("A").getpixel((35, 20)) == 0


def test_invisible_colour_does_not_bleed_into_the_edge(engine: Engine) -> None:
    picture = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    picture.paste((255, 255, 255, 255), (0, 0, 155, 300))
    made = engine.picture(encode(picture, "png"), png(37, 37))
    colors = made.getcolors() or []
    partial = [color for _, color in colors if isinstance(color, tuple) and 0 < color[3] < 255]
    assert partial
    assert all(min(color[:3]) >= 250 for color in partial)


# Quality

SIZES = ((1920, 1280), (1280, 853), (640, 427), (320, 213), (100, 67))


def test_one_decode_for_all_is_as_good_as_one_for_each(engine: Engine) -> None:
    photo = make_jpeg((2600, 1733), quality=95)
    outputs = [Output(f"{size[0]}", *size, format="png") for size in SIZES]
    together = [engine.load(made) for made in engine.make(photo, *outputs)]
    for output, picture in zip(outputs, together, strict=True):
        assert psnr(picture, engine.picture(photo, output)) >= 45


def test_order_of_outputs_is_that_of_the_recipe(engine: Engine) -> None:
    names = ["middle", "large", "small"]
    outputs = [Output(name, side, side) for name, side in zip(names, (80, 120, 40), strict=True)]
    made = engine.make(make_jpeg(), *outputs)
    assert [(one.file_name, one.width) for one in made] == [
        ("middle.jpg", 80),
        ("large.jpg", 120),
        ("small.jpg", 40),
    ]


@pytest.mark.parametrize("fit", ["contain", "cover"])
@pytest.mark.parametrize("side", [75, 110, 150, 220])
@pytest.mark.parametrize("source", [(801, 601), (1185, 889)], ids=str)
def test_draft_is_as_good_as_a_full_decode(
    source: Size, side: int, fit: Fit, engine: Engine
) -> None:
    photo = make_jpeg(source, quality=92)
    made = engine.picture(photo, png(side, side, fit))
    with Image.open(engine.source) as full:
        region = thumbnails._plan(png(side, side, fit), source).region
        expected = full.resize(made.size, Image.Resampling.LANCZOS, region)
    # 42 is what photos need. This picture is kinder: it falls below 50 where the draft's exact size
    # is not heeded, or where too small a draft is taken.
    assert psnr(made, expected) >= 50


def test_formats_of_one_size_are_the_same_picture(engine: Engine) -> None:
    formats: tuple[Format, ...] = ("png", "jpeg", "webp", "avif")
    outputs = [Output("made", 100, 100, format=format) for format in formats]
    made = engine.make(make_jpeg((600, 400)), *outputs)
    assert [(one.format, one.quality) for one in made] == [
        ("png", None),
        ("jpeg", 80),
        ("webp", 80),
        ("avif", 60),
    ]
    lossless, *others = [engine.load(one).convert("RGB") for one in made]
    assert all(psnr(lossless, other) > 28 for other in others)


def test_quality_is_that_of_the_output(engine: Engine) -> None:
    low, high = engine.make(
        make_jpeg((600, 400)), Output("low", 200, 200, quality=20), Output("high", 200, 200)
    )
    assert (low.quality, high.quality) == (20, 80)
    assert low.bytes < high.bytes * 0.6


# Metadata


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif"])
def test_metadata_is_dropped(format: Format, engine: Engine) -> None:
    photo = make_jpeg(
        orientation=3, gps=True, icc=make_wide_gamut_profile(), comment=b"secret", dpi=(72, 72)
    )
    made = engine.picture(photo, Output("made", 60, 60, format=format))
    assert dict(made.getexif()) == {}
    assert not {"exif", "icc_profile", "comment", "xmp"} & set(made.info)
    content = (engine.folder / f"made.{'jpg' if format == 'jpeg' else format}").read_bytes()
    assert not any(word in content for word in (b"secret", b"Camera", b"Exif", b"ICC_PROFILE"))


@pytest.mark.parametrize("gps", [True, False])
def test_header_tells_of_a_place(gps: bool, engine: Engine) -> None:
    assert engine.header(make_jpeg(gps=gps)).had_gps is gps


# What is refused

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
REFUSED: dict[str, tuple[bytes, type[ImageError], str]] = {
    "empty": (b"", Empty, "This file is empty"),
    "text": (b"Just some words.\n\tAnd more \xc3\xa4.\n", Unsupported, "This is a text file"),
    "long text": ("äöü ".encode() * 500, Unsupported, "This is a text file"),
    "html": (b"\n<!DOCTYPE html><html></html>", Unsupported, "This is a web page"),
    "svg": (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', Unsupported, "This is an SVG drawing"),
    "svg with a doctype": (b"<!DOCTYPE svg>\n<svg/>", Unsupported, "This is an SVG drawing"),
    "pdf": (b"%PDF-1.7\n\xff\xfe", Unsupported, "This is a PDF"),
    "damaged heic": (HEIC, Corrupt, "This image is damaged"),
    "jpeg xl": (b"\xff\x0a" + bytes(100), Unsupported, "This is a JPEG XL image"),
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
    "random": (bytes(range(256)), Unsupported, "This is no image that we can read"),
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
    "many pixels of another format": (
        b"GIF89a" + struct.pack("<HHBBB", 10_000, 6000, 0, 0, 0) + b"," + bytes(20),
        TooManyPixels,
        r"has 60 megapixels; the limit is 50\.",
    ),
}


@pytest.mark.parametrize(("image", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_says_why(
    image: bytes, error: type[ImageError], words: str, engine: Engine
) -> None:
    with pytest.raises(error, match=words) as caught:
        engine.make(image, png(60, 60), Output("other", 60, 60))
    assert type(caught.value) is error
    assert str(caught.value).endswith(".")
    assert list(engine.folder.iterdir()) == []


def test_every_error_has_a_code_of_its_own() -> None:
    assert decoder.TimedOut in ImageError.__subclasses__()
    codes = [vars(error).get("code") for error in ImageError.__subclasses__()]
    assert sorted(filter(None, codes)) == [
        "byte_budget",
        "corrupt",
        "crashed",
        "empty",
        "out_of_memory",
        "timed_out",
        "too_many_frames",
        "too_many_pixels",
        "too_many_scans",
        "truncated",
        "unsupported_format",
    ]


def test_name_decides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(make_jpeg())
    assert read_header(path, ImageLimits()).format == "jpeg"


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "gif", "tiff", "bmp", "avif"])
def test_header_is_read_without_pixels(
    format: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("it decodes pixels"))
    assert engine.header(make_image("RGB", (90, 60), format)).width == 90


def test_header_of_any_size_is_read_fast(engine: Engine) -> None:
    started = time.process_time()
    assert engine.header(make_png_header((9000, 9000))) == Header("png", 9000, 9000, 1, False)
    with pytest.raises(TooManyPixels):
        engine.header(make_png_header((2_000_000_000, 2_000_000_000)))
    assert time.process_time() - started < 0.1


def test_limits_are_those_given(engine: Engine) -> None:
    limits = ImageLimits(max_megapixels=0.01, max_megapixels_other=0.005, max_jpeg_scans=20)
    assert engine.header(make_jpeg((100, 100)), limits).width == 100
    with pytest.raises(TooManyPixels):
        engine.header(make_jpeg((101, 100)), limits)
    with pytest.raises(TooManyPixels, match=r"limit is 0\.005"):
        engine.header(make_image("RGB", (100, 51), "webp"), limits)
    assert engine.header(make_jpeg((90, 60), progressive_scans=20), limits)
    with pytest.raises(TooManyScans, match="more than 20 scans"):
        engine.header(make_jpeg((90, 60), progressive_scans=21), limits)


def test_bytes_that_look_like_scans_do_not_count(engine: Engine) -> None:
    scans = b"\xff\xda\0\x08" * 100
    commented = make_jpeg(comment=scans, progressive=True)
    assert engine.header(commented).format == "jpeg"
    assert engine.header(make_jpeg(progressive=True) + scans).format == "jpeg"
    assert engine.header(make_jpeg() + scans).format == "jpeg"


def test_scans_are_counted_across_chunks(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_CHUNK", 1)
    assert engine.header(make_jpeg((60, 40), progressive_scans=50)).format == "jpeg"
    with pytest.raises(TooManyScans):
        engine.header(make_jpeg((60, 40), progressive_scans=51))


def test_photo_of_one_scan_is_not_read_to_its_end() -> None:
    photo = io.BytesIO(make_jpeg((1600, 1200)))
    sources._check_jpeg_scans(photo, 50)
    assert photo.tell() < 2000


def test_endless_segments_are_refused_fast(engine: Engine) -> None:
    with pytest.raises(Corrupt):
        engine.header(b"\xff\xd8" + b"\xff\xfe\0\x02" * 1_000_000)


# Faults that are not the image's


def test_missing_source_is_no_fault_of_an_image(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_header(tmp_path / "nothing", ImageLimits())


def test_full_disk_is_no_fault_of_an_image(engine: Engine) -> None:
    os.symlink("/dev/full", engine.folder / "second.jpg")
    with pytest.raises(OSError, match="No space left") as caught:
        engine.make(make_jpeg(), Output("first", 60, 60), Output("second", 30, 30))
    assert not isinstance(caught.value, ImageError)
    assert list(engine.folder.iterdir()) == []


def test_want_of_memory_is_no_fault_of_an_image(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("out of memory error when reading image file")

    monkeypatch.setattr(thumbnails, "_decode", fail)
    with pytest.raises(MemoryError):
        engine.make(make_jpeg(), png(60, 60))


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
    header = read_header(source, ImageLimits())
    with Image.open(source) as image:
        exif = image.getexif()
        size = image.size[::-1] if exif else image.size
        assert (header.width, header.height) == size
        assert header.orientation == exif.get(ExifTags.Base.Orientation, 1)
        assert header.had_gps == bool(exif.get_ifd(ExifTags.IFD.GPSInfo))


def test_webp_that_promises_too_much_is_refused_before_it_costs_memory(tmp_path: Path) -> None:
    source = tmp_path / "bomb.webp"
    bits = (15_999 | 15_999 << 14).to_bytes(4, "little")
    source.write_bytes(b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f" + bits + bytes(9))
    tracemalloc.start()
    with pytest.raises(TooManyPixels, match="256 megapixels"):
        read_header(source, ImageLimits())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("end", [12, 16, 20, 25, 29])
def test_webp_that_ends_in_its_header_is_refused(end: int, tmp_path: Path) -> None:
    source = tmp_path / "cut.webp"
    source.write_bytes(encode(make_picture(), "WEBP")[:end])
    with pytest.raises(Truncated):
        read_header(source, ImageLimits())


# Animations


@pytest.mark.parametrize("format", ["webp", "gif"])
@pytest.mark.parametrize("source", ["gif", "webp", "png"])
def test_animation_keeps_its_frames_and_its_time(
    source: str, format: Format, engine: Engine
) -> None:
    output = Output("a", 40, 40, "pad", format, animated=True)
    (made,) = engine.make(make_animation(source), output)
    with Image.open(engine.folder / made.file_name) as animation:
        assert animation.size == (40, 40)
        assert animation.n_frames == 3  # type: ignore[attr-defined]
        for number, color in enumerate((RED, GREEN, BLUE)):
            animation.seek(number)
            animation.load()
            assert animation.info["duration"] == 80
            assert_near(animation.convert("RGB").getpixel((20, 20)), color, 12)


@pytest.mark.parametrize("source", ["gif", "webp", "png"])
def test_animation_is_still_unless_asked(source: str, engine: Engine) -> None:
    made = engine.picture(make_animation(source), png(40, 40))
    assert_near(made.convert("RGB").getpixel((20, 13)), RED, 12)


def test_still_and_moving_come_of_one_source(engine: Engine) -> None:
    outputs = (
        Output("a", 40, 40, format="webp"),
        Output("b", 40, 40, format="webp", animated=True),
    )
    still, moving = engine.make(make_animation("gif"), *outputs)
    with Image.open(engine.folder / still.file_name) as picture:
        assert getattr(picture, "n_frames", 1) == 1
    with Image.open(engine.folder / moving.file_name) as picture:
        assert picture.n_frames == 3  # type: ignore[attr-defined]


def test_pages_of_a_tiff_do_not_move(engine: Engine) -> None:
    pages = [Image.new("RGB", (60, 40), color) for color in (RED, GREEN)]
    source = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    (made,) = engine.make(source, Output("a", 40, 40, format="webp", animated=True))
    with Image.open(engine.folder / made.file_name) as picture:
        assert getattr(picture, "n_frames", 1) == 1


def test_transparent_animation_stays_so(engine: Engine) -> None:
    frames = [Image.new("RGBA", (60, 40), (0, 0, 0, 0)) for _ in range(2)]
    for number, frame in enumerate(frames):
        frame.paste((*RED, 255), (20 * number, 0, 20 * number + 20, 40))
    source = encode(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=80)
    (made,) = engine.make(source, Output("a", 60, 40, format="gif", animated=True))
    with Image.open(engine.folder / made.file_name) as animation:
        animation.seek(1)
        assert animation.convert("RGBA").getpixel((10, 20))[3] == 0  # type: ignore[index]


def test_animation_of_too_many_frames_is_refused_only_if_it_is_to_move(engine: Engine) -> None:
    frames = [Image.new("L", (4, 4), number) for number in range(201)]
    source = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert engine.make(source, png(4, 4))
    with pytest.raises(TooManyFrames, match="more than 200 frames"):
        engine.make(source, Output("a", 4, 4, format="gif", animated=True))


# Properties

SIDES = st.integers(1, 100_000)
OUTPUTS = st.builds(
    Output,
    name=st.just("a"),
    width=st.integers(1, MAX_SIDE),
    height=st.integers(1, MAX_SIDE),
    fit=st.sampled_from(FITS),
    enlarge=st.booleans(),
    focus=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)


@given(output=OUTPUTS, source=st.tuples(SIDES, SIDES))
def test_plan_stays_within_the_box_and_the_source(output: Output, source: Size) -> None:
    cut = thumbnails._plan(output, source)
    left, top, right, bottom = cut.region
    assert output.width
    assert output.height
    assert 1 <= cut.size[0] <= output.width
    assert 1 <= cut.size[1] <= output.height
    assert -1e-6 <= left < right <= source[0] + 1e-6
    assert -1e-6 <= top < bottom <= source[1] + 1e-6


@given(output=OUTPUTS, source=st.tuples(SIDES, SIDES))
def test_plan_never_enlarges_unless_asked(output: Output, source: Size) -> None:
    cut = thumbnails._plan(output, source)
    if not output.enlarge:
        # A side of less than a pixel becomes one.
        assert cut.size[0] <= max(1, source[0])
        assert cut.size[1] <= max(1, source[1])


@given(output=OUTPUTS, source=st.tuples(st.integers(50, 5000), st.integers(50, 5000)))
def test_plan_keeps_the_aspect_ratio_but_for_rounding(output: Output, source: Size) -> None:
    cut = thumbnails._plan(output, source)
    left, top, right, bottom = cut.region
    sides = list(zip(cut.size, (right - left, bottom - top), strict=True))
    # One scale must explain both sides, rounded; a side of less than a pixel becomes one.
    least = max((made - 0.5) / taken if made > 1 else 0 for made, taken in sides)
    most = min((made + 0.5) / taken for made, taken in sides)
    assert least <= most + 1e-9


@given(source=st.tuples(SIDES, SIDES), orientation=st.integers(1, 8), output=OUTPUTS)
def test_cut_fits_the_stored_picture(source: Size, orientation: int, output: Output) -> None:
    cut = thumbnails._plan(output, source).as_stored(source, orientation)
    stored = source if orientation < 5 else source[::-1]
    left, top, right, bottom = cut.region
    assert -1e-6 <= left < right <= stored[0] + 1e-6
    assert -1e-6 <= top < bottom <= stored[1] + 1e-6


@settings(max_examples=60)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    box=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    fit=st.sampled_from(FITS),
    format=st.sampled_from(FORMATS),
    mode=st.sampled_from(["L", "RGB", "RGBA", "P"]),
)
def test_any_size_in_any_box_is_made_as_told(
    size: Size, box: Size, fit: Fit, format: Format, mode: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.write_bytes(encode(make_picture(mode, size), "PNG"))
        recipe = Recipe((Output("a", *box, fit, format, animated=format == "gif"),))
        (made,) = make_thumbnails(source, recipe, Path(folder), ImageLimits()).thumbnails
        with Image.open(Path(folder) / made.file_name) as image:
            assert image.size == (made.width, made.height)
            assert image.size == box or fit != "pad"
