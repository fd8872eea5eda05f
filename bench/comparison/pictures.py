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
    if abs(ours.width - theirs.width) > 1 or abs(ours.height - theirs.height) > 1:
        return 100.0
    theirs = fit(theirs, ours)
    colors = [
        flat(ours, shade).colourspace("lab").dE00(flat(theirs, shade).colourspace("lab")).avg()
        for shade in (255, 0)
    ]
    return float(max(*colors, (ours[3] - theirs[3]).abs().avg()))


def fit(picture: Any, to: Any) -> Any:
    """Resize a picture by the one pixel that programs round differently."""
    if (picture.width, picture.height) == (to.width, to.height):
        return picture
    return picture.thumbnail_image(to.width, height=to.height, size="force").cast("uchar")


def flat(picture: Any, shade: int) -> Any:
    return picture.flatten(background=shade).copy(interpretation="srgb").cast("uchar")


def write_difference(ours: Any, theirs: Any, target: Path) -> None:
    """Write where two pictures differ, four times as bright; black is the same."""
    if abs(ours.width - theirs.width) <= 1 and abs(ours.height - theirs.height) <= 1:
        apart = (flat(ours, 255) - flat(fit(theirs, ours), 255)).abs() * 4
        apart.cast("uchar").copy(interpretation="srgb").write_to_file(str(target))
