"""Compare pictures of images with those of other programs."""

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.images import encode, make_corners, make_jpeg, make_picture, make_truncated

pytestmark = pytest.mark.slow

pytest.importorskip("pyvips")

from bench import compare_images, peers  # noqa: E402
from bench.comparison import pictures, report  # noqa: E402
from bench.comparison.compared import AGREES, DIFFERS, REFUSED, REFUSED_BY_ALL, Compared  # noqa: E402
from bench.peers.pictures import Library  # noqa: E402

FILES = {
    "turned.jpg": (make_jpeg((400, 300), orientation=6), AGREES, ""),
    "fading.png": (encode(make_picture("RGBA"), "png"), AGREES, ""),
    "cut.jpg": (make_truncated(), REFUSED, "truncated"),
    "text.png": (b"Not an image.", REFUSED_BY_ALL, "unsupported_format"),
}


@pytest.fixture
def comparer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[compare_images.Comparer]:
    """A comparer that asks libvips alone."""
    (tmp_path / "artifacts/pictures").mkdir(parents=True)
    monkeypatch.setattr(compare_images, "ARTIFACTS", tmp_path / "artifacts")
    vips = peers.Peer("pyvips", "libvips", sys.executable)
    with closing(Library("libvips", vips, 0)) as library:
        monkeypatch.setattr(compare_images, "start_peers", lambda *_: ([library], []))
        yield compare_images.Comparer(0)


def test_images_are_sorted_by_how_peers_see_them(
    comparer: compare_images.Comparer, tmp_path: Path
) -> None:
    for name, (content, _, _) in FILES.items():
        (tmp_path / name).write_bytes(content)
    images = list(compare_images.find_images(tmp_path))
    all_compared = [comparer.compare(n, tmp_path, path) for n, path in enumerate(images)]
    found = {each.file: (each.status, each.code) for each in all_compared}
    assert found == {name: (status, code) for name, (_, status, code) in FILES.items()}
    counts = report.count(all_compared)
    assert counts["refused"] == {"truncated": 1}
    page = report.format_page(all_compared, report.format_table(counts))
    assert "cut.jpg" in page
    assert "turned.jpg" not in page


def test_names_of_files_are_text_on_the_page() -> None:
    row = report.format_row(Compared("<script>.png", "png", DIFFERS))
    assert "<script>" not in row


def difference(tmp_path: Path, one: Image.Image, other: Image.Image) -> float:
    loaded: list[Any] = []
    for number, picture in enumerate((one, other)):
        picture.save(tmp_path / f"{number}.png")
        loaded.append(pictures.load(tmp_path / f"{number}.png"))
    return pictures.difference_of(*loaded)


def test_difference_of_pictures(tmp_path: Path) -> None:
    plain = make_corners()
    assert difference(tmp_path, plain, plain) == 0
    assert difference(tmp_path, plain, plain.resize((119, 80))) < 3
    assert difference(tmp_path, plain, plain.resize((100, 80))) == 100
    # By CIEDE2000, the red and the green of sRGB are 86.6 apart.
    ends = (Image.new("RGB", (9, 9), color) for color in ("#ff0000", "#00ff00"))
    assert difference(tmp_path, *ends) == pytest.approx(86.6, abs=0.3)


def test_lost_transparency_is_a_difference(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (9, 9), (255, 255, 255, 0))
    assert difference(tmp_path, clear, Image.new("RGB", (9, 9), "white")) > 90
