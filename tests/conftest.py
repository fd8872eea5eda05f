"""What tests share: an application with its own folder, its users, an engine."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time
from typing import Any
from zipfile import ZipFile

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import settings
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from tests.support.clock import Clock
from tests.support.engine import Engine
from tests.support.images import make_jpeg
from tests.support.pages import Page, check_page
from webapp import create_app
from webapp.config import Config
from webapp.jobs.database import Database
from webapp.jobs.lifecycle import Jobs
from webapp.jobs.tasks import NotificationStorage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort slow tests first, so that no process runs one alone at the end."""
    first = ("live", "browser", "slow")
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in first])


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Return settings with the test's own data folder; tests override this."""
    return Config(instance=tmp_path / "instance")


# The suite takes the same few examples each time, so that a test that fails fails again.
# `make fuzz` takes many random ones. No deadline: a machine may be slow.
settings.register_profile("suite", derandomize=True, max_examples=25, deadline=None)
settings.register_profile("fuzz", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile("suite")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


class Client(FlaskClient):
    """Read every answer to its end, as HTTP clients do, so that its file is closed."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        return super().open(*args, **{"buffered": True, **kwargs})


class CompiledTemplates(BytecodeCache):
    """Keep compiled templates for other applications: a page compiles in 60 ms."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if compiled := self._compiled.get(bucket.key):
            bucket.bytecode_from_string(compiled)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key] = bucket.bytecode_to_string()


compiled_templates = CompiledTemplates()


@cache
def empty_databases() -> dict[str, bytes]:
    """Return the files of databases with the current schema and no rows.

    They are made once in a run: with their syncs, that takes 20 ms.
    """
    with TemporaryDirectory() as folder:
        jobs, queue = Path(folder) / "jobs.db", Path(folder) / "queue.db"
        # Both close their file in the end, so that no log is left beside it.
        Database(jobs).migrate()
        NotificationStorage("thumbnails", filename=queue)
        return {path.name: path.read_bytes() for path in (jobs, queue)}


def place_databases(folder: Path) -> None:
    """Write empty databases to a folder that has none."""
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    for name, content in empty_databases().items():
        if not (folder / name).exists():
            (folder / name).touch(0o600)
            (folder / name).write_bytes(content)


@contextmanager
def running_app(config: Config, now: Callable[[], float] = time) -> Iterator[Flask]:
    """Create an application, and close its databases in the end."""
    place_databases(config.instance)
    app = create_app(config, now)
    app.testing = True
    app.jinja_env.bytecode_cache = compiled_templates
    app.test_client_class = Client
    try:
        yield app
    finally:
        app.extensions["jobs"].store.db.close()
        app.extensions["huey"].storage.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(config: Config, clock: Clock) -> Iterator[Flask]:
    with running_app(config, clock) as app:
        yield app


@pytest.fixture
def jobs(app: Flask) -> Jobs:
    return app.extensions["jobs"]  # type: ignore[no-any-return]


def part(data: bytes, name: str) -> FileStorage:
    """Make one file of a form."""
    return FileStorage(io.BytesIO(data), filename=name)


def multipart(**fields: Any) -> dict[str, Any]:
    """Encode a form in memory: Werkzeug's client leaves files of large ones open.

    The boundary is always the same: Werkzeug writes empty fields as no browser does, and may read
    them wrongly where they fall on the edge of what it reads at a time.
    """
    boundary, data = encode_multipart(fields, boundary="boundary")
    return {"data": data, "content_type": f"multipart/form-data; boundary={boundary}"}


def find_token(page: str) -> str:
    """Read the CSRF token from a page with a form."""
    return Page(page).values('input[name="csrf_token"]')[0]


class Person:
    """A person without JavaScript, who keeps cookies and sends whole forms."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self._token = ""

    def get(self, path: str) -> TestResponse:
        """Get a page or a file; every page is checked."""
        answer = self.client.get(path, headers={"Accept": "text/html"})
        if answer.mimetype == "text/html" and answer.location is None:
            check_page(answer)
        return answer

    def page(self, path: str) -> Page:
        return Page(self.get(path).text)

    def token(self) -> str:
        """Read the CSRF token from the upload page, once."""
        self._token = self._token or find_token(self.get("/").text)
        return self._token

    def post(self, path: str, **fields: object) -> TestResponse:
        form = multipart(csrf_token=self.token(), **fields)
        return self.client.post(path, headers={"Accept": "text/html"}, **form)

    def upload(self, *files: tuple[bytes, str], **fields: object) -> TestResponse:
        """Send the form with these files; the preset is the square by default."""
        images = [part(data, name) for data, name in files]
        return self.post("/jobs", **{"images": images, "presets": "square", **fields})

    def submit(self, *images: bytes | tuple[bytes, str], **fields: object) -> str:
        """Submit a job, and return the path of its page.

        Images without a name are called 1.jpg, 2.jpg and so on.
        """
        named = [
            (image, f"{number}.jpg") if isinstance(image, bytes) else image
            for number, image in enumerate(images, 1)
        ]
        return self.upload(*named, **fields).headers["Location"]


class Script(Person):
    """The page's own script: asks for JSON and sends one file a request."""

    def send(self, path: str, **fields: object) -> TestResponse:
        headers = {"Accept": "application/json", "X-CSRFToken": self.token()}
        return self.client.post(path, headers=headers, **multipart(**fields))

    def create(self, **fields: object) -> dict[str, str]:
        response = self.send("/jobs/open", **{"presets": "square", **fields})
        assert response.status_code == 201, response.text
        return response.json  # type: ignore[return-value]

    def add(self, job: dict[str, str], data: bytes, name: str = "a.jpg") -> TestResponse:
        return self.send(job["images_url"], images=part(data, name))


@pytest.fixture
def person(app: Flask) -> Person:
    return Person(app.test_client())


@pytest.fixture
def stranger(app: Flask) -> Person:
    """Create another person, who has the link."""
    return Person(app.test_client())


@pytest.fixture
def script(app: Flask) -> Script:
    return Script(app.test_client())


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Create a client without cookies, as a program is."""
    return app.test_client()


def upload_image(client: FlaskClient, image: bytes, **request: Any) -> TestResponse:
    """Upload an image as a program does."""
    return client.post("/upload_image", **multipart(file=part(image, "a.jpg")), **request)


def upload_from(app: Flask, address: str = "192.0.2.1") -> TestResponse:
    """Upload an image from an address, without cookies."""
    environ = {"REMOTE_ADDR": address}
    return upload_image(app.test_client(), make_jpeg(), environ_overrides=environ)


def read_zip(answer: TestResponse) -> ZipFile:
    """Open the zip that was sent."""
    assert answer.status_code == 200, answer.text
    return ZipFile(io.BytesIO(answer.data))


def files_left(jobs: Jobs) -> list[str]:
    """List all files of all jobs, finished or not."""
    storage = jobs.storage
    folders = (storage.originals, storage.thumbnails, storage.tmp)
    return [str(path) for folder in folders for path in folder.rglob("*")]


def age(jobs: Jobs, seconds: float) -> None:
    """Make all files older."""
    for path in files_left(jobs):
        moment = os.stat(path).st_mtime - seconds
        os.utime(path, (moment, moment))


def nothing_left(jobs: Jobs) -> bool:
    """Return whether there is no job, row or file."""
    return not jobs.store.jobs.ids() and not files_left(jobs)
