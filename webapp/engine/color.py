"""Find the dominant colour of a picture."""

import math
from typing import cast

from PIL import Image

_COUNTED_SIZE = (64, 64)
_CANDIDATES = 8  # Shades around which others are grouped; rarer ones cannot be dominant.
_ALIKE = 48  # Of 255: how far apart two shades of one colour may be.


def dominant_color(image: Image.Image) -> str:
    """Return the colour that covers most of a picture, as `#rrggbb`.

    Pillow's octree sorts a small copy into 32 colours. The one with the most pixels like it, at
    most 48 of 255 away in RGB, wins, and their average is returned: so a sky counts as one colour
    although it is a gradient. Pixels less than half as opaque as the most opaque one do not count.
    A fully transparent picture is black.
    """
    counted = _count_colors(_visible(to_rgb(image).resize(_COUNTED_SIZE, Image.Resampling.BOX)))
    clusters = [
        [(count, other) for count, other in counted if math.dist(color, other) <= _ALIKE]
        for _, color in sorted(counted)[-_CANDIDATES:]
    ]
    cluster = max(clusters, key=lambda cluster: sum(count for count, _ in cluster))
    total = sum(count for count, _ in cluster)
    bands = [
        round(sum(count * color[band] for count, color in cluster) / total) for band in (0, 1, 2)
    ]
    return "#" + bytes(bands).hex()


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a picture in RGB, or in RGBA if its mode has alpha.

    Pillow weights the colours of RGBA by their opacity when it resizes.
    """
    return image.convert("RGBA" if image.mode in ("LA", "RGBA") else "RGB")


def _visible(image: Image.Image) -> Image.Image:
    """Return the pixels that count, as a picture of one row."""
    if image.mode == "RGB":
        return image
    alpha = image.getchannel("A").tobytes()
    least = max(alpha) / 2
    if not least:
        return Image.new("RGB", (1, 1))
    pixels = image.convert("RGB").tobytes()
    seen = [pixels[3 * i : 3 * i + 3] for i, opacity in enumerate(alpha) if opacity >= least]
    return Image.frombytes("RGB", (len(seen), 1), b"".join(seen))


def _count_colors(image: Image.Image) -> list[tuple[int, bytes]]:
    """List the 32 colours of the octree, each with its count of pixels."""
    reduced = image.quantize(32, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette = bytes(reduced.getpalette("RGB") or ())
    counted = cast(list[tuple[int, int]], reduced.getcolors())
    return [(count, palette[3 * index : 3 * index + 3]) for count, index in counted]
