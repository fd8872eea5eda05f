"""Thumbnails: a web app that turns people's images into thumbnails."""

from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parent.parent

if TYPE_CHECKING:
    from flask import Flask

    from webapp.config import Config


def create_app(config: "Config | None" = None) -> "Flask":
    """Make the application, with the environment's settings where none are given."""
    # Imported here: the consumer and the decode server import this package too, and need no Flask.
    from flask import Flask

    from webapp import cli
    from webapp.config import load
    from webapp.jobs.lifecycle import Jobs
    from webapp.jobs.tasks import create_huey
    from webapp.web import (
        compression,
        errors,
        formatters,
        limits,
        request_log,
        security,
        static_files,
        views,
    )

    config = config or load()
    app = Flask(
        __name__,
        static_folder=static_files.FOLDER,
        static_url_path=static_files.url_path(),
        template_folder=ROOT / "templates",
        instance_path=str(config.instance.resolve()),
    )
    jobs = Jobs(config)
    app.extensions["config"] = config
    app.extensions["jobs"] = jobs
    app.extensions["huey"] = create_huey(config, jobs)
    request_log.init_app(app, config)
    limits.init_app(app)  # First: what is refused is not even read.
    security.init_app(app, config)
    static_files.init_app(app)
    compression.init_app(app)
    errors.init_app(app)
    formatters.init_app(app)
    views.init_app(app, config)
    cli.init_app(app)
    return app
