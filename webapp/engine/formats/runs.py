"""The runs of a BMP: its indexes, shortened where one follows itself."""

from typing import IO, Any, cast

from PIL import Image, ImageFile

from webapp.engine.errors import TooManyPixels, Truncated

_MAX_MEGAPIXELS = 5
_CODEC = "bmp_rle"
_END_OF_LINE, _END, _JUMP = 0, 1, 2  # After a zero; larger numbers count different indexes.
_DIGITS = bytes.maketrans(b"0123456789abcdef", bytes(range(16)))


class _Decoder(ImageFile.PyDecoder):
    """Decode runs, and tell which pixels they draw.

    BmpRleDecoder loses lines that are skipped whole, and refuses an early end.
    """

    _pulls_fd = True

    def decode(self, _: object) -> tuple[int, int]:
        *_, has_four_bits, direction, drawn = self.args
        size = self.state.xsize, self.state.ysize
        indexes, gaps = _read_runs(cast(IO[bytes], self.fd).read(), has_four_bits, *size)
        self.set_as_raw(indexes, "L" if self.mode == "L" else "P", (0, direction))
        if gaps:
            mask = bytearray(b"\xff" * len(indexes))
            for start, end in gaps:
                mask[start:end] = bytes(end - start)
            drawn.append(Image.frombytes("L", size, bytes(mask), "raw", "L", 0, direction))
        return -1, 0


Image.register_decoder(_CODEC, _Decoder)


def expect(image: ImageFile.ImageFile) -> list[Image.Image]:
    """Return where a mask of the drawn pixels of an open BMP will be, if not all are."""
    drawn: list[Image.Image] = []
    tile = image.tile[0]
    if tile.codec_name == _CODEC:
        image.tile = [tile._replace(args=(*cast(tuple[Any, ...], tile.args), drawn))]
    return drawn


def check(image: ImageFile.ImageFile) -> None:
    """Raise TooManyPixels for a large image of runs.

    They are decoded in Python: a megapixel in up to 0.6 s.
    """
    has_runs = any(tile.codec_name == _CODEC for tile in image.tile)
    if has_runs and image.width * image.height > _MAX_MEGAPIXELS * 1e6:
        raise TooManyPixels(image.size, _MAX_MEGAPIXELS)


def _read_runs(
    data: bytes, has_four_bits: bool, width: int, height: int
) -> tuple[bytes, list[tuple[int, int]]]:
    """Return the indexes in the order of the runs, and the spans they skip.

    Raises Truncated if the data end before the picture does.
    """
    indexes, gaps = bytearray(), []
    line_end, at = width, 0
    while len(indexes) < width * height:
        if at + 2 > len(data):
            raise Truncated
        count, value, at = data[at], data[at + 1], at + 2
        if not count and value <= _JUMP:
            start = len(indexes)
            if value == _END_OF_LINE:
                end, line_end = line_end, line_end + width
            elif value == _END:
                end = width * height
            else:
                right, up = _read(data, at, 2)
                end, line_end = min(start + right, line_end) + up * width, line_end + up * width
                at += 2
            end = min(end, width * height)
            gaps += [(start, end)] if end > start else []
            indexes += bytes(end - start)
            continue
        if count:
            run = bytes((value,)) * count
        else:
            count, size = value, (value + 1) // 2 if has_four_bits else value
            run = _read(data, at, size)
            at += size + size % 2  # They fill whole words.
        if has_four_bits:
            run = run.hex().encode().translate(_DIGITS)
        indexes += run[: min(count, line_end - len(indexes))]
    return bytes(indexes), gaps


def _read(data: bytes, at: int, length: int) -> bytes:
    """Return so many bytes. Raises Truncated."""
    content = data[at : at + length]
    if len(content) < length:
        raise Truncated
    return content
