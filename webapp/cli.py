"""Commands for operators."""

import click
from flask import Flask
from flask.cli import AppGroup

jobs = AppGroup("jobs", help="Look after jobs.")


@jobs.command()
def migrate() -> None:
    """Check the settings and bring the database to the current schema."""
    click.echo("The settings are right and the database is up to date.")  # Making the app did it.


def init_app(app: Flask) -> None:
    """Register the commands."""
    app.cli.add_command(jobs)
