"""Read files with several boxes of associations."""

import pytest

from tests.support.engine import Engine, png
from tests.support.isobmff import alpha, build, picture
from tests.support.isobmff_variants import variants
from webapp.engine.header import Header


@pytest.mark.parametrize("is_wide", [False, True])
@pytest.mark.parametrize("boxes", [2, 3])
def test_avif_of_several_association_boxes_is_read(
    boxes: int, is_wide: bool, engine: Engine
) -> None:
    plain = variants("avif")["transparent"]
    size = (120, 80)
    parts = [picture(3, "avif", (64, 64)), alpha(2, "avif", size), picture(1, "avif", size)]
    links = [(b"auxl", 2, (1,)), (b"thmb", 3, (1,))]
    image = build("avif", parts, links, ipma_boxes=boxes, is_wide=is_wide)
    assert engine.header(image) == Header("avif", 120, 80, 1, False)
    assert engine.result(image, png(60, 40)).header == engine.header(image)
    made = engine.picture(image, png(60, 40))
    assert made.mode == "RGBA"
    assert made.tobytes() == engine.picture(plain, png(60, 40)).tobytes()
