"""Make the images that tests need; every call makes a new one.

A picture is Pillow's, an image is the bytes of a file. Nothing here is read from a file: what a
test depends on is visible where it is used.
"""

import io
import math
import struct
import zlib
from collections import Counter
from functools import cache, lru_cache
from typing import Any, cast

from PIL import ExifTags, Image, ImageChops, ImageCms, ImageStat

import webapp.engine.opening  # noqa: F401 - registers HEIC, for `make chaos` too
from tests.support.profiles import Color, to_lab

Size = tuple[int, int]

RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 200, 30), (30, 30, 220), (230, 220, 30)
CORNERS = (RED, GREEN, BLUE, YELLOW)  # Of make_corners: top left, top right, bottom left and right.

# How to turn an upright picture so that the EXIF orientation turns it back.
_TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def turn(picture: Image.Image, orientation: int) -> Image.Image:
    """Turn a picture as a camera with this orientation stores it."""
    transpose = _TURNED[orientation]
    return picture if transpose is None else picture.transpose(transpose)


def make_picture(mode: str = "RGB", size: Size = (120, 80)) -> Image.Image:
    """Make a picture with gradients and fine detail, in any mode of Pillow.

    16-bit and float modes use their whole range; modes with alpha fade in from left to right.
    """
    return _picture(mode, size).copy()


@lru_cache(64)  # Of 600 pictures that the tests of the engine ask for, 60 differ.
def _picture(mode: str, size: Size) -> Image.Image:
    across = Image.linear_gradient("L").rotate(90).resize(size)
    # A Mandelbrot set of many megapixels takes seconds.
    small = (min(size[0], 1200), min(size[1], 1200))
    detail = Image.effect_mandelbrot(small, (-2.0, -1.2, 0.8, 1.2), 60).resize(size)
    red = ImageChops.blend(across, detail, 0.4)
    blue = ImageChops.blend(Image.radial_gradient("L").resize(size), detail, 0.2)
    rgb = Image.merge("RGB", (red, across.transpose(Image.Transpose.FLIP_TOP_BOTTOM), blue))
    if mode in ("I", "I;16", "F"):
        return convert(red, mode)
    if mode in ("LA", "La", "RGBA", "RGBa"):
        straight = rgb.convert("RGBA")
        straight.putalpha(across)
        return straight.convert("LA").convert(mode) if mode[0] == "L" else straight.convert(mode)
    return convert(rgb, mode)


def convert(picture: Image.Image, mode: str) -> Image.Image:
    """Convert a picture of 8 bits to any mode, with the whole range of its values."""
    if mode in ("I", "I;16"):
        return picture.convert("L").convert("I").point(lambda value: value * 257).convert(mode)
    if mode == "F":
        return picture.convert("L").convert("F").point(lambda value: value * (1 / 255) + 0)
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(picture, srgb, lab, outputMode="LAB")
        assert converted
        return converted
    return picture.convert(mode)


def make_corners(size: Size = (120, 80)) -> Image.Image:
    """Make a picture of four quarters in the colours of CORNERS."""
    image = Image.new("RGB", (2, 2))
    for index, color in enumerate(CORNERS):
        image.putpixel((index % 2, index // 2), color)
    return image.resize(size, Image.Resampling.NEAREST)


PILLOW_NAMES = {"heic": "HEIF", "jp2": "JPEG2000"}


def encode(image: Image.Image, format: str, **options: Any) -> bytes:
    """Encode a picture; the options are those of Pillow's `save`."""
    file = io.BytesIO()
    if format.lower() == "ico":
        options = {"sizes": [image.size], **options}  # Not also smaller ones.
    image.save(file, PILLOW_NAMES.get(format.lower(), format), **options)
    return file.getvalue()


def make_jpeg(
    size: Size = (120, 80),
    *,
    image: Image.Image | None = None,
    orientation: int | None = None,
    gps: bool = False,
    icc: bytes | None = None,
    progressive_scans: int | None = None,
    **options: Any,
) -> bytes:
    """Make a JPEG; `size` is that of the picture as it is seen.

    With an orientation it is stored turned and says so in its EXIF, with `gps` it says where it was
    taken. `progressive_scans` makes it progressive and repeats its last scan up to that number.
    """
    image = turn(image or make_picture("RGB", size), orientation or 1)
    options |= {"exif": make_exif(orientation, gps)} if orientation or gps else {}
    options |= {"icc_profile": icc} if icc else {}
    if not progressive_scans:
        return encode(image, "JPEG", **options)
    return _repeat_last_scan(encode(image, "JPEG", progressive=True, **options), progressive_scans)


def make_ycck_jpeg(picture: Image.Image, **options: Any) -> bytes:
    """Make a CMYK JPEG as Photoshop does: inverted, and its C, M and Y as YCbCr."""
    cyan, magenta, yellow, black = picture.split()
    ycc = Image.merge("RGB", (cyan, magenta, yellow)).convert("YCbCr")
    # Pillow inverts all four on their way into the file; YCbCr is to arrive as it is.
    channels = [ImageChops.invert(channel) for channel in ycc.split()]
    jpeg = encode(Image.merge("CMYK", (*channels, black)), "jpeg", **options)
    kind = jpeg.index(b"Adobe") + 11
    return jpeg[:kind] + b"\2" + jpeg[kind + 1 :]


def make_animation(format: str, size: Size = (60, 40), loop: int | None = 0) -> bytes:
    """Make an animation of a red, a green and a blue frame, 80 ms each.

    `loop` is in the words of the format; without one, a GIF is shown once.
    """
    frames = [Image.new("RGB", size, color) for color in (RED, GREEN, BLUE)]
    options = {} if loop is None else {"loop": loop}
    return encode(
        frames[0], format, save_all=True, append_images=frames[1:], duration=80, **options
    )


@cache
def make_exif(orientation: int | None = None, gps: bool = False) -> bytes:
    """Make an EXIF block, with a place (Greenwich) if asked for."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    if orientation:
        exif[ExifTags.Base.Orientation] = orientation
    if gps:
        exif.get_ifd(ExifTags.IFD.GPSInfo).update(
            {
                ExifTags.GPS.GPSLatitudeRef: "N",
                ExifTags.GPS.GPSLatitude: (51.0, 28.0, 40.0),
                ExifTags.GPS.GPSLongitudeRef: "W",
                ExifTags.GPS.GPSLongitude: (0.0, 0.0, 5.0),
            }
        )
    return exif.tobytes()


def _repeat_last_scan(jpeg: bytes, scans: int) -> bytes:
    last = jpeg.rindex(b"\xff\xda")
    end = len(jpeg) - 2
    return jpeg[:end] + jpeg[last:end] * (scans - jpeg.count(b"\xff\xda")) + jpeg[end:]


def make_too_many_scans(scans: int = 60) -> bytes:
    """Make a small progressive JPEG that a decoder must pass over so many times."""
    return make_jpeg(progressive_scans=scans)


@cache
def make_image(mode: str = "RGB", size: Size = (120, 80), format: str = "png") -> bytes:
    """Make an image of any mode in any format that has it."""
    return encode(make_picture(mode, size), format)


def make_png(mode: str = "RGB", size: Size = (120, 80), **options: Any) -> bytes:
    """Make a PNG of any mode that the format has."""
    return encode(make_picture(mode, size), "PNG", **options)


def make_png_header(size: Size) -> bytes:
    """Make a PNG of some 60 bytes that promises any number of pixels and has none."""
    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(make_png_chunk(*chunk) for chunk in chunks)


def make_png_chunk(name: bytes, content: bytes) -> bytes:
    """Make one chunk of a PNG, with its length and its checksum."""
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def make_truncated(image: bytes | None = None, share: float = 0.6) -> bytes:
    """Keep only the first part of an image, as a copy that broke off leaves it."""
    image = image or make_jpeg()
    return image[: int(len(image) * share)]


def psnr(one: Image.Image, other: Image.Image) -> float:
    """Compare two pictures of one size and mode: dB; 40 and more is not seen."""
    assert (one.size, one.mode) == (other.size, other.mode)
    squares = ImageStat.Stat(ImageChops.difference(one, other)).sum2
    error = sum(squares) / (one.width * one.height * len(squares))
    return 100.0 if error == 0 else 20 * math.log10(255 / error**0.5)


def delta_e(one: Image.Image, other: Image.Image) -> tuple[float, float]:
    """Return the mean and largest colour difference of two pictures.

    By CIE76 (ΔE*ab), pixel by pixel: 2 is hardly noticed side by side, from red to orange are 50.
    """
    assert one.size == other.size
    colors = (cast(Any, image.convert("RGB")).get_flattened_data() for image in (one, other))
    pairs: Counter[tuple[Color, Color]] = Counter(zip(*colors, strict=True))
    distances = {pair: math.dist(to_lab(pair[0]), to_lab(pair[1])) for pair in pairs}
    total = sum(distances[pair] * count for pair, count in pairs.items())
    return total / pairs.total(), max(distances.values())
