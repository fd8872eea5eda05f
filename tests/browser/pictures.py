"""Different pictures that look like photos, for realistic screenshots."""

import random
from collections.abc import Callable
from functools import partial
from io import BytesIO
from itertools import pairwise
from operator import mul

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from tests.support.images import make_exif, make_truncated

Size = tuple[int, int]


def _gradient(size: Size, *colors: str) -> Image.Image:
    """Blend colours evenly from the top to the bottom."""
    column = Image.new("RGB", (1, len(colors)))
    for y, color in enumerate(colors):
        column.paste(color, (0, y, 1, y + 1))
    # Half a step in at both ends: a resize keeps the middles of pixels where they are.
    return column.resize(size, Image.Resampling.BICUBIC, (0, 0.5, 1, len(colors) - 0.5))


def _glow(picture: Image.Image, center: tuple[float, float], radius: float, color: str) -> None:
    """Lay light around a point, in fractions of the picture's size."""
    width, height = picture.size
    side = round(radius * 2 * height)
    mask = ImageChops.invert(Image.radial_gradient("L").resize((side, side)))
    mask = mask.point([max(0, 2 * value - 255) for value in range(256)])
    place = (round(center[0] * width - side / 2), round(center[1] * height - side / 2))
    picture.paste(color, (*place, place[0] + side, place[1] + side), mask)


def _ridge(dice: random.Random, roughness: float) -> list[float]:
    """Return the heights of a ridge from left to right, from -1 to 1 or so."""
    heights, swing = [dice.uniform(-0.5, 0.5) for _ in range(3)], 1.0
    while len(heights) < 500:
        middles = [
            (left + right) / 2 + dice.uniform(-swing, swing) / 2
            for left, right in pairwise(heights)
        ]
        heights = [h for pair in zip(heights, middles, strict=False) for h in pair] + heights[-1:]
        swing *= roughness
    return heights


def _hills(picture: Image.Image, dice: random.Random, roughness: float, *colors: str) -> None:
    """Draw ridges, the farthest first; each is darkest at its top."""
    width, height = picture.size
    for layer, color in enumerate(colors):
        base = height * (0.5 + 0.45 * layer / len(colors))
        rise = height * (0.16 + 0.04 * layer)
        ridge = _ridge(dice, roughness)
        line = [(i * width / (len(ridge) - 1), base - h * rise) for i, h in enumerate(ridge)]
        mask = Image.new("L", picture.size, 0)
        ImageDraw.Draw(mask).polygon([*line, (width, height), (0, height)], 255)
        mask = mask.filter(ImageFilter.GaussianBlur(0.8))
        far = picture.getpixel((width // 2, round(height * 0.45)))
        mist = Image.blend(
            Image.new("RGB", picture.size, far), Image.new("RGB", picture.size, color), 0.6
        )
        body = Image.new("RGB", picture.size, color)
        fade = Image.linear_gradient("L").resize(picture.size, box=(0, 80, 256, 256))
        picture.paste(Image.composite(mist, body, fade), mask=mask)


def _sea(picture: Image.Image, dice: random.Random, horizon: float) -> None:
    """Mirror the sky below the horizon, in waves that grow towards the viewer."""
    width, height = picture.size
    top = round(height * horizon)
    mirrored = picture.crop((0, 0, width, top)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    picture.paste(mirrored.resize((width, height - top)), (0, top))
    source = picture.copy()
    for y in range(top, height, 2):
        reach = (y - top) / (height - top)
        shift = round(dice.gauss(0, 4 + 26 * reach))
        strip = Image.eval(
            source.crop((0, y, width, y + 2)), partial(mul, dice.uniform(0.72, 0.95))
        )
        picture.paste(strip, (shift, y))
        picture.paste(strip, (shift - width if shift > 0 else shift + width, y))


def _ball(picture: Image.Image, center: tuple[float, float], radius: float, color: str) -> None:
    """Put a fruit on a table, lit from the upper left."""
    width, height = picture.size
    side = round(radius * 2 * height)
    left, top = round(center[0] * width - side / 2), round(center[1] * height - side / 2)
    shadow = Image.new("L", picture.size, 0)
    ImageDraw.Draw(shadow).ellipse(
        (left + side * 0.1, top + side * 0.78, left + side * 1.35, top + side * 1.08), 150
    )
    picture.paste("#120c08", mask=shadow.filter(ImageFilter.GaussianBlur(side / 16)))
    # Light falls off from a point of the ball's face; the crop puts it up and left.
    fall = (
        Image.radial_gradient("L")
        .resize((side * 2, side * 2))
        .crop((round(side * 0.65), round(side * 0.65), round(side * 1.65), round(side * 1.65)))
    )
    lit = Image.composite(
        Image.new("RGB", (side, side), "#1a0d05"),
        Image.new("RGB", (side, side), color),
        fall.point([min(255, round(v * 1.25)) for v in range(256)]),
    )
    _glow(lit, (0.34, 0.3), 0.16, "#fff6e4")
    mask = Image.new("L", (side * 2, side * 2), 0)
    ImageDraw.Draw(mask).ellipse((2, 2, side * 2 - 3, side * 2 - 3), 255)
    picture.paste(lit.filter(ImageFilter.GaussianBlur(1)), (left, top), mask.resize((side, side)))


def _grained(picture: Image.Image) -> Image.Image:
    grain = Image.effect_noise(picture.size, 26).convert("RGB")
    return Image.blend(picture, ImageChops.overlay(picture, grain), 0.5)


def _mountains(dice: random.Random) -> Image.Image:
    picture = _gradient((1800, 1200), "#3b4f78", "#c98d86", "#f4cfa0", "#f7e3c4")
    _glow(picture, (0.68, 0.42), 0.35, "#ffe9b8")
    _hills(picture, dice, 0.52, "#8d8aa0", "#676a85", "#474a62", "#23262f")
    return picture


def _coast(dice: random.Random) -> Image.Image:
    picture = _gradient((1800, 1200), "#1d3a5f", "#5a7f9d", "#e9a15c", "#f6d08a", "#7b4a3a")
    _glow(picture, (0.4, 0.5), 0.3, "#ffdf9a")
    _glow(picture, (0.4, 0.5), 0.07, "#fffbe8")
    _sea(picture, dice, 0.56)
    return picture


def _still_life(dice: random.Random) -> Image.Image:
    picture = _gradient((1200, 1600), "#2f3a38", "#54615b", "#6d4a32", "#8a5d3c", "#5a3a24")
    for center, radius, color in (
        ((0.68, 0.52), 0.15, "#d9a520"),
        ((0.34, 0.58), 0.17, "#c8401f"),
        ((0.62, 0.68), 0.14, "#e06a1c"),
    ):
        _ball(picture, center, radius, color)
    return picture


def _woods(dice: random.Random) -> Image.Image:
    picture = _gradient((1600, 1000), "#d7e0d2", "#b9c9b6", "#8ea68c", "#6b8468")
    for layer, color in enumerate(("#9fb39c", "#7c957a", "#56705a", "#2f4636")):
        mask = Image.new("L", picture.size, 0)
        draw = ImageDraw.Draw(mask)
        for _ in range(26 - 4 * layer):
            x, tall = dice.randrange(-50, 1650), dice.uniform(240, 330) + 130 * layer
            foot = 690 + 100 * layer
            for tier in range(9):
                wide = (16 + 7 * layer) * (1 + tier * 0.55)
                y = foot - tall + tall * tier / 9
                draw.polygon(
                    [(x, y - tall / 7), (x - wide, y + tall / 8), (x + wide, y + tall / 8)], 255
                )
        draw.rectangle((0, 690 + 100 * layer, 1600, 1000), 255)
        picture.paste(color, mask=mask.filter(ImageFilter.GaussianBlur(3 - 0.6 * layer)))
    return picture


def _night(dice: random.Random) -> Image.Image:
    picture = _gradient((1800, 1200), "#050a18", "#0d1b36", "#1f3a5c", "#3f5f7a")
    draw = ImageDraw.Draw(picture)
    for _ in range(500):
        x, y, r = dice.randrange(1800), dice.randrange(800), dice.choice((0, 0, 1, 1, 2))
        draw.ellipse((x - r, y - r, x + r, y + r), dice.choice(("#cfd9ee", "#8ea2c4", "#fff")))
    _glow(picture, (0.75, 0.22), 0.2, "#41597e")
    draw.ellipse((1300, 214, 1400, 314), "#f3efdf")
    _hills(picture, dice, 0.45, "#1c3049", "#122236", "#080f1a")
    return picture


def _dunes(dice: random.Random) -> Image.Image:
    picture = _gradient((1200, 1800), "#4d86b8", "#8fb6d2", "#dfe3da", "#e8c79a")
    _hills(picture, dice, 0.24, "#e3b57c", "#d19a5c", "#b87a42", "#8e5630")
    return picture


def _cutout(dice: random.Random) -> Image.Image:
    picture = Image.new("RGB", (1200, 1200), "#3a2a1c")
    _ball(picture, (0.5, 0.5), 0.42, "#b02a1a")
    mask = Image.new("L", (2400, 2400), 0)
    ImageDraw.Draw(mask).ellipse((194, 194, 2206, 2206), 255)
    picture.putalpha(mask.resize(picture.size))
    return picture


def _panorama(dice: random.Random) -> Image.Image:
    picture = _gradient((2400, 900), "#6fa0c8", "#a9c8dc", "#e6e6dc", "#f0dfc0")
    _hills(picture, dice, 0.5, "#a3b3bd", "#7f9a8a", "#5d7f57", "#37562f")
    return picture


def _encode(picture: Image.Image, name: str, exif: bytes = b"") -> bytes:
    file = BytesIO()
    if name.endswith(".png"):
        picture.save(file, "PNG")
    else:
        _grained(picture).save(file, "JPEG", quality=90, exif=exif)
    return file.getvalue()


PAINTERS: dict[str, Callable[[random.Random], Image.Image]] = {
    "IMG_2741.jpg": _mountains,
    "DSC_0817.jpg": _coast,
    "still life, second try.jpg": _still_life,
    "ball, cut out.png": _cutout,
    "צפון השחורה 2024.jpg": _woods,
    "Scan for the printers, corrected colours, final version 3 (really final).jpg": _night,
    "PXL_20240318_091422.jpg": _dunes,
    "panorama.jpg": _panorama,
}
BROKEN = "IMG_2742.jpg"


def paint() -> dict[str, bytes]:
    """Make all pictures as people's files, by their names; the same at each run."""
    files = {}
    for seed, (name, painter) in enumerate(PAINTERS.items()):
        exif = make_exif(gps=True) if name.startswith("IMG") else b""
        files[name] = _encode(painter(random.Random(seed)), name, exif)
    files[BROKEN] = make_truncated(files["DSC_0817.jpg"])
    return files
