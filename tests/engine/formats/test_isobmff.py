"""Compare the headers that are read from boxes with those of the decoders."""

import io
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.support.engine import LIMITS, Engine, assert_corners, assert_near, png
from tests.support.hostile.samples import sample
from tests.support.images import (
    BLUE,
    GREEN,
    RED,
    YELLOW,
    encode,
    make_animation,
    make_corners,
    make_exif,
    make_image,
    make_picture,
)
from tests.support.isobmff import (
    ALPHA,
    Item,
    box,
    build,
    coded,
    exif_item,
    full_box,
    grid,
    imir,
    inside,
    irot,
    ispe,
    picture,
    tiled,
    variants,
)
from tests.support.read_headers import decoder_header
from webapp.engine.errors import Corrupt, ImageError, TooManyPixels, Truncated, Unsupported
from webapp.engine.formats.isobmff.main_image import read_main_image
from webapp.engine.header import Header
from webapp.engine.identify import read_header

FORMATS = ("avif", "heic")


VARIANTS = [(format, name) for format in FORMATS for name in variants(format)]


@pytest.mark.parametrize(("format", "name"), VARIANTS)
def test_header_of_every_variant_is_the_decoders(format: str, name: str, engine: Engine) -> None:
    image = variants(format)[name]
    assert engine.header(image) == decoder_header(image)


@pytest.mark.parametrize(("format", "name"), VARIANTS)
def test_transparency_of_every_variant_is_the_decoders(format: str, name: str) -> None:
    image = io.BytesIO(variants(format)[name])
    with Image.open(image) as opened:
        assert read_main_image(image).has_alpha is (opened.mode[-1] == "A")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["cropped and turned", "turned 1, mirrored 0", "turned tiles"])
def test_header_is_that_of_the_result(format: str, name: str, engine: Engine) -> None:
    image = variants(format)[name]
    assert engine.header(image) == engine.result(image, png(60, 60)).header


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_header_and_transparency_are_the_decoders_in_every_mode(
    mode: str, format: str, engine: Engine
) -> None:
    image = make_image(mode, format=format)
    assert engine.header(image) == decoder_header(image)
    with Image.open(io.BytesIO(image)) as opened:
        assert read_main_image(io.BytesIO(image)).has_alpha is (opened.mode[-1] == "A")


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


def test_exif_of_a_heic_is_found_behind_its_prefix(engine: Engine) -> None:
    exif = exif_item(9, make_exif(gps=True), before=b"filler")
    image = build("heic", [picture(1, "heic", (120, 80)), exif], [(b"cdsc", 9, (1,))])
    assert engine.header(image) == decoder_header(image) == Header("heic", 120, 80, 1, True)


@pytest.mark.parametrize("brand", [b"mif1", b"msf1"])
def test_large_heic_of_a_general_brand_is_accepted(brand: bytes, engine: Engine) -> None:
    image = sample("heic").replace(b"ftypheic", b"ftyp" + brand) + box(b"free", bytes(3_000_000))
    assert engine.header(image) == Header("heic", 120, 80, 1, False)
    assert engine.result(image, png(60, 60)).header == engine.header(image)


@pytest.mark.parametrize("is_wide", [False, True])
@pytest.mark.parametrize("boxes", [2, 3])
def test_avif_of_several_property_boxes_is_read(boxes: int, is_wide: bool, engine: Engine) -> None:
    plain = variants("avif")["transparent"]
    alpha = Item(2, b"av01", *_mask((120, 80)))
    parts = [picture(3, "avif", (64, 64)), alpha, picture(1, "avif", (120, 80))]
    links = [(b"auxl", 2, (1,)), (b"thmb", 3, (1,))]
    image = build("avif", parts, links, ipma_boxes=boxes, is_wide=is_wide)
    assert engine.header(image) == Header("avif", 120, 80, 1, False)
    assert engine.result(image, png(60, 40)).header == engine.header(image)
    made = engine.picture(image, png(60, 40))
    assert made.mode == "RGBA"
    assert made.tobytes() == engine.picture(plain, png(60, 40)).tobytes()


def _mask(size: tuple[int, int]) -> tuple[bytes, tuple[bytes, ...]]:
    config, data = coded("avif", size, "L")
    return data, (ispe(*size), config, full_box(b"auxC", 0, ALPHA, b"\0"))


def make_cropped_avif(*properties: bytes) -> bytes:
    """Make an AVIF of the four corners with a crop, given as whole boxes."""
    image = encode(make_corners(), "avif", quality=100, subsampling="4:4:4")
    config = box(b"av1C", inside(image, b"av1C"))
    data = image[image.index(b"mdat") + 4 :]
    return build("avif", [Item(1, b"av01", data, (ispe(120, 80), config, *properties))])


def aperture(*numbers: int) -> bytes:
    """Make a clean aperture: width, height, then its centre from the middle."""
    return box(b"clap", struct.pack(">8i", *(part for number in numbers for part in (number, 1))))


# The picture is 120 x 80, with a colour in each quarter.
@pytest.mark.parametrize(
    ("properties", "size", "points"),
    [
        ((aperture(60, 40, -30, -20),), (60, 40), {(5, 5): RED, (55, 35): RED}),
        ((aperture(60, 40, 30, 20),), (60, 40), {(5, 5): YELLOW, (55, 35): YELLOW}),
        ((aperture(80, 80, -20, 0),), (80, 80), {(55, 5): RED, (65, 5): GREEN, (5, 75): BLUE}),
        ((aperture(60, 40, 30, -20), irot(1)), (40, 60), {(5, 5): GREEN, (35, 55): GREEN}),
        ((aperture(80, 80, -20, 0), imir(1)), (80, 80), {(5, 5): GREEN, (75, 75): BLUE}),
    ],
)
def test_avif_is_cropped_as_its_clap_says(
    properties: tuple[bytes, ...],
    size: tuple[int, int],
    points: dict[tuple[int, int], tuple[int, ...]],
    engine: Engine,
) -> None:
    image = make_cropped_avif(*properties)
    header = engine.header(image)
    assert (header.width, header.height) == size
    assert engine.result(image, png(*size)).header == header
    made = engine.picture(image, png(*size))
    for point, color in points.items():
        assert_near(made.getpixel(point), color, 12)


@pytest.mark.parametrize(
    "crop",
    [
        aperture(60, 40, 31, 0),
        aperture(121, 40, 0, 0),
        aperture(0, 0, 0, 0),
        aperture(-60, 40, 0, 0),
        box(b"clap", struct.pack(">8i", 60, 1, 40, 1, 0, 0, 0, 0)),
        box(b"clap", bytes(3)),
    ],
    ids=["beside", "too wide", "empty", "negative", "without parts", "short"],
)
def test_crop_that_is_not_in_the_picture_is_ignored(crop: bytes, engine: Engine) -> None:
    image = make_cropped_avif(crop)
    with suppress(Corrupt):  # libavif refuses a box that is too short.
        assert engine.result(image, png(60, 40)).header == Header("avif", 120, 80, 1, False)
        assert_corners(engine.picture(image, png(60, 40)))
    assert engine.header(image) == Header("avif", 120, 80, 1, False)


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
    [(b"unci", "is uncompressed"), (b"j2k1", "not coded as HEIC"), (b"av01", "not coded as HEIC")],
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


@pytest.mark.parametrize("brand", [b"mif2", b"mif3", b"avci", b"j2ki", b"jpeg", b"vvic"])
def test_heif_of_another_brand_is_not_called_a_video(brand: bytes, engine: Engine) -> None:
    with pytest.raises(Unsupported, match="HEIF"):
        engine.header(sample("heic").replace(b"ftypheic", b"ftyp" + brand))


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


@pytest.mark.parametrize("format", FORMATS)
def test_boxes_without_end_are_refused(format: str, engine: Engine) -> None:
    image, meta = sample(format), inside(sample(format), b"meta")
    for more in (box(b"free") * 20_000, full_box(b"iinf", 0, b"\0\0", box(b"infe") * 20_000)):
        with pytest.raises(Corrupt):
            engine.header(image.replace(box(b"meta", meta), box(b"meta", meta, more)))
    with pytest.raises(Corrupt):
        engine.header(image[:24] + box(b"free") * 20_000 + image[24:])


class _CountingFile(io.BytesIO):
    """Count what is read of a file."""

    reads = bytes_read = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.reads, self.bytes_read = self.reads + 1, self.bytes_read + len(data)
        return data


SOUND = {
    (format, name): variants(format)[name]
    for format in FORMATS
    for name in ("upright", "turned tiles", "transparent", "turned by exif and xmp", "wide numbers")
} | {("avif", "sequence"): make_animation("avif")}
edits = st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=8)), max_size=4)


@given(key=st.sampled_from(sorted(SOUND)), changes=edits, cut=st.integers(0, 1 << 12))
def test_broken_boxes_are_read_in_bounds(
    tmp_path_factory: pytest.TempPathFactory,
    key: tuple[str, str],
    changes: list[tuple[int, bytes]],
    cut: int,
) -> None:
    image = bytearray(SOUND[key])
    for place, written in changes:  # Most of the file is before its pixels, or is made so.
        at = place % min(len(image), 1500)
        image[at : at + len(written)] = written
    broken = bytes(image[: len(image) - cut] if cut < len(image) else image)
    check_bounds(broken)
    path = tmp_path_factory.getbasetemp() / "broken"
    path.write_bytes(broken)
    with suppress(ImageError):
        read_header(path, LIMITS)


@pytest.mark.parametrize("key", sorted(SOUND))
@pytest.mark.parametrize("length", [0, 1, 7, 0x7FFFFFFF, 0xFFFFFFFF])
def test_wrong_length_of_a_box_is_read_in_bounds(
    key: tuple[str, str], length: int, tmp_path: Path
) -> None:
    image, path = SOUND[key], tmp_path / "lie"
    for kind in (b"ftyp", b"meta", b"iloc", b"iinf", b"infe", b"iref", b"iprp", b"ipco", b"ipma"):
        at = image.find(kind) - 4
        if at < 0:
            continue
        lie = image[:at] + length.to_bytes(4, "big") + image[at + 4 :]
        check_bounds(lie)
        path.write_bytes(lie)
        with suppress(ImageError):
            read_header(path, LIMITS)


def check_bounds(image: bytes) -> None:
    """Read the boxes, and check how much of the file was read for that."""
    file = _CountingFile(image)
    with suppress(Exception):  # `read_header` turns it into an ImageError.
        read_main_image(file)
    assert file.reads < 2_500
    assert file.bytes_read < 3 * len(image) + 40_000


def test_heic_that_names_avif_among_its_brands_is_a_heic() -> None:
    heic = sample("heic")
    start = heic.index(b"mif1", 12)
    patched = heic[:start] + b"avif" + heic[start + 4 :]
    assert patched[8:12] == b"heic"
    assert read_main_image(io.BytesIO(patched)).format == "heic"
