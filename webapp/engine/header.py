"""What an image's header says."""

from dataclasses import dataclass

from webapp.recipes.outputs import Size


@dataclass(frozen=True)
class Header:
    """Tell what an image's header says.

    `format` is in lower case; width and height are those of the picture as it is seen, after
    `orientation` (EXIF, 1 to 8).
    """

    format: str
    width: int
    height: int
    orientation: int
    had_gps: bool


def _header(format: str, size: Size, orientation: int = 1, had_gps: bool = False) -> Header:
    """Make the header of an image from its size as stored."""
    width, height = size[::-1] if orientation >= 5 else size
    return Header(format, width, height, orientation, had_gps)
