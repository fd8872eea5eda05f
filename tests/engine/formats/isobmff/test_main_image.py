"""Read headers from boxes as the decoders do."""

import pytest

from tests.support.engine import Engine, assert_near, png
from tests.support.hostile.samples import sample
from tests.support.images import encode, make_exif, make_image, make_picture
from tests.support.isobmff import Item, build, exif_item, grid, ispe, picture, tiled
from tests.support.isobmff_variants import variants
from tests.support.read_headers import decoder_header
from webapp.engine.errors import Corrupt, TooManyPixels, Truncated, Unsupported
from webapp.engine.header import Header

FORMATS = ("avif", "heic")
VARIANTS = [(format, name) for format in FORMATS for name in variants(format)]


@pytest.mark.parametrize(("format", "name"), VARIANTS)
def test_header_of_every_variant_is_the_decoders(format: str, name: str, engine: Engine) -> None:
    image = variants(format)[name]
    assert engine.header(image) == decoder_header(image)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["cropped and turned", "turned 1, mirrored 0", "turned tiles"])
def test_header_is_that_of_the_result(format: str, name: str, engine: Engine) -> None:
    image = variants(format)[name]
    assert engine.header(image) == engine.result(image, png(60, 60)).header


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_header_is_the_decoders_in_every_mode(mode: str, format: str, engine: Engine) -> None:
    image = make_image(mode, format=format)
    assert engine.header(image) == decoder_header(image)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_header_of_a_turned_photo_is_the_decoders(
    orientation: int, format: str, engine: Engine
) -> None:
    image = encode(make_picture(), format, exif=make_exif(orientation, gps=True))
    assert engine.header(image) == decoder_header(image)


@pytest.mark.parametrize("bits", [10, 12])
def test_header_of_many_bits_is_the_decoders(bits: int, engine: Engine) -> None:
    image = encode(make_picture("I;16"), "heic", bit_depth=bits)
    assert engine.header(image) == decoder_header(image)


def test_avif_with_a_gain_map_shows_its_main_image(engine: Engine) -> None:
    parts = [
        picture(1, "avif", (120, 80)),
        Item(2, b"tmap", bytes(60), (ispe(120, 80),)),
        picture(3, "avif", (64, 64)),
    ]
    image = build("avif", parts, [(b"dimg", 2, (1, 3))])
    assert engine.header(image) == Header("avif", 120, 80, 1, False)
    made = engine.picture(image, png(60, 40))
    assert_near(made.convert("RGB").getpixel((30, 20)), (255, 255, 255))


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (b"unci", "is uncompressed"),
        *((kind, "coded in a way") for kind in (b"j2k1", b"av01", b"jxl1", b"hvt1", b"tmap")),
    ],
)
@pytest.mark.parametrize("is_tiled", [False, True])
def test_heif_of_another_coding_is_not_called_damaged(
    kind: bytes, sentence: str, is_tiled: bool, engine: Engine
) -> None:
    image = tiled("heic", (128, 128)) if is_tiled else variants("heic")["brand mif1"]
    image = image.replace(b"hvc1", kind)
    with pytest.raises(Unsupported, match=sentence):
        engine.header(image)
    with pytest.raises(Unsupported, match=sentence):
        engine.make(image, png(60, 60))


@pytest.mark.parametrize("kind", [b"iden", b"iovl", b"jxl1"])
def test_avif_of_another_kind_is_not_called_damaged(kind: bytes, engine: Engine) -> None:
    main = Item(1, kind, b"", (ispe(64, 64),))
    image = build("avif", [main, picture(2, "avif", (64, 64))], [(b"dimg", 1, (2,))])
    for read in (engine.header, lambda image: engine.make(image, png(60, 60))):
        with pytest.raises(Unsupported, match="coded in a way that we cannot read"):
            read(image)


def test_heic_that_refers_to_its_picture_is_read(engine: Engine) -> None:
    main = Item(1, b"iden", b"", (ispe(64, 64),))
    image = build("heic", [main, picture(2, "heic", (64, 64))], [(b"dimg", 1, (2,))])
    assert engine.header(image) == decoder_header(image)
    assert_near(engine.picture(image, png(60, 60)).getpixel((30, 20)), (255, 255, 255))


@pytest.mark.parametrize("format", FORMATS)
def test_tiles_count_with_the_size_of_their_grid(format: str, engine: Engine) -> None:
    image = tiled(format, (128, 128), says=grid(2, 2, 60_000, 60_000))
    with pytest.raises(TooManyPixels, match="3,600 megapixels"):
        engine.header(image)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("missing", [1, 100, 1000])
def test_image_without_its_end_is_truncated(missing: int, format: str, engine: Engine) -> None:
    with pytest.raises(Truncated):
        engine.header(sample(format)[:-missing])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("kind", [b"meta", b"pitm", b"iinf", b"iprp", b"ispe", b"ipma"])
def test_image_without_a_box_that_it_needs_is_refused(
    kind: bytes, format: str, engine: Engine
) -> None:
    with pytest.raises(Corrupt):
        engine.header(sample(format).replace(kind, b"free"))


def test_exif_of_a_heic_is_found_behind_its_prefix(engine: Engine) -> None:
    exif = exif_item(9, make_exif(gps=True), before=b"filler")
    image = build("heic", [picture(1, "heic", (120, 80)), exif], [(b"cdsc", 9, (1,))])
    assert engine.header(image) == decoder_header(image) == Header("heic", 120, 80, 1, True)
