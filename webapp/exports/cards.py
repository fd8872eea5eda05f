"""What the card of an image shows: its photo, crops, and files by size."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf

from webapp.engine.geometry import predict_sizes
from webapp.exports.markup import find_output
from webapp.jobs.models import Image, Job, Thumbnail
from webapp.recipes.outputs import MAX_SIDE, Output, Recipe, Size

CROP_HEIGHT = 72  # CSS pixels.


@dataclass(frozen=True)
class CropPreview:
    """One shape that is not the photo's own, and its thumbnail once it is made."""

    title: str
    width: int  # CSS pixels, at CROP_HEIGHT.
    is_cut: bool  # Not the whole photo on a colour.
    thumbnail: Thumbnail | None


@dataclass(frozen=True)
class Files:
    """The files of one size: one of each format."""

    title: str
    output: str
    thumbnails: list[Thumbnail]
    asked: str  # The size asked for, where the photo is smaller; else empty.


@dataclass(frozen=True)
class Card:
    """The parts of a card."""

    whole: Thumbnail | None
    crops: list[CropPreview]
    files: list[Files]
    count: int  # Of files, made or expected.
    is_smaller: bool  # The photo, than a size asked for.


def make_card(job: Job, recipe: Recipe, image: Image) -> Card:
    """Collect what the card of an image shows so far."""
    made = [(find_output(one, recipe), one.size, one) for one in image.thumbnails]
    expected = predict_sizes(recipe.outputs, image.format, (image.width, image.height))
    all_files: list[Made] = [*made] or [(output, size, None) for output, size in expected]
    return Card(
        _whole(job, recipe, image),
        _crops(recipe, all_files),
        list(_files(made)),
        len(all_files),
        any(_asked(output, size) for output, size, _ in all_files),
    )


def expected_crops(recipe: Recipe) -> list[CropPreview]:
    """List the crops of a photo of which nothing is known yet."""
    sizes = predict_sizes(recipe.outputs, "jpeg", (MAX_SIDE, MAX_SIDE))
    return _crops(recipe, ((output, size, None) for output, size in sizes))


def _whole(job: Job, recipe: Recipe, image: Image) -> Thumbnail | None:
    preview = job.preview(image)
    output = preview and find_output(preview, recipe)
    return image.overview if image.overview and output and output.fit != "contain" else preview


Made = tuple[Output | None, Size, Thumbnail | None]


def _crops(recipe: Recipe, made: Iterable[Made]) -> list[CropPreview]:
    """List each shape once, by the smallest file that is fine enough, or the largest.

    None if that is all there is, of the whole photo.
    """
    best: dict[object, Made] = {}
    for one in made:
        output, size, _ = one
        if output is None or output.fit == "contain":
            continue
        shape = (output.fit, output.focus, round(size[0] / size[1], 1))
        if shape not in best or _rank(size) < _rank(best[shape][1]):
            best[shape] = one
    if len(best) == 1 and all(output.fit == "pad" for output in recipe.outputs):
        return []
    return [
        CropPreview(
            output.title if output else "",
            round(CROP_HEIGHT * size[0] / size[1]),
            bool(output and output.fit == "cover"),
            thumbnail,
        )
        for output, size, thumbnail in best.values()
    ]


def _rank(size: Size) -> tuple[bool, int]:
    is_coarse = size[1] < 2 * CROP_HEIGHT  # For fine screens.
    return is_coarse, -size[1] if is_coarse else size[1]


def _files(made: Iterable[tuple[Output | None, Size, Thumbnail]]) -> Iterator[Files]:
    """Group files by their size, in the order of the recipe."""
    groups: dict[tuple[str, Size], list[tuple[Output | None, Thumbnail]]] = {}
    for output, size, thumbnail in made:
        groups.setdefault((thumbnail.output, size), []).append((output, thumbnail))
    for (name, size), group in groups.items():
        output = group[0][0]
        title = f"{output.title if output else ''} {_write(size)}".strip()
        yield Files(title, name, [one for _, one in group], _asked(output, size))


def _asked(output: Output | None, size: Size) -> str:
    """Write the size asked for, if a thumbnail is smaller because its photo is."""
    if output is None or size[0] >= (output.width or inf) or size[1] >= (output.height or inf):
        return ""
    if output.width and output.height:
        return _write((output.width, output.height))
    return f"{output.width} wide" if output.width else f"{output.height} high"


def _write(size: Size) -> str:
    return f"{size[0]} × {size[1]}"
