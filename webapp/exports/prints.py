"""What each photo becomes: its sizes drawn to scale, its files counted."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from webapp.engine.geometry import predict_sizes
from webapp.recipes.outputs import (
    FORMATS,
    MAX_SIDE,
    NEAREST_FORMAT,
    Fit,
    Output,
    RequestedFormat,
    Size,
)
from webapp.recipes.presets import PRESETS

WIDEST = 2.4  # Crops are this wide at most, as a part of their height.
LANDSCAPE = 1.5  # The shape that whole photos are given room for.
ORDER: tuple[Fit, ...] = ("cover", "pad", "contain")


@dataclass(frozen=True)
class Photo:
    """What is known of a photo: no size if a browser cannot decode it."""

    size: Size | None = None
    format: str = "jpeg"

    def size_of(self, output: Output) -> Size | None:
        """Return the size of a thumbnail of this photo, as far as it is known."""
        if self.size is None:
            return (output.width, output.height) if output.width and output.height else None
        return predict_sizes([output], self.format, self.size)[0][1]

    def made(self, outputs: Sequence[Output]) -> set[Output]:
        """Return the outputs that are made of this photo, as far as it is known.

        Their format is resolved.
        """
        if self.size is None:
            return {self.resolve(output) for output in outputs}
        return {output for output, _ in predict_sizes(outputs, self.format, self.size)}

    def resolve(self, output: Output) -> Output:
        """Return an output with the format that is written of this photo."""
        return output.with_resolved_format(self.format, is_animated=False)


# Drawn before a photo is chosen; no size is larger.
SAMPLE = Photo((round(LANDSCAPE * MAX_SIDE), MAX_SIDE))
_PHOTO = re.compile(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})(?: (.*))?", re.DOTALL)


def read_photos(text: str, most: int) -> list[Photo]:
    """Read photos from a script: `4000x3000 jpeg,?`, where one cannot be decoded."""
    return [_read_photo(part) for part in text.split(",", most)[:most] if part]


def _read_photo(text: str) -> Photo:
    found = _PHOTO.fullmatch(text)
    if found is None:
        return Photo()
    size = int(found[1]), int(found[2])
    is_known = found[3] in FORMATS or found[3] in NEAREST_FORMAT
    return Photo(size, found[3]) if is_known else Photo(size)


@dataclass(frozen=True)
class Print:
    """A size as it is drawn: in a box of pixels, and to scale."""

    output: Output  # In the first of its formats.
    title: str  # Empty for a size of one's own.
    width: float
    height: float
    scale: float  # The height of a crop for each pixel.
    size: Size | None  # Of its file; of the one asked for, where none is made.
    is_smaller: bool  # Than asked for, as the photo is.
    is_made: bool


@dataclass(frozen=True)
class Group:
    """The prints of one fit, and their formats."""

    fit: Fit
    formats: list[RequestedFormat]
    prints: list[Print]


@dataclass(frozen=True)
class Files:
    """How many files photos become."""

    photos: int
    each: int  # At most, of each photo.
    count: int
    small: list[int]  # Positions of the photos of which less is made.
    is_certain: bool  # Or there may be fewer.

    @property
    def most(self) -> int:
        """The number of files if no photo is small."""
        return self.photos * self.each


def count_files(outputs: Sequence[Output], photos: Sequence[Photo]) -> Files:
    """Count the files that photos become, without those that come out equal."""
    # Most photos of a batch have one of few sizes.
    made = {photo: len(photo.made(outputs)) for photo in set(photos)}
    return Files(
        len(photos),
        len(outputs),
        sum(made[photo] for photo in photos),
        [n for n, photo in enumerate(photos) if made[photo] < len(outputs)],
        all(photo.size for photo in photos) or not any(one.has_free_side for one in outputs),
    )


def draw(outputs: Sequence[Output], photo: Photo) -> Iterator[Group]:
    """Draw crops at one height, and whole photos to one scale.

    What is drawn has the same size for every photo.
    """
    made = photo.made(outputs)
    for fit in ORDER:
        those = [output for output in outputs if output.fit == fit]
        if fit == "contain":
            those.sort(key=lambda output: -(output.width or 0))
        if those:
            formats = list(dict.fromkeys(output.format for output in those))
            yield Group(fit, formats, list(_prints(those, photo, made)))


def _prints(outputs: Sequence[Output], photo: Photo, made: set[Output]) -> Iterator[Print]:
    """Draw the outputs of one fit, one print for all formats of a size."""
    widest = max(_box(output)[0] for output in outputs)
    for output in _shapes(outputs):
        width, height = _box(output)
        if output.fit == "contain":
            scale = min(LANDSCAPE / widest, 1 / height)
        else:
            scale = min(1, WIDEST * height / width) / height
        is_made = photo.resolve(output) in made
        size, asked = photo.size_of(output), photo.size_of(replace(output, enlarge=True))
        yield Print(
            output,
            _title(output),
            width,
            height,
            scale,
            size if is_made else asked,
            size != asked,
            is_made,
        )


def _shapes(outputs: Iterable[Output]) -> Iterable[Output]:
    shapes: dict[Output, Output] = {}
    for output in outputs:
        shapes.setdefault(replace(output, format="webp", animated=False), output)
    return shapes.values()


def _box(output: Output) -> tuple[float, float]:
    """Return the room for an output, in pixels."""
    width, height = output.width or 0, output.height or 0
    return width or height * LANDSCAPE, height or width / LANDSCAPE


def _title(output: Output) -> str:
    known = PRESETS.get(output.name)
    if known:
        return known.title
    return str(output.width or output.height) if output.has_free_side else ""
