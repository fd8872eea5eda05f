"""Read broken and endless boxes in bounds."""

import io
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.engine import LIMITS, Engine
from tests.support.files import CountingFile
from tests.support.hostile.samples import sample
from tests.support.images import make_animation
from tests.support.isobmff import alpha, box, build, full_box, inside, picture
from tests.support.isobmff_variants import variants
from webapp.engine.errors import Corrupt, ImageError
from webapp.engine.formats.isobmff.associations import join_associations
from webapp.engine.formats.isobmff.main_image import read_main_image
from webapp.engine.identify import read_header

FORMATS = ("avif", "heic")


@pytest.mark.parametrize("format", FORMATS)
def test_boxes_without_end_are_refused(format: str, engine: Engine) -> None:
    image, meta = sample(format), inside(sample(format), b"meta")
    for more in (box(b"free") * 20_000, full_box(b"iinf", 0, b"\0\0", box(b"infe") * 20_000)):
        with pytest.raises(Corrupt):
            engine.header(image.replace(box(b"meta", meta), box(b"meta", meta, more)))
    with pytest.raises(Corrupt):
        engine.header(image[:24] + box(b"free") * 20_000 + image[24:])


SOUND = {
    (format, name): variants(format)[name]
    for format in FORMATS
    for name in ("upright", "turned tiles", "transparent", "turned by exif and xmp", "wide numbers")
}
SOUND["avif", "sequence"] = make_animation("avif")
SOUND["avif", "two association boxes"] = build(
    "avif", [picture(1, "avif", (64, 64)), alpha(2, "avif", (64, 64))], ipma_boxes=2
)
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
    """Read the boxes, join some, and check how much of the file was read."""
    file = CountingFile(image)
    with suppress(Exception):  # `read_header` turns it into an ImageError.
        read_main_image(file)
    joined = join_associations(io.BytesIO(image))
    assert joined is None or len(joined) == len(image)
    assert file.reads < 2_500
    assert file.bytes_read < 3 * len(image) + 40_000
