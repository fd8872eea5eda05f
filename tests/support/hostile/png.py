"""PNGs that grow a thousandfold, or lie about themselves."""

import struct
import zlib

from tests.support.hostile import tiff
from tests.support.hostile.binary import Files, b4, noise, zeros
from tests.support.images import make_png_chunk

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def files() -> Files:
    """Make all of them, by name."""
    return bombs() | lies() | animations() | costly_headers()


def build(
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
    """Make a black PNG, or one of any data, with chunks around its pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(color, 1)
    if data is None:
        data = zeros(height * (1 + (width * depth * channels + 7) // 8))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    palette = [(b"PLTE", bytes(768))] if color == 3 and chunks is None else []
    all_chunks = [
        *[(b"IHDR", header), *palette, *(chunks or [])],
        *[(b"IDAT", data), *(late_chunks or []), (b"IEND", b"")],
    ]
    return SIGNATURE + b"".join(make_png_chunk(*chunk) for chunk in all_chunks)


def spoil(image: bytes, name: bytes) -> bytes:
    """Make the checksum of a chunk wrong."""
    start = image.index(name)
    end = start + 4 + int.from_bytes(image[start - 4 : start], "big")
    return image[:end] + bytes((image[end] ^ 1,)) + image[end + 1 :]


def animated(width: int, height: int, frames: int, *, says: int | None = None) -> bytes:
    """Make an animated PNG of black frames; it declares `says` of them."""
    control = [(b"acTL", struct.pack(">II", frames if says is None else says, 0))]
    data = zeros(height * (1 + width))
    place = struct.pack(">IIIIHHBB", width, height, 0, 0, 1, 10, 0, 0)
    later: list[tuple[bytes, bytes]] = []
    for number in range(1, frames):
        later.append((b"fcTL", b4(2 * number - 1) + place))
        later.append((b"fdAT", b4(2 * number) + data))
    return build(
        width, height, chunks=[*control, (b"fcTL", b4(0) + place)], late_chunks=later, data=data
    )


def bombs() -> Files:
    """Make pixels and texts that grow a thousandfold, and endless chunks."""
    text = zeros(1 << 28)  # 256 kB that become 256 MB.
    empty = [(b"teXt", b"")] * 100_000
    single = build(data=zlib.compress(bytes(65 * 64), 0))
    start, end = single.index(b"IDAT") - 4, single.index(b"IEND") - 4
    content = zlib.compress(bytes(65 * 64), 0)
    bits = b"".join(make_png_chunk(b"IDAT", content[n : n + 1]) for n in range(len(content)))
    nothing = make_png_chunk(b"IDAT", b"") * 500_000
    return {
        "png-400-megapixels.png": build(20_000, 20_000, color=2),
        "png-4-billion-wide.png": build(0x7FFFFFFF, 1, data=zeros(1000)),
        "png-98-megapixels-of-16-bit-rgba.png": build(9_900, 9_900, depth=16, color=6),
        "png-99-megapixels-of-rgb.png": build(9_950, 9_950, color=2),
        "png-99-megapixels-of-one-bit.png": build(9_950, 9_950, depth=1),
        "png-99-megapixels-of-palette.png": build(9_950, 9_950, color=3),
        "png-99-megapixels-interlaced.png": build(9_950, 9_950, color=2, interlace=1),
        "png-one-line-of-99-megapixels.png": build(99_000_000, 1, color=2),
        "png-one-column-of-99-megapixels.png": build(1, 99_000_000, color=0),
        "png-more-data-than-pixels.png": build(data=zeros(2_000_000_000)),
        "png-ztxt-bomb.png": build(chunks=[(b"zTXt", b"Comment\0\0" + text)]),
        "png-itxt-bomb.png": build(chunks=[(b"iTXt", b"Comment\0\1\0\0\0" + text)]),
        "png-iccp-bomb.png": build(chunks=[(b"iCCP", b"icc\0\0" + text)]),
        "png-late-ztxt-bomb.png": build(late_chunks=[(b"zTXt", b"Comment\0\0" + text)]),
        "png-300-texts.png": build(
            chunks=[(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_000_000)))] * 300
        ),
        "png-xmp-without-end.png": build(
            chunks=[(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"<x:xmpmeta " * 200_000)]
        ),
        "png-profile-of-exif.png": build(
            chunks=[(b"tEXt", b"Raw profile type exif\0" + b"\nexif\n  99999\n" + b"00" * 900_000)]
        ),
        "png-100000-empty-chunks.png": build(chunks=empty),
        "png-100000-late-empty-chunks.png": build(late_chunks=empty),
        "png-one-byte-a-chunk.png": single[:start] + bits + single[end:],
        "png-500000-empty-idat.png": single[:start] + nothing + single[start:],
        "png-500000-late-empty-idat.png": single[:end] + nothing + single[end:],
        "png-3-million-late-chunks.png": single[:end]
        + make_png_chunk(b"teXt", b"") * 3_000_000
        + single[end:],
    }


def lies() -> Files:
    """Make PNGs with wrong sizes, depths, lengths and checksums."""
    plain = build()
    at = plain.index(b"IDAT")
    return {
        "png-no-width.png": build(0, 64),
        "png-no-height.png": build(64, 0),
        "png-negative.png": build(0xFFFFFFFF, 0xFFFFFFFF, data=b""),
        "png-depth-of-255.png": build(depth=255, data=zeros(100)),
        "png-colour-of-255.png": build(color=255),
        "png-interlace-of-255.png": build(interlace=255),
        "png-interlaced-and-short.png": build(9_000, 9_000, interlace=1, data=zeros(10)),
        "png-promises-more-than-it-has.png": build(9_000, 9_000, data=zeros(5_000)),
        "png-palette-of-a-megabyte.png": build(color=3, chunks=[(b"PLTE", bytes(1_000_000))]),
        "png-palette-of-nothing.png": build(color=3, chunks=[(b"PLTE", b"")]),
        "png-palette-missing.png": build(color=3, chunks=[]),
        "png-transparency-of-a-megabyte.png": build(color=3, late_chunks=[(b"tRNS", bytes(10**6))]),
        "png-second-header.png": build(
            chunks=[(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 16, 6, 0, 0, 0))]
        ),
        "png-late-second-header.png": build(
            late_chunks=[(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 16, 6, 0, 0, 0))]
        ),
        "png-bad-checksum.png": plain[: at - 8] + b"\0\0\0\0" + plain[at - 4 :],
        "png-chunk-of-4-gigabytes.png": plain[: at - 4] + b"\xff\xff\xff\xff" + plain[at:],
        "png-chunk-of-2-gigabytes.png": plain[: at - 4] + b"\x7f\xff\xff\xff" + plain[at:],
        "png-noise-for-pixels.png": build(data=noise(50_000, 2)),
        "png-no-pixels.png": plain[: at - 4] + make_png_chunk(b"IEND", b""),
        "png-no-end.png": plain[:-12],
        "png-short-header.png": SIGNATURE + make_png_chunk(b"IHDR", b"\0\0\0\1"),
        "png-names-of-no-letters.png": build(chunks=[(b"\0\xff\n;", b"x")]),
        "png-profile-of-noise.png": build(
            color=2, chunks=[(b"iCCP", b"icc\0\0" + zlib.compress(noise(5_000, 3)))]
        ),
        "png-gamma-of-nothing.png": build(chunks=[(b"gAMA", b""), (b"cHRM", b"x"), (b"pHYs", b"")]),
    }


def animations() -> Files:
    """Make animations of more or larger frames than a viewer can show."""
    return {
        "moving-png-of-4-billion-frames.png": animated(64, 64, 2, says=0xFFFFFFFF),
        "moving-png-of-fewer-than-it-says.png": animated(64, 64, 2, says=100),
        "moving-png-of-no-frames.png": animated(64, 64, 2, says=0),
        "moving-png-of-5000-frames.png": animated(64, 64, 5_000),
        "moving-png-of-10-large-frames.png": animated(7_000, 7_000, 10),
        "moving-png-of-200-frames.png": animated(1_500, 1_500, 200),
    }


def costly_headers() -> Files:
    """Make headers whose parts a reader inflates or lists repeatedly."""
    tags = tiff.build([(number, 3, 1, b"\6\0") for number in range(0x0112, 60_000)])
    return {
        "png-4000-profiles.png": build(chunks=[profile()] * 4_000),
        "png-7000-faulty-profiles.png": _after_header(
            spoil(make_png_chunk(b"iCCP", bytes(200)), b"iCCP") * 7_000
        ),
        "png-7000-comments.png": build(chunks=[(b"tEXt", b"Comment\0" + bytes(1_500))] * 7_000),
        "png-60000-tags.png": build(chunks=[(b"eXIf", tags)]),
        "png-10-megabytes-of-xmp.png": build(
            chunks=[(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"tiff:Orientation=" * 600_000)]
        ),
    }


def _after_header(chunks: bytes) -> bytes:
    """Insert chunks after the header of a PNG."""
    image = build()
    return image[:33] + chunks + image[33:]


def profile() -> tuple[bytes, bytes]:
    """Make a color profile of a megabyte in a kilobyte."""
    return b"iCCP", b"icc\0\0" + zeros(1_000_000)
