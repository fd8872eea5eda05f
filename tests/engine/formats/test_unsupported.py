"""Name sound files of kinds that no decoder of ours reads."""

import re
import struct

import pytest
from PIL import Image

from tests.support import bmp, tiff
from tests.support.engine import Engine, png
from tests.support.images import encode, make_corners, make_jpeg, make_picture
from tests.support.isobmff import box
from tests.support.jp2 import (
    SRGB,
    add_boxes,
    change_channel,
    define,
    make_codestream,
    make_palette_image,
)
from tests.support.profiles import make_ink_profile
from webapp.engine.errors import Unsupported

Kinds = dict[str, tuple[bytes, str]]  # Each with words of its sentence.

BLACK = [0] * (bmp.SIZE[0] * bmp.SIZE[1])
GAPS = (0xFF00FF, 0xFF00, 0)
BMP: Kinds = {
    "JPEG": (bmp.write(BLACK, 0, compression=4, header=124), "has a JPEG inside.*as JPEG instead"),
    "PNG": (bmp.write(BLACK, 0, compression=5, header=124), "has a PNG inside.*as PNG instead"),
    "fields with gaps": (bmp.write(BLACK, 32, compression=bmp.FIELDS, masks=GAPS), "is rare"),
    "empty fields": (bmp.write(BLACK, 16, compression=bmp.FIELDS, masks=(0, 0, 0)), "is rare"),
    "64 bits": (bmp.write(BLACK, 64), "is rare"),
    "CMYK": (bmp.write(BLACK, 32, compression=11), "is rare"),
    "OS/2, runs": (bmp.write(BLACK, 24, compression=4, header=64) + bytes(24), "is rare"),
    "OS/2, short": (bmp.write(BLACK, 24, header=16), "is rare"),
}

GREY = make_picture("L", (50, 37))
DEEP = GREY.convert("I")
COMPRESSED, SEPARATE = "is compressed in a way", "stores its channels separately"
TIFF: Kinds = {
    "big-endian BigTIFF": (b"MM\0+" + bytes(60), "big-endian BigTIFF"),
    "WebP": (tiff.write([GREY], photometric=1, tags={259: (3, [50001])}), COMPRESSED),
    "unknown": (tiff.write([GREY], photometric=1, tags={259: (3, [24005])}), COMPRESSED),
    "16-bit JPEG": (tiff.write([DEEP], "H", photometric=1, tags={259: (3, [7])}), COMPRESSED),
    "32 bits a colour": (tiff.write([DEEP] * 3, "I"), "has channels that we cannot read"),
    "signed, zero is white": (
        tiff.write([GREY], photometric=0, tags={339: (3, [2])}),
        "has channels that we cannot read",
    ),
    "planes of reduced colour": (tiff.write([GREY] * 3, photometric=6, planar=True), SEPARATE),
    "planes of grey and alpha": (
        tiff.write([GREY] * 2, photometric=1, planar=True, tags={338: (3, [2])}),
        SEPARATE,
    ),
    "planes of five channels": (
        tiff.write([GREY] * 5, planar=True, tags={338: (3, [2, 0])}),
        SEPARATE,
    ),
}

CORNERS = encode(make_corners(), "jp2")
DEPTH, SUBSAMPLED, COLORS = "8 bits a colour channel", "lower resolution", "order or colour space"
LAB = box(b"colr", struct.pack(">3BI", 1, 0, 0, 14))
GREYS, INK_COLORS = [(80,)] * 4, [(0, 255, 255, 0)] * 4
DARK, BRIGHT = [(31, 0, 31)] * 4, [(65535, 0, 257)] * 4
FIVE, PALETTE = "more than 4 channels", "kind of palette"
ALPHA = encode(make_picture("RGBA"), "jp2")
INKS = box(b"colr", b"\2\0\0", make_ink_profile())


def subsample(picture: Image.Image, channel: int) -> bytes:
    return change_channel(encode(picture, "jp2"), channel, step=2)


JPEG_2000: Kinds = {
    "12 bits": (change_channel(CORNERS, 1, bits=12), DEPTH),
    "12 bits, codestream": (change_channel(make_codestream(), 1, bits=12), DEPTH),
    "subsampled, odd width": (subsample(make_picture("RGB", (121, 80)), 1), SUBSAMPLED),
    "subsampled, odd height": (subsample(make_picture("RGB", (120, 81)), 2), SUBSAMPLED),
    "subsampled grey": (subsample(make_picture("L"), 0), SUBSAMPLED),
    "subsampled, with alpha": (subsample(make_picture("RGBA"), 1), SUBSAMPLED),
    "blue before red": (
        add_boxes(CORNERS, SRGB, define((0, 0, 3), (1, 0, 2), (2, 0, 1))),
        COLORS,
    ),
    "alpha before the colours": (
        add_boxes(CORNERS, SRGB, define((0, 1, 0), (1, 0, 1), (2, 0, 2))),
        COLORS,
    ),
    "five channels": (CORNERS.replace(b"\0\0\0\x78\0\3", b"\0\0\0\x78\0\5", 1), FIVE),
    "five channels, codestream": (make_codestream().replace(b"\0\3\7", b"\0\5\7", 1), FIVE),
    "premultiplied alpha": (
        ALPHA.replace(struct.pack(">3H", 3, 1, 0), struct.pack(">3H", 3, 2, 0)),
        "has premultiplied alpha",
    ),
    "palette of 5 bits": (make_palette_image(DARK, 5), PALETTE),
    "palette of 16 bits": (make_palette_image(BRIGHT, 16), PALETTE),
    "palette of grey": (make_palette_image(GREYS, space=17), PALETTE),
    "palette of one column, called sRGB": (make_palette_image(GREYS), PALETTE),
    "palette of inks": (make_palette_image(INK_COLORS, space=12), PALETTE),
    "palette of sYCC": (make_palette_image(DARK, space=18), PALETTE),
    "palette in reverse": (make_palette_image(DARK, order=(2, 1, 0)), PALETTE),
    "palette for indexes of 4 bits": (
        make_palette_image(DARK).replace(b"\0\1\7\7", b"\0\1\3\7", 1),
        PALETTE,
    ),
    "Lab": (add_boxes(CORNERS, LAB), COLORS),
    "inks with a profile": (add_boxes(CORNERS, INKS), COLORS),
}


def change_frame(marker: int, bits: int = 8) -> bytes:
    """Make the head of a JPEG of another kind; its scan does not count."""
    image = make_jpeg()
    start = image.index(b"\xff\xc0")
    head = bytes((0xFF, marker)) + image[start + 2 : start + 4] + bytes((bits,))
    return image[:start] + head + image[start + 5 :]


JPEG: Kinds = {
    "12 bits": (change_frame(0xC1, bits=12), "is rare"),
    "12 bits, progressive": (change_frame(0xC2, bits=12), "is rare"),
    "lossless": (change_frame(0xC3), "is rare"),
    "lossless, 16 bits": (change_frame(0xC3, bits=16), "is rare"),
    "differential": (change_frame(0xC5), "is rare"),
    "hierarchical": (change_frame(0xDE), "is rare"),
    "JPEG-LS": (change_frame(0xF7), "is rare"),
}

ALL = {
    f"{format}: {name}": kind
    for format, kinds in (("BMP", BMP), ("TIFF", TIFF), ("JPEG 2000", JPEG_2000), ("JPEG", JPEG))
    for name, kind in kinds.items()
}


@pytest.mark.parametrize(("image", "words"), ALL.values(), ids=ALL)
def test_sound_image_of_a_rare_kind_is_not_called_damaged(
    image: bytes, words: str, engine: Engine
) -> None:
    for read in (engine.header, lambda image: engine.make(image, png(60, 60))):
        with pytest.raises(Unsupported, match=rf"^This .*{words}") as caught:
            read(image)
        assert re.search(r"\. (Save|Export) it ", str(caught.value))
