"""Make thumbnails without a server."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import click
from flask.cli import AppGroup

from webapp.engine.decoder import Decoder
from webapp.engine.errors import ImageError
from webapp.engine.result import MadeThumbnail
from webapp.recipes.outputs import (
    COLORS,
    FITS,
    REQUESTED_FORMATS,
    InvalidRecipe,
    Output,
    Recipe,
    combine,
)
from webapp.recipes.parsing import parse_output
from webapp.recipes.presets import PRESETS, preset
from webapp.sandbox.client import Failed
from webapp.web.app_context import current_config, current_jobs
from webapp.web.formatters import filesize, format_name, saving

commands = AppGroup("thumbnails", help="Make thumbnails without a server.")


@dataclass(frozen=True)
class Outcome:
    """Hold the result of one file: its thumbnails, or the error."""

    source: Path
    made: list[tuple[Path, MadeThumbnail]]
    had_gps: bool = False
    error: str | None = None


@commands.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--preset", "presets", multiple=True, type=click.Choice(list(PRESETS)))
@click.option("--width", help="Pixels.")
@click.option("--height", help="Pixels.")
@click.option("--fit", type=click.Choice(FITS))
@click.option("--format", type=click.Choice(REQUESTED_FORMATS))
@click.option("--quality", help="1 to 100.")
@click.option("--max-kb", help="Largest size of a file in kilobytes.")
@click.option("--background", help="A colour like #ffffff, or transparent.")
@click.option("--focus", help="Focal point of a crop: smart, or a point like 0.3,0.7.")
@click.option("--color", type=click.Choice(COLORS), help="Keep Display P3, or sRGB (default).")
@click.option("--enlarge", is_flag=True, help="Enlarge small images too.")
@click.option("--keep-copyright", is_flag=True, help="Keep copyright and author from EXIF.")
@click.option("--animated", is_flag=True, help="Keep animations, in WebP or GIF.")
@click.option(
    "--out", default=".", type=click.Path(file_okay=False, path_type=Path), help="Output folder."
)
def make(
    files: tuple[Path, ...], presets: tuple[str, ...], out: Path, **fields: str | bool | None
) -> None:
    """Make thumbnails of FILES, as the server would.

    Name presets, describe a size with the other options, or both. Continues after a file that
    fails, and then ends with code 1.
    """
    recipe = _recipe(presets, {key: _text(value) for key, value in fields.items() if value})
    decoder = Decoder.from_config(current_config())
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"The folder cannot be created: {error}") from None
    with click.progressbar(files, label="Making thumbnails") as bar:
        outcomes = [_make_one(file, recipe, out, decoder) for file in bar]
    for line in _table(outcomes):
        click.echo(line)
    if any(outcome.error for outcome in outcomes):
        raise SystemExit(1)


def _text(value: str | bool | None) -> str:
    return "on" if value is True else str(value)


def _recipe(presets: tuple[str, ...], fields: dict[str, str]) -> Recipe:
    outputs: list[Output] = [output for name in presets for output in preset(name).recipe.outputs]
    try:
        if "width" in fields or "height" in fields:
            outputs.append(parse_output(fields))
        elif fields:
            names = ", ".join(f"--{field.replace('_', '-')}" for field in fields)
            raise click.UsageError(f"Give --width or --height too: presets do not take {names}.")
        return combine(outputs, current_jobs().recipe_limits)
    except InvalidRecipe as error:
        raise click.UsageError(str(error)) from None


def _make_one(source: Path, recipe: Recipe, out: Path, decoder: Decoder) -> Outcome:
    """Create the thumbnails of one file in a temporary folder, then move them."""
    if source.is_dir():
        return Outcome(source, [], error="This is a folder.")
    if not source.is_file():
        return Outcome(source, [], error="No such file.")
    try:
        with tempfile.TemporaryDirectory(dir=out) as folder:
            result = decoder.make_thumbnails(source.absolute(), recipe, Path(folder))
            made = result.thumbnails
            paths = [_free_name(out, f"{source.stem}-{one.file_name}") for one in made]
            for one, path in zip(made, paths, strict=True):
                (Path(folder) / one.file_name).rename(path)
    except (ImageError, OSError) as error:
        return Outcome(source, [], error=str(error))
    except Failed as error:
        cause = str(error).strip().splitlines()[-1]  # The last line of a traceback.
        return Outcome(source, [], error=f"Internal error: {cause}")
    return Outcome(source, list(zip(paths, made, strict=True)), result.header.had_gps)


def _free_name(folder: Path, name: str) -> Path:
    """Return a path that is free: `a-square (1).jpg` if `a-square.jpg` exists."""
    path = folder / name
    for number in count(1):
        if not path.exists():
            break
        path = folder / f"{Path(name).stem} ({number}){path.suffix}"
    return path


_HEADING = ("Thumbnail", "Size", "Format", "Quality", "Bytes", "Saved")


def _table(outcomes: list[Outcome]) -> Iterator[str]:
    """Write a line for each thumbnail, then errors and removed locations."""
    rows = [_HEADING, *(row for outcome in outcomes for row in _rows(outcome))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if len(rows) > 1:
        for name, *cells in rows:
            padded = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
            yield "  ".join((f"{name:{widths[0]}}", *padded))
    for outcome in outcomes:
        if outcome.error:
            yield f"{outcome.source}: {outcome.error}"
        if outcome.had_gps:
            yield f"{outcome.source}: GPS removed."


def _rows(outcome: Outcome) -> Iterator[tuple[str, ...]]:
    for path, made in outcome.made:
        yield (
            str(path),
            f"{made.width} × {made.height}",
            format_name(made.format),
            "" if made.quality is None else str(made.quality),
            filesize(made.bytes),
            saving(1 - made.bytes / outcome.source.stat().st_size),
        )
