"""The HTTP API for programs, at /api/v1: all that the pages can do."""

from flask import Flask


def init_app(app: Flask) -> None:
    """Register the routes."""
    # Not at the top: they import webapp.web.errors, which imports the schemas.
    # Most enter themselves, in the order of the documents.
    from webapp.web.api import jobs, images, webhooks, downloads, catalog, openapi  # noqa: F401, I001
    from webapp.web.api import docs
    from webapp.web.api.operations import blueprint

    app.register_blueprint(blueprint)
    app.register_blueprint(docs.blueprint)
