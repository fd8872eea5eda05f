"""The addresses by which a client knows this server: its host, and the path that it is under.

A proxy in front may serve the application under a path, which it removes from requests and names in
X-Forwarded-Prefix. Routes and `request.path` are without it; `url_for` and these functions add it.
"""

from flask import Flask, request

from webapp.jobs.models import Thumbnail


def init_app(app: Flask) -> None:
    """Let pages name thumbnails."""
    app.jinja_env.filters.update(
        thumbnail_url=thumbnail_url, absolute_thumbnail_url=absolute_thumbnail_url
    )


def current_origin() -> str:
    """Return the scheme, the host and the prefix by which the client knows this server."""
    return request.root_url.rstrip("/")


def thumbnail_url(thumbnail: Thumbnail) -> str:
    """Return the URL of a thumbnail that nginx serves by alias, or Flask; without its host."""
    return f"{request.script_root}/thumbnails/{thumbnail.path}"


def absolute_thumbnail_url(thumbnail: Thumbnail) -> str:
    """Return the absolute URL of a thumbnail on this server."""
    return f"{current_origin()}/thumbnails/{thumbnail.path}"
