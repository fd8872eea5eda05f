"""What making thumbnails returns."""

from dataclasses import dataclass

from webapp.engine.header import Header
from webapp.recipes.outputs import Format


@dataclass(frozen=True)
class Thumbnail:
    """Describe one file that was made.

    `quality` is None where there was none to choose: in a lossless format, or in a copy.
    """

    file_name: str
    width: int
    height: int
    bytes: int
    format: Format
    quality: int | None


@dataclass(frozen=True)
class Result:
    """Tell what an image was and what was made of it.

    `thumbhash` is a drawing of it in 30 characters, `color` the one that stands out: `#rrggbb`.
    """

    header: Header
    thumbhash: str
    color: str
    thumbnails: list[Thumbnail]
