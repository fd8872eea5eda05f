"""Images of each format that are cut, changed or replaced by noise."""

import random

from tests.support.hostile.binary import Files, noise
from tests.support.hostile.png import SIGNATURE
from tests.support.hostile.samples import ENDINGS, sample

MAGICS = {
    "jpg": b"\xff\xd8\xff",
    "png": SIGNATURE,
    "webp": b"RIFF\0\1\0\0WEBP",
    "gif": b"GIF89a",
    "tiff": b"II*\0",
    "bmp": b"BM",
    "avif": b"\0\0\0\x1cftypavif",
    "heic": b"\0\0\0\x1cftypheic",
    "ico": b"\0\0\1\0",
    "jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
}


def files() -> Files:
    """Make all of them, by name."""
    return magics() | truncations() | flipped_bits()


def magics() -> Files:
    """Make the first bytes of each format, followed by nothing or by noise."""
    files = {}
    for number, (ending, magic) in enumerate(MAGICS.items()):
        files[f"magic-alone.{ending}"] = magic
        files[f"magic-and-noise.{ending}"] = magic + noise(20_000, 100 + number)
    return files


def truncations() -> Files:
    """Cut an image of each format at many offsets."""
    files = {}
    for ending in ENDINGS:
        image = sample(ending)
        for share in (3, 10, 25, 50, 75, 97):
            files[f"cut-at-{share}-percent.{ending}"] = image[: len(image) * share // 100]
        files[f"cut-by-one-byte.{ending}"] = image[:-1]
    return files


def flipped_bits() -> Files:
    """Flip a few bits in the header of each format, in eight ways."""
    return {
        f"flipped-{number}.{ending}": mutated(sample(ending), number, 200)
        for ending in ENDINGS
        for number in range(8)
    }


def mutated(image: bytes, seed: int, reach: int) -> bytes:
    """Flip one to eight of the first `reach` bytes' bits, the same for a seed."""
    chance = random.Random(seed)
    changed = bytearray(image)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(min(reach, len(image)))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def mangled(image: bytes, seed: int) -> bytes:
    """Damage an image as lines, disks and attackers do, the same for a seed."""
    chance = random.Random(seed)
    start, end = sorted(chance.randrange(len(image)) for _ in range(2))
    return (
        lambda: mutated(image, seed, 64),
        lambda: mutated(image, seed, len(image)),
        lambda: image[:start] + image[end:],
        lambda: image[:end] + image[start:],
        lambda: image[:start] + noise(end - start, seed) + image[end:],
        lambda: image[:start] + bytes(end - start) + image[end:],
        lambda: image[:start] + b"\xff" * 4 + image[start + 4 :],
        lambda: image[:end],
    )[seed % 8]()
