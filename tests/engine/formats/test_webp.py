"""Read the header of a WebP."""

import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from tests.support.engine import LIMITS
from tests.support.images import encode, make_exif, make_picture
from webapp.engine.errors import TooManyPixels, Truncated
from webapp.engine.identify import read_header

WEBP_KINDS: dict[str, dict[str, Any]] = {
    "lossy": {},
    "lossless": {"lossless": True},
    "extended": {"exif": make_exif(orientation=6, gps=True)},
}


@pytest.mark.parametrize("options", WEBP_KINDS.values(), ids=WEBP_KINDS.keys())
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp_header_agrees_with_pillow(mode: str, options: dict[str, Any], tmp_path: Path) -> None:
    source = tmp_path / "a.webp"
    source.write_bytes(encode(make_picture(mode, (121, 83)), "WEBP", **options))
    header = read_header(source, LIMITS)
    with Image.open(source) as image:
        exif = image.getexif()
        size = image.size[::-1] if exif else image.size
        assert (header.width, header.height) == size
        assert header.orientation == exif.get(ExifTags.Base.Orientation, 1)
        assert header.had_gps == bool(exif.get_ifd(ExifTags.IFD.GPSInfo))


def test_huge_webp_is_refused_before_it_costs_memory(tmp_path: Path) -> None:
    source = tmp_path / "bomb.webp"
    bits = (15_999 | 15_999 << 14).to_bytes(4, "little")
    source.write_bytes(b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f" + bits + bytes(9))
    tracemalloc.start()
    with pytest.raises(TooManyPixels, match="256 megapixels"):
        read_header(source, LIMITS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("end", [12, 16, 20, 25, 29])
def test_webp_that_ends_in_its_header_is_refused(end: int, tmp_path: Path) -> None:
    source = tmp_path / "cut.webp"
    source.write_bytes(encode(make_picture(), "WEBP")[:end])
    with pytest.raises(Truncated):
        read_header(source, LIMITS)
