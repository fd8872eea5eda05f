"""Open an image file in a decode child: refuse what would cost too much to decode."""

import warnings
from typing import IO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
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
from webapp.engine.formats.bmp import _check_runs
from webapp.engine.formats.gif import _GIF_SIGNATURES, _check_gif
from webapp.engine.formats.ico import _ICO_SIGNATURE, _check_ico
from webapp.engine.formats.jp2 import _JP2_SIGNATURES, _check_jp2
from webapp.engine.formats.jpeg import _JPEG_SIGNATURE, _checked_jpeg_segments
from webapp.engine.formats.png import PNG_SIGNATURE, _checked_png_chunks
from webapp.engine.formats.tiff import _is_rare_tiff, _rare_tiff
from webapp.engine.formats.webp import _check_webp, _is_webp
from webapp.engine.headers import _HEAD, _explain
from webapp.engine.limits import ImageLimits, _check_size

# The only readers that untrusted bytes may reach. Imported here, so that no fork imports them.
_READERS = (
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    WebPImagePlugin.WebPImageFile,
    GifImagePlugin.GifImageFile,
    TiffImagePlugin.TiffImageFile,
    BmpImagePlugin.BmpImageFile,
    AvifImagePlugin.AvifImageFile,
    IcoImagePlugin.IcoImageFile,
    Jpeg2KImagePlugin.Jpeg2KImageFile,
)
_FORMATS = [*(str(reader.format) for reader in _READERS), "HEIF"]
_SAME_FORMAT = {
    str(MpoImagePlugin.MpoImageFile.format): "JPEG",  # One followed by more pictures.
    "JPEG2000": "JP2",
    "HEIF": "HEIC",  # As people know it.
}
# The formats that a header may tell.
READ_FORMATS = frozenset(_SAME_FORMAT.get(name, name).lower() for name in _FORMATS)
# Of these, those that every browser shows, by their names in `image/*`.
SHOWN_BY_BROWSERS = frozenset({"jpeg", "png", "webp", "avif", "gif"})

Image.preinit()
Image.MAX_IMAGE_PIXELS = None  # Our limits are per format, as the decoders' appetites are.
# Each thread of the AVIF decoder maps 70 MB, which on a large machine exceeds the memory limit.
AvifImagePlugin.DEFAULT_MAX_THREADS = 2
# Of the pictures in a HEIC, its main one alone.
register_heif_opener(decode_threads=2, thumbnails=False, depth_images=False, aux_images=False)
# What is odd about a stranger's metadata is no news to the operator.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


# Opening


def open_image(file: IO[bytes], limits: ImageLimits) -> Image.Image:
    """Open an image of an allowed format and size; its pixels are not decoded yet."""
    head = file.read(_HEAD)
    if not head:
        raise Empty
    if head.startswith(_JPEG_SIGNATURE):
        for _ in _checked_jpeg_segments(file, limits.max_jpeg_scans):
            pass
    if _is_webp(head):
        _check_webp(file, limits)
    if head.startswith(_ICO_SIGNATURE):
        _check_ico(file, limits)
    if head.startswith(PNG_SIGNATURE):
        for _ in _checked_png_chunks(file):
            pass
    if head.startswith(_GIF_SIGNATURES):
        _check_gif(file, limits)
    if head.startswith(_JP2_SIGNATURES):
        _check_jp2(file, limits)
    try:
        image = Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError as error:
        if _is_rare_tiff(file, head):
            raise _rare_tiff() from error
        raise _explain(head) from error
    _check_size(image.size, format_of(image), limits)
    _check_runs(image)
    return image


def format_of(image: Image.Image) -> str:
    return _SAME_FORMAT.get(str(image.format), str(image.format))


# WebP headers: RFC 9649


# ISO base media files: AVIF and HEIC


# GIF blocks


# JPEG 2000 boxes


# BMP


# ICO pictures


# TIFF tags


# PNG chunks


# JPEG segments


# Orientation and place
