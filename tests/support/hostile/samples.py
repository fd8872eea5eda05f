"""A plain small image of each supported format."""

from collections.abc import Callable
from functools import cache

from tests.support.images import make_animation, make_image, make_jpeg

_SAMPLES: dict[str, Callable[[], bytes]] = {
    "jpg": lambda: make_jpeg(orientation=6, gps=True, progressive_scans=10),
    "png": lambda: make_image("RGBA", format="png"),
    "webp": lambda: make_image(format="webp"),
    "gif": lambda: make_animation("gif"),
    "tiff": lambda: make_image(format="tiff"),
    "bmp": lambda: make_image(format="bmp"),
    "avif": lambda: make_image(format="avif"),
    "heic": lambda: make_image(format="heic"),
    "ico": lambda: make_image("RGBA", (64, 64), "ico"),
    "jp2": lambda: make_image(format="jp2"),
}


@cache
def sample(ending: str) -> bytes:
    """Return the image of a format, by the ending of its files."""
    return _SAMPLES[ending]()


ENDINGS = tuple(_SAMPLES)
