"""Give an image file as it is, without what it tells beyond its picture.

Nothing is decoded: what makes up the picture is copied, and metadata, a colour profile and whatever
follows the picture are left out. The file must be one that a decoder has read to its end.
"""

from typing import IO

from webapp.sources import PNG_SIGNATURE, jpeg_segments, png_chunks, webp_chunks


def read_bare(source: IO[bytes], format: str) -> bytes:
    """Give a JPEG, PNG, WebP or GIF bare: of the first two its first picture, of the others all."""
    source.seek(0)
    return _READERS[format](source)


_APP0, _APP14, _COM = 0xE0, 0xEE, 0xFE
_APPLICATION = range(0xE0, 0xF0)
# Without its small picture. Where it is missing, a decoder may take the colours for others.
_JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"


def _read_jpeg(file: IO[bytes]) -> bytes:
    """Leave out comments and the segments of applications, but for what tells of the colours."""
    bare, end = bytearray(b"\xff\xd8"), 2
    for marker, start, next_end in jpeg_segments(file):
        file.seek(end)
        bare += file.read(start - end)
        segment, end = file.read(next_end - start), next_end
        if marker == _APP0 and segment[4:9] == b"JFIF\0":
            bare += _JFIF
        elif marker == _APP14 or marker not in (*_APPLICATION, _COM):
            bare += segment
    return bytes(bare)


_PNG_PICTURE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
_PNG_END = b"\0\0\0\0IEND\xae\x42\x60\x82"  # It may be missing.


def _read_png(file: IO[bytes]) -> bytes:
    bare = bytearray(PNG_SIGNATURE)
    for name, start, length in png_chunks(file):
        if name in _PNG_PICTURE:
            file.seek(start)
            bare += file.read(length)
    return bytes(bare) + _PNG_END


_WEBP_PICTURE = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF")
_WEBP_METADATA = 0x20 | 0x08 | 0x04  # Flags of VP8X: there is a profile, EXIF, XMP.


def _read_webp(file: IO[bytes]) -> bytes:
    bare = bytearray(b"WEBP")
    for name, start, length in webp_chunks(file):
        if name in _WEBP_PICTURE:
            file.seek(start)
            chunk = bytearray(file.read(length))
            if name == b"VP8X":
                chunk[8] &= ~_WEBP_METADATA
            bare += chunk
    return b"RIFF" + len(bare).to_bytes(4, "little") + bare


_GIF_EXTENSION, _GIF_PICTURE, _GIF_END = b"!", b",", b";"
_GRAPHIC_CONTROL = b"\xf9"


def _read_gif(file: IO[bytes]) -> bytes:
    """Keep of the extensions how long a frame is shown, and how often all are."""
    bare = bytearray(file.read(13))
    bare += _read_gif_colors(file, bare[10])
    while (kind := file.read(1)) in (_GIF_EXTENSION, _GIF_PICTURE):
        if kind == _GIF_PICTURE:
            if len(place := file.read(9)) < 9:
                break
            bare += kind + place + _read_gif_colors(file, place[8]) + file.read(1)
            bare += _read_gif_blocks(file)
        else:
            label, blocks = file.read(1), _read_gif_blocks(file)
            if label == _GRAPHIC_CONTROL or blocks[1:12] == b"NETSCAPE2.0":
                bare += kind + label + blocks
    return bytes(bare) + _GIF_END


def _read_gif_colors(file: IO[bytes], flags: int) -> bytes:
    return file.read(3 << (flags & 7) + 1 if flags & 0x80 else 0)


def _read_gif_blocks(file: IO[bytes]) -> bytes:
    """Read on to the empty block that ends a row of them, or to the end of the file."""
    blocks = bytearray()
    while length := file.read(1):
        blocks += length + file.read(length[0])
        if length == b"\0":
            break
    return bytes(blocks)


_READERS = {"jpeg": _read_jpeg, "png": _read_png, "webp": _read_webp, "gif": _read_gif}
FORMATS = tuple(_READERS)
