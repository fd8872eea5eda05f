"""Make the thumbnails of one image file, from opening to encoding.

A box or size is (width, height), a region (left, top, right, bottom), in pixels.
"""

from collections.abc import Callable, Collection, Iterable
from typing import IO, cast

from PIL import Image

from webapp.engine import geometry
from webapp.engine.animation import PIXEL_FACTOR, Picture, find_animation, make_pictures
from webapp.engine.cicp import P3_PROFILE
from webapp.engine.color import dominant_color
from webapp.engine.decoding import Decoded, decode
from webapp.engine.encoding import Encoded, background_of, composed_size, encode_output
from webapp.engine.errors import TooManyOutputPixels, translate_decoder_errors
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits
from webapp.engine.opening import format_of, open_image
from webapp.engine.result import MadeThumbnail, Result
from webapp.engine.srgb import orient_and_convert
from webapp.engine.thumbhash import thumbhash
from webapp.recipes.outputs import OVERVIEW, Format, Output, Recipe

Write = Callable[[int, bytes], None]

_SAMPLE_SIDE = 64  # Pixels of the shorter side of the sample for ThumbHash and colour.


def make_thumbnails(
    source: IO[bytes],
    recipe: Recipe,
    write: Write,
    limits: ImageLimits,
    kept: Collection[int] = (),
) -> Result:
    """Decode an image once and write a file for each output of a recipe.

    `write` gets the output's number in the recipe, from 0, and the file's content. The outputs
    whose numbers are in `kept` have their files already: no file is written for them, and all
    others have the content that they would have without `kept`.

    The thumbnails are in the order of the recipe, upright and without metadata. They are in sRGB,
    or in Display P3 if their output keeps it. One with a free side is skipped if it would repeat an
    earlier one or a kept one.

    A thumbnail that shows all of the source, in its format and size, is never larger: if encoding
    makes it so, it is a copy of the source without metadata. Exceptions are an AVIF, and a picture
    that is rotated, converted to sRGB or keeps its copyright notice: these have to be encoded, in
    the requested quality and whatever their size.

    Raises ImageError, MemoryError, or what `write` raises; some files may be written by then.
    """
    with translate_decoder_errors():
        image = open_image(source, limits)
    wants_animation = any(output.animated for output in recipe.outputs)
    animation = find_animation(image, source, limits) if wants_animation else None
    format, is_animated = format_of(image).lower(), animation is not None
    outputs = [output.with_resolved_format(format, is_animated) for output in recipe.outputs]
    decoded = decode(image, source, outputs)
    _check_pixels(outputs, decoded.header, animation.count if animation else 1, limits)
    pictures = make_pictures(animation, decoded, outputs, limits)
    made = _write_all(pictures, decoded, outputs, write, source, kept)
    sample = _sample(pictures)
    return Result(
        decoded.header, thumbhash(sample), dominant_color(sample), made, decoded.found_point
    )


def _check_pixels(
    outputs: Iterable[Output], source: Header, frames: int, limits: ImageLimits
) -> None:
    """Raise TooManyOutputPixels if all thumbnails have too many pixels."""
    pixels = 0.0
    size = (source.width, source.height)
    for output, (width, height) in geometry.predict_sizes(outputs, source.format, size):
        if output.name == OVERVIEW.name:
            continue  # We add it; no user has an output of that name.
        factor = max(1, frames / PIXEL_FACTOR) if output.animated else 1
        pixels += width * height * factor
    if pixels > limits.max_output_megapixels * 1e6:
        raise TooManyOutputPixels(pixels, limits.max_output_megapixels)


def _write_all(
    pictures: Iterable[Picture],
    decoded: Decoded,
    outputs: Iterable[Output],
    write: Write,
    source: IO[bytes],
    kept: Collection[int],
) -> list[MadeThumbnail]:
    """Write a file for each output, except kept ones and duplicates of a width."""
    all_of = [
        (number, output, picture, _look(picture, output, decoded.rights))
        for number, (output, picture) in enumerate(zip(outputs, pictures, strict=True))
    ]
    widths = geometry.Widths()
    for number, output, _, look in all_of:
        if number in kept:
            widths.add(output, look)
    encoded: dict[tuple[object, ...], Encoded] = {}
    made = []
    for number, output, picture, look in all_of:
        if number in kept or widths.has(output, look):
            continue
        widths.add(output, look)
        key = (look, output.encoder_quality, output.max_bytes)
        if key not in encoded:
            encoded[key] = encode_output(picture, output, decoded, source)
        size, format = composed_size(picture, output), cast(Format, output.format)
        content, quality = encoded[key]
        write(number, content)
        made.append(MadeThumbnail(number, output.file_name, *size, len(content), format, quality))
    return made


def _look(picture: Picture, output: Output, rights: bytes) -> tuple[object, ...]:
    """List what an output's file depends on, but for quality and bytes."""
    return (
        picture.plan,
        output.format,
        picture.timing is not None,
        picture.is_p3,
        composed_size(picture, output),
        background_of(picture, output),
        bool(output.keep_copyright and rights),
    )


def _sample(pictures: Iterable[Picture]) -> Image.Image:
    """Return the smallest picture, reduced for ThumbHash and colour, in sRGB."""
    smallest = min(pictures, key=lambda picture: picture.frames[0].width * picture.frames[0].height)
    first = smallest.frames[0]
    sample = first.reduce(max(1, min(first.size) // _SAMPLE_SIDE))
    return orient_and_convert(sample, 1, P3_PROFILE) if smallest.is_p3 else sample
