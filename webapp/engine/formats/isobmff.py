"""AVIF and HEIC, read in pure Python.

Both are ISO base media files: boxes in boxes (ISO/IEC 14496-12), of which `meta` describes images
as items with properties (ISO/IEC 23008-12), and `moov` describes sequences as tracks. The web
server reads headers with this module, so that libavif and libheif never parse a file there. It
reads only the boxes that describe the main image, and limits what it reads.

The result is that of Pillow for an AVIF (libavif) and that of pillow-heif for a HEIC (libheif),
even where these two differ. libheif crops (`clap`), rotates and mirrors while it decodes. libavif
leaves that to its caller: Pillow turns rotation and mirroring into an EXIF orientation, and leaves
the crop to us.

A broken file raises ValueError, LookupError, StopIteration or struct.error.
"""

import math
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import IO, Literal

from webapp.engine import cicp, exif
from webapp.engine.cicp import Cicp
from webapp.engine.errors import Unsupported
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size
from webapp.recipes.outputs import Size

Format = Literal["avif", "heic"]
Box = tuple[int, int, int, int]  # Left, top, right, bottom.
_FAULTS = (ValueError, LookupError, StopIteration, EOFError, struct.error)  # Of broken files.
Properties = list[tuple[bytes, bytes]]  # The kind and the content of each.

# Boxes, entries and references, in all. A photo of 48 megapixels in 200 tiles has some 1000, and
# one of 1000 items, the most that libheif accepts, 5000. Each takes 1 to 2 µs.
_MAX_PARTS = 10_000
_FILE_BOX_PARTS = 5  # A box of the file counts as this many: it takes a read.
_MAX_BOX_BYTES = 4 << 20  # Of `meta` or `moov`: some kilobytes are usual.
_MAX_EXTENTS = 32  # Pieces of one item; libheif has the same limit.

_AVIF_BRANDS = (b"avif", b"avis")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
_EITHER_BRANDS = (b"mif1", b"msf1")  # An AVIF if it has a brand of AVIF too, else a HEIC.
_ALPHA_TYPES = (
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    b"urn:mpeg:hevc:2015:auxid:1",
    b"urn:mpeg:avc:2015:auxid:1",
)
# Codings of the standard for which Pillow and pillow-heif have no decoder: uncompressed, H.264,
# JPEG 2000, JPEG, H.266 and EVC.
_UNREAD_KINDS = (b"unci", b"avc1", b"j2k1", b"jpeg", b"vvc1", b"evc1")
_MAX_AUX_TYPE = 68  # Bytes of `auxC` that are read: its version, and a type of up to 43.
_XMP_TYPE = b"application/rdf+xml"

# The EXIF orientation of a rotation (quarter turns anticlockwise) and the mirroring after it: None,
# 0 for top and bottom, 1 for left and right.
_ORIENTATIONS: dict[tuple[int, int | None], int] = {
    **{(0, None): 1, (0, 0): 4, (0, 1): 2, (1, None): 8, (1, 0): 5, (1, 1): 7},
    **{(2, None): 3, (2, 0): 2, (2, 1): 4, (3, None): 6, (3, 0): 7, (3, 1): 5},
}


def matches(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in (*_AVIF_BRANDS, *_HEIC_BRANDS, *_EITHER_BRANDS)


def check(file: IO[bytes], limits: ImageLimits) -> None:
    """Raise Unsupported if no decoder at hand reads the main image."""
    with suppress(*_FAULTS):  # The decoder decides what it is.
        read_main_image(file)


def read_tags(file: IO[bytes]) -> tuple[Cicp | None, Box | None]:
    """Read the tag of the main image's colours, and the crop of an AVIF."""
    with suppress(*_FAULTS):
        image = read_main_image(file)
        return image.color, image.crop
    return None, None


def join_property_boxes(file: IO[bytes]) -> bytes | None:
    """Return a file with one `ipma` box in place of several of the same form.

    Old encoders wrote one for the picture and one for its alpha. libavif allows only one for each
    version and flags (`avifParseItemPropertiesBox`), and one entry for each item; browsers show the
    picture. The file keeps its length, because items are found by their place in it. Returns None
    if there is nothing to join.
    """
    with suppress(*_FAULTS):
        reader = BoxReader(file)
        for kind, start, length in reader.file_boxes():
            if kind == b"meta":
                joined = _join_in_meta(reader, reader.read_box(start, length))
                rest = reader.read(start + length, reader.length)
                return b"".join((reader.read(0, start), joined, rest)) if joined else None
    return None


def _join_in_meta(reader: "BoxReader", meta: bytes) -> bytes | None:
    before = 4  # Where the box `iprp` begins.
    for kind, start, end in reader.spans(meta, 4):
        if kind == b"iprp":
            boxes = list(reader.spans(meta[start:end]))
            break
        before = end
    else:
        return None
    entries: dict[bytes, dict[int, list[int]]] = {}  # By version and flags, then by item.
    others, at = [], start
    for kind, inner, inner_end in boxes:
        body = meta[start + inner : start + inner_end]
        if kind == b"ipma":
            items = entries.setdefault(body[:4], {})
            for item, indices in _read_associations(reader, body):
                items.setdefault(item, []).extend(indices)
        else:
            others.append(meta[at : start + inner_end])
        at = start + inner_end
    if sum(kind == b"ipma" for kind, _, _ in boxes) == len(entries):
        return None
    joined_boxes = [_make_ipma(form, items) for form, items in entries.items()]
    iprp = _make_box(b"iprp", b"".join((*others, *joined_boxes)))
    free = _make_box(b"free", bytes(end - before - len(iprp) - 8))
    return meta[:before] + iprp + free + meta[end:]


def _make_ipma(form: bytes, items: dict[int, list[int]]) -> bytes:
    """Make an `ipma` box; `form` is its version and flags."""
    id_size, index_size = _association_sizes(form)
    content = form + struct.pack(">I", len(items))
    for item, indices in sorted(items.items()):
        content += item.to_bytes(id_size, "big") + bytes((len(indices),))
        content += b"".join(index.to_bytes(index_size, "big") for index in indices)
    return _make_box(b"ipma", content)


def _make_box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    image = read_main_image(file)
    check_size(image.size, image.format.upper(), limits)
    _, had_gps = exif.parse(image.exif, image.xmp)  # Its orientation does not count.
    left, top, right, bottom = image.crop or (0, 0, *image.size)
    size = right - left, bottom - top
    return Header.from_stored_size(image.format, size, image.orientation, had_gps)


@dataclass(frozen=True)
class MainImage:
    """Describe the main image of an AVIF or HEIC.

    `size` is that of the decoder's pixels. `crop` and then `orientation` (EXIF, 1 to 8) are still
    to be applied to these; in a HEIC, they are always None and 1. `color` is None without a tag.
    `frames` is 1 unless the image is a sequence.
    """

    format: Format
    size: Size
    orientation: int
    has_alpha: bool
    frames: int
    exif: bytes
    xmp: bytes
    color: Cicp | None
    crop: Box | None


def read_main_image(file: IO[bytes]) -> MainImage:
    """Read the boxes that describe the main image.

    Raises EOFError if the file ends before its image does.
    """
    reader = BoxReader(file)
    brands: list[bytes] = []
    contents: dict[bytes, bytes] = {}
    for kind, start, length in reader.file_boxes():
        if kind == b"ftyp":
            brands = _read_brands(reader, start, length)
        elif kind in (b"meta", b"moov") and kind not in contents:
            contents[kind] = reader.read_box(start, length)
        if b"meta" in contents and (b"moov" in contents or b"avis" not in brands):
            break
    either = brands[0] in _EITHER_BRANDS
    is_avif = any(brand in _AVIF_BRANDS for brand in (brands if either else brands[:1]))
    if is_avif and (brands[0] == b"avis" or (brands[0] != b"avif" and b"moov" in contents)):
        return _read_sequence(reader, contents[b"moov"])
    return _read_image(_Meta.parse(reader, contents[b"meta"]), "avif" if is_avif else "heic")


def _read_brands(reader: "BoxReader", start: int, length: int) -> list[bytes]:
    """List the brands, without the version between the first two."""
    reader.spend(length // 4)
    content = reader.read_box(start, length)
    brands = [content[n : n + 4] for n in range(0, length, 4)]
    return [*brands[:1], *brands[2:]]


def _read_image(meta: "_Meta", format: Format) -> MainImage:
    tiles = meta.items_from(b"dimg", meta.primary)
    _check_coding({meta.kinds.get(item, b"") for item in (meta.primary, *tiles)}, format)
    properties = meta.properties_of(meta.primary)
    stored, size, orientation = _read_size(properties, format)
    if meta.kinds[meta.primary] == b"grid":
        # The decoder allocates the size of the grid, even if its property says less.
        grid = _read_grid_size(meta.read(meta.primary, 12))
        size = grid if grid[0] * grid[1] > stored[0] * stored[1] else size
    meta.check_end([meta.primary, *tiles])
    exif, xmp = meta.read_metadata(meta.items_to(b"cdsc", meta.primary), format)
    color = _read_color(properties)
    if tiles and not color:  # As in libavif, the first tile stands for all.
        color = _read_color(meta.properties_of(tiles[0]) if tiles[0] in meta.indices else [])
    crop = _read_box(properties, size) if format == "avif" else None
    return MainImage(format, size, orientation, meta.has_alpha(), 1, exif, xmp, color, crop)


def _check_coding(kinds: set[bytes], format: Format) -> None:
    if b"unci" in kinds:
        raise Unsupported("This HEIF image is uncompressed. Export it as HEIC, PNG or TIFF.")
    if not kinds.isdisjoint(_UNREAD_KINDS) or (format == "heic" and b"av01" in kinds):
        raise Unsupported("This HEIF image is not coded as HEIC or AVIF. Export it as JPEG or PNG.")


def _read_size(properties: Properties, format: Format) -> tuple[Size, Size, int]:
    """Return the sizes as stored and as decoded, and the orientation.

    libavif uses the first property of a kind, libheif all of them in their order.
    """
    sizes = [struct.unpack_from(">II", body, 4) for kind, body in properties if kind == b"ispe"]
    if format == "avif":
        width, height = sizes[0]
        return (width, height), (width, height), _read_orientation(properties)
    width, height = sizes[-1]
    stored = width, height
    for kind, body in properties:
        if kind == b"clap":
            width, height = _read_crop(body)
        if kind == b"irot" and body[0] & 1:
            width, height = height, width
    return stored, (width, height), 1


def _read_color(properties: Properties) -> Cicp | None:
    numbers = [body for kind, body in properties if kind == b"colr" and body[:4] == b"nclx"]
    if not numbers:
        return None
    primaries, transfer = struct.unpack_from(">HH", numbers[0], 4)
    levels = [struct.unpack_from(">H", body)[0] for kind, body in properties if kind == b"clli"]
    displays = [cicp.read_display(body) for kind, body in properties if kind == b"mdcv"]
    # Browsers take the curves of video for that of sRGB here, though not in a PNG.
    transfer = cicp.SRGB if transfer in cicp.VIDEO else transfer
    return cicp.make_tag(primaries, transfer, *levels[:1], *displays[:1])


def _read_box(properties: Properties, size: Size) -> Box | None:
    """Read the clean aperture of an AVIF, rounded to pixels as in libheif.

    One that is not inside the picture does not count. libavif does not check it for Pillow.
    """
    for kind, body in properties:
        if kind == b"clap":
            with suppress(ValueError, ZeroDivisionError, struct.error):
                return _place_crop(body, size)
    return None


def _place_crop(body: bytes, size: Size) -> Box | None:
    width, height = _read_crop(body)
    x, x_parts, y, y_parts = struct.unpack_from(">iiii", body, 16)  # Of its centre from the middle.
    left = math.floor(Fraction(size[0] - width, 2) + Fraction(x, x_parts) + Fraction(1, 2))
    top = math.floor(Fraction(size[1] - height, 2) + Fraction(y, y_parts) + Fraction(1, 2))
    is_inside = 0 <= left <= size[0] - width and 0 <= top <= size[1] - height
    return (left, top, left + width, top + height) if is_inside else None


def _read_orientation(properties: Properties) -> int:
    angles = [body[0] & 3 for kind, body in properties if kind == b"irot"]
    axes = [body[0] & 1 for kind, body in properties if kind == b"imir"]
    return _ORIENTATIONS[angles[0] if angles else 0, axes[0] if axes else None]


def _read_crop(body: bytes) -> Size:
    """Read the size of a clean aperture: two fractions, rounded.

    Raises ValueError if it is empty.
    """
    width, width_parts, height, height_parts = struct.unpack_from(">iiii", body)
    if min(width, width_parts, height, height_parts) <= 0:
        raise ValueError("nothing is left of a cropped image")
    return (width + width_parts // 2) // width_parts, (height + height_parts // 2) // height_parts


def _read_grid_size(body: bytes) -> Size:
    """Read the size of an image that consists of tiles."""
    width, height = struct.unpack_from(">II" if body[1] & 1 else ">HH", body, 4)
    return width, height


def _read_sequence(reader: "BoxReader", moov: bytes) -> MainImage:
    """Read the main track of a sequence.

    As in libavif, that is the first track of AV1 frames that is not the alpha of another.
    """
    tracks = [_Track.parse(reader, body) for kind, body in reader.boxes(moov) if kind == b"trak"]
    tracks = [track for track in tracks if track.frames]
    main = next(track for track in tracks if not track.aux_for)
    exif = xmp = b""
    if main.meta:
        meta = _Meta.parse(reader, main.meta)
        exif, xmp = meta.read_metadata(list(meta.kinds), "avif")
    has_alpha = any(main.id in track.aux_for for track in tracks)
    orientation = _read_orientation(main.properties)
    color, crop = _read_color(main.properties), _read_box(main.properties, main.size)
    return MainImage("avif", main.size, orientation, has_alpha, main.frames, exif, xmp, color, crop)


@dataclass
class _Track:
    """A `trak` of a sequence; `frames` is 0 if they are not AV1."""

    id: int = 0
    size: Size = (0, 0)
    frames: int = 0
    aux_for: tuple[int, ...] = ()
    properties: Properties = field(default_factory=list)
    meta: bytes = b""

    @classmethod
    def parse(cls, reader: "BoxReader", content: bytes) -> "_Track":
        track = cls()
        for kind, body in reader.boxes(content):
            if kind == b"tkhd":
                (track.id,) = struct.unpack_from(">I", body, 20 if body[0] else 12)
                width, height = struct.unpack(">II", body[-8:])  # In 1/65536 of a pixel.
                track.size = width >> 16, height >> 16
            elif kind == b"tref":
                ids = reader.child(body, b"auxl")[: 4 * _MAX_EXTENTS]
                track.aux_for = struct.unpack(f">{len(ids) // 4}I", ids)
            elif kind == b"meta":
                track.meta = body
            elif kind == b"mdia":
                samples = reader.child(reader.child(body, b"minf"), b"stbl")
                track._parse_samples(reader, samples)
        return track

    def _parse_samples(self, reader: "BoxReader", table: bytes) -> None:
        description = reader.child(table, b"stsd")
        frames = [body for kind, body in reader.boxes(description, 8) if kind == b"av01"]
        if frames:
            self.properties = list(reader.boxes(frames[0], 78))  # After its fields.
            (self.frames,) = struct.unpack_from(">I", reader.child(table, b"stsz"), 8)


@dataclass
class _Meta:
    """The items of a `meta`, each of which has a number."""

    reader: "BoxReader"
    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    content_types: dict[int, bytes] = field(default_factory=dict)  # Of items of the kind `mime`.
    properties: Properties = field(default_factory=list)  # Those of all items.
    indices: dict[int, list[int]] = field(default_factory=dict)  # Of an item's properties, from 1.
    # The kind of a reference, the item that refers, and the items that it refers to.
    references: list[tuple[bytes, int, tuple[int, ...]]] = field(default_factory=list)
    # True if an item is in `data` rather than in the file; the start and length of its pieces.
    locations: dict[int, tuple[bool, list[tuple[int, int]]]] = field(default_factory=dict)
    data: bytes = b""

    @classmethod
    def parse(cls, reader: "BoxReader", content: bytes) -> "_Meta":
        meta = cls(reader)
        parsers = {
            b"pitm": meta._parse_primary,
            b"iinf": meta._parse_items,
            b"iloc": meta._parse_locations,
            b"iref": meta._parse_references,
            b"iprp": meta._parse_properties,
        }
        for kind, body in reader.boxes(content, 4):
            if kind == b"idat":
                meta.data = body
            elif kind in parsers:
                parsers[kind](body)
        return meta

    def _parse_primary(self, body: bytes) -> None:
        (self.primary,) = struct.unpack_from(">I" if body[0] else ">H", body, 4)

    def _parse_items(self, body: bytes) -> None:
        for kind, entry in self.reader.boxes(body, 8 if body[0] else 6):
            if kind != b"infe" or entry[0] < 2:
                continue
            number, start = (">H", 8) if entry[0] == 2 else (">I", 10)
            (item,) = struct.unpack_from(number, entry, 4)
            self.kinds[item] = entry[start : start + 4]
            if self.kinds[item] == b"mime":
                self.content_types[item] = entry[start + 4 :].split(b"\0", 2)[1]

    def _parse_locations(self, body: bytes) -> None:
        fields = _Fields(self.reader, body, 6)
        version = body[0]
        offset_size, length_size = body[4] >> 4, body[4] & 15
        base_size, index_size = body[5] >> 4, body[5] & 15 if version else 0
        if version > 2 or not {offset_size, length_size, base_size, index_size} <= {0, 4, 8}:
            raise ValueError("locations of items in an unknown form")
        for _ in range(fields.take(4 if version == 2 else 2)):
            item = fields.take(4 if version == 2 else 2)
            method = fields.take(2) & 15 if version else 0
            fields.take(2)  # The number of a file, which is always this one.
            base, pieces = fields.take(base_size), fields.take(2)
            if pieces > _MAX_EXTENTS or method > 1:
                raise ValueError("an item in many pieces, or inside another")
            found = []
            for _ in range(pieces):
                fields.take(index_size)
                start = base + fields.take(offset_size)
                found.append((start, fields.take(length_size)))
            self.locations[item] = method == 1, found

    def _parse_references(self, body: bytes) -> None:
        size, letter = (4, "I") if body[0] else (2, "H")
        for kind, entry in self.reader.boxes(body, 4):
            item, count = struct.unpack_from(f">{letter}H", entry)
            self.reader.spend(count)
            to = struct.unpack_from(f">{count}{letter}", entry, size + 2)
            self.references.append((kind, item, to))

    def _parse_properties(self, body: bytes) -> None:
        for kind, entry in self.reader.boxes(body):
            if kind == b"ipco":
                self.properties = list(self.reader.boxes(entry))
            elif kind == b"ipma":  # Some encoders write several.
                self._parse_indices(entry)

    def _parse_indices(self, entry: bytes) -> None:
        _, index_size = _association_sizes(entry)
        index_bits = (1 << (8 * index_size - 1)) - 1  # The first bit says "essential".
        for item, indices in _read_associations(self.reader, entry):
            self.indices.setdefault(item, []).extend(index & index_bits for index in indices)

    def properties_of(self, item: int) -> Properties:
        """List the properties of an item in their order."""
        # Index 0 stands for no property.
        return [self.properties[index - 1] for index in self.indices[item] if index]

    def items_from(self, wanted: bytes, item: int) -> list[int]:
        """List the items that an item refers to."""
        found = (to for kind, other, to in self.references if (kind, other) == (wanted, item))
        return [number for to in found for number in to]

    def items_to(self, wanted: bytes, item: int) -> list[int]:
        """List the items that refer to an item."""
        return [other for kind, other, to in self.references if kind == wanted and item in to]

    def has_alpha(self) -> bool:
        """Return True if another item is the alpha of the main image."""
        # Each item and each property counts once, however often it is referred to.
        masks = set(self.items_to(b"auxl", self.primary))
        indices = {index for item in masks for index in self.indices.get(item, ()) if index}
        found = (self.properties[index - 1] for index in indices)
        return any(
            kind == b"auxC" and body[4:_MAX_AUX_TYPE].partition(b"\0")[0] in _ALPHA_TYPES
            for kind, body in found
        )

    def check_end(self, items: Sequence[int]) -> None:
        """Raise EOFError if one of these items ends after the file."""
        for item in set(items):  # A tile can be used again and again.
            is_in_data, pieces = self.locations.get(item, (False, []))
            end = len(self.data) if is_in_data else self.reader.length
            if any(start + length > end for start, length in pieces):
                raise EOFError

    def read_metadata(self, items: Sequence[int], format: Format) -> tuple[bytes, bytes]:
        """Read the EXIF and the XMP among these items.

        Of several, libavif uses the last and pillow-heif the first.
        """
        if format == "avif":
            items = items[::-1]
        exifs = [item for item in items if self.kinds.get(item) == b"Exif"]
        xmps = [item for item in items if self.kinds.get(item) == b"mime"]
        if format == "avif":  # pillow-heif does not check the type of the content.
            xmps = [item for item in xmps if self.content_types[item] == _XMP_TYPE]
        return (
            _skip_offset(self.read(exifs[0], exif.MAX_METADATA + 16)) if exifs else b"",
            self.read(xmps[0], exif.MAX_METADATA) if xmps else b"",
        )

    def read(self, item: int, most: int) -> bytes:
        """Read the first bytes of an item."""
        is_in_data, pieces = self.locations[item]
        content = b""
        for start, length in pieces:
            wanted = min(length or most, most - len(content))  # A length of 0 means all the rest.
            end = start + wanted
            content += self.data[start:end] if is_in_data else self.reader.read(start, wanted)
        return content


def _read_associations(reader: "BoxReader", body: bytes) -> Iterator[tuple[int, list[int]]]:
    """Read the items of an `ipma` box, each with its indices as stored."""
    fields = _Fields(reader, body, 4)
    id_size, index_size = _association_sizes(body)
    for _ in range(fields.take(4)):
        item, count = fields.take(id_size), fields.take(1)
        yield item, [fields.take(index_size) for _ in range(count)]


def _association_sizes(body: bytes) -> tuple[int, int]:
    """Return the bytes of an item's number and of an index in an `ipma` box."""
    return (4 if body[0] else 2), (2 if body[3] & 1 else 1)


def _skip_offset(content: bytes) -> bytes:
    """Return the EXIF of an item.

    The first four bytes of the item say how far after them the EXIF begins.
    """
    start = 4 + int.from_bytes(content[:4], "big")
    return content[start:] if start + 4 < len(content) else content[4:]


class BoxReader:
    """Read boxes; raise ValueError if there are more than an image needs.

    A JPEG 2000 (ISO/IEC 15444-1) has boxes of the same form.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._parts = _MAX_PARTS
        self.length = file.seek(0, os.SEEK_END)

    def spend(self, parts: int) -> None:
        self._parts -= parts
        if self._parts < 0:
            raise ValueError("more parts than an image needs")

    def read(self, start: int, length: int) -> bytes:
        self._file.seek(min(start, self.length))
        return self._file.read(length)

    def file_boxes(self) -> Iterator[tuple[bytes, int, int]]:
        """Find the boxes of the file: kind, and content's start and length."""
        at = 0
        while len(head := self.read(at, 16)) >= 8:
            self.spend(_FILE_BOX_PARTS)
            length, start = _read_length(head, 0, self.length - at)
            yield head[4:8], at + start, length - start
            at += length

    def read_box(self, start: int, length: int) -> bytes:
        if length > _MAX_BOX_BYTES:
            raise ValueError("a box of more bytes than an image needs")
        content = self.read(start, length)
        if len(content) < length:
            raise EOFError
        return content

    def boxes(self, content: bytes, at: int = 0) -> Iterator[tuple[bytes, bytes]]:
        """Find the boxes in a box: kind and content.

        `at` is the byte of the content where the first one begins.
        """
        return ((kind, content[start:end]) for kind, start, end in self.spans(content, at))

    def spans(self, content: bytes, at: int = 0) -> Iterator[tuple[bytes, int, int]]:
        """Find the boxes in a box: kind, and where the content starts and ends."""
        while at < len(content):
            self.spend(1)
            length, start = _read_length(content, at, len(content) - at)
            if at + length > len(content):
                raise ValueError("a box that is larger than the one around it")
            yield content[at + 4 : at + 8], at + start, at + length
            at += length

    def child(self, content: bytes, wanted: bytes) -> bytes:
        """Return the content of the first box of a kind, or nothing."""
        return next((body for kind, body in self.boxes(content) if kind == wanted), b"")


def _read_length(data: bytes, at: int, rest: int) -> tuple[int, int]:
    """Return the length of a box and the length of its head."""
    (length,) = struct.unpack_from(">I", data, at)
    start = 8
    if length == 1:
        (length,) = struct.unpack_from(">Q", data, at + 8)
        start = 16
    elif length == 0:  # The rest of what is around it.
        length = rest
    if length < start:
        raise ValueError("a box that is smaller than its head")
    return length, start


class _Fields:
    """Read one big-endian number after another from a box."""

    def __init__(self, reader: BoxReader, data: bytes, at: int) -> None:
        self._reader, self._data, self._at = reader, data, at

    def take(self, size: int) -> int:
        self._reader.spend(1)
        end = self._at + size
        if end > len(self._data):
            raise ValueError("a box that ends inside a number")
        value = int.from_bytes(self._data[self._at : end], "big")
        self._at = end
        return value
