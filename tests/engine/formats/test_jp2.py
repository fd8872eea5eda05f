"""Read JPEG 2000, with and without boxes; refuse what would look wrong."""

import struct

import pytest
from PIL import Image

from tests.support.engine import Engine, assert_corners, png
from tests.support.images import convert, delta_e, encode, make_corners, make_picture
from tests.support.isobmff import box, inside
from tests.support.profiles import make_ink_profile, make_wide_gamut_profile
from webapp.engine.errors import Corrupt, TooManyPixels, Unsupported
from webapp.engine.header import Header

START = b"\xff\x4f\xff\x51"


def make_codestream() -> bytes:
    """Make a JPEG 2000 without boxes, as digital cinema has."""
    image = encode(make_corners(), "jp2")
    return image[image.index(START) :]


def change_size(codestream: bytes, right: int, bottom: int, left: int, top: int) -> bytes:
    """Change the corners of the picture in the header of a codestream."""
    return codestream[:8] + struct.pack(">4I", right, bottom, left, top) + codestream[24:]


def test_codestream_alone_is_an_image(engine: Engine) -> None:
    image = make_codestream()
    assert engine.header(image) == Header("jp2", 120, 80, 1, False)
    assert_corners(engine.picture(image, png(60, 40)))


def test_size_is_without_the_offset(engine: Engine) -> None:
    image = change_size(make_codestream(), 1120, 2080, 1000, 2000)
    assert engine.header(image) == Header("jp2", 120, 80, 1, False)


def test_codestream_over_the_limit_is_refused(engine: Engine) -> None:
    with pytest.raises(TooManyPixels, match="100 megapixels"):
        engine.header(change_size(make_codestream(), 10_000, 10_000, 0, 0))


@pytest.mark.parametrize("corners", [(10, 80, 120, 0), (120, 10, 0, 80)])
def test_codestream_of_negative_size_is_damaged(
    corners: tuple[int, int, int, int], engine: Engine
) -> None:
    with pytest.raises(Corrupt):
        engine.header(change_size(make_codestream(), *corners))


@pytest.mark.parametrize("channels", [0, 5])
def test_number_of_channels_must_be_one_to_four(channels: int, engine: Engine) -> None:
    image = make_codestream()
    with pytest.raises(Corrupt):
        engine.header(image[:40] + struct.pack(">H", channels) + image[42:])


def change_channel(image: bytes, channel: int, bits: int = 8, step: int = 1) -> bytes:
    """Change how a codestream describes one of its channels."""
    at = image.index(START) + 42 + 3 * channel
    return image[:at] + bytes((bits - 1, step, step)) + image[at + 3 :]


def add_boxes(image: bytes, *boxes: bytes) -> bytes:
    """Put boxes into the header in place of its colour space."""
    header = inside(image, b"jp2h")
    old = header.index(b"colr") - 4
    kept = header[:old] + header[old + int.from_bytes(header[old : old + 4], "big") :]
    return image.replace(box(b"jp2h", header), box(b"jp2h", kept, *boxes))


SRGB = box(b"colr", struct.pack(">3BI", 1, 0, 0, 16))


def test_more_than_eight_bits_a_colour_are_unsupported(engine: Engine) -> None:
    for image in (make_codestream(), encode(make_corners(), "jp2")):
        deep = change_channel(image, 1, bits=12)
        with pytest.raises(Unsupported, match="8 bits a colour channel"):
            engine.header(deep)
        with pytest.raises(Unsupported, match="Export it"):
            engine.make(deep, png(60, 40))


def test_grey_of_sixteen_bits_keeps_black_and_white(engine: Engine) -> None:
    ends = Image.new("L", (80, 40))
    ends.paste(255, (40, 0, 80, 40))
    made = engine.picture(encode(convert(ends, "I;16"), "jp2"), png(80, 40)).convert("L")
    assert (made.getpixel((5, 20)), made.getpixel((75, 20))) == (0, 255)


SUBSAMPLED = {
    "of an odd width": (make_picture("RGB", (121, 80)), 1),
    "of an odd height": (make_picture("RGB", (120, 81)), 2),
    "grey": (make_picture("L"), 0),
    "with alpha": (make_picture("RGBA"), 1),
}


@pytest.mark.parametrize(("picture", "channel"), SUBSAMPLED.values(), ids=SUBSAMPLED)
def test_subsampling_that_would_look_wrong_is_unsupported(
    picture: Image.Image, channel: int, engine: Engine
) -> None:
    with pytest.raises(Unsupported, match="lower resolution"):
        engine.header(change_channel(encode(picture, "jp2"), channel, step=2))


def test_subsampling_that_divides_the_sides_is_read(engine: Engine) -> None:
    image = change_channel(encode(make_corners(), "jp2"), 1, step=2)
    assert engine.header(image) == Header("jp2", 120, 80, 1, False)


def test_profile_is_converted_to_srgb(engine: Engine) -> None:
    profile = make_wide_gamut_profile()
    image = add_boxes(encode(make_corners(), "jp2"), box(b"colr", b"\2\0\0", profile))
    made = engine.picture(image, png(120, 80)).convert("RGB")
    assert delta_e(made, engine.picture(encode(make_corners(), "jp2"), png(120, 80)))[0] > 3
    expected = engine.picture(
        encode(make_corners(), "png", icc_profile=profile), png(120, 80)
    ).convert("RGB")
    assert delta_e(made, expected)[0] < 0.5


def test_first_colour_space_that_decoders_know_counts(engine: Engine) -> None:
    profile = box(b"colr", b"\2\0\0", make_wide_gamut_profile())
    plain = encode(make_corners(), "jp2")
    made = engine.picture(add_boxes(plain, SRGB, profile), png(120, 80))
    assert made.tobytes() == engine.picture(plain, png(120, 80)).tobytes()


def define(*channels: tuple[int, int, int]) -> bytes:
    """Make a box that says what each channel is: its number, kind and place."""
    entries = b"".join(struct.pack(">3H", *channel) for channel in channels)
    return box(b"cdef", struct.pack(">H", len(channels)), entries)


def test_channels_in_their_usual_order_are_read(engine: Engine) -> None:
    usual = define((0, 0, 1), (1, 0, 2), (2, 0, 3))
    assert_corners(
        engine.picture(add_boxes(encode(make_corners(), "jp2"), SRGB, usual), png(60, 40))
    )


UNKNOWN_COLORS = {
    "blue before red": (SRGB, define((0, 0, 3), (1, 0, 2), (2, 0, 1))),
    "alpha before the colours": (SRGB, define((0, 1, 0), (1, 0, 1), (2, 0, 2))),
    "lab": (box(b"colr", struct.pack(">3BI", 1, 0, 0, 14)),),
    "inks with a profile": (box(b"colr", b"\2\0\0", make_ink_profile()),),
}


@pytest.mark.parametrize("boxes", UNKNOWN_COLORS.values(), ids=UNKNOWN_COLORS)
def test_colours_that_would_be_wrong_are_unsupported(
    boxes: tuple[bytes, ...], engine: Engine
) -> None:
    image = add_boxes(encode(make_corners(), "jp2"), *boxes)
    with pytest.raises(Unsupported, match="order or colour space"):
        engine.header(image)
