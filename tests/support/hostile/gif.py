"""GIFs with screens, frames and comments without end."""

import struct

from tests.support.hostile.binary import Files, noise

_CLEAR = b"!\xf9\x04\x08\0\0\0\0"  # Before a frame that is cleared when its time is over.

_EMPTY = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\0"  # A frame without pixels.


def files() -> Files:
    """Make all of them, by name."""
    return bombs() | animations() | costly_headers()


def build(width: int, height: int, content: bytes) -> bytes:
    """Make a GIF of a screen and its content."""
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0)
    return b"GIF89a" + screen + b"\0\0\0\xff\xff\xff" + content + b";"


def frame(width: int, height: int, left: int = 0, top: int = 0, data: bytes = b"") -> bytes:
    """Return one frame of a GIF; without data, it has no pixels."""
    data = data or b"\x02\x44\x01"
    blocks = b"".join(
        bytes((len(data[n : n + 255]),)) + data[n : n + 255] for n in range(0, len(data), 255)
    )
    return b"," + struct.pack("<HHHHB", left, top, width, height, 0) + b"\x02" + blocks + b"\0"


def bombs() -> Files:
    """Make GIFs with huge screens and frames, and endless comments."""
    dot = frame(1, 1)
    comment = b"!\xfe" + (b"\xff" + b"x" * 255) * 4_000 + b"\0"
    growing = b"".join(frame(1, 1, side, side) for side in range(0, 60_000, 60))
    return {
        "gif-screen-of-65535.gif": build(65_535, 65_535, dot),
        "gif-screen-of-49-megapixels.gif": build(7_000, 7_000, dot),
        "gif-frame-of-65535.gif": build(1, 1, frame(65_535, 65_535)),
        "gif-frame-beyond-its-screen.gif": build(64, 64, frame(1, 1, 65_535, 65_535)),
        "gif-of-no-size.gif": build(0, 0, dot),
        "gif-frame-of-no-size.gif": build(64, 64, frame(0, 0)),
        "gif-without-a-frame.gif": build(64, 64, b""),
        "gif-megabytes-of-comments.gif": build(64, 64, comment * 5 + dot),
        "gif-60000-comments.gif": build(64, 64, b"!\xfe\1x\0" * 60_000 + dot),
        "gif-million-empty-extensions.gif": build(64, 64, b"!\xff\0" * 1_000_000 + dot),
        "gif-screen-that-grows.gif": build(1, 1, dot + growing),
        "gif-noise-for-pixels.gif": build(64, 64, frame(64, 64, data=noise(50_000, 7))),
        "gif-code-of-255-bits.gif": build(64, 64, dot).replace(b"\x02\x03\x02", b"\xff\x03\x02"),
        "gif-blocks-without-end.gif": build(64, 64, frame(64, 64)[:-1] + b"\1\0" * 500_000),
    }


def animations() -> Files:
    """Make animations of more or larger frames than a viewer can show."""
    dot = frame(1, 1)
    return {
        "moving-gif-of-20000-frames.gif": build(64, 64, dot * 20_000),
        "moving-gif-of-million-empty-frames.gif": build(64, 64, dot + _EMPTY * 1_000_000),
        "moving-gif-of-5-million-bytes-apart.gif": build(
            64, 64, dot + b"!\xfe" + b"\1x" * 5_000_000 + b"\0" + dot
        ),
        "moving-gif-of-65535-and-5000-frames.gif": build(65_535, 65_535, dot * 5_000),
        "moving-gif-of-10-large-frames.gif": build(7_000, 7_000, (_CLEAR + dot) * 10),
        "moving-gif-of-200-frames.gif": build(1_500, 1_500, (_CLEAR + dot) * 200),
        "moving-gif-of-no-size.gif": build(64, 64, dot + frame(0, 0) * 20),
        "moving-gif-that-is-cut.gif": build(64, 64, (_CLEAR + dot) * 20)[:-5],
    }


def costly_headers() -> Files:
    """Make headers whose parts a reader copies or lists repeatedly."""
    return {
        "gif-65535-to-clear.gif": build(64, 64, _CLEAR + frame(65_535, 65_535)),
        "gif-10-million-comments.gif": build(
            64, 64, b"!\xfe" + b"\1x" * 10_000_000 + b"\0" + frame(1, 1)
        ),
    }
