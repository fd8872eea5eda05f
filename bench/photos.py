"""Create photos to measure with, the same each time; keep them for the next run."""

import random
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

Size = tuple[int, int]
MP12, MP24, MP48, MP100 = (4000, 3000), (6000, 4000), (8000, 6000), (11544, 8658)
# Raise the number when the photos change: they are kept in the temporary folder.
PHOTOS = Path(tempfile.gettempdir()) / "thumbnails-bench-1"
# As cameras write it, and as messengers send it on: a third of the bytes.
_QUALITIES = {"photo.jpg": 88, "sent.jpg": 44, "photo.avif": 60}
# Weight of each octave, coarse to fine: 1/f, except for the softness of a lens.
_LIGHT = [(level, 0.3) for level in range(9, 2, -1)] + [(2, 0.22), (1, 0.12), (0, 0.1)]
_COLOR = [(level, 0.3) for level in range(9, 4, -1)]


def make_photo(size: Size) -> Image.Image:
    """Create what costs a decoder as much as a photo: soft shapes, 1/f noise, grain."""
    dice = random.Random(size[0])
    light = Image.blend(_texture(size, _LIGHT, dice), _shapes(size, dice), 0.4)
    grey = Image.new("L", size, 128)
    blue, red = (Image.blend(grey, _texture(size, _COLOR, dice), 0.3) for _ in range(2))
    return Image.merge("YCbCr", (light, blue, red)).convert("RGB")


def _texture(size: Size, octaves: list[tuple[int, float]], dice: random.Random) -> Image.Image:
    """Blend ever finer noise over coarse noise; each level halves the sides."""
    picture = Image.new("L", (2, 2), 128)
    for level, weight in octaves:
        width, height = max(2, size[0] >> level), max(2, size[1] >> level)
        noise = Image.frombytes("L", (width, height), dice.randbytes(width * height))
        picture = Image.blend(picture.resize(noise.size, Image.Resampling.BICUBIC), noise, weight)
    return picture.resize(size, Image.Resampling.BICUBIC)


def _shapes(size: Size, dice: random.Random) -> Image.Image:
    """Draw soft discs, light and dark."""
    canvas = Image.new("L", (size[0] // 16, size[1] // 16), 90)
    draw = ImageDraw.Draw(canvas)
    for _ in range(30):
        x, y = dice.randrange(canvas.width), dice.randrange(canvas.height)
        radius = dice.randrange(canvas.height // 20, canvas.height // 4)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), dice.randrange(20, 240))
    return canvas.filter(ImageFilter.GaussianBlur(1)).resize(size, Image.Resampling.BICUBIC)


def _palette(photo: Image.Image) -> Image.Image:
    return photo.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def photo(name: str, size: Size = MP12) -> str:
    """Return the path of a photo such as `palette.png`, created the first time."""
    path = PHOTOS / f"{size[0]}x{size[1]}-{name}"
    if not path.exists():
        print(f"Making {path.name} ...", file=sys.stderr)
        PHOTOS.mkdir(exist_ok=True)
        picture = make_photo(size)
        if name.startswith("palette"):
            picture = _palette(picture)
        unfinished = path.with_stem("unfinished")
        picture.save(unfinished, quality=_QUALITIES.get(name, 80))
        unfinished.replace(path)
    return str(path)
