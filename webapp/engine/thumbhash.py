"""Encode and draw ThumbHashes: previews until thumbnails arrive.

The format is Evan Wallace's, https://evanw.github.io/thumbhash/, which keeps the coarsest cosine
waves of a picture. A size is (width, height), in pixels.
"""

import base64
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import mul

from PIL import Image, ImageStat

from webapp.engine.color import to_rgb
from webapp.recipes.outputs import Size

# Square whatever the shape, because waves are counted by the side. With more pixels, one level in
# 30 would differ by one.
_HASHED_SIZE = (24, 24)
_DRAWN_SIDE = 16  # The finest wave is 4 pixels long; twice the side takes four times as long.
_LIGHT_TERMS = (7, 5)  # Of the longer side: without alpha, and with.
_COLOR_TERMS = (3, 3)
_ALPHA_TERMS = (5, 5)


def thumbhash(image: Image.Image) -> str:
    """Return the ThumbHash of a picture: about 25 bytes, in base64.

    The picture is upright, in sRGB and in one of the modes L, LA, RGB and RGBA. A small thumbnail
    has the same hash as the original.
    """
    small = to_rgb(image).resize(_HASHED_SIZE, Image.Resampling.BILINEAR)
    has_alpha = small.mode == "RGBA" and small.getchannel("A").getextrema() != (255, 255)
    width_terms, height_terms = _light_terms(image.size, has_alpha)
    landscape = image.width > image.height

    pixels = _on_average_color(small).tobytes()
    reds, greens, blues = pixels[::3], pixels[1::3], pixels[2::3]
    rgb = list(zip(reds, greens, blues, strict=True))
    light = _measure(
        [red + green + blue for red, green, blue in rgb],
        765,
        small.size,
        (max(3, width_terms), max(3, height_terms)),
    )
    yellow = _measure([red + green - 2 * blue for red, green, blue in rgb], 510, small.size)
    red = _measure([red - green for red, green, _ in rgb], 255, small.size)

    fields = [
        (_level(light.mean, 63), 6),
        (_level(yellow.mean / 2 + 0.5, 63), 6),
        (_level(red.mean / 2 + 0.5, 63), 6),
        (_level(light.scale, 31), 5),
        (int(has_alpha), 1),
        (height_terms if landscape else width_terms, 3),
        (_level(yellow.scale, 63), 6),
        (_level(red.scale, 63), 6),
        (int(landscape), 1),
    ]
    channels = [light, yellow, red]
    if has_alpha:
        alpha = _measure(small.getchannel("A").tobytes(), 255, small.size, _ALPHA_TERMS)
        fields += [(_level(alpha.mean, 15), 4), (_level(alpha.scale, 15), 4)]
        channels.append(alpha)
    fields += [(level, 4) for channel in channels for level in channel.wave_levels()]
    return base64.b64encode(_pack(fields)).decode()


def thumbhash_to_png(hash: str) -> bytes:
    """Return a blurred PNG of a ThumbHash, 16 pixels at the longer side.

    Raises ValueError if `hash` is not a ThumbHash.
    """
    read = _Reader(base64.b64decode(hash, validate=True))
    light_mean = read.bits(6) / 63
    yellow_mean, red_mean = read.bits(6) / 31.5 - 1, read.bits(6) / 31.5 - 1
    light_scale = read.bits(5) / 31
    has_alpha = bool(read.bits(1))
    shorter, longer = max(1, read.bits(3)), _LIGHT_TERMS[has_alpha]
    # The quarter makes up for what rounding takes from weak colours.
    yellow_scale, red_scale = read.bits(6) / 63 * 1.25, read.bits(6) / 63 * 1.25
    width_terms, height_terms = (longer, shorter) if read.bits(1) else (shorter, longer)
    alpha_mean, alpha_scale = (read.bits(4) / 15, read.bits(4) / 15) if has_alpha else (1, 0)

    size = _fit((width_terms, height_terms), _DRAWN_SIDE)
    light_terms = (max(3, width_terms), max(3, height_terms))
    planes = [
        _draw(read.channel(light_mean, light_scale, light_terms), size),
        _draw(read.channel(yellow_mean, yellow_scale), size),
        _draw(read.channel(red_mean, red_scale), size),
    ]
    image = Image.frombytes("RGB", size, _to_rgb(*planes))
    if has_alpha:
        opacities = _draw(read.channel(alpha_mean, alpha_scale, _ALPHA_TERMS), size)
        alpha = bytes(_level(opacity, 255) for opacity in opacities)
        image.putalpha(Image.frombytes("L", size, alpha))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _fit(shape: Size, side: int) -> Size:
    """Return a shape scaled so that its longer side is `side`."""
    longer = max(shape)
    return max(1, round(shape[0] * side / longer)), max(1, round(shape[1] * side / longer))


@dataclass(frozen=True)
class _Channel:
    """The average of a property of all pixels, and the waves around it."""

    terms: Size
    mean: float
    waves: list[float]  # In the order of _wave_numbers.

    @property
    def scale(self) -> float:
        """Return the strongest wave; rounding errors count as none."""
        scale = max(map(abs, self.waves))
        return scale if scale > 1e-9 else 0

    def wave_levels(self) -> list[int]:
        """List the waves relative to the strongest, in 4 bits each."""
        scale = self.scale
        return [_level(wave / scale / 2 + 0.5, 15) if scale else 0 for wave in self.waves]


def _on_average_color(image: Image.Image) -> Image.Image:
    """Return a picture on its average colour: alpha adds no waves."""
    if image.mode == "RGB":
        return image
    *colors, alpha = ImageStat.Stat(image.convert("RGBa")).sum
    average = [_half_up(255 * color / alpha) if alpha else 0 for color in colors]
    background = Image.new("RGB", image.size, (average[0], average[1], average[2]))
    background.paste(image, mask=image)
    return background


def _light_terms(size: Size, has_alpha: bool) -> Size:
    """Return the number of waves of lightness to keep across and down.

    The shorter side has fewer.
    """
    terms, longer = _LIGHT_TERMS[has_alpha], max(size)
    return max(1, _half_up(terms * size[0] / longer)), max(1, _half_up(terms * size[1] / longer))


@lru_cache
def _wave_numbers(terms: Size) -> list[Size]:
    """List the waves to keep: those that are not fine both across and down."""
    across, down = terms
    return [
        (x, y)
        for y in range(down)
        for x in range(across)
        if (x or y) and x * down < across * (down - y)
    ]


@lru_cache(maxsize=256)
def _cosines(samples: int, terms: int) -> list[list[float]]:
    """List the values of each wave at the middle of each sample."""
    return [
        [math.cos(math.pi / samples * wave * (sample + 0.5)) for sample in range(samples)]
        for wave in range(terms)
    ]


for _terms in (3, 4, 5, 6, 7):  # Fill the cache for the processes forked for one image each.
    _cosines(_HASHED_SIZE[0], _terms)


def _measure(plane: Sequence[int], white: int, size: Size, terms: Size = _COLOR_TERMS) -> _Channel:
    """Return the cosine transform of a plane of values from 0 to `white`."""
    width, height = size
    rows = [plane[start : start + width] for start in range(0, width * height, width)]
    across = [[_dot(row, wave) for row in rows] for wave in _cosines(width, terms[0])]
    down = _cosines(height, terms[1])
    pixels = white * width * height
    waves = [_dot(across[x], down[y]) / pixels for x, y in _wave_numbers(terms)]
    return _Channel(terms, sum(plane) / pixels, waves)


def _draw(channel: _Channel, size: Size) -> list[float]:
    """Return the sum of a channel's waves at each pixel of a picture."""
    width, height = size
    across, down = _cosines(width, channel.terms[0]), _cosines(height, channel.terms[1])
    columns: list[list[tuple[float, list[float]]]] = [[] for _ in across]
    for (x, y), wave in zip(_wave_numbers(channel.terms), channel.waves, strict=True):
        columns[x].append((2 * wave, down[y]))
    plane = []
    for y in range(height):
        row = [channel.mean] * width
        for waves, cosines in zip(columns, across, strict=True):
            strength = sum([wave * cosine[y] for wave, cosine in waves])
            row = [value + strength * cosine for value, cosine in zip(row, cosines, strict=True)]
        plane += row
    return plane


def _dot(values: Iterable[float], weights: Iterable[float]) -> float:
    products: Iterable[float] = map(mul, values, weights)
    return sum(products)


def _to_rgb(lights: Sequence[float], yellows: Sequence[float], reds: Sequence[float]) -> bytes:
    """Convert planes of lightness, yellow - blue and red - green to bytes of RGB."""
    colors: list[float] = []
    for light, yellow, red in zip(lights, yellows, reds, strict=True):
        b = light - yellow * 2 / 3
        r = (3 * light - b + red) / 2
        colors += (r, r - red, b)
    # `_level` for each, without its calls.
    return bytes(
        [int(255 * color + 0.5) if 0 < color < 1 else 255 * (color > 0) for color in colors]
    )


def _level(fraction: float, highest: int) -> int:
    return _half_up(min(max(fraction, 0), 1) * highest)


def _half_up(value: float) -> int:
    """Round up at .5, as other encoders do and Python's `round` does not."""
    return math.floor(value + 0.5)


def _pack(fields: Iterable[tuple[int, int]]) -> bytes:
    """Return (value, bits) packed in a row, the lowest bit first."""
    packed = length = 0
    for value, bits in fields:
        packed |= value << length
        length += bits
    return packed.to_bytes((length + 7) // 8, "little")


class _Reader:
    """Read what `_pack` wrote, in the same order."""

    def __init__(self, data: bytes) -> None:
        self._rest = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def bits(self, count: int) -> int:
        """Read a value of `count` bits."""
        if count > self._left:
            raise ValueError("This is not a whole ThumbHash.")
        value = self._rest & ((1 << count) - 1)
        self._rest >>= count
        self._left -= count
        return value

    def channel(self, mean: float, scale: float, terms: Size = _COLOR_TERMS) -> _Channel:
        """Read the waves of a channel, 4 bits each."""
        waves = [(self.bits(4) / 7.5 - 1) * scale for _ in _wave_numbers(terms)]
        return _Channel(terms, mean, waves)
