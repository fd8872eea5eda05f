"""The pages and routes: each view parses, calls and renders."""

from flask import Flask

from webapp.config import MB, Config
from webapp.web.upload_request import MAX_FIELDS, UploadRequest
from webapp.web.views import (
    access,
    changes,
    crops,
    downloads,
    images,
    integrations,
    jobs,
    operations,
    thumbnail_api,
    thumbnails,
    uploads,
)


def init_app(app: Flask, config: Config) -> None:
    """Register every blueprint, and receive uploads on the file system of originals."""
    app.request_class = UploadRequest
    app.config["MAX_CONTENT_LENGTH"] = config.max_request_mb * MB
    app.config["MAX_FORM_PARTS"] = config.max_images + MAX_FIELDS
    for module in (
        uploads,
        jobs,
        changes,
        images,
        crops,
        downloads,
        thumbnails,
        access,
        thumbnail_api,
        integrations,
        operations,
    ):
        app.register_blueprint(module.blueprint)
