"""The crops of an image: the part that each shows, and how a point moves it."""

from dataclasses import dataclass, replace
from math import ceil

from webapp.engine.geometry import plan, plan_contain
from webapp.exports.markup import find_output
from webapp.jobs.models import Image, Job, Thumbnail
from webapp.recipes.outputs import CENTRE, Output, Point, Recipe, Size

PAGE_LENGTH = 24  # Photos: a page of portraits, with their pictures about a megabyte.
# CSS pixels of a whole photo on the crops page. A window of 320 has room for it.
WHOLE_SIDE = 256


@dataclass(frozen=True)
class Crop:
    """A crop that is made, and its part of the image, in percent of the sides."""

    title: str
    thumbnail: Thumbnail
    point: Point | None  # What it keeps in view; None where that is not known.
    left: float
    top: float
    width: float
    height: float

    @property
    def view_box(self) -> str:
        """Its part as SVG's `viewBox`, of an image of 100 × 100."""
        return f"{self.left:g} {self.top:g} {self.width:g} {self.height:g}"

    def width_at(self, height: int) -> int:
        """Return the width that it has at a height, in CSS pixels."""
        return max(round(height * self.thumbnail.width / self.thumbnail.height), 1)


@dataclass(frozen=True)
class PageOfImages:
    """Some images of a job, in their order."""

    images: tuple[Image, ...]
    number: int
    count: int  # Of pages.


def open_page(job: Job, number: int, image_id: str | None = None) -> PageOfImages:
    """Return the page that has an image, or else the one of a number, or the nearest."""
    count = max(ceil(len(job.images) / PAGE_LENGTH), 1)
    places = (place for place, image in enumerate(job.images) if image.id == image_id)
    if (place := next(places, None)) is not None:
        number = place // PAGE_LENGTH + 1
    number = min(max(number, 1), count)
    return PageOfImages(job.images[(number - 1) * PAGE_LENGTH :][:PAGE_LENGTH], number, count)


def write_undo(image: Image) -> str:
    """Write an image's point before a move: `<id>:0.5,0.25`; `<id>:` for none."""
    point = image.focal_point
    return f"{image.id}:{point[0]:.6f},{point[1]:.6f}" if point else f"{image.id}:"


def find_crops(image: Image, recipe: Recipe) -> list[Crop]:
    """List the crops of an image, each shape once, whatever its formats."""
    made = {thumbnail.output: thumbnail for thumbnail in reversed(image.thumbnails)}
    outputs = ((find_output(one, recipe), one) for one in reversed(made.values()))
    return [
        _locate(output, one, image) for output, one in outputs if output and output.fit == "cover"
    ]


def whole_size(image: Image) -> Size:
    """Return the size that a whole photo has on the crops page."""
    side = (WHOLE_SIDE, WHOLE_SIDE)
    return plan_contain(side, (image.width, image.height), enlarge=True).size


def clicked_point(image: Image, x: int, y: int) -> Point:
    """Return the point of an image at, or next to, a pixel on the crops page."""
    width, height = whole_size(image)
    column, row = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    return (column + 0.5) / width, (row + 0.5) / height


def _locate(output: Output, thumbnail: Thumbnail, image: Image) -> Crop:
    asked = image.focal_point or output.focus
    point = image.found_point if asked == "smart" else asked
    source = (image.width, image.height)
    left, top, right, bottom = plan(replace(output, focus=point or CENTRE), source).region
    across, down = 100 / source[0], 100 / source[1]
    return Crop(
        output.title or f"{output.width} × {output.height}",
        thumbnail,
        point,
        left=left * across,
        top=top * down,
        width=(right - left) * across,
        height=(bottom - top) * down,
    )
