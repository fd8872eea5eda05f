"""The pages and routes: each view parses, calls and renders."""

from flask import Flask

from webapp.config import Config
from webapp.views import compat, health, jobs, results, uploads
from webapp.views.request import MB, UploadRequest


def init_app(app: Flask, config: Config) -> None:
    """Register every blueprint, and receive uploads where their originals will lie."""
    app.request_class = UploadRequest
    app.config["MAX_CONTENT_LENGTH"] = config.max_request_mb * MB
    for module in (uploads, jobs, results, compat, health):
        app.register_blueprint(module.blueprint)
