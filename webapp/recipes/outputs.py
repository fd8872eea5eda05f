"""Outputs and recipes: what a job makes from each image.

These are values: checked once when they are created, never changed after. Sizes are
(width, height) in pixels.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import accumulate, product
from math import ceil
from typing import Any, Literal, cast, get_args

from webapp.config import Config

Fit = Literal["contain", "cover", "pad"]
Color = Literal["srgb", "keep"]
Format = Literal["jpeg", "png", "webp", "avif", "gif"]
RequestedFormat = Format | Literal["source"]  # "source": the source's own, or the nearest one.
FITS: tuple[Fit, ...] = get_args(Fit)
COLORS: tuple[Color, ...] = get_args(Color)
FORMATS: tuple[Format, ...] = get_args(Format)
REQUESTED_FORMATS: tuple[RequestedFormat, ...] = (*FORMATS, "source")
ANIMATED_FORMATS: frozenset[RequestedFormat] = frozenset({"webp", "gif", "source"})

Size = tuple[int, int]
Point = tuple[float, float]  # In fractions of width and height.
CENTRE: Point = (0.5, 0.5)
Focus = Point | Literal["smart"]  # What a crop keeps in view; "smart" is where the detail is.
INVALID_FOCUS = "The focal point must be smart, or two numbers from 0 to 1."
INVALID_POINT = "The crop point must be two numbers from 0 to 1."

# The format that "source" means where we do not write the source's own: JPEG for photos, PNG for
# drawings and for formats with transparency.
NEAREST_FORMAT: Mapping[str, Format] = {
    "heic": "jpeg",
    "jp2": "jpeg",
    "gif": "png",
    "ico": "png",
    "bmp": "png",
    "tiff": "png",
}

# The quality at which each encoder's artefacts stay invisible at thumbnail size. The scales differ:
# AVIF's 60 looks like JPEG's 80. PNG is lossless and has none.
DEFAULT_QUALITY: Mapping[Format, int | None] = {
    "jpeg": 80,
    "webp": 80,
    "avif": 60,
    "png": None,
    "gif": None,
}

EXTENSIONS: Mapping[Format, str] = {
    "jpeg": "jpg",
    "png": "png",
    "webp": "webp",
    "avif": "avif",
    "gif": "gif",
}

MAX_SIDE = 4096  # Pixels of the largest thumbnail that we make.
MIN_BUDGET, MAX_BUDGET = 1000, 100_000_000  # Bytes.

NAME_PATTERN = "^[a-z0-9][a-z0-9-]{0,39}$"  # It becomes a file name and a part of a URL.
BACKGROUND_PATTERN = "^(#[0-9a-f]{6}|transparent)$"
_NAME, _COLOR = re.compile(NAME_PATTERN), re.compile(BACKGROUND_PATTERN)


def is_point(point: Point) -> bool:
    """Return whether a point is within its image."""
    return all(0 <= part <= 1 for part in point)


class InvalidRecipe(ValueError):
    """An output or recipe cannot be made; the message says why.

    `field` is the name of the wrong field, and `others` are what else is wrong.
    """

    code = "invalid_recipe"

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field
        self.others: tuple[InvalidRecipe, ...] = ()


class OutOfLimits(InvalidRecipe):
    """A number is out of bounds; the message names the limits."""


@dataclass(frozen=True)
class RecipeLimits:
    """Limit a recipe: sides in pixels, megapixels in 10⁶ pixels."""

    max_outputs: int
    max_side: int
    max_output_megapixels: float  # Of all outputs together.

    @classmethod
    def from_config(cls, config: Config) -> "RecipeLimits":
        """Read the limits from the settings."""
        return cls(config.max_outputs, config.max_side, config.max_output_megapixels)


@dataclass(frozen=True)
class Output:
    """Describe one thumbnail to make from each image.

    `fit` has the CSS meaning: `contain` stays inside the box, `cover` fills it and crops the rest,
    `pad` stays inside and fills up to the exact box with `background`. With `contain`, one side may
    be None: it follows from the source's aspect ratio.

    `background` is `#rrggbb` or "transparent", which is white in JPEG. In JPEG it also replaces
    transparent pixels. `quality` is an upper bound: with `max_bytes`, it is lowered until the file
    fits. `focus` is the point that `cover` keeps in the middle if possible: fractions of the width
    and height of the source, after orientation, or "smart" for where the detail is.
    `keep_copyright` keeps the copyright notice and the author's name of the EXIF, but not those in
    XMP or in the text of a PNG, and no other metadata. `animated` keeps a GIF, WebP or PNG
    animated, as WebP or GIF; with the format "source", as the nearer of the two. Without it, the
    first frame is used. With `color` "keep", a source in colours beyond sRGB is written in Display
    P3, with its ICC profile; all others, and each GIF, are in sRGB.
    """

    name: str
    width: int | None
    height: int | None
    fit: Fit = "contain"
    format: RequestedFormat = "jpeg"
    quality: int | None = None
    background: str = "#ffffff"
    enlarge: bool = False
    max_bytes: int | None = None
    focus: Focus = CENTRE  # The focal point; programs and stored recipes have this name.
    keep_copyright: bool = False
    animated: bool = False
    color: Color = "srgb"

    def __post_init__(self) -> None:
        """Raise InvalidRecipe if this output cannot be made, with all that is wrong."""
        errors = list(self._find_errors())
        if errors:
            errors[0].others = tuple(errors[1:])
            raise errors[0]

    def _find_errors(self) -> Iterator["InvalidRecipe"]:
        yield from self._excessive_sides(MAX_SIDE)
        if self.fit not in FITS:
            yield InvalidRecipe("fit", f"The fit must be one of {', '.join(FITS)}.")
        if self.width is None and self.height is None:
            yield InvalidRecipe("width", "Give a width, a height or both.")
        elif self.fit != "contain" and self.has_free_side:
            yield InvalidRecipe("height", f"Fit {self.fit} needs both a width and a height.")
        if self.format not in REQUESTED_FORMATS:
            formats = ", ".join(REQUESTED_FORMATS)
            yield InvalidRecipe("format", f"The format must be one of {formats}.")
        elif self.animated and self.format not in ANIMATED_FORMATS:
            yield InvalidRecipe("format", "An animation is made as webp, gif or source.")
        elif self.format == "gif" and not self.animated:
            yield InvalidRecipe("format", "GIF is for animations; for a still picture, take png.")
        if self.color not in COLORS:
            yield InvalidRecipe("color", f"The colours must be one of {', '.join(COLORS)}.")
        if self.quality is not None and not 1 <= self.quality <= 100:
            yield OutOfLimits("quality", "The quality must be from 1 to 100.")
        if self.focus != "smart" and not is_point(self.focus):
            yield InvalidRecipe("focus", INVALID_FOCUS)
        if self.max_bytes is not None and not MIN_BUDGET <= self.max_bytes <= MAX_BUDGET:
            yield OutOfLimits("max_kb", "The size limit must be from 1 to 100000 kB.")
        if not _COLOR.fullmatch(self.background):
            sentence = "The background must be a colour like #ffffff, or transparent."
            yield InvalidRecipe("background", sentence)
        if not _NAME.fullmatch(self.name):
            yield InvalidRecipe(
                "name", "The name of a size is 1 to 40 lower-case letters, digits and hyphens."
            )

    @property
    def title(self) -> str:
        """Its name in words, such as `Card`; empty where it is named by its size."""
        by_size = default_name(self.width, self.height, self.fit, self.format)
        if re.fullmatch(rf"{by_size}(-\d+)?", self.name):
            return ""
        return self.name.replace("-", " ").capitalize()

    def check_sides(self, max_side: int) -> None:
        """Raise OutOfLimits unless sides are from 1 to `max_side`."""
        for error in self._excessive_sides(max_side):
            raise error

    def _excessive_sides(self, max_side: int) -> Iterator["OutOfLimits"]:
        for side, value in (("width", self.width), ("height", self.height)):
            if value is not None and not 1 <= value <= max_side:
                yield OutOfLimits(side, f"The {side} must be from 1 to {max_side} pixels.")

    def with_resolved_format(self, source_format: str, is_animated: bool) -> "Output":
        """Return this output with "source" replaced by the format to write.

        `is_animated` is that of the source.
        """
        if self.format != "source":
            return self
        if self.animated and is_animated:
            return replace(self, format="gif" if source_format == "gif" else "webp")
        format = NEAREST_FORMAT.get(source_format, cast(Format, source_format))
        return replace(self, format=format, animated=False)

    @property
    def pixels(self) -> int:
        """Return the largest number of pixels that the thumbnail can have.

        If one side is None, the source is taken for a square. The engine counts again once it knows
        the shape of the source.
        """
        return (self.width or self.height or 0) * (self.height or self.width or 0)

    @property
    def has_free_side(self) -> bool:
        """Return True if the width or the height follows from the source."""
        return None in (self.width, self.height)

    @property
    def encoder_quality(self) -> int | None:
        """Return the highest quality to encode with; None if lossless.

        The format must be resolved.
        """
        default = DEFAULT_QUALITY[cast(Format, self.format)]
        return default and (self.quality or default)

    @property
    def file_name(self) -> str:
        """Return the name of the thumbnail's file: `square.jpg`.

        The format must be resolved.
        """
        return f"{self.name}.{EXTENSIONS[cast(Format, self.format)]}"


class TooManyOutputs(OutOfLimits):
    """The outputs of a recipe are too many or too large in all.

    `output` is the first one that exceeds the limit.
    """

    def __init__(self, output: Output, sentence: str) -> None:
        super().__init__("outputs", sentence)
        self.output = output


# The picture on which an owner sets the focal point. Users did not ask for it: it is not listed
# among the thumbnails.
OVERVIEW = Output("whole-image", 640, 640, format="webp")


@dataclass(frozen=True)
class Recipe:
    """The outputs that a job makes from each image, in order."""

    outputs: tuple[Output, ...]

    def __post_init__(self) -> None:
        """Raise InvalidRecipe if there are no outputs or two share a file."""
        if not self.outputs:
            raise InvalidRecipe("outputs", "Choose at least one size.")
        if len({(output.name, output.format) for output in self.outputs}) < len(self.outputs):
            raise InvalidRecipe("outputs", "Two sizes have the same name and format.")
        sources = [output.name for output in self.outputs if output.format == "source"]
        others = {output.name for output in self.outputs if output.format != "source"}
        if others.intersection(sources):  # For some sources, they would write the same file.
            raise InvalidRecipe("outputs", "A size in the source's format needs a name of its own.")

    def with_focal_point(self, point: Point) -> "Recipe":
        """Return this recipe with a focal point for the outputs that crop."""
        return Recipe(
            tuple(
                replace(output, focus=point) if output.fit == "cover" else output
                for output in self.outputs
            )
        )

    def with_enlarged(self, name: str) -> "Recipe":
        """Return this recipe with the outputs of one name enlarging small sources."""
        return Recipe(
            tuple(
                replace(output, enlarge=True) if output.name == name else output
                for output in self.outputs
            )
        )

    def with_quality(self, name: str, format: str, quality: int) -> "Recipe":
        """Return this recipe with another quality of one output. Raises InvalidRecipe."""
        return Recipe(
            tuple(
                replace(output, quality=quality)
                if (output.name, output.format) == (name, format)
                else output
                for output in self.outputs
            )
        )

    def with_changes(self, number: int, **changes: Any) -> "Recipe":
        """Return this recipe with changes of one output. Raises InvalidRecipe."""
        changed = replace(self.outputs[number], **changes)
        return Recipe((*self.outputs[:number], changed, *self.outputs[number + 1 :]))

    def with_overview(self) -> "Recipe":
        """Return this recipe with OVERVIEW, if no output shows all.

        It is needed only if an output crops.
        """
        fits = {output.fit for output in self.outputs}
        if "cover" not in fits or "contain" in fits:
            return self
        return Recipe((*self.outputs, OVERVIEW))

    def preview_order(self, side: int, least: int) -> list[Output]:
        """Sort outputs by how well they preview an image at `side` pixels.

        Uncropped outputs of at least `least` pixels come before the others. Among each, those of at
        least `side` pixels come first, the smallest of them before the larger ones.
        """

        def rank(output: Output) -> tuple[int, int]:
            longest = max(output.width or 0, output.height or 0)
            if output.fit != "cover" and longest >= least:
                return (0, longest) if longest >= side else (1, -longest)
            return (2, longest) if longest >= side else (3, -longest)

        return sorted(self.outputs, key=rank)

    @property
    def pixels(self) -> int:
        """Return the largest number of pixels that all outputs can have."""
        return sum(output.pixels for output in self.outputs)

    @property
    def crops(self) -> bool:
        """Return True if an output crops, so that a focal point matters."""
        return any(output.fit == "cover" for output in self.outputs)

    def to_json(self) -> str:
        """Return the text that `from_json` reads."""
        return json.dumps([asdict(output) for output in self.outputs])

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Read the text that `to_json` returned. Raises InvalidRecipe."""
        return cls(tuple(_output_from_json(fields) for fields in json.loads(text)))


def default_name(width: int | None, height: int | None, fit: Fit, format: RequestedFormat) -> str:
    """Return a name such as `640x360-cover`, `320w` or `200h-source`."""
    suffix = "-source" if format == "source" else ""
    if height is None:
        return f"{width}w{suffix}"
    if width is None:
        return f"{height}h{suffix}"
    return f"{width}x{height}-{fit}{suffix}"


def combine(outputs: Iterable[Output], limits: RecipeLimits) -> Recipe:
    """Create one recipe from outputs of several origins, within the limits.

    Duplicates are dropped; different outputs of one name get a number. Raises InvalidRecipe.
    """
    asked = list(dict.fromkeys(outputs))
    if len(asked) > limits.max_outputs:
        sentence = f"A job makes at most {limits.max_outputs} files from each photo."
        raise TooManyOutputs(asked[limits.max_outputs], sentence)
    totals = list(accumulate(output.pixels for output in asked))
    for output, total in zip(asked, totals, strict=True):
        if total > limits.max_output_megapixels * 1e6:
            raise TooManyOutputs(
                output,
                f"All sizes together have at most {limits.max_output_megapixels:g} megapixels."
                f" These have {ceil(totals[-1] / 1e5) / 10:g}: choose fewer or smaller ones.",
            )
    taken: dict[tuple[str, str], int] = {(OVERVIEW.name, OVERVIEW.format): 1}
    named = []
    for output in asked:
        output.check_sides(limits.max_side)
        key = (output.name, output.format)
        count = taken[key] = taken.get(key, 0) + 1
        named.append(output if count == 1 else replace(output, name=f"{output.name}-{count}"))
    return Recipe(tuple(named))


def responsive_set(widths: Iterable[int], formats: Iterable[RequestedFormat]) -> tuple[Output, ...]:
    """Create an output for each distinct width in each distinct format.

    Raises InvalidRecipe.
    """
    return tuple(
        Output(default_name(width, None, "contain", format), width, None, format=format)
        for width, format in product(dict.fromkeys(widths), dict.fromkeys(formats))
    )


def _output_from_json(fields: dict[str, Any]) -> Output:
    if isinstance(fields.get("focus"), list):  # JSON has no tuples.
        fields["focus"] = tuple(fields["focus"])
    return Output(**fields)
