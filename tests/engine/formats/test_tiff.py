"""Read TIFFs, also those that Pillow alone shows wrong or refuses."""

import io
import struct
import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest
from PIL import Image, ImageChops, TiffImagePlugin

from tests.support import tiff
from tests.support.engine import Engine, assert_corners, assert_near, png
from tests.support.hostile import tiff as hostile
from tests.support.images import encode, make_corners, make_picture, turn
from webapp.engine.errors import Corrupt, Truncated
from webapp.engine.formats.tiff import Reader
from webapp.engine.header import Header
from webapp.recipes.outputs import Output

SIZE = (50, 37)  # No multiple of a tile.
SAME: Output = png(*SIZE)


def stretch(bands: Sequence[Image.Image], white: int) -> list[Image.Image]:
    """Scale bands of 8 bits to another white."""
    return [band.convert("I").point(lambda value: value * (white / 255) + 0) for band in bands]


def assert_same(one: Image.Image, other: Image.Image, tolerance: int = 1) -> None:
    difference = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    assert max(number for _, number in cast(list[tuple[int, int]], difference.getextrema())) <= (
        tolerance
    )


def test_big_endian_tiff_is_read(engine: Engine) -> None:
    image = encode(Image.new("I;16B", (120, 80), 0x8000), "tiff", tiffinfo={274: 6})
    assert image.startswith(b"MM")
    assert engine.header(image) == Header("tiff", 80, 120, 6, False)
    assert_near(engine.picture(image, png(60, 60)).convert("RGB").getpixel((20, 20)), (128,) * 3)


def test_more_strips_than_an_honest_file_has_are_refused(engine: Engine) -> None:
    count = 200_001
    strips = [(number, 4, count, bytes(4 * count)) for number in (273, 279)]
    with pytest.raises(Corrupt):
        engine.header(hostile.grey(4, count, b"", more=[*strips, (278, 4, 1, b"\1\0\0\0")]))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tile", [None, (16, 32)], ids=["strips", "tiles"])
@pytest.mark.parametrize(("mode", "photometric"), [("RGB", 2), ("CMYK", 5)])
def test_tiff_of_16_bit_planes_shows_its_picture(
    mode: str,
    photometric: int,
    tile: tuple[int, int] | None,
    order: str,
    engine: Engine,
) -> None:
    picture = make_picture(mode, SIZE)
    bands = stretch(picture.split(), 65535)
    image = tiff.write(bands, "H", order=order, photometric=photometric, planar=True, tile=tile)
    assert_same(engine.picture(image, SAME), picture.convert("RGB"))


@pytest.mark.parametrize(("letter", "white"), [("B", 255), ("H", 65535)])
@pytest.mark.parametrize(("kind", "extra"), [("RGBA", 2), ("RGBa", 1)])
def test_alpha_in_a_plane_of_a_tiff_is_transparent(
    letter: str, white: int, kind: str, extra: int, engine: Engine
) -> None:
    picture = Image.new("RGBA", SIZE, (200, 100, 40, 128))
    bands = stretch(picture.convert(kind).split(), white)
    image = tiff.write(bands, letter, planar=True, tags={338: (3, [extra])})
    assert_near(engine.picture(image, SAME).getpixel((9, 9)), (200, 100, 40, 128))


@pytest.mark.parametrize("letter", ["B", "H"])
def test_planes_of_a_tiff_without_colour_are_one(letter: str, engine: Engine) -> None:
    grey = make_picture("L", SIZE)
    bands = stretch([grey], 255 if letter == "B" else 65535)
    for photometric, expected in ((0, ImageChops.invert(grey)), (1, grey)):
        image = tiff.write(bands, letter, photometric=photometric, planar=True)
        assert_same(engine.picture(image, SAME).convert("RGB"), expected.convert("RGB"))


def reduced_colour(size: tuple[int, int]) -> list[bytes]:
    """Store corners as YCbCr, with a colour for each four pixels."""
    picture = make_corners(size).convert("YCbCr")
    blocks = []
    for top in range(0, size[1], 2):
        for left in range(0, size[0], 2):
            pixels = picture.crop((left, top, left + 2, top + 2)).tobytes()
            blocks.append(pixels[::3] + pixels[1:3])
    return [b"".join(blocks)]


def test_uncompressed_tiff_of_reduced_colour_is_read(engine: Engine) -> None:
    data = reduced_colour((120, 80))
    tags: tiff.Tags = {
        **{256: (4, [120]), 257: (4, [80]), 258: (3, [8, 8, 8]), 259: (3, [1]), 262: (3, [6])},
        **{277: (3, [3]), 278: (4, [80]), 279: (4, [len(data[0])]), 530: (3, [2, 2])},
    }
    image = tiff.assemble(tags, 273, data)
    assert engine.header(image) == Header("tiff", 120, 80, 1, False)
    assert_corners(engine.picture(image, png(60, 40)))


def test_tiles_of_a_tiff_may_be_listed_as_strips(engine: Engine) -> None:
    picture = make_picture("L", SIZE)
    image = tiff.write([picture], photometric=1, tile=(16, 32))
    for tile_tag, strip_tag in ((324, 273), (325, 279)):
        image = image.replace(struct.pack("<HH", tile_tag, 4), struct.pack("<HH", strip_tag, 4))
    assert_same(engine.picture(image, SAME), picture.convert("L"))


@pytest.mark.parametrize("photometric", [0, 1, 3], ids=["inverted", "grey", "palette"])
def test_tiff_with_reversed_bits_is_read(photometric: int, engine: Engine) -> None:
    picture = make_picture("L", SIZE)
    colors = [257 * (number * factor % 256) for factor in (1, 3, 7) for number in range(256)]
    tags: tiff.Tags = {320: (3, colors)} if photometric == 3 else {}
    reversed_bits = picture.point([int(f"{byte:08b}"[::-1], 2) for byte in range(256)])
    made, expected = (
        engine.picture(
            tiff.write([band], photometric=photometric, tags={**tags, 266: (3, [bit_order])}), SAME
        )
        for band, bit_order in ((reversed_bits, 2), (picture, 1))
    )
    assert_same(made, expected, tolerance=0)


@pytest.mark.parametrize("compression", [tiff.RAW, tiff.DEFLATE])
@pytest.mark.parametrize("tile", [None, (16, 32)], ids=["strips", "tiles"])
@pytest.mark.parametrize(
    ("letter", "white"), [("h", 32767), ("i", 65535), ("f", 1)], ids=["16 bit", "32 bit", "float"]
)
def test_signed_and_float_greys_look_alike_in_both_byte_orders(
    letter: str, white: int, tile: tuple[int, int] | None, compression: int, engine: Engine
) -> None:
    grey = make_picture("L", SIZE)
    bands = stretch([grey], white)
    if letter == "f":
        bands = [grey.convert("F").point(lambda value: value * (1 / 255) + 0)]
    little, big = (
        tiff.write(bands, letter, order=order, photometric=1, tile=tile, compression=compression)
        for order in "<>"
    )
    made = engine.picture(little, SAME)
    assert len(made.convert("L").getcolors() or []) > 50
    assert_same(engine.picture(big, SAME), made, tolerance=0)


@pytest.mark.parametrize("compression", [tiff.RAW, tiff.DEFLATE])
@pytest.mark.parametrize("white", [1, 255, 65535])
def test_floats_of_which_zero_is_white_are_inverted(
    white: int, compression: int, engine: Engine
) -> None:
    grey = make_picture("L", SIZE)
    grey.putpixel((0, 0), 255)
    stored = grey.convert("F").point(lambda value: value * (white / 255) + 0)
    image = tiff.write([stored], "f", photometric=0, compression=compression)
    assert_same(engine.picture(image, SAME), ImageChops.invert(grey))


@pytest.mark.parametrize("compression", [tiff.RAW, tiff.DEFLATE])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white", [255, 65535, 2**32 - 256])
def test_unsigned_grey_of_32_bits_is_not_black(
    white: int, order: str, compression: int, engine: Engine
) -> None:
    grey = make_picture("L", SIZE)
    grey.putpixel((0, 0), 255)
    stored = grey.convert("F").point(lambda value: value * (white / 255) + 0)
    image = tiff.write([stored], "I", order=order, photometric=1, compression=compression)
    assert_same(engine.picture(image, SAME), grey)


def test_palette_of_8_bits_in_a_tiff_is_not_black(engine: Engine) -> None:
    picture = make_corners().quantize(4, dither=Image.Dither.NONE)
    colors = Image.frombytes("RGB", (4, 1), bytes(picture.getpalette("RGB") or ())[:12])
    channels = [[*band.tobytes(), *[0] * 252] for band in colors.split()]
    for factor in (1, 257):
        numbers = [factor * number for channel in channels for number in channel]
        image = tiff.write(
            [Image.frombytes("L", picture.size, picture.tobytes())],
            photometric=3,
            tags={320: (3, numbers)},
        )
        assert_corners(engine.picture(image, png(60, 40)))


@pytest.mark.parametrize("kind", [1, 7], ids=["byte", "undefined"])
def test_orientation_of_a_tiff_may_be_a_byte(kind: int, engine: Engine) -> None:
    stored = turn(make_corners(), 8)
    image = tiff.write(stored.split(), tags={274: (kind, [8])})
    assert engine.header(image) == Header("tiff", 120, 80, 8, False)
    assert engine.result(image, png(60, 40)).header == engine.header(image)
    assert_corners(engine.picture(image, png(60, 40)))


def test_old_jpeg_of_grey_in_a_tiff_is_read(engine: Engine) -> None:
    grey = make_picture("L", (64, 48))
    jpeg = encode(grey, "jpeg", quality=95)
    tags: tiff.Tags = {
        **{256: (4, [64]), 257: (4, [48]), 258: (3, [8]), 259: (3, [6]), 262: (3, [1])},
        **{277: (3, [1]), 278: (4, [48]), 279: (4, [len(jpeg)])},
        **{512: (3, [1]), 513: (4, [0]), 514: (4, [len(jpeg)])},
    }
    start = len(tiff.assemble(tags, 273, [jpeg])) - len(jpeg)
    image = tiff.assemble({**tags, 513: (4, [start])}, 273, [jpeg])
    assert_same(engine.picture(image, png(64, 48)), grey, tolerance=12)


@pytest.mark.parametrize(
    "options",
    [{"planar": True}, {"tile": (16, 32)}, {"compression": tiff.DEFLATE}],
    ids=["planes", "tiles", "compressed"],
)
def test_tiff_without_its_end_is_called_incomplete(options: dict[str, Any], engine: Engine) -> None:
    image = tiff.write(make_picture("RGB", SIZE).split(), **options)
    with pytest.raises(Truncated):
        engine.make(image[:-50], png(60, 60))


def test_tiffs_opened_in_threads_keep_their_decoders() -> None:
    picture = make_picture("RGB", SIZE)
    planes, plain = (tiff.write(picture.split(), planar=planar) for planar in (True, False))
    codecs: dict[bytes, set[str]] = {planes: set(), plain: set()}

    def open_often(image: bytes) -> None:
        for _ in range(200):
            codecs[image] |= {tile.codec_name for tile in Reader(io.BytesIO(image)).tile}

    threads = [threading.Thread(target=open_often, args=(image,)) for image in codecs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(codecs.values()) == [{"libtiff"}, {"raw"}]
    assert TiffImagePlugin.READ_LIBTIFF is False
