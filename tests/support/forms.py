"""Forms, as browsers send them, and some that no browser sends."""

from collections.abc import Iterator, Mapping
from typing import Any

from werkzeug.datastructures import FileStorage

_BOUNDARY = "boundary-of-the-tests"


def encode_form(fields: Mapping[str, Any]) -> tuple[str, bytes]:
    """Encode a multipart form, and return its content type too.

    Werkzeug's own function leaves out the line end before an empty value, as no browser does.
    """
    parts = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'.encode() + rest + b"\r\n"
        for name, values in fields.items()
        for rest in _encode_values(values)
    )
    body = b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()
    return f"multipart/form-data; boundary={_BOUNDARY}", body


def _encode_values(values: Any) -> Iterator[bytes]:
    for value in values if isinstance(values, (list, tuple)) else [values]:
        if isinstance(value, FileStorage):
            name = (value.filename or "").replace('"', "%22")
            head = f'; filename="{name}"\r\nContent-Type: {value.content_type}\r\n\r\n'
            yield head.encode() + value.read()
        else:
            yield f"\r\n\r\n{value}".encode()


def field(name: str, value: str) -> str:
    """Return one part of a multipart form."""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'


def multipart_of(body: str) -> dict[str, Any]:
    """Return the arguments of a request with these parts."""
    return {"data": f"{body}--b--\r\n".encode(), "content_type": "multipart/form-data; boundary=b"}


def urlencoded(body: str) -> dict[str, Any]:
    """Return the arguments of a request with an urlencoded form."""
    return {"data": body.encode(), "content_type": "application/x-www-form-urlencoded"}
