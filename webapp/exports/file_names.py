"""Names of downloaded files: safe on every system, and unique."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import PurePosixPath

from webapp.jobs.models import Image, Thumbnail
from webapp.jobs.names import JOINERS, is_kept
from webapp.recipes.outputs import EXTENSIONS, Output

DEFAULT_PATTERN = "{name}-{output}"
OFFERED_PATTERNS = (
    DEFAULT_PATTERN,
    "{number}-{name}-{output}",
    "{name}/{output}",
    "{output}/{name}",
)
FIELDS = ("name", "number", "output", "width", "height", "format")
MAX_PATTERN = 100  # Characters.
MAX_FOLDERS = 2  # One within the other.

# Bytes in UTF-8. File systems take 255 of a name, but Windows only 260 characters of a whole path,
# of which the folder that the zip is unpacked in has some 60.
NAME_BYTES = 100
PART_BYTES = 200

# Windows opens a device for these, whatever follows behind a dot.
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE)
_FIELD = re.compile(r"\{(.*?)\}")


class InvalidPattern(ValueError):
    """Files cannot be named like that; says what would be right."""

    code = "invalid_names"
    field = "names"


def check_pattern(pattern: str) -> None:
    """Refuse a pattern that cannot name files.

    A pattern is text with fields, `{number}-{name}/{output}`; the extension is always added.
    Raises InvalidPattern.
    """
    if len(pattern) > MAX_PATTERN:
        raise InvalidPattern(f"The names' pattern has at most {MAX_PATTERN} characters.")
    known = ", ".join(f"{{{field}}}" for field in FIELDS)
    text = _FIELD.sub("", pattern)
    if not set(_FIELD.findall(pattern)) <= set(FIELDS) or "{" in text or "}" in text:
        raise InvalidPattern(f"Use only {known} in braces.")
    parts = _FIELD.sub("x", pattern).split("/")
    if len(parts) > MAX_FOLDERS + 1:
        raise InvalidPattern(f"The names' pattern has at most {MAX_FOLDERS} folders.")
    if any(safe_name(part) != part for part in parts):
        raise InvalidPattern(
            "Use names that every system accepts: no part between slashes is empty, or begins or"
            ' ends with a dot or a space, or contains \\ : * ? " < > |.'
        )


def name_thumbnails(images: Sequence[Image], pattern: str) -> dict[Thumbnail, str]:
    """Return a path for each thumbnail of a job, unique on every system.

    The second image named "a" is called "a (1)", in all its thumbnails. Raises InvalidPattern.
    """
    check_pattern(pattern)
    digits = max(2, len(str(len(images))))
    names = _each_once((image_name(image.name), "") for image in images)
    wanted = {
        thumbnail: (
            _fill(pattern, thumbnail, name, f"{image.number:0{digits}}"),
            PurePosixPath(thumbnail.file_name).suffix,
        )
        for image, name in zip(images, names, strict=True)
        for thumbnail in image.thumbnails
    }
    return dict(zip(wanted, _each_once(wanted.values()), strict=True))


def example_names(name: str, output: Output) -> dict[str, str]:
    """Return an example of each offered pattern, like `beach-640w.jpg`."""
    format = "jpeg" if output.format == "source" else output.format
    values = {"name": image_name(name), "number": "01", "output": output.name}
    return {
        pattern: f"{pattern.format(**values)}.{EXTENSIONS[format]}" for pattern in OFFERED_PATTERNS
    }


def download_name(thumbnail: Thumbnail) -> str:
    """Return the name of a thumbnail downloaded alone, like `coffee-320w.webp`."""
    return f"{image_name(thumbnail.source_name)}-{thumbnail.file_name}"


def image_name(name: str) -> str:
    """Return the name of an image's files: its own without the extension."""
    return safe_name(_cut(PurePosixPath(name).stem, NAME_BYTES))


def safe_name(name: str) -> str:
    """Return a name that Windows, macOS and Linux accept for a file or folder.

    Invisible marks are removed, as they can reverse the reading direction, but not joiners. So are
    dots and spaces at either end, which hide a file or are dropped. An empty name becomes `_`.
    """
    seen = "".join(
        " " if unicodedata.category(character)[0] == "Z" else character
        for character in filter(is_kept, name)
    )
    safe = re.sub(r'[<>:"/\\|?*]', "_", unicodedata.normalize("NFC", seen)).strip(". ")
    if _DEVICE.match(safe):
        safe = f"_{safe}"
    safe = _cut(safe, PART_BYTES).rstrip(". ")
    return safe if safe.strip(JOINERS) else "_"


def _fill(pattern: str, thumbnail: Thumbnail, name: str, number: str) -> str:
    values = {
        "name": name,
        "number": number,
        "output": PurePosixPath(thumbnail.file_name).stem,
        "width": str(thumbnail.width),
        "height": str(thumbnail.height),
        "format": thumbnail.format,
    }
    return "/".join(
        safe_name(_FIELD.sub(lambda field: values[field[1]], part)) for part in pattern.split("/")
    )


def _each_once(files: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Join stems and suffixes, numbering repeated names: `a (1).jpg`.

    Few systems distinguish `A` from `a`.
    """
    taken: set[str] = set()
    numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))
    for stem, suffix in files:
        wanted = free = stem + suffix
        while _key(free) in taken:
            free = f"{stem} ({next(numbers[_key(wanted)])}){suffix}"
        taken.add(_key(free))
        yield free


def _key(path: str) -> str:
    """Return a name's key for comparisons without letter case and joiners."""
    seen = "".join(character for character in path if character not in JOINERS)
    return unicodedata.normalize("NFC", seen.casefold())


def _cut(text: str, size: int) -> str:
    """Cut a text to some bytes in UTF-8, in whole characters."""
    return text.encode()[:size].decode(errors="ignore")
