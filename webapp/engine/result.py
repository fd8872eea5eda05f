"""The result of making thumbnails."""

from dataclasses import dataclass

from webapp.engine.header import Header
from webapp.recipes.outputs import Format, Point

# Grows when an output comes out better than before. Thumbnails of other versions are not kept when
# their job is changed.
ENGINE_VERSION = 1


@dataclass(frozen=True)
class MadeThumbnail:
    """Describe one file that was made.

    `number` is that of its output in the recipe, from 0. `quality` is None if there was none to
    choose: in a lossless format, or in a copy.
    """

    number: int
    file_name: str
    width: int
    height: int
    bytes: int
    format: Format
    quality: int | None


@dataclass(frozen=True)
class Result:
    """Describe an image and the thumbnails made of it.

    `thumbhash` is a blurred preview in about 30 characters, `color` the dominant colour: `#rrggbb`.
    `found_point` is where the detail is, if an output asks for it.
    """

    header: Header
    thumbhash: str
    color: str
    thumbnails: list[MadeThumbnail]
    found_point: Point | None = None
