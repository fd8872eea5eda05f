"""What hostile files of all formats are made of."""

import random
import struct
import zlib

Files = dict[str, bytes]  # By the names to send them under.


def noise(count: int, seed: int) -> bytes:
    """Return random bytes, the same for the same seed."""
    return random.Random(seed).randbytes(count)


def u2(value: int) -> bytes:
    """Encode two bytes, little-endian."""
    return struct.pack("<H", value)


def u4(value: int) -> bytes:
    """Encode four bytes, little-endian."""
    return struct.pack("<I", value)


def b4(value: int) -> bytes:
    """Encode four bytes, big-endian."""
    return struct.pack(">I", value)


def zeros(count: int) -> bytes:
    """Return zlib data that inflates to so many zeros."""
    block, unit = 1 << 20, zlib.compressobj(9, zlib.DEFLATED, -15)
    repeated = unit.compress(bytes(block)) + unit.flush(zlib.Z_FULL_FLUSH)
    rest = zlib.compressobj(9, zlib.DEFLATED, -15)
    ending = rest.compress(bytes(count % block)) + rest.flush()
    checksum = struct.pack(">I", (count % 65521) << 16 | 1)
    return b"\x78\xda" + repeated * (count // block) + ending + checksum
