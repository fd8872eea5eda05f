"""Find the main image of a file, and describe it."""

import struct
from dataclasses import dataclass
from typing import IO

from webapp.engine.cicp import Cicp
from webapp.engine.errors import Unsupported
from webapp.engine.formats.isobmff.boxes import BoxReader
from webapp.engine.formats.isobmff.brands import Format, find_format, read_brands
from webapp.engine.formats.isobmff.items import Meta
from webapp.engine.formats.isobmff.properties import (
    Crop,
    read_color,
    read_crop,
    read_orientation,
    read_size,
)
from webapp.engine.formats.isobmff.tracks import Track
from webapp.recipes.outputs import Size

# The kinds of items that libavif and libheif read, as these are built for Pillow and pillow-heif.
_READ_KINDS: dict[Format, set[bytes]] = {
    "avif": {b"av01", b"grid"},
    "heic": {b"hvc1", b"lhv1", b"grid", b"iden", b"iovl"},
}


@dataclass(frozen=True)
class MainImage:
    """Describe the main image of an AVIF or HEIC.

    `size` is that of the decoder's pixels. `crop` and then `orientation` (EXIF, 1 to 8) are still
    to be applied to these; in a HEIC, they are always None and 1. `color` is None without a tag.
    """

    format: Format
    size: Size
    orientation: int
    exif: bytes
    xmp: bytes
    color: Cicp | None
    crop: Crop | None


def read_main_image(file: IO[bytes]) -> MainImage:
    """Read the boxes that describe the main image.

    Raises EOFError if the file ends before its image does.
    """
    reader = BoxReader(file)
    brands: list[bytes] = []
    contents: dict[bytes, bytes] = {}
    for kind, start, length in reader.file_boxes():
        if kind == b"ftyp":
            brands = read_brands(reader, start, length)
        elif kind in (b"meta", b"moov") and kind not in contents:
            contents[kind] = reader.read_box(start, length)
        if b"meta" in contents and (b"moov" in contents or b"avis" not in brands):
            break
    format = find_format(brands)
    if format == "avif" and (
        brands[0] == b"avis" or (brands[0] != b"avif" and b"moov" in contents)
    ):
        return _read_sequence(reader, contents[b"moov"])
    return _read_image(Meta.parse(reader, contents[b"meta"]), format)


def _read_image(meta: Meta, format: Format) -> MainImage:
    tiles = meta.items_from(b"dimg", meta.primary)
    items = {meta.primary, *tiles}
    _check_coding({meta.kinds[item] for item in items if item in meta.kinds}, format)
    properties = meta.properties_of(meta.primary)
    stored, size, orientation = read_size(properties, format)
    if meta.kinds[meta.primary] == b"grid":
        # The decoder allocates the size of the grid, even if its property says less.
        grid = _read_grid_size(meta.read(meta.primary, 12))
        size = grid if grid[0] * grid[1] > stored[0] * stored[1] else size
    meta.check_end([meta.primary, *tiles])
    exif, xmp = meta.read_metadata(meta.items_to(b"cdsc", meta.primary), format)
    color = read_color(properties)
    if tiles and not color:  # As in libavif, the first tile stands for all.
        color = read_color(meta.properties_of(tiles[0]) if tiles[0] in meta.indices else [])
    crop = read_crop(properties, size) if format == "avif" else None
    return MainImage(format, size, orientation, exif, xmp, color, crop)


def _check_coding(kinds: set[bytes], format: Format) -> None:
    if b"unci" in kinds:
        raise Unsupported("This HEIF image is uncompressed. Export it as HEIC, PNG or TIFF.")
    if not kinds <= _READ_KINDS[format]:
        raise Unsupported(
            "This HEIF image is coded in a way that we cannot read. Export it as JPEG or PNG."
        )


def _read_grid_size(body: bytes) -> Size:
    """Read the size of an image that consists of tiles."""
    width, height = struct.unpack_from(">II" if body[1] & 1 else ">HH", body, 4)
    return width, height


def _read_sequence(reader: BoxReader, moov: bytes) -> MainImage:
    """Read the main track of a sequence.

    As in libavif, that is the first track of AV1 frames that is not the alpha of another.
    """
    boxes = (body for kind, body in reader.boxes(moov) if kind == b"trak")
    tracks = (Track.parse(reader, body) for body in boxes)
    main = next(track for track in tracks if track.frames and not track.is_auxiliary)
    exif = xmp = b""
    if main.meta:
        meta = Meta.parse(reader, main.meta)
        exif, xmp = meta.read_metadata(list(meta.kinds), "avif")
    orientation = read_orientation(main.properties)
    color, crop = read_color(main.properties), read_crop(main.properties, main.size)
    return MainImage("avif", main.size, orientation, exif, xmp, color, crop)
