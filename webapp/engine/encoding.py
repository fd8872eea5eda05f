"""Put thumbnails on their backgrounds and encode them."""

import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, cast

from PIL import AvifImagePlugin, Image, ImageSequence

from webapp.engine import strip
from webapp.engine.animation import Picture, Timing
from webapp.engine.cicp import P3_PROFILE
from webapp.engine.decoding import Decoded
from webapp.engine.errors import ByteBudget, ImageError, translate_decoder_errors
from webapp.engine.formats import webp
from webapp.engine.geometry import ResizePlan, box_of
from webapp.engine.srgb import color_in_p3, needs_conversion
from webapp.recipes.outputs import Format, Output, Size

Encoded = tuple[bytes, int | None]  # A file and its quality.

# The most plays that 16 bits can store; a GIF has the number of repeats there. APNG has 32 bits.
_MOST_PLAYS: Mapping[str, int] = {"webp": 0xFFFF, "gif": 0x10000}

# JPEG plain: optimised or progressive takes 2 to 5 times as long for 4 to 7 % fewer bytes. WebP 2:
# 4 takes twice as long for 3 %. AVIF 10: 8 takes three times as long for 5 to 13 %.
_ENCODING: Mapping[Format, Mapping[str, Any]] = {
    "jpeg": {"subsampling": "4:2:0"},
    "webp": {"method": 2},
    "avif": {"speed": 10, "max_threads": AvifImagePlugin.DEFAULT_MAX_THREADS},
    "png": {"compress_level": 6},
    "gif": {},
}


def composed_size(picture: Picture, output: Output) -> Size:
    """Return the size of a thumbnail, padding included."""
    return box_of(output) if output.fit == "pad" else picture.frames[0].size


def background_of(picture: Picture, output: Output) -> str | None:
    """Return the background colour if it shows, else None.

    It shows around a padded picture, and behind a transparent one in JPEG.
    """
    first = picture.frames[0]
    shows_through = output.format == "jpeg" and first.mode in ("LA", "RGBA")
    is_padded = composed_size(picture, output) != first.size
    return output.background if is_padded or shows_through else None


@dataclass(frozen=True)
class Composed:
    """A thumbnail before it is encoded."""

    frames: list[Image.Image]
    is_p3: bool
    rights: bytes  # EXIF to write.
    can_reuse_source: bool  # The stripped source shows the same.
    timing: Timing | None = None  # None for a still.


def encode_output(picture: Picture, output: Output, decoded: Decoded, source: IO[bytes]) -> Encoded:
    """Compose a thumbnail and encode it. Raises ByteBudget."""
    return encode(compose(picture, output, decoded), output, source)


def compose(picture: Picture, output: Output, decoded: Decoded) -> Composed:
    """Put a picture on its background if that shows."""
    return Composed(
        _lay_frames(picture, output),
        picture.is_p3,
        decoded.rights if output.keep_copyright else b"",
        _can_reuse_source(picture, output, decoded),
        picture.timing,
    )


def encode(composed: Composed, output: Output, source: IO[bytes]) -> Encoded:
    """Encode in memory, so that a full disk keeps its own error.

    If the file would be larger than the source and could be a copy of it, it is a copy, provided
    that this can be read. Raises ByteBudget.
    """
    frames, format = composed.frames, cast(Format, output.format)
    options: dict[str, Any] = {"exif": composed.rights} if composed.rights else {}
    if composed.is_p3:
        options["icc_profile"] = P3_PROFILE
    if composed.timing:
        options |= _animation_options(frames, composed.timing, format)
    limit = output.max_bytes or sys.maxsize
    encode = partial(_encode, frames[0], format, options)
    content, quality = _encode_within(limit, encode, output.encoder_quality)
    source_bytes = source.seek(0, io.SEEK_END)
    if len(content) > source_bytes and composed.can_reuse_source:
        copy = _copy_source(source, format, frames[0].size)
        content, quality = (copy, None) if copy else (content, quality)
    if len(content) > limit:
        raise ByteBudget(output.file_name, limit, len(content))
    return content, quality


def _lay_frames(picture: Picture, output: Output) -> list[Image.Image]:
    """Return the frames, on the background if it shows."""
    background = background_of(picture, output)
    if background is None:
        return picture.frames
    if picture.is_p3 and background != "transparent":
        background = color_in_p3(background)
    size = composed_size(picture, output)
    is_flat = output.format == "jpeg"
    return [_paste_on(background, size, frame, is_flat) for frame in picture.frames]


def _paste_on(background: str, size: Size, image: Image.Image, is_flat: bool) -> Image.Image:
    """Paste a picture in the middle of a larger canvas.

    If the result is flat, the background shows through the picture; else the picture keeps its
    alpha.
    """
    has_alpha, is_clear = image.mode in ("LA", "RGBA"), background == "transparent"
    color = "#ffffff00" if is_clear else background
    canvas = Image.new("RGB" if is_flat or not (has_alpha or is_clear) else "RGBA", size, color)
    corner = ((size[0] - image.width) // 2, (size[1] - image.height) // 2)
    image = image.convert("RGBA" if has_alpha else "RGB")
    canvas.paste(image, corner, image if has_alpha and is_flat else None)
    return canvas


def _animation_options(frames: list[Image.Image], timing: Timing, format: Format) -> dict[str, Any]:
    """Return the options of Pillow's `save` for an animation."""
    plays = min(timing.plays, _MOST_PLAYS[format])
    options: dict[str, Any] = {
        "save_all": True,
        "append_images": frames[1:],
        "duration": timing.durations,
        "loop": plays,
    }
    if format == "gif":
        if any(frame.mode == "RGBA" for frame in frames):
            # Clear each frame before the next. Opaque frames store only what changes.
            options["disposal"] = 2
        # A GIF stores the number of repeats, and none if it is shown once.
        options["loop"] = {0: 0, 1: None}.get(plays, plays - 1)
    return options


def _can_reuse_source(picture: Picture, output: Output, decoded: Decoded) -> bool:
    """Return True if the stripped source shows what the output does."""
    header = decoded.header
    size = (header.width, header.height)
    return (
        output.format == header.format
        and header.format in strip.FORMATS
        and header.orientation == 1
        and picture.plan == ResizePlan((0, 0, *size), size)
        and composed_size(picture, output) == size
        and not needs_conversion(decoded.frame.image.mode, decoded.profile)
        # Stripping makes a PNG still; and an output is a GIF only if it is animated.
        and (header.format != "webp" or decoded.is_animated_webp == (picture.timing is not None))
        and not (output.keep_copyright and decoded.rights)
    )


def _copy_source(source: IO[bytes], format: Format, size: Size) -> bytes | None:
    """Return the stripped source; None if it cannot be read again.

    Decoders read some damaged files only with the segments that are stripped.
    """
    try:
        with translate_decoder_errors():
            content = strip.strip_metadata(source, format)
            with Image.open(io.BytesIO(content), formats=[format]) as copy:
                for frame in ImageSequence.Iterator(copy):
                    frame.load()
                return content if copy.size == size else None
    except ImageError:
        return None


def _encode_within(limit: int, encode: Callable[[int | None], bytes], best: int | None) -> Encoded:
    """Encode with the highest quality whose file is within the limit.

    If there is none, the smallest file is returned. After the first encode, which is most often
    enough, bisecting 100 qualities takes at most 7 more.
    """
    content = encode(best)
    if best is None or len(content) <= limit:
        return content, best
    smallest, low, high = (content, best), 1, best - 1
    while low <= high:
        quality = (low + high) // 2
        content = encode(quality)
        if len(content) <= limit:
            smallest, low = (content, quality), quality + 1
        else:
            high = quality - 1
            if len(content) < len(smallest[0]):
                smallest = (content, quality)
    return smallest


def _encode(
    image: Image.Image, format: Format, options: Mapping[str, Any], quality: int | None
) -> bytes:
    chosen = {} if quality is None else {"quality": quality}
    encoded = io.BytesIO()
    image.save(encoded, format, **{**_ENCODING[format], **options, **chosen})
    if format == "webp" and (flagged := webp.add_alpha_flag(encoded)):
        return flagged
    return encoded.getvalue()
