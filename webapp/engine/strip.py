"""Give an image file as it is, without what it tells beyond its picture.

Nothing is decoded: what makes up the picture is copied, and metadata, a colour profile and whatever
follows the picture are left out. The file must be one that a decoder has read to its end.
"""

from typing import IO

from webapp.engine.formats.gif import _read_gif
from webapp.engine.formats.jpeg import _read_jpeg
from webapp.engine.formats.png import _read_png
from webapp.engine.formats.webp import _read_webp


def read_bare(source: IO[bytes], format: str) -> bytes:
    """Give a JPEG, PNG, WebP or GIF bare: of the first two its first picture, of the others all."""
    source.seek(0)
    return _READERS[format](source)


_READERS = {"jpeg": _read_jpeg, "png": _read_png, "webp": _read_webp, "gif": _read_gif}
FORMATS = tuple(_READERS)
