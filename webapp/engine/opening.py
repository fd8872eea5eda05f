"""Open an image file in a decode child, unless decoding is too costly."""

import io
from typing import IO, Protocol

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)
from pillow_heif import register_heif_opener

from webapp.engine.errors import Empty
from webapp.engine.formats import bmp, gif, ico, isobmff, jp2, jpeg, png, runs, tiff, webp
from webapp.engine.identify import HEAD, explain
from webapp.engine.limits import ImageLimits, check_size

# The only readers that untrusted bytes may reach. Imported here, so that no fork imports them.
_READERS = (
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    WebPImagePlugin.WebPImageFile,
    GifImagePlugin.GifImageFile,
    TiffImagePlugin.TiffImageFile,
    BmpImagePlugin.BmpImageFile,
    AvifImagePlugin.AvifImageFile,
    Jpeg2KImagePlugin.Jpeg2KImageFile,
)
_PILLOW_FORMATS = [*(str(reader.format) for reader in _READERS), "HEIF"]
_OUR_NAMES = {
    str(MpoImagePlugin.MpoImageFile.format): "JPEG",  # A JPEG followed by more pictures.
    "JPEG2000": "JP2",
    "HEIF": "HEIC",  # The name that people know.
}

Image.preinit()
# Our readers correct what Pillow's get wrong.
Image.register_open("TIFF", tiff.Reader, tiff.matches)
Image.register_open("BMP", bmp.Reader, bmp.matches)
Image.MAX_IMAGE_PIXELS = None  # Our limits differ by format, as the decoders' needs do.
# Each thread of the AVIF decoder maps 70 MB, which on a large machine exceeds the memory limit.
AvifImagePlugin.DEFAULT_MAX_THREADS = 2
# Of a HEIC, open the main picture only.
register_heif_opener(decode_threads=2, thumbnails=False, depth_images=False, aux_images=False)


class CheckedContainer(Protocol):
    """A module of `formats` that checks a file before Pillow opens it."""

    def matches(self, head: bytes) -> bool: ...

    def check(self, file: IO[bytes], limits: ImageLimits) -> object: ...


_CHECKED: tuple[CheckedContainer, ...] = (jpeg, webp, isobmff, ico, gif, jp2)
# Functions that return a file as its decoder expects it; None if it is so already.
_REPAIRS = (
    (isobmff, isobmff.join_associations),
    (webp, webp.add_alpha_flag),
    (gif, gif.clear_canvas),
    (jp2, jp2.correct_part_counts),
)


def open_image(file: IO[bytes], limits: ImageLimits) -> Image.Image:
    """Open an image of an allowed format and size; decode no pixels.

    Raises ImageError.
    """
    head = file.read(HEAD)
    if not head:
        raise Empty
    for container in _CHECKED:
        if container.matches(head):
            container.check(file, limits)
    for container, repair in _REPAIRS:
        if container.matches(head) and (repaired := repair(file)):
            file = io.BytesIO(repaired)
    try:
        image = _open_with_ours(file, head) or Image.open(file, formats=_PILLOW_FORMATS)
    except UnidentifiedImageError as error:
        raise explain(head) from error
    check_size(image.size, format_of(image), limits)
    if format_of(image) == "JP2" and (profile := jp2.read_profile(file)):
        image.info["icc_profile"] = profile
    runs.check(image)
    return image


def _open_with_ours(file: IO[bytes], head: bytes) -> ImageFile.ImageFile | None:
    """Open a PNG or an icon, of which Pillow gets no more than a picture."""
    if png.matches(head):
        return png.open_image(file)
    return ico.open_image(file) if ico.matches(head) else None


def format_of(image: Image.Image) -> str:
    """Return our name of an open image's format, in upper case."""
    return _OUR_NAMES.get(str(image.format), str(image.format))
