"""Make the files that somebody sends to bring the service down: bombs, lies, loops and junk.

`hostile_files` gives them all by the name to send them under. They are made in code, each time the
same, and most have a few kilobytes; what each promises or hides is visible in the function that
makes it. The few that must be large have some megabytes, below the limit of an upload.
"""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache

from PIL import Image

from tests.support.images import encode, make_animation, make_image, make_jpeg, make_png_chunk
from tests.support.isobmff import Item, box, build, full_box, inside, picture

Files = dict[str, bytes]
Tag = tuple[int, int, int, bytes]  # Number, type, count, and the value.

# Formats by the ending of their files; a plain small image of each.
_SAMPLES: dict[str, Callable[[], bytes]] = {
    "jpg": lambda: make_jpeg(orientation=6, gps=True, progressive_scans=10),
    "png": lambda: make_image("RGBA", format="png"),
    "webp": lambda: make_image(format="webp"),
    "gif": lambda: make_animation("gif"),
    "tiff": lambda: make_image(format="tiff"),
    "bmp": lambda: make_image(format="bmp"),
    "avif": lambda: make_image(format="avif"),
    "heic": lambda: make_image(format="heic"),
    "ico": lambda: make_image("RGBA", (64, 64), "ico"),
    "jp2": lambda: make_image(format="jp2"),
}


@cache
def sample(ending: str) -> bytes:
    """Give a plain small image of a format that is read, as the tests of it have."""
    return _SAMPLES[ending]()


ENDINGS = tuple(_SAMPLES)


def hostile_files() -> Files:
    """Make all of them, by name."""
    kinds = (
        *(jpeg_bombs, jpeg_lies, exif_lies, png_bombs, png_lies, webp_bombs, gif_bombs),
        *(animations, tiff_bombs, tiff_lies, bmp_bombs, ico_lies, jp2_bombs, avif_and_heic_lies),
        *(costly_headers, polyglots, strangers, magics, truncations, flipped_bits),
    )
    files: Files = {}
    for kind in kinds:
        made = kind()
        assert not files.keys() & made.keys()
        files |= made
    return files


# JPEG

SOI, EOI = b"\xff\xd8", b"\xff\xd9"


def jpeg_segment(marker: int, content: bytes) -> bytes:
    """Make one segment of a JPEG, with its length."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def with_jpeg_size(jpeg: bytes, width: int, height: int) -> bytes:
    """Make a JPEG promise another size; its decoder fills what is missing with grey."""
    frame = next(jpeg.index(bytes((0xFF, code))) for code in _FRAMES if bytes((0xFF, code)) in jpeg)
    return jpeg[: frame + 5] + struct.pack(">HH", height, width) + jpeg[frame + 9 :]


_FRAMES = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)


def after_soi(jpeg: bytes, content: bytes) -> bytes:
    """Put something between the start of a JPEG and all the rest."""
    return SOI + content + jpeg[2:]


def jpeg_bombs() -> Files:
    """Few bytes, much work: pixels, scans, segments, tables, restarts."""
    plain, grey = make_jpeg(), make_jpeg(image=Image.new("L", (64, 64), 90))
    progressive = make_jpeg(progressive_scans=50)
    restarts = make_jpeg(restart_marker_blocks=1)
    arithmetic = plain.replace(b"\xff\xc0", b"\xff\xc9", 1)
    return {
        "jpeg-4300-megapixels.jpg": with_jpeg_size(plain, 65500, 65500),
        "jpeg-just-100-megapixels.jpg": with_jpeg_size(plain, 10_000, 10_000),
        "jpeg-just-under-and-grey.jpg": with_jpeg_size(grey, 65_500, 1_526),
        "jpeg-2000-scans.jpg": make_jpeg(progressive_scans=2000),
        "jpeg-51-scans.jpg": make_jpeg(progressive_scans=51),
        "jpeg-50-scans.jpg": progressive,
        "jpeg-50-scans-of-99-megapixels.jpg": with_jpeg_size(progressive, 9_950, 9_950),
        "jpeg-9000-comments.jpg": after_soi(plain, jpeg_segment(0xFE, b"x") * 9_000),
        "jpeg-50000-segments.jpg": after_soi(plain, jpeg_segment(0xE5, b"") * 50_000),
        "jpeg-5000-tables.jpg": after_soi(plain, jpeg_segment(0xDB, bytes(65)) * 5_000),
        "jpeg-filled-with-ff.jpg": after_soi(plain, b"\xff" * 3_000_000),
        "jpeg-restart-at-each-block.jpg": with_jpeg_size(restarts, 9_000, 9_000),
        "jpeg-huge-restart-interval.jpg": after_soi(plain, jpeg_segment(0xDD, b"\xff\xff")),
        "jpeg-arithmetic.jpg": arithmetic,
        "jpeg-arithmetic-100-megapixels.jpg": with_jpeg_size(arithmetic, 10_000, 10_000),
        "jpeg-icc-of-255-parts.jpg": after_soi(
            plain,
            b"".join(
                jpeg_segment(0xE2, b"ICC_PROFILE\0" + bytes((part, 255)) + bytes(60_000))
                for part in range(1, 256)
            ),
        ),
    }


def jpeg_lies() -> Files:
    """Sizes, counts and offsets that are not so."""
    plain = make_jpeg()
    frame = plain.index(b"\xff\xc0")
    scan = plain.index(b"\xff\xda")
    header = plain[:scan]
    return {
        "jpeg-no-width.jpg": with_jpeg_size(plain, 0, 80),
        "jpeg-no-height.jpg": with_jpeg_size(plain, 120, 0),
        "jpeg-height-comes-later.jpg": with_jpeg_size(plain, 120, 0)[:-2]
        + jpeg_segment(0xDC, struct.pack(">H", 60_000))
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
        "jpeg-adobe-says-cmyk.jpg": after_soi(
            plain, jpeg_segment(0xEE, b"Adobe\0\x64\0\0\0\0\x02")
        ),
        "mpo-of-4-billion-pictures.jpg": _with_mpf(plain, count=0xFFFFFFFF),
        "mpo-that-is-its-own-next.jpg": _with_mpf(plain, count=1000),
        "mpo-with-a-loop-of-tags.jpg": after_soi(
            plain, jpeg_segment(0xE2, b"MPF\0" + b"II*\0\x08\0\0\0" + b"\1\0" + bytes(12) + _u4(8))
        ),
    }


def _with_mpf(jpeg: bytes, count: int) -> bytes:
    """Say that a JPEG is one of so many pictures, all of which begin where it does."""
    entries = struct.pack("<IIIHH", 0x030000, len(jpeg), 0, 0, 0) * min(count, 1000)
    tags: list[Tag] = [
        (0xB000, 7, 4, b"0100"),
        (0xB001, 4, 1, _u4(count)),
        (0xB002, 7, len(entries), entries),
    ]
    return after_soi(jpeg, jpeg_segment(0xE2, b"MPF\0" + tiff(tags)))


def exif_lies() -> Files:
    """EXIF that loops, nests, counts too much or is not there, in each format that has it."""
    gps, sub, maker = 0x8825, 0x8769, 0x927C
    turned: Tag = (0x0112, 3, 1, b"\x06\0")
    kinds = {
        "loops": tiff([turned, (gps, 4, 1, _u4(8)), (sub, 4, 1, _u4(8))], next_directory=8),
        "counts-4-billion": tiff([(0x0112, 3, 0xFFFFFFFF, b""), (gps, 5, 0xFFFFFFFF, b"")]),
        "points-beyond-the-end": tiff([turned, (gps, 4, 1, _u4(0xFFFFFFF0))]),
        "has-64-kb-of-numbers": tiff([(0x0112, 3, 30_000, b"\6\0" * 30_000)]),
        "has-5000-tags": tiff([(0x0112 + n, 3, 1, b"\6\0") for n in range(5_000)]),
        "nests": tiff([(sub, 4, 1, _u4(26)), (maker, 7, 4, _u4(8))]) * 900,
        "is-turned-to-99": tiff([(0x0112, 3, 1, b"\x63\0")]),
        "divides-by-zero": tiff([(gps, 4, 1, _u4(26)), (0x011A, 5, 1, bytes(8))]),
        "is-cut": tiff([turned, (gps, 4, 1, _u4(26))])[:15],
        "has-types-of-no-name": tiff([(0x0112, 0xFFFF, 9, b"\1\2\3\4\5\6\7\x08\x09"), turned]),
    }
    files = {}
    for kind, exif in kinds.items():
        segment = jpeg_segment(0xE1, b"Exif\0\0" + exif[:65_000])
        files[f"exif-{kind}.jpg"] = after_soi(make_jpeg(), segment)
        files[f"exif-{kind}.png"] = png(chunks=[(b"eXIf", exif)])
        files[f"exif-{kind}.webp"] = webp_with(b"EXIF", exif)
    numbers = tiff([(0x0112, 3, 1, b"\1\0"), (gps, 4, 1, _u4(38))])
    numbers += b"\1\0" + struct.pack("<HHII", 2, 4, 6_000_000, 56) + _u4(0) + bytes(24_000_000)
    files["exif-of-24-megabytes.png"] = png(chunks=[(b"eXIf", numbers)])
    return files


# PNG

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def zeros(count: int) -> bytes:
    """Compress so many zero bytes, a thousand to one, without compressing them all."""
    block, unit = 1 << 20, zlib.compressobj(9, zlib.DEFLATED, -15)
    repeated = unit.compress(bytes(block)) + unit.flush(zlib.Z_FULL_FLUSH)
    rest = zlib.compressobj(9, zlib.DEFLATED, -15)
    ending = rest.compress(bytes(count % block)) + rest.flush()
    checksum = struct.pack(">I", (count % 65521) << 16 | 1)
    return b"\x78\xda" + repeated * (count // block) + ending + checksum


def png(
    width: int = 64,
    height: int = 64,
    *,
    depth: int = 8,
    color: int = 0,
    interlace: int = 0,
    data: bytes | None = None,
    chunks: list[tuple[bytes, bytes]] | None = None,
    late_chunks: list[tuple[bytes, bytes]] | None = None,
) -> bytes:
    """Make a black PNG, or one of any data, with more chunks before and behind its pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(color, 1)
    if data is None:
        data = zeros(height * (1 + (width * depth * channels + 7) // 8))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    palette = [(b"PLTE", bytes(768))] if color == 3 and chunks is None else []
    all_chunks = [
        *[(b"IHDR", header), *palette, *(chunks or [])],
        *[(b"IDAT", data), *(late_chunks or []), (b"IEND", b"")],
    ]
    return PNG_SIGNATURE + b"".join(make_png_chunk(*chunk) for chunk in all_chunks)


def png_bombs() -> Files:
    """Pixels, texts and profiles that grow a thousandfold; chunks without end."""
    text = zeros(1 << 28)  # 256 kB that become 256 MB.
    empty = [(b"teXt", b"")] * 100_000
    single = png(data=zlib.compress(bytes(65 * 64), 0))
    start, end = single.index(b"IDAT") - 4, single.index(b"IEND") - 4
    content = zlib.compress(bytes(65 * 64), 0)
    bits = b"".join(make_png_chunk(b"IDAT", content[n : n + 1]) for n in range(len(content)))
    nothing = make_png_chunk(b"IDAT", b"") * 500_000
    return {
        "png-400-megapixels.png": png(20_000, 20_000, color=2),
        "png-4-billion-wide.png": png(0x7FFFFFFF, 1, data=zeros(1000)),
        "png-98-megapixels-of-16-bit-rgba.png": png(9_900, 9_900, depth=16, color=6),
        "png-99-megapixels-of-rgb.png": png(9_950, 9_950, color=2),
        "png-99-megapixels-of-one-bit.png": png(9_950, 9_950, depth=1),
        "png-99-megapixels-of-palette.png": png(9_950, 9_950, color=3),
        "png-99-megapixels-interlaced.png": png(9_950, 9_950, color=2, interlace=1),
        "png-one-line-of-99-megapixels.png": png(99_000_000, 1, color=2),
        "png-one-column-of-99-megapixels.png": png(1, 99_000_000, color=0),
        "png-more-data-than-pixels.png": png(data=zeros(2_000_000_000)),
        "png-ztxt-bomb.png": png(chunks=[(b"zTXt", b"Comment\0\0" + text)]),
        "png-itxt-bomb.png": png(chunks=[(b"iTXt", b"Comment\0\1\0\0\0" + text)]),
        "png-iccp-bomb.png": png(chunks=[(b"iCCP", b"icc\0\0" + text)]),
        "png-late-ztxt-bomb.png": png(late_chunks=[(b"zTXt", b"Comment\0\0" + text)]),
        "png-300-texts.png": png(
            chunks=[(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_000_000)))] * 300
        ),
        "png-xmp-without-end.png": png(
            chunks=[(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"<x:xmpmeta " * 200_000)]
        ),
        "png-profile-of-exif.png": png(
            chunks=[(b"tEXt", b"Raw profile type exif\0" + b"\nexif\n  99999\n" + b"00" * 900_000)]
        ),
        "png-100000-empty-chunks.png": png(chunks=empty),
        "png-100000-late-empty-chunks.png": png(late_chunks=empty),
        "png-one-byte-a-chunk.png": single[:start] + bits + single[end:],
        "png-500000-empty-idat.png": single[:start] + nothing + single[start:],
        "png-500000-late-empty-idat.png": single[:end] + nothing + single[end:],
        "png-3-million-late-chunks.png": single[:end]
        + make_png_chunk(b"teXt", b"") * 3_000_000
        + single[end:],
    }


def png_lies() -> Files:
    """Sizes, depths, lengths and checksums that are not so."""
    plain = png()
    at = plain.index(b"IDAT")
    return {
        "png-no-width.png": png(0, 64),
        "png-no-height.png": png(64, 0),
        "png-negative.png": png(0xFFFFFFFF, 0xFFFFFFFF, data=b""),
        "png-depth-of-255.png": png(depth=255, data=zeros(100)),
        "png-colour-of-255.png": png(color=255),
        "png-interlace-of-255.png": png(interlace=255),
        "png-interlaced-and-short.png": png(9_000, 9_000, interlace=1, data=zeros(10)),
        "png-promises-more-than-it-has.png": png(9_000, 9_000, data=zeros(5_000)),
        "png-palette-of-a-megabyte.png": png(color=3, chunks=[(b"PLTE", bytes(1_000_000))]),
        "png-palette-of-nothing.png": png(color=3, chunks=[(b"PLTE", b"")]),
        "png-palette-missing.png": png(color=3, chunks=[]),
        "png-transparency-of-a-megabyte.png": png(color=3, late_chunks=[(b"tRNS", bytes(10**6))]),
        "png-second-header.png": png(
            chunks=[(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 16, 6, 0, 0, 0))]
        ),
        "png-late-second-header.png": png(
            late_chunks=[(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 16, 6, 0, 0, 0))]
        ),
        "png-bad-checksum.png": plain[: at - 8] + b"\0\0\0\0" + plain[at - 4 :],
        "png-chunk-of-4-gigabytes.png": plain[: at - 4] + b"\xff\xff\xff\xff" + plain[at:],
        "png-chunk-of-2-gigabytes.png": plain[: at - 4] + b"\x7f\xff\xff\xff" + plain[at:],
        "png-noise-for-pixels.png": png(data=noise(50_000, 2)),
        "png-no-pixels.png": plain[: at - 4] + make_png_chunk(b"IEND", b""),
        "png-no-end.png": plain[:-12],
        "png-short-header.png": PNG_SIGNATURE + make_png_chunk(b"IHDR", b"\0\0\0\1"),
        "png-names-of-no-letters.png": png(chunks=[(b"\0\xff\n;", b"x")]),
        "png-profile-of-noise.png": png(
            color=2, chunks=[(b"iCCP", b"icc\0\0" + zlib.compress(noise(5_000, 3)))]
        ),
        "png-gamma-of-nothing.png": png(chunks=[(b"gAMA", b""), (b"cHRM", b"x"), (b"pHYs", b"")]),
    }


# WebP


def riff(chunks: bytes, length: int | None = None) -> bytes:
    """Wrap the chunks of a WebP; `length` is what it says that they have."""
    content = b"WEBP" + chunks
    return b"RIFF" + _u4(len(content) if length is None else length) + content


def webp_chunk(name: bytes, content: bytes) -> bytes:
    """Make one chunk of a WebP."""
    return name + _u4(len(content)) + content + b"\0" * (len(content) % 2)


def webp_canvas(width: int, height: int, flags: int = 0) -> bytes:
    """Make the chunk that says how large a WebP of several chunks is."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp_chunk(b"VP8X", bytes((flags, 0, 0, 0)) + sides)


def flat_lossless(width: int, height: int) -> bytes:
    """Make the lossless frame of one colour: no pixel takes a bit, whatever the size."""
    made = encode(Image.new("RGB", (1, 1), (9, 9, 9)), "webp", lossless=True)
    frame = made[made.index(b"VP8L") + 8 :]
    size = (width - 1) | (height - 1) << 14
    return webp_chunk(b"VP8L", frame[:1] + _u4(size | frame[4] >> 4 << 28) + frame[5:])


def webp_with(name: bytes, content: bytes) -> bytes:
    """Make a small WebP with one more chunk."""
    flags = 0x08 if name == b"EXIF" else 0x20
    return riff(webp_canvas(64, 64, flags) + flat_lossless(64, 64) + webp_chunk(name, content))


def webp_bombs() -> Files:
    """Tens of bytes for gigabytes, and canvases, frames and lengths that are not so."""
    lossy = encode(Image.new("RGB", (64, 64)), "webp")
    at = lossy.index(b"\x9d\x01\x2a") + 3
    return {
        "webp-16000-flat.webp": riff(flat_lossless(16_000, 16_000)),
        "webp-49-megapixels-flat.webp": riff(flat_lossless(7_000, 7_000)),
        "webp-49-megapixels-in-one-line.webp": riff(flat_lossless(16_384, 3_000)),
        "webp-lossy-16383.webp": lossy[:at] + b"\xff\x3f\xff\x3f" + lossy[at + 4 :],
        "webp-lossy-49-megapixels.webp": lossy[:at]
        + struct.pack("<HH", 7_000, 7_000)
        + lossy[at + 4 :],
        "webp-lossy-of-no-size.webp": lossy[:at] + bytes(4) + lossy[at + 4 :],
        "webp-canvas-of-16-million.webp": riff(
            webp_canvas(1 << 24, 1 << 24) + flat_lossless(64, 64)
        ),
        "webp-canvas-smaller-than-its-frame.webp": riff(
            webp_canvas(64, 64) + flat_lossless(16_000, 16_000)
        ),
        "webp-canvas-larger-than-its-frame.webp": riff(
            webp_canvas(7_000, 7_000) + flat_lossless(64, 64)
        ),
        "webp-longer-than-it-is.webp": riff(flat_lossless(64, 64), 0xFFFFFFFF),
        "webp-shorter-than-it-is.webp": riff(flat_lossless(64, 64), 4),
        "webp-100000-empty-chunks.webp": riff(
            webp_canvas(64, 64, 0x08) + webp_chunk(b"junk", b"") * 100_000 + flat_lossless(64, 64)
        ),
        "webp-chunk-beyond-the-end.webp": riff(webp_canvas(64, 64) + b"ICCP\xff\xff\xff\xff"),
        "webp-profile-of-noise.webp": riff(
            webp_canvas(64, 64, 0x20)
            + webp_chunk(b"ICCP", noise(100_000, 4))
            + flat_lossless(64, 64)
        ),
        "webp-alpha-without-a-picture.webp": riff(
            webp_canvas(64, 64, 0x10) + webp_chunk(b"ALPH", b"\1" + noise(50, 5))
        ),
        "webp-noise-for-pixels.webp": riff(webp_chunk(b"VP8L", b"\x2f" + noise(50_000, 6))),
    }


# GIF


def gif(width: int, height: int, content: bytes) -> bytes:
    """Make a GIF of a screen and of whatever is on it."""
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0)
    return b"GIF89a" + screen + b"\0\0\0\xff\xff\xff" + content + b";"


def gif_frame(width: int, height: int, left: int = 0, top: int = 0, data: bytes = b"") -> bytes:
    """Make one frame of a GIF; without data, of a single pixel and nothing."""
    data = data or b"\x02\x44\x01"
    blocks = b"".join(
        bytes((len(data[n : n + 255]),)) + data[n : n + 255] for n in range(0, len(data), 255)
    )
    return b"," + struct.pack("<HHHHB", left, top, width, height, 0) + b"\x02" + blocks + b"\0"


def gif_bombs() -> Files:
    """Screens, frames and comments without end."""
    dot = gif_frame(1, 1)
    comment = b"!\xfe" + (b"\xff" + b"x" * 255) * 4_000 + b"\0"
    growing = b"".join(gif_frame(1, 1, side, side) for side in range(0, 60_000, 60))
    return {
        "gif-screen-of-65535.gif": gif(65_535, 65_535, dot),
        "gif-screen-of-49-megapixels.gif": gif(7_000, 7_000, dot),
        "gif-frame-of-65535.gif": gif(1, 1, gif_frame(65_535, 65_535)),
        "gif-frame-beyond-its-screen.gif": gif(64, 64, gif_frame(1, 1, 65_535, 65_535)),
        "gif-of-no-size.gif": gif(0, 0, dot),
        "gif-frame-of-no-size.gif": gif(64, 64, gif_frame(0, 0)),
        "gif-without-a-frame.gif": gif(64, 64, b""),
        "gif-megabytes-of-comments.gif": gif(64, 64, comment * 5 + dot),
        "gif-60000-comments.gif": gif(64, 64, b"!\xfe\1x\0" * 60_000 + dot),
        "gif-million-empty-extensions.gif": gif(64, 64, b"!\xff\0" * 1_000_000 + dot),
        "gif-screen-that-grows.gif": gif(1, 1, dot + growing),
        "gif-noise-for-pixels.gif": gif(64, 64, gif_frame(64, 64, data=noise(50_000, 7))),
        "gif-code-of-255-bits.gif": gif(64, 64, dot).replace(b"\x02\x03\x02", b"\xff\x03\x02"),
        "gif-blocks-without-end.gif": gif(64, 64, gif_frame(64, 64)[:-1] + b"\1\0" * 500_000),
    }


# Animations: sent as what they are, they cost something where the movement is asked for.


def apng(width: int, height: int, frames: int, *, says: int | None = None) -> bytes:
    """Make an animated PNG of black frames; `says` is how many it promises."""
    control = [(b"acTL", struct.pack(">II", frames if says is None else says, 0))]
    data = zeros(height * (1 + width))
    place = struct.pack(">IIIIHHBB", width, height, 0, 0, 1, 10, 0, 0)
    later: list[tuple[bytes, bytes]] = []
    for number in range(1, frames):
        later.append((b"fcTL", _b4(2 * number - 1) + place))
        later.append((b"fdAT", _b4(2 * number) + data))
    return png(
        width, height, chunks=[*control, (b"fcTL", _b4(0) + place)], late_chunks=later, data=data
    )


def moving_webp(width: int, height: int, frames: int) -> bytes:
    """Make an animated WebP of flat frames."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    place = bytes(6) + sides + b"\x0a\0\0\0"
    frame = webp_chunk(b"ANMF", place + flat_lossless(width, height))
    control = webp_chunk(b"ANIM", bytes(6))
    return riff(webp_canvas(width, height, 0x02) + control + frame * frames)


def animations() -> Files:
    """Animations of more frames, or of larger ones, than anybody can look at."""
    dot, pause = gif_frame(1, 1), b"!\xf9\x04\x08\0\0\0\0"
    avif = make_animation("avif")
    count = avif.index(b"stsz") + 12
    return {
        "moving-gif-of-20000-frames.gif": gif(64, 64, dot * 20_000),
        "moving-gif-of-65535-and-5000-frames.gif": gif(65_535, 65_535, dot * 5_000),
        "moving-gif-of-10-large-frames.gif": gif(7_000, 7_000, (pause + dot) * 10),
        "moving-gif-of-200-frames.gif": gif(1_500, 1_500, (pause + dot) * 200),
        "moving-gif-of-no-size.gif": gif(64, 64, dot + gif_frame(0, 0) * 20),
        "moving-gif-that-is-cut.gif": gif(64, 64, (pause + dot) * 20)[:-5],
        "moving-webp-of-5000-frames.webp": moving_webp(64, 64, 5_000),
        "moving-webp-of-10-large-frames.webp": moving_webp(7_000, 7_000, 10),
        "moving-webp-of-200-frames.webp": moving_webp(1_500, 1_500, 200),
        "moving-webp-of-16000.webp": moving_webp(16_000, 16_000, 3),
        "moving-webp-without-frames.webp": moving_webp(64, 64, 0),
        "moving-png-of-4-billion-frames.png": apng(64, 64, 2, says=0xFFFFFFFF),
        "moving-png-of-fewer-than-it-says.png": apng(64, 64, 2, says=100),
        "moving-png-of-no-frames.png": apng(64, 64, 2, says=0),
        "moving-png-of-5000-frames.png": apng(64, 64, 5_000),
        "moving-png-of-10-large-frames.png": apng(7_000, 7_000, 10),
        "moving-png-of-200-frames.png": apng(1_500, 1_500, 200),
        "moving-avif-of-2-billion-frames.avif": avif[:count]
        + b"\x7f\xff\xff\xff"
        + avif[count + 4 :],
    }


# TIFF


def tiff(tags: list[Tag], data: bytes = b"", next_directory: int = 0) -> bytes:
    """Make a TIFF of one directory, or the EXIF that has the same form; `data` lies at its end.

    A tag without a value gets the place of the data.
    """
    start = 8 + 2 + 12 * len(tags) + 4
    values = b"".join(value for *_, value in tags if len(value) > 4)
    entries, at = b"", start
    for number, kind, count, value in sorted(tags, key=lambda tag: tag[0]):
        entries += struct.pack("<HHI", number, kind, count)
        if len(value) > 4:
            entries += _u4(at)
            at += len(value)
        else:
            entries += value.ljust(4, b"\0") if value else _u4(start + len(values))
    ordered = b"".join(
        value for *_, value in sorted(tags, key=lambda tag: tag[0]) if len(value) > 4
    )
    head = b"II*\0" + _u4(8) + struct.pack("<H", len(tags))
    return head + entries + _u4(next_directory) + ordered + data


def grey_tiff(
    width: int,
    height: int,
    data: bytes,
    *,
    compression: int = 1,
    bits: int = 8,
    more: list[Tag] | None = None,
) -> bytes:
    """Make a grey TIFF of one strip; the tags in `more` take the place of its own."""
    tags: dict[int, Tag] = {
        tag[0]: tag
        for tag in (
            (256, 4, 1, _u4(width)),
            (257, 4, 1, _u4(height)),
            (258, 3, 1, _u2(bits)),
            (259, 3, 1, _u2(compression)),
            (262, 3, 1, _u2(1)),
            (273, 4, 1, b""),
            (277, 3, 1, _u2(1)),
            (278, 4, 1, _u4(height)),
            (279, 4, 1, _u4(len(data))),
            *(more or []),
        )
    }
    return tiff(list(tags.values()), data)


RAW, GROUP_4, LZW, NEW_JPEG, DEFLATE, PACKBITS = 1, 4, 5, 7, 8, 32773


def tiff_bombs() -> Files:
    """Compressed pixels, and tags of so many numbers that to list them costs more than to see."""
    runs = b"\x81\0" * (49_000_000 // 128 + 1)
    return {
        "tiff-group-4-of-40000.tiff": _group_4(40_000, 40_000),
        "tiff-group-4-of-49-megapixels.tiff": _group_4(7_000, 7_000),
        "tiff-deflate-of-49-megapixels.tiff": grey_tiff(
            7_000, 7_000, zeros(49_000_000), compression=DEFLATE
        ),
        "tiff-deflate-of-more-than-it-says.tiff": grey_tiff(
            100, 100, zeros(2_000_000_000), compression=DEFLATE
        ),
        "tiff-packbits-of-49-megapixels.tiff": grey_tiff(7_000, 7_000, runs, compression=PACKBITS),
        "tiff-lzw-of-noise.tiff": grey_tiff(7_000, 7_000, noise(50_000, 8), compression=LZW),
        "tiff-jpeg-of-noise.tiff": grey_tiff(7_000, 7_000, make_jpeg(), compression=NEW_JPEG),
        "tiff-5-million-strips.tiff": grey_tiff(
            100, 100, bytes(29_000_000), more=[_numbers(273, 5_000_000), (278, 4, 1, _u4(1))]
        ),
        "tiff-65535-strips.tiff": grey_tiff(
            64, 65_535, bytes(64), more=[_numbers(273, 65_535), (278, 4, 1, _u4(1))]
        ),
        "tiff-colours-of-2-million-numbers.tiff": grey_tiff(
            64, 64, bytes(4096), more=[_numbers(320, 2_000_000), (262, 3, 1, _u2(3))]
        ),
        "tiff-bits-of-2-million-samples.tiff": grey_tiff(
            64, 64, bytes(4096), more=[_numbers(258, 2_000_000)]
        ),
    }


def _group_4(width: int, height: int) -> bytes:
    """Make a white fax: each line takes one bit, the one for "as the line above"."""
    return grey_tiff(width, height, b"\xff" * (height // 8 + 1), compression=GROUP_4, bits=1)


def _numbers(tag: int, count: int) -> Tag:
    return (tag, 4, count, _u4(70_000) * count)


def tiff_lies() -> Files:
    """Directories that loop, tiles that do not add up, counts and places that are not so."""
    plain = bytes(64 * 64)
    tile: list[Tag] = [(322, 4, 1, _u4(64)), (323, 4, 1, _u4(64)), (324, 4, 1, _u4(8))]
    giant: list[Tag] = [(322, 4, 1, _u4(1 << 31)), (323, 4, 1, _u4(1 << 31)), (324, 4, 1, _u4(8))]
    none: list[Tag] = [(322, 4, 1, _u4(0)), (323, 4, 1, _u4(0)), (324, 4, 1, _u4(8))]
    return {
        "tiff-directory-that-is-its-own-next.tiff": tiff([(256, 4, 1, _u4(1))], next_directory=8),
        "tiff-pages-that-loop.tiff": grey_tiff(64, 64, plain).replace(
            _u4(0) + plain[:4], _u4(8) + plain[:4], 1
        ),
        "tiff-65535-tags.tiff": b"II*\0\x08\0\0\0\xff\xff"
        + struct.pack("<HHII", 256, 3, 1, 1) * 65_535,
        "tiff-10000-pages.tiff": _pages(10_000),
        "tiff-no-width.tiff": grey_tiff(0, 64, plain),
        "tiff-no-height.tiff": grey_tiff(64, 0, plain),
        "tiff-4-billion-wide.tiff": grey_tiff(0xFFFFFFFF, 0xFFFFFFFF, plain),
        "tiff-strip-beyond-the-end.tiff": grey_tiff(
            64, 64, plain, more=[(273, 4, 1, _u4(1 << 31))]
        ),
        "tiff-strip-of-4-gigabytes.tiff": grey_tiff(
            64, 64, plain, compression=DEFLATE, more=[(279, 4, 1, _u4(0xFFFFFFFF))]
        ),
        "tiff-count-of-4-billion.tiff": grey_tiff(64, 64, plain, more=[(273, 4, 0xFFFFFFFF, b"")]),
        "tiff-bits-of-65535.tiff": grey_tiff(64, 64, plain, bits=65_535),
        "tiff-bits-of-none.tiff": grey_tiff(64, 64, plain, bits=0),
        "tiff-65535-samples.tiff": grey_tiff(64, 64, plain, more=[(277, 3, 1, _u2(65_535))]),
        "tiff-unknown-compression.tiff": grey_tiff(64, 64, plain, compression=65_000),
        "tiff-rows-of-none.tiff": grey_tiff(64, 64, plain, more=[(278, 4, 1, _u4(0))]),
        "tiff-tile-larger-than-all.tiff": grey_tiff(64, 64, plain, more=giant),
        "tiff-tile-larger-than-all-packed.tiff": grey_tiff(
            64, 64, plain, compression=DEFLATE, more=giant
        ),
        "tiff-tile-of-nothing.tiff": grey_tiff(64, 64, plain, more=none),
        "tiff-one-tile-for-many.tiff": grey_tiff(7_000, 7_000, plain, more=tile),
        "tiff-turned-to-99.tiff": grey_tiff(64, 64, plain, more=[(274, 3, 1, _u2(99))]),
        "tiff-width-in-words.tiff": grey_tiff(64, 64, plain, more=[(256, 2, 8, b"sixtyfou")]),
        "tiff-profile-of-noise.tiff": grey_tiff(
            64, 64, plain, more=[(34675, 7, 5_000, noise(5_000, 9))]
        ),
        "tiff-exif-that-is-the-directory.tiff": grey_tiff(
            64, 64, plain, more=[(34665, 4, 1, _u4(8)), (34853, 4, 1, _u4(8))]
        ),
        "tiff-photo-with-place-of-4-million-numbers.tiff": _crowded_place(),
        "tiff-of-64-bits-that-points-nowhere.tiff": b"II+\0\x08\0\0\0" + b"\xff" * 8,
    }


def _crowded_place() -> bytes:
    """Make a TIFF whose place (GPS) is told in four million numbers."""
    place = tiff([_numbers(2, 4_000_000)])[8:]
    picture = grey_tiff(64, 64, bytes(4096), more=[(34853, 4, 1, _u4(1 << 20))])
    # The offset in the place is counted from the start of the whole file.
    moved = place.replace(_u4(8 + 2 + 12 + 4), _u4((1 << 20) + 2 + 12 + 4), 1)
    return picture.ljust(1 << 20, b"\0") + moved + bytes(20_000_000)


def _pages(count: int) -> bytes:
    """Make a TIFF of many pages that are all the same."""
    page = grey_tiff(8, 8, bytes(64))
    size = len(page)
    pages = b""
    for number in range(count):
        link = page.index(_u4(0), 10 + 12 * 9)
        following = _u4(8 + size * (number + 1))
        pages += page[8:link] + following + page[link + 4 :] + bytes(8)
    return page[:8] + pages


# BMP and ICO


def bmp(
    width: int, height: int, data: bytes, *, bits: int = 24, compression: int = 0, colors: int = 0
) -> bytes:
    """Make a BMP that says anything."""
    palette = bytes(4 * min(colors, 256))
    start = 14 + 40 + len(palette)
    size = struct.pack("<iiHHI", width, height, 1, bits, compression)
    info = _u4(40) + size + struct.pack("<IiiII", len(data), 1, 1, colors, 0)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + palette + data


def bmp_bombs() -> Files:
    """Runs that grow, and sizes that are not so."""
    rle, steps = {"bits": 8, "compression": 1, "colors": 256}, b"\0\x02\xff\xff"
    return {
        "bmp-2-billion-wide.bmp": bmp(0x7FFFFFFF, 0x7FFFFFFF, bytes(100)),
        "bmp-negative.bmp": bmp(-64, -64, bytes(64 * 64 * 3)),
        "bmp-most-negative.bmp": bmp(64, -0x80000000, bytes(100)),
        "bmp-no-width.bmp": bmp(0, 64, bytes(100)),
        "bmp-49-megapixels-of-nothing.bmp": bmp(7_000, 7_000, bytes(100)),
        "bmp-runs-of-49-megapixels.bmp": bmp(7_000, 7_000, b"\xff\0" * 192_158 + b"\0\1", **rle),
        "bmp-5-million-runs-of-one.bmp": bmp(2_500, 2_000, b"\1\0" * 5_000_000, **rle),
        "bmp-steps-of-49-megapixels.bmp": bmp(7_000, 7_000, steps * 10_000, **rle),
        "bmp-one-line-of-steps.bmp": bmp(49_000_000, 1, steps * 10_000, **rle),
        "bmp-line-ends-of-5-megapixels.bmp": bmp(2_500, 2_000, b"\1\0\0\0" * 2_000, **rle),
        "bmp-runs-of-nothing.bmp": bmp(64, 64, b"", **rle),
        "bmp-4-billion-colours.bmp": bmp(64, 64, bytes(4096), bits=8, colors=0xFFFFFFFF),
        "bmp-bits-of-65535.bmp": bmp(64, 64, bytes(4096), bits=65_535),
        "bmp-masks-of-noise.bmp": bmp(64, 64, noise(20_000, 10), bits=16, compression=3),
        "bmp-pixels-beyond-the-end.bmp": bmp(64, 64, b"")[:10]
        + b"\xff\xff\xff\x7f"
        + bmp(64, 64, b"")[14:],
        "bmp-header-of-4-gigabytes.bmp": b"BM" + bytes(12) + b"\xff\xff\xff\xff" + bytes(60),
    }


def ico(picture: bytes, entries: int = 1, *, at: int | None = None, bits: int = 32) -> bytes:
    """Make an icon whose directory says so many times that the picture has 256 × 256 pixels."""
    place = 6 + 16 * entries if at is None else at
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, bits, len(picture), place)
    return struct.pack("<HHH", 0, 1, entries) + entry * entries + picture


def ico_lies() -> Files:
    """Icons that are larger than an icon can say, or more, or elsewhere."""
    small = png(64, 64, color=6)
    dib = bmp(20_000, 40_000, bytes(100), bits=32)[14:]
    return {
        "ico-of-400-megapixels.ico": ico(png(20_000, 20_000, color=2)),
        "ico-of-49-megapixels.ico": ico(png(7_000, 7_000, color=2)),
        "ico-of-a-giant-bmp.ico": ico(dib),
        "ico-of-a-giant-bmp-of-one-bit.ico": ico(
            bmp(60_000, 60_000, bytes(9), bits=1)[14:], bits=1
        ),
        "ico-of-65535-entries.ico": ico(small, 65_535),
        "ico-of-20000-entries.ico": ico(small, 20_000),
        "ico-of-no-entries.ico": ico(b"", 0),
        "ico-in-its-own-directory.ico": ico(small, at=0),
        "ico-beyond-the-end.ico": ico(small, at=0xFFFFFFF0),
        "ico-of-noise.ico": ico(noise(5_000, 11)),
        "ico-of-an-animation.ico": ico(apng(64, 64, 3, says=0xFFFFFFFF)),
        "ico-of-a-text-bomb.ico": ico(png(chunks=[(b"zTXt", b"a\0\0" + zeros(1 << 28))])),
        "ico-cut-in-its-directory.ico": ico(small)[:12],
        "cursor.ico": b"\0\0\2\0" + ico(small)[4:],
    }


# JPEG 2000, AVIF and HEIC


def jp2_bombs() -> Files:
    """Flat pictures of many pixels, and headers that are not so."""
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
        "jp2-box-in-itself.jp2": small[:box] + _b4(8) + b"jp2h" * 2_000 + small[box + 8 :],
        "jp2-200000-boxes.jp2": small[:box] + (_b4(8) + b"free") * 200_000 + small[box:],
        "jp2-box-without-end.jp2": small[:box] + _b4(0) + small[box + 4 :],
        "jp2-box-of-16-exabytes.jp2": small[:box] + _b4(1) + b"jp2h" + b"\xff" * 8,
        "jp2-noise-for-pixels.jp2": small[: small.index(b"\xff\x93") + 2] + noise(50_000, 12),
    }


def avif_and_heic_lies() -> Files:
    """Sizes, boxes, places and tiles that are not so."""
    flat = encode(Image.new("L", (7_000, 7_000)), "avif", speed=10)
    size = flat.index(b"ispe") + 8
    files = {
        "avif-49-megapixels-flat.avif": flat,
        "avif-12000-flat.avif": flat[:size] + _b4(12_000) * 2 + flat[size + 8 :],
    }
    for ending in ("avif", "heic"):
        plain = sample(ending)
        size = plain.index(b"ispe") + 8
        places = plain.index(b"iloc") + 4
        meta = plain.index(b"meta") - 4
        files |= {
            f"{ending}-says-65535.{ending}": plain[:size] + _b4(65_535) * 2 + plain[size + 8 :],
            f"{ending}-says-49-megapixels.{ending}": plain[:size]
            + _b4(7_000) * 2
            + plain[size + 8 :],
            f"{ending}-says-4-billion.{ending}": plain[:size] + b"\xff" * 8 + plain[size + 8 :],
            f"{ending}-says-one.{ending}": plain[:size] + _b4(1) * 2 + plain[size + 8 :],
            f"{ending}-no-size.{ending}": plain[:size] + bytes(8) + plain[size + 8 :],
            f"{ending}-picture-beyond-the-end.{ending}": plain[:places]
            + plain[places : places + 8]
            + b"\xff" * 12
            + plain[places + 20 :],
            f"{ending}-box-of-4-gigabytes.{ending}": plain[:meta] + b"\xff" * 4 + plain[meta + 4 :],
            f"{ending}-200000-boxes.{ending}": plain[:meta]
            + (_b4(8) + b"free") * 200_000
            + plain[meta:],
            f"{ending}-boxes-in-boxes.{ending}": plain[:meta]
            + b"".join(_b4(80_000 - 8 * n) + b"moov" for n in range(10_000)),
            f"{ending}-noise-for-pixels.{ending}": plain[: plain.index(b"mdat") + 4]
            + noise(len(plain), 13),
        }
    return files


# Headers that repeat what is costly to read


def costly_headers() -> Files:
    """Make headers whose parts a reader copies, inflates or lists repeatedly.

    Pillow takes up to 9 s to open one of them, and 4 GB to open another.
    """
    jpeg, progressive = make_jpeg(), make_jpeg(progressive_scans=5)
    profile = (b"iCCP", b"icc\0\0" + zeros(1_000_000))
    tags = tiff([(number, 3, 1, b"\6\0") for number in range(0x0112, 60_000)])
    greys = b"".join(bytes((number & 255,) * 3 + (0,)) for number in range(65_536))
    grey_bmp = bmp(64, 64, b"", bits=8, colors=65_536)[:54] + greys + bytes(4096)
    strips: Tag = (273, 4, 190_000, bytes(4 * 190_000))
    size, depth, grey, plain = _u2(64), _u2(8), _u2(1), _u2(1)
    pixels: list[Tag] = [
        *[(256, 3, 1, size), (257, 3, 1, size), (258, 3, 1, depth), (259, 3, 1, plain)],
        *[(262, 3, 1, grey), (277, 3, 1, _u2(1)), (278, 3, 1, _u2(1))],
    ]
    return {
        "jpeg-exif-in-200-segments.jpg": after_soi(
            jpeg, jpeg_segment(0xE1, b"Exif\0\0" + bytes(65_000)) * 200
        ),
        "jpeg-100000-tables.jpg": after_soi(jpeg, jpeg_segment(0xDB, bytes(65) * 1_000) * 100),
        "jpeg-540000-resources.jpg": after_soi(
            jpeg, jpeg_segment(0xED, b"Photoshop 3.0\0" + (b"8BIM" + bytes(8)) * 5_400) * 100
        ),
        "jpeg-junk-behind-each-segment.jpg": after_soi(
            jpeg, (jpeg_segment(0xFE, b"") + b"\xff\0" * 170) * 2_900
        ),
        "jpeg-scan-of-stuffed-bytes.jpg": progressive[:-2] + b"\xff\0" * 5_000_000 + EOI,
        "png-4000-profiles.png": png(chunks=[profile] * 4_000),
        "png-60000-tags.png": png(chunks=[(b"eXIf", tags)]),
        "png-10-megabytes-of-xmp.png": png(
            chunks=[(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"tiff:Orientation=" * 600_000)]
        ),
        "ico-1000-profiles.ico": ico(png(chunks=[profile] * 1_000)),
        "ico-65536-greys.ico": ico(grey_bmp[14:22] + _u4(128) + grey_bmp[26:], bits=8),
        "bmp-65536-greys.bmp": grey_bmp,
        "gif-65535-to-clear.gif": gif(64, 64, b"!\xf9\x04\x08\0\0\0\0" + gif_frame(65_535, 65_535)),
        "gif-10-million-comments.gif": gif(
            64, 64, b"!\xfe" + b"\1x" * 10_000_000 + b"\0" + gif_frame(1, 1)
        ),
        "tiff-190000-strips.tiff": tiff([*pixels, strips]),
        **_costly_boxes(),
    }


def _costly_boxes() -> Files:
    jp2, free = make_image(format="jp2"), box(b"free")
    header = inside(jp2, b"jp2h")
    palette = header[:16] + b"\0\1" + header[18:22] + box(b"pclr", b"\xff\xff\1\7" + bytes(65_535))
    files = {
        "jp2-400000-inner-boxes.jp2": jp2.replace(
            box(b"jp2h", header), box(b"jp2h", free * 400_000, header)
        ),
        "jp2-50-palettes.jp2": jp2.replace(
            box(b"jp2h", header), box(b"jp2h", palette * 50, header)
        ),
    }
    brands = box(b"ftyp", b"avif", bytes(4), b"avif" * 10_000)
    files["avif-million-brands.avif"] = brands * 128 + sample("avif")
    indices = struct.pack(">HB", 7, 255) + b"\1" * 255
    for ending in ("avif", "heic"):
        image = sample(ending)
        meta = inside(image, b"meta")
        more = {
            "400000-inner-boxes": free * 400_000,
            "3-million-properties": box(
                b"iprp", full_box(b"ipma", 0, _b4(12_000), indices * 12_000)
            ),
            "200000-property-boxes": box(
                b"iprp", full_box(b"ipma", 0, _b4(1), b"\0\7\1\1") * 200_000
            ),
            "2-million-references": full_box(
                b"iref", 0, box(b"dimg", b"\0\1\xff\xff", b"\0\2" * 65_535) * 30
            ),
        }
        for name, boxes in more.items():
            file = image.replace(box(b"meta", meta), box(b"meta", meta, boxes))
            files[f"{ending}-{name}.{ending}"] = file
        files |= _costly_masks(ending)
    return files


def _costly_masks(ending: str) -> Files:
    """Make images whose transparency is costly to find.

    It has many references and properties, or a long type that is looked at again and again.
    """
    other_type = full_box(b"auxC", 0, b"other\0")
    long_type = full_box(b"auxC", 0, bytes(1_000_000))
    main, is_mask = picture(1, ending, (64, 64)), (b"auxl", 2, (1,))
    part = Item(2, b"mask", b"", (other_type,) * 245)
    return {
        f"{ending}-2400-references-to-4900-properties.{ending}": build(
            ending, [main, *[part] * 20], [is_mask] * 2_400
        ),
        f"{ending}-long-type-of-mask-100-times.{ending}": build(
            ending, [main, Item(2, b"mask", b"", (long_type,) * 100)], [is_mask]
        ),
    }


# What is two things at once, or another than its name says


def polyglots() -> Files:
    """Files that are an image to one program and something else to another."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("run.sh", "echo hello")
    page = b"<html><script>alert(1)</script></html>"
    return {
        "gif-and-script.gif": gif(0x2F2A, 0x2A, gif_frame(1, 1)) + b"*/=1;alert(1)",
        "gif-and-script.js": b"GIF89a/*" + sample("gif")[8:] + b"*/=1;alert(1)",
        "jpeg-and-archive.jpg": make_jpeg() + archive.getvalue(),
        "jpeg-and-archive.zip": make_jpeg() + archive.getvalue(),
        "png-and-page.png": png(chunks=[(b"tEXt", b"Comment\0" + page)]) + page,
        "png-and-page.html": png(late_chunks=[(b"tEXt", b"Comment\0" + page)]) + page,
        "jpeg-and-php.jpg": after_soi(make_jpeg(), jpeg_segment(0xFE, b"<?php system('id'); ?>")),
        "jpeg-and-php.php": after_soi(make_jpeg(), jpeg_segment(0xFE, b"<?php system('id'); ?>")),
        "pdf-and-jpeg.jpg": b"%PDF-1.4\n" + make_jpeg(),
        "jpeg-and-pdf.pdf": make_jpeg() + b"%PDF-1.4\n%%EOF",
        "bmp-and-page.bmp": bmp(64, 64, bytes(64 * 64 * 3)) + page,
        "tiff-and-zip.tiff": grey_tiff(64, 64, bytes(4096)) + archive.getvalue(),
        "webp-and-wave.webp": b"RIFF" + riff(flat_lossless(64, 64))[4:] + b"RIFF\0\0\0\0WAVE",
        "png-behind-a-mark.png": b"\xef\xbb\xbf" + png(),
        "png-behind-text.png": b"hello" + png(),
    }


def strangers() -> Files:
    """Everything else that people call an image, or rename to one."""
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros", bytes(50_000_000))
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    bomb = f"<!DOCTYPE svg [{entities}]><svg>&a11;</svg>".encode()
    films = {brand: _b4(24) + b"ftyp" + brand + bytes(12) for brand in (b"isom", b"qt  ", b"mp42")}
    return {
        "svg.svg": svg,
        "svg.png": svg,
        "svg-with-a-bomb.svg": b"<?xml version='1.0'?>" + bomb,
        "svg-that-reads-files.svg": b"<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY x SYSTEM"
        b" 'file:///etc/passwd'>]><svg>&x;</svg>",
        "svg-of-use-in-use.svg": b"<svg>" + b'<g id="a"><use href="#a"/></g>' * 500 + b"</svg>",
        "xml-bomb.jpg": f"<?xml version='1.0'?><!DOCTYPE z [{entities}]><z>&a11;</z>".encode(),
        "page.jpg": b"<!DOCTYPE html><html><script>alert(document.cookie)</script></html>",
        "page.html": b"<html><body>hello</body></html>",
        "script.png": b"#!/bin/sh\nrm -rf /\n",
        "php.jpg": b"<?php system($_GET['c']); ?>",
        "program.jpg": b"MZ" + bytes(58) + _u4(64) + b"PE\0\0" + noise(2_000, 14),
        "elf.png": b"\x7fELF\2\1\1" + noise(2_000, 15),
        "archive-bomb.jpg": archive.getvalue(),
        "gzip-bomb.png": b"\x1f\x8b\x08" + bytes(7) + zeros(1 << 28)[2:],
        "pdf.jpg": b"%PDF-1.7\n1 0 obj<</JS(app.alert(1))>>endobj\n%%EOF",
        "film.jpg": films[b"isom"],
        "film.heic": films[b"qt  "],
        "film.mp4": films[b"mp42"],
        "postscript.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n{loop} stopped",
        "vector-mvg.jpg": b"push graphic-context\nfill 'url(https://127.0.0.1/|ls \"-la)'\npop",
        "photoshop.psd": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3),
        "xbm.jpg": b"#define a_width 60000\n#define a_height 60000\nstatic char a_bits[] = {0};",
        "ppm.jpg": b"P6\n60000 60000\n255\n",
        "tga.jpg": struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 60_000, 60_000, 24, 0),
        "jxl.jxl": b"\xff\x0a" + noise(200, 16),
        "dds.png": b"DDS " + _u4(124) + bytes(4) + _u4(60_000) * 2 + bytes(120),
        "pickle.png": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
        "text.jpg": b"This is no picture.\n" * 100,
        "spaces.jpg": b" " * 100_000,
        "zeros.jpg": bytes(100_000),
        "one-byte.jpg": b"\xff",
        "two-bytes.jpg": SOI,
        "empty.jpg": b"",
        "noise.jpg": noise(100_000, 17),
        # Images that are sound, under names that are not.
        "..%2f..%2fetc%2fpasswd": make_jpeg(),
        "image.jpg.exe": make_jpeg(),
        "<script>alert(1)</script>.jpg": make_jpeg(),
        "x" * 5_000 + ".jpg": make_jpeg(),
        "gpj.\u202eexe.png": make_jpeg(),
        "...": make_jpeg(),
    }


MAGICS = {
    "jpg": b"\xff\xd8\xff",
    "png": PNG_SIGNATURE,
    "webp": b"RIFF\0\1\0\0WEBP",
    "gif": b"GIF89a",
    "tiff": b"II*\0",
    "bmp": b"BM",
    "avif": b"\0\0\0\x1cftypavif",
    "heic": b"\0\0\0\x1cftypheic",
    "ico": b"\0\0\1\0",
    "jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
}


def magics() -> Files:
    """The first bytes of each format, and nothing or noise behind them."""
    files = {}
    for number, (ending, magic) in enumerate(MAGICS.items()):
        files[f"magic-alone.{ending}"] = magic
        files[f"magic-and-noise.{ending}"] = magic + noise(20_000, 100 + number)
    return files


def truncations() -> Files:
    """Each format, cut at many places."""
    files = {}
    for ending in ENDINGS:
        image = sample(ending)
        for share in (3, 10, 25, 50, 75, 97):
            files[f"cut-at-{share}-percent.{ending}"] = image[: len(image) * share // 100]
        files[f"cut-by-one-byte.{ending}"] = image[:-1]
    return files


def flipped_bits() -> Files:
    """Each format with a few bits of its header turned over, in eight ways."""
    return {
        f"flipped-{number}.{ending}": mutated(sample(ending), number, 200)
        for ending in ENDINGS
        for number in range(8)
    }


def mutated(image: bytes, seed: int, reach: int) -> bytes:
    """Turn over one to eight bits among the first `reach` bytes, the same for the same seed."""
    chance = random.Random(seed)
    changed = bytearray(image)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(min(reach, len(image)))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def mangled(image: bytes, seed: int) -> bytes:
    """Do to an image what transmission, storage and malice do, the same for the same seed."""
    chance = random.Random(seed)
    start, end = sorted(chance.randrange(len(image)) for _ in range(2))
    return (
        lambda: mutated(image, seed, 64),
        lambda: mutated(image, seed, len(image)),
        lambda: image[:start] + image[end:],
        lambda: image[:end] + image[start:],
        lambda: image[:start] + noise(end - start, seed) + image[end:],
        lambda: image[:start] + bytes(end - start) + image[end:],
        lambda: image[:start] + b"\xff" * 4 + image[start + 4 :],
        lambda: image[:end],
    )[seed % 8]()


def noise(count: int, seed: int) -> bytes:
    """Give so many bytes without any order, the same for the same seed."""
    return random.Random(seed).randbytes(count)


def _u2(value: int) -> bytes:
    return struct.pack("<H", value)


def _u4(value: int) -> bytes:
    return struct.pack("<I", value)


def _b4(value: int) -> bytes:
    return struct.pack(">I", value)
