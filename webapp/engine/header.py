"""The header of an image: what is known before pixels are decoded."""

from dataclasses import dataclass

from webapp.recipes.outputs import Size

# The formats that a header can name, and those of them that every browser shows as `image/*`.
READ_FORMATS = frozenset(
    {"jpeg", "png", "webp", "gif", "tiff", "bmp", "avif", "heic", "ico", "jp2"}
)
SHOWN_BY_BROWSERS = frozenset({"jpeg", "png", "webp", "avif", "gif"})


@dataclass(frozen=True)
class Header:
    """Describe an image.

    `format` is in lower case; width and height are those after `orientation` (EXIF, 1 to 8) is
    applied.
    """

    format: str
    width: int
    height: int
    orientation: int
    had_gps: bool

    @classmethod
    def from_stored_size(
        cls, format: str, size: Size, orientation: int = 1, had_gps: bool = False
    ) -> "Header":
        """Create a header from the size of the pixels as stored."""
        width, height = size[::-1] if orientation >= 5 else size
        return cls(format, width, height, orientation, had_gps)
