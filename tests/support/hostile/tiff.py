"""TIFFs with compressed pixels and long tags, or lies about themselves."""

import struct

from tests.support.hostile.binary import Files, noise, u2, u4, zeros
from tests.support.images import make_jpeg

Tag = tuple[int, int, int, bytes]  # Number, type, count, and the value.

RAW, GROUP_4, LZW, NEW_JPEG, DEFLATE, PACKBITS = 1, 4, 5, 7, 8, 32773


def files() -> Files:
    """Make all of them, by name."""
    return bombs() | lies() | costly_headers()


def build(tags: list[Tag], data: bytes = b"", next_directory: int = 0) -> bytes:
    """Make a TIFF of one directory, which is also the form of EXIF.

    `data` lies at its end; a tag without a value gets its offset.
    """
    start = 8 + 2 + 12 * len(tags) + 4
    tags = sorted(tags, key=lambda tag: tag[0])
    values = b"".join(value for *_, value in tags if len(value) > 4)
    entries, at = bytearray(), start
    for number, kind, count, value in tags:
        entries += struct.pack("<HHI", number, kind, count)
        if len(value) > 4:
            entries += u4(at)
            at += len(value)
        else:
            entries += value.ljust(4, b"\0") if value else u4(start + len(values))
    head = b"II*\0" + u4(8) + struct.pack("<H", len(tags))
    return head + entries + u4(next_directory) + values + data


def grey(
    width: int,
    height: int,
    data: bytes,
    *,
    compression: int = 1,
    bits: int = 8,
    more: list[Tag] | None = None,
) -> bytes:
    """Make a grey TIFF of one strip; the tags in `more` replace its own."""
    tags: dict[int, Tag] = {
        tag[0]: tag
        for tag in (
            (256, 4, 1, u4(width)),
            (257, 4, 1, u4(height)),
            (258, 3, 1, u2(bits)),
            (259, 3, 1, u2(compression)),
            (262, 3, 1, u2(1)),
            (273, 4, 1, b""),
            (277, 3, 1, u2(1)),
            (278, 4, 1, u4(height)),
            (279, 4, 1, u4(len(data))),
            *(more or []),
        )
    }
    return build(list(tags.values()), data)


def bombs() -> Files:
    """Make compressed pixels, and tags with too many numbers to list."""
    runs = b"\x81\0" * (49_000_000 // 128 + 1)
    return {
        "tiff-group-4-of-40000.tiff": _group_4(40_000, 40_000),
        "tiff-group-4-of-49-megapixels.tiff": _group_4(7_000, 7_000),
        "tiff-deflate-of-49-megapixels.tiff": grey(
            7_000, 7_000, zeros(49_000_000), compression=DEFLATE
        ),
        "tiff-deflate-of-more-than-it-says.tiff": grey(
            100, 100, zeros(2_000_000_000), compression=DEFLATE
        ),
        "tiff-packbits-of-49-megapixels.tiff": grey(7_000, 7_000, runs, compression=PACKBITS),
        "tiff-lzw-of-noise.tiff": grey(7_000, 7_000, noise(50_000, 8), compression=LZW),
        "tiff-jpeg-of-noise.tiff": grey(7_000, 7_000, make_jpeg(), compression=NEW_JPEG),
        "tiff-5-million-strips.tiff": grey(
            100, 100, bytes(29_000_000), more=[_numbers(273, 5_000_000), (278, 4, 1, u4(1))]
        ),
        "tiff-planes-of-49-megapixels-of-nothing.tiff": grey(
            7_000, 7_000, bytes(64), more=_rgb(16, [(273, 4, 3, u4(8) * 3), (284, 3, 1, u2(2))])
        ),
        "tiff-reduced-colour-of-49-megapixels-of-nothing.tiff": grey(
            7_000, 7_000, bytes(64), more=_rgb(8, [(262, 3, 1, u2(6))])
        ),
        "tiff-65535-strips.tiff": grey(
            64, 65_535, bytes(64), more=[_numbers(273, 65_535), (278, 4, 1, u4(1))]
        ),
        "tiff-colours-of-2-million-numbers.tiff": grey(
            64, 64, bytes(4096), more=[_numbers(320, 2_000_000), (262, 3, 1, u2(3))]
        ),
        "tiff-bits-of-2-million-samples.tiff": grey(
            64, 64, bytes(4096), more=[_numbers(258, 2_000_000)]
        ),
    }


def _rgb(bits: int, more: list[Tag]) -> list[Tag]:
    return [(258, 3, 3, u2(bits) * 3), (262, 3, 1, u2(2)), (277, 3, 1, u2(3)), *more]


def _group_4(width: int, height: int) -> bytes:
    """Make a white fax: the one bit of each line says *as the line above*."""
    return grey(width, height, b"\xff" * (height // 8 + 1), compression=GROUP_4, bits=1)


def _numbers(tag: int, count: int) -> Tag:
    return (tag, 4, count, u4(70_000) * count)


def lies() -> Files:
    """Make looping directories, misfit tiles, and wrong counts and offsets."""
    plain = bytes(64 * 64)
    tile: list[Tag] = [(322, 4, 1, u4(64)), (323, 4, 1, u4(64)), (324, 4, 1, u4(8))]
    giant: list[Tag] = [(322, 4, 1, u4(1 << 31)), (323, 4, 1, u4(1 << 31)), (324, 4, 1, u4(8))]
    none: list[Tag] = [(322, 4, 1, u4(0)), (323, 4, 1, u4(0)), (324, 4, 1, u4(8))]
    return {
        "tiff-directory-that-is-its-own-next.tiff": build([(256, 4, 1, u4(1))], next_directory=8),
        "tiff-pages-that-loop.tiff": grey(64, 64, plain).replace(
            u4(0) + plain[:4], u4(8) + plain[:4], 1
        ),
        "tiff-65535-tags.tiff": b"II*\0\x08\0\0\0\xff\xff"
        + struct.pack("<HHII", 256, 3, 1, 1) * 65_535,
        "tiff-10000-pages.tiff": _pages(10_000),
        "tiff-no-width.tiff": grey(0, 64, plain),
        "tiff-no-height.tiff": grey(64, 0, plain),
        "tiff-4-billion-wide.tiff": grey(0xFFFFFFFF, 0xFFFFFFFF, plain),
        "tiff-strip-beyond-the-end.tiff": grey(64, 64, plain, more=[(273, 4, 1, u4(1 << 31))]),
        "tiff-strip-of-4-gigabytes.tiff": grey(
            64, 64, plain, compression=DEFLATE, more=[(279, 4, 1, u4(0xFFFFFFFF))]
        ),
        "tiff-count-of-4-billion.tiff": grey(64, 64, plain, more=[(273, 4, 0xFFFFFFFF, b"")]),
        "tiff-bits-of-65535.tiff": grey(64, 64, plain, bits=65_535),
        "tiff-bits-of-none.tiff": grey(64, 64, plain, bits=0),
        "tiff-65535-samples.tiff": grey(64, 64, plain, more=[(277, 3, 1, u2(65_535))]),
        "tiff-unknown-compression.tiff": grey(64, 64, plain, compression=65_000),
        "tiff-rows-of-none.tiff": grey(64, 64, plain, more=[(278, 4, 1, u4(0))]),
        "tiff-tile-larger-than-all.tiff": grey(64, 64, plain, more=giant),
        "tiff-tile-larger-than-all-packed.tiff": grey(
            64, 64, plain, compression=DEFLATE, more=giant
        ),
        "tiff-tile-of-nothing.tiff": grey(64, 64, plain, more=none),
        "tiff-one-tile-for-many.tiff": grey(7_000, 7_000, plain, more=tile),
        "tiff-turned-to-99.tiff": grey(64, 64, plain, more=[(274, 3, 1, u2(99))]),
        "tiff-width-in-words.tiff": grey(64, 64, plain, more=[(256, 2, 8, b"sixtyfou")]),
        "tiff-profile-of-noise.tiff": grey(
            64, 64, plain, more=[(34675, 7, 5_000, noise(5_000, 9))]
        ),
        "tiff-exif-that-is-the-directory.tiff": grey(
            64, 64, plain, more=[(34665, 4, 1, u4(8)), (34853, 4, 1, u4(8))]
        ),
        "tiff-photo-with-place-of-4-million-numbers.tiff": _crowded_place(),
        "tiff-of-64-bits-that-points-nowhere.tiff": b"II+\0\x08\0\0\0" + b"\xff" * 8,
    }


def _crowded_place() -> bytes:
    """Make a TIFF whose GPS position has four million numbers."""
    place = build([_numbers(2, 4_000_000)])[8:]
    picture = grey(64, 64, bytes(4096), more=[(34853, 4, 1, u4(1 << 20))])
    # The offset in the place is counted from the start of the whole file.
    moved = place.replace(u4(8 + 2 + 12 + 4), u4((1 << 20) + 2 + 12 + 4), 1)
    return picture.ljust(1 << 20, b"\0") + moved + bytes(20_000_000)


def _pages(count: int) -> bytes:
    """Make a TIFF of many equal pages."""
    page = grey(8, 8, bytes(64))
    size = len(page)
    pages = b""
    for number in range(count):
        link = page.index(u4(0), 10 + 12 * 9)
        following = u4(8 + size * (number + 1))
        pages += page[8:link] + following + page[link + 4 :] + bytes(8)
    return page[:8] + pages


def costly_headers() -> Files:
    """Make a header that a reader lists repeatedly."""
    strips: Tag = (273, 4, 190_000, bytes(4 * 190_000))
    size, depth, grey, plain = u2(64), u2(8), u2(1), u2(1)
    pixels: list[Tag] = [
        *[(256, 3, 1, size), (257, 3, 1, size), (258, 3, 1, depth), (259, 3, 1, plain)],
        *[(262, 3, 1, grey), (277, 3, 1, u2(1)), (278, 3, 1, u2(1))],
    ]
    return {"tiff-190000-strips.tiff": build([*pixels, strips])}
