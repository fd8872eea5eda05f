"""Files that are sent to bring the service down: bombs, lies, loops and junk.

`hostile_files` makes all of them. They are made in code, each time the same, and most have a few
kilobytes; the function that makes a file shows what it promises or hides. The few that must be
large have some megabytes, below the limit of an upload. One module holds one format.
"""

from tests.support.hostile import (
    bmp,
    exif,
    gif,
    ico,
    isobmff,
    jp2,
    jpeg,
    mutations,
    png,
    polyglots,
    tiff,
    webp,
)
from tests.support.hostile.binary import Files

_MODULES = (jpeg, exif, png, webp, gif, tiff, bmp, ico, jp2, isobmff, polyglots, mutations)


def hostile_files() -> Files:
    """Make all of them, by the names to send them under."""
    files: Files = {}
    for module in _MODULES:
        made = module.files()
        assert not files.keys() & made.keys()
        files |= made
    return files


# Those that are sent over HTTP: what costs most, whatever outcome there is, and strange names.
# A test of the engine decodes the others.
SENT = frozenset(
    {
        # Much work.
        *("moving-webp-of-10-large-frames.webp", "moving-webp-of-200-frames.webp"),
        *("moving-gif-of-10-large-frames.gif", "moving-gif-of-200-frames.gif"),
        *("moving-png-of-10-large-frames.png", "moving-png-of-200-frames.png"),
        *("jp2-50-palettes.jp2", "jp2-49-megapixels-flat.jp2", "ico-of-49-megapixels.ico"),
        *("bmp-5-million-runs-of-one.bmp", "bmp-line-ends-of-5-megapixels.bmp"),
        *("png-99-megapixels-interlaced.png", "png-98-megapixels-of-16-bit-rgba.png"),
        *("png-one-column-of-99-megapixels.png", "png-one-line-of-99-megapixels.png"),
        *("tiff-190000-strips.tiff", "tiff-65535-strips.tiff"),
        *("tiff-colours-of-2-million-numbers.tiff", "jpeg-50-scans-of-99-megapixels.jpg"),
        *("jpeg-exif-in-200-segments.jpg", "jpeg-100000-tables.jpg", "jpeg-540000-resources.jpg"),
        *("jpeg-junk-behind-each-segment.jpg", "avif-says-49-megapixels.avif"),
        "avif-49-megapixels-flat.avif",
        # Many bytes, or many parts of the header.
        *("tiff-5-million-strips.tiff", "tiff-photo-with-place-of-4-million-numbers.tiff"),
        *("exif-of-24-megabytes.png", "gif-10-million-comments.gif", "jpeg-filled-with-ff.jpg"),
        *("jpeg-scan-of-stuffed-bytes.jpg", "png-3-million-late-chunks.png"),
        *("avif-million-brands.avif", "avif-2-million-references.avif"),
        *("heic-3-million-properties.heic", "jp2-400000-inner-boxes.jp2"),
        *("png-4000-profiles.png", "ico-1000-profiles.ico"),
        # Much memory, in the web server or in a decoder.
        *("ico-of-400-megapixels.ico", "ico-of-a-giant-bmp.ico", "png-300-texts.png"),
        *("png-more-data-than-pixels.png", "png-chunk-of-2-gigabytes.png"),
        "png-chunk-of-4-gigabytes.png",
        # More than is allowed.
        *("jpeg-4300-megapixels.jpg", "jpeg-2000-scans.jpg", "png-400-megapixels.png"),
        *("webp-16000-flat.webp", "gif-screen-of-65535.gif", "tiff-group-4-of-40000.tiff"),
        *("moving-gif-of-20000-frames.gif", "moving-webp-of-5000-frames.webp"),
        "moving-png-of-4-billion-frames.png",
        # Damaged, or no images.
        *("cut-at-50-percent.jpg", "cut-at-75-percent.heic", "flipped-0.png", "flipped-3.webp"),
        *("magic-and-noise.tiff", "magic-alone.ico", "noise.jpg", "empty.jpg", "svg.svg"),
        *("page.html", "xml-bomb.jpg", "archive-bomb.jpg", "gif-and-script.js"),
        # Names.
        *("jpeg-and-php.php", "..%2f..%2fetc%2fpasswd", "<script>alert(1)</script>.jpg"),
        *("x" * 5_000 + ".jpg", "gpj.\u202eexe.png", "..."),
    }
)
