"""A thumbnail in the format and size of its source is never larger."""

import io
import random
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from tests.support import hostile
from tests.support.engine import Engine
from tests.support.images import (
    RED,
    encode,
    make_animation,
    make_corners,
    make_exif,
    make_jpeg,
    make_picture,
    make_png,
    make_ycck_jpeg,
    psnr,
)
from tests.support.profiles import make_wide_gamut_profile
from webapp.engine.formats import jpeg
from webapp.engine.result import MadeThumbnail
from webapp.engine.strip import strip_metadata
from webapp.recipes.outputs import Format, Output

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
METADATA: dict[str, Any] = {
    "exif": make_exif(gps=True),
    "xmp": b"<secret exif:GPSLatitude='51'/>",
    "icc_profile": SRGB,
}
SECRETS = (b"secret", b"Exif", b"EXIF", b"Camera", b"ICC", b"iCCP", b"tEXt", b"XMP", b"xap")


def make_flat(format: str, **options: Any) -> bytes:
    return encode(Image.new("RGB", (120, 80), RED), format, **options)


def make_labelled_png(mode: str) -> bytes:
    text = PngInfo()
    text.add_text("Comment", "secret" * 50)
    return make_png(mode, pnginfo=text, icc_profile=SRGB)


def make_labelled_gif() -> bytes:
    """Make an animated GIF with a comment, and with XMP as Photoshop writes it.

    Its second frame stores a small change; transparent frames are encoded whole.
    """
    first = make_picture("RGBA")
    first.paste((0, 0, 0, 0), (0, 0, 40, 40))
    second = first.copy()
    second.paste(RED, (60, 30, 64, 34))
    gif = encode(
        first,
        "gif",
        save_all=True,
        append_images=[second],
        comment=b"secret",
        loop=0,
        duration=70,
    )
    xmp = b"!\xff\x0bXMP DataXMP<secret/>\x01" + bytes(range(255, -1, -1)) + b"\0"
    start = gif.index(b"!\xf9")
    return gif[:start] + xmp + gif[start:]


def make_labelled_webp() -> bytes:
    return encode(
        make_corners((900, 600)),
        "webp",
        save_all=True,
        append_images=[make_corners((900, 600)).rotate(180)],
        lossless=True,
        duration=70,
        **METADATA,
    )


# Each is larger when it is encoded again, in the quality beside it.
SIZE = (400, 300)
NOISE = Image.effect_noise(SIZE, 90).convert("RGB")
SOURCES: dict[str, tuple[Callable[[], bytes], int]] = {
    "jpeg": (lambda: encode(NOISE, "jpeg", quality=5, comment=b"secret", **METADATA), 95),
    "progressive jpeg": (
        lambda: encode(NOISE, "jpeg", quality=5, progressive=True, **METADATA),
        95,
    ),
    "grey jpeg": (lambda: encode(NOISE.convert("L"), "jpeg", quality=5, exif=make_exif(1)), 95),
    "jpeg of one colour": (lambda: make_flat("jpeg", quality=5, optimize=True), 5),
    "jpeg in rgb": (lambda: encode(NOISE, "jpeg", quality=5, keep_rgb=True), 95),
    "jpeg followed by another": (
        lambda: encode(NOISE, "mpo", save_all=True, append_images=[make_corners()], quality=5),
        95,
    ),
    "webp": (lambda: encode(NOISE, "webp", quality=5, **METADATA), 95),
    "webp with alpha": (lambda: encode(make_fading(), "webp", quality=5, **METADATA), 95),
    "lossless webp": (lambda: encode(make_corners((900, 600)), "webp", lossless=True), 80),
    "webp of one colour": (lambda: make_flat("webp", lossless=True), 80),
    "png": (lambda: make_labelled_png("RGB"), 80),
    "palette png": (lambda: make_labelled_png("P"), 80),
    "transparent png": (lambda: make_labelled_png("RGBA"), 80),
    "animated gif": (lambda: make_labelled_gif(), 80),
    "animated webp": (lambda: make_labelled_webp(), 80),
}


def make_fading() -> Image.Image:
    """Make a picture of noise that fades in from left to right."""
    picture = NOISE.copy()
    picture.putalpha(Image.linear_gradient("L").rotate(90).resize(SIZE))
    return picture


@pytest.mark.parametrize("copyright", [False, True], ids=["", "copyright"])
@pytest.mark.parametrize(("make", "quality"), SOURCES.values(), ids=SOURCES)
def test_copy_is_no_larger_and_has_no_metadata(
    make: Callable[[], bytes], quality: int, copyright: bool, engine: Engine
) -> None:
    source = make()
    size = Image.open(io.BytesIO(source)).size
    format = cast(Format, engine.header(source).format)
    output = Output(
        "a",
        *size,
        format=format,
        quality=quality,
        animated=format in ("gif", "webp"),
        keep_copyright=copyright,
    )
    (made,) = engine.make(source, output)
    content = (engine.folder / made.file_name).read_bytes()
    assert content == strip_metadata(io.BytesIO(source), format)
    assert made.bytes <= len(source)
    assert made.quality is None
    assert not any(secret in content for secret in SECRETS)
    assert frames_of(content) == frames_of(source)


def frames_of(image: bytes) -> list[tuple[bytes, object, object]]:
    """List the pixels and time of each frame, and the number of plays."""
    frames = []
    with Image.open(io.BytesIO(image)) as picture:
        count = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
        for number in range(count):
            picture.seek(number)
            info = picture.info
            pixels = picture.convert("RGBA").tobytes()
            frames.append((pixels, info.get("duration"), info.get("loop")))
    return frames


NO_COPIES: dict[str, tuple[Callable[[], bytes], Output]] = {
    "turned": (lambda: make_jpeg(orientation=3, quality=5), Output("a", 120, 80)),
    "in other colours": (
        lambda: make_jpeg(icc=make_wide_gamut_profile(), quality=5),
        Output("a", 120, 80),
    ),
    "of ink": (
        lambda: make_ycck_jpeg(make_picture("CMYK"), quality=5),
        Output("a", 120, 80),
    ),
    "of another format": (lambda: make_jpeg(quality=5), Output("a", 120, 80, format="webp")),
    "padded": (lambda: make_jpeg(quality=5), Output("a", 120, 90, "pad")),
    "cropped": (lambda: make_jpeg(quality=5), Output("a", 119, 80, "cover")),
    "the first frame": (
        lambda: make_animation("webp", (120, 80)),
        Output("a", 120, 80, format="webp"),
    ),
}


@pytest.mark.parametrize(("make", "output"), NO_COPIES.values(), ids=NO_COPIES)
def test_changed_picture_is_encoded_in_the_requested_quality(
    make: Callable[[], bytes], output: Output, engine: Engine
) -> None:
    (made,) = engine.make(make(), replace(output, quality=95))
    assert made.quality == 95
    with Image.open(engine.folder / made.file_name) as picture:
        assert (picture.mode, getattr(picture, "n_frames", 1)) == ("RGB", 1)
        assert picture.size == (output.width, output.height)


def test_copyright_is_kept_even_if_the_file_grows(engine: Engine) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Copyright] = "Ada"
    source = make_flat("webp", lossless=True, exif=exif)
    (made,) = engine.make(source, Output("a", 120, 80, format="webp", keep_copyright=True))
    with Image.open(engine.folder / made.file_name) as picture:
        assert picture.getexif()[ExifTags.Base.Copyright] == "Ada"


def test_copy_of_a_moving_png_is_its_first_frame(engine: Engine) -> None:
    source = make_animation("png", (120, 80))
    (made,) = engine.make(source, Output("a", 120, 80, format="png"))
    with Image.open(engine.folder / made.file_name) as picture:
        assert not getattr(picture, "is_animated", False)
        assert psnr(picture.convert("RGB"), Image.new("RGB", (120, 80), RED)) == 100


def test_copy_may_fit_into_the_byte_limit(engine: Engine) -> None:
    source = make_jpeg((600, 400), quality=5)
    (made,) = engine.make(source, Output("a", 600, 400, quality=95, max_bytes=len(source)))
    assert made.bytes <= len(source)


def as_copy(source: bytes, engine: Engine) -> MadeThumbnail:
    """Make a thumbnail that would be larger than its source, unless it is a copy."""
    (made,) = engine.make(source, Output("a", *SIZE, quality=95))
    engine.load(made)
    return made


def make_noisy_jpeg(**options: Any) -> bytes:
    return encode(NOISE, "jpeg", quality=5, **options)


def test_copy_has_the_end_marker_that_its_source_lacks(engine: Engine) -> None:
    made = as_copy(make_noisy_jpeg()[:-2], engine)
    content = (engine.folder / made.file_name).read_bytes()
    assert (made.quality, content) == (None, strip_metadata(io.BytesIO(make_noisy_jpeg()), "jpeg"))


def test_copy_has_no_stray_bytes_between_segments(engine: Engine) -> None:
    stray = hostile.jpeg.segment(0xFE, b"secret") + b"secret"
    made = as_copy(hostile.jpeg.after_soi(make_noisy_jpeg(), stray * 2), engine)
    content = (engine.folder / made.file_name).read_bytes()
    assert (made.quality, content) == (None, strip_metadata(io.BytesIO(make_noisy_jpeg()), "jpeg"))


# 64 × 64 pixels of one bit, which are encoded in eight.
NOISY_LINES = b"".join(b"\0" + random.Random(line).randbytes(8) for line in range(64))


@pytest.mark.parametrize(
    ("pixels", "is_copy"),
    [
        (zlib.compress(NOISY_LINES), True),
        (zlib.compress(NOISY_LINES) + b"secret", False),
        (zlib.compress(NOISY_LINES + b"secret", 0), False),
        (zlib.compress(NOISY_LINES, 0)[:-4], False),
        (zlib.compress(NOISY_LINES, 0)[:-4] + bytes(4), False),
    ],
    ids=["only its pixels", "bytes behind", "bytes inside", "no checksum", "wrong checksum"],
)
def test_png_is_copied_if_it_stores_just_its_pixels(
    pixels: bytes, is_copy: bool, engine: Engine
) -> None:
    source = hostile.png.build(depth=1, data=pixels)
    (made,) = engine.make(source, Output("a", 64, 64, format="png"))
    content = (engine.folder / made.file_name).read_bytes()
    assert (content == source) == is_copy
    assert b"secret" not in content


def test_source_that_cannot_be_copied_is_encoded(engine: Engine) -> None:
    source = make_noisy_jpeg()[:-2] + hostile.jpeg.segment(0xFE, b"") * 3_000 + jpeg.END
    assert as_copy(source, engine).quality == 95
