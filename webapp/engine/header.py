"""The header of an image: what is known before pixels are decoded."""

from dataclasses import dataclass, field

from webapp.recipes.outputs import Size

# The formats that a header can name, and those of them that every browser shows as `image/*`.
READ_FORMATS = frozenset(
    {"jpeg", "png", "webp", "gif", "tiff", "bmp", "avif", "heic", "ico", "jp2"}
)
SHOWN_BY_BROWSERS = frozenset({"jpeg", "png", "webp", "avif", "gif"})

# Milliseconds of one core to make a small thumbnail of a megapixel, as measured with a noisy photo
# on the machine of bench/README.md. A file may take half or twice as many.
_MS_PER_MEGAPIXEL = {
    "jpeg": 3,
    "png": 30,
    "webp": 30,
    "gif": 10,
    "tiff": 20,
    "bmp": 5,
    "avif": 25,
    "heic": 40,
    "ico": 30,
    "jp2": 150,
}
_MS_PER_SCAN = 1.5  # Of a megapixel of a JPEG, after the first scan.


@dataclass(frozen=True)
class Header:
    """Describe an image.

    `format` is in lower case; width and height are those after `orientation` (EXIF, 1 to 8) is
    applied. `scans` are those of a JPEG that the reader of headers counted; a decode child does not
    tell.
    """

    format: str
    width: int
    height: int
    orientation: int
    had_gps: bool
    scans: int = field(default=1, compare=False)

    @classmethod
    def from_stored_size(
        cls,
        format: str,
        size: Size,
        orientation: int = 1,
        had_gps: bool = False,
        scans: int = 1,
    ) -> "Header":
        """Create a header from the size of the pixels as stored."""
        width, height = size[::-1] if orientation >= 5 else size
        return cls(format, width, height, orientation, had_gps, scans)

    @property
    def work_seconds(self) -> float:
        """The seconds that one core takes for a small thumbnail, about.

        Frames of an animation are not counted: only some outputs decode more than the first.
        """
        ms = _MS_PER_MEGAPIXEL[self.format] + _MS_PER_SCAN * (self.scans - 1)
        return ms * self.width * self.height / 1e9
