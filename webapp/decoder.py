"""Make thumbnails in a sandbox: what a file does there is a verdict on that file alone."""

import errno
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from webapp import sandbox
from webapp.config import Config
from webapp.recipes import Recipe
from webapp.sources import Header, ImageError, ImageLimits
from webapp.storage import is_disk_full
from webapp.thumbnails import Result, Thumbnail, make_thumbnails

LARGEST_FILE = 100_000_000  # Bytes; the largest thumbnail as an uncompressed PNG has 67 million.


class TimedOut(ImageError):
    """Decoding takes too long."""

    code = "timed_out"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"This image took longer than {seconds:g} s to decode. Export it smaller, or as JPEG."
        )


class OutOfMemory(ImageError):
    """Decoding takes too much memory."""

    code = "out_of_memory"

    def __init__(self) -> None:
        super().__init__(
            "This image needs more memory than the server gives to one."
            " Export it smaller, or as JPEG."
        )


class Crashed(ImageError):
    """The decoder did not survive the file."""

    code = "crashed"

    def __init__(self) -> None:
        super().__init__(
            "This image stopped the decoder. It is probably damaged:"
            " open it in an image editor, save it anew and try again."
        )


@dataclass(frozen=True)
class Decoder:
    """Hold the limits that decoding keeps."""

    image: ImageLimits
    process: sandbox.Limits

    @classmethod
    def from_config(cls, config: Config) -> "Decoder":
        """Take the limits from the settings."""
        return cls(
            ImageLimits(
                max_megapixels=config.max_megapixels,
                max_megapixels_other=config.max_megapixels_other,
                max_jpeg_scans=config.max_jpeg_scans,
                max_frames=config.max_frames,
            ),
            sandbox.Limits(
                memory_bytes=config.decode_memory_mb * 1_000_000,
                wall_seconds=config.decode_seconds,
                cpu_seconds=2 * config.decode_seconds,  # AVIF and HEIC decode in two threads.
                file_bytes=LARGEST_FILE,
            ),
        )

    def make_thumbnails(
        self,
        source: Path,
        recipe: Recipe,
        folder: Path,
        on_wait: Callable[[], None] | None = None,
    ) -> Result:
        """Do in a child process what the function of this name does.

        `on_wait` is called about once a second meanwhile. Raises ImageError; OSError where the disk
        is full; sandbox.Failed where the mistake is ours.
        """
        work = partial(_make, source, recipe, folder, self.image)
        try:
            answer = sandbox.run(work, self.process, on_wait, readable=[source], writable=[folder])
        except sandbox.TimedOut:
            raise TimedOut(self.process.wall_seconds) from None
        except sandbox.OutOfMemory:
            raise OutOfMemory from None
        except sandbox.Crashed as error:
            raise Crashed from error
        if "disk_full" in answer:
            raise OSError(errno.ENOSPC, answer["disk_full"])
        if "error" in answer:
            raise _Told(answer["error"], answer["message"])
        return Result(
            Header(**answer["header"]),
            answer["thumbhash"],
            answer["color"],
            [Thumbnail(**made) for made in answer["thumbnails"]],
        )


class _Told(ImageError):
    """An ImageError of the child, in whose code and words it comes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _make(source: Path, recipe: Recipe, folder: Path, limits: ImageLimits) -> dict[str, Any]:
    """Run in the child: answer with plain values, which is all that comes out of it."""
    try:
        return asdict(make_thumbnails(source, recipe, folder, limits))
    except ImageError as error:
        return {"error": error.code, "message": str(error)}
    except OSError as error:
        if is_disk_full(error):
            return {"disk_full": str(error)}
        raise
