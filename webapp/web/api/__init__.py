"""The HTTP API for programs, at /api/v1: all that the pages can do."""

from flask import Flask


def init_app(app: Flask) -> None:
    """Register the routes."""
    # Not at the top: they import webapp.web.errors, which imports the schemas.
    from webapp.web.api import catalog, downloads, images, jobs, webhooks  # noqa: F401 - They enter themselves.
    from webapp.web.api.operations import blueprint

    app.register_blueprint(blueprint)
