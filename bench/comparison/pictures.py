"""How far two pictures are apart."""

from pathlib import Path
from typing import Any

import pyvips

pyvips.cache_set_max(0)  # Or it would return the picture before, of the same path.


def load(path: Path) -> Any:
    """Load a PNG as sRGB of 8 bits with an alpha channel."""
    picture = pyvips.Image.new_from_file(str(path)).colourspace("srgb")
    return picture if picture.hasalpha() else picture.bandjoin(255)


def difference_of(ours: Any, theirs: Any) -> float:
    """Return how far two pictures are apart; 100 if their sizes differ.

    That is the mean CIEDE2000, the worse of over white and over black, or the mean difference of
    their opacity, whichever is more.
    """
    if not have_one_size(ours, theirs):
        return 100.0
    theirs = match_size(theirs, ours)
    colors = []
    for shade in (255, 0):
        one, other = (flatten_on(picture, shade).colourspace("lab") for picture in (ours, theirs))
        colors.append(one.dE00(other).avg())
    return float(max(*colors, (ours[3] - theirs[3]).abs().avg()))


def have_one_size(one: Any, other: Any) -> bool:
    """Return True if the sides of two pictures differ by at most a pixel."""
    return bool(abs(one.width - other.width) <= 1 and abs(one.height - other.height) <= 1)


def match_size(picture: Any, to: Any) -> Any:
    """Resize a picture by the one pixel that programs round differently."""
    if (picture.width, picture.height) == (to.width, to.height):
        return picture
    return picture.thumbnail_image(to.width, height=to.height, size="force").cast("uchar")


def flatten_on(picture: Any, shade: int) -> Any:
    return picture.flatten(background=shade).copy(interpretation="srgb").cast("uchar")


def write_difference(ours: Any, theirs: Any, target: Path) -> None:
    """Write where two pictures of one size differ, four times as bright.

    Black is the same.
    """
    theirs = match_size(theirs, ours)
    apart = (flatten_on(ours, 255) - flatten_on(theirs, 255)).abs() * 4
    apart.cast("uchar").copy(interpretation="srgb").write_to_file(str(target))
