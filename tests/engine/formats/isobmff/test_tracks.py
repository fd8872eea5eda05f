"""Read the tracks of AVIF sequences."""

import io

import pytest
from PIL import Image

from tests.support.engine import Engine
from tests.support.images import (
    encode,
    make_animation,
    make_exif,
)
from tests.support.read_headers import decoder_header
from webapp.engine.formats.isobmff.main_image import read_main_image
from webapp.engine.header import Header


@pytest.mark.parametrize("brand", [b"avis", b"avif", b"mif1", b"msf1"])
def test_sequence_is_read_according_to_its_brand(brand: bytes, engine: Engine) -> None:
    image = make_animation("avif").replace(b"ftypavis", b"ftyp" + brand)
    assert engine.header(image) == decoder_header(image)
    with Image.open(io.BytesIO(image)) as opened:
        assert read_main_image(io.BytesIO(image)).frames == getattr(opened, "n_frames", 1)


def test_metadata_and_transparency_of_a_sequence_are_the_decoders(engine: Engine) -> None:
    frames = [Image.new("RGBA", (60, 40), (9, shade, 9, 99)) for shade in (9, 99)]
    options = {"save_all": True, "append_images": frames[1:]}
    image = encode(frames[0], "avif", exif=make_exif(gps=True), **options)
    assert engine.header(image) == decoder_header(image) == Header("avif", 60, 40, 1, True)
    assert read_main_image(io.BytesIO(image)).has_alpha
