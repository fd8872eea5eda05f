"""Requests of a page that are held, changed or refused on their way."""

import json
from collections.abc import Callable

from playwright.sync_api import Page, Route

from tests.support.servers import wait_until

WORDS = "Too much at once. Wait a minute."


def refuse(route: Route) -> None:
    """Answer as the server does to too many requests."""
    body = json.dumps({"code": "busy", "detail": WORDS, "field": None})
    route.fulfill(status=429, content_type="application/json", body=body)


def hold(page: Page, address: str) -> list[Route]:
    """Hold the next request to an address."""
    held: list[Route] = []
    route_once(page, address, lambda route: held.append(route))
    return held


def wait_for(page: Page, held: list[Route]) -> Route:
    """Wait until a request is on its way."""
    wait_until(lambda: page.evaluate("true") and held, what="a request")
    return held[0]


def route_once(page: Page, address: str, handle: Callable[[Route], object]) -> None:
    """Handle the next request to an address, and none after it.

    Playwright's own `times=1` stops looking at requests then: one of that moment is never sent.
    """
    first = iter([True])
    page.route(address, lambda route: handle(route) if next(first, False) else route.fallback())
