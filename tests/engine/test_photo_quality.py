"""Compare thumbnails of photos with those that are made from all pixels."""

import io
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from PIL import Image, ImageOps

from bench.photos import make_photo
from tests.support.engine import Engine, png
from tests.support.images import encode, make_jpeg, psnr
from webapp.engine import geometry
from webapp.recipes.outputs import Fit, Output

pytestmark = pytest.mark.slow

Size = tuple[int, int]


PHOTOS: Mapping[str, tuple[Size, str, Mapping[str, Any]]] = {
    "jpeg": ((1600, 1200), "jpeg", {"quality": 88}),
    "tall jpeg of odd sides": ((1001, 1499), "jpeg", {"quality": 88}),
    "progressive jpeg": ((1919, 1081), "jpeg", {"quality": 80, "progressive": True}),
    "jpeg with all its colours": ((1283, 851), "jpeg", {"quality": 92, "subsampling": 0}),
    "png": ((1100, 733), "png", {"compress_level": 1}),
    "webp": ((901, 1201), "webp", {"quality": 80, "method": 0}),
}
BOXES: Mapping[str, Output] = {
    "64": png(64, 64),
    "96 square": png(96, 96, "cover"),
    "128": png(128, 128),
    "200 × 150": png(200, 150, "cover"),
    "256": png(256, 256),
    "333 square": png(333, 333, "cover"),
    "512": png(512, 512),
}


@cache
def compare_photo(name: str, is_alone: bool) -> dict[str, float]:
    """Compare a photo's thumbnails with those of the slow way, in dB.

    `is_alone` makes them one by one; otherwise one recipe asks for all of them.
    """
    size, format, options = PHOTOS[name]
    image = encode(make_photo(size), format, **options)
    outputs = [replace(output, name=f"made{index}") for index, output in enumerate(BOXES.values())]
    with tempfile.TemporaryDirectory() as folder, Image.open(io.BytesIO(image)) as full:
        engine = Engine(Path(folder))
        recipes = [[output] for output in outputs] if is_alone else [outputs]
        made = [engine.load(one) for recipe in recipes for one in engine.make(image, *recipe)]
        # Pillow's `fit` crops; of a picture of the same shape, nothing.
        expected = [
            ImageOps.fit(full, picture.size, Image.Resampling.LANCZOS)
            if output.fit == "cover"
            else full.resize(picture.size, Image.Resampling.LANCZOS)
            for output, picture in zip(outputs, made, strict=True)
        ]
    return {box: psnr(*pair) for box, *pair in zip(BOXES, made, expected, strict=True)}


@pytest.mark.parametrize("is_alone", [True, False], ids=["alone", "together"])
@pytest.mark.parametrize("photo", PHOTOS)
def test_photo_is_as_good_as_from_all_pixels(photo: str, is_alone: bool) -> None:
    found = compare_photo(photo, is_alone)
    assert min(found.values()) >= 42, found


@pytest.mark.parametrize("is_alone", [True, False], ids=["alone", "together"])
def test_photos_are_on_average_as_good_as_from_all_pixels(is_alone: bool) -> None:
    found = [value for photo in PHOTOS for value in compare_photo(photo, is_alone).values()]
    assert mean(found) >= 50


SIZES = ((1920, 1280), (1280, 853), (640, 427), (320, 213), (100, 67))


def test_shared_decode_is_as_good_as_separate_ones(engine: Engine) -> None:
    photo = make_jpeg((2600, 1733), quality=95)
    outputs = [Output(f"{size[0]}", *size, format="png") for size in SIZES]
    together = [engine.load(made) for made in engine.make(photo, *outputs)]
    for output, picture in zip(outputs, together, strict=True):
        assert psnr(picture, engine.picture(photo, output)) >= 45


@pytest.mark.parametrize("fit", ["contain", "cover"])
@pytest.mark.parametrize("side", [75, 110, 150, 220])
@pytest.mark.parametrize("source", [(801, 601), (1185, 889)], ids=str)
def test_draft_is_as_good_as_a_full_decode(
    source: Size, side: int, fit: Fit, engine: Engine
) -> None:
    photo = make_jpeg(source, quality=92)
    made = engine.picture(photo, png(side, side, fit))
    with Image.open(engine.source) as full:
        region = geometry.plan(png(side, side, fit), source).region
        expected = full.resize(made.size, Image.Resampling.LANCZOS, region)
    # 42 is what photos need. This picture is kinder: it falls below 50 where the draft's exact size
    # is not heeded, or where too small a draft is taken.
    assert psnr(made, expected) >= 50
