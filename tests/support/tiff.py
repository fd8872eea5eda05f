"""Write TIFFs whose pixels lie in strips or tiles, in one plane or several."""

import struct
import zlib
from collections.abc import Iterator, Sequence

from PIL import Image

Size = tuple[int, int]
Tags = dict[int, tuple[int, Sequence[float]]]  # The type and the numbers of each.

_LETTERS = {1: "B", 2: "s", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 11: "f"}
RAW, DEFLATE = 1, 8


def write(
    bands: Sequence[Image.Image],
    letter: str = "B",
    *,
    order: str = "<",
    photometric: int = 2,
    planar: bool = False,
    tile: Size | None = None,
    compression: int = RAW,
    tags: Tags | None = None,
) -> bytes:
    """Write a TIFF of bands of one size, of mode L, I or F.

    `letter` is that of `struct` for a sample: B, H, I, h, i or f. Without tiles, each strip has
    eight lines. The tags replace those of the picture.
    """
    (width, height), block = bands[0].size, tile or (bands[0].width, 8)
    packed = [
        _pack(planes, rectangle, order + letter)
        for planes in ([[band] for band in bands] if planar else [bands])
        for rectangle in _rectangles((width, height), block, whole=tile is not None)
    ]
    parts = [zlib.compress(part) if compression == DEFLATE else part for part in packed]
    count, bits = len(bands), 8 * struct.calcsize("=" + letter)
    where, lengths = (324, 325) if tile else (273, 279)
    all_tags: Tags = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * count),
        259: (3, [compression]),
        262: (3, [photometric]),
        277: (3, [count]),
        284: (3, [2 if planar else 1]),
        339: (3, [{"f": 3, "h": 2, "i": 2}.get(letter, 1)] * count),
        lengths: (4, [len(part) for part in parts]),
        **({322: (4, [block[0]]), 323: (4, [block[1]])} if tile else {278: (4, [block[1]])}),
        **(tags or {}),
    }
    return assemble(all_tags, where, parts, order)


def assemble(tags: Tags, where: int, parts: Sequence[bytes], order: str = "<") -> bytes:
    """Write a TIFF of these tags and parts; the tag `where` gets their places."""
    tags = {**tags, where: (4, [0] * len(parts))}
    values_start = 8 + 2 + 12 * len(tags) + 4
    lengths = {tag: len(_values(*value, order)) for tag, value in tags.items()}
    start = values_start + sum(length for length in lengths.values() if length > 4)
    starts = [start + sum(map(len, parts[:number])) for number in range(len(parts))]
    tags[where] = (4, starts)
    entries, values = b"", b""
    for tag, (kind, numbers) in sorted(tags.items()):
        field = _values(kind, numbers, order)
        if len(field) > 4:
            field, values = struct.pack(order + "I", values_start + len(values)), values + field
        entries += struct.pack(order + "HHI", tag, kind, len(numbers)) + field.ljust(4, b"\0")
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, len(tags))
    return head + entries + bytes(4) + values + b"".join(parts)


def _values(kind: int, numbers: Sequence[float], order: str) -> bytes:
    return struct.pack(f"{order}{len(numbers)}{_LETTERS[kind]}", *numbers)


def _rectangles(size: Size, block: Size, *, whole: bool) -> Iterator[tuple[int, int, int, int]]:
    """List the regions of the blocks; those of tiles reach beyond the picture."""
    for top in range(0, size[1], block[1]):
        for left in range(0, size[0], block[0]):
            bottom = top + block[1] if whole else min(top + block[1], size[1])
            yield (left, top, left + block[0], bottom)


def _pack(bands: Sequence[Image.Image], rectangle: tuple[int, int, int, int], format: str) -> bytes:
    """Pack the samples of a region, those of a pixel side by side."""
    number_type = float if format.endswith("f") else int
    columns = [band.crop(rectangle).get_flattened_data() for band in bands]
    numbers = [number_type(number) for pixel in zip(*columns, strict=True) for number in pixel]
    return struct.pack(f"{format[0]}{len(numbers)}{format[1]}", *numbers)
