"""Turn one image file into its thumbnails: decode once, fit, orient, colour, encode.

Pillow only; this module knows neither Flask nor the queue. A box or size is (width, height), a
region (left, top, right, bottom), in pixels.
"""

import io
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import IO, Any, cast

from PIL import AvifImagePlugin, Image, ImageCms, TiffImagePlugin

from webapp import bare, vips
from webapp.focus import find_focus
from webapp.geometry import Cut, Region, box_of, foresee, plan, plan_contain
from webapp.placeholders import dominant_color, thumbhash
from webapp.recipes import WHOLE, Format, Output, Point, Recipe, Size
from webapp.sources import (
    TRANSPOSE,
    Header,
    ImageError,
    ImageLimits,
    decoder_faults,
    format_of,
    has_late_metadata,
    open_image,
    read_exif,
    read_rights,
    seen_size,
)

Write = Callable[[int, bytes], None]


class TooManyFrames(ImageError):
    """Decoding all of an animation would take too much time."""

    code = "too_many_frames"

    def __init__(self, excess: str) -> None:
        super().__init__(
            f"This animation has more than {excess}. Shorten it, or ask for a still picture."
        )


class TooManyOutputPixels(ImageError):
    """The thumbnails of an image would have too many pixels in all."""

    code = "too_many_output_pixels"

    def __init__(self, pixels: float, limit: float) -> None:
        super().__init__(
            f"The thumbnails of this image would have {math.ceil(pixels / 1e5) / 10:g} megapixels"
            f" in all; the limit is {limit:g}. Ask for fewer or smaller ones."
        )


class ByteBudget(ImageError):
    """No quality makes a file as small as was asked for."""

    code = "byte_budget"

    def __init__(self, file_name: str, limit: int, smallest: int) -> None:
        super().__init__(
            f"{file_name} does not fit into {limit / 1000:g} kB: it has at least"
            f" {math.ceil(smallest / 1000)} kB. Ask for fewer pixels or allow more bytes."
        )


@dataclass(frozen=True)
class Thumbnail:
    """Describe one file that was made.

    `quality` is None where there was none to choose: in a lossless format, or in a copy.
    """

    file_name: str
    width: int
    height: int
    bytes: int
    format: Format
    quality: int | None


@dataclass(frozen=True)
class Result:
    """Tell what an image was and what was made of it.

    `thumbhash` is a drawing of it in 30 characters, `color` the one that stands out: `#rrggbb`.
    """

    header: Header
    thumbhash: str
    color: str
    thumbnails: list[Thumbnail]


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
    outputs = [output.decided(format, moves) for output in recipe.outputs]
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
        if output.name == WHOLE.name:
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

# How much larger than its result a picture must be to be resized from. Less loses sharpness, more
# is not seen: from 1.3 on, a draft decode plus LANCZOS is at least 42 dB from a full decode.
_HEADROOM = 1.3
_FOCUS_SIDE = 128  # Pixels; more is not looked at.


@dataclass(frozen=True)
class _Frame:
    """Hold a picture of a region of the source; `extent` is the region's exact size in it."""

    image: Image.Image
    region: Region
    extent: tuple[float, float]

    def box(self, region: Region) -> Region:
        """Give a region of the source in the picture's own pixels."""
        left, top, right, bottom = self.region
        x, y = self.extent[0] / (right - left), self.extent[1] / (bottom - top)
        return (
            max((region[0] - left) * x, 0),
            max((region[1] - top) * y, 0),
            # The last digit of a division must not reach beyond the picture: resize() refuses it.
            min((region[2] - left) * x, self.image.width),
            min((region[3] - top) * y, self.image.height),
        )

    def suits(self, cut: Cut) -> bool:
        """Whether the cut can be made from this picture as well as from the source."""
        left, top, right, bottom = self.box(cut.region)
        return (
            self.region[0] <= cut.region[0]
            and self.region[1] <= cut.region[1]
            and self.region[2] >= cut.region[2]
            and self.region[3] >= cut.region[3]
            and right - left >= cut.size[0] * _HEADROOM
            and bottom - top >= cut.size[1] * _HEADROOM
        )

    def cut(self, cut: Cut) -> "_Frame":
        """Resize to what the cut asks for."""
        box = self.box(cut.region)
        image = vips.resize(self.image, cut.size, box) or self.image.resize(
            cut.size, Image.Resampling.LANCZOS, box, reducing_gap=2.0
        )
        return _Frame(image, cut.region, cut.size)


@dataclass(frozen=True)
class _Decoded:
    """Hold the pixels of a source, as stored, and what it takes to finish them."""

    header: Header
    frame: _Frame
    cuts: list[Cut]  # As stored; one for each output, equal where outputs share a picture.
    turn: int  # The orientation that is still to be applied.
    profile: bytes | None
    rights: bytes  # EXIF with the author and the copyright notice, if there is either.
    is_moving_webp: bool

    def finish(self, image: Image.Image) -> Image.Image:
        """Finish a picture that was resized from this source."""
        return _finish(image, self.turn, self.profile)


def _decode(image: Image.Image, source: IO[bytes], outputs: Iterable[Output]) -> _Decoded:
    """Decode an image at the smallest scale that serves all outputs."""
    with decoder_faults():
        use_vips = vips.can_read(image) and not has_late_metadata(image, source)
        # Pillow turns a TIFF while loading it, and forgets that; but a PNG may end with its EXIF.
        is_tiff = image.format == "TIFF"
        told = read_exif(image) if is_tiff else None
        if format_of(image) != "JPEG" and not use_vips:
            image.load()
    orientation, had_gps = told or read_exif(image)
    seen = seen_size(image, orientation)
    turn = 1 if is_tiff else orientation
    scale = max(plan(output, seen).scale for output in outputs)  # The same wherever the focus is.
    frame = (_read_with_vips(image, source, scale) if use_vips else None) or _read(image, scale)
    is_smart = any(output.fit == "cover" and output.focus == "smart" for output in outputs)
    smart = _find_focus(frame, seen, turn) if is_smart else None
    cuts = [plan(output, seen, smart).as_stored(seen, turn) for output in outputs]
    header = Header(format_of(image).lower(), *seen, orientation, had_gps)
    profile = image.info.get("icc_profile")
    is_moving_webp = header.format == "webp" and getattr(image, "is_animated", False)
    return _Decoded(header, frame, cuts, turn, profile, read_rights(image), is_moving_webp)


def _find_focus(frame: _Frame, seen: Size, orientation: int) -> Point:
    """Look for the detail in a small upright copy; its colours need not be exact."""
    box = (_FOCUS_SIDE, _FOCUS_SIDE)
    whole = plan_contain(box, seen, enlarge=False).as_stored(seen, orientation)
    return find_focus(_finish(frame.cut(whole).image, orientation, profile=None))


def _read(image: Image.Image, scale: float) -> _Frame:
    """Decode with Pillow; of a JPEG, 1/2, 1/4 or 1/8 if that leaves enough.

    A size of 1001 at 1/8 is 125.125, in a picture of 126 pixels: resizing all 126 would stretch it.
    """
    stored = image.size
    wanted = [max(1, int(side * scale * _HEADROOM)) for side in stored]
    with decoder_faults():
        drafted = image.draft(None, (wanted[0], wanted[1]))
        image.load()
    extent = drafted[1][2:] if drafted else stored
    return _Frame(_resizable(image), (0, 0, *stored), extent)


def _read_with_vips(image: Image.Image, source: IO[bytes], scale: float) -> _Frame | None:
    read = vips.read(source, image, scale)
    return _Frame(read[0], (0, 0, *image.size), read[1]) if read else None


def _resizable(image: Image.Image) -> Image.Image:
    """Bring a decoded image to a mode that resizes well: 8 bits a channel, alpha multiplied in.

    Straight alpha would bleed the colour of invisible pixels into the visible edge.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return _to_eight_bits(image)
    if image.mode not in ("La", "RGBa"):
        with decoder_faults():  # Pillow looks only here whether its palette is whole.
            has_alpha = image.has_transparency_data
            straight = "LA" if image.mode in ("1", "L", "LA") else "RGBA"
            image = image.convert(straight) if has_alpha else image
        if has_alpha:
            return image.convert({"LA": "La", "RGBA": "RGBa"}[straight])
    simple = {"1": "L", "P": "RGB", "RGBX": "RGB", "YCbCr": "RGB"}.get(image.mode)
    return image.convert(simple) if simple else image


# A file of other numbers does not say what white is: the least usual one that nothing exceeds. A
# lamp may be brighter than the white of floats, up to twice as bright.
_WHITES = (1.0, 255.0, 65535.0)
_LAMP = 2


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale grey of 12, 16 or 32 bits, or of floats, to 8; Pillow's `convert` would clip it."""
    if image.mode.startswith("I;16"):
        return _from_sixteen_bits(image)
    _, brightest = cast(tuple[float, float], image.getextrema())
    most = brightest / _LAMP if image.mode == "F" else brightest
    scale = 255 / next((white for white in _WHITES if most <= white), brightest)
    half = 0.5 if image.mode == "I" else 0
    return image.point(lambda value: value * scale + half).convert("L")


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    """Scale grey, and multiply in the alpha of a PNG of which one shade is transparent."""
    tags = getattr(image, "tag_v2", {})  # Pillow leaves these two of a TIFF to us.
    scale = 255 / (2 ** tags.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0] - 1)
    black = 0
    if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        scale, black = -scale, 255
    wide = image.convert("I")
    grey = wide.point(lambda value: value * scale + (black + 0.5)).convert("L")
    clear = image.info.get("transparency")
    if clear is None:
        return grey
    alpha = wide.point([255 * (value != clear) for value in range(65536)], "L")
    return Image.merge("LA", (grey, alpha)).convert("La")


def _resize_all(source: _Frame, cuts: Iterable[Cut]) -> dict[Cut, Image.Image]:
    """Make each distinct cut, largest first, from the smallest picture that suits it."""
    frames = [source]
    made = {}
    for cut in sorted(set(cuts), key=lambda cut: cut.scale, reverse=True):
        base = next((frame for frame in reversed(frames) if frame.suits(cut)), source)
        frames.append(base.cut(cut))
        made[cut] = frames[-1].image
    return made


# Stills and animations

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


# Finishing: on the small picture, where it costs next to nothing


def _finish(image: Image.Image, orientation: int, profile: bytes | None) -> Image.Image:
    """Bring a resized picture to L, LA, RGB or RGBA in sRGB, upright, without metadata."""
    straight = {"La": "LA", "RGBa": "RGBA"}.get(image.mode)
    if straight:
        image = image.convert(straight)
    image = _to_srgb(image, profile)
    if orientation in TRANSPOSE:
        image = image.transpose(TRANSPOSE[orientation])
    image.info = {}  # Encoders write what they find here: profile, comment, transparency.
    return image


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if image.mode in ("LA", "RGBA"):
        opaque = _to_srgb(image.convert(image.mode[:-1]), profile)
        opaque.putalpha(image.getchannel("A"))
        return opaque
    transform = _transform(profile, image.mode) if profile else None
    if transform:
        converted = transform.apply(image)
        return converted.convert("L") if image.mode == "L" else converted
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _is_in_srgb(mode: str, profile: bytes | None) -> bool:
    """Say whether a picture in this mode, with or without alpha, needs no conversion."""
    opaque = mode.rstrip("aA")
    return opaque in ("L", "RGB") and not (profile and _transform(profile, opaque))


_PROFILE_SPACE = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


# Made at import, as the processes that decode are forked for one image each.
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=4)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the way from a profile to sRGB; None where there is none to go.

    Cached for all sizes and frames of an image: it takes 2 ms.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != _PROFILE_SPACE.get(mode) or _is_srgb(source):
            return None
        return ImageCms.ImageCmsTransform(source, _SRGB, mode, "RGB")
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None  # A broken profile is as good as none.


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    """Tell by its name, which costs nothing, whether a profile is sRGB."""
    name = profile.profile.profile_description or ""
    return name.startswith("sRGB") and "linear" not in name.lower()


# Encoding

# JPEG plain: optimised or progressive takes 2 to 5 times as long for 4 to 7 % fewer bytes. WebP 2:
# 4 takes twice as long for 3 %. AVIF 10: 8 takes three times as long for 5 to 13 %.
_ENCODING: Mapping[Format, Mapping[str, Any]] = {
    "jpeg": {"subsampling": "4:2:0"},
    "webp": {"method": 2},
    "avif": {"speed": 10, "max_threads": AvifImagePlugin.DEFAULT_MAX_THREADS},
    "png": {"compress_level": 6},
    "gif": {},
}


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
        content, quality = bare.read_bare(source, format), None
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
        and header.format in bare.FORMATS
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
