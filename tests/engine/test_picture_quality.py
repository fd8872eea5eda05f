"""Compare thumbnails with those that are made from all pixels, slowly.

That way decodes every pixel, brings all of them to sRGB, turns the whole picture, crops it, and
only then resizes it, once, with LANCZOS and with alpha multiplied in.
"""

import io
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image, ImageChops, ImageCms, ImageColor, ImageDraw, ImageOps, ImageStat

from tests.support.engine import Engine, assert_near, png
from tests.support.images import (
    convert,
    delta_e,
    encode,
    make_corners,
    make_exif,
    make_picture,
    make_ycck_jpeg,
    turn,
)
from tests.support.profiles import make_grey_profile, make_ink_profile, make_wide_gamut_profile
from webapp.recipes.outputs import Fit, Output

pytestmark = pytest.mark.slow

Size = tuple[int, int]
Region = tuple[float, float, float, float]


def make_reference(image: bytes) -> Image.Image:
    """Decode an image in full, bring it to sRGB and turn it; it is RGB or RGBA then."""
    with Image.open(io.BytesIO(image)) as opened:
        profile = opened.info.get("icc_profile")
        picture = ImageOps.exif_transpose(opened)
    alpha = picture.convert("RGBA").getchannel("A") if picture.has_transparency_data else None
    if picture.mode in ("I;16", "I"):
        picture = picture.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")
    elif picture.mode == "F":
        picture = picture.point(lambda value: value * 255 + 0.5).convert("L")
    elif picture.mode in ("P", "RGBA"):
        picture = picture.convert("RGBA").convert("RGB")
    elif picture.mode in ("1", "LA"):
        picture = picture.convert("L")
    if profile:
        picture = make_transform(profile, picture.mode).apply(picture)
    picture = picture.convert("RGB")
    if alpha:
        picture.putalpha(alpha)
    return picture


@cache
def make_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    source, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    return ImageCms.ImageCmsTransform(source, ImageCms.ImageCmsProfile(srgb), mode, "RGB")


def resize(picture: Image.Image, size: Size, region: Region) -> Image.Image:
    """Resize a region from all its pixels, without the colour of invisible ones."""
    if picture.mode == "RGB":
        return picture.resize(size, Image.Resampling.LANCZOS, region)
    multiplied = picture.convert("RGBa").resize(size, Image.Resampling.LANCZOS, region)
    return multiplied.convert("RGBA")


# Every mode in every format, orientation and fit, with and without a profile

SEEN = (180, 120)  # More than four times its thumbnails: decoders and resizing take short cuts.
BACKGROUND = "#336699"


@dataclass(frozen=True)
class Fitted:
    """Describe a thumbnail of SEEN: its size, and which region is where in it."""

    output: Output
    size: Size
    region: Region
    inner: Size
    corner: Size = (0, 0)


FITTED: Mapping[Fit, Fitted] = {
    "contain": Fitted(png(36, 36), (36, 24), (0, 0, 180, 120), (36, 24)),
    "cover": Fitted(png(36, 36, "cover"), (36, 36), (30, 0, 150, 120), (36, 36)),
    "pad": Fitted(
        png(36, 36, "pad", background=BACKGROUND), (36, 36), (0, 0, 180, 120), (36, 24), (0, 6)
    ),
}


@dataclass(frozen=True)
class Kind:
    """Describe a kind of source.

    `PA` is a palette with a transparent colour, `YCCK` a CMYK JPEG as Photoshop writes it; the
    other modes are Pillow's.
    """

    mode: str
    format: str
    profile: str = ""

    @property
    def tolerance(self) -> tuple[float, float]:
        """Return the largest allowed ΔE from all pixels: on average, and at most."""
        if self.mode == "1":
            return 1.5, 10  # Dithered, it has nothing but edges.
        # Where two colours meet, it matters whether they are mixed before or after the conversion
        # to sRGB, and in which scale a JPEG's decoder mixes what it has of colour.
        if self.mode == "LAB" or self.profile == "wide gamut" or self.format == "jpeg":
            return 1, 16
        return 0.5, 6

    def __str__(self) -> str:
        return " ".join(filter(None, (self.mode, self.format, self.profile)))


PROFILES = {
    "wide gamut": make_wide_gamut_profile(),
    "inks": make_ink_profile(),
    "linear": make_grey_profile(1.0),
    "gamma 1.8": make_grey_profile(1.8),
    "gamma 2.2": make_grey_profile(2.2),
}
MODES: Mapping[str, tuple[str, ...]] = {
    "png": ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16"),
    "jpeg": ("L", "RGB", "CMYK", "YCCK"),
    "webp": ("RGB", "RGBA"),
    "tiff": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"),
    "avif": ("L", "LA", "RGB", "RGBA"),
    "heic": ("L", "LA", "RGB", "RGBA"),
    "gif": ("1", "L", "P", "RGBA"),
    "bmp": ("1", "L", "P", "RGB"),
    "jp2": ("L", "LA", "RGB", "RGBA", "I;16"),
    "ico": ("L", "P", "RGB", "RGBA"),
}
PROFILED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "wide gamut": {
        "png": ("P", "PA", "RGB", "RGBA"),
        "jpeg": ("RGB",),
        "webp": ("RGB", "RGBA"),
        "tiff": ("RGB", "RGBA"),
        "avif": ("RGB", "RGBA"),
        "heic": ("RGB", "RGBA"),
    },
    "inks": {"jpeg": ("CMYK", "YCCK"), "tiff": ("CMYK",)},
    "linear": {"png": ("L",)},
    "gamma 1.8": {"png": ("L", "LA", "I;16"), "jpeg": ("L",), "tiff": ("L",)},
    "gamma 2.2": {"png": ("L",)},
}
KINDS = [
    *(Kind(mode, format) for format, modes in MODES.items() for mode in modes),
    *(
        Kind(mode, format, profile)
        for profile, formats in PROFILED.items()
        for format, modes in formats.items()
        for mode in modes
    ),
]
UPRIGHT_ONLY = ("gif", "bmp", "jp2", "ico")  # These do not say how they are turned.
# A kind for each decoder that turns: Pillow's of each format, and libvips for PNG and WebP in RGB.
DECODERS = {
    *(Kind("RGB", format) for format in ("jpeg", "png", "webp", "tiff", "avif", "heic")),
    *(Kind("RGBA", format) for format in ("png", "webp")),
}


def orientations(kind: Kind) -> Iterable[int]:
    """Return all eight for one kind a decoder, and upright and turned for the others.

    An image is turned after it is decoded and resized, in the same lines for all its modes.
    """
    if kind.format in UPRIGHT_ONLY:
        return (1,)
    return range(1, 9) if kind in DECODERS else (1, 6)


TABLE = [(kind, orientation) for kind in KINDS for orientation in orientations(kind)]
WITH_ALPHA = ("LA", "PA", "RGBA")
TABLE_WITH_ALPHA = [row for row in TABLE if row[0].mode in WITH_ALPHA]
every_kind = pytest.mark.parametrize(("kind", "orientation"), TABLE, ids=str)


@cache
def make_chart(mode: str) -> Image.Image:
    """Make four corners around a disc of many colours, or around a hole, in any mode."""
    mask = Image.new("L", SEEN)
    ImageDraw.Draw(mask).ellipse((60, 30, 120, 90), 255)
    chart = make_corners(SEEN)
    if mode in WITH_ALPHA:
        chart.putalpha(255)
        chart.paste((0, 0, 0, 0), (0, 0), mask)
        return chart.quantize(64) if mode == "PA" else chart.convert(mode)
    chart.paste(make_picture("RGB", SEEN), (0, 0), mask)
    return chart.quantize(64) if mode == "P" else convert(chart, mode.replace("YCCK", "CMYK"))


LOSSY: Mapping[str, Mapping[str, Any]] = {
    "jpeg": {"quality": 90},
    "webp": {"quality": 90},
    "avif": {"quality": 90, "speed": 10},
}


@cache
def make_source(kind: Kind, orientation: int) -> bytes:
    options = dict(LOSSY.get(kind.format, {}))
    options |= {"exif": make_exif(orientation)} if orientation > 1 else {}
    options |= {"icc_profile": PROFILES[kind.profile]} if kind.profile else {}
    picture = turn(make_chart(kind.mode), orientation)
    if kind.mode == "YCCK":
        return make_ycck_jpeg(picture, **options)
    return encode(picture, kind.format, **options)


@cache
def make_all_fits(kind: Kind, orientation: int) -> dict[str, Image.Image]:
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Path(folder))
        outputs = [replace(fitted.output, name=fit) for fit, fitted in FITTED.items()]
        made = engine.make(make_source(kind, orientation), *outputs)
        return {fit: engine.load(one) for fit, one in zip(FITTED, made, strict=True)}


@cache
def make_all_slowly(kind: Kind, orientation: int) -> dict[str, Image.Image]:
    picture = make_reference(make_source(kind, orientation))
    expected: dict[str, Image.Image] = {}
    for fit, fitted in FITTED.items():
        expected[fit] = Image.new(picture.mode, fitted.size, BACKGROUND)
        expected[fit].paste(resize(picture, fitted.inner, fitted.region), fitted.corner)
    return expected


@every_kind
def test_size_and_corners_are_those_of_the_fit(kind: Kind, orientation: int) -> None:
    made = make_all_fits(kind, orientation)
    assert {fit: made[fit].size for fit in FITTED} == {fit: FITTED[fit].size for fit in FITTED}
    found = {fit: sort_corners(made[fit], *FITTED[fit].corner) for fit in FITTED}
    # From dark to light: that is blue, red, green, yellow in every mode and profile.
    seen = ["bottom left", "top left", "top right", "bottom right"]
    assert found == dict.fromkeys(FITTED, seen)


def sort_corners(picture: Image.Image, left: int, top: int) -> list[str]:
    """List the corners of a picture without its border, from dark to light."""
    right, bottom = picture.width - left - 6, picture.height - top - 6
    light = {
        "top left": mean_light(picture, left, top),
        "top right": mean_light(picture, right, top),
        "bottom left": mean_light(picture, left, bottom),
        "bottom right": mean_light(picture, right, bottom),
    }
    return sorted(light, key=lambda corner: light[corner])


def mean_light(picture: Image.Image, x: int, y: int) -> float:
    return ImageStat.Stat(picture.convert("L").crop((x, y, x + 6, y + 6))).mean[0]


@every_kind
def test_colours_are_those_of_all_pixels(kind: Kind, orientation: int) -> None:
    made, expected = make_all_fits(kind, orientation), make_all_slowly(kind, orientation)
    far = {fit: delta_e(on_white(made[fit]), on_white(expected[fit])) for fit in FITTED}
    average, worst = kind.tolerance
    assert all(far[fit][0] <= average and far[fit][1] <= worst for fit in FITTED), far


def on_white(picture: Image.Image) -> Image.Image:
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture.convert("RGBA"))


@pytest.mark.parametrize(("kind", "orientation"), TABLE_WITH_ALPHA, ids=str)
def test_transparency_is_that_of_all_pixels(kind: Kind, orientation: int) -> None:
    made, expected = make_all_fits(kind, orientation), make_all_slowly(kind, orientation)
    far = {fit: alpha_difference(made[fit], expected[fit]) for fit in FITTED}
    assert all(far[fit] <= 10 for fit in FITTED), far


def alpha_difference(one: Image.Image, other: Image.Image) -> int:
    difference = ImageChops.difference(one.getchannel("A"), other.getchannel("A"))
    return cast(tuple[int, int], difference.getextrema())[1]


# Fringes: invisible pixels are black, and none of that may be seen

KINDS_WITH_ALPHA = [kind for kind in KINDS if kind.mode in WITH_ALPHA and not kind.profile]
EXACTLY: Mapping[str, Mapping[str, Any]] = {
    "webp": {"lossless": True, "exact": True},
    "avif": {"quality": 100, "subsampling": "4:4:4", "speed": 10},
    "heic": {"quality": -1},
}


def make_bright_shape(kind: Kind) -> bytes:
    """Make a white disc on black that is not seen."""
    picture = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse((30, 30, 170, 170), (255, 255, 255, 255))
    picture = picture.quantize(8) if kind.mode == "PA" else picture.convert(kind.mode)
    return encode(picture, kind.format, **EXACTLY.get(kind.format, {}))


@pytest.mark.parametrize("kind", KINDS_WITH_ALPHA, ids=str)
def test_bright_shape_keeps_a_bright_edge(kind: Kind, engine: Engine) -> None:
    made = engine.picture(make_bright_shape(kind), png(37, 37))
    edge = made.getchannel("A").point(lambda alpha: 255 * (0 < alpha < 255))
    assert edge.getbbox()
    assert min(ImageStat.Stat(made.convert("L"), edge).extrema)[0] >= 250


@pytest.mark.parametrize("background", ["#ffffff", "#808080"])
@pytest.mark.parametrize("kind", KINDS_WITH_ALPHA, ids=str)
def test_bright_shape_on_a_background_has_no_dark_edge(
    kind: Kind, background: str, engine: Engine
) -> None:
    output = Output("made", 37, 37, background=background, quality=100)
    made = engine.picture(make_bright_shape(kind), output)
    darkest = [low for low, _ in cast(list[tuple[int, int]], made.getextrema())]
    assert_near(tuple(darkest), ImageColor.getrgb(background), 8)
