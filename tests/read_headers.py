"""Read the headers of all files of the tests without any decoder, and measure what each costs.

A program: `python -m tests.read_headers FOLDER` prints JSON. Of each file it tells what
`read_header` said, and the seconds of CPU time that it took. It needs a process of its own, because
it disables the decoders for good.
"""

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from PIL import Image

from tests.hostile import ENDINGS, hostile_files, sample
from tests.isobmff import variants
from webapp.sources import ImageError, ImageLimits, read_header

LIMIT = 0.05  # Seconds.


class DecoderUsed(BaseException):
    """C code was called. A BaseException, so that nothing on the way handles it."""


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


def read(path: Path) -> dict[str, object]:
    """Read a header, and again where it took too long: the machine may be busy."""
    costs: list[float] = []
    while len(costs) < 3 and (not costs or min(costs) > LIMIT):
        started = time.thread_time()
        try:
            said = read_header(path, ImageLimits()).format
        except ImageError as error:
            said = error.code
        except DecoderUsed as error:
            said = f"used a decoder {error}"
        costs.append(time.thread_time() - started)
    return {"said": said, "seconds": min(costs)}


def main(folder: Path) -> None:
    files = hostile_files() | {f"sample.{ending}": sample(ending) for ending in ENDINGS}
    for format in ("avif", "heic"):
        files |= {f"{name}.{format}": image for name, image in variants(format).items()}
    forbid_decoders()
    path, answers = folder / "file", {}
    for name, image in files.items():
        path.write_bytes(image)
        answers[name] = read(path)
    print(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
