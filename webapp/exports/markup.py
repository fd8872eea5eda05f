"""HTML and Markdown that show thumbnails, ready to paste.

An address function returns the URL of a thumbnail: on this server, or relative to a page in the
folder of the unpacked zip. URLs must be percent-encoded; all else is escaped here.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

from markupsafe import Markup

from webapp.jobs.models import Image, Job, Thumbnail, have_same_ratio
from webapp.recipes.outputs import Output, Recipe

Address = Callable[[Thumbnail], str]

# What a browser takes first if it can; and what it falls back to, of those that a set has.
MODERN = ("avif", "webp")
FALLBACKS = ("jpeg", "png", "gif", "webp", "avif")


class UnknownMarkup(ValueError):
    """There is no markup of the kind that is asked for."""

    code = "unknown_markup"
    field = "as"

    def __init__(self) -> None:
        super().__init__(f"Thumbnails are written as one of {', '.join(WRITERS)}.")


def alt_text(image: Image) -> str:
    """Return what its owner wrote, or a description made of the file's name."""
    return image.alt or name_in_words(image.name)


def name_in_words(name: str) -> str:
    """Return a description made of a file's name, like `IMG 2023 beach`."""
    return re.sub(r"[\s_+-]+", " ", PurePosixPath(name).stem).strip() or name


def markdown(thumbnails: Sequence[Thumbnail], address: Address, alt: str) -> str:
    """Write Markdown for one thumbnail of a set: the largest all browsers show."""
    escaped = re.sub(r"([\\\[\]`*_<>&!])", r"\\\1", alt)
    return f"![{escaped}]({address(_fallback(thumbnails)[-1])})"


def html(thumbnails: Sequence[Thumbnail], address: Address, alt: str) -> Markup:
    """Write HTML for a responsive set or one thumbnail, as simple as possible.

    One format is an `<img>`; several are a `<picture>` with a `<source>` for each that not every
    browser can show. The largest width is what the picture has on a wide screen.
    """
    fallback = _fallback(thumbnails)
    sizes = _sizes(max(thumbnail.width for thumbnail in thumbnails))
    image = _img(fallback, sizes, address, alt)
    sources = [
        Markup('  <source type="image/{}" srcset="{}" sizes="{}">\n').format(
            format, _srcset(widths, address), sizes
        )
        for format in MODERN
        if format != fallback[0].format and (widths := _by_width(thumbnails, format))
    ]
    if not sources:
        return image
    return Markup("<picture>\n{}  {}\n</picture>").format(Markup().join(sources), image)


def urls(thumbnails: Sequence[Thumbnail], address: Address, _alt: str) -> str:
    """List the addresses of thumbnails, one a line."""
    return "\n".join(map(address, thumbnails))


Writer = Callable[[Sequence[Thumbnail], Address, str], str]
RELATIVE = "relative"  # HTML for a page in the folder of the unpacked zip, where links never end.
WRITERS: dict[str, Writer] = {RELATIVE: html, "html": html, "markdown": markdown, "url": urls}


def write_image(image: Image, recipe: Recipe, address: Address, write: Writer = html) -> str:
    """Write all thumbnails of an image, each responsive set as one."""
    alt = alt_text(image)
    return "\n".join(write(group, address, alt) for group in responsive_sets(image, recipe))


def write_job(job: Job, address: Address, write: Writer = html) -> str:
    """Write all thumbnails of a job, image by image."""
    recipe = Recipe.from_json(job.recipe)
    made = (image for image in job.images if image.thumbnails)
    return "\n\n".join(write_image(image, recipe, address, write) for image in made)


def responsive_sets(image: Image, recipe: Recipe) -> list[list[Thumbnail]]:
    """Group an image's thumbnails by what they show, the largest first.

    A browser may take any of a set, so they have one aspect ratio and are cropped or padded alike.
    """
    sets: list[list[Thumbnail]] = []
    looks = {}
    for thumbnail in sorted(image.thumbnails, key=lambda made: -made.width * made.height):
        output = find_output(thumbnail, recipe)
        looks[thumbnail] = (output.fit, output.focus) if output else None
        for group in sets:
            is_alike = looks[group[0]] == looks[thumbnail]
            if is_alike and have_same_ratio(group[0].size, thumbnail.size):
                group.append(thumbnail)
                break
        else:
            sets.append([thumbnail])
    return sets


def find_output(thumbnail: Thumbnail, recipe: Recipe) -> Output | None:
    """Find what asked for a thumbnail; None where it was made by another recipe."""
    formats = (thumbnail.format, "source")
    asked = (
        one for one in recipe.outputs if one.name == thumbnail.output and one.format in formats
    )
    return next(asked, None)


def _by_width(thumbnails: Iterable[Thumbnail], format: str) -> list[Thumbnail]:
    """Return one thumbnail of each width in a format, narrowest first."""
    by_width = {made.width: made for made in thumbnails if made.format == format}
    return [by_width[width] for width in sorted(by_width)]


def _fallback(thumbnails: Sequence[Thumbnail]) -> list[Thumbnail]:
    """Return the thumbnails in the format that most browsers show."""
    present = (_by_width(thumbnails, format) for format in FALLBACKS)
    return next(widths for widths in present if widths)


def _img(widths: Sequence[Thumbnail], sizes: str, address: Address, alt: str) -> Markup:
    largest = widths[-1]
    srcset = Markup(' srcset="{}" sizes="{}"').format(_srcset(widths, address), sizes)
    return Markup(
        '<img src="{}"{} width="{}" height="{}" alt="{}" loading="lazy" decoding="async">'
    ).format(
        address(largest), srcset if len(widths) > 1 else "", largest.width, largest.height, alt
    )


def _srcset(widths: Iterable[Thumbnail], address: Address) -> str:
    return ", ".join(f"{address(thumbnail)} {thumbnail.width}w" for thumbnail in widths)


def _sizes(width: int) -> str:
    return f"(max-width: {width}px) 100vw, {width}px"
