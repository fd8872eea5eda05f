"""Decode a still image and resize it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, cast

from PIL import Image, TiffImagePlugin

from webapp.engine import vips
from webapp.engine.color import _finish
from webapp.engine.errors import decoder_faults
from webapp.engine.exif import read_exif, read_rights, seen_size
from webapp.engine.focus import find_focus
from webapp.engine.formats.png import has_late_metadata
from webapp.engine.geometry import Cut, Region, plan, plan_contain
from webapp.engine.header import Header
from webapp.engine.opening import format_of
from webapp.recipes.outputs import Output, Point, Size

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
