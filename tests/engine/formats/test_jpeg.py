"""Read the header of a JPEG, and count its scans."""

import io
import random
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.support import hostile
from tests.support.engine import LIMITS, Engine, assert_corners, png
from tests.support.images import encode, make_corners, make_jpeg, make_picture, make_too_many_scans
from webapp.engine import opening
from webapp.engine.errors import Corrupt, TooManyScans, Truncated
from webapp.engine.formats import jpeg
from webapp.engine.identify import read_header


def test_photo_followed_by_another_counts_as_jpeg(engine: Engine) -> None:
    photo = encode(make_corners(), "mpo", save_all=True, append_images=[make_picture()])
    assert engine.header(photo).format == "jpeg"
    assert_corners(engine.picture(photo, png(60, 40)))


@pytest.mark.parametrize(
    "segment",
    [
        hostile.jpeg.segment(0xE0, b"JFIF\0"),
        hostile.jpeg.segment(0xE2, b"ICC_PROFILE\0\1"),
        hostile.jpeg.segment(0xED, b"Photoshop 3.0\0" + b"8BIM\3\xed"),
        hostile.jpeg.segment(0xEE, b"Adobe\0"),
    ],
    ids=["JFIF", "profile", "Photoshop", "Adobe"],
)
def test_photo_with_a_short_application_segment_is_made(segment: bytes, engine: Engine) -> None:
    photo = hostile.jpeg.after_soi(encode(make_corners(), "jpeg", quality=95), segment)
    assert_corners(engine.picture(photo, png(60, 40)))


def test_bytes_that_look_like_scans_do_not_count(engine: Engine) -> None:
    scans = b"\xff\xda\0\x08" * 100
    commented = make_jpeg(comment=scans, progressive=True)
    assert engine.header(commented).format == "jpeg"
    assert engine.header(make_jpeg(progressive=True) + scans).format == "jpeg"
    assert engine.header(make_jpeg() + scans).format == "jpeg"


def test_scans_are_counted_across_chunks(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg, "_CHUNK", 1)
    assert engine.header(make_jpeg((60, 40), progressive_scans=50)).format == "jpeg"
    with pytest.raises(TooManyScans):
        engine.header(make_jpeg((60, 40), progressive_scans=51))


def test_scans_far_back_are_counted_where_they_are_decoded(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jpeg, "_CHUNK", 100)
    monkeypatch.setattr(jpeg, "_MAX_WALK", 2_000)
    image = make_too_many_scans(60)
    assert engine.header(image).format == "jpeg"
    with pytest.raises(TooManyScans):
        engine.make(image, png(60, 60))


def test_picture_far_behind_junk_is_not_searched_for(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jpeg, "_CHUNK", 100)
    monkeypatch.setattr(jpeg, "_MAX_WALK", 2_000)
    comment = hostile.jpeg.segment(0xFE, b"")
    near, far = (hostile.jpeg.after_soi(make_jpeg(), comment + bytes(n)) for n in (1_000, 3_000))
    assert engine.header(near).format == "jpeg"
    with pytest.raises(Truncated):
        engine.header(far)


def test_photo_of_one_scan_is_not_read_to_its_end() -> None:
    photo = io.BytesIO(make_jpeg((1600, 1200)))
    opening.open_image(photo, LIMITS)
    assert photo.tell() < 2000


def test_endless_segments_are_refused_fast(engine: Engine) -> None:
    with pytest.raises(Corrupt):
        engine.header(b"\xff\xd8" + b"\xff\xfe\0\x02" * 1_000_000)


def test_bytes_of_a_scan_do_not_count_for_earlier_scans(tmp_path: Path) -> None:
    # Half of such a scan is 0xFF, and many lie in what is read at a time.
    source = tmp_path / "scans.jpg"
    source.write_bytes(make_jpeg(image=Image.new("RGB", (6000, 4000)), progressive_scans=490))
    assert read_header(source, replace(LIMITS, max_jpeg_scans=500)).format == "jpeg"


WITHOUT_END = {
    "baseline": make_jpeg(quality=90),
    "progressive": make_jpeg(progressive=True),
    "grey": make_jpeg(image=make_picture("L")),
    "ink": make_jpeg(image=make_picture("CMYK")),
    "restart markers": make_jpeg(restart_marker_blocks=7),
    "larger than its thumbnail": make_jpeg((1200, 800)),
    # Some encoders leave out what a baseline JPEG always has: coefficients 0 to 63.
    "without a spectrum": make_jpeg().replace(b"\x03\x11\0\x3f\0", b"\x03\x11\0\0\0"),
}
assert WITHOUT_END["without a spectrum"] != make_jpeg()


@pytest.mark.parametrize("image", WITHOUT_END.values(), ids=WITHOUT_END)
def test_jpeg_that_lacks_only_its_end_marker_is_made(image: bytes, engine: Engine) -> None:
    assert image.endswith(jpeg.END)
    expected = engine.picture(image, png(60, 40))
    for end in (-2, -1):
        made = engine.picture(image[:end], png(60, 40))
        assert (made.mode, made.tobytes()) == (expected.mode, expected.tobytes())


def cut(image: bytes, *marks: bytes) -> list[bytes]:
    """Cut a JPEG at several places, and before the last of each of these."""
    shares = [int(len(image) * share) for share in (0.6, 0.8, 0.9, 0.97)]
    ends = [*shares, len(image) - 40, *(image.rindex(mark) for mark in marks)]
    return [image[:end] for end in ends]


@pytest.mark.parametrize(
    "images",
    [
        cut(make_jpeg((240, 160), quality=90)),
        cut(make_jpeg((240, 160), progressive=True), b"\xff\xda", b"\xff\xc4"),
        cut(
            make_jpeg((240, 160), restart_marker_rows=1),
            *(b"\xff%c" % n for n in range(0xD0, 0xD8)),
        ),
    ],
    ids=["baseline", "progressive", "restart markers"],
)
def test_jpeg_that_lacks_pixels_is_incomplete(images: list[bytes], engine: Engine) -> None:
    for image in images:
        with pytest.raises(Truncated):
            engine.make(image, png(240, 160))


NOISE = Image.frombytes("RGB", (80, 60), random.Random(1).randbytes(3 * 80 * 60))


@pytest.mark.parametrize(
    "image",
    [
        *(make_jpeg(image=NOISE, quality=85, subsampling=sampling) for sampling in range(3)),
        make_jpeg(image=NOISE, quality=85, optimize=True),
        make_jpeg(image=NOISE.convert("L"), quality=85),
        make_jpeg(image=NOISE.convert("CMYK"), quality=85),
    ],
    ids=["4:4:4", "4:2:2", "4:2:0", "optimized", "grey", "ink"],
)
def test_jpeg_that_lacks_parts_of_its_last_blocks_is_incomplete(image: bytes) -> None:
    for missing in range(4, 60):
        with pytest.raises(Truncated):
            jpeg.load_without_end(io.BytesIO(image[:-missing]), NOISE.size)
