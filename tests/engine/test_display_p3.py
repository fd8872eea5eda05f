"""Keep the colours of Display P3."""

import io

import pytest
from PIL import Image, ImageCms

from tests.support.engine import Engine, assert_near, png
from tests.support.images import encode
from tests.support.profiles import make_wide_gamut_profile
from tests.support.tags import BT2020, P3, flat, tag_png, to_srgb
from webapp.engine import cicp
from webapp.engine.profiles import SRGB_CURVE, make_profile
from webapp.recipes.outputs import Format, Output

KEPT: list[Format] = ["jpeg", "png", "webp", "avif"]


def show(picture: Image.Image, point: tuple[int, int] = (16, 16)) -> object:
    """Return the colour that a picture shows in sRGB, by its own profile."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
    assert profile.profile.profile_description == "Display P3"
    target = ImageCms.createProfile("sRGB")
    shown = ImageCms.profileToProfile(picture.convert("RGB"), profile, target)
    assert shown
    return shown.getpixel(point)


@pytest.mark.parametrize("format", KEPT)
def test_display_p3_is_kept_with_its_profile(format: Format, engine: Engine) -> None:
    output = Output("made", 32, 32, format=format, color="keep")
    made = engine.picture(tag_png(flat((180, 110, 90)), P3), output)
    assert_near(made.convert("RGB").getpixel((16, 16)), (180, 110, 90), 3)
    assert_near(show(made), to_srgb((180, 110, 90), 12), 4)


def test_profile_of_a_photo_is_kept_as_display_p3(engine: Engine) -> None:
    photo = encode(flat((180, 110, 90)), "png", icc_profile=make_wide_gamut_profile())
    made = engine.picture(photo, png(32, 32, color="keep"))
    assert_near(made.getpixel((16, 16)), (180, 110, 90), 1)
    assert_near(show(made), to_srgb((180, 110, 90), 12), 1)


def test_kept_display_p3_is_decoded_unchanged_again(engine: Engine) -> None:
    once = encode_made(engine, tag_png(flat((180, 110, 90)), P3))
    assert engine.picture(once, png(32, 32, color="keep")).getpixel((16, 16)) == (180, 110, 90)


def test_other_colours_are_not_kept_though_named_display_p3(engine: Engine) -> None:
    named = make_profile("Display P3", SRGB_CURVE, cicp.SPACES[cicp.BT2020])
    photo = encode(flat((150, 60, 60)), "png", icc_profile=named)
    assert_near(
        show(engine.picture(photo, png(32, 32, color="keep"))), to_srgb((150, 60, 60), 9), 1
    )


def encode_made(engine: Engine, image: bytes) -> bytes:
    (made,) = engine.make(image, png(64, 64, color="keep"))
    return (engine.folder / made.file_name).read_bytes()


def test_bt2020_beyond_srgb_is_kept_in_display_p3(engine: Engine) -> None:
    # Red that no sRGB screen shows.
    image = tag_png(flat((150, 60, 60)), BT2020)
    kept = engine.picture(image, png(32, 32, color="keep"))
    assert_near(show(kept), to_srgb((150, 60, 60), 9), 1)
    assert kept.getpixel((16, 16)) != engine.picture(image, png(32, 32)).getpixel((16, 16))


def test_picture_in_srgb_is_kept_without_a_profile(engine: Engine) -> None:
    for mode in ("RGB", "L", "CMYK"):
        picture = Image.new("RGB", (64, 64), (9, 99, 199)).convert(mode)
        made = engine.picture(encode(picture, "jpeg"), Output("made", 32, 32, color="keep"))
        assert "icc_profile" not in made.info


@pytest.mark.parametrize("format", ["jpeg", "png"])
def test_background_of_kept_display_p3_looks_as_chosen(format: Format, engine: Engine) -> None:
    image = tag_png(flat((180, 110, 90)), P3)
    output = Output("made", 64, 32, "pad", format, 100, "#c02010", color="keep")
    assert_near(show(engine.picture(image, output), (3, 16)), (0xC0, 0x20, 0x10), 5)


def test_both_colours_of_one_size_are_made(engine: Engine) -> None:
    image = tag_png(flat((180, 110, 90)), P3)
    outputs = [Output("kept", 32, 32, format="png", color="keep"), png(32, 32)]
    kept, plain = (engine.load(made) for made in engine.make(image, *outputs))
    assert kept.getpixel((16, 16)) == (180, 110, 90)
    assert plain.getpixel((16, 16)) == to_srgb((180, 110, 90), 12)
    assert "icc_profile" not in plain.info


def test_dominant_colour_of_a_kept_picture_is_in_srgb(engine: Engine) -> None:
    image = tag_png(flat((180, 110, 90)), P3)
    expected = bytes(to_srgb((180, 110, 90), 12)).hex()
    assert engine.result(image, png(32, 32, color="keep")).color == f"#{expected}"


def test_animation_keeps_display_p3_in_webp_and_not_in_gif(engine: Engine) -> None:
    frames = [flat((180, 110, 90)), flat((90, 110, 180))]
    image = tag_png(frames[0], P3, save_all=True, append_images=frames[1:])
    for format, is_kept in (("webp", True), ("gif", False)):
        output = Output("a", 32, 32, format=format, animated=True, color="keep")  # type: ignore[arg-type]
        (made,) = engine.make(image, output)
        with Image.open(engine.folder / made.file_name) as opened:
            assert (opened.info.get("icc_profile") is not None) is is_kept
            assert getattr(opened, "n_frames", 1) == 2
