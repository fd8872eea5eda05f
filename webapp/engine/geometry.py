"""Plan which region of a source becomes a picture of which size.

A box or size is (width, height), a region (left, top, right, bottom), in pixels.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from webapp.recipes.outputs import CENTRE, MAX_SIDE, Output, Point, Size

Region = tuple[float, float, float, float]


@dataclass(frozen=True)
class Cut:
    """Say which region of the source, in its pixels, becomes a picture of which size."""

    region: Region
    size: Size

    @property
    def scale(self) -> float:
        left, top, right, bottom = self.region
        return max(self.size[0] / (right - left), self.size[1] / (bottom - top))

    def as_stored(self, seen: Size, orientation: int) -> "Cut":
        """Turn a cut of the picture as it is seen into one of the picture as it is stored."""
        left, top, right, bottom = self.region
        if orientation in (2, 3, 6, 7):
            left, right = seen[0] - right, seen[0] - left
        if orientation in (3, 4, 7, 8):
            top, bottom = seen[1] - bottom, seen[1] - top
        if orientation < 5:
            return Cut((left, top, right, bottom), self.size)
        return Cut((top, left, bottom, right), (self.size[1], self.size[0]))


def plan(output: Output, source: Size, smart: Point | None = None) -> Cut:
    """Choose region and size for an output, given the size of the source as it is seen.

    `smart` is the focus found in the picture; until it is, the centre stands for it.
    """
    if output.fit != "cover":
        return plan_contain(box_of(output), source, output.enlarge)
    focus = (smart or CENTRE) if output.focus == "smart" else output.focus
    return _plan_cover(box_of(output), source, output.enlarge, focus)


def foresee(outputs: Iterable[Output], source: Size) -> list[tuple[Output, Size]]:
    """Tell what will be made of a source, and in which sizes, before it is decoded.

    The widths of a set that are beyond the source's are one.
    """
    foreseen: dict[object, tuple[Output, Size]] = {}
    for output in outputs:
        cut = plan(output, source)
        size = box_of(output) if output.fit == "pad" else cut.size
        is_free = None in (output.width, output.height)
        look = (cut, output.format, output.quality, output.max_bytes) if is_free else output
        foreseen.setdefault(look, (output, size))
    return list(foreseen.values())


def box_of(output: Output) -> Size:
    """Give an output's box; a free side is bounded too, as no thumbnail is 100,000 pixels high."""
    return output.width or MAX_SIDE, output.height or MAX_SIDE


def plan_contain(box: Size, source: Size, enlarge: bool) -> Cut:
    scale = min(box[0] / source[0], box[1] / source[1])
    if not enlarge:
        scale = min(scale, 1)
    size = (max(1, round(source[0] * scale)), max(1, round(source[1] * scale)))
    return Cut((0, 0, *source), size)


def _plan_cover(box: Size, source: Size, enlarge: bool, focus: Point) -> Cut:
    """Fill the box and crop the rest, as CSS does (Pillow's `fit`; its `cover` does not crop)."""
    shrink = 1 if enlarge else min(1, source[0] / box[0], source[1] / box[1])
    size = (max(1, round(box[0] * shrink)), max(1, round(box[1] * shrink)))
    scale = max(size[0] / source[0], size[1] / source[1])
    width, height = min(size[0] / scale, source[0]), min(size[1] / scale, source[1])
    left = min(max(source[0] * focus[0] - width / 2, 0), source[0] - width)
    top = min(max(source[1] * focus[1] - height / 2, 0), source[1] - height)
    return Cut((left, top, left + width, top + height), size)
