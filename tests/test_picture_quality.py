import pytest
from PIL import Image

from tests.engine import Engine, png
from tests.images import make_jpeg, psnr
from webapp import thumbnails
from webapp.recipes import Fit, Output

Size = tuple[int, int]

SIZES = ((1920, 1280), (1280, 853), (640, 427), (320, 213), (100, 67))


def test_one_decode_for_all_is_as_good_as_one_for_each(engine: Engine) -> None:
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
        region = thumbnails._plan(png(side, side, fit), source).region
        expected = full.resize(made.size, Image.Resampling.LANCZOS, region)
    # 42 is what photos need. This picture is kinder: it falls below 50 where the draft's exact size
    # is not heeded, or where too small a draft is taken.
    assert psnr(made, expected) >= 50
