"""Build AVIF and HEIC files box by box, in all forms of the standard.

Encoders write one form each. These files have the forms that no encoder of ours writes: a crop,
tiles, several images, boxes of 64 bits.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image

from tests.support.images import encode

Reference = tuple[bytes, int, Sequence[int]]  # Its kind, the item that refers, and to which items.

ESSENTIAL = (b"irot", b"imir", b"clap", b"av1C", b"hvcC")
BRANDS = {"avif": b"avif", "heic": b"heic"}
CODED = {"avif": (b"av01", b"av1C"), "heic": (b"hvc1", b"hvcC")}


@dataclass(frozen=True)
class Item:
    """One item of a file; `properties` are whole boxes, and `kind` has four letters."""

    id: int
    kind: bytes
    data: bytes
    properties: Sequence[bytes] = ()
    content_type: bytes = b""


def box(kind: bytes, *contents: bytes, is_wide: bool = False) -> bytes:
    """Make a box; a wide one has its length in 64 bits."""
    content = b"".join(contents)
    if is_wide:
        return struct.pack(">I4sQ", 1, kind, len(content) + 16) + content
    return struct.pack(">I4s", len(content) + 8, kind) + content


def full_box(kind: bytes, version: int, *contents: bytes, flags: int = 0) -> bytes:
    """Make a box that has a version."""
    return box(kind, struct.pack(">I", version << 24 | flags), *contents)


def inside(file: bytes, kind: bytes) -> bytes:
    """Return the content of the first box of a kind."""
    at = file.index(kind)
    return file[at + 4 : at - 4 + int.from_bytes(file[at - 4 : at], "big")]


def ispe(width: int, height: int) -> bytes:
    return full_box(b"ispe", 0, struct.pack(">II", width, height))


def irot(quarters: int) -> bytes:
    return box(b"irot", bytes((quarters,)))


def imir(axis: int) -> bytes:
    return box(b"imir", bytes((axis,)))


def clap(width: int, height: int, x: int = 0, y: int = 0, parts: int = 1) -> bytes:
    """Make a clean aperture, in parts of a pixel.

    Its centre is x and y from the centre of the picture.
    """
    return box(b"clap", struct.pack(">8i", width, parts, height, parts, x, 1, y, 1))


ALPHA = full_box(b"auxC", 0, b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")


def grid(columns: int, rows: int, width: int, height: int) -> bytes:
    """Make the data of an item that is put together from tiles."""
    is_large = max(width, height) > 65_535
    return bytes((0, is_large, rows - 1, columns - 1)) + struct.pack(
        ">II" if is_large else ">HH", width, height
    )


def coded_item(id: int, format: str, file: bytes, size: tuple[int, int], *more: bytes) -> Item:
    """Make an item of the picture in an encoded file, with more properties."""
    kind, config = CODED[format]
    properties = (ispe(*size), box(config, inside(file, config)), *more)
    return Item(id, kind, file[file.index(b"mdat") + 4 :], properties)


def picture(id: int, format: str, size: tuple[int, int], *properties: bytes) -> Item:
    """Make an item of a white picture."""
    return coded_item(id, format, _white(format, size, "RGB"), size, *properties)


def alpha(id: int, format: str, size: tuple[int, int]) -> Item:
    """Make an item of alpha that is opaque everywhere."""
    return coded_item(id, format, _white(format, size, "L"), size, ALPHA)


@cache
def _white(format: str, size: tuple[int, int], mode: str) -> bytes:
    return encode(Image.new(mode, size, "white"), format)


def tiled(format: str, size: tuple[int, int], *properties: bytes, says: bytes = b"") -> bytes:
    """Make an image of two by two tiles of 64 pixels; `says` replaces the grid."""
    tiles = [picture(id, format, (64, 64)) for id in (2, 3, 4, 5)]
    whole = Item(1, b"grid", says or grid(2, 2, *size), (ispe(*size), *properties))
    return build(format, [whole, *tiles], [(b"dimg", 1, (2, 3, 4, 5))])


def exif_item(id: int, exif: bytes, before: bytes = b"Exif\0\0") -> Item:
    """Make an item of EXIF, with the prefix that most files have."""
    exif = exif.removeprefix(b"Exif\0\0")
    return Item(id, b"Exif", struct.pack(">I", len(before)) + before + exif)


def xmp_item(id: int, xmp: bytes) -> Item:
    return Item(id, b"mime", xmp, content_type=b"application/rdf+xml")


def build(
    format: str,
    items: Sequence[Item],
    references: Sequence[Reference] = (),
    *,
    primary: int = 1,
    brand: bytes | None = None,
    more_brands: Sequence[bytes] = (),
    is_wide: bool = False,
    ipma_boxes: int = 1,
    is_meta_last: bool = False,
    is_open_ended: bool = False,
    data_in_meta: Sequence[int] = (),
) -> bytes:
    """Put a file together.

    A wide one has numbers of the most bytes everywhere. The length of the last box of an open-ended
    one is 0: up to the end. `data_in_meta` are the items whose data lies in the `meta` box.
    """
    major = brand or BRANDS[format]
    ftyp = box(b"ftyp", major, bytes(4), b"mif1", b"miaf", BRANDS[format], *more_brands)
    media = [item for item in items if item.id not in data_in_meta]
    mdat = box(b"mdat", *(item.data for item in media), is_wide=is_wide)
    arguments = (items, references, primary, is_wide, ipma_boxes, data_in_meta)
    meta_length = len(_meta(0, *arguments))
    start = len(ftyp) + (0 if is_meta_last else meta_length) + (16 if is_wide else 8)
    meta = _meta(start, *arguments)
    last, before = (meta, mdat) if is_meta_last else (mdat, meta)
    if is_open_ended:
        last = bytes(4) + last[4:8] + last[16 if is_wide else 8 :]
        assert not (is_wide and is_meta_last is False)  # Its data would move.
    return ftyp + before + last


def _meta(
    start: int,
    items: Sequence[Item],
    references: Sequence[Reference],
    primary: int,
    is_wide: bool,
    ipma_boxes: int,
    data_in_meta: Sequence[int],
) -> bytes:
    number = "I" if is_wide else "H"
    infos, places, data = b"", b"", b""
    for item in items:
        infos += full_box(
            b"infe",
            3 if is_wide else 2,
            struct.pack(f">{number}H4s", item.id, 0, item.kind),
            b"name\0",
            item.content_type + b"\0" if item.content_type else b"",
        )
        is_inside = item.id in data_in_meta
        at = len(data) if is_inside else start
        data, start = (data + item.data, start) if is_inside else (data, start + len(item.data))
        if is_wide:
            fields = (item.id, is_inside, 0, at, 1, 0, 0, len(item.data))
            places += struct.pack(">IHHQHQQQ", *fields)
        else:
            places += struct.pack(">HHHIHI", item.id, is_inside, 0, at, 1, len(item.data))
    sizes = b"\x88\x88" if is_wide else b"\x04\x40"
    counts = struct.pack(">I" if is_wide else ">H", len(items))
    iloc = full_box(b"iloc", 2 if is_wide else 1, sizes, counts, places)
    iref = full_box(b"iref", int(is_wide), *(_reference(number, *each) for each in references))
    return full_box(
        b"meta",
        0,
        full_box(b"hdlr", 0, bytes(4), b"pict", bytes(13)),
        full_box(b"pitm", int(is_wide), struct.pack(">" + number, primary)),
        iloc,
        full_box(b"iinf", int(is_wide), counts, infos),
        iref if references else b"",
        _properties(items, number, is_wide, ipma_boxes),
        box(b"idat", data) if data else b"",
    )


def _reference(number: str, kind: bytes, item: int, to: Sequence[int]) -> bytes:
    return box(kind, struct.pack(f">{number}H{len(to)}{number}", item, len(to), *to))


def _properties(items: Sequence[Item], number: str, is_wide: bool, ipma_boxes: int) -> bytes:
    known = list(dict.fromkeys(each for item in items for each in item.properties))
    entries = []
    for item in items:
        if item.properties:
            # Readers must know what turns and crops, says MIAF: the first bit marks it.
            letter, mark = ("H", 0x8000) if is_wide else ("B", 0x80)
            indices = [
                known.index(each) + 1 | (mark if each[4:8] in ESSENTIAL else 0)
                for each in item.properties
            ]
            entry = struct.pack(
                f">{number}B{len(indices)}{letter}", item.id, len(indices), *indices
            )
            entries.append(entry)
    shares = [entries[part::ipma_boxes] for part in range(ipma_boxes)]
    boxes = (
        full_box(b"ipma", int(is_wide), struct.pack(">I", len(share)), *share, flags=int(is_wide))
        for share in shares
    )
    return box(b"iprp", box(b"ipco", *known), *boxes)
