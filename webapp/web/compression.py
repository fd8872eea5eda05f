"""Pages, compressed for whoever can read that: the one of a large job is a tenth of itself then."""

import gzip

from flask import Flask, Response, request

# Those that may be large. The length of a compressed page tells what it has twice: a stranger who
# can put text into it again and again guesses a secret so (BREACH). Those of a job repeat nothing
# of a request, and the token of the upload page, which does, is signed anew each second.
PAGES = {"uploads.new", "jobs.show", "jobs.panel", "images.show", "images.panel"}
LEAST_BYTES = 1400  # What is smaller travels in one packet anyway.
LEVEL = 5  # 6 ms for a page that takes 80 to render; 9 takes 15 and saves 3 % more.


def init_app(app: Flask) -> None:
    """Have large pages compressed; what is compressed already, no proxy compresses again."""

    @app.after_request
    def compress(response: Response) -> Response:
        if request.endpoint not in PAGES:
            return response
        response.vary.add("Accept-Encoding")
        if request.method == "HEAD":
            return response
        if request.accept_encodings["gzip"] and len(response.get_data()) > LEAST_BYTES:
            response.set_data(gzip.compress(response.get_data(), LEVEL, mtime=0))
            response.content_encoding = "gzip"
        return response
