"""BMPs with runs that grow, and sizes that are wrong."""

import struct

from tests.support.hostile.binary import Files, noise, u4


def build(
    width: int, height: int, data: bytes, *, bits: int = 24, compression: int = 0, colors: int = 0
) -> bytes:
    """Make a BMP that declares these values."""
    palette = bytes(4 * min(colors, 256))
    start = 14 + 40 + len(palette)
    size = struct.pack("<iiHHI", width, height, 1, bits, compression)
    info = u4(40) + size + struct.pack("<IiiII", len(data), 1, 1, colors, 0)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + palette + data


def files() -> Files:
    """Make all of them, by name."""
    rle, steps = {"bits": 8, "compression": 1, "colors": 256}, b"\0\x02\xff\xff"
    return {
        "bmp-2-billion-wide.bmp": build(0x7FFFFFFF, 0x7FFFFFFF, bytes(100)),
        "bmp-negative.bmp": build(-64, -64, bytes(64 * 64 * 3)),
        "bmp-most-negative.bmp": build(64, -0x80000000, bytes(100)),
        "bmp-no-width.bmp": build(0, 64, bytes(100)),
        "bmp-49-megapixels-of-nothing.bmp": build(7_000, 7_000, bytes(100)),
        "bmp-runs-of-49-megapixels.bmp": build(7_000, 7_000, b"\xff\0" * 192_158 + b"\0\1", **rle),
        "bmp-5-million-runs-of-one.bmp": build(2_500, 2_000, b"\1\0" * 5_000_000, **rle),
        "bmp-steps-of-49-megapixels.bmp": build(7_000, 7_000, steps * 10_000, **rle),
        "bmp-one-line-of-steps.bmp": build(49_000_000, 1, steps * 10_000, **rle),
        "bmp-line-ends-of-5-megapixels.bmp": build(2_500, 2_000, b"\1\0\0\0" * 2_000, **rle),
        "bmp-runs-of-nothing.bmp": build(64, 64, b"", **rle),
        "bmp-4-billion-colours.bmp": build(64, 64, bytes(4096), bits=8, colors=0xFFFFFFFF),
        "bmp-bits-of-65535.bmp": build(64, 64, bytes(4096), bits=65_535),
        "bmp-masks-of-noise.bmp": build(64, 64, noise(20_000, 10), bits=16, compression=3),
        "bmp-fields-of-49-megapixels-of-nothing.bmp": build(
            7_000, 7_000, u4(0x3FF00000) + u4(0xFFC00) + u4(0x3FF), bits=32, compression=3
        ),
        "bmp-fields-of-4-billion-wide.bmp": build(
            -1, -0x80000000, u4(0xF00) + u4(0xF0) + u4(0xF), bits=16, compression=3
        ),
        "bmp-profile-of-4-gigabytes.bmp": _with_profile(0xFFFFFFFF, 0xFFFFFFFF),
        "bmp-profile-that-is-the-file.bmp": _with_profile(0, 1 << 20),
        "bmp-pixels-beyond-the-end.bmp": build(64, 64, b"")[:10]
        + b"\xff\xff\xff\x7f"
        + build(64, 64, b"")[14:],
        "bmp-header-of-4-gigabytes.bmp": b"BM" + bytes(12) + b"\xff\xff\xff\xff" + bytes(60),
        "bmp-65536-greys.bmp": with_greys(),
    }


def with_greys() -> bytes:
    """Make a picture with a palette of 65536 greys."""
    greys = b"".join(bytes((number & 255,) * 3 + (0,)) for number in range(65_536))
    return build(64, 64, b"", bits=8, colors=65_536)[:54] + greys + bytes(4096)


def _with_profile(start: int, size: int) -> bytes:
    """Make a picture of the longest header, with a profile of this place and size."""
    info = u4(124) + build(64, 64, b"")[18:54] + bytes(16) + b"DEBM" + bytes(52)
    head = b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 124)
    return head + info + struct.pack("<III", start, size, 0) + bytes(64 * 64 * 3)
