"""Read the header of a WebP, and the alpha that its flag leaves out."""

import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from tests.support.engine import LIMITS, Engine, png
from tests.support.images import encode, make_exif, make_picture
from webapp.engine.errors import TooManyPixels, Truncated
from webapp.engine.identify import read_header
from webapp.recipes.outputs import Format, Output

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


ALPHA_FLAG = 0x10
CLEAR, BLUE = (0, 0, 0, 0), (0, 0, 255, 255)


def make_clear_frames() -> list[Image.Image]:
    """Make frames of which each is opaque where it differs from the one before."""
    frames = [Image.new("RGBA", (80, 60), CLEAR) for _ in range(2)]
    frames[0].paste(BLUE, (20, 20, 60, 60))
    frames[1].paste(BLUE, (40, 0, 80, 60))
    return frames


@pytest.mark.parametrize("format", ["webp", "gif"])
@pytest.mark.parametrize(
    ("source", "options"),
    [("webp", {"lossless": True}), ("png", {}), ("gif", {"disposal": 2})],
    ids=["webp", "png", "gif"],
)
def test_clear_part_of_an_animation_of_opaque_frames_stays_clear(
    source: str, options: dict[str, Any], format: Format, engine: Engine
) -> None:
    first, second = make_clear_frames()
    image = encode(first, source, save_all=True, append_images=[second], **options)
    (made,) = engine.make(image, Output("a", 80, 60, format=format, animated=True))
    with Image.open(engine.folder / made.file_name) as animation:
        for number, frame in enumerate((first, second)):
            animation.seek(number)
            alpha = animation.convert("RGBA").getchannel("A")
            assert alpha.tobytes() == frame.getchannel("A").tobytes()
    assert engine.picture(image, png(80, 60)).convert("RGBA").getpixel((2, 2)) == CLEAR


def test_opaque_animation_needs_no_flag_of_alpha(engine: Engine) -> None:
    frames = [Image.new("RGB", (80, 60), color) for color in ("red", "green")]
    image = encode(frames[0], "webp", save_all=True, append_images=frames[1:])
    (made,) = engine.make(image, Output("a", 80, 60, format="webp", animated=True))
    written = (engine.folder / made.file_name).read_bytes()
    assert written[12:16] == b"VP8X"
    assert not written[20] & ALPHA_FLAG
