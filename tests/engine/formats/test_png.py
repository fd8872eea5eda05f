"""Read the header of a PNG, with the metadata in its texts."""

import io
import struct
import zlib
from typing import cast

import pytest
from PIL import Image

from tests.support.engine import Engine, assert_near
from tests.support.engine import png as make_output
from tests.support.hostile import png
from tests.support.images import make_exif, make_png_chunk
from webapp.engine.errors import Corrupt, Truncated
from webapp.engine.header import Header
from webapp.engine.strip import strip_metadata
from webapp.recipes.outputs import Output

EXIF = make_exif(6, gps=True)
# As ImageMagick writes it: a name, a length, and digits in lines.
TEXT = f"\nexif\n{len(EXIF):8}\n{EXIF.hex()}\n".encode()
XMP_KEY = b"XML:com.adobe.xmp"
XMP = b'<x tiff:Orientation="6" exif:GPSLatitude="51,28N"/>'
TEXTS = {
    "exif": (b"eXIf", EXIF.removeprefix(b"Exif\0\0")),
    "exif as text": (b"tEXt", b"Raw profile type exif\0" + TEXT),
    "exif as compressed text": (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(TEXT)),
    "xmp": (b"iTXt", XMP_KEY + b"\0\0\0\0\0" + XMP),
    "compressed xmp": (b"iTXt", XMP_KEY + b"\0\1\0\0\0" + zlib.compress(XMP)),
}


def header_of(chunk: tuple[bytes, bytes]) -> Header:
    """Return the header of a PNG with this chunk; an orientation in XMP does not count."""
    return Header("png", 64, 48, 1, True) if XMP_KEY in chunk[1] else Header("png", 48, 64, 6, True)


@pytest.mark.parametrize("chunk", TEXTS.values(), ids=TEXTS)
def test_metadata_of_every_kind_of_text_is_read(chunk: tuple[bytes, bytes], engine: Engine) -> None:
    assert engine.header(png.build(64, 48, chunks=[chunk])) == header_of(chunk)


@pytest.mark.parametrize("chunk", TEXTS.values(), ids=TEXTS)
def test_metadata_after_the_pixels_is_read_by_both(
    chunk: tuple[bytes, bytes], engine: Engine
) -> None:
    image = png.build(64, 48, late_chunks=[chunk])
    assert engine.header(image) == header_of(chunk)
    result = engine.result(image, make_output(64, 64))
    assert result.header == header_of(chunk)
    size = (result.thumbnails[0].width, result.thumbnails[0].height)
    assert size == (result.header.width, result.header.height)


BROKEN = {
    "digits": (b"tEXt", b"Raw profile type exif\0\nexif\n 4\nno digits\n"),
    "compression": (b"zTXt", b"Raw profile type exif\0\0" + b"not compressed"),
    "compressed xmp": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + b"not compressed"),
}


@pytest.mark.parametrize("chunk", BROKEN.values(), ids=BROKEN)
def test_broken_metadata_is_ignored(chunk: tuple[bytes, bytes], engine: Engine) -> None:
    image = png.build(64, 48, chunks=[chunk])
    assert engine.header(image) == Header("png", 64, 48, 1, False)


@pytest.mark.parametrize(
    "chunks",
    [[(b"PLTE", bytes(5000))], [(b"\0\1\2\3", b"")], [(b"teXt", b"")] * 2001],
    ids=["too long", "not of letters", "too many"],
)
def test_chunks_of_no_honest_file_are_refused(
    chunks: list[tuple[bytes, bytes]], engine: Engine
) -> None:
    with pytest.raises(Corrupt):
        engine.header(png.build(64, 48, chunks=chunks))


def test_png_cut_within_a_chunk_of_its_header_is_truncated(engine: Engine) -> None:
    image = png.build(64, 48, chunks=[(b"gAMA", bytes(4))])
    with pytest.raises(Truncated):
        engine.header(image[: image.index(b"gAMA") + 6])


def spoil(image: bytes, name: bytes) -> bytes:
    """Make the checksum of a chunk wrong."""
    start = image.index(name)
    end = start + 4 + int.from_bytes(image[start - 4 : start], "big")
    return image[:end] + bytes((image[end] ^ 1,)) + image[end + 1 :]


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
    assert_grey(spoil(make_grey(chunk, is_late), chunk[0]), engine)


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


@pytest.mark.parametrize("name", [b"IHDR", b"PLTE"])
def test_faulty_chunk_of_the_picture_is_refused(name: bytes, engine: Engine) -> None:
    image = spoil(png.build(64, 48, color=3), name)
    with pytest.raises(Corrupt):
        engine.header(image)
    with pytest.raises(Corrupt):
        engine.make(image, make_output(64, 48))


def test_copy_of_a_faulty_file_is_sound(engine: Engine) -> None:
    """Pillow reads neither the checksum of the pixels nor the end of a file."""
    faulty = png.build(64, 48, data=GREY, color=0, chunks=[(b"tIME", bytes(7)), (b"gAMA", b"")])
    image = spoil(spoil(faulty, b"tIME"), b"IDAT")[:-12]
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
    data = zlib.compress(b"\0" + bytes.fromhex("123456789abc") + bytes.fromhex("34127856bc9a"))
    chunk = (b"tRNS", bytes.fromhex("123456789abc"))
    image = png.build(2, 1, depth=16, color=2, data=data, chunks=[chunk])
    picture = engine.picture(image, make_output(2, 1)).convert("RGBA")
    assert [picture.getpixel((x, 0)) for x in range(2)] == [(0, 0, 0, 0), (0x34, 0x78, 0xBC, 255)]


Color = tuple[int, int, int, int]
Place = tuple[int, int, int, int]  # Width, height, left and top.
KEEP, CLEAR, RESTORE = 0, 1, 2
REPLACE, OVER = 0, 1
ALL, RIGHT = (40, 40, 0, 0), (20, 40, 20, 0)
NOTHING = (0, 0, 0, 0)
RED, GREEN, BLUE = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)
FAINT = (255, 0, 0, 128)


def make_moving(*frames: tuple[Color, Place, int, int], depth: int = 8) -> bytes:
    """Make an animated PNG of frames of one colour each: its place, disposal and blending.

    Its still picture is red and no frame.
    """
    chunks: list[tuple[bytes, bytes]] = []
    for color, place, disposal, blend in frames:
        timing = struct.pack(">HHBB", 8, 100, disposal, blend)
        number = len(chunks).to_bytes(4, "big")
        chunks.append((b"fcTL", number + struct.pack(">IIII", *place) + timing))
        number = len(chunks).to_bytes(4, "big")
        chunks.append((b"fdAT", number + fill(color, place, depth)))
    count = (b"acTL", struct.pack(">II", len(frames), 0))
    still = fill(RED, ALL, depth)
    return png.build(40, 40, color=6, depth=depth, data=still, chunks=[count], late_chunks=chunks)


def fill(color: Color, place: Place, depth: int) -> bytes:
    pixel = b"".join(bytes((part,)) * (depth // 8) for part in color)
    return zlib.compress((b"\0" + pixel * place[0]) * place[1])


def seen(image: bytes, engine: Engine) -> list[tuple[Color, Color]]:
    """List what is seen in each frame, left and right."""
    (made,) = engine.make(image, Output("a", 40, 40, format="webp", animated=True, quality=100))
    colors = []
    with Image.open(engine.folder / made.file_name) as animation:
        for number in range(animation.n_frames):  # type: ignore[attr-defined]
            animation.seek(number)
            frame = animation.convert("RGBA")
            colors.append((frame.getpixel((8, 20)), frame.getpixel((32, 20))))
    return cast(list[tuple[Color, Color]], colors)


MOVING = {
    "restored": (
        [(GREEN, ALL, KEEP, REPLACE), (RED, ALL, RESTORE, OVER), (BLUE, RIGHT, KEEP, OVER)],
        [(GREEN, GREEN), (RED, RED), (GREEN, BLUE)],
    ),
    "restored in part": (
        [(GREEN, ALL, KEEP, OVER), (RED, RIGHT, RESTORE, OVER), (NOTHING, ALL, KEEP, OVER)],
        [(GREEN, GREEN), (GREEN, RED), (GREEN, GREEN)],
    ),
    "restored to nothing": (
        [(GREEN, RIGHT, RESTORE, OVER), (NOTHING, ALL, KEEP, OVER)],
        [(NOTHING, GREEN), (NOTHING, NOTHING)],
    ),
    "cleared": (
        [(GREEN, ALL, KEEP, OVER), (BLUE, RIGHT, CLEAR, OVER), (FAINT, RIGHT, KEEP, OVER)],
        [(GREEN, GREEN), (GREEN, BLUE), (GREEN, FAINT)],
    ),
    "translucent over opaque": (
        [(BLUE, ALL, KEEP, REPLACE), (FAINT, RIGHT, KEEP, OVER)],
        [(BLUE, BLUE), (BLUE, (128, 0, 127, 255))],
    ),
    "translucent over translucent": (
        [(FAINT, ALL, KEEP, REPLACE), (FAINT, RIGHT, KEEP, OVER)],
        [(FAINT,) * 2, (FAINT, (255, 0, 0, 192))],
    ),
    "translucent in place of opaque": (
        [(BLUE, ALL, KEEP, REPLACE), (FAINT, RIGHT, KEEP, REPLACE)],
        [(BLUE, BLUE), (BLUE, FAINT)],
    ),
}


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("frames", "expected"), MOVING.values(), ids=MOVING)
def test_moving_png_is_composed_as_in_browsers(
    frames: list[tuple[Color, Place, int, int]],
    expected: list[tuple[Color, Color]],
    depth: int,
    engine: Engine,
) -> None:
    colors = seen(make_moving(*frames, depth=depth), engine)
    assert len(colors) == len(expected)
    for pair, wanted in zip(colors, expected, strict=True):
        for color, other in zip(pair, wanted, strict=True):
            assert abs(color[3] - other[3]) <= 1
            if other[3]:
                assert_near(color, other, 12)


SOUND_FRAMES = make_moving((GREEN, ALL, KEEP, OVER), (BLUE, ALL, KEEP, OVER))
FAULTY_FRAMES = {
    "count": spoil(SOUND_FRAMES, b"acTL"),
    "frame": spoil(SOUND_FRAMES, b"fcTL"),
    "order": SOUND_FRAMES.replace(b"fdAT\0\0\0\1", b"fdAT\0\0\0\7"),
    "beyond the picture": make_moving((GREEN, ALL, KEEP, OVER), (BLUE, (40, 40, 1, 0), KEEP, OVER)),
    "no size": make_moving((GREEN, ALL, KEEP, OVER), (BLUE, (0, 40, 0, 0), KEEP, OVER)),
    "no such disposal": make_moving((GREEN, ALL, 3, OVER), (BLUE, ALL, KEEP, OVER)),
}


FAULTY_FRAMES["smaller first frame"] = png.build(
    40,
    40,
    color=6,
    data=fill(RED, ALL, 8),
    chunks=[
        (b"acTL", struct.pack(">II", 2, 0)),
        (b"fcTL", struct.pack(">5IHHBB", 0, 20, 40, 0, 0, 8, 100, KEEP, OVER)),
    ],
    late_chunks=[
        (b"fcTL", struct.pack(">5IHHBB", 1, 40, 40, 0, 0, 8, 100, KEEP, OVER)),
        (b"fdAT", b"\0\0\0\2" + fill(BLUE, ALL, 8)),
    ],
)
FAULTY_FRAMES["no number"] = png.build(
    40,
    40,
    color=6,
    data=fill(RED, ALL, 8),
    chunks=[(b"acTL", struct.pack(">II", 2, 0))],
    late_chunks=[
        (b"fcTL", struct.pack(">5IHHBB", 0, 40, 40, 0, 0, 8, 100, KEEP, OVER)),
        (b"fdAT", b"\0\0\0"),
    ],
)


@pytest.mark.parametrize("image", FAULTY_FRAMES.values(), ids=FAULTY_FRAMES)
def test_png_of_a_faulty_frame_is_still(image: bytes, engine: Engine) -> None:
    (made,) = engine.make(image, Output("a", 40, 40, format="source", animated=True))
    picture = engine.load(made)
    assert (made.format, picture.convert("RGBA").getpixel((20, 20))) == ("png", RED)


def test_late_chunk_that_claims_gigabytes_is_dropped(engine: Engine) -> None:
    image = png.build(64, 48).removesuffix(make_png_chunk(b"IEND", b""))
    image += b"\x6d\0\0\0" + b"noTe" + bytes(30)
    assert engine.picture(image, make_output(64, 48)).size == (64, 48)


def test_moving_png_that_is_cut_is_truncated(engine: Engine) -> None:
    output = Output("a", 40, 40, format="webp", animated=True)
    for end in (SOUND_FRAMES.rindex(b"fdAT") + 20, SOUND_FRAMES.rindex(b"fcTL")):
        with pytest.raises(Truncated):
            engine.make(SOUND_FRAMES[:end], output)


def to_srgb(part: float) -> int:
    """Encode linear light of 0 to 1 by the formula of the standard."""
    part = min(max(part, 0), 1)
    return round(255 * (12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055))


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
    expected = (to_srgb((level / 255) ** exponent),) * 3
    assert_near(color_of(bytes((level,)), 0, chunks, engine), expected, 1)
    assert_near(color_of(bytes((level,)) * 3, 2, chunks, engine), expected, 1)


DISPLAY_P3 = (31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000)
# From linear Display P3 to linear sRGB, https://www.w3.org/TR/css-color-4/#color-conversion-code
P3_TO_SRGB = (
    (1.2249401762805598, -0.2249401762805598, 0.0),
    (-0.0420569547096881, 1.0420569547096881, 0.0),
    (-0.0196375545903344, -0.0786360455506319, 1.0982736001409663),
)


@pytest.mark.parametrize("exponent", [None, 1.0])
def test_primaries_of_a_png_count(exponent: float | None, engine: Engine) -> None:
    pixel = bytes((150, 120, 90))
    chunks = [(b"cHRM", struct.pack(">8I", *DISPLAY_P3))]
    chunks += [gamma(round(100_000 / exponent))] if exponent else []
    light = [
        (level / 255) ** exponent if exponent else ((level / 255 + 0.055) / 1.055) ** 2.4
        for level in pixel
    ]
    rows = [sum(a * b for a, b in zip(row, light, strict=True)) for row in P3_TO_SRGB]
    assert_near(color_of(pixel, 2, chunks, engine), tuple(to_srgb(part) for part in rows), 1)


def test_white_stays_white_whatever_its_point(engine: Engine) -> None:
    chunks = [(b"cHRM", struct.pack(">8I", 34_567, 35_850, *DISPLAY_P3[2:]))]
    assert_near(color_of(b"\xff" * 3, 2, chunks, engine), (255, 255, 255), 1)


SRGB_POINTS = struct.pack(">8I", 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
NO_CONVERSION = {
    "gamma of sRGB": [gamma(45_455)],
    "sRGB by gamma and primaries": [gamma(45_000), (b"cHRM", SRGB_POINTS)],
    "sRGB goes before": [(b"sRGB", b"\0"), gamma(100_000)],
    "cICP goes before": [(b"cICP", bytes((1, 13, 0, 1))), gamma(100_000)],
    "no such gamma": [gamma(0)],
    "no such primaries": [(b"cHRM", bytes(32))],
    "primaries without end": [(b"cHRM", b"\xff" * 32)],
}


@pytest.mark.parametrize("chunks", NO_CONVERSION.values(), ids=NO_CONVERSION)
def test_png_of_srgb_is_not_converted(chunks: list[tuple[bytes, bytes]], engine: Engine) -> None:
    assert color_of(bytes((10, 120, 240)), 2, chunks, engine) == (10, 120, 240)
