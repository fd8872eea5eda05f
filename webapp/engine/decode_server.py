"""Fork decode children, with the engine loaded and without any secret.

    python -m webapp.engine.decode_server <process id of its caller>

`decoder` starts this process.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from io import BytesIO
from typing import Any

from PIL import Image

from webapp.config import Config
from webapp.engine.decoder import COMPOSED, MADE
from webapp.engine.errors import ImageError
from webapp.engine.limits import ImageLimits
from webapp.engine.thumbnails import make_thumbnails
from webapp.engine.trials import try_output
from webapp.recipes.outputs import Output, Recipe
from webapp.sandbox import server

_BUFFER = 1 << 16  # Bytes. If it is given, Python does not check whether a file is a terminal.
# Decoded at half of its size, 203 × 150.5: only from whole pixels does libvips resize, and it
# starts threads.
_SMALL = (406, 301)


def answer(
    request: dict[str, Any], descriptors: Sequence[int], write: server.Write
) -> dict[str, Any]:
    """Do what a request asks for with the files of its descriptors.

    The first is the original; that of a trial may be followed by what is composed. Returns JSON
    values.
    """
    recipe, limits = Recipe.from_json(request["recipe"]), ImageLimits(**request["limits"])
    with ExitStack() as opened:
        source, *others = (
            opened.enter_context(os.fdopen(descriptor, "rb", _BUFFER)) for descriptor in descriptors
        )
        try:
            if "number" not in request:
                return asdict(make_thumbnails(source, recipe, write, limits, request["kept"]))
            new = BytesIO()
            composed = others[0] if others else new
            made = try_output(source, recipe, request["number"], composed, limits)
        except ImageError as error:
            return {"error": error.code, "message": str(error)}
        write(MADE, made)
        if not others:
            write(COMPOSED, new.getvalue())
        return {"bytes": len(made)}


def warm_up() -> None:
    """Make thumbnails of a small JPEG."""
    source = os.memfd_create("small")
    with os.fdopen(os.dup(source), "wb") as file:
        Image.linear_gradient("L").convert("RGB").resize(_SMALL).save(file, "jpeg")
    os.lseek(source, 0, os.SEEK_SET)
    outputs = (Output("padded", 100, 100, "pad"), Output("cropped", 80, 80, "cover", "webp"))
    request = {
        "recipe": Recipe(outputs).to_json(),
        "limits": vars(ImageLimits.from_config(Config())),
        "kept": [],
    }
    answer(request, [source], lambda number, content: None)


if __name__ == "__main__":
    server.serve(answer, warm_up)
