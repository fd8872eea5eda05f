"""JPEGs that cost more than they weigh, or lie about themselves."""

import struct

from PIL import Image

from tests.support.hostile import tiff
from tests.support.hostile.binary import Files, noise, u4
from tests.support.hostile.tiff import Tag
from tests.support.images import make_jpeg

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)


def files() -> Files:
    """Make all of them, by name."""
    return bombs() | lies() | costly_headers()


def segment(marker: int, content: bytes) -> bytes:
    """Return one segment of a JPEG, with its length."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    """Return a JPEG of another declared size; decoders fill it with grey."""
    frame = next(jpeg.index(bytes((0xFF, code))) for code in _FRAMES if bytes((0xFF, code)) in jpeg)
    return jpeg[: frame + 5] + struct.pack(">HH", height, width) + jpeg[frame + 9 :]


def after_soi(jpeg: bytes, content: bytes) -> bytes:
    """Insert bytes after the start of a JPEG."""
    return SOI + content + jpeg[2:]


def bombs() -> Files:
    """Make few bytes that cost much work."""
    plain, grey = make_jpeg(), make_jpeg(image=Image.new("L", (64, 64), 90))
    progressive = make_jpeg(progressive_scans=50)
    restarts = make_jpeg(restart_marker_blocks=1)
    arithmetic = plain.replace(b"\xff\xc0", b"\xff\xc9", 1)
    return {
        "jpeg-4300-megapixels.jpg": with_size(plain, 65500, 65500),
        "jpeg-just-100-megapixels.jpg": with_size(plain, 10_000, 10_000),
        "jpeg-just-under-and-grey.jpg": with_size(grey, 65_500, 1_526),
        "jpeg-2000-scans.jpg": make_jpeg(progressive_scans=2000),
        "jpeg-51-scans.jpg": make_jpeg(progressive_scans=51),
        "jpeg-50-scans.jpg": progressive,
        "jpeg-50-scans-of-99-megapixels.jpg": with_size(progressive, 9_950, 9_950),
        "jpeg-9000-comments.jpg": after_soi(plain, segment(0xFE, b"x") * 9_000),
        "jpeg-50000-segments.jpg": after_soi(plain, segment(0xE5, b"") * 50_000),
        "jpeg-5000-tables.jpg": after_soi(plain, segment(0xDB, bytes(65)) * 5_000),
        "jpeg-filled-with-ff.jpg": after_soi(plain, b"\xff" * 3_000_000),
        "jpeg-restart-at-each-block.jpg": with_size(restarts, 9_000, 9_000),
        "jpeg-huge-restart-interval.jpg": after_soi(plain, segment(0xDD, b"\xff\xff")),
        "jpeg-arithmetic.jpg": arithmetic,
        "jpeg-arithmetic-100-megapixels.jpg": with_size(arithmetic, 10_000, 10_000),
        "jpeg-icc-of-255-parts.jpg": after_soi(
            plain,
            b"".join(
                segment(0xE2, b"ICC_PROFILE\0" + bytes((part, 255)) + bytes(60_000))
                for part in range(1, 256)
            ),
        ),
    }


def lies() -> Files:
    """Make JPEGs with wrong sizes, counts and offsets."""
    plain = make_jpeg()
    frame = plain.index(b"\xff\xc0")
    scan = plain.index(b"\xff\xda")
    header = plain[:scan]
    return {
        "jpeg-no-width.jpg": with_size(plain, 0, 80),
        "jpeg-no-height.jpg": with_size(plain, 120, 0),
        "jpeg-height-comes-later.jpg": with_size(plain, 120, 0)[:-2]
        + segment(0xDC, struct.pack(">H", 60_000))
        + EOI,
        "jpeg-two-frames.jpg": plain[:scan] + plain[frame:scan] + plain[scan:],
        "jpeg-200-components.jpg": plain[: frame + 9] + b"\xc8" + plain[frame + 10 :],
        "jpeg-no-components.jpg": plain[: frame + 9] + b"\0" + plain[frame + 10 :],
        "jpeg-sampling-15-by-15.jpg": plain[: frame + 11] + b"\xff" + plain[frame + 12 :],
        "jpeg-precision-of-255.jpg": plain[: frame + 4] + b"\xff" + plain[frame + 5 :],
        "jpeg-segment-without-length.jpg": after_soi(plain, b"\xff\xe1\0\0"),
        "jpeg-segment-beyond-the-end.jpg": SOI + b"\xff\xe1\xff\xff" + b"Exif\0\0",
        "jpeg-without-a-scan.jpg": header + EOI,
        "jpeg-without-tables.jpg": SOI + plain[frame:],
        "jpeg-only-scans.jpg": SOI + plain[scan:],
        "jpeg-noise-for-a-scan.jpg": header + plain[scan : scan + 14] + noise(50_000, 1),
        "jpeg-in-a-jpeg.jpg": after_soi(plain, plain * 20),
        "jpeg-adobe-says-cmyk.jpg": after_soi(plain, segment(0xEE, b"Adobe\0\x64\0\0\0\0\x02")),
        "mpo-of-4-billion-pictures.jpg": _with_mpf(plain, count=0xFFFFFFFF),
        "mpo-that-is-its-own-next.jpg": _with_mpf(plain, count=1000),
        "mpo-with-a-loop-of-tags.jpg": after_soi(
            plain, segment(0xE2, b"MPF\0" + b"II*\0\x08\0\0\0" + b"\1\0" + bytes(12) + u4(8))
        ),
    }


def _with_mpf(jpeg: bytes, count: int) -> bytes:
    """Return a JPEG that claims to be one of many pictures, all at its offset."""
    entries = struct.pack("<IIIHH", 0x030000, len(jpeg), 0, 0, 0) * min(count, 1000)
    tags: list[Tag] = [
        (0xB000, 7, 4, b"0100"),
        (0xB001, 4, 1, u4(count)),
        (0xB002, 7, len(entries), entries),
    ]
    return after_soi(jpeg, segment(0xE2, b"MPF\0" + tiff.build(tags)))


def costly_headers() -> Files:
    """Make headers whose parts a reader copies or lists repeatedly."""
    plain, progressive = make_jpeg(), make_jpeg(progressive_scans=5)
    return {
        "jpeg-exif-in-200-segments.jpg": after_soi(
            plain, segment(0xE1, b"Exif\0\0" + bytes(65_000)) * 200
        ),
        "jpeg-100000-tables.jpg": after_soi(plain, segment(0xDB, bytes(65) * 1_000) * 100),
        "jpeg-540000-resources.jpg": after_soi(
            plain, segment(0xED, b"Photoshop 3.0\0" + (b"8BIM" + bytes(8)) * 5_400) * 100
        ),
        "jpeg-junk-behind-each-segment.jpg": after_soi(
            plain, (segment(0xFE, b"") + b"\xff\0" * 170) * 2_900
        ),
        "jpeg-scan-of-stuffed-bytes.jpg": progressive[:-2] + b"\xff\0" * 5_000_000 + EOI,
    }
