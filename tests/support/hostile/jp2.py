"""JPEG 2000: flat pictures of many pixels, and headers that are wrong."""

import struct

from PIL import Image

from tests.support.hostile.binary import Files, b4, noise
from tests.support.images import encode, make_image
from tests.support.isobmff import box, inside


def files() -> Files:
    """Make all of them, by name."""
    return bombs() | costly_headers()


def bombs() -> Files:
    """Make flat pictures of many pixels, and wrong headers."""
    small, flat = make_image(format="jp2"), encode(Image.new("L", (7_000, 7_000)), "jp2")
    flat_size = flat.index(b"ihdr") + 4
    size = small.index(b"\xff\x51") + 6
    ihdr = small.index(b"ihdr") + 4
    box = small.index(b"jp2h") - 4
    many = (
        small[:size]
        + struct.pack(">IIIIIIII", 40_000, 40_000, 0, 0, 1, 1, 0, 0)
        + small[size + 32 :]
    )
    return {
        "jp2-8000-flat.jp2": flat[:flat_size]
        + struct.pack(">II", 8_000, 8_000)
        + flat[flat_size + 8 :],
        "jp2-49-megapixels-flat.jp2": flat,
        "jp2-4-billion-wide.jp2": small[:ihdr] + b"\xff" * 8 + small[ihdr + 8 :],
        "jp2-stream-larger-than-it-says.jp2": small[:size]
        + struct.pack(">II", 60_000, 60_000)
        + small[size + 8 :],
        "jp2-billion-tiles.jp2": many,
        "jp2-65535-components.jp2": small[: size + 32] + b"\xff\xff" + small[size + 34 :],
        "jp2-no-size.jp2": small[:ihdr] + bytes(8) + small[ihdr + 8 :],
        "jp2-box-in-itself.jp2": small[:box] + b4(8) + b"jp2h" * 2_000 + small[box + 8 :],
        "jp2-200000-boxes.jp2": small[:box] + (b4(8) + b"free") * 200_000 + small[box:],
        "jp2-box-without-end.jp2": small[:box] + b4(0) + small[box + 4 :],
        "jp2-box-of-16-exabytes.jp2": small[:box] + b4(1) + b"jp2h" + b"\xff" * 8,
        "jp2-noise-for-pixels.jp2": small[: small.index(b"\xff\x93") + 2] + noise(50_000, 12),
    }


def costly_headers() -> Files:
    """Make headers whose boxes a reader copies or lists repeatedly."""
    plain = make_image(format="jp2")
    header = inside(plain, b"jp2h")
    palette = header[:16] + b"\0\1" + header[18:22] + box(b"pclr", b"\xff\xff\1\7" + bytes(65_535))
    return {
        "jp2-400000-inner-boxes.jp2": plain.replace(
            box(b"jp2h", header), box(b"jp2h", box(b"free") * 400_000, header)
        ),
        "jp2-50-palettes.jp2": plain.replace(
            box(b"jp2h", header), box(b"jp2h", palette * 50, header)
        ),
    }
