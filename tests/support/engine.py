"""Run the engine on images of a test, and look at what comes out."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from PIL import Image

from tests.support.images import CORNERS
from webapp.config import Config
from webapp.engine.header import Header
from webapp.engine.identify import read_header
from webapp.engine.limits import ImageLimits
from webapp.engine.result import MadeThumbnail, Result
from webapp.engine.thumbnails import make_thumbnails
from webapp.recipes.outputs import Fit, Output, Recipe

LIMITS = ImageLimits.from_config(Config())


class Engine:
    """Make thumbnails of bytes in a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.folder = folder / "made"
        self.folder.mkdir()

    def make(self, image: bytes, *outputs: Output) -> list[MadeThumbnail]:
        return self.result(image, *outputs).thumbnails

    def result(
        self,
        image: bytes,
        *outputs: Output,
        limits: ImageLimits = LIMITS,
        kept: Collection[int] = (),
    ) -> Result:
        self.source.write_bytes(image)
        contents: list[bytes] = []
        with self.source.open("rb") as file:
            result = make_thumbnails(
                file,
                Recipe(outputs),
                lambda _, content: contents.append(content),
                limits,
                kept,
            )
        for made, content in zip(result.thumbnails, contents, strict=True):
            (self.folder / made.file_name).write_bytes(content)
        return result

    def picture(self, image: bytes, output: Output) -> Image.Image:
        """Make one thumbnail and load it."""
        (made,) = self.make(image, output)
        return self.load(made)

    def load(self, made: MadeThumbnail) -> Image.Image:
        """Load a thumbnail, and check its size, format and bytes."""
        path = self.folder / made.file_name
        with Image.open(path) as picture:
            picture.load()
        assert (picture.size, picture.format) == ((made.width, made.height), made.format.upper())
        assert path.stat().st_size == made.bytes
        return picture

    def header(self, image: bytes, limits: ImageLimits = LIMITS) -> Header:
        self.source.write_bytes(image)
        return read_header(self.source, limits)


def png(width: int | None, height: int | None, fit: Fit = "contain", **options: Any) -> Output:
    """Return a lossless output, whose pixels can be compared."""
    return Output("made", width, height, fit, "png", **options)


def assert_near(color: object, expected: tuple[int, ...], tolerance: int = 3) -> None:
    assert isinstance(color, tuple)
    assert len(color) == len(expected)
    assert all(abs(a - b) <= tolerance for a, b in zip(color, expected, strict=True)), color


def assert_corners(picture: Image.Image, tolerance: int = 12) -> None:
    """Assert that the four corners have their colours."""
    width, height = picture.size
    points = [(2, 2), (width - 3, 2), (2, height - 3), (width - 3, height - 3)]
    for point, color in zip(points, CORNERS, strict=True):
        assert_near(picture.convert("RGB").getpixel(point), color, tolerance)
