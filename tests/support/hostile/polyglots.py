"""Files of two formats at once, or of another format than their names say."""

import io
import struct
import zipfile

from tests.support.hostile import bmp, gif, jpeg, png, tiff, webp
from tests.support.hostile.binary import Files, b4, noise, u4, zeros
from tests.support.hostile.samples import sample
from tests.support.images import make_jpeg


def files() -> Files:
    """Make all of them, by name."""
    return polyglots() | strangers()


def polyglots() -> Files:
    """Make files that are an image to one program and other to another."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("run.sh", "echo hello")
    page = b"<html><script>alert(1)</script></html>"
    return {
        "gif-and-script.gif": gif.build(0x2F2A, 0x2A, gif.frame(1, 1)) + b"*/=1;alert(1)",
        "gif-and-script.js": b"GIF89a/*" + sample("gif")[8:] + b"*/=1;alert(1)",
        "jpeg-and-archive.jpg": make_jpeg() + archive.getvalue(),
        "jpeg-and-archive.zip": make_jpeg() + archive.getvalue(),
        "png-and-page.png": png.build(chunks=[(b"tEXt", b"Comment\0" + page)]) + page,
        "png-and-page.html": png.build(late_chunks=[(b"tEXt", b"Comment\0" + page)]) + page,
        "jpeg-and-php.jpg": jpeg.after_soi(
            make_jpeg(), jpeg.segment(0xFE, b"<?php system('id'); ?>")
        ),
        "jpeg-and-php.php": jpeg.after_soi(
            make_jpeg(), jpeg.segment(0xFE, b"<?php system('id'); ?>")
        ),
        "pdf-and-jpeg.jpg": b"%PDF-1.4\n" + make_jpeg(),
        "jpeg-and-pdf.pdf": make_jpeg() + b"%PDF-1.4\n%%EOF",
        "bmp-and-page.bmp": bmp.build(64, 64, bytes(64 * 64 * 3)) + page,
        "tiff-and-zip.tiff": tiff.grey(64, 64, bytes(4096)) + archive.getvalue(),
        "webp-and-wave.webp": b"RIFF" + webp.build(webp.flat(64, 64))[4:] + b"RIFF\0\0\0\0WAVE",
        "png-behind-a-mark.png": b"\xef\xbb\xbf" + png.build(),
        "png-behind-text.png": b"hello" + png.build(),
    }


def strangers() -> Files:
    """Make other files that people upload as images."""
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros", bytes(50_000_000))
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    bomb = f"<!DOCTYPE svg [{entities}]><svg>&a11;</svg>".encode()
    films = {brand: b4(24) + b"ftyp" + brand + bytes(12) for brand in (b"isom", b"qt  ", b"mp42")}
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
        "program.jpg": b"MZ" + bytes(58) + u4(64) + b"PE\0\0" + noise(2_000, 14),
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
        "dds.png": b"DDS " + u4(124) + bytes(4) + u4(60_000) * 2 + bytes(120),
        "pickle.png": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
        "text.jpg": b"This is no picture.\n" * 100,
        "spaces.jpg": b" " * 100_000,
        "zeros.jpg": bytes(100_000),
        "one-byte.jpg": b"\xff",
        "two-bytes.jpg": jpeg.SOI,
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
