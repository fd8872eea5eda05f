"""Make the thumbnails of one file: what all commands without a server share."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from webapp.disk import is_disk_full
from webapp.engine.decoder import Decoder
from webapp.engine.errors import ImageError
from webapp.engine.result import MadeThumbnail
from webapp.recipes.outputs import Recipe
from webapp.sandbox.client import Failed

# Moves files out of a temporary folder; returns where they are, in their order.
Publish = Callable[[Path, Sequence[MadeThumbnail]], list[Path]]


@dataclass(frozen=True)
class Outcome:
    """Hold the result of one file: its thumbnails, or the error."""

    source: Path
    made: list[tuple[Path, MadeThumbnail]]
    had_gps: bool = False
    error: str | None = None
    is_disk_full: bool = False

    @property
    def bytes_made(self) -> int:
        """The bytes of all its thumbnails."""
        return sum(made.bytes for _, made in self.made)


def make_thumbnails(
    source: Path, recipe: Recipe, out: Path, decoder: Decoder, publish: Publish, prefix: str
) -> Outcome:
    """Make the thumbnails of a file in a temporary folder of `out`, and publish them.

    The folder's name begins with `prefix`. No file is published if one cannot be made.
    """
    try:
        with tempfile.TemporaryDirectory(dir=out, prefix=prefix) as folder:
            result = decoder.make_thumbnails(source.absolute(), recipe, Path(folder))
            paths = publish(Path(folder), result.thumbnails)
    except (ImageError, OSError) as error:
        return Outcome(source, [], error=str(error), is_disk_full=is_disk_full(error))
    except Failed as error:
        cause = str(error).strip().splitlines()[-1]  # The last line of a traceback.
        return Outcome(source, [], error=f"Internal error: {cause}")
    made = list(zip(paths, result.thumbnails, strict=True))
    return Outcome(source, made, result.header.had_gps)
