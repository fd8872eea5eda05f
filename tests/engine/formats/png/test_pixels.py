"""Read the pixels of a PNG whatever its other chunks are."""

import io
import random
import zlib

import pytest
from PIL import Image

from tests.support.engine import LIMITS, Engine
from tests.support.engine import png as make_output
from tests.support.files import CountingFile
from tests.support.hostile import png
from tests.support.images import make_exif, make_png_chunk
from webapp.engine.errors import Corrupt, Truncated
from webapp.engine.formats.png import read_header
from webapp.engine.header import Header
from webapp.engine.strip import strip_metadata

EXIF = make_exif(6, gps=True)


@pytest.mark.parametrize(
    "chunks",
    [[(b"PLTE", bytes(5000))], [(b"\0\1\2\3", b"")]],
    ids=["too long", "not of letters"],
)
def test_chunks_of_no_honest_file_are_refused(
    chunks: list[tuple[bytes, bytes]], engine: Engine
) -> None:
    with pytest.raises(Corrupt):
        engine.header(png.build(64, 48, chunks=chunks))


@pytest.mark.parametrize("end", [-8, -4, 6, 12], ids=["before", "in its head", "in", "behind"])
def test_png_cut_before_its_pixels_is_truncated(engine: Engine, end: int) -> None:
    image = png.build(64, 48, chunks=[(b"gAMA", bytes(4))])
    with pytest.raises(Truncated):
        engine.header(image[: image.index(b"gAMA") + end])


# Chunks that the picture does not need, with wrong contents.
FAULTS = {
    "profile of an unknown compression": (b"iCCP", b"icc\0\1" + zlib.compress(b"profile")),
    "profile that is no zlib": (b"iCCP", b"icc\0\0profile"),
    "profile without a name": (b"iCCP", b""),
    "profile of 2 megabytes": (b"iCCP", b"icc\0\0" + zlib.compress(bytes(2 << 20))),
    "text of an unknown compression": (b"zTXt", b"Comment\0\1" + zlib.compress(b"text")),
    "text of 2 megabytes": (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2 << 20))),
    "international text": (b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(2 << 20))),
    "short gamma": (b"gAMA", b"\0"),
    "long gamma": (b"gAMA", bytes(5000)),
    "short primaries": (b"cHRM", bytes(31)),
    "short sRGB": (b"sRGB", b""),
    "short resolution": (b"pHYs", bytes(8)),
    "short animation": (b"acTL", b"\0"),
    "short frame": (b"fcTL", b"\0"),
    "short transparency": (b"tRNS", b"\0"),
    "more transparent colours than colours": (b"tRNS", bytes(300)),
}
# Chunks that are sound, until their checksum is spoilt.
SOUND = {
    "profile": (b"iCCP", b"icc\0\0" + zlib.compress(b"profile")),
    "compressed text": (b"zTXt", b"Comment\0\0" + zlib.compress(b"text")),
    "primaries": (b"cHRM", bytes(32)),
    "time": (b"tIME", bytes(7)),
    "private": (b"prVt", b"content"),
    "exif": (b"eXIf", EXIF.removeprefix(b"Exif\0\0")),
}
GREY = zlib.compress((b"\0" + b"\x80" * 64) * 48)


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("chunk", FAULTS.values(), ids=FAULTS)
def test_faulty_metadata_is_dropped_and_the_picture_kept(
    chunk: tuple[bytes, bytes], is_late: bool, engine: Engine
) -> None:
    assert_grey(make_grey(chunk, is_late), engine)


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("chunk", SOUND.values(), ids=SOUND)
def test_metadata_of_wrong_checksum_is_dropped(
    chunk: tuple[bytes, bytes], is_late: bool, engine: Engine
) -> None:
    assert_grey(png.spoil(make_grey(chunk, is_late), chunk[0]), engine)


def make_grey(chunk: tuple[bytes, bytes], is_late: bool) -> bytes:
    """Make a PNG with a chunk before or after its pixels."""
    early, late = ([], [chunk]) if is_late else ([chunk], [])
    return png.build(64, 48, data=GREY, chunks=early, late_chunks=late)


def assert_grey(image: bytes, engine: Engine) -> None:
    """Assert that both readers see all of a picture and no metadata."""
    expected = Header("png", 64, 48, 1, False)
    assert engine.header(image) == expected
    result = engine.result(image, make_output(64, 48))
    assert result.header == expected
    picture = engine.load(result.thumbnails[0])
    assert picture.convert("RGBA").getcolors() == [(64 * 48, (128, 128, 128, 255))]


@pytest.mark.parametrize(("count", "length"), [(20, 1_000_000), (6_000, 100)])
def test_header_among_many_faulty_profiles_is_read_in_bounds(count: int, length: int) -> None:
    profile = png.spoil(make_png_chunk(b"iCCP", bytes(length)), b"iCCP")
    image = png.build(64, 48)
    file = CountingFile(image[:33] + profile * count + image[33:])
    assert read_header(file, LIMITS) == Header("png", 64, 48, 1, False)
    assert file.bytes_read < 3_000_000
    assert file.reads < count + 1_000


@pytest.mark.parametrize("name", [b"IHDR", b"PLTE"])
def test_faulty_chunk_of_the_picture_is_refused(name: bytes, engine: Engine) -> None:
    image = png.spoil(png.build(64, 48, color=3), name)
    with pytest.raises(Corrupt):
        engine.header(image)
    with pytest.raises(Corrupt):
        engine.make(image, make_output(64, 48))


def test_copy_of_a_faulty_file_is_sound(engine: Engine) -> None:
    """Pillow reads neither the checksum of the pixels nor the end of a file."""
    faulty = png.build(64, 48, data=GREY, color=0, chunks=[(b"tIME", bytes(7)), (b"gAMA", b"")])
    image = png.spoil(png.spoil(faulty, b"tIME"), b"IDAT")[:-12]
    copy = io.BytesIO(strip_metadata(io.BytesIO(image), "png"))
    assert copy.getvalue() == png.build(64, 48, data=GREY)
    with Image.open(copy) as picture:
        picture.verify()


@pytest.mark.parametrize("shade", [0, 1, 2, 3])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_transparent_grey_is_of_the_depth_of_the_picture(
    depth: int, shade: int, engine: Engine
) -> None:
    most = (1 << depth) - 1
    shades = [number & most for number in range(4)]
    line = sum(value << depth * (3 - index) for index, value in enumerate(shades))
    line_bytes = (line << -4 * depth % 8).to_bytes(-(-4 * depth // 8), "big")
    # The bits above the depth do not count.
    chunk = (b"tRNS", (0xFF00 & ~most | shade & most).to_bytes(2, "big"))
    image = png.build(4, 1, depth=depth, data=zlib.compress(b"\0" + line_bytes), chunks=[chunk])
    picture = engine.picture(image, make_output(4, 1)).convert("RGBA")
    alpha = [picture.getpixel((x, 0))[3] for x in range(4)]  # type: ignore[index]
    assert alpha == [0 if value == shade & most else 255 for value in shades]


def test_transparent_colour_of_16_bits_is_transparent(engine: Engine) -> None:
    pixels = "123456789abc", "34127856bc9a", "123456789abd"
    data = zlib.compress(b"\0" + bytes.fromhex("".join(pixels)))
    chunk = (b"tRNS", bytes.fromhex(pixels[0]))
    image = png.build(3, 1, depth=16, color=2, data=data, chunks=[chunk])
    picture = engine.picture(image, make_output(3, 1)).convert("RGBA")
    assert [picture.getpixel((x, 0)) for x in range(3)] == [
        (0, 0, 0, 0),
        (0x34, 0x78, 0xBC, 255),
        (0x12, 0x56, 0x9A, 255),
    ]


HIDDEN, OTHER = (b"tRNS", b"\0\x80"), (b"tRNS", b"\0\x40")
PALETTE = (b"PLTE", b"\x80\x80\x80")
# As in Chromium: kind of pixels, one pixel, chunks, and the opacity of the pixel.
TRANSPARENCY = {
    "the first counts": (0, b"\x80", [HIDDEN, OTHER], 0),
    "the second does not": (0, b"\x80", [OTHER, HIDDEN], 255),
    "a short one does not": (0, b"\x80", [(b"tRNS", b"\x80"), HIDDEN], 0),
    "longer than needed": (0, b"\x80", [(b"tRNS", b"\0\x80\0")], 0),
    "before the palette": (3, b"\0", [(b"tRNS", b"\0"), PALETTE], 255),
    "longer than the palette": (3, b"\0", [PALETTE, (b"tRNS", b"\0\0\0")], 0),
    "beside an alpha channel": (4, b"\x80\xff", [HIDDEN], 255),
}


@pytest.mark.parametrize(
    ("color", "pixel", "chunks", "opacity"), TRANSPARENCY.values(), ids=TRANSPARENCY
)
def test_transparency_counts_as_in_browsers(
    color: int, pixel: bytes, chunks: list[tuple[bytes, bytes]], opacity: int, engine: Engine
) -> None:
    image = png.build(1, 1, color=color, data=zlib.compress(b"\0" + pixel), chunks=chunks)
    made = engine.picture(image, make_output(1, 1)).convert("RGBA").getpixel((0, 0))
    assert made == ((128, 128, 128, 255) if opacity else (0, 0, 0, 0))


@pytest.mark.parametrize("is_late", [False, True], ids=["before", "after"])
def test_thousands_of_texts_are_no_damage(is_late: bool, engine: Engine) -> None:
    texts = [(b"tEXt", b"Comment\0text")] * 12_000
    early, late = ([], texts) if is_late else (texts, [])
    assert_grey(png.build(64, 48, data=GREY, chunks=early, late_chunks=late), engine)


def test_thousands_of_small_pieces_of_pixels_are_no_damage(engine: Engine) -> None:
    noise = random.Random(1).randbytes(64 * 256)
    lines = b"".join(b"\0" + noise[n : n + 64] for n in range(0, len(noise), 64))
    data = zlib.compress(lines)
    pieces = [(b"IDAT", data[n : n + 1]) for n in range(1, len(data))]
    image = png.build(64, 256, data=data[:1], late_chunks=pieces)
    assert len(pieces) > 10_000
    assert engine.picture(image, make_output(64, 256)).tobytes() == noise


# The passes of interlaced pixels: first column and line of each, and the steps to the next.
PASSES = {
    0: [(0, 0, 1, 1)],
    1: [
        *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
        *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
    ],
}


def make_lines(size: tuple[int, int], bits: int, interlace: int, level: int) -> list[bytes]:
    """Make the lines of a picture of one level, before they are compressed."""
    lines = []
    for left, top, x, y in PASSES[interlace]:
        columns = len(range(left, size[0], x))
        if columns:
            line = b"\0" + bytes((level,)) * ((columns * bits + 7) // 8)
            lines += [line] * len(range(top, size[1], y))
    return lines


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (5, 5), (64, 48), (9, 300)])
@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize(
    ("color", "depth", "bits"), [(0, 1, 1), (0, 16, 16), (2, 8, 24), (6, 8, 32)]
)
def test_picture_whose_pixels_end_early_is_truncated(
    color: int,
    depth: int,
    bits: int,
    level: int,
    interlace: int,
    size: tuple[int, int],
    engine: Engine,
) -> None:
    lines = make_lines(size, bits, interlace, level)
    whole = b"".join(lines)
    for content in (whole, whole[:-1], b"".join(lines[:-1])):
        data = zlib.compress(content)
        image = png.build(*size, color=color, depth=depth, interlace=interlace, data=data)
        if content == whole:
            assert engine.picture(image, make_output(*size)).size == size
        else:
            with pytest.raises(Truncated):
                engine.make(image, make_output(*size))


@pytest.mark.parametrize("size", [(1, 1), (64, 48), (9, 300)])
@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize(("color", "depth", "bits"), [(0, 1, 1), (2, 8, 24), (6, 16, 64)])
@pytest.mark.parametrize("level", [0, 255])
def test_wrong_checksum_of_pixels_is_no_damage(
    level: int,
    color: int,
    depth: int,
    bits: int,
    interlace: int,
    size: tuple[int, int],
    engine: Engine,
) -> None:
    data = zlib.compress(b"".join(make_lines(size, bits, interlace, level)))
    wrong = data[:-1] + bytes((data[-1] ^ 1,))
    sound, damaged = (
        png.build(*size, color=color, depth=depth, interlace=interlace, data=data)
        for data in (data, wrong)
    )
    expected, made = (engine.picture(image, make_output(*size)) for image in (sound, damaged))
    assert made.convert("RGBA").tobytes() == expected.convert("RGBA").tobytes()


def test_late_chunk_that_claims_gigabytes_is_dropped(engine: Engine) -> None:
    image = png.build(64, 48).removesuffix(make_png_chunk(b"IEND", b""))
    image += b"\x6d\0\0\0" + b"noTe" + bytes(30)
    assert engine.picture(image, make_output(64, 48)).size == (64, 48)
