import itertools
import struct
from collections.abc import Callable

import pytest
from PIL import Image

from tests.support import hostile
from tests.support.engine import Engine, assert_corners, assert_near, png
from tests.support.images import (
    RED,
    delta_e,
    encode,
    make_corners,
    make_image,
    make_jpeg,
    make_picture,
    make_ycck_jpeg,
)
from tests.support.profiles import (
    make_grey_profile,
    make_ink_profile,
    make_profile_without_white,
    make_wide_gamut_profile,
    overprint,
)
from tests.support.tags import encode_light
from webapp.engine import cicp, profiles, srgb
from webapp.recipes.outputs import Format, Output

# Grey of more than 8 bits


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


def test_very_bright_floats_do_not_darken_the_rest(engine: Engine) -> None:
    image = Image.new("F", (40, 20), 0.5)
    image.putpixel((39, 19), 1.9)
    made = engine.picture(encode(image, "tiff"), png(40, 20))
    assert made.getpixel((5, 5)) == 127


def test_sixteen_bits_that_begin_with_white_are_inverted(engine: Engine) -> None:
    data = struct.pack("<4H", 0, 0, 65535, 65535) * 10
    image = hostile.tiff.grey(4, 10, data, bits=16, more=[(262, 3, 1, struct.pack("<H", 0))])
    made = engine.picture(image, png(4, 10))
    assert (made.getpixel((0, 5)), made.getpixel((3, 5))) == (255, 0)


def test_twelve_bits_use_the_whole_range(engine: Engine) -> None:
    data = bytes.fromhex("fff800") * 20  # Two pixels: 4095 and 2048.
    made = engine.picture(hostile.tiff.grey(2, 20, data, bits=12), png(2, 20))
    assert (made.getpixel((0, 5)), made.getpixel((1, 5))) == (255, 128)


def test_transparent_shade_of_16_bits_stays_transparent(engine: Engine) -> None:
    grey = Image.new("I", (40, 40), 90 * 257)
    grey.paste(200 * 257, (0, 0, 40, 20))
    image = encode(grey.convert("I;16"), "png", transparency=90 * 257)
    made = engine.picture(image, png(40, 40))
    assert (made.getpixel((20, 5)), made.getpixel((20, 35))) == ((200, 255), (0, 0))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 0.0, -5.0])
def test_infinite_and_missing_floats_do_not_fail(value: float, engine: Engine) -> None:
    assert engine.picture(encode(Image.new("F", (40, 20), value), "tiff"), png(20, 20)).size


def test_grey_stays_grey(engine: Engine) -> None:
    for format in ("jpeg", "png"):
        assert engine.picture(make_image("L"), Output("made", 60, 60, format=format)).mode == "L"


# Profiles and CMYK


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
@pytest.mark.parametrize(
    ("gamma", "stored", "seen"),
    # By the curve of sRGB: the grey of so much light, which is the stored share to the gamma.
    [(1.0, 55, 128), (1.8, 30, 40), (1.8, 128, 147), (2.2, 20, 12), (2.2, 128, 129)],
)
def test_profile_of_grey_is_converted_and_grey_stays_grey(
    gamma: float, stored: int, seen: int, mode: str, engine: Engine
) -> None:
    picture = Image.new("L", (40, 40), stored).convert(mode)
    profile = make_grey_profile(gamma)
    made = engine.picture(encode(picture, "png", icc_profile=profile), png(20, 20))
    assert made.mode == mode
    assert made.getchannel("L").getpixel((10, 10)) == pytest.approx(seen, abs=1)


def test_profile_leaves_alpha_alone(engine: Engine) -> None:
    image = Image.new("RGBA", (40, 40), (180, 110, 90, 77))
    image.paste((180, 110, 90, 255), (0, 0, 40, 20))
    profile = make_wide_gamut_profile()
    made = engine.picture(encode(image, "png", icc_profile=profile), png(40, 40))
    assert_near(made.getpixel((20, 5)), (191, 106, 85, 255), 2)
    assert_near(made.getpixel((20, 35)), (191, 106, 85, 77), 2)


@pytest.mark.parametrize("name", ["sRGB", "Wide"])
def test_srgb_needs_no_conversion_whatever_its_name(name: str) -> None:
    space = cicp.SPACES[cicp.BT709]
    plain = profiles.make_profile(name, profiles.SRGB_CURVE, space)
    grey = profiles.make_profile(name, profiles.SRGB_CURVE, None)
    assert srgb.find_transform(plain, "RGB") is None
    assert srgb.find_transform(grey, "L") is None


def test_linear_colours_are_converted_though_named_srgb(engine: Engine) -> None:
    space = cicp.SPACES[cicp.BT709]
    linear = profiles.make_profile("sRGB-elle-V2-g10.icc", profiles.gamma_curve(1), space)
    picture = Image.new("RGB", (40, 40), (64, 128, 200))
    made = engine.picture(encode(picture, "png", icc_profile=linear), png(20, 20))
    expected = tuple(encode_light(part / 255) for part in (64, 128, 200))
    assert_near(made.getpixel((10, 10)), expected, 1)


def test_transform_is_built_once_for_each_profile() -> None:
    first = srgb.find_transform(make_wide_gamut_profile(), "RGB")
    assert srgb.find_transform(make_wide_gamut_profile(), "RGB") is first


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "CMYK", "P"])
def test_profile_that_does_not_fit_the_mode_is_harmless(mode: str, engine: Engine) -> None:
    format = "tiff" if mode == "CMYK" else "png"
    image = encode(make_picture(mode), format, icc_profile=make_wide_gamut_profile())
    made = engine.picture(image, png(60, 40))
    assert made.mode == {"CMYK": "RGB", "P": "RGB"}.get(mode, mode)


@pytest.mark.parametrize(
    "profile",
    [b"nonsense", b"\0" * 200, make_profile_without_white()],
    ids=["nonsense", "zeros", "no white"],
)
def test_broken_profile_is_ignored(profile: bytes, engine: Engine) -> None:
    assert_corners(engine.picture(make_jpeg(image=make_corners(), icc=profile), png(60, 40)))


@pytest.mark.parametrize("format", ["jpeg", "tiff"])
def test_white_of_cmyk_stays_white(format: str, engine: Engine) -> None:
    image = encode(Image.new("CMYK", (60, 20), (0, 0, 0, 0)), format)
    made = engine.picture(image, png(50, 50, "pad", background="#ffffff"))
    assert made.getcolors() == [(2500, (255, 255, 255))]


PRINTED = list(itertools.product((False, True), repeat=4))


@pytest.mark.parametrize("printed", PRINTED, ids=lambda inks: "".join("-+"[ink] for ink in inks))
@pytest.mark.parametrize("kind", ["CMYK jpeg", "YCCK jpeg", "CMYK tiff"])
def test_inks_have_the_colours_of_their_profile(
    kind: str, printed: tuple[bool, bool, bool, bool], engine: Engine
) -> None:
    picture = Image.new("CMYK", (40, 40), tuple(255 * ink for ink in printed))
    profile = make_ink_profile()
    if kind == "YCCK jpeg":
        image = make_ycck_jpeg(picture, icc_profile=profile, quality=95)
    else:
        image = encode(picture, kind.removeprefix("CMYK "), icc_profile=profile)
    made = engine.picture(image, png(20, 20))
    assert delta_e(made, Image.new("RGB", (20, 20), overprint(*printed)))[1] < 3


@pytest.mark.parametrize("compression", ["raw", "tiff_deflate"])
def test_profile_of_a_ycbcr_tiff_applies_to_its_colours(compression: str, engine: Engine) -> None:
    picture = Image.new("RGB", (40, 40), (180, 110, 90)).convert("YCbCr")
    profile = make_wide_gamut_profile()
    image = encode(picture, "tiff", compression=compression, icc_profile=profile)
    assert_near(engine.picture(image, png(20, 20)).getpixel((10, 10)), (191, 106, 85), 3)


def test_profile_of_a_palette_applies_to_its_colours(engine: Engine) -> None:
    picture = Image.new("RGB", (40, 40), (180, 110, 90)).quantize(2)
    image = encode(picture, "png", icc_profile=make_wide_gamut_profile())
    assert_near(engine.picture(image, png(20, 20)).getpixel((10, 10)), (191, 106, 85), 2)


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


def test_invisible_colour_does_not_bleed_into_the_edge(engine: Engine) -> None:
    picture = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    picture.paste((255, 255, 255, 255), (0, 0, 155, 300))
    made = engine.picture(encode(picture, "png"), png(37, 37))
    colors = made.getcolors() or []
    partial = [color for _, color in colors if isinstance(color, tuple) and 0 < color[3] < 255]
    assert partial
    assert all(min(color[:3]) >= 250 for color in partial)
