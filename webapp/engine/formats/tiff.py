"""TIFF: a directory of tags, and pixels in strips or tiles."""

import os
import threading
from typing import IO, Any, cast

from PIL import ImagePalette, TiffImagePlugin
from PIL.ExifTags import Base as Tag

from webapp.engine import exif, ifd
from webapp.engine.errors import Corrupt, Truncated, Unsupported
from webapp.engine.header import Header
from webapp.engine.limits import ImageLimits, check_size

SIGNATURES = tuple(TiffImagePlugin.PREFIXES)
_BIG_ENDIAN_BIGTIFF = b"MM\0+"
_PIXEL_FORMAT = 0xBC01  # A tag of JPEG XR.
# The tags that describe the pixels.
_TAGS = (
    *(Tag.ImageWidth, Tag.ImageLength, Tag.BitsPerSample, Tag.Compression),
    *(Tag.PhotometricInterpretation, Tag.FillOrder, Tag.StripOffsets, Tag.Orientation),
    *(Tag.SamplesPerPixel, Tag.RowsPerStrip, Tag.XResolution, Tag.YResolution),
    *(Tag.PlanarConfiguration, Tag.ResolutionUnit, Tag.ColorMap, Tag.TileWidth, Tag.TileLength),
    *(Tag.TileOffsets, Tag.ExtraSamples, Tag.SampleFormat, Tag.YCbCrSubSampling, _PIXEL_FORMAT),
)
_MAX_STRIPS = 200_000  # A strip for each line of a picture needs some ten thousand.
_MAX_TAG = 4096  # Bytes of one of these that are read; a palette of 256 colours has 1536.
_UNKNOWN_MODE = "unknown pixel mode"  # In Pillow's message for channels that it does not know.
_NO_COMPRESSION, _OLD_JPEG, _JPEG, _WEBP = 1, 6, 7, 50001
# libtiff in Pillow's wheel has no WebP.
_COMPRESSIONS = frozenset(TiffImagePlugin.COMPRESSION_INFO) - {_WEBP}
_BLACK_IS_ZERO, _YCBCR = 1, 6  # PhotometricInterpretation.
_IN_PLANES = 2  # PlanarConfiguration.
_LOWEST_BIT_FIRST = 2  # FillOrder.
_NATIVE_ORDER = {"F;32B": "F;32N", "F;32BF": "F;32NF", "I;16BS": "I;16NS", "I;32BS": "I;32NS"}

# Pillow stores unsigned numbers of 32 bits in signed ones, where the higher half is negative, and
# knows only little-endian ones.
TiffImagePlugin.OPEN_INFO[b"II", 1, (1,), 1, (32,), ()] = ("F", "F;32")
TiffImagePlugin.OPEN_INFO[b"MM", 1, (1,), 1, (32,), ()] = ("F", "F;32B")


class Reader(TiffImagePlugin.TiffImageFile):
    """Open a TIFF with Pillow, and correct what Pillow gets wrong.

    Raises Unsupported for a kind that Pillow cannot decode.
    """

    _lock = threading.Lock()  # READ_LIBTIFF is Pillow's, for all threads.

    def _open(self) -> None:
        _check_kind_of_offsets(cast(IO[bytes], self.fp))
        super()._open()

    def _setup(self) -> None:
        self._check_compression()
        self._check_planes()
        self._correct_orientation()
        with self._lock:
            TiffImagePlugin.READ_LIBTIFF = self._needs_libtiff()
            try:
                super()._setup()
            except SyntaxError as error:
                if _UNKNOWN_MODE not in str(error):
                    raise
                raise Unsupported(
                    "This kind of TIFF has channels that we cannot read."
                    " Export it as 8 or 16 bit RGB."
                ) from error
            finally:
                TiffImagePlugin.READ_LIBTIFF = False
        self._correct_raw_mode()
        self._correct_color_map()

    def load(self) -> Any:
        try:
            return super().load()
        except OSError as error:
            if self._is_cut():
                raise Truncated from error
            raise

    def _check_compression(self) -> None:
        """Raise Unsupported for a compression that libtiff cannot decode."""
        compression = self.tag_v2.get(Tag.Compression, _NO_COMPRESSION)
        # It decodes no JPEG of more than 12 bits.
        is_deep_jpeg = compression == _JPEG and max(self.tag_v2.get(Tag.BitsPerSample, (8,))) > 12
        if compression not in _COMPRESSIONS or is_deep_jpeg or _PIXEL_FORMAT in self.tag_v2:
            raise Unsupported(
                "This TIFF is compressed in a way that we cannot read."
                " Save it with LZW or ZIP compression, or without any."
            )

    def _check_planes(self) -> None:
        """Raise Unsupported for planes that libtiff or Pillow cannot decode."""
        tags = self.tag_v2
        if tags.get(Tag.PlanarConfiguration) != _IN_PLANES:
            return
        # libtiff makes RGB of YCbCr, but not of reduced colour in planes. Of a JPEG it is the JPEG
        # that counts, not the tag.
        is_reduced = (
            tags.get(Tag.PhotometricInterpretation) == _YCBCR
            and tags.get(Tag.Compression) not in (_OLD_JPEG, _JPEG)
            and tags.get(Tag.YCbCrSubSampling, (2, 2)) != (1, 1)
        )
        # TiffDecode.c stores the second plane as green, which grey with alpha does not have; and it
        # does not skip a plane beyond the fourth.
        has_alpha = max(tags.get(Tag.ExtraSamples, ()), default=0) > 0
        if is_reduced or (has_alpha and tags.get(Tag.SamplesPerPixel) != 4):
            raise Unsupported(
                "This TIFF stores its channels separately, in a way that we cannot read."
                " Save it with interleaved channels."
            )

    def _correct_orientation(self) -> None:
        """Make Pillow apply the orientation of the tag, and no other.

        As a byte, which is the wrong type, it is no number for Pillow. If there is none,
        TiffImageFile.load_end applies that of XMP, as no other decoder does.
        """
        orientation = self.tag_v2.get(Tag.Orientation)
        if isinstance(orientation, bytes) and len(orientation) == 1:
            del self.tag_v2[Tag.Orientation]  # With its type.
            self.tag_v2[Tag.Orientation] = self.getexif()[Tag.Orientation] = orientation[0]
        elif orientation is None and "xmp" in self.info:
            self.getexif()[Tag.Orientation] = 1

    def _needs_libtiff(self) -> bool:
        """Return True if Pillow's own decoder gets uncompressed pixels wrong.

        It takes planes of any depth for planes of 8 bits, the reduced colour of YCbCr for colour of
        all pixels, and tiles for strips if their places are in the tag of strips. Of bits in
        reverse order, it knows only some kinds.
        """
        tags = self.tag_v2
        return tags.get(Tag.Compression, _NO_COMPRESSION) == _NO_COMPRESSION and (
            Tag.TileWidth in tags
            or tags.get(Tag.PlanarConfiguration) == _IN_PLANES
            or tags.get(Tag.FillOrder) == _LOWEST_BIT_FIRST
            or (
                tags.get(Tag.PhotometricInterpretation) == _YCBCR
                and tags.get(Tag.SamplesPerPixel) == 3
            )
        )

    def _correct_raw_mode(self) -> None:
        """Correct what TiffImageFile._setup expects libtiff to return.

        libtiff swaps the bytes of a big-endian file, but floats and signed numbers would be swapped
        back. It does not make RGB of a grey JPEG of the old kind.
        """
        tile = self.tile[0]
        if tile.codec_name != "libtiff" or not isinstance(tile.args, tuple):
            return
        raw_mode, *more = tile.args
        if (self.tag_v2.get(Tag.Compression), self.tag_v2.get(Tag.PhotometricInterpretation)) == (
            _OLD_JPEG,
            _BLACK_IS_ZERO,
        ):
            self._mode = raw_mode = "L"
        self.tile = [tile._replace(args=(_NATIVE_ORDER.get(raw_mode, raw_mode), *more))]

    def _correct_color_map(self) -> None:
        """Read a color map of 8 bits, which old scanners write, as libtiff does.

        TiffImageFile._setup divides all by 256, which makes this one black.
        """
        colors = self.tag_v2.get(Tag.ColorMap, ())
        if self.palette and max(colors, default=0) < 256:
            self.palette = ImagePalette.raw("RGB;L", colors)

    def _is_cut(self) -> bool:
        """Return True if pixels lie beyond the end of the file.

        libtiff does not tell that from another fault.
        """
        file, tags = cast(IO[bytes], self.fp), self.tag_v2
        end = file.seek(0, os.SEEK_END)
        parts = ((Tag.StripOffsets, Tag.StripByteCounts), (Tag.TileOffsets, Tag.TileByteCounts))
        return any(
            start + size > end
            for starts, sizes in parts
            for start, size in zip(tags.get(starts, ()), tags.get(sizes, ()), strict=False)
        )


def matches(head: bytes) -> bool:
    return head.startswith(SIGNATURES)


def read_header(file: IO[bytes], limits: ImageLimits) -> Header:
    """Read the header of a TIFF.

    Pillow opens a copy without the offsets of the strips, because it creates an object for each:
    88 ms for 65,535 strips.
    """
    _check_kind_of_offsets(file)
    directory = ifd.read_directory(file, dict.fromkeys(_TAGS, _MAX_TAG))
    for tag in (Tag.StripOffsets, Tag.TileOffsets):
        if directory.sizes.get(tag, 0) > 4 * _MAX_STRIPS:
            raise Corrupt
        if tag in directory.tags:
            directory.tags[tag] = (4, bytes(4))
    image = Reader(ifd.write_directory(directory))
    check_size(image.size, "TIFF", limits)
    orientation, had_gps = exif.parse_tiff(file)
    # Pillow has applied the orientation to the size.
    return Header("tiff", *image.size, orientation, had_gps)


def _check_kind_of_offsets(file: IO[bytes]) -> None:
    """Raise Unsupported for a BigTIFF in big-endian order.

    TiffImageFile._open looks for its number, 43, where only little-endian files have it.
    """
    file.seek(0)
    if file.read(4) == _BIG_ENDIAN_BIGTIFF:
        raise Unsupported(
            "This is a big-endian BigTIFF, which we cannot read. Save it as a plain TIFF."
        )
    file.seek(0)
