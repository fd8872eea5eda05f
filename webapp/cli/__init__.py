"""Commands for operators, and to make thumbnails without a server."""

from flask import Flask

from webapp.cli import backups, doctor, jobs, service, thumbnails, tokens


def init_app(app: Flask) -> None:
    """Register the groups; that of `jobs` has the commands of others too."""
    for module in (backups, doctor, jobs, service, thumbnails, tokens):
        app.cli.add_command(module.commands)
