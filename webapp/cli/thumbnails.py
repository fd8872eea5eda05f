"""Make thumbnails without a server."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup

from webapp.cli.making import Outcome, make_thumbnails
from webapp.cli.output import write_table
from webapp.cli.watching import Folder, Maker, Watch, held_signals, only_watch
from webapp.config import count_cores
from webapp.engine.decoder import Decoder
from webapp.engine.result import MadeThumbnail
from webapp.logs import escape
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
from webapp.web.app_context import current_config, current_jobs
from webapp.web.formatters import filesize, format_name, saving

commands = AppGroup("thumbnails", help="Make thumbnails without a server.")


# What the form has.
_OPTIONS = (
    click.option("--preset", "presets", multiple=True, type=click.Choice(list(PRESETS))),
    click.option("--width", help="Pixels."),
    click.option("--height", help="Pixels."),
    click.option("--fit", type=click.Choice(FITS)),
    click.option("--format", type=click.Choice(REQUESTED_FORMATS)),
    click.option("--quality", help="1 to 100."),
    click.option("--max-kb", help="Largest size of a file in kilobytes."),
    click.option("--background", help="A colour like #ffffff, or transparent."),
    click.option("--focus", help="Focal point of a crop: smart, or a point like 0.3,0.7."),
    click.option("--color", type=click.Choice(COLORS), help="Keep Display P3, or sRGB (default)."),
    click.option("--enlarge", is_flag=True, help="Enlarge small images too."),
    click.option("--keep-copyright", is_flag=True, help="Keep copyright and author from EXIF."),
    click.option("--animated", is_flag=True, help="Keep animations, in WebP or GIF."),
)


def _takes_recipe(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a recipe to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@commands.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@_takes_recipe
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
    recipe = _recipe(presets, fields)
    decoder = Decoder.from_config(current_config())
    _create(out)
    with click.progressbar(files, label="Making thumbnails") as bar:
        outcomes = [_make_one(file, recipe, out, decoder) for file in bar]
    _tell(outcomes)
    if any(outcome.error for outcome in outcomes):
        raise SystemExit(1)


@commands.command()
@click.argument(
    "source", metavar="IN", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.argument("out", metavar="OUT", type=click.Path(file_okay=False, path_type=Path))
@_takes_recipe
@click.option(
    "--jobs",
    "processes",
    type=click.IntRange(min=1),
    default=count_cores,
    help="Files at a time. Default: as many as there are cores.",
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option("--once", is_flag=True, help="End when all files that are there are done.")
def watch(
    source: Path,
    out: Path,
    presets: tuple[str, ...],
    processes: int,
    interval: float,
    once: bool,
    **fields: str | bool | None,
) -> None:
    """Make thumbnails of all files in the folder IN, and of those that come.

    They are written to OUT, in the same folders as their files, and named such as
    beach.jpg-320w.webp. A file is taken once its size and time are the same in two looks; hidden
    and temporary files are not. A file whose thumbnails are there and newer is left alone, so that
    a new start goes on; a file that changes is made again.
    Each thumbnail appears whole. A file that fails is named once, and tried again when it changes.

    Ctrl-C finishes the files in hand. With --once, it ends with code 1 if a file failed.
    """
    recipe = _recipe(presets, fields)
    source, out = source.resolve(), out.resolve()
    if source.is_relative_to(out):
        raise click.UsageError("OUT must be another folder than IN, and not contain it.")
    _create(out)
    maker = Maker(source, out, recipe, Decoder.from_config(current_config()))
    with only_watch(out), held_signals():
        watch = Watch(maker, Folder(source, out), processes)
        is_done = watch.run(interval, once)
    click.echo(watch.summary())
    if watch.full:
        raise click.ClickException(f"The disk is full: {watch.full}")
    if once and (watch.ends["failed"] or not is_done):
        raise SystemExit(1)


def _create(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"The folder cannot be created: {error}") from None


def _recipe(presets: tuple[str, ...], options: dict[str, str | bool | None]) -> Recipe:
    fields = {
        name: "on" if value is True else str(value) for name, value in options.items() if value
    }
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
    """Make the thumbnails of one file; existing files stay."""
    if source.is_dir():
        return Outcome(source, [], error="This is a folder.")
    if not source.is_file():
        return Outcome(source, [], error="No such file.")

    def publish(folder: Path, thumbnails: Sequence[MadeThumbnail]) -> list[Path]:
        paths = []
        for made in thumbnails:
            paths.append(_free_name(out, f"{source.stem}-{made.file_name}"))
            (folder / made.file_name).rename(paths[-1])
        return paths

    return make_thumbnails(source, recipe, out, decoder, publish, ".make-")


def _free_name(folder: Path, name: str) -> Path:
    """Return a path that is free: `a-square (1).jpg` if `a-square.jpg` exists."""
    path = folder / name
    for number in count(1):
        if not path.exists():
            break
        path = folder / f"{Path(name).stem} ({number}){path.suffix}"
    return path


_HEADING = ("Thumbnail", "Size", "Format", "Quality", "Bytes", "Saved")


def _tell(outcomes: list[Outcome]) -> None:
    """Write a line for each thumbnail, then errors and removed locations."""
    rows = [_HEADING, *(row for outcome in outcomes for row in _rows(outcome))]
    if len(rows) > 1:
        write_table(rows, right=range(1, len(_HEADING)))
    for outcome in outcomes:
        source = escape(str(outcome.source))
        if outcome.error:
            click.echo(f"{source}: {outcome.error}")
        if outcome.had_gps:
            click.echo(f"{source}: GPS removed.")


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
