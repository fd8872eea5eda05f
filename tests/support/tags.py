"""Make pictures with tags of their colours (CICP), and the colours to expect."""

import struct
from collections.abc import Callable

from PIL import Image

from tests.support.images import encode, make_png_chunk

Color = tuple[int, int, int]
Tag = tuple[int, int]  # Primaries and curve.
Make = Callable[[Image.Image, Tag], bytes]  # Encode a picture with a tag.
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


def tag_png(picture: Image.Image, tag: Tag, **options: object) -> bytes:
    """Encode a PNG with the tag of its colours."""
    return insert_chunk(encode(picture, "png", **options), b"cICP", bytes((*tag, 0, 1)))


def insert_chunk(image: bytes, name: bytes, content: bytes) -> bytes:
    """Add a chunk behind the header of a PNG, which ends at byte 33."""
    return image[:33] + make_png_chunk(name, content) + image[33:]


def tag_avif(picture: Image.Image, tag: Tag, **options: object) -> bytes:
    """Encode an AVIF with the tag of its colours."""
    image = encode(picture, "avif", quality=100, subsampling="4:4:4", **options)
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
    red, green, blue = (encode_light(part) for part in mixed)
    return red, green, blue


def decode(share: float) -> float:
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


def encode_light(light: float) -> int:
    light = min(max(light, 0), 1)
    share = 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
    return round(255 * share)
