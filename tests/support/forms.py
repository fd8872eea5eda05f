"""Forms that no browser sends, written by hand."""

from typing import Any


def field(name: str, value: str) -> str:
    """Return one part of a multipart form."""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'


def multipart_of(body: str) -> dict[str, Any]:
    """Return the arguments of a request with these parts."""
    return {"data": f"{body}--b--\r\n".encode(), "content_type": "multipart/form-data; boundary=b"}


def urlencoded(body: str) -> dict[str, Any]:
    """Return the arguments of a request with an urlencoded form."""
    return {"data": body.encode(), "content_type": "application/x-www-form-urlencoded"}
