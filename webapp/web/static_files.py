"""Serve static/ compressed, at URLs that change with its content.

Browsers cache the files for ever and never mix versions: the version is a folder of the URL, which
the modules that a script imports share. It is computed at the start of the server.
"""

import gzip
from functools import cache
from hashlib import sha256
from pathlib import Path

from flask import Flask, Response, request

from webapp.config import ROOT

FOLDER = ROOT / "static"
TEXTS = {".css", ".js", ".svg"}  # Images are already compressed.


@cache  # Reading and hashing all files takes 2 ms.
def url_path() -> str:
    """Return the path of all static files, like `/static/3f2a91bc`."""
    files = (path for path in sorted(FOLDER.rglob("*")) if path.is_file())
    contents = (f"{path.relative_to(FOLDER)}\0".encode() + path.read_bytes() for path in files)
    return f"/static/{sha256(b''.join(contents)).hexdigest()[:8]}"


def init_app(app: Flask) -> None:
    """Cache and compress the framework's responses."""
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = 365 * 86400

    @app.after_request
    def prepare(response: Response) -> Response:
        if request.endpoint != "static" or response.status_code != 200:
            return response
        response.cache_control.immutable = True
        path = FOLDER / (request.view_args or {})["filename"]
        if path.suffix in TEXTS:
            response.vary.add("Accept-Encoding")
            if request.accept_encodings["gzip"]:
                response.close()  # The file is not read.
                response.set_data(_compressed(path))
                response.content_encoding = "gzip"
                response.set_etag(response.get_etag()[0] or "", weak=True)
        return response


@cache
def _compressed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 9, mtime=0)
