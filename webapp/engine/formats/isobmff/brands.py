"""The brands of a file (`ftyp`), and the format that they make it."""

from collections.abc import Sequence
from typing import Literal

from webapp.engine.formats.isobmff.boxes import BoxReader

Format = Literal["avif", "heic"]

_AVIF_BRANDS = (b"avif", b"avis")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
_EITHER_BRANDS = (b"mif1", b"msf1")  # An AVIF if it has a brand of AVIF too, else a HEIC.
BRANDS = (*_AVIF_BRANDS, *_HEIC_BRANDS, *_EITHER_BRANDS)


def matches(head: bytes) -> bool:
    return head[4:8] == b"ftyp" and head[8:12] in BRANDS


def read_brands(reader: BoxReader, start: int, length: int) -> list[bytes]:
    """List the brands, the major one first."""
    reader.spend(length // 4)
    content = reader.read_box(start, length)
    brands = [content[at : at + 4] for at in range(0, length, 4)]
    return [*brands[:1], *brands[2:]]  # The second is the version of the major one.


def find_format(brands: Sequence[bytes]) -> Format:
    counted = brands if brands[0] in _EITHER_BRANDS else brands[:1]
    return "heic" if set(counted).isdisjoint(_AVIF_BRANDS) else "avif"
