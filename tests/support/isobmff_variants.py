"""Make AVIF and HEIC files of one picture, in all forms that their decoders read."""

from functools import cache

from tests.support.images import make_exif
from tests.support.isobmff import (
    alpha,
    build,
    clap,
    exif_item,
    imir,
    irot,
    picture,
    tiled,
    xmp_item,
)

SIZE = (120, 80)


@cache
def variants(format: str) -> dict[str, bytes]:
    """Make images of one picture of 120 × 80, by name."""
    return _forms(format) | _metadata(format) | _orientations(format)


def _forms(format: str) -> dict[str, bytes]:
    other = picture(2, format, (64, 64))
    return {
        "upright": build(format, [picture(1, format, SIZE)]),
        "cropped": build(format, [picture(1, format, SIZE, clap(60, 40))]),
        "cropped to half a pixel": build(
            format, [picture(1, format, SIZE, clap(121, 81, parts=2))]
        ),
        "cropped and turned": build(format, [picture(1, format, SIZE, clap(60, 40), irot(1))]),
        "wide numbers": build(format, [picture(1, format, SIZE, irot(1))], is_wide=True),
        "meta behind the data": build(format, [picture(1, format, SIZE)], is_meta_last=True),
        "wide and behind": build(
            format, [picture(1, format, SIZE)], is_wide=True, is_meta_last=True
        ),
        "data up to the end": build(format, [picture(1, format, SIZE)], is_open_ended=True),
        "meta up to the end": build(
            format, [picture(1, format, SIZE)], is_meta_last=True, is_open_ended=True
        ),
        "data in meta": build(format, [picture(1, format, SIZE)], data_in_meta=[1]),
        "brand mif1": build(format, [picture(1, format, SIZE)], brand=b"mif1"),
        "brand msf1": build(format, [picture(1, format, SIZE)], brand=b"msf1"),
        "second of two": build(
            format, [picture(1, format, (64, 64)), picture(2, format, SIZE)], primary=2
        ),
        "small copy": build(format, [picture(1, format, SIZE), other], [(b"thmb", 2, (1,))]),
        "transparent": build(
            format, [picture(1, format, SIZE), alpha(2, format, SIZE)], [(b"auxl", 2, (1,))]
        ),
        "tiles": tiled(format, (128, 128)),
        "cut tiles": tiled(format, (100, 90)),
        "turned tiles": tiled(format, (100, 90), irot(1)),
    }


def _metadata(format: str) -> dict[str, bytes]:
    gps, turned = make_exif(gps=True), make_exif(6, gps=True)
    xmp = xmp_item(8, b'<x tiff:Orientation="6" exif:GPSLatitude="51,28N"/>')
    first, other = (b"cdsc", 9, (1,)), picture(2, format, (64, 64))
    return {
        "place": build(format, [picture(1, format, SIZE), exif_item(9, gps)], [first]),
        "place in exif without prefix": build(
            format, [picture(1, format, SIZE), exif_item(9, gps, before=b"")], [first]
        ),
        "place in meta": build(
            format, [picture(1, format, SIZE), exif_item(9, gps)], [first], data_in_meta=[9]
        ),
        "place of another": build(
            format, [picture(1, format, SIZE), other, exif_item(9, gps)], [(b"cdsc", 9, (2,))]
        ),
        "turned by exif": build(format, [picture(1, format, SIZE), exif_item(9, turned)], [first]),
        "turned twice": build(
            format, [picture(1, format, SIZE, irot(1)), exif_item(9, turned)], [first]
        ),
        "turned by xmp": build(format, [picture(1, format, SIZE), xmp], [(b"cdsc", 8, (1,))]),
        "turned by exif and xmp": build(
            format,
            [picture(1, format, SIZE), exif_item(9, make_exif(8)), xmp],
            [first, (b"cdsc", 8, (1,))],
        ),
        "place in the first exif": build(
            format,
            [picture(1, format, SIZE), exif_item(9, gps), exif_item(10, make_exif())],
            [first, (b"cdsc", 10, (1,))],
        ),
        "place in the second exif": build(
            format,
            [picture(1, format, SIZE), exif_item(9, make_exif()), exif_item(10, gps)],
            [first, (b"cdsc", 10, (1,))],
        ),
    }


def _orientations(format: str) -> dict[str, bytes]:
    files = {}
    for quarters in range(4):
        files[f"turned {quarters}"] = build(format, [picture(1, format, SIZE, irot(quarters))])
        for axis in (0, 1):
            turns = (irot(quarters), imir(axis)) if quarters else (imir(axis),)
            files[f"turned {quarters}, mirrored {axis}"] = build(
                format, [picture(1, format, SIZE, *turns)]
            )
    return files
