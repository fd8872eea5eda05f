import io
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import ExifTags, Image, ImageColor, ImageFile

from tests.support.engine import LIMITS, Engine, assert_near, png
from tests.support.images import RED, encode, make_image, make_jpeg, make_picture, make_png, psnr
from tests.support.profiles import make_wide_gamut_profile
from webapp.engine import animation, decoding, encoding, errors, vips
from webapp.engine.errors import ByteBudget, ImageError
from webapp.engine.geometry import predict_sizes
from webapp.engine.thumbhash import thumbhash_to_png
from webapp.recipes.outputs import Format, Output, responsive_set

Size = tuple[int, int]

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


SOURCE_FORMATS = {
    "jpeg": "jpeg", "png": "png", "webp": "webp", "avif": "avif", "heic": "jpeg", "jp2": "jpeg",
    "gif": "png", "tiff": "png", "bmp": "png", "ico": "png",
}  # fmt: skip


@pytest.mark.parametrize(("source", "made_as"), SOURCE_FORMATS.items())
def test_format_of_the_source_or_the_nearest_is_kept(
    source: str, made_as: str, engine: Engine
) -> None:
    (made,) = engine.make(make_image("RGB", format=source), Output("a", 40, 40, format="source"))
    assert engine.load(made).format == made_as.upper()


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1)], ids=str)
def test_smallest_sides_can_be_encoded(size: Size, format: Format, engine: Engine) -> None:
    for mode in ("RGB", "RGBA", "L", "LA"):
        made = engine.picture(make_png(mode, size), Output("made", 300, 300, format=format))
        assert made.size == size


# A recipe and its result


def test_order_of_outputs_is_that_of_the_recipe(engine: Engine) -> None:
    names = ["middle", "large", "small"]
    outputs = [Output(name, side, side) for name, side in zip(names, (80, 120, 40), strict=True)]
    made = engine.make(make_jpeg(), *outputs)
    assert [(one.file_name, one.width) for one in made] == [
        ("middle.jpg", 80),
        ("large.jpg", 120),
        ("small.jpg", 40),
    ]


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


def test_widths_beyond_a_small_source_are_made_once(engine: Engine) -> None:
    widths = [Output(f"{w}w", w, None, format=f) for w in (40, 200, 300) for f in ("webp", "jpeg")]
    made = engine.make(make_jpeg(size=(120, 80)), *widths)
    assert [thumbnail.file_name for thumbnail in made] == [
        "40w.webp",
        "40w.jpg",
        "200w.webp",
        "200w.jpg",
    ]


def test_larger_width_of_another_quality_is_not_made_of_a_small_source(engine: Engine) -> None:
    widths = [Output("100w", 100, None, format="webp")]
    large = Output("200w", 200, None, format="webp", quality=33)
    made = engine.make(make_jpeg(size=(100, 80)), *widths, large)
    assert [thumbnail.file_name for thumbnail in made] == ["100w.webp"]
    predicted = predict_sizes((*widths, large), "jpeg", (100, 80))
    assert [(output.name, size) for output, size in predicted] == [("100w", (100, 80))]


def test_one_width_in_two_qualities_is_made_twice(engine: Engine) -> None:
    outputs = [
        Output(name, 60, None, format="webp", quality=quality)
        for name, quality in (("fine", 90), ("small", 40))
    ]
    made = engine.make(make_jpeg(size=(120, 80)), *outputs)
    assert [thumbnail.file_name for thumbnail in made] == ["fine.webp", "small.webp"]


def test_kept_outputs_are_not_made_and_change_no_others(engine: Engine) -> None:
    outputs = (*responsive_set((40, 80), ("webp",)), Output("avatar", 30, 30, "cover"))
    picture = make_jpeg(size=(1200, 800))
    everything = {made.number: made for made in engine.make(picture, *outputs)}
    files = {made.file_name: engine.folder / made.file_name for made in everything.values()}
    contents = {name: file.read_bytes() for name, file in files.items()}
    result = engine.result(picture, *outputs, kept=(0, 1))
    assert result.thumbnails == [everything[2]]
    assert files["avatar.jpg"].read_bytes() == contents["avatar.jpg"]


def test_width_equal_to_a_kept_one_is_not_made(engine: Engine) -> None:
    outputs = responsive_set((400, 300, 200), ("webp",))
    assert engine.result(make_jpeg(size=(120, 80)), *outputs, kept=(1,)).thumbnails == []


def test_fixed_size_equal_to_a_kept_one_is_made(engine: Engine) -> None:
    outputs = (Output("avatar", 60, 60, "cover"), Output("icon", 60, 60, "cover"))
    (made,) = engine.result(make_jpeg(size=(120, 80)), *outputs, kept=(0,)).thumbnails
    assert (made.number, made.file_name) == (1, "icon.jpg")


def test_identical_outputs_with_both_sides_are_all_made(engine: Engine) -> None:
    outputs = (
        Output("avatar", 60, 60, "cover"),
        Output("icon", 60, 60, "cover"),
        Output("card", 400, 400),
        Output("hero", 800, 800),
    )
    made = engine.make(make_jpeg(size=(120, 80)), *outputs)
    files = {one.file_name: (engine.folder / one.file_name).read_bytes() for one in made}
    assert list(files) == ["avatar.jpg", "icon.jpg", "card.jpg", "hero.jpg"]
    assert files["avatar.jpg"] == files["icon.jpg"]
    assert files["card.jpg"] == files["hero.jpg"]


@pytest.mark.parametrize(
    ("given", "left_out"),
    [
        ({"background": "#000000"}, True),
        ({"focus": "smart"}, True),
        ({"keep_copyright": True}, True),
        ({"animated": True}, True),
        ({"quality": 80}, True),
        ({"quality": 79}, False),
        ({"max_bytes": 1_000_000}, False),
    ],
    ids=str,
)
def test_invisible_options_make_no_second_file(
    given: dict[str, Any], left_out: bool, engine: Engine
) -> None:
    one, other = Output("one", 60, None, format="webp"), Output("other", 60, None, format="webp")
    made = engine.make(make_jpeg(), one, replace(other, **given))
    assert len(made) == (1 if left_out else 2)


def test_formats_of_one_size_are_resized_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    resized, resize = [], Image.Image.resize

    def count(image: Image.Image, size: Size, *args: Any, **options: Any) -> Image.Image:
        resized.append(size)
        return resize(image, size, *args, **options)

    monkeypatch.setattr(vips, "libvips", None)
    monkeypatch.setattr(Image.Image, "resize", count)
    formats: tuple[Format, ...] = ("png", "jpeg", "webp", "avif")
    engine.make(make_jpeg(), *(Output("a", 90, 90, format=format) for format in formats))
    assert resized.count((90, 60)) == 1


def test_equal_sizes_that_look_different_are_all_made(engine: Engine) -> None:
    outputs = (
        Output("contain", 300, 200),
        Output("pad", 300, 200, "pad"),
        Output("black", 300, 200, "pad", background="#000000"),
        Output("poor", 300, 200, quality=10),
    )
    assert len(engine.make(make_jpeg(size=(120, 80)), *outputs)) == 4


def test_result_describes_the_source(engine: Engine) -> None:
    photo = make_jpeg(size=(300, 200), orientation=6, gps=True)
    result = engine.result(photo, png(60, 60))
    assert result.header == engine.header(photo)
    assert result.header.had_gps


def test_placeholder_shows_the_picture_and_its_colour(engine: Engine) -> None:
    result = engine.result(encode(Image.new("RGB", (90, 60), RED), "PNG"), png(60, 60))
    assert_near(ImageColor.getrgb(result.color), RED)
    with Image.open(io.BytesIO(thumbhash_to_png(result.thumbhash))) as placeholder:
        assert_near(placeholder.convert("RGB").getpixel((5, 5)), RED, 12)


# Quality and limits of bytes


def test_quality_is_that_of_the_output(engine: Engine) -> None:
    low, high = engine.make(
        make_jpeg((600, 400)), Output("low", 200, 200, quality=20), Output("high", 200, 200)
    )
    assert (low.quality, high.quality) == (20, 80)
    assert low.bytes < high.bytes * 0.6


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_best_quality_within_the_byte_limit_is_found(format: Format, engine: Engine) -> None:
    photo = make_jpeg(size=(600, 400))
    (free,) = engine.make(photo, Output("free", 300, 200, format=format))
    limit = free.bytes * 2 // 3
    (made,) = engine.make(photo, Output("fits", 300, 200, format=format, max_bytes=limit))
    assert made.quality
    better = Output("better", 300, 200, format=format, quality=made.quality + 1)
    assert made.bytes <= limit < engine.make(photo, better)[0].bytes


def test_file_within_its_limit_keeps_its_quality(engine: Engine) -> None:
    (made,) = engine.make(make_jpeg(), Output("a", 60, 60, max_bytes=1_000_000))
    assert made.quality == 80


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_limit_that_cannot_be_met_is_an_error(format: Format, engine: Engine) -> None:
    output = Output("a", 1000, 800, format=format, max_bytes=1000, enlarge=True)
    with pytest.raises(ByteBudget, match=r"does not fit into 1 kB: it has at least \d+ kB"):
        engine.make(make_jpeg(size=(1000, 800)), output)
    assert list(engine.folder.iterdir()) == []


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


RIGHTS = {
    "UTF-8": ("Zoë".encode(), "© Zoë 2026".encode()),
    "Latin-1": ("Zoë".encode("latin-1"), "© Zoë 2026".encode("latin-1")),
}


def make_rights(artist: bytes, notice: bytes) -> Image.Exif:
    """Make EXIF of an author, a copyright notice and private facts."""
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Copyright] = artist, notice
    exif[ExifTags.Base.Make] = "Camera"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return exif


def read_rights(path: Path) -> dict[int, bytes]:
    """Read all of the EXIF in a file, as the bytes that are in it."""
    with Image.open(path) as image:
        return {tag: value.encode("latin-1") for tag, value in image.getexif().items()}


@pytest.mark.parametrize("source", ["jpeg", "png", "webp", "tiff", "avif", "heic"])
@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("rights", RIGHTS.values(), ids=RIGHTS)
def test_only_copyright_and_author_are_kept_if_asked(
    rights: tuple[bytes, bytes], format: Format, source: str, engine: Engine
) -> None:
    exif = make_rights(*rights)
    # Pillow reads the text of a block before it writes it into a TIFF; the tags it takes as bytes.
    options = {"tiffinfo": dict(exif)} if source == "tiff" else {"exif": exif.tobytes()}
    photo = encode(make_picture(), source, **options)
    kept, bare = engine.make(
        photo,
        Output("kept", 50, 50, format=format, keep_copyright=True),
        Output("bare", 50, 50, format=format),
    )
    expected = dict(zip((ExifTags.Base.Artist, ExifTags.Base.Copyright), rights, strict=True))
    assert read_rights(engine.folder / kept.file_name) == expected
    assert read_rights(engine.folder / bare.file_name) == {}


# Faults


def test_every_error_has_a_code_of_its_own() -> None:
    assert errors.TimedOut in ImageError.__subclasses__()
    codes = [vars(error).get("code") for error in ImageError.__subclasses__()]
    assert sorted(filter(None, codes)) == [
        "byte_budget",
        "corrupt",
        "crashed",
        "empty",
        "out_of_memory",
        "timed_out",
        "too_many_frames",
        "too_many_output_pixels",
        "too_many_pixels",
        "too_many_scans",
        "truncated",
        "unsupported_format",
    ]


def test_lack_of_memory_is_not_blamed_on_the_image(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("out of memory error when reading image file")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(MemoryError):
        engine.make(make_jpeg(), png(60, 60))


@pytest.mark.parametrize(
    ("module", "step"),
    [
        (decoding, "plan"),
        (animation, "resize_all"),
        (decoding, "to_resizable_mode"),
        (decoding, "orient_and_convert"),
        (encoding, "_encode"),
    ],
)
def test_internal_error_is_not_blamed_on_the_image(
    module: ModuleType, step: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, step, lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        engine.make(make_jpeg(), png(60, 60))
    assert list(engine.folder.iterdir()) == []


def test_too_many_pixels_of_all_thumbnails_are_refused(engine: Engine) -> None:
    # The form cannot tell: a free side is as long as the picture makes it.
    photo, outputs = make_jpeg((200, 400)), (Output("a", 200, None), Output("b", 100, None))
    with pytest.raises(ImageError, match="megapixels in all") as caught:
        engine.result(photo, *outputs, limits=replace(LIMITS, max_output_megapixels=0.0999))
    assert caught.value.code == "too_many_output_pixels"
    assert list(engine.folder.iterdir()) == []
    enough = replace(LIMITS, max_output_megapixels=0.1)
    assert len(engine.result(photo, *outputs, limits=enough).thumbnails) == 2


def test_repeated_width_counts_once(engine: Engine) -> None:
    outputs = responsive_set((200, 400, 800, 1600), ("jpeg",))
    limits = replace(LIMITS, max_output_megapixels=0.08)
    assert len(engine.result(make_jpeg((200, 400)), *outputs, limits=limits).thumbnails) == 1


def test_each_frame_of_an_animation_counts_a_tenth(engine: Engine) -> None:
    frames = [Image.new("L", (50, 50), 6 * shade) for shade in range(40)]
    gif = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    output = Output("a", 50, 50, format="webp", animated=True)
    with pytest.raises(ImageError, match="in all"):
        engine.result(gif, output, limits=replace(LIMITS, max_output_megapixels=0.0099))
    engine.result(gif, output, limits=replace(LIMITS, max_output_megapixels=0.01))
