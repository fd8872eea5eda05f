"""What a job makes from each image: outputs, recipes and presets.

Everything here is a value: parsed and checked once at the edge, then passed around as it is. Sizes
are (width, height) in pixels.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import accumulate, product
from math import ceil
from typing import Any, Literal, cast, get_args

Fit = Literal["contain", "cover", "pad"]
Format = Literal["jpeg", "png", "webp", "avif", "gif"]
AskedFormat = Format | Literal["source"]  # "source": that of the source, or what comes near it.
FITS: tuple[Fit, ...] = get_args(Fit)
FORMATS: tuple[Format, ...] = get_args(Format)
ASKED_FORMATS: tuple[AskedFormat, ...] = (*FORMATS, "source")
MOVING_FORMATS: frozenset[AskedFormat] = frozenset({"webp", "gif", "source"})

Size = tuple[int, int]
Point = tuple[float, float]  # In fractions of width and height.
CENTRE: Point = (0.5, 0.5)
Focus = Point | Literal["smart"]  # Where a crop is kept; "smart" is where the detail is.

# What "source" means for sources in a format that we do not write: photos become JPEG, drawings and
# whatever may be transparent PNG.
NEAREST_FORMAT: Mapping[str, Format] = {
    "heic": "jpeg",
    "jp2": "jpeg",
    "gif": "png",
    "ico": "png",
    "bmp": "png",
    "tiff": "png",
}

# The quality at which each encoder's artefacts stay invisible at thumbnail size. The scales differ:
# AVIF's 60 looks like JPEG's 80. PNG is lossless, so it has none.
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

MAX_SIDE = 4096  # Pixels; the largest thumbnail we make. Beyond it a picture is no thumbnail.
MIN_BUDGET, MAX_BUDGET = 1000, 100_000_000  # Bytes.

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")  # Becomes a file name and a part of a URL.
_COLOR = re.compile(r"#[0-9a-f]{6}|transparent")


class InvalidRecipe(ValueError):
    """What is asked for cannot be made; says which field is wrong and what would be right."""

    code = "invalid_recipe"

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class OutOfLimits(InvalidRecipe):
    """A number is larger or smaller than it may be; the sentence names the limits."""


@dataclass(frozen=True)
class RecipeLimits:
    """Hold the limits of a recipe: sides in pixels, megapixels in 10⁶ pixels."""

    max_outputs: int = 20
    max_side: int = MAX_SIDE
    max_output_megapixels: float = 64  # Of all outputs together.


@dataclass(frozen=True)
class Output:
    """Describe one thumbnail to make from each image.

    `fit` has the CSS meaning: `contain` stays inside the box, `cover` fills it and crops what is
    over, `pad` stays inside and fills up to the exact box with `background`. One side may be None
    with `contain`: it follows from the source's aspect ratio.

    `background` is `#rrggbb` or "transparent", which is white in JPEG; it also lies under
    transparent pixels there. `quality` is the best that is used: with `max_bytes`, it is lowered
    until the file is no larger. `focus` is what `cover` keeps in the middle if it can: a point of
    the source as it is seen, in fractions of width and height, or wherever the detail is ("smart").
    `keep_copyright` keeps the copyright notice and the author's name that are in EXIF, not those in
    XMP or the text of a PNG, and no other metadata.
    `animated` keeps the movement of a GIF, WebP or PNG, in WebP or GIF, or in that of the two which
    is nearer to the source; without it, the first frame is made.
    """

    name: str
    width: int | None
    height: int | None
    fit: Fit = "contain"
    format: AskedFormat = "jpeg"
    quality: int | None = None
    background: str = "#ffffff"
    enlarge: bool = False
    max_bytes: int | None = None
    focus: Focus = CENTRE
    keep_copyright: bool = False
    animated: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be made.

        Raises InvalidRecipe.
        """
        self.check_sides(MAX_SIDE)
        if self.fit not in FITS:
            raise InvalidRecipe("fit", f"The fit must be one of {', '.join(FITS)}.")
        if self.width is None and self.height is None:
            raise InvalidRecipe("width", "Give a width, a height or both.")
        if self.fit != "contain" and (self.width is None or self.height is None):
            raise InvalidRecipe("height", f"Fit {self.fit} needs both a width and a height.")
        if self.format not in ASKED_FORMATS:
            raise InvalidRecipe("format", f"The format must be one of {', '.join(ASKED_FORMATS)}.")
        if self.animated and self.format not in MOVING_FORMATS:
            raise InvalidRecipe("format", "An animation is made as webp, gif or source.")
        if self.format == "gif" and not self.animated:
            raise InvalidRecipe("format", "GIF is for animations; for a still picture, take png.")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise OutOfLimits("quality", "The quality must be from 1 to 100.")
        if self.focus != "smart" and not all(0 <= part <= 1 for part in self.focus):
            raise InvalidRecipe("focus", _WRONG_FOCUS)
        if self.max_bytes is not None and not MIN_BUDGET <= self.max_bytes <= MAX_BUDGET:
            raise OutOfLimits("max_kb", "The size limit must be from 1 to 100000 kB.")
        if not _COLOR.fullmatch(self.background):
            sentence = "The background must be a colour like #ffffff, or transparent."
            raise InvalidRecipe("background", sentence)
        if not _NAME.fullmatch(self.name):
            raise InvalidRecipe(
                "name", "An output's name is 1 to 40 lower-case letters, digits and hyphens."
            )

    def check_sides(self, max_side: int) -> None:
        """Refuse sides that are too large, or none at all.

        Raises InvalidRecipe.
        """
        for side, value in (("width", self.width), ("height", self.height)):
            if value is not None and not 1 <= value <= max_side:
                raise OutOfLimits(side, f"The {side} must be from 1 to {max_side} pixels.")

    def decided(self, source: str, moves: bool) -> "Output":
        """Give the output with its format decided, given the source's and whether it moves."""
        if self.format != "source":
            return self
        if self.animated and moves:
            return replace(self, format="gif" if source == "gif" else "webp")
        format = NEAREST_FORMAT.get(source, cast(Format, source))
        return replace(self, format=format, animated=False)

    @property
    def pixels(self) -> int:
        """Count the pixels of the thumbnail, at most.

        Where one side is None, the count is that of a square source. The engine counts again, once
        it knows the shape of the source.
        """
        return (self.width or self.height or 0) * (self.height or self.width or 0)

    @property
    def encoder_quality(self) -> int | None:
        """The best quality to encode with, of a decided format; None where it is lossless."""
        default = DEFAULT_QUALITY[cast(Format, self.format)]
        return default and (self.quality or default)

    @property
    def file_name(self) -> str:
        """The name of the thumbnail's file, of a decided format: `square.jpg`."""
        return f"{self.name}.{EXTENSIONS[cast(Format, self.format)]}"


class TooManyOutputs(OutOfLimits):
    """Report a recipe that asks for too much in all.

    `output` is the first one that is over the limit.
    """

    def __init__(self, output: Output, sentence: str) -> None:
        super().__init__("outputs", sentence)
        self.output = output


# Shown to whoever chooses what the crops keep; nobody asked for it, so it is no thumbnail.
WHOLE = Output("whole-image", 640, 640, format="webp")


@dataclass(frozen=True)
class Recipe:
    """List the outputs a job makes from each image, in the order they are shown."""

    outputs: tuple[Output, ...]

    def __post_init__(self) -> None:
        """Refuse an empty or ambiguous list.

        Raises InvalidRecipe.
        """
        if not self.outputs:
            raise InvalidRecipe("outputs", "Choose at least one output.")
        if len({(output.name, output.format) for output in self.outputs}) < len(self.outputs):
            raise InvalidRecipe("outputs", "Two outputs have the same name and format.")
        sources = [output.name for output in self.outputs if output.format == "source"]
        others = {output.name for output in self.outputs if output.format != "source"}
        if others.intersection(sources):  # Of some sources, they would have the same file.
            raise InvalidRecipe(
                "outputs", "An output in the source's format needs a name of its own."
            )

    def focused(self, focus: Point) -> "Recipe":
        """Give the recipe with another focal point for all that is cropped."""
        return Recipe(
            tuple(
                replace(output, focus=focus) if output.fit == "cover" else output
                for output in self.outputs
            )
        )

    def with_whole(self) -> "Recipe":
        """Add a small picture of all of the image, where there is no other and outputs crop it."""
        fits = {output.fit for output in self.outputs}
        if "cover" not in fits or "contain" in fits:
            return self
        return Recipe((*self.outputs, WHOLE))

    def by_look(self, side: int, least: int) -> list[Output]:
        """Put first what is best to know an image by, where about `side` pixels are to be filled.

        That is an uncropped output of at least so many, or else of `least`, or what is large.
        """

        def rank(output: Output) -> tuple[int, int]:
            longest = max(output.width or 0, output.height or 0)
            if output.fit != "cover" and longest >= least:
                return (0, longest) if longest >= side else (1, -longest)
            return (2, longest) if longest >= side else (3, -longest)

        return sorted(self.outputs, key=rank)

    @property
    def pixels(self) -> int:
        """Count the pixels of all outputs, before the source is known."""
        return sum(output.pixels for output in self.outputs)

    @property
    def crops(self) -> bool:
        """Whether any output shows only a part of the image, so that a focal point matters."""
        return any(output.fit == "cover" for output in self.outputs)

    def to_json(self) -> str:
        """Write the recipe as the text that `from_json` reads."""
        return json.dumps([asdict(output) for output in self.outputs])

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Read a recipe that `to_json` wrote.

        Raises InvalidRecipe.
        """
        return cls(tuple(_output_from_json(fields) for fields in json.loads(text)))


def _output_from_json(fields: dict[str, Any]) -> Output:
    if isinstance(fields.get("focus"), list):  # JSON has no tuples.
        fields["focus"] = tuple(fields["focus"])
    return Output(**fields)


def _size_name(width: int | None, height: int | None, fit: Fit, format: AskedFormat) -> str:
    """Name an output by its size: `640x360-cover`, `320w`, `200h`, `320w-source`."""
    suffix = "-source" if format == "source" else ""
    if height is None:
        return f"{width}w{suffix}"
    if width is None:
        return f"{height}h{suffix}"
    return f"{width}x{height}-{fit}{suffix}"


def combine(outputs: Iterable[Output], limits: RecipeLimits) -> Recipe:
    """Make one recipe, within the limits, of outputs from several places.

    What is asked for twice is made once; different outputs of one name get a number.
    Raises InvalidRecipe.
    """
    asked = list(dict.fromkeys(outputs))
    if len(asked) > limits.max_outputs:
        sentence = f"A recipe has at most {limits.max_outputs} outputs."
        raise TooManyOutputs(asked[limits.max_outputs], sentence)
    totals = list(accumulate(output.pixels for output in asked))
    for output, total in zip(asked, totals, strict=True):
        if total > limits.max_output_megapixels * 1e6:
            raise TooManyOutputs(
                output,
                "The outputs of a recipe have at most"
                f" {limits.max_output_megapixels:g} megapixels in all. These have"
                f" {ceil(totals[-1] / 1e5) / 10:g}: ask for fewer or smaller ones.",
            )
    taken: dict[tuple[str, str], int] = {(WHOLE.name, WHOLE.format): 1}
    named = []
    for output in asked:
        output.check_sides(limits.max_side)
        key = (output.name, output.format)
        count = taken[key] = taken.get(key, 0) + 1
        named.append(output if count == 1 else replace(output, name=f"{output.name}-{count}"))
    return Recipe(tuple(named))


def responsive_set(widths: Iterable[int], formats: Iterable[AskedFormat]) -> tuple[Output, ...]:
    """Return the outputs of a responsive set.

    There is one for each distinct width in each distinct format.

    Raises InvalidRecipe.
    """
    return tuple(
        Output(_size_name(width, None, "contain", format), width, None, format=format)
        for width, format in product(dict.fromkeys(widths), dict.fromkeys(formats))
    )


_WRONG_FOCUS = "The focal point must be smart, or two numbers from 0 to 1."
