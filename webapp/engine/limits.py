"""Limits on what an image and its thumbnails may cost."""

from collections.abc import Iterator
from dataclasses import dataclass

from webapp.config import Config
from webapp.engine.errors import Corrupt, TooManyPixels
from webapp.recipes.outputs import Size

_PIECE_PIXELS = 1 << 20


@dataclass(frozen=True)
class ImageLimits:
    """Limit a source and its thumbnails; megapixels are 10⁶ pixels."""

    max_megapixels: float  # JPEG and PNG, whose decoders need little memory.
    max_megapixels_other: float
    max_jpeg_scans: int
    max_frames: int  # Of an animation, if an output is animated.
    max_output_megapixels: float  # Of all thumbnails of a source together.

    @classmethod
    def from_config(cls, config: Config) -> "ImageLimits":
        """Read the limits from the settings."""
        return cls(
            max_megapixels=config.max_megapixels,
            max_megapixels_other=config.max_megapixels_other,
            max_jpeg_scans=config.max_jpeg_scans,
            max_frames=config.max_frames,
            max_output_megapixels=config.max_output_megapixels,
        )


def check_size(size: Size, format: str, limits: ImageLimits) -> None:
    """Raise ImageError if an image has no pixels or too many."""
    is_frugal = format in ("JPEG", "PNG")
    limit = limits.max_megapixels if is_frugal else limits.max_megapixels_other
    if size[0] * size[1] > limit * 1e6:
        raise TooManyPixels(size, limit)
    if not size[0] * size[1]:
        raise Corrupt


def divide(size: Size) -> Iterator[tuple[int, int, int, int]]:
    """Divide a picture into pieces of whole lines, which need little memory."""
    width, height = size
    lines = max(_PIECE_PIXELS // width, 1)
    for top in range(0, height, lines):
        yield 0, top, width, min(top + lines, height)
