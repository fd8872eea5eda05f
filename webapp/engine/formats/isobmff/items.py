"""The items of a `meta` box (ISO/IEC 23008-12), each of which has a number."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from webapp.engine import exif
from webapp.engine.formats.isobmff.associations import read_indices
from webapp.engine.formats.isobmff.boxes import BoxReader, Fields
from webapp.engine.formats.isobmff.brands import Format
from webapp.engine.formats.isobmff.properties import Properties

_MAX_EXTENTS = 32  # Of one item; libheif has the same limit.
_XMP_TYPE = b"application/rdf+xml"


@dataclass
class Meta:
    """The items of a `meta`, each of which has a number."""

    reader: BoxReader
    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    content_types: dict[int, bytes] = field(default_factory=dict)  # Of items of the kind `mime`.
    properties: Properties = field(default_factory=list)  # Those of all items.
    indices: dict[int, list[int]] = field(default_factory=dict)  # Of an item's properties, from 1.
    # The kind of a reference, the item that refers, and the items that it refers to.
    references: list[tuple[bytes, int, tuple[int, ...]]] = field(default_factory=list)
    # True if an item is in `data` rather than in the file; the start and length of its extents.
    locations: dict[int, tuple[bool, list[tuple[int, int]]]] = field(default_factory=dict)
    data: bytes = b""

    @classmethod
    def parse(cls, reader: BoxReader, content: bytes) -> "Meta":
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
        fields = Fields(self.reader, body, 6)
        version = body[0]
        offset_size, length_size = body[4] >> 4, body[4] & 15
        base_size, index_size = body[5] >> 4, body[5] & 15 if version else 0
        if version > 2 or not {offset_size, length_size, base_size, index_size} <= {0, 4, 8}:
            raise ValueError("locations of items in an unknown form")
        for _ in range(fields.take(4 if version == 2 else 2)):
            item = fields.take(4 if version == 2 else 2)
            method = fields.take(2) & 15 if version else 0
            fields.take(2)  # The number of a file, which is always this one.
            base, count = fields.take(base_size), fields.take(2)
            if count > _MAX_EXTENTS or method > 1:
                raise ValueError("an item of many extents, or inside another")
            extents = []
            for _ in range(count):
                fields.take(index_size)
                start = base + fields.take(offset_size)
                extents.append((start, fields.take(length_size)))
            self.locations[item] = method == 1, extents

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
                for item, indices in read_indices(self.reader, entry):
                    self.indices.setdefault(item, []).extend(indices)

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

    def check_end(self, items: Sequence[int]) -> None:
        """Raise EOFError if one of these items ends after the file."""
        for item in set(items):  # A tile can be used again and again.
            is_in_data, extents = self.locations.get(item, (False, []))
            end = len(self.data) if is_in_data else self.reader.length
            if any(start + length > end for start, length in extents):
                raise EOFError

    def read_metadata(self, items: Sequence[int], format: Format) -> tuple[bytes, bytes]:
        """Read the EXIF and the XMP among these items.

        Of several, libavif uses the last and pillow-heif the first, whatever its type of content.
        """
        is_avif = format == "avif"
        exifs = [item for item in items if self.kinds.get(item) == b"Exif"]
        xmps = [
            item
            for item in items
            if self.kinds.get(item) == b"mime"
            and (not is_avif or self.content_types[item] == _XMP_TYPE)
        ]
        used = -1 if is_avif else 0
        return (
            _skip_offset(self.read(exifs[used], exif.MAX_METADATA + 16)) if exifs else b"",
            self.read(xmps[used], exif.MAX_METADATA) if xmps else b"",
        )

    def read(self, item: int, most: int) -> bytes:
        """Read the first bytes of an item."""
        is_in_data, extents = self.locations[item]
        content = b""
        for start, length in extents:
            wanted = min(length or most, most - len(content))  # A length of 0 means all the rest.
            end = start + wanted
            content += self.data[start:end] if is_in_data else self.reader.read(start, wanted)
        return content


def _skip_offset(content: bytes) -> bytes:
    """Return the EXIF of an item.

    The first four bytes of the item say how far after them the EXIF begins.
    """
    start = 4 + int.from_bytes(content[:4], "big")
    return content[start:] if start + 4 < len(content) else content[4:]
