"""Manage the jobs of the server."""

from collections import Counter
from pathlib import Path

import click
from flask.cli import AppGroup

from webapp.jobs.check import fail_lost, lost_images, orphans
from webapp.web.app_context import current_jobs
from webapp.web.formatters import filesize

commands = AppGroup("jobs", help="Manage the jobs of the server.")


@commands.command()
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Copy the database of jobs to FILE, which must not exist; the server may run."""
    try:
        current_jobs().store.db.backup(file)
    except OSError as error:
        raise click.ClickException(f"The backup failed: {error}") from None
    click.echo(f"{file}: {filesize(file.stat().st_size)}")


@commands.command()
@click.argument("job_id")
def delete(job_id: str) -> None:
    """Delete a job and all its files at once."""
    if not current_jobs().store.jobs.exists(job_id):
        raise click.ClickException("There is no such job.")
    current_jobs().delete(job_id)


@commands.command()
@click.option("--fix", is_flag=True, help="Delete such files, and mark such images as failed.")
def check(fix: bool) -> None:
    """Find files that belong to no job, and images whose files are missing.

    It compares all files with the database; the server may run. Ends with code 1 if it found any
    and did not fix them.
    """
    store, storage = current_jobs().store, current_jobs().storage
    found: Counter[str] = Counter()
    for path in orphans(store, storage):
        found["files"] += 1
        click.echo(f"{path} belongs to no job.")
        try:
            if fix:
                storage.delete_path(path)
        except OSError as error:
            found["left"] += 1
            click.echo(f"{path} cannot be deleted: {error}", err=True)
    for image_id in lost_images(store, storage):
        found["images"] += 1
        click.echo(f"Image {image_id} misses a file.")
        if fix:
            fail_lost(store, storage, image_id)
    click.echo(f"{found['files']} files without a job, {found['images']} images without a file.")
    if found["left"] or (found and not fix):
        raise SystemExit(1)
