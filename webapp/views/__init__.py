"""The pages and routes: each view parses, calls and renders."""

from flask import Flask

from webapp.config import Config
from webapp.jobs import MB
from webapp.views import access, compat, downloads, health, images, jobs, results, uploads
from webapp.views.request import UploadRequest

# Of a form besides its files: 50 sizes of up to 17, as each format is one, and what is there once.
MAX_FIELDS = 900


def init_app(app: Flask, config: Config) -> None:
    """Register every blueprint, and receive uploads where their originals will lie."""
    app.request_class = UploadRequest
    app.config["MAX_CONTENT_LENGTH"] = config.max_request_mb * MB
    app.config["MAX_FORM_PARTS"] = config.max_images + MAX_FIELDS
    for module in (uploads, jobs, images, downloads, results, access, compat, health):
        app.register_blueprint(module.blueprint)
