"""Send what the scripts of the upload page send for dropped photos.

static/js/queue.js uploads two files at a time, and htmx polls the panel. The other connections of a
browser, which opens six, fetch the thumbnails that the panel shows.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

from bench.service.connections import Body, Connection, encode_form
from tests.support.people import addresses_of, find_token, part

_UPLOADS, _DOWNLOADS = 2, 3  # Connections.
_POLL = re.compile(r'hx-get="([^"]*/panel[^"]*)" hx-trigger="every (\d+)ms"')
_CARD = re.compile(r'<li id="image-([^"]+)"')
_THUMBNAIL = re.compile(r'src="(/thumbnails/[^"]+)"')


@dataclass(frozen=True)
class Drop:
    """What a person saw, in seconds."""

    first: float  # From the answer to an upload to its thumbnail, the first that was there.
    last: float  # From the drop to the last thumbnail.


@dataclass
class Page:
    """The upload page, which becomes that of its job, and when what happened on it."""

    host: str
    port: int
    cookies: dict[str, str]
    token: str
    job: dict[str, str] = field(default_factory=dict)  # Its addresses.
    panel: str = ""
    uploaded: dict[str, float] = field(default_factory=dict)  # When, by the id of the image.
    shown: dict[str, float] = field(default_factory=dict)  # When its thumbnail was there.

    @classmethod
    def load(cls, host: str, port: int) -> "Page":
        """Load the upload page."""
        connection = Connection(host, port)
        answer = connection.get("/", "Accept: text/html")
        connection.close()
        return cls(host, port, connection.cookies, find_token(answer.body.decode()))

    def connect(self) -> Connection:
        """Open a connection of this browser."""
        return Connection(self.host, self.port, dict(self.cookies))

    def open_job(self, connection: Connection) -> None:
        """Create a job that accepts images."""
        form = encode_form(presets="square", keep_hours="24")
        opened = self._post(connection, "/jobs/open", form)
        self.job, self.panel = addresses_of(opened), opened["page"]

    def encode(self, photo: Path, position: int) -> Body:
        """Encode the form with one photo."""
        file = part(photo.read_bytes(), f"{position}.jpg")
        return encode_form(position=position, images=file)

    def upload(self, connection: Connection, body: Body) -> None:
        """Upload one photo."""
        image = self._post(connection, self.job["images_url"], body)
        self.uploaded[image["id"]] = time.perf_counter()

    def close_job(self, connection: Connection) -> None:
        """Say that all is uploaded."""
        self._post(connection, self.job["close_url"], encode_form(missing_files="[]"))

    def _post(self, connection: Connection, url: str, body: Body) -> Any:
        """Post a form; return the JSON of the answer, or None if it has none."""
        headers = ("Accept: application/json", f"X-CSRFToken: {self.token}")
        answer = connection.post(url, body, *headers)
        assert answer.status < 300, answer
        return json.loads(answer.body) if answer.body else None

    @property
    def poll(self) -> tuple[str, float] | None:
        """The address that the panel polls and its interval in seconds, or None."""
        found = _POLL.search(self.panel)
        return (unescape(found[1]), int(found[2]) / 1000) if found else None

    def follow(self) -> Iterator[tuple[str, str]]:
        """Poll until the job is finished; yield images and their thumbnails' URLs."""
        connection = self.connect()
        while poll := self.poll:
            url, interval = poll
            time.sleep(interval)
            answer = connection.get(url, "Accept: text/html", "HX-Request: true")
            assert answer.status in (200, 204), answer
            if answer.status == 200:
                self.panel = answer.body.decode()
                _, *cards = _CARD.split(self.panel)
                for image, card in zip(cards[::2], cards[1::2], strict=True):
                    if thumbnail := _THUMBNAIL.search(card):
                        yield image, thumbnail[1]
        connection.close()

    def show(self, connection: Connection, image: str, url: str) -> None:
        """Fetch a thumbnail."""
        answer = connection.get(url)
        assert answer.status == 200, answer
        self.shown[image] = time.perf_counter()


class _Own(threading.local):
    """The connection of a thread."""

    def __init__(self, page: Page) -> None:
        self.connection = page.connect()


def drop(host: str, port: int, photo: Path, count: int) -> Drop:
    """Drop so many photos at once, and wait for the thumbnails of all."""
    page = Page.load(host, port)
    bodies = [page.encode(photo, position) for position in range(1, count + 1)]
    own = _Own(page)
    start = time.perf_counter()
    page.open_job(own.connection)
    with ThreadPoolExecutor(1) as script, ThreadPoolExecutor(_UPLOADS) as uploads:
        followed = script.submit(_show_all, page)
        list(uploads.map(lambda body: page.upload(own.connection, body), bodies))
        page.close_job(own.connection)
        followed.result()
    assert len(page.shown) == count, "a thumbnail is missing"
    first = min(page.shown, key=page.shown.__getitem__)
    return Drop(page.shown[first] - page.uploaded[first], max(page.shown.values()) - start)


def _show_all(page: Page) -> None:
    """Fetch each thumbnail, once, as soon as the panel shows it."""
    own, asked = _Own(page), set[str]()
    with ThreadPoolExecutor(_DOWNLOADS) as downloads:
        for image, url in page.follow():
            if image not in asked:
                asked.add(image)
                downloads.submit(lambda *what: page.show(own.connection, *what), image, url)
