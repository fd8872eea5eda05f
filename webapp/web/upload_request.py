"""Read requests within bounds, and receive their files in the data folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import RawIOBase
from math import inf
from typing import IO, Any, cast
from urllib.parse import parse_qsl

from flask import Request, request
from multipart import MultipartSegment, ParserLimitReached, PushMultipartParser
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import (
    ClientDisconnected,
    HTTPException,
    RequestEntityTooLarge,
    RequestHeaderFieldsTooLarge,
    RequestURITooLarge,
)
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from webapp.jobs.errors import NoImages, TooManyImages
from webapp.jobs.upload import Upload
from webapp.web.app_context import current_config, current_jobs

TAKE_SEVERAL = {"uploads.create", "uploads.add_photos", "api.create_job"}
# Fields of a query, of the recipe's cookie, or of a form besides its files: 50 sizes of up to 17
# fields, as each format is one, and those of the whole recipe.
MAX_FIELDS = 900
# Bytes of a form besides its files: a script sends the names of up to 1000 missing files, and why.
MAX_TEXT_BYTES = 250_000
FILE_HEADER_BYTES = 1000  # Bytes that each file adds to these: its name, in any script.
# Bytes to read of a body at a time. Gunicorn receives up to 1 MB, and copies the rest at each read.
_CHUNK_BYTES = 262_144
# Bytes of all headers, as nginx has it by default. Gunicorn lets 800 kB through.
MAX_HEADER_BYTES = 32_768


class FormParser(FormDataParser):
    """Parse forms within bounds on the number and the length of their parts.

    The parser of multipart forms knows no bound on the sum of all texts and headers. Werkzeug's
    own takes four times as long, and its parser of urlencoded forms reads any length.
    """

    def parse(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str] | None = None,
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]:
        """Parse the fields and files of a form.

        A broken form has none, as with Werkzeug's parser. Raises RequestEntityTooLarge.
        """
        fields: list[tuple[str, str]] = []
        files: list[tuple[str, FileStorage]] = []
        with suppress(ValueError), _too_large_beyond_limits():
            if mimetype == "multipart/form-data":
                boundary = (options or {}).get("boundary", "").encode("ascii")
                fields, files = self._read_parts(stream, boundary)
            elif mimetype == "application/x-www-form-urlencoded":
                fields = self._read_pairs(stream)
        return stream, MultiDict(fields), MultiDict(files)

    def _read_pairs(self, stream: IO[bytes]) -> list[tuple[str, str]]:
        body = stream.read(MAX_TEXT_BYTES + 1)
        if len(body) > MAX_TEXT_BYTES or body.count(b"&") >= MAX_FIELDS:
            raise RequestEntityTooLarge
        return parse_qsl(body.decode(), keep_blank_values=True, errors="replace")

    def _read_parts(
        self, stream: IO[bytes], boundary: bytes
    ) -> tuple[list[tuple[str, str]], list[tuple[str, FileStorage]]]:
        parser = PushMultipartParser(boundary, max_segment_count=self.max_form_parts or inf)
        fields: list[tuple[str, str]] = []
        files: list[tuple[str, FileStorage]] = []
        name, text = "", bytearray()
        file: FileStorage | None = None
        others = 0  # Bytes that belong to no file.
        while not parser.closed:
            chunk = stream.read(_CHUNK_BYTES)
            others += len(chunk)
            for event in parser.parse(chunk):  # None is the end of a part.
                if event is None and file is not None:
                    file.stream.seek(0)
                elif event is None:
                    fields.append((name, text.decode(errors="replace")))
                elif isinstance(event, MultipartSegment):
                    _, options = parse_options_header(event["Content-Disposition"])
                    name, text, file = options.get("name", ""), bytearray(), None
                    if (file_name := options.get("filename")) is not None:
                        upload = self.stream_factory(None, None, file_name)
                        file = FileStorage(upload, file_name, name)
                        files.append((name, file))
                        others -= FILE_HEADER_BYTES
                elif file is not None:
                    file.stream.write(event)
                    others -= len(event)
                else:
                    text += event
            if others > MAX_TEXT_BYTES:
                raise RequestEntityTooLarge
        return fields, files


@contextmanager
def _too_large_beyond_limits() -> Iterator[None]:
    """Answer 413 if the block finds more parts than allowed."""
    try:
        yield
    except ParserLimitReached:
        raise RequestEntityTooLarge from None


class UploadRequest(Request):
    """Receive file parts straight into the data folder, and leave nothing behind.

    Headers or a query that are too long become the request's routing exception, which
    limits.admit raises.
    """

    form_data_parser_class = FormParser

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._uploads: list[Upload] = []
        if "HTTP_HOST" in self.environ:  # Case is irrelevant, but Werkzeug compares it.
            self.environ["HTTP_HOST"] = self.environ["HTTP_HOST"].lower()
        # Werkzeug raises when a query is read that is not UTF-8.
        self.query_string = self.query_string.decode(errors="replace").encode()
        self.routing_exception = self._find_excess()

    def _find_excess(self) -> HTTPException | None:
        headers = [name for name in self.environ if name.startswith("HTTP_")]
        if sum(len(self.environ[name]) for name in headers) > MAX_HEADER_BYTES:
            for name in headers:  # Else the session and the error page would read them.
                del self.environ[name]
            return RequestHeaderFieldsTooLarge(
                "The headers of this request are too long. Delete this site's cookies."
            )
        if self.query_string.count(b"&") >= MAX_FIELDS:
            self.query_string = b""
            return RequestURITooLarge(f"A link has at most {MAX_FIELDS} parameters.")
        return None

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        """Open a file in the data folder for a file part of a form.

        Only the forms of whole jobs may have several. Files beyond the limit of a job are not
        received: creating a file takes 0.3 ms. Raises RequestEntityTooLarge.
        """
        if self._uploads and self.endpoint not in TAKE_SEVERAL:
            raise RequestEntityTooLarge
        if len(self._uploads) == current_config().max_images:
            return open(os.devnull, "r+b")
        upload = current_jobs().open_upload()
        self._uploads.append(upload)
        return cast(IO[bytes], upload)

    def receive_body(self) -> Upload:
        """Receive the body as one file in the data folder.

        Raises ClientDisconnected if it ends early: half of an image is one, too.
        """
        upload = current_jobs().open_upload()
        self._uploads.append(upload)
        buffer = memoryview(bytearray(_CHUNK_BYTES))
        while count := cast(RawIOBase, self.stream).readinto(buffer):
            upload.write(buffer[:count])
        if upload.bytes < (self.content_length or 0):
            raise ClientDisconnected
        return upload

    def close(self) -> None:
        """Close the request, also one that ended in the middle of a file."""
        super().close()
        for upload in self._uploads:
            upload.close()


def chosen_files() -> list[FileStorage]:
    """List the files of a form; for none, browsers send one without name and bytes.

    Raises NoImages.
    """
    sent = request.files.getlist("images")
    files = [file for file in sent if file.filename or file.seek(0, os.SEEK_END)]
    if not files:
        raise NoImages
    return files


def received_upload(file: FileStorage) -> Upload:
    """Return the upload that UploadRequest received a file into.

    Raises TooManyImages if the form has more files than a job can have images.
    """
    if not isinstance(file.stream, Upload):
        raise TooManyImages(current_config().max_images)
    return file.stream
