"""Make the picture of each output: a still, or the frames of an animation."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, cast

from PIL import Image

from webapp.engine.decoding import Decoded, Frame, resize_all
from webapp.engine.errors import TooManyFrames, translate_decoder_errors
from webapp.engine.formats import gif, png
from webapp.engine.formats.frames import DEFAULT_DURATION, Disposal, StoredFrame
from webapp.engine.geometry import ResizePlan
from webapp.engine.limits import ImageLimits
from webapp.engine.modes import to_resizable_mode
from webapp.recipes.outputs import Output, Size

PIXEL_FACTOR = 10  # All frames together may have this many times the pixels of a still.
_STORED = {"GIF": gif, "PNG": png}  # Containers whose frames we compose; libwebp has its own.


@dataclass(frozen=True)
class Timing:
    """The durations of an animation's frames, and the number of plays."""

    durations: list[int]  # Milliseconds.
    plays: int  # 0 is for ever.


@dataclass(frozen=True)
class Picture:
    """One frame of an output, or all of an animation; upright.

    It is in sRGB, or in Display P3 if `is_p3`.
    """

    plan: ResizePlan
    is_p3: bool
    frames: list[Image.Image]
    timing: Timing | None = None  # None for a still.


@dataclass(frozen=True)
class Animation:
    """An animation whose frames are decoded one after the other."""

    count: int
    pixels: int  # Of all frames together.
    plays: int  # 0 is for ever.
    frames: Iterator[tuple[Image.Image, int]]  # Each with its milliseconds.


def find_animation(image: Image.Image, source: IO[bytes], limits: ImageLimits) -> Animation | None:
    """Return the animation in an open image; None if it does not move.

    Of one that has too many frames, the rest is not counted: any file can have millions.
    The first picture of an animated PNG may be only for readers that do not animate. The pages of a
    TIFF and the pictures of an MPO are no frames.
    """
    with translate_decoder_errors():
        if image.format == "WEBP" and getattr(image, "is_animated", False):
            count = cast(int, getattr(image, "n_frames", 1))
            pixels = count * image.width * image.height
            return Animation(count, pixels, image.info.get("loop", 0), _seek_frames(image))
        container = _STORED.get(str(image.format))
        stored = container.find_animation(source, limits.max_frames + 1) if container else None
    if not stored:
        return None
    pixels = max(stored.pixels, stored.count * image.width * image.height)
    return Animation(stored.count, pixels, stored.plays, _compose(stored.frames, image.size))


def make_pictures(
    animation: Animation | None,
    decoded: Decoded,
    outputs: Iterable[Output],
    limits: ImageLimits,
) -> list[Picture]:
    """Make the picture of each output.

    Decodes an animation only if an output asks for it. Raises ImageError.
    """
    wanted = [
        (plan, decoded.keeps_p3(output), output.animated and animation is not None)
        for output, plan in zip(outputs, decoded.plans, strict=True)
    ]
    stills = {(plan, is_p3) for plan, is_p3, is_animated in wanted if not is_animated}
    resized = resize_all(decoded.frame, (plan for plan, _ in stills))
    made = {
        (plan, is_p3, False): Picture(plan, is_p3, [decoded.finish(resized[plan], is_p3)])
        for plan, is_p3 in stills
    }
    animated = {(plan, is_p3) for plan, is_p3, is_animated in wanted if is_animated}
    if animation and animated:  # After the stills: seeking replaces the frame that is loaded.
        animations = _read_animation(animation, decoded, animated, limits)
        made |= {(picture.plan, picture.is_p3, True): picture for picture in animations}
    return [made[key] for key in wanted]


def _read_animation(
    animation: Animation,
    decoded: Decoded,
    plans: Iterable[tuple[ResizePlan, bool]],
    limits: ImageLimits,
) -> list[Picture]:
    """Decode all frames and resize them by plan and `is_p3`.

    Raises TooManyFrames.
    """
    if animation.count > limits.max_frames:
        raise TooManyFrames(f"{limits.max_frames} frames")
    most = PIXEL_FACTOR * limits.max_megapixels_other
    if animation.pixels > most * 1e6:
        raise TooManyFrames(f"{most:g} megapixels in all its frames")
    timing = Timing([], animation.plays)
    pictures = [Picture(plan, is_p3, [], timing) for plan, is_p3 in plans]
    for image, duration in _decode_all(animation.frames):
        frame = Frame(to_resizable_mode(image), (0, 0, *image.size), image.size)
        timing.durations.append(duration)
        for picture in pictures:
            resized = frame.resize(picture.plan).image
            picture.frames.append(_to_color(decoded.finish(resized, picture.is_p3)))
    return pictures


def _decode_all(
    frames: Iterator[tuple[Image.Image, int]],
) -> Iterator[tuple[Image.Image, int]]:
    """Decode the frames. Raises ImageError for what a decoder raises."""
    with translate_decoder_errors():
        yield from frames


def _seek_frames(image: Image.Image) -> Iterator[tuple[Image.Image, int]]:
    """Decode the frames that libwebp composes."""
    for number in range(cast(int, getattr(image, "n_frames", 1))):
        image.seek(number)
        image.load()
        yield image, int(image.info.get("duration") or DEFAULT_DURATION)


def _compose(frames: Iterable[StoredFrame], canvas_size: Size) -> Iterator[tuple[Image.Image, int]]:
    """Lay the frames over each other on a transparent canvas, as browsers do.

    Pillow composes frames too. But PngImagePlugin.py pastes a translucent frame through itself,
    which makes an opaque picture translucent, and the picture that it restores has the frame drawn
    on it already. GifImagePlugin.py clears to the background colour, which no browser shows.
    """
    canvas = Image.new("RGBA", canvas_size)
    for frame in frames:
        before = canvas.copy() if frame.disposal is Disposal.RESTORE else None
        left, top = frame.corner
        right = min(left + frame.image.width, canvas.width)
        bottom = min(top + frame.image.height, canvas.height)
        has_pixels = left < right and top < bottom
        if has_pixels:
            picture, size = frame.image, (right - left, bottom - top)
            if picture.size != size:  # crop() would copy it.
                picture = picture.crop((0, 0, *size))
            canvas = _lay(_to_color_mode(picture), canvas, frame)
        yield canvas, frame.duration
        if before:
            canvas = before
        elif frame.disposal is Disposal.CLEAR and has_pixels:
            canvas = _to_rgba(canvas)
            canvas.paste((0, 0, 0, 0), (left, top, right, bottom))


def _lay(picture: Image.Image, canvas: Image.Image, frame: StoredFrame) -> Image.Image:
    """Return the canvas with the picture of a frame on it.

    An opaque canvas is in L or RGB, which takes half of the time of RGBA, or less.
    """
    is_opaque = picture.mode != "RGBA"
    if picture.size == canvas.size and (is_opaque or not frame.is_over):
        return picture
    is_grey = canvas.mode == picture.mode == "L"
    if is_grey or (canvas.mode == "RGB" and (is_opaque or frame.is_over)):
        canvas.paste(picture, frame.corner, None if is_opaque else picture)
        return canvas
    canvas = _to_rgba(canvas)
    if frame.is_over:
        canvas.alpha_composite(_to_rgba(picture), frame.corner)
    else:
        canvas.paste(picture, frame.corner)
    is_opaque = canvas.getchannel("A").getextrema() == (255, 255)
    return canvas.convert("RGB") if is_opaque else canvas


def _to_rgba(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGBA" else image.convert("RGBA")  # convert() would copy it.


def _to_color_mode(image: Image.Image) -> Image.Image:
    """Return a decoded picture in L or RGB, or in RGBA if it may be transparent."""
    image.load()
    if image.mode.startswith("I"):
        image = to_resizable_mode(image)
    image = image.convert("LA") if image.mode == "La" else image
    opaque = "L" if image.mode in ("1", "L") else "RGB"
    mode = "RGBA" if image.has_transparency_data else opaque
    return image if image.mode == mode else image.convert(mode)  # convert() would copy it.


def _to_color(image: Image.Image) -> Image.Image:
    """Return a frame in RGB, or in RGBA if it is transparent.

    The colours of a GIF come out better without an alpha channel that hides nothing.
    """
    has_alpha = image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema() != (255, 255)
    return image.convert("RGBA" if has_alpha else "RGB")
