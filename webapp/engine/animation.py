"""Read the frames of an animation."""

from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image

from webapp.engine.decoding import _Decoded, _Frame, _resizable, _resize_all
from webapp.engine.errors import TooManyFrames, decoder_faults
from webapp.engine.geometry import Cut
from webapp.engine.limits import ImageLimits
from webapp.recipes.outputs import Output

_ANIMATED = ("GIF", "WEBP", "PNG")  # The pages of a TIFF and the pictures of an MPO do not move.
_ANIMATION_SHARE = 10  # An animation may have this many times the pixels of a picture, in all.


@dataclass(frozen=True)
class _Timing:
    """Say how long each frame of an animation is shown, and how often all are."""

    durations: list[int]  # Milliseconds.
    plays: int  # 0 is for ever.


@dataclass(frozen=True)
class _Picture:
    """Hold what an output shows, upright and in sRGB: one frame, or all of an animation."""

    cut: Cut
    frames: list[Image.Image]
    timing: _Timing | None = None  # None where it does not move.


def _make_pictures(
    image: Image.Image,
    numbers: range,
    decoded: _Decoded,
    outputs: Iterable[Output],
    limits: ImageLimits,
) -> list[_Picture]:
    """Make the picture of each output; decode the rest of an animation if one asks for it."""
    wanted = [
        (cut, output.animated and len(numbers) > 1)
        for output, cut in zip(outputs, decoded.cuts, strict=True)
    ]
    stills = _resize_all(decoded.frame, (cut for cut, moves in wanted if not moves))
    made = {(cut, False): _Picture(cut, [decoded.finish(still)]) for cut, still in stills.items()}
    moving = {cut for cut, moves in wanted if moves}
    if moving:  # Last: it moves the image on.
        animations = _read_animation(image, numbers, decoded, moving, limits)
        made |= {(picture.cut, True): picture for picture in animations}
    return [made[key] for key in wanted]


def _frame_numbers(image: Image.Image) -> range:
    """Number the frames that are shown: a PNG may have a picture for who cannot see it move."""
    if image.format not in _ANIMATED:
        return range(1)
    with decoder_faults():
        count = getattr(image, "n_frames", 1)
    return range(1 if getattr(image, "default_image", False) else 0, count)


def _read_animation(
    image: Image.Image,
    numbers: range,
    decoded: _Decoded,
    cuts: Iterable[Cut],
    limits: ImageLimits,
) -> list[_Picture]:
    """Decode all frames, and make each cut of each."""
    if len(numbers) > limits.max_frames:
        raise TooManyFrames(f"{limits.max_frames} frames")
    most = _ANIMATION_SHARE * limits.max_megapixels_other
    if len(numbers) * image.width * image.height > most * 1e6:
        raise TooManyFrames(f"{most:g} megapixels in all its frames")
    timing = _Timing([], _read_plays(image))
    pictures = [_Picture(cut, [], timing) for cut in cuts]
    for number in numbers:
        with decoder_faults():
            image.seek(number)
            image.load()
        whole = _Frame(_resizable(image), (0, 0, *image.size), image.size)
        timing.durations.append(int(image.info.get("duration") or 100))
        for picture in pictures:
            picture.frames.append(_colored(decoded.finish(whole.cut(picture.cut).image)))
    return pictures


def _read_plays(image: Image.Image) -> int:
    """Tell how often an animation is shown; 0 is for ever. GIF tells how often it is repeated."""
    loop = image.info.get("loop")
    if image.format != "GIF":
        return loop or 0
    return 1 if loop is None else loop and loop + 1


def _colored(image: Image.Image) -> Image.Image:
    """Bring a frame to the mode of all, RGB, or to RGBA where something shows through.

    A GIF's colours come out better without an alpha channel that hides nothing.
    """
    has_alpha = image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema() != (255, 255)
    return image.convert("RGBA" if has_alpha else "RGB")
