"""Show the gamma and primaries of a PNG."""

import struct
import zlib

import pytest

from tests.support.engine import Engine, assert_near
from tests.support.engine import png as make_output
from tests.support.hostile import png
from tests.support.tags import encode_light, to_srgb
from webapp.engine.cicp import BT709, SPACES
from webapp.engine.profiles import SRGB_CURVE, gamma_curve, make_profile


def color_of(pixel: bytes, color: int, chunks: list[tuple[bytes, bytes]], engine: Engine) -> object:
    """Return the sRGB of an image of one colour."""
    data = zlib.compress((b"\0" + pixel * 8) * 8)
    image = png.build(8, 8, color=color, data=data, chunks=chunks)
    return engine.picture(image, make_output(8, 8)).convert("RGB").getpixel((4, 4))


def gamma(number: int) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", number)


@pytest.mark.parametrize("exponent", [1.0, 1.8, 3.0])
@pytest.mark.parametrize("level", [10, 64, 128, 240])
def test_gamma_of_a_png_counts(exponent: float, level: int, engine: Engine) -> None:
    chunks = [gamma(round(100_000 / exponent))]
    expected = (encode_light((level / 255) ** exponent),) * 3
    assert_near(color_of(bytes((level,)), 0, chunks, engine), expected, 1)
    assert_near(color_of(bytes((level,)) * 3, 2, chunks, engine), expected, 1)


DISPLAY_P3 = (31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000)


@pytest.mark.parametrize("exponent", [2.2, 1.0])
def test_primaries_of_a_png_count(exponent: float, engine: Engine) -> None:
    color = (150, 120, 90)
    chunks = [gamma(round(100_000 / exponent)), (b"cHRM", struct.pack(">8I", *DISPLAY_P3))]
    expected = to_srgb(color, 12, gamma=None if exponent == 2.2 else exponent)
    assert_near(color_of(bytes(color), 2, chunks, engine), expected, 1)


def test_white_stays_white_whatever_its_point(engine: Engine) -> None:
    points = struct.pack(">8I", 34_567, 35_850, *DISPLAY_P3[2:])
    chunks = [gamma(45_455), (b"cHRM", points)]
    assert_near(color_of(b"\xff" * 3, 2, chunks, engine), (255, 255, 255), 1)


def icc(curve: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"icc\0\0" + zlib.compress(make_profile("test", curve, SPACES[BT709]))


def cicp(*numbers: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes(numbers)


TAG, PROFILE, OTHER_PROFILE = cicp(12, 13, 0, 1), icc(gamma_curve(1)), icc(SRGB_CURVE)
GAMMA, OTHER_GAMMA, SRGB = gamma(100_000), gamma(55_000), (b"sRGB", b"\0")
# The chunks of a file, and the one that counts: as in Chromium and PNG, 3rd edition, 4.3.
PRECEDENCE = {
    "tag before profile": ([PROFILE, TAG], TAG),
    "tag before sRGB": ([SRGB, TAG], TAG),
    "tag before gamma": ([GAMMA, TAG], TAG),
    "profile before sRGB": ([SRGB, PROFILE], PROFILE),
    "profile before gamma": ([OTHER_GAMMA, PROFILE], PROFILE),
    "tag of YCbCr": ([cicp(12, 13, 1, 1), PROFILE], PROFILE),
    "tag of video's range": ([cicp(12, 13, 0, 0), PROFILE], PROFILE),
    "tag of unknown numbers": ([cicp(200, 200, 0, 1), GAMMA], GAMMA),
    "tag of unspecified colours": ([cicp(2, 2, 0, 1), PROFILE], PROFILE),
    "tag of an unspecified space": ([cicp(2, 16, 0, 1), PROFILE], PROFILE),
    "tag of an unknown space": ([cicp(3, 13, 0, 1), PROFILE], PROFILE),
    "tag of an unknown curve": ([cicp(1, 200, 0, 1), PROFILE], PROFILE),
    "faulty profile": ([(b"iCCP", b"icc\0\0profile"), GAMMA], GAMMA),
    "first of two tags": ([TAG, cicp(1, 13, 0, 1)], TAG),
    "first of two profiles": ([PROFILE, OTHER_PROFILE], PROFILE),
    "first of two gammas": ([GAMMA, OTHER_GAMMA], GAMMA),
}


@pytest.mark.parametrize(("chunks", "counted"), PRECEDENCE.values(), ids=PRECEDENCE)
def test_colours_of_a_png_count_in_order(
    chunks: list[tuple[bytes, bytes]], counted: tuple[bytes, bytes], engine: Engine
) -> None:
    pixel = bytes((180, 110, 90))
    expected = color_of(pixel, 2, [counted], engine)
    assert expected != tuple(pixel)
    assert color_of(pixel, 2, chunks, engine) == expected


SRGB_POINTS = struct.pack(">8I", 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
NO_CONVERSION = {
    "gamma of sRGB": [gamma(45_455)],
    "sRGB by gamma and primaries": [gamma(45_000), (b"cHRM", SRGB_POINTS)],
    "sRGB goes before": [SRGB, GAMMA],
    "cICP goes before": [cicp(1, 13, 0, 1), GAMMA],
    "second of two profiles": [OTHER_PROFILE, PROFILE],
    "no such gamma": [gamma(0)],
    "no such primaries": [gamma(45_455), (b"cHRM", bytes(32))],
    "primaries without end": [gamma(45_455), (b"cHRM", b"\xff" * 32)],
    "primaries without a gamma": [(b"cHRM", struct.pack(">8I", *DISPLAY_P3))],
}


@pytest.mark.parametrize("chunks", NO_CONVERSION.values(), ids=NO_CONVERSION)
def test_png_of_srgb_is_not_converted(chunks: list[tuple[bytes, bytes]], engine: Engine) -> None:
    assert color_of(bytes((10, 120, 240)), 2, chunks, engine) == (10, 120, 240)
