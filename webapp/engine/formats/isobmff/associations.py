"""The boxes that associate items with properties (`ipma`): read them, join several."""

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

from webapp.engine.formats.isobmff.boxes import FAULTS, BoxReader, Fields, make_box


def join_property_boxes(file: IO[bytes]) -> bytes | None:
    """Return a file with one `ipma` box in place of several of the same form.

    Old encoders wrote one for the picture and one for its alpha. libavif allows only one for each
    version and flags (`avifParseItemPropertiesBox`), and one entry for each item; browsers show the
    picture. The file keeps its length, because items are found by their place in it. Returns None
    if there is nothing to join.
    """
    with suppress(*FAULTS):
        reader = BoxReader(file)
        for kind, start, length in reader.file_boxes():
            if kind == b"meta":
                joined = _join_in_meta(reader, reader.read_box(start, length))
                rest = reader.read(start + length, reader.length)
                return b"".join((reader.read(0, start), joined, rest)) if joined else None
    return None


def _join_in_meta(reader: BoxReader, meta: bytes) -> bytes | None:
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
            for item, indices in read_associations(reader, body):
                items.setdefault(item, []).extend(indices)
        else:
            others.append(meta[at : start + inner_end])
        at = start + inner_end
    if sum(kind == b"ipma" for kind, _, _ in boxes) == len(entries):
        return None
    joined_boxes = [_make_ipma(form, items) for form, items in entries.items()]
    iprp = make_box(b"iprp", b"".join((*others, *joined_boxes)))
    free = make_box(b"free", bytes(end - before - len(iprp) - 8))
    return meta[:before] + iprp + free + meta[end:]


def _make_ipma(form: bytes, items: dict[int, list[int]]) -> bytes:
    """Make an `ipma` box; `form` is its version and flags."""
    id_size, index_size = association_sizes(form)
    content = form + struct.pack(">I", len(items))
    for item, indices in sorted(items.items()):
        content += item.to_bytes(id_size, "big") + bytes((len(indices),))
        content += b"".join(index.to_bytes(index_size, "big") for index in indices)
    return make_box(b"ipma", content)


def read_associations(reader: BoxReader, body: bytes) -> Iterator[tuple[int, list[int]]]:
    """Read the items of an `ipma` box, each with its indices as stored."""
    fields = Fields(reader, body, 4)
    id_size, index_size = association_sizes(body)
    for _ in range(fields.take(4)):
        item, count = fields.take(id_size), fields.take(1)
        yield item, [fields.take(index_size) for _ in range(count)]


def association_sizes(body: bytes) -> tuple[int, int]:
    """Return the bytes of an item's number and of an index in an `ipma` box."""
    return (4 if body[0] else 2), (2 if body[3] & 1 else 1)
