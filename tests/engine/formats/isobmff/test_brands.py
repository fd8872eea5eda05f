"""Tell AVIF and HEIC apart by their brands."""

import io

import pytest

from tests.support.engine import Engine, png
from tests.support.hostile.samples import sample
from tests.support.isobmff import box, build, picture
from webapp.engine.errors import Unsupported
from webapp.engine.formats.isobmff.main_image import read_main_image
from webapp.engine.header import Header


@pytest.mark.parametrize("brand", [b"mif1", b"msf1"])
def test_large_heic_of_a_general_brand_is_accepted(brand: bytes, engine: Engine) -> None:
    image = sample("heic").replace(b"ftypheic", b"ftyp" + brand) + box(b"free", bytes(3_000_000))
    assert engine.header(image) == Header("heic", 120, 80, 1, False)
    assert engine.result(image, png(60, 60)).header == engine.header(image)


@pytest.mark.parametrize("format", ["avif", "heic"])
def test_image_of_many_brands_is_not_taken_for_an_icon(format: str, engine: Engine) -> None:
    image = build(format, [picture(1, format, (64, 64))], more_brands=[b"miaf"] * 57)
    assert image.startswith(b"\0\0\1\0")  # The length of its first box, and how an icon begins.
    assert engine.header(image) == Header(format, 64, 64, 1, False)
    assert engine.result(image, png(60, 60)).header == engine.header(image)


@pytest.mark.parametrize("brand", [b"mif2", b"mif3", b"avci", b"j2ki", b"jpeg", b"vvic"])
def test_heif_of_another_brand_is_not_called_a_video(brand: bytes, engine: Engine) -> None:
    with pytest.raises(Unsupported, match="HEIF"):
        engine.header(sample("heic").replace(b"ftypheic", b"ftyp" + brand))


def test_heic_that_names_avif_among_its_brands_is_a_heic() -> None:
    heic = sample("heic")
    start = heic.index(b"mif1", 12)
    patched = heic[:start] + b"avif" + heic[start + 4 :]
    assert patched[8:12] == b"heic"
    assert read_main_image(io.BytesIO(patched)).format == "heic"
