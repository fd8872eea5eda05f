"""Make the picture of each output: a still, or the frames of an animation."""

from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image

from webapp.engine.decoding import Decoded, Frame, resize_all, to_resizable_mode
from webapp.engine.errors import TooManyFrames, translate_decoder_errors
from webapp.engine.geometry import ResizePlan
from webapp.engine.limits import ImageLimits
from webapp.recipes.outputs import Output

PIXEL_FACTOR = 10  # All frames together may have this many times the pixels of a still.
_ANIMATED = ("GIF", "WEBP", "PNG")  # The pages of a TIFF and the pictures of an MPO do not count.


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


def frame_numbers(image: Image.Image) -> range:
    """Return the numbers of the frames that are shown.

    The first picture of an animated PNG may be only for readers that do not animate.
    """
    if image.format not in _ANIMATED:
        return range(1)
    with translate_decoder_errors():
        count = getattr(image, "n_frames", 1)
    return range(1 if getattr(image, "default_image", False) else 0, count)


def make_pictures(
    image: Image.Image,
    numbers: range,
    decoded: Decoded,
    outputs: Iterable[Output],
    limits: ImageLimits,
) -> list[Picture]:
    """Make the picture of each output.

    Decodes the rest of an animation only if an output asks for it. Raises ImageError.
    """
    wanted = [
        (plan, decoded.keeps_p3(output), output.animated and len(numbers) > 1)
        for output, plan in zip(outputs, decoded.plans, strict=True)
    ]
    stills = {(plan, is_p3) for plan, is_p3, is_animated in wanted if not is_animated}
    resized = resize_all(decoded.frame, (plan for plan, _ in stills))
    made = {
        (plan, is_p3, False): Picture(plan, is_p3, [decoded.finish(resized[plan], is_p3)])
        for plan, is_p3 in stills
    }
    animated = {(plan, is_p3) for plan, is_p3, is_animated in wanted if is_animated}
    if animated:  # After the stills: seeking replaces the frame that is loaded.
        animations = _read_animation(image, numbers, decoded, animated, limits)
        made |= {(picture.plan, picture.is_p3, True): picture for picture in animations}
    return [made[key] for key in wanted]


def _read_animation(
    image: Image.Image,
    numbers: range,
    decoded: Decoded,
    plans: Iterable[tuple[ResizePlan, bool]],
    limits: ImageLimits,
) -> list[Picture]:
    """Decode all frames and resize them by plan and `is_p3`.

    Raises TooManyFrames.
    """
    if len(numbers) > limits.max_frames:
        raise TooManyFrames(f"{limits.max_frames} frames")
    most = PIXEL_FACTOR * limits.max_megapixels_other
    if len(numbers) * image.width * image.height > most * 1e6:
        raise TooManyFrames(f"{most:g} megapixels in all its frames")
    timing = Timing([], _read_plays(image))
    pictures = [Picture(plan, is_p3, [], timing) for plan, is_p3 in plans]
    for number in numbers:
        with translate_decoder_errors():
            image.seek(number)
            image.load()
        frame = Frame(to_resizable_mode(image), (0, 0, *image.size), image.size)
        timing.durations.append(int(image.info.get("duration") or 100))
        for picture in pictures:
            resized = frame.resize(picture.plan).image
            picture.frames.append(_to_color(decoded.finish(resized, picture.is_p3)))
    return pictures


def _read_plays(image: Image.Image) -> int:
    """Return how often an animation is shown; 0 is for ever.

    A GIF stores the number of repeats instead.
    """
    loop = image.info.get("loop")
    if image.format != "GIF":
        return loop or 0
    return 1 if loop is None else loop and loop + 1


def _to_color(image: Image.Image) -> Image.Image:
    """Return a frame in RGB, or in RGBA if it is transparent.

    The colours of a GIF come out better without an alpha channel that hides nothing.
    """
    has_alpha = image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema() != (255, 255)
    return image.convert("RGBA" if has_alpha else "RGB")
