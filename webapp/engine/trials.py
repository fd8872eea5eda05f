"""Try qualities of one thumbnail: compose it once, and encode it for each.

In between, it is kept as a line of JSON and its raw pixels. A hostile image may have written these,
so only decode children read them.
"""

import json
import os
from base64 import b64decode, b64encode
from typing import IO

from PIL import Image

from webapp.engine.animation import make_pictures
from webapp.engine.decoding import decode
from webapp.engine.encoding import Composed, compose, encode
from webapp.engine.errors import Corrupt, translate_decoder_errors
from webapp.engine.limits import ImageLimits
from webapp.engine.opening import format_of, open_image
from webapp.recipes.outputs import Recipe


def try_output(
    source: IO[bytes],
    recipe: Recipe,
    number: int,
    composed: IO[bytes],
    limits: ImageLimits,
) -> bytes:
    """Return the file that an output of a recipe would become.

    It must be a still, in a format that is resolved. `composed` is read, or written if it is
    empty. All of the recipe decides how the source is scaled on the way, so the file is the same
    as that of `make_thumbnails`, byte by byte. Raises ImageError.
    """
    size = composed.seek(0, os.SEEK_END)
    composed.seek(0)
    if size:
        picture = _read(composed)
    else:
        picture = _compose(source, recipe, number, limits)
        _write(picture, composed)
    return encode(picture, recipe.outputs[number], source)[0]


def _compose(source: IO[bytes], recipe: Recipe, number: int, limits: ImageLimits) -> Composed:
    with translate_decoder_errors():
        image = open_image(source, limits)
    format = format_of(image).lower()
    outputs = [output.with_resolved_format(format, is_animated=False) for output in recipe.outputs]
    decoded = decode(image, source, outputs)
    pictures = make_pictures(None, decoded, outputs, limits)
    return compose(pictures[number], outputs[number], decoded)


def _write(picture: Composed, file: IO[bytes]) -> None:
    (frame,) = picture.frames
    facts = {
        "mode": frame.mode,
        "size": frame.size,
        "is_p3": picture.is_p3,
        "rights": b64encode(picture.rights).decode(),
        "can_reuse_source": picture.can_reuse_source,
    }
    file.write(json.dumps(facts).encode() + b"\n" + frame.tobytes())
    file.flush()


def _read(file: IO[bytes]) -> Composed:
    try:
        facts = json.loads(file.readline())
        frame = Image.frombytes(facts["mode"], facts["size"], file.read())
        rights = b64decode(facts["rights"])
        return Composed([frame], facts["is_p3"], rights, facts["can_reuse_source"])
    except (IndexError, KeyError, TypeError, ValueError):
        raise Corrupt from None
