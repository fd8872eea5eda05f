"""Turn one image file into its thumbnails: decode once, fit, orient, colour, encode.

Pillow only; this module knows neither Flask nor the queue. A box or size is (width, height), a
region (left, top, right, bottom), in pixels.
"""

from collections.abc import Callable, Iterable
from typing import IO, cast

from PIL import Image

from webapp.engine.animation import _ANIMATION_SHARE, _frame_numbers, _make_pictures, _Picture
from webapp.engine.color import dominant_color
from webapp.engine.decoding import _decode, _Decoded
from webapp.engine.encoding import _composed_size, _encode_output, _Encoded, _ground
from webapp.engine.errors import TooManyOutputPixels, decoder_faults
from webapp.engine.geometry import foresee
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits
from webapp.engine.opening import format_of, open_image
from webapp.engine.result import Result, Thumbnail
from webapp.engine.thumbhash import thumbhash
from webapp.recipes.outputs import OVERVIEW, Format, Output, Recipe

Write = Callable[[int, bytes], None]


def make_thumbnails(source: IO[bytes], recipe: Recipe, write: Write, limits: ImageLimits) -> Result:
    """Decode an image once and write a file for each output of a recipe.

    `write` gets the output's number in the recipe, from 0, and the file's content.

    Thumbnails come in the order of the recipe, upright, in sRGB and without metadata. One with a
    free side is left out if it would be the same as an earlier one: of a small source, all the
    larger widths of a responsive set come out at its own size.

    A thumbnail that shows all that the source does, in its format and size, is never larger: where
    encoding makes it so, it is the source itself without metadata. Not of an AVIF, nor where the
    picture is turned, its colours are converted or its copyright notice is kept: that takes
    encoding, in the quality asked for and whatever it costs.

    Raises ImageError, MemoryError, or what `write` raises; files may be written by then.
    """
    with decoder_faults():
        image = open_image(source, limits)
    is_movement_asked_for = any(output.animated for output in recipe.outputs)
    numbers = _frame_numbers(image) if is_movement_asked_for else range(1)
    format, moves = format_of(image).lower(), len(numbers) > 1
    outputs = [output.with_resolved_format(format, moves) for output in recipe.outputs]
    decoded = _decode(image, source, outputs)
    _check_pixels(outputs, decoded.header, len(numbers), limits)
    pictures = _make_pictures(image, numbers, decoded, outputs, limits)
    made = _write_all(pictures, decoded, outputs, write, source)
    sample = _sample([picture.frames[0] for picture in pictures])
    return Result(decoded.header, thumbhash(sample), dominant_color(sample), made)


def _check_pixels(
    outputs: Iterable[Output], source: Header, frames: int, limits: ImageLimits
) -> None:
    """Refuse to make too many pixels. Raises TooManyOutputPixels."""
    pixels = 0.0
    for output, (width, height) in foresee(outputs, (source.width, source.height)):
        if output.name == OVERVIEW.name:
            continue  # We add it, and nobody else has an output of that name.
        moving = max(1, frames / _ANIMATION_SHARE) if output.animated else 1
        pixels += width * height * moving
    if pixels > limits.max_output_megapixels * 1e6:
        raise TooManyOutputPixels(pixels, limits.max_output_megapixels)


def _sample(pictures: Iterable[Image.Image]) -> Image.Image:
    """Give the smallest picture, and no larger than placeholders look at."""
    smallest = min(pictures, key=lambda picture: picture.width * picture.height)
    return smallest.reduce(max(1, min(smallest.size) // _SAMPLE_SIDE))


_SAMPLE_SIDE = 64  # Pixels of the shorter side.


# Decoding and resizing


# Stills and animations


# Finishing: on the small picture, where it costs next to nothing


# Encoding


def _write_all(
    pictures: Iterable[_Picture],
    decoded: _Decoded,
    outputs: Iterable[Output],
    write: Write,
    source: IO[bytes],
) -> list[Thumbnail]:
    """Write a file for each output; of the widths of a set, none that looks like one before it."""
    encoded: dict[tuple[object, ...], _Encoded] = {}
    made = []
    for number, (output, picture) in enumerate(zip(outputs, pictures, strict=True)):
        look = _look(picture, output, decoded.rights)
        if look not in encoded:
            encoded[look] = _encode_output(picture, output, decoded, source)
        elif None in (output.width, output.height):
            continue
        size, format = _composed_size(picture, output), cast(Format, output.format)
        content, quality = encoded[look]
        write(number, content)
        made.append(Thumbnail(output.file_name, *size, len(content), format, quality))
    return made


def _look(picture: _Picture, output: Output, rights: bytes) -> tuple[object, ...]:
    """List all that an output's file depends on: with the same list, it comes out the same."""
    return (
        picture.cut,
        picture.timing is not None,
        _composed_size(picture, output),
        _ground(picture, output),
        output.format,
        output.encoder_quality,
        output.max_bytes,
        bool(output.keep_copyright and rights),
    )
