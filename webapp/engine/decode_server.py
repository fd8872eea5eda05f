"""Fork decode children, with the engine loaded and without any secret.

    python -m webapp.engine.decode_server <process id of its caller>

`decoder` starts this process.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import IO, Any

from webapp.disk import is_disk_full
from webapp.engine.errors import ImageError
from webapp.engine.limits import ImageLimits
from webapp.engine.thumbnails import make_thumbnails
from webapp.engine.trials import try_output
from webapp.recipes.outputs import Recipe
from webapp.sandbox import server

_BUFFER = 1 << 16  # Bytes. If it is given, Python does not check whether a file is a terminal.


def answer(request: dict[str, Any], descriptors: Sequence[int]) -> dict[str, Any]:
    """Do what a request asks for with the files of its descriptors.

    The first is the original. Returns JSON values.
    """
    recipe, limits = Recipe.from_json(request["recipe"]), ImageLimits(**request["limits"])
    try:
        with os.fdopen(descriptors[0], "rb", _BUFFER) as source:
            if "number" in request:
                return _try(source, recipe, request["number"], descriptors[1:], limits)
            return _make(source, recipe, request["kept"], descriptors[1:], limits)
    except ImageError as error:
        return {"error": error.code, "message": str(error)}
    except OSError as error:
        if is_disk_full(error):
            return {"disk_full": True}
        raise


def _make(
    source: IO[bytes],
    recipe: Recipe,
    kept: Collection[int],
    empty: Sequence[int],
    limits: ImageLimits,
) -> dict[str, Any]:
    """Make thumbnails, each in an empty file, of the outputs that are not kept."""
    to_make = (number for number in range(len(recipe.outputs)) if number not in kept)
    files = dict(zip(to_make, empty, strict=True))

    def write(number: int, content: bytes) -> None:
        with os.fdopen(files[number], "wb", _BUFFER) as file:
            file.write(content)

    return asdict(make_thumbnails(source, recipe, write, limits, kept))


def _try(
    source: IO[bytes],
    recipe: Recipe,
    number: int,
    descriptors: Sequence[int],
    limits: ImageLimits,
) -> dict[str, Any]:
    """Try an output: the descriptors are of what is composed, and of an empty file."""
    is_composed = os.fstat(descriptors[0]).st_size > 0
    with (
        os.fdopen(descriptors[0], "rb" if is_composed else "wb", _BUFFER) as composed,
        os.fdopen(descriptors[1], "wb", _BUFFER) as file,
    ):
        return {"bytes": file.write(try_output(source, recipe, number, composed, limits))}


if __name__ == "__main__":
    server.serve(answer)
