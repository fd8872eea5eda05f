"""How commands write tables, JSON and counts."""

import json
import os
import signal
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click

from webapp.jobs.instance import InUse
from webapp.jobs.restore import RestoreError
from webapp.jobs.store.copies import DamagedDatabase
from webapp.logs import escape

as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON for programs.")


def write_table(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> None:
    """Write rows in columns as wide as their cells; numbers are at the `right`."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        write_row(row, widths, right)


def write_row(cells: Sequence[str], widths: Sequence[int], right: Collection[int] = ()) -> None:
    """Write one row; what is wider than its column is cut."""
    click.echo("  ".join(_fill(cells, widths, right)).rstrip())


def _fill(cells: Sequence[str], widths: Sequence[int], right: Collection[int]) -> Iterator[str]:
    for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        shown = cell if len(cell) <= width else f"{cell[: width - 1]}…"
        yield escape(f"{shown:>{width}}" if number in right else f"{shown:{width}}")


def write_json(value: Any) -> None:
    """Write a value as JSON."""
    click.echo(json.dumps(value, indent=2))


def write_json_list(values: Iterable[Any]) -> None:
    """Write one array, a line for each value, as they are read."""
    before = "["
    for value in values:
        click.echo(f"{before}\n{json.dumps(value)}", nl=False)
        before = ","
    click.echo("[]" if before == "[" else "\n]")


def count(number: int, noun: str) -> str:
    """Write a number of things: `1 job`, `12 jobs`."""
    return f"{number:,} {noun}{'s' if number != 1 else ''}"


def moment(time: datetime | None) -> str | None:
    """Write a moment in UTC for programs; None stays."""
    return None if time is None else f"{time:%Y-%m-%dT%H:%M:%SZ}"


def date_and_time(time: datetime) -> str:
    """Write a moment in UTC for people, to the minute."""
    return f"{time:%Y-%m-%d %H:%M}"


@contextmanager
def errors(what: str) -> Iterator[None]:
    """End the command with a sentence where it fails.

    SIGTERM and the end of a terminal also remove the files that are temporary.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # Not under nohup.
            signal.signal(number, _end)
    try:
        yield
    except DamagedDatabase as error:
        raise click.ClickException(f"The database is damaged: {error}") from None
    except (RestoreError, InUse) as error:
        raise click.ClickException(str(error)) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # No second error at exit.
        raise click.ClickException(f"The {what} failed: the reader ended.") from None
    except OSError as error:
        raise click.ClickException(f"The {what} failed: {error}") from None


def _end(number: int, _: object) -> None:
    raise SystemExit(128 + number)
