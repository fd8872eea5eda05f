"""Plan which region of a source is resized to which size.

A box or size is (width, height), a region (left, top, right, bottom), in pixels. "Oriented" means
after the EXIF orientation is applied, "stored" before.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from webapp.recipes.outputs import CENTRE, MAX_SIDE, Output, Point, Size

Region = tuple[float, float, float, float]


@dataclass(frozen=True)
class ResizePlan:
    """A region of the source, and the size that it is resized to."""

    region: Region
    size: Size

    @property
    def scale(self) -> float:
        left, top, right, bottom = self.region
        return max(self.size[0] / (right - left), self.size[1] / (bottom - top))

    def as_stored(self, oriented: Size, orientation: int) -> "ResizePlan":
        """Return the plan for the picture before its orientation is applied.

        `oriented` is the size of the oriented picture.
        """
        left, top, right, bottom = self.region
        if orientation in (2, 3, 6, 7):
            left, right = oriented[0] - right, oriented[0] - left
        if orientation in (3, 4, 7, 8):
            top, bottom = oriented[1] - bottom, oriented[1] - top
        if orientation < 5:
            return ResizePlan((left, top, right, bottom), self.size)
        return ResizePlan((top, left, bottom, right), (self.size[1], self.size[0]))


def plan(output: Output, source: Size, found_point: Point | None = None) -> ResizePlan:
    """Return the plan of an output, given the oriented size of the source.

    `found_point` is where the detail is; before that is known, the centre stands for it.
    """
    if output.fit != "cover":
        return plan_contain(box_of(output), source, output.enlarge)
    point = (found_point or CENTRE) if output.focus == "smart" else output.focus
    return _plan_cover(box_of(output), source, output.enlarge, point)


def plan_contain(box: Size, source: Size, enlarge: bool) -> ResizePlan:
    scale = min(box[0] / source[0], box[1] / source[1])
    if not enlarge:
        scale = min(scale, 1)
    size = (max(1, round(source[0] * scale)), max(1, round(source[1] * scale)))
    return ResizePlan((0, 0, *source), size)


def box_of(output: Output) -> Size:
    """Return an output's box; a free side is limited too."""
    return output.width or MAX_SIDE, output.height or MAX_SIDE


class Widths:
    """Tell which outputs with a free side show nothing that an earlier one does not.

    Of a small source, all widths of a set that are larger come out at its own size; only the first
    is made. Two of one width may differ in quality.
    """

    def __init__(self) -> None:
        self._earlier: dict[object, dict[object, Size]] = {}

    def add(self, output: Output, look: object) -> None:
        """Note an output that is made. `look` is what its pixels depend on."""
        self._earlier.setdefault(look, {})[_coding(output)] = box_of(output)

    def has(self, output: Output, look: object) -> bool:
        """Return whether an output would repeat an earlier one."""
        earlier = self._earlier.get(look, {})
        is_other_width = any(box != box_of(output) for box in earlier.values())
        return output.has_free_side and (is_other_width or _coding(output) in earlier)


def _coding(output: Output) -> tuple[object, ...]:
    return output.encoder_quality, output.max_bytes


def predict_sizes(
    outputs: Iterable[Output], source_format: str, source: Size
) -> list[tuple[Output, Size]]:
    """List the outputs that will be made of a still source, and their sizes.

    The outputs have their format resolved. Widths that repeat an earlier one are left out.
    """
    predicted = []
    widths = Widths()
    for requested in dict.fromkeys(outputs):
        output = requested.with_resolved_format(source_format, is_animated=False)
        planned = plan(output, source)
        look = (planned, output.format)
        if widths.has(output, look):
            continue
        widths.add(output, look)
        predicted.append((output, box_of(output) if output.fit == "pad" else planned.size))
    return predicted


def _plan_cover(box: Size, source: Size, enlarge: bool, point: Point) -> ResizePlan:
    """Fill the box and crop the rest, as CSS does.

    Pillow's `fit` does this; its `cover` does not crop.
    """
    shrink = 1 if enlarge else min(1, source[0] / box[0], source[1] / box[1])
    size = (max(1, round(box[0] * shrink)), max(1, round(box[1] * shrink)))
    scale = max(size[0] / source[0], size[1] / source[1])
    width, height = min(size[0] / scale, source[0]), min(size[1] / scale, source[1])
    left = min(max(source[0] * point[0] - width / 2, 0), source[0] - width)
    top = min(max(source[1] * point[1] - height / 2, 0), source[1] - height)
    return ResizePlan((left, top, left + width, top + height), size)
