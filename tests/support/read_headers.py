"""Read the headers of all files of the tests, with their decoders and without.

A program: `python -m tests.support.read_headers FOLDER` prints JSON. For each file it has what the
decoder and `read_header` answered, and the CPU seconds of `read_header`. It needs a process of its
own: it disables the decoders for good, and a decoder may crash.
"""

import importlib
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from tests.support.hostile import hostile_files
from tests.support.hostile.samples import ENDINGS, sample
from tests.support.isobmff_variants import variants
from webapp.config import Config
from webapp.engine.errors import ImageError, translate_decoder_errors
from webapp.engine.exif import oriented_size, read_exif
from webapp.engine.formats.isobmff import read_tags
from webapp.engine.header import Header
from webapp.engine.identify import read_header
from webapp.engine.limits import ImageLimits
from webapp.engine.opening import format_of, open_image

LIMIT = 0.05  # Seconds.
IMAGE_LIMITS = ImageLimits.from_config(Config())
# Pillow takes 9 and 3 s to open these. Their decoder is not asked, which would double the time.
SLOW_TO_OPEN = {"tiff-5-million-strips.tiff", "jp2-50-palettes.jp2"}


class DecoderUsed(BaseException):
    """C code was called; no handler catches a BaseException."""


class _Forbidden:
    def __getattr__(self, name: str) -> Any:
        raise DecoderUsed(name)


def forbid_decoders() -> None:
    """Disable all that Pillow and pillow-heif have in C."""
    vars(Image)["core"] = _Forbidden()
    for name in ("PIL._avif", "PIL._webp", "_pillow_heif"):
        functions = vars(importlib.import_module(name))
        for function in [function for function in functions if not function.startswith("__")]:
            functions[function] = _forbidden


def _forbidden(*_: object, **__: object) -> None:
    raise DecoderUsed


def decoder_header(image: bytes) -> Header:
    """Return the header that Pillow and its decoders read.

    Raises ImageError.
    """
    with translate_decoder_errors():
        opened = open_image(io.BytesIO(image), IMAGE_LIMITS)
        orientation, had_gps = read_exif(opened)
        size = oriented_size(opened, orientation)
        if opened.format == "AVIF":  # Pillow leaves its crop to us.
            left, top, right, bottom = read_tags(io.BytesIO(image))[1] or (0, 0, *opened.size)
            size = (right - left, bottom - top)
            size = size[::-1] if orientation >= 5 else size
        return Header(format_of(opened).lower(), *size, orientation, had_gps)


def answer_of(read: Callable[..., Header], *arguments: object) -> dict[str, object] | str:
    """Return the fields of a header, or the code of the error that was raised.

    Only our reader counts scans.
    """
    try:
        return {**vars(read(*arguments)), "scans": 1}
    except ImageError as error:
        return error.code
    except MemoryError:
        return "out_of_memory"
    except DecoderUsed as error:
        return f"used a decoder {error}"


def measure(path: Path) -> dict[str, object]:
    """Read a header without decoders; read it again where that was slow.

    The machine may be busy: the fastest of three readings counts.
    """
    costs: list[float] = []
    while len(costs) < 3 and (not costs or min(costs) > LIMIT):
        started = time.thread_time()
        answer = answer_of(read_header, path, IMAGE_LIMITS)
        costs.append(time.thread_time() - started)
    return {"header": answer, "seconds": min(costs)}


def main(folder: Path) -> None:
    files = hostile_files() | {f"sample.{ending}": sample(ending) for ending in ENDINGS}
    for format in ("avif", "heic"):
        files |= {f"{name}.{format}": image for name, image in variants(format).items()}
    decoded = {
        name: answer_of(decoder_header, image)
        for name, image in files.items()
        if name not in SLOW_TO_OPEN
    }
    forbid_decoders()
    path, answers = folder / "file", {}
    for name, image in files.items():
        path.write_bytes(image)
        answers[name] = measure(path) | {"decoder": decoded.get(name)}
    print(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
