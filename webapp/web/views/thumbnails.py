"""Thumbnails as static files, where no nginx serves them by alias."""

from pathlib import Path

from flask import Blueprint, Response, abort

from webapp.recipes.outputs import EXTENSIONS
from webapp.web.app_context import current_config, current_jobs
from webapp.web.views.responses import leave_to_nginx, send_picture

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
    return offer(path)


def offer(path: str) -> Response:
    """Send a thumbnail as `send` does, or let nginx send it, by a setting. Raises NotFound."""
    if not current_config().accel_prefix:
        return send(path)
    _, mimetype = _find(path)
    return leave_to_nginx(f"thumbnails/{path}", mimetype, KEPT_FOR_GOOD)


def send(path: str) -> Response:
    """Send the thumbnail at a path below the folder of all. Raises NotFound."""
    return send_picture(*_find(path), KEPT_FOR_GOOD)


def _find(path: str) -> tuple[Path, str]:
    """Return the file of a thumbnail and its type. Raises NotFound."""
    file = current_jobs().thumbnail(path)
    mimetype = TYPES.get(path.rpartition(".")[2])
    if file is None or mimetype is None:
        abort(404)
    return file, mimetype
