"""Commands for operators, and to make thumbnails without a server."""

from flask import Flask

from webapp.cli import jobs, thumbnails, tokens


def init_app(app: Flask) -> None:
    """Register the group of commands of each module."""
    for module in (jobs, thumbnails, tokens):
        app.cli.add_command(module.commands)
