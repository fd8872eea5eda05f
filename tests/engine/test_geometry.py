import io
import tempfile
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from tests.support.engine import LIMITS, Engine, assert_corners, assert_near, png
from tests.support.images import (
    CORNERS,
    GREEN,
    RED,
    encode,
    make_corners,
    make_exif,
    make_jpeg,
    make_picture,
    make_png,
    make_png_chunk,
    psnr,
)
from webapp.engine import geometry
from webapp.engine.thumbnails import make_thumbnails
from webapp.recipes.outputs import (
    FITS,
    FORMATS,
    MAX_SIDE,
    Fit,
    Format,
    Output,
    Recipe,
    responsive_set,
)

Size = tuple[int, int]

# Orientation


@pytest.mark.parametrize("fit", ["contain", "cover", "pad"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int, fit: Fit, engine: Engine) -> None:
    photo = make_jpeg(image=make_corners((1200, 800)), orientation=orientation)
    header = engine.header(photo)
    assert (header.width, header.height, header.orientation) == (1200, 800, orientation)
    made = engine.picture(photo, png(90, 60, fit))
    assert made.size == (90, 60)
    assert_corners(made)


def test_orientation_behind_the_pixels_of_a_png_is_applied(engine: Engine) -> None:
    exif = make_png_chunk(b"eXIf", make_exif(6)[6:])
    plain = encode(make_corners((120, 80)).transpose(Image.Transpose.ROTATE_90), "png")
    made = engine.picture(plain[:-12] + exif + plain[-12:], png(60, 60))
    assert made.size == (60, 40)
    assert_corners(made)


def test_size_of_a_png_turned_by_late_exif_is_right(engine: Engine) -> None:
    exif = make_exif(orientation=6).removeprefix(b"Exif\0\0")
    plain = make_png(size=(120, 80))
    late = plain[:-12] + make_png_chunk(b"eXIf", exif) + plain[-12:]
    header = engine.result(late, png(60, 60)).header
    assert (header.width, header.height, header.orientation) == (80, 120, 6)


# Fit

FIT_CASES: dict[str, tuple[Size, Output, Size]] = {
    "contain, wide": ((400, 200), png(100, 100), (100, 50)),
    "contain, tall": ((200, 400), png(100, 100), (50, 100)),
    "contain, rounded": ((300, 199), png(100, 100), (100, 66)),
    "contain, width free": ((400, 200), png(None, 100), (200, 100)),
    "contain, height free": ((400, 200), png(100, None), (100, 50)),
    "contain, not enlarged": ((40, 20), png(100, 100), (40, 20)),
    "contain, enlarged": ((40, 20), png(100, 100, enlarge=True), (100, 50)),
    "contain, a line": ((1, 10_000), png(100, 100), (1, 100)),
    "contain, a lying line": ((10_000, 1), png(100, 100), (100, 1)),
    "contain, a line of free height": ((1, 10_000), png(1, None), (1, 4096)),
    "cover, wide": ((400, 200), png(100, 100, "cover"), (100, 100)),
    "cover, tall": ((200, 400), png(90, 60, "cover"), (90, 60)),
    "cover, lower than the box": ((400, 50), png(200, 100, "cover"), (100, 50)),
    "cover, narrower than the box": ((50, 400), png(100, 100, "cover"), (50, 50)),
    "cover, not enlarged": ((40, 20), png(100, 100, "cover"), (20, 20)),
    "cover, enlarged": ((40, 20), png(100, 100, "cover", enlarge=True), (100, 100)),
    "cover, a line": ((1, 10_000), png(100, 100, "cover"), (1, 1)),
    "pad, wide": ((400, 200), png(100, 100, "pad"), (100, 100)),
    "pad, small": ((40, 20), png(100, 100, "pad"), (100, 100)),
    "pad, enlarged": ((40, 20), png(100, 100, "pad", enlarge=True), (100, 100)),
    "pad, a line": ((1, 10_000), png(100, 100, "pad"), (100, 100)),
}


@pytest.mark.parametrize("as_jpeg", [True, False], ids=["jpeg", "png"])
@pytest.mark.parametrize(("source", "output", "expected"), FIT_CASES.values(), ids=FIT_CASES)
def test_fit_gives_the_size(
    source: Size, output: Output, expected: Size, as_jpeg: bool, engine: Engine
) -> None:
    image = make_jpeg(source) if as_jpeg else make_png("RGB", source)
    assert engine.picture(image, output).size == expected


def test_contain_is_never_off_by_more_than_rounding(engine: Engine) -> None:
    for source in ((1001, 667), (997, 13), (3, 1000), (1000, 999)):
        outputs = [Output(f"{side}", side, side, format="png") for side in range(16, 300, 15)]
        for output, made in zip(outputs, engine.make(make_jpeg(source), *outputs), strict=True):
            scale = min((output.width or 0) / source[0], (output.height or 0) / source[1], 1)
            assert made.width == max(1, round(source[0] * scale))
            assert made.height == max(1, round(source[1] * scale))


def test_cover_keeps_the_middle(engine: Engine) -> None:
    image = Image.new("RGB", (300, 100), RED)
    image.paste(GREEN, (100, 0, 200, 100))
    made = engine.picture(encode(image, "png"), png(50, 50, "cover"))
    assert_near(made.getpixel((0, 25)), GREEN, 30)
    assert_near(made.getpixel((25, 25)), GREEN)
    assert_near(made.getpixel((49, 25)), GREEN, 30)


def test_cover_of_a_turned_photo_keeps_the_middle(engine: Engine) -> None:
    image = Image.new("RGB", (3000, 1000), RED)
    image.paste(GREEN, (1000, 0, 2000, 1000))
    made = engine.picture(make_jpeg(image=image, orientation=6), png(50, 50, "cover"))
    for x in (2, 25, 47):
        assert_near(made.getpixel((x, 25)), GREEN, 5)


def test_cover_does_not_stretch(engine: Engine) -> None:
    picture = make_picture("RGB", (400, 300))
    made = engine.picture(encode(picture, "png"), png(120, 120, "cover"))
    expected = picture.resize((120, 120), Image.Resampling.LANCZOS, (50, 0, 350, 300))
    assert psnr(made, expected) > 45


def test_padded_picture_is_centred_on_the_background(engine: Engine) -> None:
    image = encode(Image.new("RGB", (40, 20), RED), "png")
    made = engine.picture(image, png(100, 100, "pad", background="#102030"))
    inside = made.point(lambda value: 255 * (value > 200)).getchannel("R").getbbox()
    assert inside == (30, 40, 70, 60)
    for corner in ((0, 0), (99, 0), (0, 99), (99, 99), (50, 39), (29, 50), (70, 50)):
        assert made.getpixel(corner) == (0x10, 0x20, 0x30)


# Focus


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("size", "focus", "corners"),
    [
        ((20, 80), (0.0, 0.5), (0, 2)),
        ((20, 80), (1.0, 0.5), (1, 3)),
        ((90, 20), (0.5, 0.0), (0, 1)),
        ((90, 20), (0.5, 1.0), (2, 3)),
    ],
    ids=["left", "right", "top", "bottom"],
)
def test_focal_point_is_kept_in_every_orientation(
    size: Size,
    focus: tuple[float, float],
    corners: tuple[int, int],
    orientation: int,
    engine: Engine,
) -> None:
    photo = make_jpeg(image=make_corners((360, 240)), orientation=orientation)
    made = engine.picture(photo, png(*size, "cover", focus=focus))
    assert made.size == size
    ends = ((size[0] // 2, 8), (size[0] // 2, size[1] - 9)) if size[0] < size[1] else None
    first, last = ends or ((8, size[1] // 2), (size[0] - 9, size[1] // 2))
    assert_near(made.getpixel(first), CORNERS[corners[0]], 12)
    assert_near(made.getpixel(last), CORNERS[corners[1]], 12)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_smart_crop_keeps_the_detail(orientation: int, engine: Engine) -> None:
    picture = Image.new("RGB", (900, 300), (120, 130, 140))
    picture.paste(make_corners((120, 120)).resize((120, 120)), (740, 90))
    photo = make_jpeg(image=picture, orientation=orientation)
    smart = engine.picture(photo, png(100, 100, "cover", focus="smart"))
    centred = engine.picture(photo, png(100, 100, "cover"))
    assert len(smart.getcolors(100_000) or ()) > 100 > len(centred.getcolors(100_000) or ())


def test_smart_crop_of_a_plain_picture_is_centred(engine: Engine) -> None:
    source = encode(Image.new("RGB", (300, 100), "navy"), "PNG")
    assert engine.picture(source, png(50, 50, "cover", focus="smart")).size == (50, 50)


# Properties

SIDES = st.integers(1, 100_000)

OUTPUTS = st.builds(
    Output,
    name=st.just("a"),
    width=st.integers(1, MAX_SIDE),
    height=st.integers(1, MAX_SIDE),
    fit=st.sampled_from(FITS),
    enlarge=st.booleans(),
    focus=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
SQUARE = png(100, 100)


@given(output=OUTPUTS, source=st.tuples(SIDES, SIDES))
def test_plan_stays_within_the_box_and_the_source(output: Output, source: Size) -> None:
    cut = geometry.plan(output, source)
    left, top, right, bottom = cut.region
    assert output.width
    assert output.height
    assert 1 <= cut.size[0] <= output.width
    assert 1 <= cut.size[1] <= output.height
    assert -1e-6 <= left < right <= source[0] + 1e-6
    assert -1e-6 <= top < bottom <= source[1] + 1e-6


@given(output=OUTPUTS, source=st.tuples(SIDES, SIDES))
@example(replace(SQUARE, fit="cover", enlarge=True), (1, 10_000))
def test_plan_of_cover_fills_its_box_or_keeps_its_shape(output: Output, source: Size) -> None:
    cover = replace(output, fit="cover")
    size, box = geometry.plan(cover, source).size, (output.width or 0, output.height or 0)
    fits = output.enlarge or (box[0] <= source[0] and box[1] <= source[1])
    shrink = 1 if fits else min(source[0] / box[0], source[1] / box[1])
    assert size == tuple(max(1, round(side * shrink)) for side in box)


@given(output=OUTPUTS, source=st.tuples(SIDES, SIDES))
@example(SQUARE, (1, 10_000))
@example(SQUARE, (10_000, 1))
def test_contain_is_as_large_as_its_box_allows(output: Output, source: Size) -> None:
    size = geometry.plan(replace(output, fit="contain"), source).size
    at_the_box = size[0] == output.width or size[1] == output.height
    assert at_the_box or (size == source and not output.enlarge)


@given(output=OUTPUTS, source=st.tuples(SIDES, SIDES))
def test_plan_never_enlarges_unless_asked(output: Output, source: Size) -> None:
    cut = geometry.plan(output, source)
    if not output.enlarge:
        # A side of less than a pixel becomes one.
        assert cut.size[0] <= max(1, source[0])
        assert cut.size[1] <= max(1, source[1])


@given(output=OUTPUTS, source=st.tuples(st.integers(50, 5000), st.integers(50, 5000)))
def test_plan_keeps_the_aspect_ratio_but_for_rounding(output: Output, source: Size) -> None:
    cut = geometry.plan(output, source)
    left, top, right, bottom = cut.region
    sides = list(zip(cut.size, (right - left, bottom - top), strict=True))
    # One scale must explain both sides, rounded; a side of less than a pixel becomes one.
    least = max((made - 0.5) / taken if made > 1 else 0 for made, taken in sides)
    most = min((made + 0.5) / taken for made, taken in sides)
    assert least <= most + 1e-9


@given(source=st.tuples(SIDES, SIDES), orientation=st.integers(1, 8), output=OUTPUTS)
def test_crop_fits_the_stored_picture(source: Size, orientation: int, output: Output) -> None:
    cut = geometry.plan(output, source).as_stored(source, orientation)
    stored = source if orientation < 5 else source[::-1]
    left, top, right, bottom = cut.region
    assert -1e-6 <= left < right <= stored[0] + 1e-6
    assert -1e-6 <= top < bottom <= stored[1] + 1e-6


@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    box=st.tuples(st.integers(1, 120), st.integers(1, 120)),
    fit=st.sampled_from(FITS),
    format=st.sampled_from(FORMATS),
    mode=st.sampled_from(["L", "RGB", "RGBA", "P"]),
    enlarge=st.booleans(),
)
def test_any_size_in_any_box_is_made_as_planned(
    size: Size, box: Size, fit: Fit, format: Format, mode: str, enlarge: bool
) -> None:
    output = Output("a", *box, fit, format, animated=format == "gif", enlarge=enlarge)
    files: dict[int, bytes] = {}
    with tempfile.TemporaryFile() as source:
        source.write(encode(make_picture(mode, size), "PNG"))
        source.seek(0)
        result = make_thumbnails(source, Recipe((output,)), files.__setitem__, LIMITS)
    (made,) = result.thumbnails
    with Image.open(io.BytesIO(files[0])) as image:
        assert image.size == (made.width, made.height)
        is_exact = fit == "pad" or (fit == "cover" and enlarge)
        assert image.size == box or not is_exact


def test_predicted_sizes_are_those_made(engine: Engine) -> None:
    outputs = (
        *responsive_set((320, 640, 1280, 1920), ("webp", "jpeg")),
        Output("square", 100, 100, "pad"),
        Output("card", 640, 360, "cover", "webp"),
        Output("big", 1200, 630, "cover"),
        Output("high", None, 200),
    )
    made = engine.make(make_jpeg(size=(700, 500)), *outputs)
    predicted = geometry.predict_sizes(outputs, "jpeg", (700, 500))
    assert [(output.file_name, *size) for output, size in predicted] == [
        (one.file_name, one.width, one.height) for one in made
    ]
