"""Two pictures to look at: what there was before, and what was made."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from webapp.exports.markup import find_output, responsive_sets
from webapp.jobs.models import Image, Thumbnail, have_same_ratio
from webapp.recipes.outputs import Format, Recipe


@dataclass(frozen=True)
class Comparison:
    """A thumbnail beside its original, or beside a larger thumbnail."""

    before: Image | Thumbnail
    after: Thumbnail
    is_crop: bool
    quality: int | None  # Of its output; None where there is none to choose.

    @property
    def has_original(self) -> bool:
        """True if it is compared with the original."""
        return isinstance(self.before, Image)

    @property
    def view(self) -> Literal["over", "beside", "alone"]:
        """`over` if both have one aspect ratio, else side by side."""
        if self.before == self.after:
            return "alone"
        before = (self.before.width, self.before.height)
        return "over" if have_same_ratio(before, self.after.size) else "beside"


def compare(image: Image, recipe: Recipe, *, has_original: bool) -> list[Comparison]:
    """Compare all thumbnails of an image: crops first, then by size and bytes.

    Without an original, each is compared with the largest of its set, of those with the heaviest:
    what fewer pixels and bytes cost.
    """
    comparisons = []
    for group in responsive_sets(image, recipe):
        best = max(group, key=lambda made: (made.width, made.bytes))
        before = image if has_original else best
        comparisons += [
            Comparison(before, made, _is_crop(made, recipe), _quality(made, recipe))
            for made in group
        ]
    return sorted(comparisons, key=_rank)


def choose(comparisons: Sequence[Comparison], file_name: str | None) -> Comparison | None:
    """Return the comparison of a file, or of the largest that shows the whole image."""
    chosen = (one for one in comparisons if one.after.file_name == file_name)
    whole = (one for one in comparisons if not one.is_crop and one.view != "beside")
    return next(chosen, None) or next(whole, None) or next(iter(comparisons), None)


def _rank(one: Comparison) -> tuple[bool, int, int]:
    return not one.is_crop, -one.after.width * one.after.height, one.after.bytes


def _is_crop(thumbnail: Thumbnail, recipe: Recipe) -> bool:
    output = find_output(thumbnail, recipe)
    return output is not None and output.fit == "cover"


def _quality(thumbnail: Thumbnail, recipe: Recipe) -> int | None:
    """Return the quality that a recipe asks for.

    None in a lossless format, where bytes are limited instead, and of animations.
    """
    output = find_output(thumbnail, recipe)
    if output is None or output.max_bytes or output.animated:
        return None
    return replace(output, format=cast(Format, thumbnail.format)).encoder_quality
