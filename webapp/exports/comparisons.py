"""Two pictures to look at: what there was before, and what was made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from webapp.jobs.models import Image, Thumbnail, have_same_ratio


@dataclass(frozen=True)
class Comparison:
    """A thumbnail beside its original, or beside a larger thumbnail."""

    before: Image | Thumbnail
    before_url: str
    after: Thumbnail

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


def compare(
    image: Image, sets: Sequence[Sequence[Thumbnail]], original_url: str | None
) -> list[Comparison]:
    """Compare all thumbnails of an image, those first that say most.

    Without an original, each is compared with the largest of its set: what fewer pixels and bytes
    cost. The lightest lost most of that; of an original, the largest is all that is left.
    """
    if original_url:
        return [Comparison(image, original_url, made) for group in sets for made in group]
    return [
        each
        for group in sets
        for each in sorted(
            (Comparison(group[0], group[0].url, made) for made in group),
            key=lambda each: (each.view == "alone", each.after.bytes),
        )
    ]
