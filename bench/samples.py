"""Paint the sample images of the upload page, the same each time.

    python -m bench.samples     writes static/samples, and small pictures of them

Each shows what thumbnails often get wrong: a wide scene with its detail at one side, a photo that
is stored rotated and has a location, a cut-out.
"""

import math
import random
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFilter

from webapp.config import ROOT

FOLDER = ROOT / "static/samples"
SMALL = FOLDER / "small"
Color = tuple[int, int, int]
ORIENTATION, GPS = 0x0112, 0x8825


def paint_landscape() -> Image.Image:
    """Paint a morning with ridges and two balloons."""
    picture = _sky((1440, 960), (96, 132, 168), (246, 214, 176))
    _glow(picture, (930, 525), 680, (255, 236, 196))
    _ridges(picture, random.Random(7), 0.58, (206, 184, 172), (38, 52, 60))
    for x, y, height in ((250, 125, 320), (620, 285, 145)):
        balloon = paint_balloon(height)
        picture.paste(balloon, (x, y), balloon)
    return picture


def paint_night() -> Image.Image:
    """Paint a portrait of the moon above ridges."""
    picture = _sky((900, 1200), (18, 26, 48), (112, 126, 152))
    _glow(picture, (570, 352), 520, (190, 200, 214))
    disc = Image.new("L", (660, 660))
    ImageDraw.Draw(disc).ellipse((30, 30, 630, 630), fill=255)
    disc = disc.resize((165, 165), Image.Resampling.LANCZOS)
    picture.paste((244, 240, 226), (488, 270), disc)
    _ridges(picture, random.Random(4), 0.66, (94, 108, 132), (10, 14, 24))
    return picture


def paint_balloon(height: int) -> Image.Image:
    """Paint a balloon on transparency, at four times the size, and reduce it."""
    side = height * 4
    canvas = Image.new("RGBA", (side * 3 // 4, side))
    draw = ImageDraw.Draw(canvas)
    middle, radius = canvas.width / 2, canvas.width * 0.49
    profile = _profile(side)
    for rope in (-0.5, 0.5):
        ends = (middle + rope * radius * 0.5, side * 0.78, middle + rope * radius * 0.3, side * 0.9)
        draw.line(ends, fill=(70, 60, 56), width=max(4, side // 160))
    gores = 12
    for gore in range(gores):
        left, right = (math.sin(math.pi * ((gore + end) / gores - 0.5)) * radius for end in (0, 1))
        # Lit from the right, as by the sun of the landscape.
        light = 0.62 + 0.38 * math.sin(math.pi * (gore + 3) / (gores + 4))
        base = (193, 39, 29) if gore % 2 else (244, 238, 226)
        line = [(middle + left * part, y) for y, part in profile]
        line += [(middle + right * part, y) for y, part in reversed(profile)]
        draw.polygon(line, fill=tuple(round(value * light) for value in base))
    basket = (middle - radius * 0.17, side * 0.9, middle + radius * 0.17, side * 0.985)
    draw.rectangle(basket, fill=(112, 78, 48))
    return canvas.resize((canvas.width // 4, height), Image.Resampling.LANCZOS)


def _profile(side: int) -> list[tuple[float, float]]:
    """Return half widths of the balloon, from 0 to 1, at heights from top to mouth."""
    rows = []
    for step in range(65):
        part = step / 64
        if part < 0.44:
            width = math.sqrt(1 - ((0.44 - part) / 0.44) ** 2)
        else:
            width = 0.22 + 0.78 * math.cos((part - 0.44) / 0.56 * math.pi / 2) ** 1.2
        rows.append((side * (0.01 + 0.79 * part), width))
    return rows


def _sky(size: tuple[int, int], top: Color, horizon: Color) -> Image.Image:
    height = Image.linear_gradient("L").resize(size)
    return Image.composite(Image.new("RGB", size, horizon), Image.new("RGB", size, top), height)


def _glow(picture: Image.Image, centre: tuple[int, int], radius: int, color: Color) -> None:
    fade = [round(max(0.0, 1 - value / 200) ** 2 * 230) for value in range(256)]
    mask = Image.radial_gradient("L").point(fade).resize((2 * radius, 2 * radius))
    picture.paste(color, (centre[0] - radius, centre[1] - radius), mask)


def _ridges(picture: Image.Image, dice: random.Random, top: float, far: Color, near: Color) -> None:
    """Paint ridges in front of each other, the near ones darker and lower."""
    layers = 6
    for layer in range(layers):
        depth = layer / (layers - 1)
        height = picture.height * (top + (1 - top) * depth * 0.75)
        line = _ridge(dice, picture.height * (0.10 + 0.05 * depth))
        mask = Image.new("L", (picture.width * 2, picture.height * 2))
        step = mask.width / (len(line) - 1)
        points = [(n * step, 2 * (height + value)) for n, value in enumerate(line)]
        ImageDraw.Draw(mask).polygon([*points, (mask.width, mask.height), (0, mask.height)], 255)
        color = tuple(
            round(one + (other - one) * depth**0.8) for one, other in zip(far, near, strict=True)
        )
        picture.paste(color, (0, 0), mask.resize(picture.size, Image.Resampling.LANCZOS))


def _ridge(dice: random.Random, swing: float) -> list[float]:
    """Return heights along a ridge, by repeated halving."""
    line = [dice.uniform(-swing, swing) for _ in range(4)]
    while len(line) < 400:
        swing *= 0.5
        middles = [(one + other) / 2 + dice.uniform(-swing, swing) for one, other in pairwise(line)]
        line = [value for pair in zip(line, [*middles, 0], strict=True) for value in pair][:-1]
    return line


def _exif() -> Image.Exif:
    """Return EXIF of a camera on its side, at the North Pole."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif.get_ifd(GPS).update({1: "N", 2: (90.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)})
    return exif


def main() -> None:
    """Paint all three, and a small picture of each."""
    SMALL.mkdir(parents=True, exist_ok=True)
    soft = paint_landscape().filter(ImageFilter.GaussianBlur(0.9))
    soft.save(FOLDER / "balloons.jpg", quality=88, progressive=True, optimize=True)
    lying = paint_night().filter(ImageFilter.GaussianBlur(0.9)).transpose(Image.Transpose.ROTATE_90)
    lying.save(FOLDER / "moon.jpg", quality=88, progressive=True, optimize=True, exif=_exif())
    cutout = paint_balloon(640)
    cutout.save(FOLDER / "cutout.png", optimize=True)
    upright = lying.transpose(Image.Transpose.ROTATE_270)
    for name, picture, height in (
        ("balloons", soft, 320),
        ("moon", upright, 180),
        ("cutout", cutout, 180),
    ):
        size = (round(picture.width * height / picture.height), height)
        small = picture.resize(size, Image.Resampling.LANCZOS)
        small.save(SMALL / f"{name}.webp", quality=70, method=6)


if __name__ == "__main__":
    main()
