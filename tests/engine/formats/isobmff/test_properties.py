"""Apply the properties that the decoders leave to us."""

import io
import struct

import pytest
from PIL import Image

from tests.support.engine import Engine, assert_corners, assert_near, png
from tests.support.images import BLUE, GREEN, RED, YELLOW, encode, make_corners
from tests.support.isobmff import ALPHA, box, build, clap, coded_item, imir, irot, picture
from webapp.engine.cicp import Cicp
from webapp.engine.errors import Corrupt
from webapp.engine.formats.isobmff import read_tags
from webapp.engine.header import Header


def make_avif_of_corners(*properties: bytes) -> bytes:
    """Make an AVIF of four colours with more properties, given as whole boxes."""
    image = encode(make_corners(), "avif", quality=100, subsampling="4:4:4")
    return build("avif", [coded_item(1, "avif", image, (120, 80), *properties)])


# The picture is 120 x 80, with a colour in each quarter.
@pytest.mark.parametrize(
    ("properties", "size", "points"),
    [
        ((clap(60, 40, -30, -20),), (60, 40), {(5, 5): RED, (55, 35): RED}),
        ((clap(60, 40, 30, 20),), (60, 40), {(5, 5): YELLOW, (55, 35): YELLOW}),
        ((clap(80, 80, -20, 0),), (80, 80), {(55, 5): RED, (65, 5): GREEN, (5, 75): BLUE}),
        ((clap(60, 40, 30, -20), irot(1)), (40, 60), {(5, 5): GREEN, (35, 55): GREEN}),
        ((clap(80, 80, -20, 0), imir(1)), (80, 80), {(5, 5): GREEN, (75, 75): BLUE}),
    ],
)
def test_avif_is_cropped_as_its_clap_says(
    properties: tuple[bytes, ...],
    size: tuple[int, int],
    points: dict[tuple[int, int], tuple[int, ...]],
    engine: Engine,
) -> None:
    image = make_avif_of_corners(*properties)
    header = engine.header(image)
    assert (header.width, header.height) == size
    assert engine.result(image, png(*size)).header == header
    made = engine.picture(image, png(*size))
    for point, color in points.items():
        assert_near(made.getpixel(point), color, 12)


@pytest.mark.parametrize(
    "crop",
    [
        clap(60, 40, 31, 0),
        clap(121, 40, 0, 0),
        clap(0, 0, 0, 0),
        clap(-60, 40, 0, 0),
        box(b"clap", struct.pack(">8i", 60, 1, 40, 1, 0, 0, 0, 0)),
    ],
    ids=["beside", "too wide", "empty", "negative", "without parts"],
)
def test_crop_that_is_not_in_the_picture_is_ignored(crop: bytes, engine: Engine) -> None:
    image = make_avif_of_corners(crop)
    assert engine.header(image) == Header("avif", 120, 80, 1, False)
    assert engine.result(image, png(60, 40)).header == engine.header(image)
    assert_corners(engine.picture(image, png(60, 40)))


# Of 120 x 80 pixels. libheif takes an end before the picture for that of the picture.
@pytest.mark.parametrize(
    ("properties", "size"),
    [
        ((clap(80, 60),), (80, 60)),
        ((clap(200, 60),), (120, 60)),
        ((clap(60, 40, 50, -30),), (40, 31)),
        ((clap(71, 17, -69, 12),), (27, 17)),
        ((clap(313, 135, 0, 20, parts=3),), (104, 42)),
        ((clap(60, 40, 0, -500),), (60, 80)),
        ((irot(1), clap(100, 60)), (80, 60)),
        ((clap(200, 60), irot(1)), (60, 120)),
    ],
)
def test_heic_is_cropped_to_what_is_inside_the_picture(
    properties: tuple[bytes, ...], size: tuple[int, int], engine: Engine
) -> None:
    image = build("heic", [picture(1, "heic", (120, 80), *properties)])
    assert engine.result(image, png(120, 120)).header == Header("heic", *size, 1, False)
    assert engine.header(image) == Header("heic", *size, 1, False)


@pytest.mark.parametrize(
    "crops",
    [
        [clap(60, 40, 100, 0)],
        [clap(60, 0)],
        [box(b"clap", struct.pack(">8i", 60, 1, 40, 1, 0, 0, 0, 1))],
    ],
    ids=["beside", "empty", "without parts"],
)
def test_heic_of_which_a_crop_leaves_nothing_is_damaged(crops: list[bytes], engine: Engine) -> None:
    image = build("heic", [picture(1, "heic", (120, 80), *crops)])
    for read in (engine.header, lambda image: engine.make(image, png(60, 60))):
        with pytest.raises(Corrupt):
            read(image)


@pytest.mark.parametrize("made", [clap(60, 40), irot(1), imir(1)], ids=["clap", "irot", "imir"])
def test_heic_that_is_changed_twice_in_one_way_is_damaged(made: bytes, engine: Engine) -> None:
    image = build("heic", [picture(1, "heic", (120, 80), made, made)])
    for read in (engine.header, lambda image: engine.make(image, png(60, 60))):
        with pytest.raises(Corrupt):
            read(image)


def test_avif_of_a_crop_that_is_cut_is_damaged(engine: Engine) -> None:
    image = make_avif_of_corners(box(b"clap", bytes(3)))
    assert engine.header(image) == Header("avif", 120, 80, 1, False)
    with pytest.raises(Corrupt):  # libavif refuses it.
        engine.make(image, png(60, 40))


PQ = box(b"colr", b"nclx", struct.pack(">HHHB", 9, 16, 9, 0x80))


def test_brightness_of_an_avif_is_read() -> None:
    level = box(b"clli", struct.pack(">HH", 700, 100))
    display = box(b"mdcv", struct.pack(">8HII", *[0] * 8, 4_000_0000, 1))
    for properties, peak in (((), 1000), ((display,), 4000), ((display, level), 700)):
        image = build("avif", [picture(1, "avif", (64, 64), PQ, *properties)])
        assert read_tags(io.BytesIO(image)) == (Cicp(9, 16, peak), None)


def test_display_that_is_too_short_to_read_is_ignored(engine: Engine) -> None:
    image = make_avif_of_corners(PQ, box(b"mdcv", bytes(3)))
    assert read_tags(io.BytesIO(image)) == (Cicp(9, 16), None)
    assert engine.result(image, png(60, 40)).header == engine.header(image)


@pytest.mark.parametrize("range", ["full", "limited"])
@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:4"])
def test_alpha_of_any_range_is_opaque_where_it_is_white(
    range: str, subsampling: str, engine: Engine
) -> None:
    color = encode(make_corners(), "avif", quality=100, subsampling=subsampling)
    mask = Image.new("L", (120, 80))
    mask.paste(255, (0, 0, 60, 80))
    opacity = encode(mask, "avif", quality=100, range=range)
    items = [
        coded_item(1, "avif", color, mask.size),
        coded_item(2, "avif", opacity, mask.size, ALPHA),
    ]
    made = engine.picture(build("avif", items, [(b"auxl", 2, (1,))]), png(120, 80))
    assert_near(made.getpixel((10, 20)), (*RED, 255), 12)
    assert made.getchannel("A").getextrema() == (0, 255)
