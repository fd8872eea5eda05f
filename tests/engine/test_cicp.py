"""Show the colours that a tag names: Display P3, BT.2020, PQ and HLG."""

import io
import struct
from itertools import pairwise

import pytest
from PIL import Image, ImageCms

from tests.support.engine import Engine, assert_near, png
from tests.support.images import encode, make_png_chunk
from tests.support.isobmff import box, build
from tests.support.isobmff import picture as make_item
from tests.support.profiles import make_wide_gamut_profile
from webapp.engine.cicp import Cicp
from webapp.engine.formats.isobmff import read_tags
from webapp.recipes.outputs import Format, Output

Color = tuple[int, int, int]
Tag = tuple[int, int]  # Primaries and curve.

P3, BT2020, BT2020_VIDEO = (12, 13), (9, 13), (9, 14)
PQ, HLG = (9, 16), (9, 18)
# From linear light to that of sRGB: of Display P3 (CSS Color 4) and of BT.2020 (BT.2087).
MATRICES = {
    12: (
        (1.2249402, -0.2249402, 0.0),
        (-0.0420570, 1.0420570, 0.0),
        (-0.0196376, -0.0786361, 1.0982736),
    ),
    9: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
}
SHADES: list[Color] = [(180, 110, 90), (150, 100, 100), (120, 140, 100), (60, 61, 66), (200, 0, 0)]
# What Chromium 156 shows on a screen without HDR, read from a canvas.
IN_CHROMIUM: dict[Tag, dict[Color, Color]] = {
    PQ: {
        (60, 60, 60): (26, 26, 26),
        (120, 120, 120): (114, 114, 114),
        (150, 150, 150): (193, 193, 193),
        (165, 165, 165): (221, 221, 221),
        (180, 180, 180): (242, 242, 242),
        (210, 210, 210): (255, 255, 255),
        (180, 110, 90): (255, 0, 19),
        (150, 100, 100): (236, 33, 72),
        (120, 140, 100): (68, 169, 58),
    },
    HLG: {
        (60, 60, 60): (39, 39, 39),
        (120, 120, 120): (92, 92, 92),
        (180, 180, 180): (166, 166, 166),
        (195, 195, 195): (194, 194, 194),
        (240, 240, 240): (243, 243, 243),
        (180, 110, 90): (185, 74, 67),
        (150, 100, 100): (135, 70, 76),
        (120, 140, 100): (85, 112, 75),
    },
}
HDR = [(tag, *pair) for tag, pairs in IN_CHROMIUM.items() for pair in pairs.items()]


def tag_png(picture: Image.Image, tag: Tag, **options: object) -> bytes:
    """Encode a PNG with the tag of its colours."""
    image = encode(picture, "png", **options)
    return image[:33] + make_png_chunk(b"cICP", bytes((*tag, 0, 1))) + image[33:]


def tag_avif(picture: Image.Image, tag: Tag) -> bytes:
    """Encode an AVIF with the tag of its colours."""
    image = encode(picture, "avif", quality=100, subsampling="4:4:4")
    at = image.index(b"nclx") + 4
    return image[:at] + struct.pack(">HH", *tag) + image[at + 4 :]


def tag_heic(picture: Image.Image, tag: Tag) -> bytes:
    """Encode a HEIC with the tag of its colours."""
    numbers = {"color_primaries": tag[0], "transfer_characteristics": tag[1]}
    return encode(
        picture, "heic", quality=-1, chroma=444, save_nclx_profile=True,
        matrix_coefficients=0, full_range_flag=1, **numbers,
    )  # fmt: skip


def flat(color: Color) -> Image.Image:
    return Image.new("RGB", (64, 64), color)


def to_srgb(color: Color, primaries: int, gamma: float | None = None) -> Color:
    """Convert a colour by the formulas of the standards."""
    light = [decode(part / 255) if gamma is None else (part / 255) ** gamma for part in color]
    mixed = [sum(a * b for a, b in zip(row, light, strict=True)) for row in MATRICES[primaries]]
    red, green, blue = (encode_light(min(max(part, 0), 1)) for part in mixed)
    return red, green, blue


def decode(share: float) -> float:
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


def encode_light(light: float) -> int:
    share = 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
    return round(255 * share)


@pytest.mark.parametrize("color", SHADES)
@pytest.mark.parametrize("make", [tag_png, tag_avif, tag_heic])
@pytest.mark.parametrize("tag", [P3, BT2020])
def test_tag_of_a_wide_space_is_converted_to_srgb(
    tag: Tag, make: object, color: Color, engine: Engine
) -> None:
    assert callable(make)
    image = make(flat(color), tag)
    with Image.open(io.BytesIO(image)) as opened:
        stored = opened.convert("RGB").getpixel((32, 32))  # A lossy encoder may change it.
    assert isinstance(stored, tuple)
    assert_near(stored, color, 2)
    expected = to_srgb((int(stored[0]), int(stored[1]), int(stored[2])), tag[0])
    assert_near(engine.picture(image, png(32, 32)).getpixel((16, 16)), expected, 1)


@pytest.mark.parametrize("color", SHADES)
def test_curve_of_video_in_a_png_is_that_of_browsers(color: Color, engine: Engine) -> None:
    made = engine.picture(tag_png(flat(color), BT2020_VIDEO), png(32, 32))
    assert_near(made.getpixel((16, 16)), to_srgb(color, 9, gamma=2.4), 1)


def test_curve_of_video_in_an_avif_is_that_of_srgb(engine: Engine) -> None:
    plain = encode(flat((180, 110, 90)), "avif", quality=100, subsampling="4:4:4")
    tagged = tag_avif(flat((180, 110, 90)), (1, 1))
    expected = engine.picture(plain, png(32, 32)).tobytes()
    assert engine.picture(tagged, png(32, 32)).tobytes() == expected


@pytest.mark.parametrize(("tag", "color", "expected"), HDR)
def test_hdr_is_tone_mapped_as_in_chromium(
    tag: Tag, color: Color, expected: Color, engine: Engine
) -> None:
    made = engine.picture(tag_png(flat(color), tag), png(32, 32))
    assert_near(made.getpixel((16, 16)), expected, 1)


# What Chromium shows of these shades of PQ, by the peak that a PNG names.
SHADES_OF_PQ = (60, 105, 120, 135, 150, 180, 225, 240)
BY_PEAK = {
    100: (39, 118, 157, 205, 255, 255, 255, 255),
    203: (39, 118, 157, 205, 255, 255, 255, 255),
    400: (34, 106, 141, 184, 235, 255, 255, 255),
    600: (31, 97, 130, 170, 218, 255, 255, 255),
    1000: (26, 85, 114, 150, 193, 242, 255, 255),
    4000: (26, 85, 114, 150, 193, 217, 251, 255),
}


def name_peak(image: bytes, level: int, display: int) -> bytes:
    """Add the peak of a picture and that of its display to a PNG; 0 is unknown."""
    chunks = make_png_chunk(b"cLLI", struct.pack(">II", level * 10_000, 0))
    chunks += make_png_chunk(b"mDCV", struct.pack(">8HII", *[0] * 8, display * 10_000, 1))
    return image[:33] + chunks + image[33:]


@pytest.mark.parametrize("peak", BY_PEAK)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_tone_map_depends_on_the_brightness_of_the_picture(
    mode: str, peak: int, engine: Engine
) -> None:
    for shade, expected in zip(SHADES_OF_PQ, BY_PEAK[peak], strict=True):
        picture = Image.new("L", (16, 16), shade).convert(mode)
        for peaks in ((peak, 0), (0, peak), (peak, 9999)):
            made = engine.picture(name_peak(tag_png(picture, PQ), *peaks), png(8, 8))
            assert_near(made.convert("RGB").getpixel((4, 4)), (expected,) * 3, 1)


def test_brightness_of_an_avif_is_read() -> None:
    nclx = box(b"colr", b"nclx", struct.pack(">HHHB", 9, 16, 9, 0x80))
    level = box(b"clli", struct.pack(">HH", 700, 100))
    display = box(b"mdcv", struct.pack(">8HII", *[0] * 8, 4_000_0000, 1))
    for properties, peak in (((), 1000), ((display,), 4000), ((display, level), 700)):
        image = build("avif", [make_item(1, "avif", (64, 64), nclx, *properties)])
        assert read_tags(io.BytesIO(image)) == (Cicp(9, 16, peak), None)


@pytest.mark.parametrize("make", [tag_avif, tag_heic])
@pytest.mark.parametrize("tag", IN_CHROMIUM)
def test_hdr_photo_is_tone_mapped(tag: Tag, make: object, engine: Engine) -> None:
    assert callable(make)
    made = engine.picture(make(flat((120, 120, 120)), tag), png(32, 32))
    assert_near(made.getpixel((16, 16)), IN_CHROMIUM[tag][120, 120, 120], 4)


@pytest.mark.parametrize("tag", IN_CHROMIUM)
def test_grey_hdr_stays_grey(tag: Tag, engine: Engine) -> None:
    for color, expected in IN_CHROMIUM[tag].items():
        if len(set(color)) == 1:
            image = tag_png(Image.new("L", (64, 64), color[0]), tag)
            made = engine.picture(image, png(32, 32))
            assert (made.mode, made.getpixel((16, 16))) == ("L", expected[0])


def test_transparent_hdr_keeps_its_alpha(engine: Engine) -> None:
    picture = Image.new("RGBA", (64, 64), (150, 100, 100, 128))
    made = engine.picture(tag_png(picture, PQ), png(64, 64))
    assert_near(made.getpixel((16, 16)), (236, 33, 72, 128), 4)  # Premultiplied: rounded.


@pytest.mark.parametrize("tag", [PQ, HLG])
def test_tone_map_of_all_shades_has_no_steps_back(tag: Tag, engine: Engine) -> None:
    ramp = Image.linear_gradient("L").rotate(90).convert("RGB")
    made = engine.picture(tag_png(ramp, tag), png(256, 256)).convert("L")
    row = made.crop((0, 128, 256, 129)).tobytes()
    assert all(one <= other for one, other in pairwise(row))
    assert (row[0], row[-1]) == (0, 255)


def test_large_hdr_picture_has_no_seams_between_strips(engine: Engine) -> None:
    picture = Image.new("RGB", (1500, 1500), (150, 100, 100))
    made = engine.picture(tag_png(picture, PQ), png(1500, 1500))
    assert made.getcolors() == [(1500 * 1500, (236, 33, 72))]


@pytest.mark.parametrize("tag", [(2, 2), (1, 13), (3, 13), (200, 200), (22, 16)])
def test_tag_of_srgb_or_of_unknown_numbers_changes_nothing(tag: Tag, engine: Engine) -> None:
    made = engine.picture(tag_png(flat((180, 110, 90)), tag), png(32, 32))
    assert made.getpixel((16, 16)) == (180, 110, 90)


@pytest.mark.parametrize(
    "content", [b"", b"\x0c\x0d\0", b"\x0c\x0d\1\1", b"\x0c\x0d\0\0"],
    ids=["empty", "short", "of YCbCr", "of video's range"],
)  # fmt: skip
def test_broken_tag_changes_nothing(content: bytes, engine: Engine) -> None:
    image = encode(flat((180, 110, 90)), "png")
    image = image[:33] + make_png_chunk(b"cICP", content) + image[33:]
    assert engine.picture(image, png(32, 32)).getpixel((16, 16)) == (180, 110, 90)


def test_tag_with_a_wrong_checksum_changes_nothing(engine: Engine) -> None:
    image = bytearray(tag_png(flat((180, 110, 90)), PQ))
    image[33 + 12] ^= 1  # A checksum follows a length, a name and four numbers.
    assert engine.picture(bytes(image), png(32, 32)).getpixel((16, 16)) == (180, 110, 90)


def test_profile_counts_more_than_the_tag(engine: Engine) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = tag_png(flat((180, 110, 90)), PQ, icc_profile=srgb)
    assert engine.picture(image, png(32, 32)).getpixel((16, 16)) == (180, 110, 90)


# Keeping Display P3


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
