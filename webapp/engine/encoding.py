"""Compose thumbnails and write them in their formats."""

import io
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import IO, Any, cast

from PIL import AvifImagePlugin, Image

from webapp.engine import strip
from webapp.engine.animation import _Picture, _Timing
from webapp.engine.color import _is_in_srgb
from webapp.engine.decoding import _Decoded
from webapp.engine.errors import ByteBudget
from webapp.engine.geometry import Cut, box_of
from webapp.recipes.outputs import Format, Output, Size

# JPEG plain: optimised or progressive takes 2 to 5 times as long for 4 to 7 % fewer bytes. WebP 2:
# 4 takes twice as long for 3 %. AVIF 10: 8 takes three times as long for 5 to 13 %.
_ENCODING: Mapping[Format, Mapping[str, Any]] = {
    "jpeg": {"subsampling": "4:2:0"},
    "webp": {"method": 2},
    "avif": {"speed": 10, "max_threads": AvifImagePlugin.DEFAULT_MAX_THREADS},
    "png": {"compress_level": 6},
    "gif": {},
}


def _composed_size(picture: _Picture, output: Output) -> Size:
    return box_of(output) if output.fit == "pad" else picture.frames[0].size


def _ground(picture: _Picture, output: Output) -> str | None:
    """Name the background, where the output shows it: around a padded picture, under a JPEG."""
    first = picture.frames[0]
    shows_through = output.format == "jpeg" and first.mode in ("LA", "RGBA")
    is_padded = _composed_size(picture, output) != first.size
    return output.background if is_padded or shows_through else None


def _compose(picture: _Picture, output: Output) -> list[Image.Image]:
    """Lay the background where the output shows it."""
    ground = _ground(picture, output)
    if ground is None:
        return picture.frames
    size = _composed_size(picture, output)
    return [_lay(frame, ground, size, output.format == "jpeg") for frame in picture.frames]


def _lay(image: Image.Image, ground: str, size: Size, flat: bool) -> Image.Image:
    """Put a picture into the middle of a larger ground, and flat onto it or with its alpha."""
    has_alpha, is_clear = image.mode in ("LA", "RGBA"), ground == "transparent"
    color = "#ffffff00" if is_clear else ground
    canvas = Image.new("RGB" if flat or not (has_alpha or is_clear) else "RGBA", size, color)
    corner = ((size[0] - image.width) // 2, (size[1] - image.height) // 2)
    image = image.convert("RGBA" if has_alpha else "RGB")
    canvas.paste(image, corner, image if has_alpha and flat else None)
    return canvas


_Encoded = tuple[bytes, int | None]  # A file and its quality.


def _encode_output(
    picture: _Picture, output: Output, decoded: _Decoded, source: IO[bytes]
) -> _Encoded:
    """Encode in memory, so that a full disk keeps its own error.

    A file that could be a copy of the source becomes one where it would be larger than that.
    Raises ByteBudget.
    """
    frames = _compose(picture, output)
    format = cast(Format, output.format)
    rights = decoded.rights if output.keep_copyright else b""
    options: dict[str, Any] = {"exif": rights} if rights else {}
    if picture.timing:
        options |= _moving(frames, picture.timing, format)
    limit = output.max_bytes or sys.maxsize
    encode = partial(_encode, frames[0], format, options)
    content, quality = _encode_within(limit, encode, output.encoder_quality)
    if len(content) > source.seek(0, io.SEEK_END) and _is_copy(picture, output, decoded):
        content, quality = strip.read_bare(source, format), None
    if len(content) > limit:
        raise ByteBudget(output.file_name, limit, len(content))
    return content, quality


def _moving(frames: list[Image.Image], timing: _Timing, format: Format) -> dict[str, Any]:
    """Tell the encoder of the frames after the first, and when they are shown."""
    options: dict[str, Any] = {
        "save_all": True,
        "append_images": frames[1:],
        "duration": timing.durations,
        "loop": timing.plays,
    }
    if format == "gif":
        if any(frame.mode == "RGBA" for frame in frames):
            # Clear each frame for the next: opaque ones store only what changes.
            options["disposal"] = 2
        # GIF counts repeats, and is shown once where it does not.
        options["loop"] = {0: 0, 1: None}.get(timing.plays, timing.plays - 1)
    return options


def _is_copy(picture: _Picture, output: Output, decoded: _Decoded) -> bool:
    """Say whether the source, bare, shows what the output does: nothing is turned or converted."""
    header = decoded.header
    size = (header.width, header.height)
    return (
        output.format == header.format
        and header.format in strip.FORMATS
        and header.orientation == 1
        and picture.cut == Cut((0, 0, *size), size)
        and _composed_size(picture, output) == size
        and _is_in_srgb(decoded.frame.image.mode, decoded.profile)
        # Bare, a PNG is still, and a GIF is only made to move if it can.
        and (header.format != "webp" or decoded.is_moving_webp == (picture.timing is not None))
        and not (output.keep_copyright and decoded.rights)
    )


def _encode_within(limit: int, encode: Callable[[int | None], bytes], best: int | None) -> _Encoded:
    """Encode with the best quality whose file is within the limit, or else as small as can be.

    Bisecting 100 qualities takes at most 7 encodes, after the one that most often does.
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
    return encoded.getvalue()
