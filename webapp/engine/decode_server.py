"""Fork decode children, with the engine loaded and without any secret.

    python -m webapp.engine.decode_server <process id of its caller>

`decoder` starts this process.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from webapp.disk import is_disk_full
from webapp.engine.errors import ImageError
from webapp.engine.limits import ImageLimits
from webapp.engine.thumbnails import make_thumbnails
from webapp.recipes.outputs import Recipe
from webapp.sandbox import server

_BUFFER = 1 << 16  # Bytes. If it is given, Python does not check whether a file is a terminal.


def make(request: dict[str, Any], descriptors: Sequence[int]) -> dict[str, Any]:
    """Make thumbnails of the first descriptor's file.

    Writes them to the other descriptors, which are empty files: one for each output of the recipe
    that is not kept. Returns JSON values.
    """
    source, *empty = descriptors
    recipe, limits = Recipe.from_json(request["recipe"]), ImageLimits(**request["limits"])
    kept = request["kept"]
    to_make = (number for number in range(len(recipe.outputs)) if number not in kept)
    files = dict(zip(to_make, empty, strict=True))

    def write(number: int, content: bytes) -> None:
        with os.fdopen(files[number], "wb", _BUFFER) as file:
            file.write(content)

    try:
        with os.fdopen(source, "rb", _BUFFER) as file:
            return asdict(make_thumbnails(file, recipe, write, limits, kept))
    except ImageError as error:
        return {"error": error.code, "message": str(error)}
    except OSError as error:
        if is_disk_full(error):
            return {"disk_full": True}
        raise


if __name__ == "__main__":
    server.serve(make)
