"""Read the tracks of AVIF sequences."""

import struct

import pytest
from PIL import Image

from tests.support.engine import Engine
from tests.support.images import encode, make_animation, make_exif
from tests.support.isobmff import box, inside
from tests.support.read_headers import decoder_header
from webapp.engine.header import Header


@pytest.mark.parametrize(
    ("brand", "size"),
    [(b"avis", (90, 50)), (b"avif", (60, 40)), (b"mif1", (90, 50)), (b"msf1", (90, 50))],
)
def test_sequence_is_read_according_to_its_brand(
    brand: bytes, size: tuple[int, int], engine: Engine
) -> None:
    image = make_animation("avif", (60, 40)).replace(b"ftypavis", b"ftyp" + brand)
    track = inside(image, b"tkhd")
    image = image.replace(track, track[:-8] + struct.pack(">II", 90 << 16, 50 << 16))
    assert engine.header(image) == decoder_header(image) == Header("avif", *size, 1, False)


def test_alpha_of_a_sequence_is_not_its_main_track(engine: Engine) -> None:
    frames = [Image.new("RGBA", (60, 40), (9, shade, 9, 99)) for shade in (9, 99)]
    options = {"save_all": True, "append_images": frames[1:]}
    image = encode(frames[0], "avif", exif=make_exif(gps=True), **options)
    color = box(b"trak", inside(image, b"trak"))
    alpha = box(b"trak", inside(image[image.index(color) + len(color) :], b"trak"))
    assert color + alpha in image
    sizes = struct.pack(">II", 60 << 16, 40 << 16), struct.pack(">II", 30 << 16, 20 << 16)
    smaller = alpha.replace(*sizes)
    image = image.replace(color + alpha, smaller + color)
    assert engine.header(image) == decoder_header(image) == Header("avif", 60, 40, 1, True)
