"""The parts of the application that answers the current request or command."""

from flask import current_app

from webapp.config import Config
from webapp.jobs.lifecycle import Jobs


def current_config() -> Config:
    """Give the settings of the current application."""
    return current_app.extensions["config"]  # type: ignore[no-any-return]


def current_jobs() -> Jobs:
    """Give the jobs of the current application."""
    return current_app.extensions["jobs"]  # type: ignore[no-any-return]
