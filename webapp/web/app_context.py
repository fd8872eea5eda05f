"""The parts of the application that handles the current request or command."""

from flask import current_app

from webapp.config import Config
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.tasks import ThumbnailHuey


def current_config() -> Config:
    """Return the settings of the current application."""
    return current_app.extensions["config"]  # type: ignore[no-any-return]


def current_jobs() -> Jobs:
    """Return the jobs of the current application."""
    return current_app.extensions["jobs"]  # type: ignore[no-any-return]


def current_huey() -> ThumbnailHuey:
    """Return the task queue of the current application."""
    return current_app.extensions["huey"]  # type: ignore[no-any-return]
