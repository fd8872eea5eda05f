"""WebPs of some bytes for gigabytes, and those that lie about themselves."""

import struct

from PIL import Image

from tests.support.hostile.binary import Files, noise, u4
from tests.support.images import encode


def files() -> Files:
    """Make all of them, by name."""
    return bombs() | animations()


def build(chunks: bytes, length: int | None = None) -> bytes:
    """Make a WebP of chunks, with another declared length if given."""
    content = b"WEBP" + chunks
    return b"RIFF" + u4(len(content) if length is None else length) + content


def chunk(name: bytes, content: bytes) -> bytes:
    """Return one chunk of a WebP."""
    return name + u4(len(content)) + content + b"\0" * (len(content) % 2)


def canvas(width: int, height: int, flags: int = 0) -> bytes:
    """Return the chunk with the size of a WebP of several chunks."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return chunk(b"VP8X", bytes((flags, 0, 0, 0)) + sides)


def flat(width: int, height: int) -> bytes:
    """Return a lossless frame of one color, whose pixels take no bits."""
    made = encode(Image.new("RGB", (1, 1), (9, 9, 9)), "webp", lossless=True)
    frame = made[made.index(b"VP8L") + 8 :]
    size = (width - 1) | (height - 1) << 14
    return chunk(b"VP8L", frame[:1] + u4(size | frame[4] >> 4 << 28) + frame[5:])


def with_chunk(name: bytes, content: bytes) -> bytes:
    """Make a small WebP with one more chunk."""
    flags = 0x08 if name == b"EXIF" else 0x20
    return build(canvas(64, 64, flags) + flat(64, 64) + chunk(name, content))


def animated(width: int, height: int, frames: int) -> bytes:
    """Make an animated WebP of flat frames."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    place = bytes(6) + sides + b"\x0a\0\0\0"
    frame = chunk(b"ANMF", place + flat(width, height))
    control = chunk(b"ANIM", bytes(6))
    return build(canvas(width, height, 0x02) + control + frame * frames)


def bombs() -> Files:
    """Make some bytes for gigabytes, and wrong canvases, frames and lengths."""
    lossy = encode(Image.new("RGB", (64, 64)), "webp")
    at = lossy.index(b"\x9d\x01\x2a") + 3
    return {
        "webp-16000-flat.webp": build(flat(16_000, 16_000)),
        "webp-49-megapixels-flat.webp": build(flat(7_000, 7_000)),
        "webp-49-megapixels-in-one-line.webp": build(flat(16_384, 3_000)),
        "webp-lossy-16383.webp": lossy[:at] + b"\xff\x3f\xff\x3f" + lossy[at + 4 :],
        "webp-lossy-49-megapixels.webp": lossy[:at]
        + struct.pack("<HH", 7_000, 7_000)
        + lossy[at + 4 :],
        "webp-lossy-of-no-size.webp": lossy[:at] + bytes(4) + lossy[at + 4 :],
        "webp-canvas-of-16-million.webp": build(canvas(1 << 24, 1 << 24) + flat(64, 64)),
        "webp-canvas-smaller-than-its-frame.webp": build(canvas(64, 64) + flat(16_000, 16_000)),
        "webp-canvas-larger-than-its-frame.webp": build(canvas(7_000, 7_000) + flat(64, 64)),
        "webp-longer-than-it-is.webp": build(flat(64, 64), 0xFFFFFFFF),
        "webp-shorter-than-it-is.webp": build(flat(64, 64), 4),
        "webp-100000-empty-chunks.webp": build(
            canvas(64, 64, 0x08) + chunk(b"junk", b"") * 100_000 + flat(64, 64)
        ),
        "webp-chunk-beyond-the-end.webp": build(canvas(64, 64) + b"ICCP\xff\xff\xff\xff"),
        "webp-profile-of-noise.webp": build(
            canvas(64, 64, 0x20) + chunk(b"ICCP", noise(100_000, 4)) + flat(64, 64)
        ),
        "webp-alpha-without-a-picture.webp": build(
            canvas(64, 64, 0x10) + chunk(b"ALPH", b"\1" + noise(50, 5))
        ),
        "webp-noise-for-pixels.webp": build(chunk(b"VP8L", b"\x2f" + noise(50_000, 6))),
    }


def animations() -> Files:
    """Make animations of more or larger frames than a viewer can show."""
    return {
        "moving-webp-of-5000-frames.webp": animated(64, 64, 5_000),
        "moving-webp-of-10-large-frames.webp": animated(7_000, 7_000, 10),
        "moving-webp-of-200-frames.webp": animated(1_500, 1_500, 200),
        "moving-webp-of-16000.webp": animated(16_000, 16_000, 3),
        "moving-webp-without-frames.webp": animated(64, 64, 0),
    }
