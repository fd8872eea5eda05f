"""Write BMPs of any depth, header and bit fields."""

import struct
from collections.abc import Sequence

SIZE = (13, 5)  # Lines of an odd number of bytes, so that they are padded.
FIELDS, ALPHA_FIELDS = 3, 6
EMBEDDED = 0x4D424544


def write(
    numbers: Sequence[int],
    bits: int,
    *,
    compression: int = 0,
    masks: Sequence[int] = (),
    palette: bytes = b"",
    header: int = 40,
    profile: bytes = b"",
    from_top: bool = False,
) -> bytes:
    """Write a BMP of the size SIZE of these pixels, from the top left."""
    width, height = SIZE
    lines = [_pack(numbers[row * width : (row + 1) * width], bits) for row in range(height)]
    pixels = b"".join(lines if from_top else reversed(lines))
    signed = -height if from_top else height
    values = (header, width, signed, 1, bits, compression, len(pixels), 1, 1, len(palette) // 4, 0)
    info = struct.pack("<IiiHHIIiiII", *values)
    if header == 124:
        place = header + len(pixels)
        info += struct.pack("<4I", *masks, *[0] * (4 - len(masks)))
        info += struct.pack("<I48x4I", EMBEDDED if profile else 0, 4, place, len(profile), 0)
    else:
        info += struct.pack(f"<{len(masks)}I", *masks)
    start = 14 + len(info) + len(palette)
    file = struct.pack("<2sIII", b"BM", start + len(pixels), 0, start) + info + palette + pixels
    return file + profile


def _pack(numbers: Sequence[int], bits: int) -> bytes:
    if bits >= 8:
        line = b"".join(number.to_bytes(bits // 8, "little") for number in numbers)
    else:
        digits = "".join(f"{number:0{bits}b}" for number in numbers)
        digits += "0" * (-len(digits) % 8)
        line = int(digits, 2).to_bytes(len(digits) // 8, "big")
    return line + bytes(-len(line) % 4)


def write_runs(runs: bytes, palette: bytes) -> bytes:
    """Write a BMP of the size SIZE of runs of indexes of 8 bits."""
    image = write([0] * SIZE[0] * SIZE[1], 8, compression=1, palette=palette.ljust(1024, b"\0"))
    return image[: 14 + 40 + 1024] + runs


def to_icon_picture(image: bytes, hidden: int) -> bytes:
    """Make the picture of an icon, whose mask hides so many pixels of each line.

    It has no file header, and its height counts the lines of the mask.
    """
    width, height = SIZE
    lines = struct.pack("<i", 2 * height)
    mask = _pack([1] * hidden + [0] * (width - hidden), 1) * height
    return image[14:22] + lines + image[26:] + mask
