"""Thumbnails as static files, where no nginx serves them by alias."""

from flask import Blueprint, Response, abort

from webapp.recipes.outputs import EXTENSIONS
from webapp.web.app_context import current_jobs
from webapp.web.views.responses import send_picture

blueprint = Blueprint("thumbnails", __name__)

# The same types and headers as in deploy/nginx. The content of a thumbnail's URL never changes.
TYPES = {extension: f"image/{format}" for format, extension in EXTENSIONS.items()}
KEPT_FOR_GOOD = "public, max-age=31536000, immutable"


@blueprint.get("/thumbnails/<path:path>")
def thumbnail(path: str) -> Response:
    """Send the thumbnail at a path below the folder of all thumbnails.

    Raises NotFound, also where it is of no type that we make; or JobNotFound, also where the job
    has expired or is deleted and its files are there.
    """
    current_jobs().require(path.partition("/")[0])
    return send(path)


def send(path: str) -> Response:
    """Send the thumbnail at a path below the folder of all. Raises NotFound."""
    file = current_jobs().thumbnail(path)
    mimetype = TYPES.get(path.rpartition(".")[2])
    if file is None or mimetype is None:
        abort(404)
    return send_picture(file, mimetype, KEPT_FOR_GOOD)
