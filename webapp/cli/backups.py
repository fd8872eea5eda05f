"""Back up the service and restore it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import click

from webapp.cli.jobs import commands
from webapp.cli.output import count, errors
from webapp.jobs import backups, instance, restore
from webapp.jobs.backups import Backup
from webapp.jobs.database import Database
from webapp.jobs.restore import Restored
from webapp.web.app_context import current_config, current_jobs
from webapp.web.formatters import filesize

STANDARD = Path("-")  # Standard output or input.


@commands.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--database-only", is_flag=True, help="Copy only the database, without any files.")
def backup(file: Path, database_only: bool) -> None:
    """Write all data to FILE, a new archive; the server may run.

    It has the database, the key of the cookies, originals and thumbnails. With - as FILE it is
    written to standard output, for another program.
    """
    with errors("backup"):
        config, jobs = current_config(), current_jobs()
        if not database_only:
            with _opened(file) as target:
                written = backups.back_up(config.instance, jobs.store, jobs.storage, target)
            if instance.is_writable(config.instance):
                backups.note_complete(config.instance)
            else:
                click.echo("Nothing notes it there: doctor will not know of this backup.", err=True)
            click.echo(f"{file}: {_describe(written)}", err=file == STANDARD)
            return
        if file == STANDARD:
            raise click.UsageError("A copy of only the database needs a file.")
        backups.back_up_database(config.instance, jobs.store, file)
        click.echo(f"{file}: {filesize(file.stat().st_size)}")


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    if file != STANDARD:
        with backups.new_file(file) as target:
            yield target
        return
    if sys.stdout.isatty():
        raise click.UsageError("A terminal cannot show an archive: send it to a program or file.")
    target = sys.stdout.buffer
    yield target
    target.flush()


def _describe(written: Backup) -> str:
    said = (
        f"{count(written.jobs, 'job')}, {count(written.images, 'image')},"
        f" {count(written.files, 'file')}, {filesize(written.bytes)}."
    )
    if written.gone:
        said += (
            f" {count(written.gone, 'file')} that rows name were gone: their jobs ended meanwhile,"
            " or else `flask jobs check` finds them."
        )
    return said


@commands.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Put it in the place of what is there.")
def restore_command(file: Path, replace: bool) -> None:
    """Put a backup into the instance, while no server runs on it.

    FILE is an archive or a copy of only the database; with -, it is read from standard input. With
    only the database, the files stay. All is checked before anything changes.
    """
    with errors("restore"):
        if file == STANDARD:
            done = restore.restore(current_config().instance, sys.stdin.buffer, replace)
        else:
            with _whole(file) as whole, whole.open("rb") as source:
                done = restore.restore(current_config().instance, source, replace)
    click.echo(_report(done))


@contextmanager
def _whole(file: Path) -> Iterator[Path]:
    """Return a file, or a copy of a database whose log has a part of it.

    It has a log while it is in use, and after its process was killed.
    """
    if not Path(f"{file}-wal").exists():
        yield file
        return
    with TemporaryDirectory(prefix="restore-", dir=current_jobs().storage.tmp) as folder:
        copy = Path(folder) / file.name
        Database(file).backup(copy)
        yield copy


def _report(done: Restored) -> str:
    files = "" if done.files is None else f", {count(done.files, 'file')}"
    lines = [f"Restored {count(done.jobs, 'job')}, {count(done.images, 'image')}{files}."]
    if done.gone:
        lines.append(f"{count(done.gone, 'file')} were gone when the backup was made.")
    if done.replaced:
        lines.append(f"What was there is in {done.replaced}: delete it when you need it no more.")
    if done.files is not None and not done.has_key:
        lines.append("The backup has no secret_key: set THUMBNAIL_SECRET_KEY as it was there.")
    lines.append(
        "Before you start the server, run `flask jobs check`, and with --fix if what it names may"
        " go."
    )
    return "\n".join(lines)
