"""Make thumbnails with one library, one JSON line a job, and time each job.

    python -m bench.peers.worker pyvips

It runs in the environment of that library, so it imports others only when they are asked for. Every
peer is used as its own documentation advises. Files in, JPEG or PNG files out, no metadata.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict


class Job(TypedDict):
    """Describe a job: a thumbnail inside a square of each size, `repeat` times."""

    source: str
    folder: str
    sizes: list[int]
    quality: int
    cascade: bool  # Make the smaller sizes from the largest; ours always does.
    repeat: int
    format: str  # The ending of the files, `jpg` or `png`.


Maker = Callable[[Job], None]


def load_ours() -> tuple[str, Maker]:
    """Load our own engine."""
    from PIL import __version__, features

    from webapp.config import Config
    from webapp.engine import vips
    from webapp.engine.limits import ImageLimits
    from webapp.engine.thumbnails import make_thumbnails
    from webapp.recipes.outputs import Output, Recipe

    limits = ImageLimits.from_config(Config())

    def make(job: Job) -> None:
        sizes, quality = job["sizes"], job["quality"]
        recipe = Recipe(tuple(Output(str(size), size, size, quality=quality) for size in sizes))
        folder = Path(job["folder"])

        def write(number: int, content: bytes) -> None:
            (folder / recipe.outputs[number].file_name).write_bytes(content)

        with Path(job["source"]).open("rb") as source:
            make_thumbnails(source, recipe, write, limits)

    turbo = features.version("libjpeg_turbo")
    version = f"Pillow {__version__}, libjpeg-turbo {turbo}"
    return f"{version}, with libvips" if vips.libvips else version, make


def load_pillow() -> tuple[str, Maker]:
    """Load our engine as it is without libvips."""
    from webapp.engine import vips

    vips.libvips = None
    return load_ours()


def load_thumbnail() -> tuple[str, Maker]:
    """Load `Image.thumbnail`, as tutorials use it."""
    from PIL import Image, ImageOps, __version__

    def make(job: Job) -> None:
        for size in job["sizes"]:
            with Image.open(job["source"]) as image:
                image.thumbnail((size, size))
                upright = ImageOps.exif_transpose(image).convert("RGB")
            upright.save(target(job, size), quality=job["quality"])

    return f"Pillow {__version__}", make


def load_floor() -> tuple[str, Maker]:
    """Load the scaled decode of libjpeg-turbo: no resize, no encode."""
    from PIL import Image, __version__

    def make(job: Job) -> None:
        with Image.open(job["source"]) as image:
            wanted = max(job["sizes"]) * 1.3 / max(image.size)
            image.draft(None, (int(image.width * wanted), int(image.height * wanted)))
            image.load()

    return f"Pillow {__version__}", make


def load_pyvips() -> tuple[str, Maker]:
    """Load libvips, whose `thumbnail` decodes as small as it can."""
    vips: Any = importlib.import_module("pyvips")
    vips.cache_set_max(0)  # Otherwise the second round finds the picture of the first.

    def make(job: Job) -> None:
        largest: Any = None
        for size in job["sizes"]:
            box: dict[str, Any] = {"height": size, "size": "down"}
            if job["format"] == "png":  # Whose pixels are compared.
                box["output_profile"] = "srgb"
            if largest is None or not job["cascade"]:
                image = vips.Image.thumbnail(job["source"], size, **box)
                image = largest = image.copy_memory() if job["cascade"] else image
            else:
                image = largest.thumbnail_image(size, **box)
            options = {"Q": job["quality"]} if job["format"] == "jpg" else {}
            image.write_to_file(target(job, size), keep="none", **options)

    library = ".".join(str(vips.version(part)) for part in range(3))
    return f"pyvips {vips.__version__}, libvips {library}", make


def load_opencv() -> tuple[str, Maker]:
    """Load OpenCV: a reduced read, of JPEG by libjpeg, and the mean of areas."""
    cv2: Any = importlib.import_module("cv2")
    cv2.setNumThreads(1)
    flags = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}
    flags |= {8: cv2.IMREAD_REDUCED_COLOR_8, 1: cv2.IMREAD_COLOR}
    # OpenCV cannot read a size without decoding; its users know it from elsewhere.
    widths: dict[str, int] = {}

    def make(job: Job) -> None:
        source = job["source"]
        if source not in widths:
            widths[source] = cv2.imread(source).shape[1]
        image: Any = None
        for size in job["sizes"]:
            if image is None or not job["cascade"]:
                reductions = [by for by in flags if widths[source] // by >= size]
                by = max(reductions) if source.endswith(".jpg") else 1
                image = cv2.imread(source, flags[by])
            scale = size / max(image.shape)
            box = (round(image.shape[1] * scale), round(image.shape[0] * scale))
            image = cv2.resize(image, box, interpolation=cv2.INTER_AREA)
            cv2.imwrite(target(job, size), image, [cv2.IMWRITE_JPEG_QUALITY, job["quality"]])

    return f"OpenCV {cv2.__version__}", make


def target(job: Job, size: int) -> str:
    """Return the file for one size."""
    return os.path.join(job["folder"], f"{size}.{job['format']}")


LOADERS = {
    "ours": load_ours,
    "pillow": load_pillow,
    "thumbnail": load_thumbnail,
    "floor": load_floor,
    "pyvips": load_pyvips,
    "opencv": load_opencv,
}


def answer(make: Maker, job: Job) -> dict[str, object]:
    """Do a job; return its seconds, or its error."""
    start = time.perf_counter()
    try:
        for _ in range(job["repeat"]):
            make(job)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"seconds": time.perf_counter() - start}


def main() -> None:
    """Print the version, then answer jobs until stdin ends."""
    version, make = LOADERS[sys.argv[1]]()
    print(json.dumps({"version": version}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(make, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
