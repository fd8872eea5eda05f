"""A proxy that serves an application under a path, and a walk through all that it links to."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.pages import Page

PREFIX = "/tools/thumbnails-app"
HOST = "http://localhost"

LINKS = ("href", "src", "action", "formaction", "poster", "content", "srcset")
SENT_BY_SCRIPTS = ("hx-", "data-")


class ProxyUnderPath:
    """Remove the path from requests and name it, as our nginx does.

    Other requests are for the same application, as if it had a host of its own.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        if path.startswith(f"{PREFIX}/"):
            environ["PATH_INFO"] = path.removeprefix(PREFIX)
            environ["HTTP_X_FORWARDED_PREFIX"] = PREFIX
        return self._app(environ, start_response)


def addresses_in(answer: TestResponse) -> set[str]:
    """Return all addresses in an answer that name a path: of headers, pages, JSON and text."""
    found = {answer.headers.get(name, "") for name in ("Location", "Content-Location")}
    found |= set(re.findall(r"<([^>]+)>", answer.headers.get("Link", "")))
    kind = answer.mimetype or ""
    if kind in ("text/html", "image/svg+xml"):
        found |= set(_in_page(answer.text))
    elif kind.endswith("json"):
        found |= set(_in_json(answer.json))
    if kind.startswith("text/") or kind.endswith("json"):  # Also in commands and examples.
        found |= set(re.findall(rf"{HOST}[^\s\"'<>&;)\\]*", answer.text))
    return {one for one in found if one.startswith(("/", HOST))}


def _in_page(html: str) -> Iterator[str]:
    for element in Page(html).all("*"):
        for name, value in element.attributes.items():
            if name in LINKS or name.startswith(SENT_BY_SCRIPTS):
                yield from re.split(r",\s+", value or "") if name == "srcset" else [value or ""]
            if (value or "").startswith('{"'):
                yield from _in_json(json.loads(value or ""))
        if element.tag == "hx-partial":  # Its content is not in the tree of the page.
            yield from _in_page(element.inner_html or "")


def _in_json(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _in_json(one)


def walk(client: FlaskClient, base: str, starts: Iterable[str]) -> dict[str, set[str]]:
    """Get addresses, and all below a path that they link to; return what links to what."""
    found: dict[str, set[str]] = {}
    left = [f"{base}{start}" for start in starts]
    while left:
        address = left.pop()
        path = address.removeprefix(HOST).partition("#")[0].partition(" ")[0]
        if path in found or not path.startswith(f"{base}/"):
            continue
        accept = "application/json" if "/api/" in path else "text/html"
        answer = client.get(path, headers={"Accept": accept})
        found[path] = addresses_in(answer) if answer.mimetype != "application/zip" else set()
        left += found[path]
    return found
