import base64
import io
import math

import pytest
from PIL import Image, ImageCms, ImageDraw, ImageStat

from tests.support.images import BLUE, CORNERS, RED, make_corners, make_picture
from webapp.engine.color import dominant_color
from webapp.engine.thumbhash import thumbhash, thumbhash_to_png

MODES = ("L", "LA", "RGB", "RGBA")
_TO_LAB = ImageCms.buildTransform(
    ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
)


def draw(hash: str) -> Image.Image:
    """Decode a ThumbHash into a picture."""
    image = Image.open(io.BytesIO(thumbhash_to_png(hash)))
    image.load()
    return image


def mean_lab(image: Image.Image) -> tuple[float, float, float]:
    """Return the average colour of a picture in L*a*b*, where distances are ΔE."""
    red, green, blue = (round(band) for band in ImageStat.Stat(image.convert("RGB")).mean)
    pixel = ImageCms.applyTransform(Image.new("RGB", (1, 1), (red, green, blue)), _TO_LAB)
    assert pixel is not None
    lightness, a, b = pixel.tobytes()
    return lightness / 2.55, (a + 128) % 256, (b + 128) % 256


def waves(hash: str, header: int = 5) -> list[int]:
    return [level for byte in base64.b64decode(hash)[header:] for level in (byte & 15, byte >> 4)]


# By hand from the description of the format: 63 of lightness, 32 and 32 for no colour, 7 waves.
def test_thumbhash_of_white_is_as_the_format_says() -> None:
    assert base64.b64decode(thumbhash(Image.new("RGB", (50, 50), "white"))) == (
        bytes.fromhex("3f 08 02 07 00") + bytes(19)
    )


# No lightness, alpha, 3 waves on the shorter side (2.5 rounded up), landscape; opacity 0.
def test_thumbhash_of_nothing_is_as_the_format_says() -> None:
    assert base64.b64decode(thumbhash(Image.new("RGBA", (100, 50)))) == (
        bytes.fromhex("00 08 82 03 80 00") + bytes(17)
    )


@pytest.mark.parametrize(("turned", "level"), [(False, 15), (True, 0)])
def test_first_wave_goes_from_left_to_right(turned: bool, level: int) -> None:
    image = Image.new("RGB", (40, 40))
    image.paste("white", (20, 0, 40, 40) if turned else (0, 0, 20, 40))
    assert waves(thumbhash(image))[0] == level


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(120, 80), (80, 120), (33, 33), (31, 7)])
def test_drawn_thumbhash_has_the_average_colour(mode: str, size: tuple[int, int]) -> None:
    image = make_picture(mode, size)
    opaque = image.convert("RGBA")
    opaque.putalpha(255)
    assert math.dist(mean_lab(draw(thumbhash(opaque))), mean_lab(opaque)) < 4


@pytest.mark.parametrize("color", ["black", "white", "red", "lime", "blue", "#c08040", "#777"])
def test_drawn_thumbhash_of_one_colour_is_that_colour(color: str) -> None:
    image = Image.new("RGB", (60, 40), color)
    drawn = draw(thumbhash(image))
    assert math.dist(mean_lab(drawn), mean_lab(image)) < 4
    assert all(low == high for low, high in drawn.getextrema())  # type: ignore[misc]


def test_drawn_thumbhash_has_its_colours_in_their_corners() -> None:
    drawn = draw(thumbhash(make_corners((64, 64))))
    for corner, color in zip(((2, 2), (13, 2), (2, 13), (13, 13)), CORNERS, strict=True):
        shown = drawn.getpixel(corner)
        assert isinstance(shown, tuple)
        assert min(CORNERS, key=lambda candidate: math.dist(candidate, shown)) == color


@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        ((70, 70), (16, 16)),
        ((70, 50), (16, 11)),
        ((50, 70), (11, 16)),
        ((1000, 1), (16, 2)),
        ((1, 1000), (2, 16)),
        ((1, 1), (16, 16)),
    ],
)
def test_drawn_thumbhash_has_about_the_shape(size: tuple[int, int], drawn: tuple[int, int]) -> None:
    assert draw(thumbhash(Image.new("RGB", size, RED))).size == drawn


def test_drawn_thumbhash_is_transparent_where_the_picture_is() -> None:
    image = Image.new("RGBA", (60, 60))
    image.paste((*RED, 255), (30, 0, 60, 60))
    drawn = draw(thumbhash(image))
    left, right = drawn.getpixel((1, 8)), drawn.getpixel((14, 8))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert left[3] < 30
    assert right[3] > 225
    assert math.dist(right[:3], RED) < 12


def test_opaque_alpha_adds_nothing() -> None:
    image = make_picture("RGB")
    assert thumbhash(image.convert("RGBA")) == thumbhash(image)
    assert draw(thumbhash(image)).mode == "RGB"


def test_invisible_colours_leave_no_trace() -> None:
    red, blue = Image.new("RGBA", (60, 60), (*RED, 0)), Image.new("RGBA", (60, 60), (*BLUE, 0))
    for image in (red, blue):
        image.paste("white", (15, 15, 45, 45))
    assert thumbhash(red) == thumbhash(blue)


def test_thumbhash_hardly_depends_on_the_size() -> None:
    large, small = make_picture("RGB", (900, 600)), make_picture("RGB", (900, 600))
    small.thumbnail((90, 60))
    levels = zip(waves(thumbhash(large)), waves(thumbhash(small)), strict=True)
    assert max(abs(one - other) for one, other in levels) <= 1


@pytest.mark.parametrize("hash", ["", "PwgC", "no base64!", "PwgCBwAAAAAAAAAA"])
def test_invalid_thumbhash_is_refused(hash: str) -> None:
    with pytest.raises(ValueError, match=r"ThumbHash|base64|padding"):
        thumbhash_to_png(hash)


@pytest.mark.parametrize("mode", MODES)
def test_dominant_colour_of_one_colour_is_that_colour(mode: str) -> None:
    assert dominant_color(Image.new("RGB", (30, 20), "#7b7b7b").convert(mode)) == "#7b7b7b"


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (300, 200)])
def test_dominant_colour_of_any_size(size: tuple[int, int]) -> None:
    assert dominant_color(Image.new("RGB", size, "#12ab9f")) == "#12ab9f"


def test_dominant_colour_covers_most_and_is_no_mixture() -> None:
    image = Image.new("RGB", (100, 100), "#1e1edc")
    image.paste("#dc1e1e", (0, 0, 40, 100))
    assert dominant_color(image) == "#1e1edc"


def test_dominant_colour_groups_similar_shades() -> None:
    image = Image.new("RGB", (100, 100), "#dc1e1e")  # More than any one shade of blue.
    sky = ImageDraw.Draw(image)
    for x in range(70):
        sky.line((x, 0, x, 99), (60, 100, 180 + x // 2))
    red, green, blue = bytes.fromhex(dominant_color(image)[1:])
    assert (red, green) == (60, 100)
    assert 185 < blue < 210


def test_dominant_colour_leaves_out_what_is_transparent() -> None:
    image = Image.new("RGBA", (100, 100), (*RED, 20))
    image.paste((*BLUE, 255), (25, 25, 50, 50))
    assert dominant_color(image) == "#1e1edc"


def test_dominant_colour_of_a_faint_picture_is_its_own() -> None:
    red, green, blue = bytes.fromhex(dominant_color(Image.new("RGBA", (9, 9), (*BLUE, 40)))[1:])
    assert math.dist((red, green, blue), BLUE) < 5


def test_dominant_colour_of_nothing_is_black() -> None:
    assert dominant_color(Image.new("RGBA", (9, 9), (*RED, 0))) == "#000000"


def test_given_picture_is_not_changed() -> None:
    image = make_picture("RGBA")
    before = image.tobytes()
    thumbhash(image)
    dominant_color(image)
    assert (image.mode, image.tobytes()) == ("RGBA", before)
