"""EXIF that loops, nests, counts too much or is missing, in each format."""

import struct

from tests.support.hostile import jpeg, png, tiff, webp
from tests.support.hostile.binary import Files, u4
from tests.support.hostile.tiff import Tag
from tests.support.images import make_jpeg


def files() -> Files:
    """Make all of them, by name."""
    gps, sub, maker = 0x8825, 0x8769, 0x927C
    turned: Tag = (0x0112, 3, 1, b"\x06\0")
    kinds = {
        "loops": tiff.build([turned, (gps, 4, 1, u4(8)), (sub, 4, 1, u4(8))], next_directory=8),
        "counts-4-billion": tiff.build([(0x0112, 3, 0xFFFFFFFF, b""), (gps, 5, 0xFFFFFFFF, b"")]),
        "points-beyond-the-end": tiff.build([turned, (gps, 4, 1, u4(0xFFFFFFF0))]),
        "has-64-kb-of-numbers": tiff.build([(0x0112, 3, 30_000, b"\6\0" * 30_000)]),
        "has-5000-tags": tiff.build([(0x0112 + n, 3, 1, b"\6\0") for n in range(5_000)]),
        "nests": tiff.build([(sub, 4, 1, u4(26)), (maker, 7, 4, u4(8))]) * 900,
        "is-turned-to-99": tiff.build([(0x0112, 3, 1, b"\x63\0")]),
        "divides-by-zero": tiff.build([(gps, 4, 1, u4(26)), (0x011A, 5, 1, bytes(8))]),
        "is-cut": tiff.build([turned, (gps, 4, 1, u4(26))])[:15],
        "has-types-of-no-name": tiff.build(
            [(0x0112, 0xFFFF, 9, b"\1\2\3\4\5\6\7\x08\x09"), turned]
        ),
    }
    files = {}
    for kind, exif in kinds.items():
        segment = jpeg.segment(0xE1, b"Exif\0\0" + exif[:65_000])
        files[f"exif-{kind}.jpg"] = jpeg.after_soi(make_jpeg(), segment)
        files[f"exif-{kind}.png"] = png.build(chunks=[(b"eXIf", exif)])
        files[f"exif-{kind}.webp"] = webp.with_chunk(b"EXIF", exif)
    numbers = tiff.build([(0x0112, 3, 1, b"\1\0"), (gps, 4, 1, u4(38))])
    numbers += b"\1\0" + struct.pack("<HHII", 2, 4, 6_000_000, 56) + u4(0) + bytes(24_000_000)
    files["exif-of-24-megabytes.png"] = png.build(chunks=[(b"eXIf", numbers)])
    return files
