"""AVIF and HEIC files with sizes, boxes, places and tiles that are wrong."""

import struct

from PIL import Image

from tests.support.hostile.binary import Files, b4, noise
from tests.support.hostile.samples import sample
from tests.support.images import encode, make_animation
from tests.support.isobmff import Item, box, build, full_box, inside, picture


def files() -> Files:
    """Make all of them, by name."""
    return lies() | animations() | costly_headers()


def lies() -> Files:
    """Make images with wrong sizes, boxes, offsets and tiles."""
    flat = encode(Image.new("L", (7_000, 7_000)), "avif", speed=10)
    size = flat.index(b"ispe") + 8
    files = {
        "avif-49-megapixels-flat.avif": flat,
        "avif-12000-flat.avif": flat[:size] + b4(12_000) * 2 + flat[size + 8 :],
    }
    for ending in ("avif", "heic"):
        plain = sample(ending)
        size = plain.index(b"ispe") + 8
        places = plain.index(b"iloc") + 4
        meta = plain.index(b"meta") - 4
        files |= {
            f"{ending}-says-65535.{ending}": plain[:size] + b4(65_535) * 2 + plain[size + 8 :],
            f"{ending}-says-49-megapixels.{ending}": plain[:size]
            + b4(7_000) * 2
            + plain[size + 8 :],
            f"{ending}-says-4-billion.{ending}": plain[:size] + b"\xff" * 8 + plain[size + 8 :],
            f"{ending}-says-one.{ending}": plain[:size] + b4(1) * 2 + plain[size + 8 :],
            f"{ending}-no-size.{ending}": plain[:size] + bytes(8) + plain[size + 8 :],
            f"{ending}-picture-beyond-the-end.{ending}": plain[:places]
            + plain[places : places + 8]
            + b"\xff" * 12
            + plain[places + 20 :],
            f"{ending}-box-of-4-gigabytes.{ending}": plain[:meta] + b"\xff" * 4 + plain[meta + 4 :],
            f"{ending}-200000-boxes.{ending}": plain[:meta]
            + (b4(8) + b"free") * 200_000
            + plain[meta:],
            f"{ending}-boxes-in-boxes.{ending}": plain[:meta]
            + b"".join(b4(80_000 - 8 * n) + b"moov" for n in range(10_000)),
            f"{ending}-noise-for-pixels.{ending}": plain[: plain.index(b"mdat") + 4]
            + noise(len(plain), 13),
        }
    return files


def animations() -> Files:
    """Make an animation that declares more frames than it has."""
    avif = make_animation("avif")
    count = avif.index(b"stsz") + 12
    return {
        "moving-avif-of-2-billion-frames.avif": avif[:count]
        + b"\x7f\xff\xff\xff"
        + avif[count + 4 :],
    }


def costly_headers() -> Files:
    """Make headers whose boxes a reader copies or lists repeatedly."""
    brands = box(b"ftyp", b"avif", bytes(4), b"avif" * 10_000)
    files = {"avif-million-brands.avif": brands * 128 + sample("avif")}
    indices = struct.pack(">HB", 7, 255) + b"\1" * 255
    for ending in ("avif", "heic"):
        image = sample(ending)
        meta = inside(image, b"meta")
        more = {
            "400000-inner-boxes": box(b"free") * 400_000,
            "3-million-properties": box(
                b"iprp", full_box(b"ipma", 0, b4(12_000), indices * 12_000)
            ),
            "200000-property-boxes": box(
                b"iprp", full_box(b"ipma", 0, b4(1), b"\0\7\1\1") * 200_000
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

    They have many references and properties, or a long type that is compared often.
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
