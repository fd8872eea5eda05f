"""The boxes that associate items with their properties (`ipma`).

A file should have one of these.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

from webapp.engine.formats.isobmff.boxes import FAULTS, BoxReader, Fields, make_box

Association = tuple[int, list[int]]  # An item and the indices of its properties, as stored.


def read_associations(reader: BoxReader, content: bytes) -> Iterator[Association]:
    """Read the entries of an `ipma` box."""
    fields = Fields(reader, content, 4)
    id_size, index_size = _number_sizes(content)
    for _ in range(fields.take(4)):
        item, count = fields.take(id_size), fields.take(1)
        yield item, [fields.take(index_size) for _ in range(count)]


def read_indices(reader: BoxReader, content: bytes) -> Iterator[Association]:
    """Read the entries of an `ipma` box without the bit that says "essential"."""
    _, index_size = _number_sizes(content)
    index_bits = (1 << (8 * index_size - 1)) - 1
    for item, indices in read_associations(reader, content):
        yield item, [index & index_bits for index in indices]


def join_associations(file: IO[bytes]) -> bytes | None:
    """Return a file with one `ipma` box in place of several of the same form.

    Old encoders wrote one for the picture and one for its alpha. Browsers show such a file, but
    libavif allows only one box for each version and flags (`avifParseItemPropertiesBox`), and one
    entry for each item. The file keeps its length, because items are found by their place in it.
    Returns None if there is nothing to join.
    """
    with suppress(*FAULTS):
        reader = BoxReader(file)
        for kind, start, length in reader.file_boxes():
            if kind == b"meta":
                meta = _join_in_meta(reader, reader.read_box(start, length))
                rest = reader.read(start + length, reader.length)
                return b"".join((reader.read(0, start), meta, rest)) if meta else None
    return None


def _join_in_meta(reader: BoxReader, content: bytes) -> bytes | None:
    """Return a `meta` box's content with the same length."""
    box_start = 4  # After version and flags.
    for kind, start, end in reader.spans(content, 4):
        if kind == b"iprp":
            joined = _join_in_iprp(reader, content[start:end])
            if joined is None:
                return None
            filler = make_box(b"free", bytes(end - box_start - len(joined) - 8))
            return content[:box_start] + joined + filler + content[end:]
        box_start = end
    return None


def _join_in_iprp(reader: BoxReader, content: bytes) -> bytes | None:
    """Return an `iprp` box with the boxes of one form joined; None if none are."""
    others: list[bytes] = []
    forms: list[bytes] = []  # The version and flags of each `ipma`.
    associations: dict[bytes, dict[int, list[int]]] = {}  # By form, then by item.
    for kind, body in reader.boxes(content):
        if kind != b"ipma":
            others.append(make_box(kind, body))
            continue
        forms.append(body[:4])
        items = associations.setdefault(body[:4], {})
        for item, indices in read_associations(reader, body):
            items.setdefault(item, []).extend(indices)
    if len(forms) == len(associations):
        return None
    joined = [_make_ipma(form, items) for form, items in associations.items()]
    return make_box(b"iprp", b"".join((*others, *joined)))


def _make_ipma(form: bytes, items: dict[int, list[int]]) -> bytes:
    id_size, index_size = _number_sizes(form)
    content = [form, struct.pack(">I", len(items))]
    for item, indices in sorted(items.items()):  # In ascending order, as the standard says.
        content += [item.to_bytes(id_size, "big"), bytes((len(indices),))]
        content += [index.to_bytes(index_size, "big") for index in indices]
    return make_box(b"ipma", b"".join(content))


def _number_sizes(form: bytes) -> tuple[int, int]:
    """Return the bytes of an item's number and of an index, by version and flags."""
    return (4 if form[0] else 2), (2 if form[3] & 1 else 1)
