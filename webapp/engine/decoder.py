"""Make thumbnails in a decode child, and check everything that it answers.

This is the caller's side; `decode_server` runs in the other process. An image may have taken over
its child, which can then answer and send anything, for the images of its job that follow too.
"""

import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from webapp.config import MB, Config
from webapp.engine.errors import (
    ByteBudget,
    Corrupt,
    Crashed,
    Empty,
    ImageError,
    OutOfMemory,
    TimedOut,
    TooManyFrames,
    TooManyOutputPixels,
    TooManyPixels,
    TooManyScans,
    Truncated,
    Unsupported,
)
from webapp.engine.header import READ_FORMATS, Header
from webapp.engine.limits import ImageLimits
from webapp.engine.result import MadeThumbnail, Result
from webapp.recipes.outputs import MAX_SIDE, Format, Output, Point, Recipe
from webapp.sandbox import client

LARGEST_FILE = 100_000_000  # Bytes; the largest thumbnail as an uncompressed PNG has 67 million.

MADE, COMPOSED = 0, 1  # The numbers of a trial's files.

_HEAD = 12  # Bytes that tell the format of a file.
_SIGNATURES: Mapping[str, re.Pattern[bytes]] = {
    "jpeg": re.compile(rb"\xff\xd8\xff"),
    "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
    "avif": re.compile(rb".{4}ftypavi[fs]", re.DOTALL),
    "gif": re.compile(rb"GIF8[79]a"),
}
_THUMBHASH = re.compile(r"[A-Za-z0-9+/]{4,40}={0,2}")
_COLOR = re.compile(r"#[0-9a-f]{6}")
_MAX_MESSAGE = 400  # Characters.
# The codes of errors that a child may answer; the others are found on this side.
CHILD_ERRORS = {
    error.code
    for error in (
        *(Unsupported, Empty, Corrupt, Truncated),
        *(TooManyPixels, TooManyScans, TooManyFrames, TooManyOutputPixels, ByteBudget),
    )
}

server = client.ForkServer("webapp.engine.decode_server")


@dataclass(frozen=True)
class Decoder:
    """Make thumbnails within the limits of one image and of one child."""

    image: ImageLimits
    process: client.RunLimits

    @classmethod
    def from_config(cls, config: Config) -> "Decoder":
        """Create a decoder with the limits of the settings."""
        return cls(
            ImageLimits.from_config(config),
            client.RunLimits(
                memory_bytes=config.decode_memory_mb * MB,
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
        kept: Collection[int] = (),
        job_id: str | None = None,
    ) -> Result:
        """Make the thumbnails of a recipe in a decode child.

        The outputs whose numbers are in `kept` have their thumbnails already. A file gets its name
        after it is checked. `on_wait` is called about once a second meanwhile. On an error, no file
        is left in the folder. Images of one job may be decoded by the same child, one after the
        other; without a job, the child is new.
        Raises ImageError, OSError if the disk is full, or client.Failed if the fault is ours.
        """
        request = {
            "recipe": recipe.to_json(),
            "limits": vars(self.image),
            "kept": sorted(kept),
        }
        to_make = [number for number in range(len(recipe.outputs)) if number not in kept]
        drafts = {number: folder / f"draft-{number}" for number in to_make}
        try:
            with ExitStack() as opened:
                original = opened.enter_context(source.open("rb"))
                files = {
                    number: opened.enter_context(draft.open("x+b"))
                    for number, draft in drafts.items()
                }

                def read(answer: Any) -> Result:
                    return read_answer(answer, recipe, files, self.image)

                result: Result = self._run(request, [original], files, read, on_wait, job_id)
            for made in result.thumbnails:
                drafts[made.number].rename(folder / made.file_name)
            return result
        finally:
            for draft in drafts.values():
                draft.unlink(missing_ok=True)

    def try_output(
        self,
        source: Path,
        recipe: Recipe,
        number: int,
        composed: Path,
        file: Path,
        on_wait: Callable[[], None] | None = None,
        job_id: str | None = None,
    ) -> None:
        """Write the file that an output of a recipe would become, in a decode child.

        The output's format must be resolved. `composed` is what its picture is kept in between two
        tries; it is created the first time. `on_wait` is called about once a second, and `job_id`
        is that of the image. Raises ImageError, OSError if the disk is full, or client.Failed if
        the fault is ours; the new files are worthless then.
        """
        request = {"recipe": recipe.to_json(), "limits": vars(self.image), "number": number}
        format = cast(Format, recipe.outputs[number].format)
        with ExitStack() as opened:
            sources = [opened.enter_context(source.open("rb"))]
            files = {MADE: opened.enter_context(file.open("x+b"))}
            if composed.exists():
                sources.append(opened.enter_context(composed.open("rb")))
            else:
                files[COMPOSED] = opened.enter_context(composed.open("x+b"))

            def read(answer: Any) -> None:
                _check_trial(answer, format, files[MADE])

            self._run(request, sources, files, read, on_wait, job_id)

    def _run(
        self,
        request: Any,
        sources: Sequence[IO[bytes]],
        files: Mapping[int, IO[bytes]],
        read: Callable[[Any], Any],
        on_wait: Callable[[], None] | None,
        job_id: str | None,
    ) -> Any:
        """Run a decode child; return what its answer is read as, or raise ImageError."""
        descriptors = [source.fileno() for source in sources]
        try:
            return server.run(
                request,
                descriptors,
                self.process,
                on_wait,
                files=files,
                read=read,
                group=job_id,
            )
        except client.ChildTimedOut:
            raise TimedOut(self.process.wall_seconds) from None
        except client.ChildOutOfMemory:
            raise OutOfMemory from None
        except client.ChildCrashed as error:
            raise Crashed from error


def read_answer(
    answer: Any, recipe: Recipe, files: Mapping[int, IO[bytes]], limits: ImageLimits
) -> Result:
    """Check and read a child's answer.

    `files` has the files to make, by the numbers of their outputs. Raises the ImageError that the
    child answered, or Crashed if our program would never answer this.
    """
    with _crashed_if_wrong():
        _raise_error_in(answer)
        return _read_result(answer, recipe, files, limits)


def _check_trial(answer: Any, format: Format, file: IO[bytes]) -> None:
    """Check a child's answer to a trial. Raises ImageError."""
    with _crashed_if_wrong():
        _raise_error_in(answer)
        _check_file(answer["bytes"], format, file)


@contextmanager
def _crashed_if_wrong() -> Iterator[None]:
    """Raise Crashed if the block finds an answer our program never gives."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as cause:
        raise Crashed from cause


def _raise_error_in(answer: Any) -> None:
    """Raise the ImageError that a child answered, if it did."""
    if answer.keys() == {"error", "message"}:
        raise _ChildError(_one_of(CHILD_ERRORS, answer["error"]), _sentence(answer["message"]))


class _ChildError(ImageError):
    """An ImageError that the child answered, with its code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _read_result(
    answer: dict[str, Any], recipe: Recipe, files: Mapping[int, IO[bytes]], limits: ImageLimits
) -> Result:
    header = _read_header(answer["header"], limits)
    expected = {}  # By file name: the number of an output, and the output with its format.
    for number in files:
        for is_animated in (False, True):
            resolved = recipe.outputs[number].with_resolved_format(header.format, is_animated)
            expected[resolved.file_name] = number, resolved
    thumbnails = []
    for made in answer["thumbnails"]:
        number, output = expected[made["file_name"]]
        thumbnails.append(_read_thumbnail(made, number, output, files[number]))
    numbers = [made.number for made in thumbnails]
    has_some = bool(numbers) or len(files) < len(recipe.outputs)  # All may equal one that is kept.
    if not has_some or numbers != sorted(set(numbers)):
        raise ValueError(numbers)
    hash, color = _matched(_THUMBHASH, answer["thumbhash"]), _matched(_COLOR, answer["color"])
    return Result(header, hash, color, thumbnails, _read_point(answer["found_point"]))


def _read_header(described: dict[str, Any], limits: ImageLimits) -> Header:
    width, height = _whole(described["width"], 1), _whole(described["height"], 1)
    if width * height > max(limits.max_megapixels, limits.max_megapixels_other) * 1e6:
        raise ValueError((width, height))
    if type(described["had_gps"]) is not bool:
        raise TypeError(described["had_gps"])
    return Header(
        format=_one_of(READ_FORMATS, described["format"]),
        width=width,
        height=height,
        orientation=_whole(described["orientation"], 1, 8),
        had_gps=described["had_gps"],
    )


def _read_thumbnail(
    described: dict[str, Any], number: int, output: Output, file: IO[bytes]
) -> MadeThumbnail:
    """Check the description of a thumbnail against its output and its file."""
    format = cast(Format, output.format)
    if described["format"] != format:
        raise ValueError(described)
    size = _check_file(described["bytes"], format, file)
    quality = described["quality"]
    return MadeThumbnail(
        number=number,
        file_name=output.file_name,
        width=_whole(described["width"], 1, output.width or MAX_SIDE),
        height=_whole(described["height"], 1, output.height or MAX_SIDE),
        bytes=size,
        format=format,
        quality=None if quality is None else _whole(quality, 1, 100),
    )


def _read_point(value: Any) -> Point | None:
    """Return a point, which JSON has as a list; raise ValueError if it is none."""
    if value is None:
        return None
    x, y = value
    if not all(type(part) is float and 0 <= part <= 1 for part in (x, y)):
        raise ValueError(value)
    return x, y


def _check_file(described: Any, format: Format, file: IO[bytes]) -> int:
    """Check the size and the signature of a file, and return its size."""
    size = os.fstat(file.fileno()).st_size
    head = os.pread(file.fileno(), _HEAD, 0)
    if _whole(described, 1, LARGEST_FILE) != size or not _SIGNATURES[format].match(head):
        raise ValueError(described, head)
    return size


def _whole(value: Any, least: int, most: int = sys.maxsize) -> int:
    """Return a whole number, not a bool; raise ValueError if it is not."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(value)
    return value


def _one_of(known: Collection[str], value: Any) -> str:
    if type(value) is not str or value not in known:
        raise ValueError(value)
    return value


def _matched(pattern: re.Pattern[str], value: Any) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(value)
    return str(value)


def _sentence(value: Any) -> str:
    """Return one line of printable text, or raise ValueError."""
    if type(value) is not str or not value.isprintable() or not 0 < len(value) <= _MAX_MESSAGE:
        raise ValueError(value)
    return value
