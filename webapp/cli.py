"""Commands for operators, and for whoever wants thumbnails without a server."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import click
from flask import Flask, current_app
from flask.cli import AppGroup

from webapp.decoder import Decoder
from webapp.formatters import filesize, format_name, saving
from webapp.recipes import (
    ASKED_FORMATS,
    FITS,
    PRESETS,
    InvalidRecipe,
    Output,
    Recipe,
    combine,
    parse_output,
    preset,
)
from webapp.sources import ImageError
from webapp.thumbnails import Thumbnail

jobs = AppGroup("jobs", help="Look after the jobs of the server.")
thumbnails = AppGroup("thumbnails", help="Make thumbnails without server and queue.")


@jobs.command()
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Copy the database of jobs into FILE, which must not be there yet, while the server runs."""
    try:
        current_app.extensions["jobs"].store.backup(file)
    except OSError as error:
        raise click.ClickException(f"No backup was made: {error}") from None
    click.echo(f"{file}: {filesize(file.stat().st_size)}")


@dataclass(frozen=True)
class Outcome:
    """Tell what became of one file: where its thumbnails are, or why there are none."""

    source: Path
    made: list[tuple[Path, Thumbnail]]
    error: str | None = None


@thumbnails.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--preset", "presets", multiple=True, type=click.Choice(list(PRESETS)))
@click.option("--width", help="Pixels.")
@click.option("--height", help="Pixels.")
@click.option("--fit", type=click.Choice(FITS))
@click.option("--format", type=click.Choice(ASKED_FORMATS))
@click.option("--quality", help="1 to 100.")
@click.option("--max-kb", help="Kilobytes that no file may exceed.")
@click.option("--background", help="A colour like #ffffff.")
@click.option("--enlarge", is_flag=True, help="Enlarge small images too.")
@click.option(
    "--out", default=".", type=click.Path(file_okay=False, path_type=Path), help="The folder."
)
def make(
    files: tuple[Path, ...], presets: tuple[str, ...], out: Path, **fields: str | None
) -> None:
    """Make thumbnails of FILES, as the server would.

    Ends with code 1 if any file failed, and goes on with the others.
    """
    recipe = _recipe(presets, {key: str(value or "") for key, value in fields.items()})
    decoder = Decoder.from_config(current_app.extensions["config"])
    out.mkdir(parents=True, exist_ok=True)
    with click.progressbar(files, label="Making thumbnails") as bar:
        outcomes = [_make_one(file, recipe, out, decoder) for file in bar]
    for line in _table(outcomes):
        click.echo(line)
    if any(outcome.error for outcome in outcomes):
        raise SystemExit(1)


def _recipe(presets: tuple[str, ...], fields: dict[str, str]) -> Recipe:
    outputs: list[Output] = [output for name in presets for output in preset(name).recipe.outputs]
    try:
        if fields["width"] or fields["height"]:
            outputs.append(parse_output(fields))
        return combine(outputs, current_app.extensions["jobs"].recipe_limits)
    except InvalidRecipe as error:
        raise click.UsageError(str(error)) from None


def _make_one(source: Path, recipe: Recipe, out: Path, decoder: Decoder) -> Outcome:
    """Make the thumbnails of one file beside their final place, and move them there."""
    if not source.is_file():
        return Outcome(source, [], "There is no such file.")
    try:
        with tempfile.TemporaryDirectory(dir=out) as folder:
            made = decoder.make_thumbnails(source.absolute(), recipe, Path(folder)).thumbnails
            places = [_free_name(out, f"{source.stem}-{one.file_name}") for one in made]
            for one, place in zip(made, places, strict=True):
                (Path(folder) / one.file_name).rename(place)
    except (ImageError, OSError) as error:
        return Outcome(source, [], str(error))
    return Outcome(source, list(zip(places, made, strict=True)))


def _free_name(folder: Path, name: str) -> Path:
    """Keep what is there: `a-square.jpg` is followed by `a-square (1).jpg`."""
    path = folder / name
    for number in count(1):
        if not path.exists():
            break
        path = folder / f"{Path(name).stem} ({number}){path.suffix}"
    return path


def _table(outcomes: list[Outcome]) -> Iterator[str]:
    """Write a line for each thumbnail, and one for each file that failed."""
    widest = max((len(str(path)) for outcome in outcomes for path, _ in outcome.made), default=0)
    for outcome in outcomes:
        if outcome.error:
            yield f"{outcome.source}: {outcome.error}"
        for path, made in outcome.made:
            size = f"{made.width} × {made.height} {format_name(made.format)}"
            saved = saving(1 - made.bytes / outcome.source.stat().st_size)
            yield f"{path!s:{widest}}  {size:16} {filesize(made.bytes):>7} {saved:>6}"


def init_app(app: Flask) -> None:
    """Register the commands."""
    app.cli.add_command(jobs)
    app.cli.add_command(thumbnails)
