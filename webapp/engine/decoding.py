"""Decode a still image and resize it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO

from PIL import Image

from webapp.engine import vips
from webapp.engine.cicp import Cicp
from webapp.engine.errors import translate_decoder_errors
from webapp.engine.exif import oriented_size, read_exif, read_rights
from webapp.engine.focus import find_focal_point
from webapp.engine.formats import gif, isobmff, jpeg
from webapp.engine.formats.isobmff import Crop
from webapp.engine.geometry import Region, ResizePlan, plan, plan_contain
from webapp.engine.header import Header
from webapp.engine.modes import to_resizable_mode
from webapp.engine.opening import format_of
from webapp.engine.srgb import Profile, is_wide, orient_and_convert
from webapp.recipes.outputs import Output, Point, Size

# How much larger than its result a picture must be to be resized from. Less loses sharpness; more
# makes no visible difference: from 1.3 on, a draft decode plus LANCZOS is at least 42 dB from a
# full decode.
_HEADROOM = 1.3
_FOCAL_POINT_SIDE = 128  # Pixels of the longer side of the copy in which the focal point is found.


@dataclass(frozen=True)
class Frame:
    """A picture of a region of the source.

    `extent` is the exact size of the region in it, which can be less than a whole number of pixels.
    """

    image: Image.Image
    region: Region
    extent: tuple[float, float]

    def box(self, region: Region) -> Region:
        """Return a region of the source in the picture's own pixels."""
        left, top, right, bottom = self.region
        x, y = self.extent[0] / (right - left), self.extent[1] / (bottom - top)
        return (
            max((region[0] - left) * x, 0),
            max((region[1] - top) * y, 0),
            # Rounding errors must not reach beyond the picture: resize() would raise.
            min((region[2] - left) * x, self.image.width),
            min((region[3] - top) * y, self.image.height),
        )

    def suits(self, plan: ResizePlan) -> bool:
        """Return True if this picture does as well as the source."""
        left, top, right, bottom = self.box(plan.region)
        return (
            self.region[0] <= plan.region[0]
            and self.region[1] <= plan.region[1]
            and self.region[2] >= plan.region[2]
            and self.region[3] >= plan.region[3]
            and right - left >= plan.size[0] * _HEADROOM
            and bottom - top >= plan.size[1] * _HEADROOM
        )

    def resize(self, plan: ResizePlan) -> "Frame":
        """Return the region of a plan, resized to its size."""
        box = self.box(plan.region)
        image = vips.resize(self.image, plan.size, box) or self.image.resize(
            plan.size, Image.Resampling.LANCZOS, box, reducing_gap=2.0
        )
        return Frame(image, plan.region, plan.size)


@dataclass(frozen=True)
class Decoded:
    """The pixels of a source, as stored, and what it takes to finish them."""

    header: Header
    frame: Frame
    found_point: Point | None  # The focal point that was found, if an output asks for it.
    plans: list[ResizePlan]  # As stored; one for each output, equal if outputs share a picture.
    orientation: int  # Still to be applied.
    profile: Profile | None
    rights: bytes  # EXIF with the author and the copyright notice, if there is either.
    is_animated_webp: bool

    def finish(self, image: Image.Image, to_p3: bool) -> Image.Image:
        """Return a resized picture upright, in sRGB or in Display P3."""
        return orient_and_convert(image, self.orientation, self.profile, to_p3)

    def keeps_p3(self, output: Output) -> bool:
        """Return True if the output is written in Display P3."""
        is_asked = output.color == "keep" and output.format != "gif"
        return is_asked and is_wide(self.frame.image.mode, self.profile)


def decode(image: Image.Image, source: IO[bytes], outputs: Iterable[Output]) -> Decoded:
    """Decode an open image at the smallest scale that serves all outputs.

    Raises ImageError.
    """
    with translate_decoder_errors():
        use_vips = vips.can_read(image)
        orientation, had_gps = read_exif(image)  # Pillow no longer has that of a loaded TIFF.
        if format_of(image) != "JPEG" and not use_vips:
            image.load()
    tag, crop = _read_tags(image, source)
    if crop:  # In place, as ImageOps.exif_transpose: Pillow leaves the crop of an AVIF to us.
        image.im = image.im.crop(crop)
        image._size = image.im.size
    oriented = oriented_size(image, orientation)
    still_to_apply = 1 if image.format == "TIFF" else orientation
    scale = max(plan(output, oriented).scale for output in outputs)  # Whatever the focal point is.
    frame = _read_with_vips(image, source, scale) if use_vips else None
    frame = frame or _read(image, source, scale)
    is_smart = any(output.fit == "cover" and output.focus == "smart" for output in outputs)
    found_point = _find_focal_point(frame, oriented, still_to_apply) if is_smart else None
    return Decoded(
        header=Header(format_of(image).lower(), *oriented, orientation, had_gps),
        frame=frame,
        found_point=found_point,
        plans=[
            plan(output, oriented, found_point).as_stored(oriented, still_to_apply)
            for output in outputs
        ],
        orientation=still_to_apply,
        profile=image.info.get("icc_profile") or tag,
        rights=read_rights(image),
        is_animated_webp=image.format == "WEBP" and getattr(image, "is_animated", False),
    )


def resize_all(source: Frame, plans: Iterable[ResizePlan]) -> dict[ResizePlan, Image.Image]:
    """Resize for each distinct plan, from the smallest picture that suits."""
    frames = [source]
    made = {}
    for wanted in sorted(set(plans), key=lambda plan: plan.scale, reverse=True):
        base = next((frame for frame in reversed(frames) if frame.suits(wanted)), source)
        frames.append(base.resize(wanted))
        made[wanted] = frames[-1].image
    return made


def _read_tags(image: Image.Image, source: IO[bytes]) -> tuple[Cicp | None, Crop | None]:
    """Read what Pillow does not: the tag of the colours, and an AVIF's crop."""
    if image.format in ("AVIF", "HEIF"):
        return isobmff.read_tags(source)
    return image.info.get("cicp"), None


def _read(image: Image.Image, source: IO[bytes], scale: float) -> Frame:
    """Decode with Pillow; a JPEG at 1/2, 1/4 or 1/8 if that leaves enough.

    1001 pixels at 1/8 are 125.125, in a picture of 126: resizing all 126 would stretch it.
    """
    stored = image.size
    wanted = [max(1, int(side * scale * _HEADROOM)) for side in stored]
    with translate_decoder_errors():
        drafted = image.draft(None, (wanted[0], wanted[1]))
        extent = drafted[1][2:] if drafted else stored
        try:
            image.load()
        except OSError:
            if format_of(image) != "JPEG":
                raise
            Image.Image.close(image)  # Frees its pixels; its own close() would close the source.
            image = jpeg.load_without_end(source, (wanted[0], wanted[1]))
    return Frame(to_resizable_mode(gif.clear_uncovered(image)), (0, 0, *stored), extent)


def _read_with_vips(image: Image.Image, source: IO[bytes], scale: float) -> Frame | None:
    read = vips.read(source, image, scale)
    return Frame(read[0], (0, 0, *image.size), read[1]) if read else None


def _find_focal_point(frame: Frame, oriented: Size, orientation: int) -> Point:
    """Find the focal point in a small upright copy, without its profile."""
    box = (_FOCAL_POINT_SIDE, _FOCAL_POINT_SIDE)
    small = plan_contain(box, oriented, enlarge=False).as_stored(oriented, orientation)
    return find_focal_point(
        orient_and_convert(frame.resize(small).image, orientation, profile=None)
    )
