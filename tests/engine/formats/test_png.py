"""Read the header of a PNG, with the metadata in its texts."""

import io
import zlib

import pytest
from PIL import Image

from tests.support.engine import Engine
from tests.support.engine import png as make_output
from tests.support.hostile import png
from tests.support.images import make_exif
from webapp.engine.errors import Corrupt, Truncated
from webapp.engine.header import Header
from webapp.engine.strip import strip_metadata

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
