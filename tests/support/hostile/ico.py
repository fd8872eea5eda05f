"""Icons with larger, more or other pictures than an icon can declare."""

import struct

from tests.support.hostile import bmp, png
from tests.support.hostile.binary import Files, noise, u4, zeros


def build(picture: bytes, entries: int = 1, *, at: int | None = None, bits: int = 32) -> bytes:
    """Make an icon whose directory lists one picture repeatedly, as 256 × 256."""
    place = 6 + 16 * entries if at is None else at
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, bits, len(picture), place)
    return struct.pack("<HHH", 0, 1, entries) + entry * entries + picture


def files() -> Files:
    """Make all of them, by name."""
    small = png.build(64, 64, color=6)
    dib = bmp.build(20_000, 40_000, bytes(100), bits=32)[14:]
    profiles = png.build(chunks=[png.profile()] * 1_000)
    greys = bmp.with_greys()
    return {
        "ico-of-400-megapixels.ico": build(png.build(20_000, 20_000, color=2)),
        "ico-of-49-megapixels.ico": build(png.build(7_000, 7_000, color=2)),
        "ico-of-a-giant-bmp.ico": build(dib),
        "ico-of-a-giant-bmp-of-one-bit.ico": build(
            bmp.build(60_000, 60_000, bytes(9), bits=1)[14:], bits=1
        ),
        "ico-of-65535-entries.ico": build(small, 65_535),
        "ico-of-20000-entries.ico": build(small, 20_000),
        "ico-of-no-entries.ico": build(b"", 0),
        "ico-in-its-own-directory.ico": build(small, at=0),
        "ico-beyond-the-end.ico": build(small, at=0xFFFFFFF0),
        "ico-of-noise.ico": build(noise(5_000, 11)),
        "ico-of-an-animation.ico": build(png.animated(64, 64, 3, says=0xFFFFFFFF)),
        "ico-of-a-text-bomb.ico": build(png.build(chunks=[(b"zTXt", b"a\0\0" + zeros(1 << 28))])),
        "ico-cut-in-its-directory.ico": build(small)[:12],
        "cursor.ico": b"\0\0\2\0" + build(small)[4:],
        "ico-1000-profiles.ico": build(profiles),
        "ico-65536-greys.ico": build(greys[14:22] + u4(128) + greys[26:], bits=8),
    }
